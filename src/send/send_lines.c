/* send_lines.c - lines of the log in pieces; see send_priv.h */
#include <string.h>

#include "json/scan.h"
#include "send/send_priv.h"

int
lines_tick(const uint8_t *p, size_t n, uint64_t *tick)
{
	struct scan_iter	 it;
	struct scan_span	 name, value;
	int			 r;

	scan_object(&it, (const char *)p, n);
	/* arangod prints it in front; only members in front of it are
	 * stepped over. */
	while ((r = scan_next(&it, &name, &value)) == 1)
		if (name.len == 4 && memcmp(name.p, "tick", 4) == 0)
			return scan_uint(&value, tick);
	return ERR_FORMAT;
}

uint32_t
lines_count(const uint8_t *p, size_t n)
{
	const uint8_t	*nl;
	uint32_t	 count = 0;

	while (n > 0 && (nl = memchr(p, '\n', n)) != NULL) {
		count++;
		n -= (size_t)(nl + 1 - p);
		p = nl + 1;
	}
	return count;
}

size_t
lines_through(const uint8_t *p, size_t n, uint64_t floor)
{
	const uint8_t	*nl;
	size_t		 at = 0, len;
	uint64_t	 tick;

	while (at < n) {
		nl = memchr(p + at, '\n', n - at);
		len = nl == NULL ? n - at : (size_t)(nl + 1 - (p + at));
		if (lines_tick(p + at, len, &tick) != 0 || tick > floor)
			break;
		at += len;
	}
	return at;
}

int
lines_last_tick(const uint8_t *p, size_t n, uint64_t *tick)
{
	const uint8_t	*nl;

	if (n == 0)
		return ERR_FORMAT;
	nl = n == 1 ? NULL : memrchr(p, '\n', n - 1);
	if (nl != NULL) {
		n -= (size_t)(nl + 1 - p);
		p = nl + 1;
	}
	return lines_tick(p, n, tick);
}

size_t
lines_split(const uint8_t *p, size_t n, bool inside, bool more,
    struct lines_part out[3])
{
	const uint8_t	*end, *nl, *last;
	size_t		 k = 0;

	if (n == 0)
		return 0;
	end = p + n;
	if (inside) {
		nl = memchr(p, '\n', n);
		out[k].p = p;
		out[k].n = nl == NULL ? n : (size_t)(nl + 1 - p);
		out[k].more = nl == NULL;
		out[k].inside = true;
		p += out[k++].n;
	}
	if (p == end)
		return k;
	last = end;
	if (more) {
		nl = memrchr(p, '\n', (size_t)(end - p));
		last = nl == NULL ? p : nl + 1;
	}
	if (last > p) {
		out[k].p = p;
		out[k].n = (size_t)(last - p);
		out[k].more = out[k].inside = false;
		k++;
	}
	if (last < end) {
		out[k].p = last;
		out[k].n = (size_t)(end - last);
		out[k].more = true;
		out[k].inside = false;
		k++;
	}
	return k;
}
