#!/usr/bin/env bash
# Apache Kafka (KRaft, no ZooKeeper) from Maven's jars: one broker, or several on 127.0.0.1.
# kafka.sh start|stop|status|wait|url|clean                the cluster
# kafka.sh start|stop|kill|pause|resume NODE               one broker of it (1, 2, ...), for failure tests
# Environment:
#   KAFKA_NODES 1      KAFKA_PORT 19092 (broker N listens on port + N - 1; for other brokers 1000 above, its controller 2042 below)
#   KAFKA_DIR   <services dir>/kafka-<port>    KAFKA_VERSION 4.4.0    KAFKA_HEAP 256m (a broker)
#   KAFKA_PARTITIONS 3 (of a topic made by its first use)    KAFKA_AUTO_CREATE true
#   KAFKA_SASL  none   yes: PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512, user netflow, password netflow
#   KAFKA_TLS   no     yes: encrypted connections only; KAFKA_DIR/tls/ca.pem is the authority
#   KAFKA_JIT   c1     full: for throughput measurements (starts slower)
#   KAFKA_JVM_OPTS, KAFKA_PROPERTIES (extra lines for server.properties)
. "$(dirname "$0")/common.sh"
VERSION=${KAFKA_VERSION:-4.4.0}
NODES=${KAFKA_NODES:-1}
PORT=${KAFKA_PORT:-19092}
DIR=${KAFKA_DIR:-$BASE/kafka-$PORT}
HEAP=${KAFKA_HEAP:-256m}
SASL=${KAFKA_SASL:-none}
TLS=${KAFKA_TLS:-no}
JIT=${KAFKA_JIT:-c1}
HALT=15   # the last brokers of a cluster find no controller that lets them go

port() { echo $((PORT + $1 - 1)); }
iport() { echo $((PORT + $1 + 999)); }
cport() { echo $((PORT + $1 - 2043)); }
what() { echo "Kafka $VERSION"; }
url() { local i u=; for i in $(seq "$NODES"); do u=$u${u:+,}127.0.0.1:$(port "$i"); done; echo "$u"; }

# An ApiVersions v0 request that the broker answers with error 0: served only by a broker that is up.
broker_answers() {
  ( exec 3<>"/dev/tcp/127.0.0.1/$(iport "$1")" || exit 1
    printf '\x00\x00\x00\x0e\x00\x12\x00\x00\x00\x00\x00\x2a\x00\x04wait' >&3
    a=$(timeout 1 head -c 10 <&3 | od -An -tu1 -v | tr -s ' \n' ' ')
    [ "${a#* * * * * }" = '0 0 0 42 0 0 ' ] ) 2>/dev/null
}
ready() { broker_answers "$1"; }

conf() { # NODE
  local d=$DIR/n$1 i voters='' proto rf=$NODES
  [ "$rf" -gt 3 ] && rf=3
  mkdir -p "$d/conf"
  for i in $(seq "$NODES"); do voters=$voters${voters:+,}$i@127.0.0.1:$(cport "$i"); done
  case $SASL$TLS in noneno) proto=PLAINTEXT ;; noneyes) proto=SSL ;; yesno) proto=SASL_PLAINTEXT ;; yesyes) proto=SASL_SSL ;;
    *) die "KAFKA_SASL is none or yes, KAFKA_TLS yes or no, not '$SASL' and '$TLS'" ;;
  esac
  cat >"$d/conf/server.properties" <<X
