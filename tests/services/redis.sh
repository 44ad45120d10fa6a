#!/usr/bin/env bash
# Redis (Debian's redis-server, or any server of the same command line): one server, or a cluster of masters on 127.0.0.1.
# redis.sh start|stop|status|wait|url|clean               all servers
# redis.sh start|stop|kill|pause|resume NODE              one of them (1, 2, ...), for failure tests
# Environment:
#   REDIS_MODE  standalone   cluster: three masters (or REDIS_NODES), all slots assigned
#               sentinel: server 1 is the master `netflow`, then its replicas (1, or REDIS_REPLICAS), the last is the sentinel
#   REDIS_PORT  16379 (server N listens on port + N - 1; a cluster's bus 1000 above that)
#   REDIS_NODES 1, or 3 in cluster mode        REDIS_REPLICAS 0 (replicas a master; they take the last NODES numbers)
#   REDIS_DIR   <services dir>/redis-<port>    REDIS_SERVER redis-server    REDIS_CLI redis-cli
#   REDIS_SYNC  everysec   always: an acknowledged write survives a power failure; no: no append-only file, no persistence
#   REDIS_PASSWORD (none)  REDIS_CONF (extra lines for redis.conf)
#   REDIS_TLS   no         yes: encrypted connections only; REDIS_DIR/tls/ca.pem is the authority
. "$(dirname "$0")/common.sh"
MODE=${REDIS_MODE:-standalone}
PORT=${REDIS_PORT:-16379}
DIR=${REDIS_DIR:-$BASE/redis-$PORT}
SERVER=${REDIS_SERVER:-redis-server}
CLI=${REDIS_CLI:-redis-cli}
TLS=${REDIS_TLS:-no}
REPLICAS=${REDIS_REPLICAS:-0}
SYNC=${REDIS_SYNC:-everysec}
PASS=${REDIS_PASSWORD:-}
case $MODE in
  standalone) NODES=${REDIS_NODES:-1} ;;
  cluster) NODES=${REDIS_NODES:-$((3 * (1 + REPLICAS)))}; [ "$NODES" -ge 3 ] || die "a cluster needs 3 servers or more" ;;
  sentinel) [ "$REPLICAS" -gt 0 ] || REPLICAS=1; NODES=$((2 + REPLICAS)) ;;
  *) die "REDIS_MODE is standalone, cluster or sentinel, not '$MODE'" ;;
esac
case $SYNC in everysec|always|no) ;; *) die "REDIS_SYNC is everysec, always or no, not '$SYNC'" ;; esac
[ "$NODES" -le 9 ] || die "9 servers at most"

case $TLS in yes|no) ;; *) die "REDIS_TLS is yes or no, not '$TLS'" ;; esac

port() { echo $((PORT + $1 - 1)); }
what() { "$SERVER" --version | sed -n 's/.*v=\([^ ]*\).*/Redis \1/p'; }
url() {
  local i u= first=1
  [ "$MODE" != sentinel ] || first=$NODES
  for i in $(seq "$first" "$NODES"); do u=$u${u:+,}redis://${PASS:+:$PASS@}127.0.0.1:$(port "$i"); done
  echo "$u"
}
[ -z "$PASS" ] || export REDISCLI_AUTH=$PASS   # an empty one would make redis-cli print an error
CLI_TLS=()
[ "$TLS" = no ] || CLI_TLS=(--tls --cacert "$DIR/tls/ca.pem")
cli() { local n=$1; shift; timeout 10 "$CLI" -h 127.0.0.1 -p "$(port "$n")" "${CLI_TLS[@]}" "$@" 2>&1; }
is_sentinel() { [ "$MODE" = sentinel ] && [ "$1" = "$NODES" ]; }

