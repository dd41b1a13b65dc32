#!/usr/bin/env bash
# Records testdata/*.bin (conversations with real servers, see
# conversation_test.go) and *.txt (what Tracker saw in them).
#
#   testdata/record.sh SERVERS [VERSION...]
#
# SERVERS is a directory; servers that are not in it yet are fetched by
# tools/mysqlds. RUN=TestRecord/mysql-9.7/go records just that. Run it in internal/mysql, then read the diff of the *.txt.
set -euo pipefail
servers=$1; shift
[ $# -gt 0 ] || set -- mariadb-10.11 mariadb-11.8 mysql-5.6 mysql-9.7
mysqlds=$(cd ../.. && pwd)/tools/mysqlds
work=$(mktemp -d)
started=()
finish() {
  for d in "${started[@]}"; do "$mysqlds" stop "$d" >/dev/null || true; done
  rm -rf "$work"
}
trap finish EXIT

port=34101 list=
for v; do
  dir=$servers/$v data=$work/$v
  [ -d "$dir" ] || "$mysqlds" fetch "$v" "$dir"
  "$mysqlds" init "$dir" "$data" >/dev/null
  flags=(--local-infile=1 --max-allowed-packet=64M)
  [[ $v == mariadb-* ]] || flags+=(--tmp-table-size=64M)
  "$mysqlds" start "$dir" "$data" --port $port --bind 127.0.0.1 --tiny -- "${flags[@]}" >/dev/null
  started+=("$data")
  "$mysqlds" client "$dir" "$data" <<'SQL'
create user recorder@'%' identified by '';
create user recorder_pw@'%' identified by 'secret';
create database if not exists test;
create database recorder;
grant all on *.* to recorder@'%';
grant all on *.* to recorder_pw@'%';
SQL
  list+=" $v=127.0.0.1:$port"
  port=$((port + 1))
done
RECORD=$list go test -tags record -run "${RUN:-TestRecord}" -count 1 -v .
