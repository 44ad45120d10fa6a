#!/usr/bin/env bash
# ClickHouse's engine (chdb-core from PyPI) with an HTTP front of ours: one server, or several independent ones on 127.0.0.1.
# clickhouse.sh start|stop|status|wait|url|clean          all servers
# clickhouse.sh start|stop|kill|pause|resume NODE          one of them (1, 2, ...), for failure tests
# clickhouse.sh engine                                    only installs the engine
# Environment:
#   CLICKHOUSE_NODES 1   CLICKHOUSE_PORT 18123 (server N listens on port + N - 1)
#   CLICKHOUSE_DIR  <services dir>/clickhouse-<port>    CLICKHOUSE_VERSION 26.9.0 (of chdb-core)
#   CLICKHOUSE_USER default    CLICKHOUSE_PASSWORD (none)
#   CLICKHOUSE_TLS  no         yes: encrypted connections only; CLICKHOUSE_DIR/tls/ca.pem is the authority
. "$(dirname "$0")/common.sh"
HERE=$(cd "$(dirname "$0")" && pwd)
VERSION=${CLICKHOUSE_VERSION:-26.9.0}
NODES=${CLICKHOUSE_NODES:-1}
PORT=${CLICKHOUSE_PORT:-18123}
DIR=${CLICKHOUSE_DIR:-$BASE/clickhouse-$PORT}
TLS=${CLICKHOUSE_TLS:-no}
TOOLS=$HERE/../../target/tools
[ "$NODES" -le 9 ] || die "9 servers at most"
case $TLS in yes|no) ;; *) die "CLICKHOUSE_TLS is yes or no, not '$TLS'" ;; esac

port() { echo $((PORT + $1 - 1)); }
what() { echo "chdb-core $VERSION"; }
url() { local i u=; for i in $(seq "$NODES"); do u=$u${u:+,}127.0.0.1:$(port "$i"); done; echo "$u"; }
ready() { # NODE
  local secure=()
  [ "$TLS" = no ] || secure=(--cacert "$DIR/tls/ca.pem")
  [ "$(curl -sS -m 5 "${secure[@]}" "http${secure:+s}://127.0.0.1:$(port "$1")/ping")" = Ok. ]
}

# The engine as a wheel of 180 MB, once. Without what it names for data frames.
engine() {
  [ ! -f "$TOOLS/chdb-$VERSION" ] || return 0
  need python3 "Debian package python3-venv"
  mkdir -p "$TOOLS"
  (
    flock -w 600 8 || die "another installation of chdb-core does not end"
    [ ! -f "$TOOLS/chdb-$VERSION" ] || exit 0
    [ -x "$TOOLS/bin/pip" ] || python3 -m venv "$TOOLS" || die "needs Debian package python3-venv"
    say "installing chdb-core $VERSION (once)"
    "$TOOLS/bin/pip" install -q --no-deps "chdb-core==$VERSION" >&2 || die "could not install chdb-core"
    touch "$TOOLS/chdb-$VERSION"
  ) 8>"$TOOLS/chdb.lock" || exit 1
}

spawn() { # NODE
  local secure=()
  pid_of "$DIR/n$1" >/dev/null && return 0
  need curl "Debian package curl"
  engine
  port_free 127.0.0.1 "$(port "$1")"
  [ "$TLS" = no ] || { certificates; secure=("$DIR/tls/server.pem" "$DIR/tls/server.key"); }
  launch "$DIR/n$1" "$TOOLS/bin/python" "$HERE/clickhouse_front.py" "$(port "$1")" "$DIR/n$1" "${secure[@]}"
}

start_servers() { start_each ready; }
if [ "${1:-}" = engine ]; then engine; else verbs "$@"; fi
