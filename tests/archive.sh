#!/usr/bin/env bash
# Sends generated flows to a collector that archives them, with a kill in between, and compares its answers with what DuckDB
# finds in the files: rows, octets and packets of each exporter. The first argument is a Python with duckdb.
set -euo pipefail
python=$(realpath -s "$1")
cd "$(dirname "$0")/.."
repository=$PWD
netflow=$PWD/target/debug/netflow
directory=$(mktemp -d)
collector=
trap '[ -z "$collector" ] || { kill "$collector"; wait "$collector"; } 2>/dev/null; rm -rf "$directory"' EXIT
cd "$directory"
export NETFLOW__NETFLOW__LISTEN=127.0.0.1:0 NETFLOW__SFLOW__LISTEN='' NETFLOW__HTTP__LISTEN=127.0.0.1:0
export NETFLOW__ARCHIVE__FREE_PERCENT=0 NETFLOW__FLUSH_INTERVAL=1s

start() {
  : > log
  "$netflow" serve 2>> log &
  collector=$!
  NETFLOW_URL= address=
  while [ -z "$NETFLOW_URL" ]; do
    kill -0 "$collector" || { cat log; exit 1; }
    sleep 0.1
    NETFLOW_URL=$(sed -n 's/.*serving \(http[^ ]*\).*/\1/p' log)
  done
  address=$(sed -n 's/.*listening on \([^ ]*\).*/\1/p' log)
  export NETFLOW_URL
}

stop() { # SIGNAL
  kill "-$1" "$collector"
  wait "$collector" || true
  collector=
}

# The flows that this run of the collector has counted or found in the journal.
counted() {
  "$netflow" curl GET /metrics | sed -n 's/^netflow_flows_total{fate="matched"} //p'
}

# Sends flows, and waits until the collector has counted them.
send() { # PROTOCOL
  local before
  before=$(counted)
  "$netflow" generate --to "$address" --protocol "$1" --exporters 3 --flows 60000 --rate 20000 --json > "sent.$1.json"
  sent=$("$python" -c 'import json, sys; print(json.load(open(sys.argv[1]))["flows"])' "sent.$1.json")
  for _ in $(seq 600); do
    [ "$(counted)" != $((before + sent)) ] || return 0
    sleep 0.2
  done
  echo "sent $sent, counted $(counted) after $before" >&2
  exit 1
}

start
for exporter in 127.0.0.1 127.0.0.2 127.0.0.3; do
  "$netflow" senders add "$exporter" 0.0.0.0/0 > /dev/null
done
sleep 1
send v9
stop KILL
start
send v5
send ipfix
stop TERM
# What the reader had not read when it was stopped.
start
until "$netflow" curl GET /status | grep -q '"unreadSegments":0'; do sleep 0.2; done
stop TERM
# The query of the documentation runs as it is.
sed -n '/^## DuckDB$/,/^## ClickHouse$/p' "$repository/docs/archive.md" | sed -n '/^```sql$/,/^```$/p' | grep -v '^```' > query.sql
"$netflow" archive check
"$python" - data/flows sent.*.json << 'end'
import ipaddress, json, sys
import duckdb

folder, *reports = sys.argv[1:]
sent = {}
for report in reports:
    for exporter in json.load(open(report))["exporters"]:
        sums = sent.setdefault(exporter["ip"], [0, 0, 0])
        for place, key in enumerate(["flows", "bytes", "pkts"]):
            sums[place] += exporter[key]
query = f"""SELECT exporter_v4, count(*), sum(flows), sum(bytes), sum(packets)
            FROM read_parquet('{folder}/*/*/*.parquet', hive_partitioning = true) GROUP BY 1"""
found = {}
for address, rows, flows, octets, packets in duckdb.sql(query).fetchall():
    assert rows == flows, (rows, flows)
    found[str(ipaddress.ip_address(address))] = [int(flows), int(octets), int(packets)]
for exporter in sorted(sent.keys() | found.keys()):
    print(exporter, "sent", sent.get(exporter), "DuckDB finds", found.get(exporter))
duckdb.sql(open("query.sql").read()).fetchall()
sys.exit(sent != found)
end
