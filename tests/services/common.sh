# shellcheck shell=bash
# Sourced by the service scripts, not run directly: process ids, jar cache, waiting.
# A script sets DIR, its work folder, and NODES, how many servers it has; defines start_servers, ready, port and url, which are
# what differs between the services; and ends with a call of `verbs`.
set -uo pipefail
PROG=$(basename "$0")
BASE=${NETFLOW_SERVICES_DIR:-${TMPDIR:-/tmp}/netflow-services}
CACHE=${NETFLOW_SERVICES_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/netflow-services}
TIMEOUT=${SERVICE_TIMEOUT:-180}   # seconds a start or a stop may take
MARK=.netflow-service             # a folder without this file is never removed
OWNER=${SERVICE_OWNER:-}          # pid of a process that the servers must not outlive

say() { echo "$PROG: $*" >&2; }
die() { say "$*"; exit 1; }
now_ms() { date +%s%3N; }
need() { command -v "$1" >/dev/null 2>&1 || die "needs '$1' (${2:-install it})"; }

# One verb at a time for one work folder: later calls wait for the earlier one.
lock() {
  mkdir -p "$DIR" || die "cannot make $DIR"
  touch "$DIR/$MARK"
  exec 9>"$DIR/lock"
  flock -w "$TIMEOUT" 9 || die "another $PROG holds $DIR/lock for more than ${TIMEOUT}s"
}

