# Takes a lab down: ends every process in its namespaces, removes the namespaces
# and its directory. Safe to run twice, or on a lab that was only half raised.
#
#   sh teardown.sh PREFIX DIRECTORY [wait]
#
# With `wait` it first waits for the end of its standard input: the raising
# process holds the other end, so the lab goes when that process goes.
prefix=$1 dir=$2
[ -n "$prefix" ] && [ -n "$dir" ] || exit 2
trap '' INT TERM HUP
[ "$3" != wait ] || read -r _

for file in "/run/netns/$prefix"-*; do
	ns=${file##*/}
	[ -e "$file" ] || continue
	# A process may start another while we look; three rounds end them all.
	for round in 1 2 3; do
		pids=$(ip netns pids "$ns" 2>/dev/null)
		[ -n "$pids" ] || break
		kill -KILL $pids 2>/dev/null
		sleep 0.05
	done
	ip netns del "$ns" 2>/dev/null
done
# Only a directory a lab made: it holds our mark.
[ ! -e "$dir/.mrtecopy-lab" ] || rm -rf "$dir"
exit 0
