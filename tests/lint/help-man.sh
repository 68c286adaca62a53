#!/bin/sh
# help-man.sh - what --help lists and what the manual documents are the same:
# flags and commands, in both directions.  The manual of PROGRAM:SECTION is
# man/PROGRAM.SECTION and, for a program with commands of several words, the
# pages man/PROGRAM-*.SECTION of its groups.
set -u
top=${top_srcdir:-.}
build=${top_builddir:-.}
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
n=0
pairs='arangosync-sandbox:8 arangosync:1'

# "--flag" of text on standard input, each once
flags () {
	grep -oE -- '--[a-z][a-z0-9.-]*' | sed 's/[.-]*$//' | sort -u
}

# The commands of a --help text: "get status", without arguments.
commands () {
	sed -n '/^Commands:/,$s/^  \([a-z][a-z-]*\( [a-z][a-z-]*\)*\)\( .*\)*$/\1/p'
}

result () {	# text name
	n=$((n + 1))
	if [ -z "$1" ]; then
		echo "ok $n - $2"
	else
		printf '%s\n' "$1" | sed 's/^/# /'
		echo "not ok $n - $2"
	fi
}

echo "1..$(set -- $pairs; echo $(($# * 2)))"
for p in $pairs; do
	prog=${p%%:*} section=${p##*:}
	if [ ! -x "$build/src/$prog" ]; then
		for what in help manual; do
			n=$((n + 1))
			echo "ok $n - $what: $prog # SKIP not built"
		done
		continue
	fi
	pages="$top/man/$prog.$section"
	for f in "$top/man/$prog"-*."$section"; do
		[ -e "$f" ] && pages="$pages $f"
	done
	"$build/src/$prog" --help >"$tmp/help" 2>&1
	commands <"$tmp/help" >"$tmp/commands"
	# every command has a help text of its own
	while read -r c; do
		"$build/src/$prog" $c --help >>"$tmp/help" 2>&1 ||
			echo "$c has no help"
	done <"$tmp/commands" >"$tmp/bad"
	flags <"$tmp/help" >"$tmp/in-help"
	# A name behind = or a full stop is no part of a flag.
	cat $pages | sed 's/\\-/-/g; s/Fl Fl /--/g; s/Fl -/--/g' |
		flags >"$tmp/in-man"
	comm -23 "$tmp/in-help" "$tmp/in-man" |
		sed 's/^/not in the manual: /' >>"$tmp/bad"
	[ -s "$tmp/in-help" ] || echo "there are no flags" >>"$tmp/bad"
	result "$(cat "$tmp/bad")" \
		"help: every flag of $prog is in its manual"

	comm -13 "$tmp/in-help" "$tmp/in-man" |
		sed 's/^/not in the help: /' >"$tmp/bad"
	while read -r c; do
		grep -qE "(Cm|Ic|Nm $prog|,) $c( |\$)" $pages ||
			echo "command not in the manual: $c"
	done <"$tmp/commands" >>"$tmp/bad"
	result "$(cat "$tmp/bad")" \
		"manual: every flag it names is in the help of $prog"
done
