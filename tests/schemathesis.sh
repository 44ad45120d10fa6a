#!/usr/bin/env bash
# Sends valid and invalid requests, generated from docs/openapi.json, to a running collector: no response may be a server
# error, or have an undocumented status, type or schema. The first argument is the path of schemathesis.
set -euo pipefail
schemathesis=$(realpath "$1")
cd "$(dirname "$0")/.."
document=$PWD/docs/openapi.json
netflow=$PWD/target/debug/netflow
directory=$(mktemp -d)
collector=
trap '[ -z "$collector" ] || { kill "$collector"; wait "$collector"; } 2>/dev/null; rm -rf "$directory"' EXIT
cd "$directory"
: > log
NETFLOW__NETFLOW__LISTEN=127.0.0.1:0 NETFLOW__SFLOW__LISTEN='' NETFLOW__HTTP__LISTEN=127.0.0.1:0 \
  "$netflow" serve 2>> log &
collector=$!
url=
while [ -z "$url" ]; do
  kill -0 "$collector" || { cat log; exit 1; }
  sleep 0.1
  url=$(sed -n 's/.*serving \(http[^ ]*\).*/\1/p' log)
done
NETFLOW_URL=$url "$netflow" senders add 192.0.2.1 172.16.1.0/24 > /dev/null
. data/keys
signature=$(printf %s "$authKey" | openssl dgst -sha256 -hmac "$signKey" -r | cut -c 1-64)
checks=not_a_server_error,response_schema_conformance,status_code_conformance,content_type_conformance,unsupported_method
# /tap and /events are endless streams.
"$schemathesis" run "$document" --url "$url" -H "X-Io-Auth: $authKey" -H "X-Io-Sign: $signature" --checks "$checks" \
  --max-examples "${SCHEMATHESIS_EXAMPLES:-20}" --phases coverage,fuzzing --seed 1 --exclude-path /tap --exclude-path /events