# Start time of a process in clock ticks: with the pid, it identifies one process (pids are reused).
ticks() {
  local s pid=$1 tasks
  { read -r s <"/proc/$1/stat"; } 2>/dev/null || return 1
  s=${s##*) }
  set -- $s
  # A dead main thread (Z) whose other threads still close files and ports counts as alive.
  case $1 in X) return 1 ;; Z) tasks=(/proc/"$pid"/task/*); [ ${#tasks[@]} -gt 1 ] || return 1 ;; esac
  echo "${20}"
}

# pid_of NODE_DIR: prints the pid if the process that this script started there is still alive.
pid_of() {
  local p t
  { read -r p t <"$1/pid"; } 2>/dev/null || return 1
  [ -n "$t" ] && [ "$(ticks "$p")" = "$t" ] && echo "$p"
}

# launch NODE_DIR CMD...: in the background, own session, output to NODE_DIR/log.
launch() {
  local d=$1 p; shift
  mkdir -p "$d"
  [ -f "$d/log" ] && mv -f "$d/log" "$d/log.old"
  (cd "$d" && exec setsid "$@") </dev/null >"$d/log" 2>&1 9>&- &
  p=$!
  echo "$p $(ticks $p)" >"$d/pid"
  [ -z "$OWNER" ] || end_with_owner "$d" "$(ticks "$OWNER")" 9>&-
}

# end_with_owner NODE_DIR TICKS: when the owner has ended, kills the server and removes its folder.
end_with_owner() {
  export OWNER MARK
  export -f ticks pid_of
  setsid bash -c '
    while [ "$2" ] && [ "$(ticks "$OWNER")" = "$2" ]; do sleep 0.5; done
    base=$(dirname "$1")
    [ -f "$base/$MARK" ] || exit 0
    p=$(pid_of "$1") && kill -KILL "$p" && sleep 0.5
    rm -rf -- "$1"
    [ "$(echo "$base"/n[1-9])" != "$base/n[1-9]" ] || rm -rf -- "$base"
  ' owner "$1" "$2" </dev/null >/dev/null 2>&1 &
}

HALT=30   # seconds that a server has to end by itself
# halt NODE_DIR: TERM, then KILL if it does not end.
halt() {
  local p i end
  p=$(pid_of "$1") || { rm -f "$1/pid"; return 0; }
  kill -CONT "$p" 2>/dev/null
  kill -TERM "$p" 2>/dev/null
  end=$(($(now_ms) + HALT * 1000))
  while pid_of "$1" >/dev/null; do
    if [ "$(now_ms)" -gt "$end" ]; then say "pid $p ignored TERM, sending KILL"; kill -KILL "$p" 2>/dev/null; end=$((end + 10000)); fi
    sleep 0.1
  done
  rm -f "$1/pid"
}

# slay NODE_DIR: KILL, for a server whose data are removed.
slay() {
  local p; p=$(pid_of "$1") || return 0
  kill -KILL "$p" 2>/dev/null
  while pid_of "$1" >/dev/null; do sleep 0.05; done
}

# signal NODE_DIR SIG: for crash and freeze tests.
signal() {
  local p; p=$(pid_of "$1") || die "not running: $1"
  kill "-$2" "$p" || die "cannot send $2 to $p"
  [ "$2" = KILL ] || return 0
  while pid_of "$1" >/dev/null; do sleep 0.05; done
  rm -f "$1/pid"
}

# Creates a CA and a certificate for localhost, 127.0.0.1 and 127.0.0.2, once: DIR/tls/ca.pem, server.pem, server.key.
certificates() {
  local d=$DIR/tls
  [ ! -f "$d/server.pem" ] || return 0
  need openssl "Debian package openssl"
  mkdir -p "$d"
  {
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority -keyout "$d/ca.key" -out "$d/ca.pem" &&
    openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout "$d/server.key" -out "$d/server.csr" &&
    openssl x509 -req -in "$d/server.csr" -CA "$d/ca.pem" -CAkey "$d/ca.key" -CAcreateserial -days 2 -out "$d/server.pem" \
      -extfile <(echo 'subjectAltName=DNS:localhost,IP:127.0.0.1,IP:127.0.0.2')
  } >"$d/log" 2>&1 || { tail -5 "$d/log" >&2; die "could not make certificates"; }
}

port_open() { (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null; }
port_free() {
  local i
  for i in 1 2 3 4 5 6; do port_open "$1" "$2" || return 0; sleep 0.5; done
  die "$1:$2 is in use by a process that this script did not start (work folder $DIR)"
}

# listens NODE_DIR PORT: whether the process that this script started there, and no other, listens on the port.
listens() {
  local p inode
  p=$(pid_of "$1") || return 1
  for inode in $(awk -v port="$(printf ':%04X' "$2")" '$4 == "0A" && $2 ~ port "$" {print $10}' "/proc/$p/net/tcp" "/proc/$p/net/tcp6"); do
    [ -z "$(find "/proc/$p/fd" -lname "socket:\\[$inode\\]")" ] || return 0
  done
  return 1
}

# await NODE_DIR PORT CHECK...: waits until CHECK succeeds; fails with the end of the log if the process ends, another process
# answers, or time is up.
await() {
  local d=$1 port=$2 end; shift 2
  end=$(($(now_ms) + TIMEOUT * 1000))
  until "$@" 2>/dev/null; do
    pid_of "$d" >/dev/null || { tail_log "$d"; die "the server in $d ended before it was ready (log above)"; }
    [ "$(now_ms)" -lt "$end" ] || { tail_log "$d"; die "not ready after ${TIMEOUT}s: $*"; }
    sleep 0.2
  done
  listens "$d" "$port" || { tail_log "$d"; die "port $port is answered by a process that this script did not start (work folder $DIR)"; }
}
tail_log() {
  { echo "--- $1/log: first errors"; grep -nE 'ERROR|FATAL|Exception|Error|error' "$1/log" | head -8 | cut -c1-300
    echo "--- $1/log: end"; tail -15 "$1/log" | cut -c1-300; } >&2 2>/dev/null
}

rss_mb() { awk '/^VmRSS/ {print int($2/1024)}' "/proc/$1/status" 2>/dev/null; }

# java_for "17 11": sets JAVA, checks its major version.
java_for() {
  local v m
  if [ -n "${JAVA_HOME:-}" ] && [ -x "$JAVA_HOME/bin/java" ]; then JAVA=$JAVA_HOME/bin/java; else JAVA=$(command -v java) || die "needs Java ($1): Debian package openjdk-17-jre-headless"; fi
  v=$("$JAVA" -version 2>&1 | sed -n 's/.* version "\([^"]*\)".*/\1/p' | head -1)
  m=${v%%.*}
  case " $1 " in *" $m "*) ;; *) die "needs Java $1, found '$v' at $JAVA (set JAVA_HOME)";; esac
}

