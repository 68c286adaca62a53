#!/bin/sh
# demo.sh BUILD [--keep] - two datacenters on this machine: certificates, two
# sandbox clusters, two masters.  Cluster a is filled, b becomes its copy and
# stays it while a is written to and processes are killed; then both are compared
# and replication is ended in order.  Every command is printed as it can be typed.
# Called by contrib/quickstart demo, which builds first.
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
build=$(cd "$build" && pwd) || exit 1
dir=$(mktemp -d "${TMPDIR:-/tmp}/arangosync-demo.XXXXXX") || exit 1
log=$build/quickstart-demo.log
: >"$log"
PATH=$build/src:$PATH
cd "$dir" || exit 1
writer= master_a= master_b= kept=no

say () {
	printf '\n== %s\n' "$*"
}

fail () {
	echo "demo: $*"
	echo "demo: the whole log is $log; the masters' logs are $dir/[ab]/master.log"
	keep_logs=yes
	exit 1
}

# end PID...: and all its children; waits until they are gone
end () {
	for p in "$@"; do
		kill "$p" 2>>"$log"
	done
	for p in "$@"; do
		i=0
		while [ -d "/proc/$p" ] && [ $i -lt 200 ]; do
			i=$((i + 1))
			sleep 0.1
		done
		# shellcheck disable=SC2046
		kill -9 $(tool children "$p") "$p" 2>>"$log"
		wait "$p" 2>>"$log"
	done
}

