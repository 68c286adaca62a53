#!/bin/sh
# all.sh BUILD - every test there is, in this order: make check, the longer
# end-to-end runs, a sanitizer build, a clang build, make distcheck.  Prints the
# totals as "N passed, N failed" on the last line; exit code 1 when one failed.
#
#	CHECK_ONLY="check sanitizers"	run only these steps
set -u
build=$1
top=$(cd "$(dirname "$0")/.." && pwd)
jobs=$(nproc)
passed=0 failed=0
steps=${CHECK_ONLY:-check long sanitizers clang distcheck}

# take NAME LOG: add the totals of an automake run, found in what it printed
take () {
	p=$(sed -n 's/^# PASS: *//p' "$2" | tail -n 1)
	f=$(sed -n 's/^# FAIL: *//p' "$2" | tail -n 1)
	e=$(sed -n 's/^# ERROR: *//p' "$2" | tail -n 1)
	s=$(sed -n 's/^# SKIP: *//p' "$2" | tail -n 1)
	passed=$((passed + ${p:-0}))
	failed=$((failed + ${f:-0} + ${e:-0}))
	echo "   $1: ${p:-0} passed, $((${f:-0} + ${e:-0})) failed, ${s:-0} skipped"
	sed -n -E '/^(FAIL|ERROR):/p' "$2" | head -n 40
	# Why tests were skipped, each reason once.
	sed -n 's/^SKIP: .*# SKIP *//p; s/^SKIP: [^ ]* - //p' "$2" | sort |
		uniq -c | sed 's/^ *\([0-9]*\) /      \1 skipped: /'
}

# step NAME COMMAND...: a step without totals of its own counts as one test
step () {
	name=$1
	shift
	log=$build/all-$name.log
	begin=$(date +%s)
	"$@" >"$log" 2>&1 </dev/null
	code=$?
	seconds=$(($(date +%s) - begin))
	if grep -q '^# TOTAL:' "$log"; then
		take "$name (${seconds} s)" "$log"
		# A run that broke before its tests must not look good.
		if [ $code -ne 0 ] && ! grep -qE '^(FAIL|ERROR):' "$log"; then
			failed=$((failed + 1))
			echo "   $name: exit code $code; log: $log"
			tail -n 20 "$log"
		fi
	elif [ $code -eq 0 ]; then
		passed=$((passed + 1))
		echo "   $name (${seconds} s): passed"
	else
		failed=$((failed + 1))
		echo "   $name (${seconds} s): failed, exit code $code; log: $log"
		tail -n 30 "$log"
	fi
}

# A second build of the same tree: variant NAME CONFIGURE-ARGS...
variant () {
	dir=$build/$1
	shift
	mkdir -p "$dir" && cd "$dir" &&
	{ [ -f Makefile ] || "$top/configure" "$@"; } &&
	make -j"$jobs" && make -j"$jobs" check-short
}

cd "$build" || exit 1
for s in $steps; do
	printf '\n== %s\n' "$s"
	case $s in
	check)	  step check make -j"$jobs" check ;;
	long)	  step long make check-long ;;
	sanitizers) step sanitizers variant sanitizers --enable-werror \
			--enable-sanitizers --disable-hardening ;;
	clang)	  step clang variant clang --enable-werror CC=clang ;;
	distcheck) step distcheck make distcheck \
			TESTS='tests/lint/layering.sh tests/lint/help-man.sh tests/unit/base/test_buf'  ;;
	*)	  echo "all.sh: unknown step $s" >&2; failed=$((failed + 1)) ;;
	esac
done

echo
if [ -z "${FIXTURES-}" ]; then
	echo "Tests on recordings of real servers were skipped: FIXTURES=dir names them."
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
