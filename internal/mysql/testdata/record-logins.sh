#!/usr/bin/env bash
# Records testdata/*-login-*.bin (logins of real clients at real servers over
# plaintext, each password "secret" or none) and *.txt (what Tracker saw in them).
#
#   testdata/record-logins.sh SERVERS
#
# SERVERS is a directory; servers that are not in it yet are fetched by
# tools/mysqlds. Run it in internal/mysql, then read the diff of the *.txt.
# PORT (34111) and the three behind it are the servers'.
set -euo pipefail
servers=$1
mysqlds=$(cd ../.. && pwd)/tools/mysqlds
work=$(mktemp -d)
started=()
finish() {
  for d in "${started[@]}"; do "$mysqlds" stop "$d" >/dev/null || true; done
  rm -rf "$work"
}
trap finish EXIT

accounts() { # version
  case $1 in
    mysql-5.6) cat <<'SQL'
create user native@'%' identified by 'secret';
create user sha256@'%' identified with sha256_password;
create user sha256_empty@'%' identified with sha256_password;
set old_passwords = 2;
set password for sha256@'%' = password('secret');
SQL
    ;;
    mysql-9.7) cat <<'SQL'
create user sha2@'%' identified with caching_sha2_password by 'secret';
create user sha2_empty@'%' identified with caching_sha2_password by '';
create user sha2_tls@'%' identified with caching_sha2_password by 'secret' require ssl;
create user sha256@'%' identified with sha256_password by 'secret';
create user sha256_empty@'%' identified with sha256_password by '';
SQL
    ;;
    mariadb-*) cat <<'SQL'
create user native@'%' identified by 'secret';
create user ed25519@'%' identified via ed25519 using password('secret');
create user ed25519_empty@'%' identified via ed25519 using password('');
SQL
    ;;&
    mariadb-11.8) cat <<'SQL'
create user parsec@'%' identified via parsec using password('secret');
create user parsec_empty@'%' identified via parsec using password('');
create user sha2@'%' identified via caching_sha2_password using password('secret');
create user clear@'%' identified via pam using 'no_such_service';
SQL
    ;;
  esac
}

port=${PORT:-34111} list=
for v in mariadb-10.11 mariadb-11.8 mysql-5.6 mysql-9.7; do
  dir=$servers/$v data=$work/$v flags=()
  [ -d "$dir" ] || "$mysqlds" fetch "$v" "$dir"
  "$mysqlds" init "$dir" "$data" >/dev/null
  case $v in
    mariadb-10.11) flags=(--plugin-load-add=auth_ed25519) ;;
    mariadb-11.8) flags=("--plugin-load-add=auth_ed25519;auth_parsec;auth_mysql_sha2;auth_pam_v1" --pam-use-cleartext-plugin=ON) ;;
  esac
  "$mysqlds" start "$dir" "$data" --port "$port" --bind 127.0.0.1 --tiny -- "${flags[@]}" >/dev/null
  started+=("$data")
  accounts "$v" | "$mysqlds" client "$dir" "$data"
  list+=" $v=127.0.0.1:$port"
  port=$((port + 1))
done
RECORD=$list MYSQL_CLIENT=$servers/mysql-9.7/bin/mysql MARIADB_CLIENT=$servers/mariadb-11.8/bin/mariadb \
  go test -tags record -run TestRecordLogins -count 1 -v .
