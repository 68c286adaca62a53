#!/bin/sh
# run.sh - all benchmarks: bench.json and a table.  Numbers of one run on one
# machine; compare ratios, not days.
#
#	BENCH_SECONDS=5		length of each timed part
#	BENCH_MIB=48		documents of each size that go through the pipeline
#	BENCH_SHARDS=100	shards that start
set -u
top=${top_srcdir:-.}
build=${top_builddir:-.}
sandbox=$build/src/arangosync-sandbox
dir=$(mktemp -d "${TMPDIR:-/tmp}/arangosync-bench.XXXXXX") || exit 1
out=$dir/lines
: >"$out"
trap '"$sandbox" stop --dir "$dir/c" >/dev/null 2>&1; rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM HUP

for b in "$build"/tests/bench/bench_*; do
	case $b in *.o|*.c|*/bench_sandbox) continue ;; esac
	[ -x "$b" ] || continue
	echo "== ${b##*/}" >&2
	"$b" >>"$out" || exit 1
done
if [ -x "$sandbox" ]; then
	echo "== bench_sandbox" >&2
	"$sandbox" --dir "$dir/c" --port 0 --coordinators 1 --dbservers 1 \
		--daemon >/dev/null || exit 1
	set -- $(python3 - "$dir/c/cluster.json" <<'PY'
import json, sys, urllib.request
s = {x["name"]: x["endpoint"] for x in json.load(open(sys.argv[1]))["servers"]}
def call(method, path, body=None):
    q = urllib.request.Request(s["coordinator1"] + path, method=method,
        data=json.dumps(body).encode() if body is not None else None,
        headers={"content-type": "application/json"})
    return json.load(urllib.request.urlopen(q))
call("POST", "/_api/collection", {"name": "bench", "numberOfShards": 1})
print(s["dbserver1"].rsplit(":", 1)[1],
      call("GET", "/_api/collection/bench/shards")["shards"][0])
PY
)
	"$build/tests/bench/bench_sandbox" "$1" "$2" "${BENCH_SECONDS:-5}" \
		>>"$out" || exit 1
	echo "== bench_pipeline" >&2
	python3 "$top/tests/bench/bench_pipeline.py" >"$dir/pipeline"
	code=$?
	grep '^{' "$dir/pipeline" >>"$out"
	if [ $code -ne 0 ]; then
		cat "$dir/pipeline" >&2
		exit 1
	fi
fi
python3 - "$out" bench.json <<'PY'
import json, sys
rows = [json.loads(x) for x in open(sys.argv[1]) if x.startswith("{")]
for r in rows:
    r.setdefault("ratio_to", None)
    r.setdefault("ratio", None)
json.dump(rows, open(sys.argv[2], "w"), indent=1)
print("%-40s %14s  %-12s %s" % ("benchmark", "value", "unit", "ratio"))
for r in rows:
    ratio = "" if r["ratio"] is None else "%.3f of %s" % (r["ratio"], r["ratio_to"])
    print("%-40s %14.3f  %-12s %s" % (r["name"], r["value"], r["unit"], ratio))
PY
