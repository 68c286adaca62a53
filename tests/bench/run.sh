#!/bin/sh
# run.sh - all benchmarks: bench.json and a table.  Numbers of one run on one
# machine; compare ratios, not days.
#
#	BENCH_SECONDS=5		length of each timed part
#	BENCH_MIB=48		documents of each size that go through the pipeline
#	BENCH_SHARDS=1000	shards that start
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
	case $b in *.o|*.c|*.py|*/bench_sandbox) continue ;; esac
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
	for b in pipeline scale; do
		echo "== bench_$b" >&2
		python3 -B "$top/tests/bench/bench_$b.py" >"$dir/rows"
		code=$?
		grep '^{' "$dir/rows" >>"$out"
		if [ $code -ne 0 ]; then
			cat "$dir/rows" >&2
			exit 1
		fi
	done
fi
python3 -B "$top/tests/bench/table.py" "$out" bench.json