cleanup () {
	code=$?
	trap '' INT TERM HUP
	[ -z "$writer" ] || end "$writer"
	[ $kept = yes ] && exit 0
	# shellcheck disable=SC2086
	end $master_a $master_b
	for c in a b; do
		arangosync-sandbox stop --dir "$c/cluster" >>"$log" 2>&1
	done
	[ "${keep_logs-no}" = yes ] || rm -rf "$dir"
	exit $code
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP

# ---- what shell is not good at: contents, JSON, a table that is drawn again

cat >"$dir/tool.py" <<'PY'
import base64, json, os, random, subprocess, sys, time, urllib.error, urllib.request

AUTH = "Basic " + base64.b64encode(b"root:demo").decode()
# database, collection, kind (3: edges), shards, copies, documents
CONTENT = [("shop", "customers", 2, 3, 2, 4000), ("shop", "orders", 2, 5, 2, 12000),
           ("shop", "bought", 3, 3, 1, 12000), ("wiki", "pages", 2, 4, 2, 3000),
           ("wiki", "links", 3, 2, 1, 6000), ("sensors", "values", 2, 9, 1, 9000)]
WORDS = "anchor basalt cedar delta ember fjord garnet harbor iris jade".split()

def call(method, url, body=None):
    data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
    q = urllib.request.Request(url, data, {"authorization": AUTH}, method=method)
    with urllib.request.urlopen(q, timeout=60) as r:
        return json.load(r)

def document(name, i, r):
    d = {"_key": "%s%d" % (name[0], i), "number": i, "word": r.choice(WORDS)}
    if name == "bought":
        d.update(_from="customers/c%d" % (i % 4000), _to="orders/o%d" % i)
    elif name == "links":
        d.update(_from="pages/p%d" % r.randrange(3000), _to="pages/p%d" % (i % 3000))
    elif name == "orders":
        d["items"] = [{"sku": "s%d" % r.randrange(500), "price": r.randrange(9999) / 100}
                      for _ in range(r.randrange(1, 6))]
    elif name == "pages":
        d["text"] = " ".join(r.choice(WORDS) for _ in range(200)) + " \u00e4\u20ac\U0001f680"
    return d

def fill(url):
    r, total = random.Random(1), 0
    for db in sorted({c[0] for c in CONTENT}):
        call("POST", url + "/_api/database", {"name": db})
    for db, name, kind, shards, copies, n in CONTENT:
        call("POST", "%s/_db/%s/_api/collection" % (url, db),
             {"name": name, "type": kind, "numberOfShards": shards,
              "replicationFactor": copies})
        lines = "\n".join(json.dumps(document(name, i, r)) for i in range(n))
        a = call("POST", "%s/_db/%s/_api/import?collection=%s&type=documents"
                 % (url, db, name), lines.encode())
        if a["created"] != n:
            sys.exit("only %d of %d documents were taken" % (a["created"], n))
        total += n
    call("POST", url + "/_db/shop/_api/index?collection=orders",
         {"type": "persistent", "fields": ["number"], "unique": False})
    print("    %d documents and edges in %d collections of 3 databases"
          % (total, len(CONTENT)))

def write(url, note):
    """Goes on until it is ended; note says how far it is."""
    r, i = random.Random(2), 0
    while True:
        db, name = r.choice([("shop", "orders"), ("wiki", "pages"), ("sensors", "values")])
        docs = [document(name, r.randrange(20000), r) for _ in range(10)]
        path = "%s/_db/%s/_api/document/%s?silent=true" % (url, db, name)
        try:
            if r.random() < 0.2:
                call("DELETE", path, [d["_key"] for d in docs])
            else:
                call("POST", path + "&overwriteMode=replace", docs)
            i += 10
        except (OSError, ValueError) as e:
            print(e, file=sys.stderr, flush=True)
        with open(note + ".new", "w") as f:
            f.write(str(i))
        os.replace(note + ".new", note)
        time.sleep(0.01)

def count(url, db, name):
    try:
        return call("GET", "%s/_db/%s/_api/collection/%s/count" % (url, db, name))["count"]
    except (OSError, ValueError, KeyError):
        return 0

def same(a, b):
    for db, name, *_ in CONTENT:
        n = count(a, db, name), count(b, db, name)
        print("    %s/%s: %d documents in a, %d in b" % (db, name, *n))
        if n[0] != n[1] or not n[0]:
            sys.exit(1)

def watch(a, b, seconds, exact, *command):
    """A table of the target, again and again until all shards run (and, with
    exact, both sides have as many documents)."""
    rows, drawn, begin, tty = [], 0, time.time(), sys.stdout.isatty()
    while True:
        p = subprocess.run(command + ("--json",), capture_output=True, text=True)
        s = json.loads(p.stdout) if p.returncode == 0 else {}
        by = {}
        for x in s.get("shards", ()):
            n = by.setdefault((x["database"], x["collection"]), [0, 0])
            n[0] += x["status"] == "running"
            n[1] = max(n[1], x.get("delay", 0))
        rows = ["%-20s %12s %10s %10s %9s" % (s.get("status") or "no answer",
                                              "shards run", "source", "target", "delay")]
        done = s.get("status") == "running"
        for db, name, _, shards, _, _ in CONTENT:
            n, (running, delay) = (count(a, db, name), count(b, db, name)), \
                by.get((db, name), (0, 0))
            rows.append("  %-18s %7d of %d %10d %10d %6d ms" % (
                db + "/" + name, running, shards, *n, delay // 1000000))
            done = done and running == shards and (exact == "no" or n[0] == n[1])
        late = time.time() - begin > float(seconds)
        if tty or done or late or not drawn:
            if tty and drawn:
                sys.stdout.write("\x1b[%dA" % drawn)
            for row in rows:
                print("    " + row + ("\x1b[K" if tty else ""))
            drawn = len(rows)
        else:
            print("    %5.1f s: %s, %d of %d shards run" % (
                time.time() - begin, rows[0].split()[0], sum(x[0] for x in by.values()),
                sum(c[3] for c in CONTENT)))
        sys.stdout.flush()
        if done:
            print("    after %.1f seconds" % (time.time() - begin))
            return
        if late:
            sys.exit("not within %s seconds: %s" % (seconds, p.stderr.strip()))
        time.sleep(0.5 if tty else 1)

def children(parent, title=""):
    """Process ids of the children of a master, or of those with this title."""
    for p in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/stat" % p) as f:
                if f.read().rsplit(")", 1)[1].split()[1] != parent:
                    continue
            with open("/proc/%s/cmdline" % p) as f:
                if f.read().rstrip("\0").startswith("arangosync: " + title):
                    print(p)
                    if title:
                        return
        except (OSError, IndexError):
            pass

def endpoint(path):
    print([s["endpoint"] for s in json.load(open(path))["servers"]
           if s["role"] == "coordinator"][0])

def port():
    import socket
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    print(s.getsockname()[1])

if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
PY

tool () {
	python3 "$dir/tool.py" "$@" 2>>"$log"
}

# ---- commands that are shown

# cut_lines: the begin of long lines, and their end, which tells the result
cut_lines () {
	awk '{ if (length($0) > 170)
		$0 = substr($0, 1, 65) " ... " substr($0, length($0) - 99)
	    print "    " $0 }'
}

# show COMMAND...: print it, run it, show what it prints; ends the demo when it
# fails
show () {
	printf '  $ %s\n' "$*"
	"$@" >"$dir/out" 2>&1
	code=$?
	cat "$dir/out" >>"$log"
	grep -v '^Make sure to store' "$dir/out" | head -n 30 | cut_lines
	[ $code -eq 0 ] || fail "exit code $code"
}

# at DC: the flags of the connection to its master
at () {
	eval "port=\$port_$1"
	echo "--master.endpoint=https://127.0.0.1:$port" \
		"--master.cacert=$1/tls-ca.crt" \
		"--auth.keyfile=$1/client.keyfile"
}

# start_master DC: with the arguments that kube-arangodb uses, and --data.dir
start_master () {
	eval "port=\$port_$1 url=\$$1"
	set -- "$1" run master \
		--cluster.endpoint="$url" \
		--cluster.jwt-secret="$1/cluster.secret" \
		--data.dir="$1/data" \
		--master.endpoint="https://127.0.0.1:$port" \
		--master.jwt-secret="$1/master.secret" \
		--monitoring.token=demo \
		--mq.type=direct \
		--server.client-cafile="$1/client-ca.crt" \
		--server.endpoint="https://127.0.0.1:$port" \
		--server.keyfile="$1/tls.keyfile" \
		--server.port="$port"
	dc=$1
	shift
	printf '  $ %s' "arangosync $1 $2"
	printf ' \\\n        %s' $(shift 2; echo "$@")
	printf '\n'
	arangosync "$@" >>"$dc/master.log" 2>&1 </dev/null &
	eval "master_$dc=\$!"
	i=0
	# shellcheck disable=SC2046
	until arangosync get version $(at "$dc") >>"$log" 2>&1; do
		i=$((i + 1))
		[ $i -lt 100 ] || fail "the master of $dc does not answer"
		sleep 0.1
	done
}

# wait_writes N: until so many more documents were written
wait_writes () {
	had=$(cat "$dir/written") i=0
	while [ "$(cat "$dir/written")" -lt $((had + $1)) ]; do
		i=$((i + 1))
		[ $i -lt 300 ] || fail "the writer does not get on"
		sleep 0.1
	done
	echo "    ... $(($(cat "$dir/written") - had)) documents were written meanwhile"
}

# ---- the demo

echo "All commands are run in $dir, with"
echo "  \$ PATH=$build/src:\$PATH"
say "Certificates and secrets: an authority for servers, one for clients, per datacenter"
for c in a b; do
	mkdir $c || exit 1
	show arangosync create tls ca --cert $c/tls-ca.crt --key $c/tls-ca.key
	show arangosync create tls keyfile --cacert $c/tls-ca.crt \
		--cakey $c/tls-ca.key --host 127.0.0.1 --keyfile $c/tls.keyfile
	show arangosync create client-auth ca --cert $c/client-ca.crt \
		--key $c/client-ca.key
	show arangosync create client-auth keyfile --cacert $c/client-ca.crt \
		--cakey $c/client-ca.key --keyfile $c/client.keyfile
	show arangosync create jwt-secret --secret $c/cluster.secret
	show arangosync create jwt-secret --secret $c/master.secret
done

say "Two clusters, three DB-servers each: a, which is copied, and b"
for c in a b; do
	show arangosync-sandbox --dir "$c/cluster" --port 0 --daemon \
		--auth "$c/cluster.secret" --root-password demo
	eval "$c=\$(tool endpoint '$c/cluster/cluster.json')"
	eval "port_$c=\$(tool port)"
done
# shellcheck disable=SC2154
[ -n "$a" ] && [ -n "$b" ] || fail "the clusters have no endpoints"

say "Filling a"
tool fill "$a" || fail "a was not filled"

say "A master beside each cluster"
start_master a
start_master b

say "b becomes the copy of a"
# shellcheck disable=SC2046,SC2154
show arangosync configure sync $(at b) \
	--source.endpoint="https://127.0.0.1:$port_a" \
	--source.cacert="a/tls-ca.crt" \
	--master.keyfile="a/client.keyfile"
# shellcheck disable=SC2046
tool watch "$a" "$b" 60 yes arangosync get status $(at b) ||
	fail "b did not become the copy of a"

say "Writers go on; the process of one shard at the target is killed"
echo 0 >"$dir/written"
python3 "$dir/tool.py" write "$a" "$dir/written" 2>>"$log" &
writer=$!
wait_writes 300
child=$(tool children "$master_b" "receive shop/orders/")
[ -n "$child" ] || fail "there is no process for a shard of shop/orders"
title=$(tr -d '\0' <"/proc/$child/cmdline")
echo "  process $child is called \"$title\""
show kill -9 "$child"
wait_writes 1000
i=0
until again=$(tool children "$master_b" "${title#arangosync: }") &&
    [ -n "$again" ]; do
	i=$((i + 1))
	[ $i -lt 100 ] || fail "it did not come back"
	sleep 0.1
done
echo "    it is back as process $again"

say "A whole master is killed, that of the source, and started again"
# shellcheck disable=SC2046
show kill -9 "$master_a" $(tool children "$master_a")
wait "$master_a" 2>>"$log"
wait_writes 1000
start_master a
wait_writes 500
# shellcheck disable=SC2046
tool watch "$a" "$b" 60 no arangosync get status $(at b) ||
	fail "replication does not go on"

say "The writers rest; every shard of both sides is compared"
end "$writer"
writer=
# shellcheck disable=SC2046
show arangosync get status $(at b)
# shellcheck disable=SC2046
show arangosync check sync $(at b)

if [ "$keep" = yes ]; then
	cat >"$dir/end" <<END
kill $master_a $master_b; sleep 3
$build/src/arangosync-sandbox stop --dir $dir/a/cluster; $build/src/arangosync-sandbox stop --dir $dir/b/cluster
rm -rf $dir
END
	kept=yes
	say "Left running"
	echo "  cluster a (source): $a   its master: https://127.0.0.1:$port_a"
	echo "  cluster b (target): $b   its master: https://127.0.0.1:$port_b"
	echo "  user root, password demo; logs in $dir/[ab]/master.log"
	echo "Try:"
	echo "  cd $dir; PATH=$build/src:\$PATH"
	echo "  arangosync get status --verbose $(at b)"
	echo "  curl -u root:demo $a/_db/shop/_api/document/orders -d '{\"_key\":\"hello\"}'; sleep 1; curl -u root:demo $b/_db/shop/_api/document/orders/hello"
	echo "  arangosync stop sync $(at b)"
	echo "End it all with:"
	echo "  sh $dir/end"
	exit 0
fi

say "Replication ends in order: the source is read-only until the target has everything"
# shellcheck disable=SC2046
show arangosync stop sync $(at b)
# shellcheck disable=SC2046
show arangosync get status $(at b)
tool same "$a" "$b" || fail "the numbers of documents differ"

say "Cleaning up"
# shellcheck disable=SC2086
end $master_a $master_b
master_a= master_b=
for c in a b; do
	show arangosync-sandbox stop --dir "$c/cluster"
done
say "The demo ended well: nothing was lost"