# jars GROUP:ARTIFACT:VERSION [GROUP:ARTIFACT:VERSION ...]: sets LIB to a folder with these and their dependencies.
# Maven runs only once; later calls need no network.
jars() {
  local g a v c w deps='' t try
  IFS=: read -r g a v <<<"$1"
  w=$CACHE/$a-$v
  LIB=$w/lib
  [ "$(cat "$LIB/.complete" 2>/dev/null)" = "$*" ] && return 0
  need mvn "Debian package maven"
  mkdir -p "$w" || die "cannot make $w"
  for c in "$@"; do
    IFS=: read -r g a v <<<"$c"
    deps="$deps<dependency><groupId>$g</groupId><artifactId>$a</artifactId><version>$v</version></dependency>"
  done
  (
    flock -w 600 8 || die "another fetch of $1 does not end"
    [ "$(cat "$LIB/.complete" 2>/dev/null)" = "$*" ] && exit 0
    say "fetching $* with Maven (once)"
    t=$(mktemp -d "$w/fetch.XXXXXX")
    cat >"$t/pom.xml" <<X
<project><modelVersion>4.0.0</modelVersion>
<groupId>local</groupId><artifactId>run</artifactId><version>1</version><packaging>pom</packaging>
<dependencies>$deps</dependencies></project>
X
    for try in 1 2 3; do
      if mvn -q -B -f "$t/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$t/lib" >"$t/mvn.log" 2>&1; then
        echo "$*" >"$t/lib/.complete"; rm -rf "$LIB"; mv "$t/lib" "$LIB"; rm -rf "$t"; exit 0
      fi
      say "Maven failed (try $try of 3)"; sleep 3
    done
    tail -20 "$t/mvn.log" >&2
    rm -rf "$t"; exit 1
  ) 8>"$w/lock" || die "could not fetch $1"
}

# clean: removes the work folder, if this script created it.
clean_dir() {
  [ -e "$DIR" ] || return 0
  [ -f "$DIR/$MARK" ] || die "$DIR was not made by this script: not removed"
  rm -rf -- "$DIR"
}

host() { echo 127.0.0.1; } # NODE; a service with an address for each server defines its own
each() { echo "${NODE:-$(seq "$NODES")}"; } # the servers that a verb is for

# start_each READY: starts the servers that do not run, side by side, with the script's `spawn`, and waits until READY NODE
# succeeds for each. The script's `what` prints the program and its version.
start_each() {
  local i new= t; t=$(now_ms)
  for i in $(each); do pid_of "$DIR/n$i" >/dev/null || new=1; spawn "$i"; done
  for i in $(each); do await "$DIR/n$i" "$(port "$i")" "$1" "$i"; done
  [ -z "$new" ] || say "answers after $(($(now_ms) - t)) ms, $(rss_mb "$(pid_of "$DIR/n${NODE:-1}")") MiB a server, $(what)"
}

status() { # exit code 3 if a server does not answer
  local i p s rc=0
  for i in $(each); do
    s=stopped
    if p=$(pid_of "$DIR/n$i"); then
      s="pid $p $(rss_mb "$p") MiB"
      if ready "$i"; then s="$s ready"; else s="$s not ready"; rc=3; fi
    else rc=3; fi
    echo "server $i $(host "$i"):$(port "$i") $s"
  done
  return $rc
}

# verbs VERB [NODE]: what is the same for all services.
verbs() {
  local verb=${1:-} d s
  NODE=${2:-}
  case $NODE in ''|[1-9]) ;; *) die "node is a number from 1 to 9, not '$NODE'" ;; esac
  case $verb in
    start) lock; start_servers; url ;;
    wait) for d in $(each); do await "$DIR/n$d" "$(port "$d")" ready "$d"; done; url ;;
    status) status ;;
    url) url ;;
    stop)
      [ -d "$DIR" ] || return 0
      lock
      if [ -n "$NODE" ]; then halt "$DIR/n$NODE"; else for d in "$DIR"/n[1-9]; do halt "$d" & done; wait; fi ;;
    kill|pause|resume)
      [ -n "$NODE" ] || die "$verb needs a node number"
      case $verb in kill) s=KILL ;; pause) s=STOP ;; resume) s=CONT ;; esac
      signal "$DIR/n$NODE" $s ;;
    clean) [ -d "$DIR" ] || return 0; lock; for d in "$DIR"/n[1-9]; do slay "$d"; done; clean_dir ;;
    *) die "say start|stop|status|wait|url|clean, or start|stop|kill|pause|resume NODE" ;;
  esac
}