process.roles=broker,controller
node.id=$1
controller.quorum.voters=$voters
controller.listener.names=CONTROLLER
listeners=CLIENT://127.0.0.1:$(port "$1"),INTERNAL://127.0.0.1:$(iport "$1"),CONTROLLER://127.0.0.1:$(cport "$1")
advertised.listeners=CLIENT://127.0.0.1:$(port "$1"),INTERNAL://127.0.0.1:$(iport "$1")
listener.security.protocol.map=CLIENT:$proto,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=INTERNAL
log.dirs=$d/data
auto.create.topics.enable=${KAFKA_AUTO_CREATE:-true}
num.partitions=${KAFKA_PARTITIONS:-3}
default.replication.factor=$rf
min.insync.replicas=$(((rf + 1) / 2))
offsets.topic.num.partitions=3
offsets.topic.replication.factor=$rf
transaction.state.log.num.partitions=3
transaction.state.log.replication.factor=$rf
transaction.state.log.min.isr=$(((rf + 1) / 2))
share.coordinator.state.topic.num.partitions=3
share.coordinator.state.topic.replication.factor=$rf
share.coordinator.state.topic.min.isr=$(((rf + 1) / 2))
group.initial.rebalance.delay.ms=0
# else a broker that was killed or stopped is accepted again only after 9 s
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
# small machine
num.network.threads=2
num.io.threads=2
log.segment.bytes=67108864
log.cleaner.dedupe.buffer.size=8388608
X
  [ "$SASL" = none ] || cat >>"$d/conf/server.properties" <<'X'
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.client.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_netflow="netflow";
listener.name.client.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.client.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
X
  if [ "$TLS" = yes ]; then
    certificates
    openssl pkcs8 -topk8 -nocrypt -in "$DIR/tls/server.key" | cat - "$DIR/tls/server.pem" >"$d/conf/server.pem"
    printf '%s\n' listener.name.client.ssl.keystore.type=PEM "listener.name.client.ssl.keystore.location=$d/conf/server.pem" >>"$d/conf/server.properties"
  fi
  [ -z "${KAFKA_PROPERTIES:-}" ] || printf '%s\n' "$KAFKA_PROPERTIES" >>"$d/conf/server.properties"
  cat >"$d/conf/log4j2.yaml" <<'X'
Configuration:
  status: error
  Appenders:
    Console: {name: OUT, PatternLayout: {pattern: "[%d] %p %m (%c)%n"}}
  Loggers:
    Root: {level: info, AppenderRef: {ref: OUT}}
X
  printf '%s\n' 'log4j.rootLogger=INFO, OUT' 'log4j.appender.OUT=org.apache.log4j.ConsoleAppender' \
    'log4j.appender.OUT.layout=org.apache.log4j.PatternLayout' 'log4j.appender.OUT.layout.ConversionPattern=[%d] %p %m (%c)%n' >"$d/conf/log4j.properties"
  cat >"$d/conf/jvm.args" <<X
-Xms64m
-Xmx$HEAP
-Xss512k
-XX:+UseSerialGC
-XX:+ExitOnOutOfMemoryError
-XX:-UsePerfData
-Djava.awt.headless=true
-Dlog4j2.configurationFile=$d/conf/log4j2.yaml
-Dlog4j.configuration=file:$d/conf/log4j.properties
X
  [ "$JIT" = full ] || echo -XX:TieredStopAtLevel=1 >>"$d/conf/jvm.args"
}

lib() {
  java_for "17 18 19 20 21 22 23 24 25"
  # The broker's pom names no logger; 4.x logs through log4j 2, 3.x through reload4j.
  case $VERSION in
    [123].*) jars "org.apache.kafka:kafka_2.13:$VERSION" org.slf4j:slf4j-reload4j:1.7.36 ;;
    *) jars "org.apache.kafka:kafka_2.13:$VERSION" org.apache.logging.log4j:log4j-slf4j-impl:2.25.3 ;;
  esac
}

spawn() { # NODE
  local d=$DIR/n$1
  pid_of "$d" >/dev/null && return 0
  port_free 127.0.0.1 "$(port "$1")"; port_free 127.0.0.1 "$(iport "$1")"; port_free 127.0.0.1 "$(cport "$1")"
  lib
  conf "$1"
  if [ ! -f "$d/data/meta.properties" ]; then
    local users=() m
    [ "$SASL" = none ] || for m in 256 512; do users+=(--add-scram "SCRAM-SHA-$m=[name=netflow,password=netflow]"); done
    # One id for the cluster: the same for every broker, kept with the data. It must not look like an option.
    [ -f "$DIR/cluster.id" ] || head -c 16 /dev/urandom | base64 | tr '+/' Zz | tr -d = >"$DIR/cluster.id"
    "$JAVA" "@$d/conf/jvm.args" -cp "$LIB/*" kafka.tools.StorageTool format -t "$(cat "$DIR/cluster.id")" -c "$d/conf/server.properties" "${users[@]}" >"$d/format.log" 2>&1 ||
      { tail -5 "$d/format.log" >&2; die "could not format the storage of broker $1"; }
  fi
  launch "$d" "$JAVA" "@$d/conf/jvm.args" ${KAFKA_JVM_OPTS:-} -cp "$LIB/*" kafka.Kafka "$d/conf/server.properties"
}

start_servers() { start_each ready; }
verbs "$@"
