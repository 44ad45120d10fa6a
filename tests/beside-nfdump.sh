#!/usr/bin/env bash
# Times of the questions in docs/cookbook.md, in milliseconds, least of five: this program, and nfdump with the same flows.
# usage: tests/beside-nfdump.sh PROGRAM [FLOWS]
set -euo pipefail
netflow=$(realpath "$1") flows=${2:-1000000}
directory=$(mktemp -d)
cd "$directory"
export NETFLOW__NETFLOW__LISTEN=127.0.0.1:12055 NETFLOW__SFLOW__LISTEN='' NETFLOW__HTTP__LISTEN=127.0.0.1:18080 NETFLOW_URL=http://127.0.0.1:18080
mkdir nfcapd
nfcapd -w nfcapd -b 127.0.0.1 -p 19995 -t 3600 -B 33554432 > nfcapd.log 2>&1 &
nfcapd=$!
collector=
trap 'kill "$nfcapd" $collector 2> /dev/null || true; rm -rf "$directory"' EXIT

start() {
  "$netflow" serve 2>> netflow.log &
  collector=$!
  until curl -sf "$NETFLOW_URL/readyz" > /dev/null; do
    kill -0 "$collector"
    sleep 0.1
  done
}

start
for router in 127.0.0.1 127.0.0.2 127.0.0.3; do "$netflow" senders add "$router" 192.0.2.0/24 > /dev/null; done
sleep 1
load=(generate --exporters 3 --prefix 192.0.2.0/24 --zipf --repeat 0 --addresses 50000 --flows "$flows" --rate 40000)
for to in 127.0.0.1:12055 127.0.0.1:19995; do "$netflow" "${load[@]}" --to "$to" | head -n 1; done
# nfcapd reads what is queued; the collector writes the files of its archive when it stops.
sleep 2
kill "$nfcapd" "$collector"
wait "$nfcapd" "$collector"
start
file=$(ls nfcapd/nfcapd.2*)

# The least time of five runs of a line.
least() {
  for _ in 1 2 3 4 5; do
    local begun=$(date +%s%N)
    bash -c "$1" > /dev/null
    echo $((($(date +%s%N) - begun) / 1000000))
  done | sort -n | head -n 1
}

compare() { # QUESTION ARGUMENTS-OF-NETFLOW ARGUMENTS-OF-NFDUMP
  printf '%-32s %8s %8s\n' "$1" "$(least "'$netflow' $2")" "$(least "nfdump -r '$file' $3")"
}

printf '%-32s %8s %8s\n' question netflow nfdump
compare "sources, from counters" "top all 192.0.2.0/24 -n 5" "-s srcip/bytes -n 5 'dst net 192.0.2.0/24'"
compare "sources" "flows --last 1h --by srcip -n 5 'dst net 192.0.2.0/24'" "-s srcip/bytes -n 5 'dst net 192.0.2.0/24'"
compare "pairs through an interface" "flows --last 1h --by srcip,dstip -n 5 'inif 5 and dst net 192.0.2.0/24'" \
  "-A srcip,dstip -O bytes -n 5 'in if 5 and dst net 192.0.2.0/24'"
compare "AS, from counters" "series all 192.0.2.0/24 --field remoteas --direction in,out --last 1h -n 5" "-s as/bytes -n 6"
compare "services" "flows --last 1h --by dstip,dstport,proto -n 3" "-A dstip,dstport,proto -O bytes -n 3"
compare "a port" "flows --last 1h --by srcip --distinct dstip -n 5 'dst port 22'" "-s srcip/bytes -n 5 'dst port 22'"
compare "peers of a host" "flows --last 1h --by srcip,dstip -n 5 'host 192.0.2.77'" "-A srcip,dstip -O bytes -n 5 'host 192.0.2.77'"
compare "all flows as CSV" "archive export -o csv" "-o csv"
printf 'bytes on disk: archive %s, nfcapd %s\n' "$(cat data/flows/*/*/*.parquet | wc -c)" "$(wc -c < "$file")"
