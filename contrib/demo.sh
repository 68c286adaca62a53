#!/bin/sh
# demo.sh BUILD [--keep] - two sandbox clusters, one filled, a server of it
# killed and started again; every request is printed as a curl line that can be
# typed again.  Called by contrib/quickstart demo, which builds first.
set -u
build=$1
shift
keep=no
for a in "$@"; do
	case $a in
	--keep) keep=yes ;;
	*) echo "demo: unknown argument $a (only --keep)" >&2; exit 2 ;;
	esac
done
sandbox=$build/src/arangosync-sandbox
dir=$(mktemp -d "${TMPDIR:-/tmp}/arangosync-demo.XXXXXX") || exit 1
log=$build/quickstart-demo.log
: >"$log"

say () {
	printf '\n== %s\n' "$*"
}

fail () {
	echo "demo: $*"
	echo "demo: the whole log is $log; the servers' logs are in $dir/*/*/log"
	keep_logs=yes
	exit 1
}

cleanup () {
	code=$?
	[ "$keep" = yes ] && [ $code -eq 0 ] && exit 0
	for c in a b; do
		"$sandbox" stop --dir "$dir/$c" >>"$log" 2>&1
	done
	[ "${keep_logs-no}" = yes ] || rm -rf "$dir"
	exit $code
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP

# cut_lines: the begin of long lines, and their end, which tells the result
cut_lines () {
	awk '{ if (length($0) > 170)
		$0 = substr($0, 1, 65) " ... " substr($0, length($0) - 99)
	    print "    " $0 }'
}

# show COMMAND...: print it, run it, show what it prints (cut)
show () {
	printf '  $ %s\n' "$*"
	"$@" 2>>"$log" | head -n 12 | cut_lines
}

# request METHOD URL [BODY]: show as a curl line, run, check the status
request () {
	if [ $# -eq 3 ]; then
		printf "  \$ curl -X %s '%s' -d '%s'\n" "$1" "$2" "$3"
		set -- -X "$1" "$2" -H 'content-type: application/json' -d "$3"
	else
		printf "  \$ curl -X %s '%s'\n" "$1" "$2"
		set -- -X "$1" "$2"
	fi
	status=$(curl -s -m 60 -o "$dir/answer" -w '%{http_code}' "$@")
	head -n 3 "$dir/answer" | cut_lines
	case $status in
	2??) ;;
	*) fail "HTTP status $status" ;;
	esac
}

# endpoint CLUSTER SERVER: its URL from cluster.json
endpoint () {
	python3 - "$dir/$1/cluster.json" "$2" <<'PY'
import json, sys
for s in json.load(open(sys.argv[1]))["servers"]:
    if s["name"] == sys.argv[2]:
        print(s["endpoint"])
PY
}

# number FIELD: from the last answer
field () {
	python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' \
		"$dir/answer" "$1"
}

say "Starting two clusters, three DB-servers each"
for c in a b; do
	printf '  $ %s --dir %s --port 0 --daemon\n' "$sandbox" "$dir/$c"
	"$sandbox" --dir "$dir/$c" --port 0 --daemon >>"$log" 2>&1 ||
		fail "cluster $c did not start"
done
A=$(endpoint a coordinator1)
B=$(endpoint b coordinator1)
show "$sandbox" status --dir "$dir/a"
request GET "$A/_api/version"
request GET "$B/_api/version"

say "Filling cluster a"
request POST "$A/_api/database" '{"name":"shop"}'
S=$A/_db/shop
request POST "$S/_api/collection" \
	'{"name":"orders","numberOfShards":3,"replicationFactor":2}'
request POST "$S/_api/index?collection=orders" \
	'{"type":"persistent","fields":["number"],"unique":false}'
python3 -c '
import json
for i in range(10000):
    print(json.dumps({"_key": "o%d" % i, "number": i, "customer": "c%d" % (i % 97),
                      "items": [{"sku": "s%d" % (i % 13), "n": i % 5 + 1}]}))
' >"$dir/orders.jsonl"
printf '  $ curl -X POST "%s/_api/import?collection=orders&type=documents" --data-binary @%s\n' \
	"$S" "$dir/orders.jsonl"
curl -s -m 120 -X POST "$S/_api/import?collection=orders&type=documents" \
	--data-binary "@$dir/orders.jsonl" >"$dir/answer"
cut_lines <"$dir/answer"
[ "$(field created)" = 10000 ] || fail "not all documents were taken"
request GET "$S/_api/collection/orders/count"
request GET "$S/_api/collection/orders/checksum?withData=true&withRevisions=true"
before=$(field checksum)
request GET "$S/_api/collection/orders/shards?details=true"

say "Killing the leader of a shard; a follower that has everything takes over"
leader=$(python3 - "$dir/answer" "$dir/a/cluster.json" <<'PY'
import json, sys
shards = json.load(open(sys.argv[1]))["shards"]
ident = sorted(shards.items())[0][1][0]
print([s["name"] for s in json.load(open(sys.argv[2]))["servers"] if s["id"] == ident][0])
PY
)
show "$sandbox" kill --dir "$dir/a" "$leader"
request POST "$S/_api/document/orders" '{"_key":"while-down","number":-1}'
request DELETE "$S/_api/document/orders/while-down"
request GET "$S/_api/collection/orders/checksum?withData=true&withRevisions=true"
[ "$(field checksum)" = "$before" ] || fail "documents were lost"
show "$sandbox" start --dir "$dir/a" "$leader"
show "$sandbox" status --dir "$dir/a"
request POST "$S/_api/cursor" \
	'{"query":"RETURN LENGTH(orders)"}'

say "Reading the write-ahead log of a DB-server, as a replicator does"
D=$(endpoint a dbserver1)
request GET "$D/_api/wal/lastTick"
printf '  $ curl "%s/_api/wal/tail?global=true&from=0&chunkSize=16384" | head -n 3\n' "$D"
curl -s -m 60 "$D/_api/wal/tail?global=true&from=0&chunkSize=16384" |
	head -n 3 | cut_lines

if [ "$keep" = yes ]; then
	say "Left running"
	echo "  cluster a: $A   directory $dir/a"
	echo "  cluster b: $B   directory $dir/b"
	echo "Try:"
	echo "  curl $A/_db/shop/_api/collection/orders/count"
	echo "  $sandbox pause --dir $dir/a dbserver2"
	echo "  $sandbox status --dir $dir/a"
	echo "  $sandbox resume --dir $dir/a dbserver2"
	echo "End them with:"
	echo "  $sandbox stop --dir $dir/a; $sandbox stop --dir $dir/b; rm -rf $dir"
else
	say "Stopping"
	for c in a b; do
		show "$sandbox" stop --dir "$dir/$c"
	done
fi
say "The demo ended well: nothing was lost"
