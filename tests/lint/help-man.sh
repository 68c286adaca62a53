#!/bin/sh
# help-man.sh - what --help lists and what the manual page documents are the
# same: flags and commands, in both directions.
set -u
top=${top_srcdir:-.}
build=${top_builddir:-.}
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
n=0
pages='arangosync-sandbox:8'

echo "1..$(set -- $pages; echo $(($# * 2)))"
for p in $pages; do
	prog=${p%%:*} section=${p##*:}
	n=$((n + 1))
	if [ ! -x "$build/src/$prog" ]; then
		echo "ok $n - help: $prog # SKIP not built"
		n=$((n + 1))
		echo "ok $n - manual: $prog # SKIP not built"
		continue
	fi
	man="$top/man/$prog.$section"
	"$build/src/$prog" --help >"$tmp/help" 2>&1
	# every command has a help text of its own
	for c in $(sed -n '/^Commands:/,$s/^  \([a-z][a-z-]*\) .*/\1/p' "$tmp/help"); do
		echo "$c" >>"$tmp/commands"
		"$build/src/$prog" "$c" --help >>"$tmp/help" 2>&1
	done
	grep -oE -- '--[a-z][a-z0-9.-]*' "$tmp/help" | sort -u >"$tmp/in-help"
	sed 's/\\-/-/g; s/^\.It Fl Fl /--/; s/Fl Fl /--/g; s/Fl -/--/g' "$man" |
		grep -oE -- '--[a-z][a-z0-9.-]*' | sort -u >"$tmp/in-man"
	missing=$(comm -23 "$tmp/in-help" "$tmp/in-man")
	if [ -s "$tmp/in-help" ] && [ -z "$missing" ]; then
		echo "ok $n - help: every flag of $prog is in its manual"
	else
		printf '%s\n' "$missing" | sed 's/^/# not in the manual: /'
		echo "not ok $n - help: every flag of $prog is in its manual"
	fi
	n=$((n + 1))
	missing=$(comm -13 "$tmp/in-help" "$tmp/in-man")
	for c in $(cat "$tmp/commands" 2>/dev/null); do
		grep -qE "(Cm|Ic|Nm arangosync-sandbox) $c|^\.It (Cm|Ic) $c" "$man" ||
			missing="$missing command:$c"
	done
	if [ -z "$missing" ]; then
		echo "ok $n - manual: every flag it names is in the help of $prog"
	else
		printf '%s\n' "$missing" | sed 's/^/# only on one side: /'
		echo "not ok $n - manual: every flag it names is in the help of $prog"
	fi
done
