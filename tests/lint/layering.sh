#!/bin/sh
# layering.sh - a file includes its own directory and those above it, never
# below.  The order is the design's; an exception is a line here, with a reason.
set -u
top=${top_srcdir:-.}
# file:header pairs that may break the rule, each with its reason behind '#'
exceptions=''

echo 1..3
rank () {
	i=0
	for d in base ev json vpack metrics conf ipc proc http queue arango \
	    sync worker tail send link receive \
	    inventory master api certs cli; do
		i=$((i + 1))
		[ "$d" = "$1" ] && { echo $i; return; }
	done
	echo 0
}

bad=$(cd "$top/src" && for f in $(find . -name '*.[ch]' | sed 's|^\./||' | sort); do
	dir=${f%%/*}
	[ "$dir" = "$f" ] && continue		# main.c may include all
	mine=$(rank "$dir")
	sed -n 's|^[ \t]*#[ \t]*include[ \t]*"\([^"]*\)".*|\1|p' "$f" |
	while read -r inc; do
		case " $exceptions " in *" $f:$inc "*) continue ;; esac
		to=${inc%%/*}
		if [ "$to" = "$inc" ]; then
			echo "$f includes \"$inc\" without its directory"
			continue
		fi
		[ "$to" = "$dir" ] && continue
		if [ ! -e "$inc" ]; then
			echo "$f includes \"$inc\", which does not exist"
			continue
		fi
		theirs=$(rank "$to")
		# The sandbox stands beside the client: it may use base to http.
		if [ "$dir" = sandbox ]; then
			[ "$theirs" -ge 1 ] && [ "$theirs" -le "$(rank http)" ] ||
				echo "$f includes \"$inc\": the sandbox may use base to http only"
			continue
		fi
		if [ "$theirs" -eq 0 ] || [ "$theirs" -ge "$mine" ]; then
			echo "$f includes \"$inc\", which is not above it"
		fi
	done
done)
if [ -z "$bad" ]; then
	echo "ok 1 - layering: every include points upwards"
else
	printf '%s\n' "$bad" | sed 's/^/# /'
	echo "not ok 1 - layering: every include points upwards"
fi

bad=$(cd "$top/src" && grep -lE '#[ \t]*include[ \t]*<(curl/|event2/http)' -r . |
	grep -v '^\./http/')
if [ -z "$bad" ]; then
	echo "ok 2 - layering: curl and evhttp are known to src/http only"
else
	printf '%s\n' "$bad" | sed 's/^/# /'
	echo "not ok 2 - layering: curl and evhttp are known to src/http only"
fi

bad=$(cd "$top/src" && grep -nE '\b(fsync|fdatasync|rename|ftruncate|truncate)[ \t]*\(' \
	-r --include='*.c' . | grep -vE '^\./(base/fsx|queue/|sandbox/store)')
if [ -z "$bad" ]; then
	echo "ok 3 - layering: files are made durable in base/fsx.c only"
else
	printf '%s\n' "$bad" | sed 's/^/# /'
	echo "not ok 3 - layering: files are made durable in base/fsx.c only"
fi