conf() { # NODE
  local d=$DIR/n$1
  mkdir -p "$d"
  if is_sentinel "$1"; then
    [ ! -f "$d/redis.conf" ] || return 0   # a sentinel writes its state there
    {
      echo "bind 127.0.0.1"
      echo "port $(port "$1")"
      echo "dir \"$d\""
      echo "sentinel monitor netflow 127.0.0.1 $(port 1) 1"
      echo "sentinel down-after-milliseconds netflow 1000"
      echo "sentinel failover-timeout netflow 4000"
      [ -z "$PASS" ] || printf 'requirepass %s\nsentinel auth-pass netflow %s\n' "$PASS" "$PASS"
    } >"$d/redis.conf"
    return 0
  fi
  {
    echo "bind 127.0.0.1"
    if [ "$TLS" = yes ]; then
      printf 'port 0\ntls-port %s\ntls-auth-clients no\ntls-replication yes\ntls-cluster yes\n' "$(port "$1")"
      printf 'tls-cert-file "%s"\ntls-key-file "%s"\ntls-ca-cert-file "%s"\n' "$DIR/tls/server.pem" "$DIR/tls/server.key" "$DIR/tls/ca.pem"
    else
      echo "port $(port "$1")"
    fi
    [ "$MODE" != sentinel ] || [ "$1" = 1 ] || echo "replicaof 127.0.0.1 $(port 1)"
    echo "dir \"$d\""
    echo "daemonize no"
    echo "databases 16"
    echo 'save ""'
    echo 'repl-diskless-sync-delay 0'   # replicas start copying at once, not after 5 s
    if [ "$SYNC" = no ]; then echo "appendonly no"; else printf 'appendonly yes\nappendfsync %s\n' "$SYNC"; fi
    [ -z "$PASS" ] || printf 'requirepass %s\nmasterauth %s\n' "$PASS" "$PASS"
    [ "$MODE" != cluster ] || printf 'cluster-enabled yes\ncluster-config-file nodes.conf\ncluster-node-timeout 2000\ncluster-port %s\n' "$(($(port "$1") + 1000))"
    [ -z "${REDIS_CONF:-}" ] || printf '%s\n' "$REDIS_CONF"
  } >"$d/redis.conf"
}

answers() { [ "$(cli "$1" ping)" = PONG ]; }   # LOADING while it loads its data
ready() {
  answers "$1" || return 1
  ! is_sentinel "$1" || { cli "$1" sentinel replicas netflow | grep -c '^master-link-status' | grep -qx "$REPLICAS"; return; }
  [ "$MODE" != sentinel ] || { ! cli "$1" info replication | grep -q '^master_link_status:down'; return; }
  [ "$MODE" = cluster ] || return 0
  cli "$1" cluster info | grep -q '^cluster_state:ok' || return 1   # otherwise it replies CLUSTERDOWN
  # A replica without a first copy never takes over from its master.
  ! cli "$1" info replication | grep -q '^master_link_status:down'
}

# Every server sees the expected number of replicas (right after a start, one may still consider itself a master).
settled() { [ "$(cli "$1" cluster nodes | grep -cw slave)" = "$((NODES - NODES / (1 + REPLICAS)))" ]; }

spawn() { # NODE
  pid_of "$DIR/n$1" >/dev/null && return 0
  need "$SERVER" "Debian package redis-server"; need "$CLI" "Debian package redis-tools"
  port_free 127.0.0.1 "$(port "$1")"
  [ "$MODE" != cluster ] || port_free 127.0.0.1 "$(($(port "$1") + 1000))"
  conf "$1"
  if is_sentinel "$1"; then
    launch "$DIR/n$1" "$SERVER" "$DIR/n$1/redis.conf" --sentinel
  else
    launch "$DIR/n$1" "$SERVER" "$DIR/n$1/redis.conf"
  fi
}

make_cluster() { # once: joins the servers and assigns the slots
  local i a=()
  cli 1 cluster info | grep -q '^cluster_slots_assigned:16384' && return 0
  for i in $(seq "$NODES"); do a+=("127.0.0.1:$(port "$i")"); done
  timeout 60 "$CLI" "${CLI_TLS[@]}" --cluster create "${a[@]}" --cluster-replicas "$REPLICAS" --cluster-yes >"$DIR/create.log" 2>&1 ||
    { tail -10 "$DIR/create.log" >&2; die "could not make the cluster"; }
}

start_servers() {
  local i
  [ "$TLS" = no ] || certificates
  start_each answers
  [ -z "$NODE" ] || return 0
  if [ "$MODE" = cluster ]; then
    make_cluster
    for i in $(each); do await "$DIR/n$i" "$(port "$i")" settled "$i"; done
  fi
  for i in $(each); do await "$DIR/n$i" "$(port "$i")" ready "$i"; done
}
verbs "$@"
