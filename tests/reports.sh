#!/usr/bin/env bash
# reports.sh NETFLOW DIRECTORY: sends captures of exports that users have reported to a running collector, one collector
# each, and compares the totals that it answers with those of CASE.expected.json. Prints a line for each CASE.pcap, with
# losses by sequence numbers and what doctor finds. Captures from several source ports are sent from as many.
set -euo pipefail
netflow=$(realpath "$1") reports=$(realpath "$2") wrong=0 port=23100
for expected in "$reports"/*.expected.json; do
  case=$(jq -r .case "$expected") port=$((port + 2)) folder=$(mktemp -d)
  cd "$folder"
  cat >netflow.toml <<TOML
flushInterval = "1s"
[http]
listen = "127.0.0.1:$((port + 1))"
[netflow]
listen = ["127.0.0.1:$port"]
[sflow]
listen = []
TOML
  : >log
  "$netflow" serve --config netflow.toml 2>log &
  collector=$!
  trap 'kill $collector 2>/dev/null || true' EXIT
  until grep -q 'serving http' log; do kill -0 $collector && sleep 0.1; done
  read -ra prefixes < <(jq -r '.accounted // {} | keys | if . == [] then ["198.51.100.0/24"] else . end | join(" ")' "$expected")
  "$netflow" senders add --config netflow.toml 127.0.0.1 "${prefixes[@]}" >/dev/null
  until grep -q 'registered senders changed' log; do sleep 0.1; done

  sending=()
  for from in $(tshark -r "$reports/$case.pcap" -T fields -e udp.srcport 2>/dev/null | sort -u); do
    tshark -r "$reports/$case.pcap" -Y "udp.srcport == $from" -F pcap -w "$from.pcap" 2>/dev/null
    "$netflow" replay --to 127.0.0.1:$port --rate 40 "$from.pcap" >/dev/null &
    sending+=($!)
  done
  wait "${sending[@]}"
  sent=$(jq .datagrams.total "$expected")
  metric() { "$netflow" curl --config netflow.toml GET /metrics | awk -v name="$1" '$1 ~ "^"name { sum += $2 } END { print sum + 0 }'; }
  until [ "$(metric netflow_datagrams_total)" -ge "$sent" ]; do sleep 0.1; done
  flushes=$(metric netflow_flushes_total)
  until [ "$(metric netflow_flushes_total)" -ge $((flushes + 2)) ]; do sleep 0.1; done

  totals=right
  for prefix in "${prefixes[@]}"; do
    answer=$("$netflow" stats --config netflow.toml --json 127.0.0.1 "$prefix" "$(date -u +%Y)")
    for direction in in out in:local out:local; do
      found=$(jq -c --arg direction $direction '[.. | objects | select(.name? == "all" and .direction == $direction)]
        | (.[0] // {bytes: 0, pkts: 0}) | {bytes, pkts}' <<<"$answer")
      wanted=$(jq -c --arg prefix "$prefix" --arg direction $direction \
        '.accounted[$prefix][$direction] // {bytes: 0, pkts: 0} | {bytes, pkts}' "$expected")
      [ "$found" = "$wanted" ] || { totals=WRONG wrong=1; echo "$case: $prefix $direction is $found, not $wanted"; }
    done
  done
  found=$("$netflow" doctor --config netflow.toml --json 127.0.0.1 2>/dev/null || true)
  found=$(jq -r '[.findings[].finding] | join(" ")' <<<"$found")
  losses=$("$netflow" curl --config netflow.toml GET /exporters/127.0.0.1 | jq -r '[.arrivals[] | .lost + .restarts] | add')
  printf '%-36s totals %s, lost or restarted %s, doctor: %s\n' "$case" "$totals" "$losses" "${found:-no problems}"
  kill $collector && wait $collector
  trap - EXIT
  cd / && rm -r "$folder"
done
exit $wrong
