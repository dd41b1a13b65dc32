#!/usr/bin/env bash
# record.sh - record the logins of this folder anew, as root.
#
#   record.sh SERVERS-DIR [VERSION...]
#
# SERVERS-DIR holds the servers as tools/mysqlds unpacks them, each below its
# version's name; the clients are theirs, sysbench's, Go's (e2e/loadclient) and
# Node's (`tools/setup test` installs the drivers). Each pcap is one connection,
# and the file "commands" says which command made it: pcap, TAB, command, with
# the programs and scripts named as they are here. Every account's password is
# "secret". It needs tcpdump and unshare. The files vary from run to run: salts,
# ports, process ids.
# PORT (35500) is the first of four ports; TMP keeps the data directories.
set -euo pipefail
export LC_ALL=C
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../../.." && pwd)
servers=$(cd "${1:?SERVERS-DIR}" && pwd)
shift
[ $# != 0 ] || set -- mysql-5.6 mariadb-10.11 mariadb-11.8 mysql-9.7
tmp=${TMP:-$(mktemp -d)}
mkdir -p "$tmp/bin"
first=${PORT:-35500}
# This host's name as a value of the connect attributes: behind its length.
name=$(printf "\\x$(printf %02x "$(hostname | wc -L)")")$(hostname)

started=()
finish() {
	for data in "${started[@]}"; do "$root/tools/mysqlds" stop "$data"; done
	[ -n "${TMP:-}" ] || rm -rf "$tmp"
}
trap finish EXIT

# The programs by the names of the commands below.
program() { # name file
	printf '#!/bin/sh\nexec "%s" "$@"\n' "$2" > "$tmp/bin/$1"
	chmod +x "$tmp/bin/$1"
}
program mysql "$servers/mysql-9.7/bin/mysql"
program mariadb-10.11 "$servers/mariadb-10.11/bin/mariadb"
program mariadb-11.8 "$servers/mariadb-11.8/bin/mariadb"
(cd "$root" && tools/go build -o "$tmp/bin/loadclient" ./e2e/loadclient)
export PATH=$tmp/bin:$PATH NODE_PATH=$root/.lab/node/node_modules

# start VERSION FLAG... starts a server on $port; sql runs statements on it.
start() {
	local data=$tmp/$1
	server=$1
	shift
	"$root/tools/mysqlds" init "$servers/$server" "$data"
	"$root/tools/mysqlds" start "$servers/$server" "$data" --port "$port" --bind 127.0.0.1 --tiny -- "$@"
	started+=("$data")
	sql "CREATE DATABASE app"
}
sql() {
	local data=$tmp/$server
	printf '%s;\n' "$@" | "$root/tools/mysqlds" client "$servers/$server" "$data"
}
# account NAME [HOW] creates one that may come from 127.0.0.1 only.
account() {
	sql "CREATE USER $1@'${3:-127.0.0.1}' ${2:-}" "GRANT ALL ON *.* TO $1@'${3:-127.0.0.1}'"
}

# warm COMMAND is not recorded. In a host of another name: drivers say theirs.
warm() {
	(cd "$here" && unshare --uts sh -c 'hostname client && exec timeout 20 bash -c "$0"' "$1") > "$tmp/out" 2>&1
}
# record CLIENT-ACCOUNT COMMAND [fails]
record() {
	local file=$here/$server-$1.pcap pid i failed=
	tcpdump -i lo -s 0 --immediate-mode -U -Z root -w "$file" "tcp port $port" 2> "$tmp/tcpdump" &
	pid=$!
	for i in $(seq 100); do grep -q listening "$tmp/tcpdump" && break || sleep 0.05; done
	warm "$2" || failed=fails
	sleep 0.3 # the last FINs
	kill -INT "$pid" && wait "$pid" || true
	if [ "$failed" != "${3:-}" ]; then
		echo "$server-$1: $2: ${failed:-succeeds}: $(cat "$tmp/out")" >&2
		return 1
	fi
	if [ "$(stat -c %s "$file")" -lt 400 ]; then
		echo "$file holds no connection: $(cat "$tmp/out")" >&2
		return 1
	fi
	if grep -qaF -e "$name" -e "$root" -e "$tmp" "$file"; then
		echo "$file names this machine" >&2
		return 1
	fi
	printf '%s\t%s\n' "$server-$1.pcap" "$2" >> "$tmp/commands"
}

# The clients' commands: account, password.
mysql() { echo "mysql --no-defaults -h127.0.0.1 -P$port -u$1 --password=$2 --ssl-mode=DISABLED${3:+ $3} -e 'SELECT 1; SELECT 2' app"; }
mariadb() { echo "mariadb-$3 --no-defaults -h127.0.0.1 -P$port -u$1 --password=$2 --skip-ssl${4:+ $4} -e 'SELECT 1; SELECT 2' app"; }
sysbench() { echo "sysbench select.lua --mysql-host=127.0.0.1 --mysql-port=$port --mysql-user=$1 --mysql-password=$2 --mysql-db=app --threads=1 --events=1 --time=0 --verbosity=0 run"; }
go() { echo "loadclient -addr 127.0.0.1:$port -user $1 -password $2 ${3:-}-n 2 select"; }
node() { echo "node $1.js $port $2 $3${4:+ $4}${5:+ $5}"; }
# From an address of which no account may come, the server refuses in the
# greeting's place.
stranger() { echo "mysql --no-defaults -h127.0.0.1 -P$port --bind-address=127.0.0.2 -unative --password=secret --ssl-mode=DISABLED -e 'SELECT 1' app"; }

mysql_5_6() {
	start mysql-5.6
	account native "IDENTIFIED BY 'secret'"
	account nobody
	record mysql-native "$(mysql native secret)"
	record mysql-nobody "$(mysql nobody '')"
	record mysql-wrong "$(mysql native wrong)" fails
	record mysql-zlib "$(mysql native secret --compression-algorithms=zlib)"
	record mysql-stranger "$(stranger)" fails
	record mariadb10-native "$(mariadb native secret 10.11)"
	record mariadb11-native "$(mariadb native secret 11.8)"
	record sysbench-native "$(sysbench native secret)"
	record go-native "$(go native secret)"
	record mysql2-native "$(node mysql2 native secret)"
	record nodemariadb-native "$(node mariadb native secret)"
}

mariadb_10_11() {
	start mariadb-10.11 --plugin-load-add=auth_ed25519 --proxy-protocol-networks=127.0.0.1
	account native "IDENTIFIED BY 'secret'"
	account ed25519 "IDENTIFIED VIA ed25519 USING PASSWORD('secret')"
	account other "IDENTIFIED BY 'secret'"
	account nobody
	account proxied "IDENTIFIED BY 'secret'" 192.0.2.7
	record mysql-native "$(mysql native secret)"
	record mariadb10-ed25519 "$(mariadb ed25519 secret 10.11)"
	record mariadb11-nobody "$(mariadb nobody '' 11.8)"
	record mariadb10-zlib "$(mariadb native secret 10.11 --compress)"
	record mysql-stranger "$(stranger)" fails
	record sysbench-ed25519 "$(sysbench ed25519 secret)"
	record go-native "$(go native secret)"
	record go-proxy1 "$(go proxied secret "-proxy 'PROXY TCP4 192.0.2.7 127.0.0.1 40000 3306\r\n' ")"
	record go-proxy2 "$(go proxied secret "-proxy '\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x07\x7f\x00\x00\x01\x9c\x40\x0c\xea' ")"
	record mysql2-changeuser "$(node mysql2 native secret other secret)"
	record nodemariadb-changeuser "$(node mariadb native secret ed25519 secret)"
}

mariadb_11_8() {
	start mariadb-11.8 --plugin-load-add=auth_ed25519 --plugin-load-add=auth_parsec --plugin-load-add=auth_mysql_sha2
	account native "IDENTIFIED BY 'secret'"
	account ed25519 "IDENTIFIED VIA ed25519 USING PASSWORD('secret')"
	account parsec "IDENTIFIED VIA parsec USING PASSWORD('secret')"
	account sha2 "IDENTIFIED VIA caching_sha2_password USING PASSWORD('secret')"
	record mysql-native "$(mysql native secret)"
	record mysql-sha2 "$(mysql sha2 secret --get-server-public-key)"
	record mariadb11-native "$(mariadb native secret 11.8)"
	record mariadb11-parsec "$(mariadb parsec secret 11.8)"
	record mariadb11-sha2 "$(mariadb sha2 secret 11.8)"
	record mariadb11-wrong "$(mariadb parsec wrong 11.8)" fails
	record mariadb11-tls "mariadb-11.8 --no-defaults -h127.0.0.1 -P$port -unative --password=secret -e 'SELECT 1' app"
	record mariadb10-ed25519 "$(mariadb ed25519 secret 10.11)"
	record sysbench-native "$(sysbench native secret)"
	record go-sha2 "$(go sha2 secret)"
	record mysql2-native "$(node mysql2 native secret)"
	record nodemariadb-ed25519 "$(node mariadb ed25519 secret)"
	record nodemariadb-changeuser "$(node mariadb native secret ed25519 secret)"
}

mysql_9_7() {
	start mysql-9.7
	account sha2 "IDENTIFIED BY 'secret'"
	account sha256 "IDENTIFIED WITH sha256_password BY 'secret'"
	account nobody
	local cold="FLUSH PRIVILEGES" # which empties caching_sha2_password's cache
	record mysql-cold "$(mysql sha2 secret --get-server-public-key)"
	record mysql-warm "$(mysql sha2 secret)"
	record mysql-sha256 "$(mysql sha256 secret --get-server-public-key)"
	record mysql-nobody "$(mysql nobody '')"
	record mysql-wrong "$(mysql sha2 wrong --get-server-public-key)" fails
	record mysql-tls "mysql --no-defaults -h127.0.0.1 -P$port -usha2 --password=secret -e 'SELECT 1' app"
	record mysql-zlib "$(mysql sha2 secret --compression-algorithms=zlib)"
	record mysql-zstd "$(mysql sha2 secret --compression-algorithms=zstd)"
	record mysql-attributes "printf \"query_attributes shard 7\nSELECT 1;\n\" | $(mysql sha2 secret --commands | sed "s/-e '[^']*' //")"
	record mysql-stranger "$(stranger)" fails
	sql "$cold"
	record mariadb10-cold "$(mariadb sha2 secret 10.11)"
	record mariadb11-warm "$(mariadb sha2 secret 11.8)"
	record sysbench-warm "$(sysbench sha2 secret)"
	record sysbench-sha256 "$(sysbench sha256 secret)"
	sql "$cold"
	record go-cold "$(go sha2 secret)"
	record go-zlib "$(go sha2 secret "-compress ")"
	record mysql2-warm "$(node mysql2 sha2 secret)"
	record mysql2-changeuser "$(node mysql2 sha2 secret sha256 secret)"
	sql "$cold"
	record nodemariadb-cold "$(node mariadb sha2 secret)"
	record nodemariadb-warm "$(node mariadb sha2 secret)"
}

touch "$here/commands"
for version; do
	: > "$tmp/commands"
	rm -f "$here/$version"-*.pcap
	case $version in
	mysql-5.6) port=$first && mysql_5_6 ;;
	mariadb-10.11) port=$((first + 1)) && mariadb_10_11 ;;
	mariadb-11.8) port=$((first + 2)) && mariadb_11_8 ;;
	mysql-9.7) port=$((first + 3)) && mysql_9_7 ;;
	*) echo "record.sh: $version is not recorded" >&2 && exit 2 ;;
	esac
	{ grep -v "^$version-" "$here/commands" || true; cat "$tmp/commands"; } | sort > "$tmp/all"
	cp "$tmp/all" "$here/commands"
done
