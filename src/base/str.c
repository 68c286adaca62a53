/* str.c - text to numbers and back, strictly */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "base/str.h"

int
str_to_u64_n(const char *s, size_t len, uint64_t *n)
{
	uint64_t	 value = 0;
	unsigned	 digit;
	size_t		 i;

	if (len == 0)
		return ERR_FORMAT;
	for (i = 0; i < len; i++)
		if (s[i] < '0' || s[i] > '9')
			return ERR_FORMAT;
	for (i = 0; i < len; i++) {
		digit = (unsigned)(s[i] - '0');
		if (value > (UINT64_MAX - digit) / 10)
			return ERR_RANGE;
		value = value * 10 + digit;
	}
	*n = value;
	return 0;
}

int
str_to_u64(const char *s, uint64_t *n)
{
	return str_to_u64_n(s, strlen(s), n);
}

int
str_to_i64(const char *s, int64_t *n)
{
	int		 negative = *s == '-', r;
	uint64_t	 value;

	if ((r = str_to_u64(s + negative, &value)) != 0)
		return r;
	if (value > (uint64_t)INT64_MAX + (uint64_t)negative)
		return ERR_RANGE;
	*n = negative ? (int64_t)-value : (int64_t)value;
	return 0;
}

int
str_hex_to_u64(const char *s, uint64_t *n)
{
	size_t		 len = strlen(s);
	uint64_t	 value = 0;
	const char	*at;

	if (len == 0 || strspn(s, "0123456789abcdefABCDEF") != len)
		return ERR_FORMAT;
	if (len > 16)
		return ERR_RANGE;
	for (; *s != '\0'; s++) {
		at = strchr("0123456789abcdef", *s | 32);
		value = value << 4 | (unsigned)(at - "0123456789abcdef");
	}
	*n = value;
	return 0;
}

/* --- durations ----------------------------------------------------------- */

static const struct {
	const char	*name;
	uint64_t	 ns;
} time_units[] = {
	{ "ns",		1 },
	{ "us",		1000 },
	{ "\302\265s",	1000 },		/* micro sign */
	{ "\316\274s",	1000 },		/* Greek letter mu */
	{ "ms",		1000000 },
	{ "s",		1000000000 },
	{ "m",		UINT64_C(60) * 1000000000 },
	{ "h",		UINT64_C(3600) * 1000000000 }
};

/*
 * A decimal number, "12", "1.5", ".5", as whole part and a fraction of
 * *scale.  Moves *s behind it.  Decimals that no longer fit are dropped; they
 * are below what any unit can show.
 */
static int
take_decimal(const char **s, uint64_t *whole, uint64_t *part, uint64_t *scale)
{
	size_t	 digits = strspn(*s, "0123456789"), decimals = 0;
	int	 r;

	*whole = *part = 0;
	*scale = 1;
	if (digits > 0 && (r = str_to_u64_n(*s, digits, whole)) != 0)
		return r;
	*s += digits;
	if (**s == '.') {
		(*s)++;
		decimals = strspn(*s, "0123456789");
		for (; **s >= '0' && **s <= '9'; (*s)++)
			if (*scale < UINT64_C(1000000000000000)) {
				*part = *part * 10 + (unsigned)(**s - '0');
				*scale *= 10;
			}
	}
	return digits + decimals == 0 ? ERR_FORMAT : 0;
}

/* (whole + part / scale) * unit, rounded; ERR_RANGE beyond limit. */
static int
scale_decimal(uint64_t whole, uint64_t part, uint64_t scale, uint64_t unit,
    uint64_t limit, uint64_t *result)
{
	unsigned __int128	 value;

	value = (unsigned __int128)whole * unit +
	    ((unsigned __int128)part * unit + scale / 2) / scale;
	if (value > limit)
		return ERR_RANGE;
	*result = (uint64_t)value;
	return 0;
}

int
str_to_duration_ns(const char *s, int64_t *ns)
{
	uint64_t	 whole, part, scale, value, sum = 0;
	int		 negative = *s == '-', r;
	size_t		 i, len;

	if (*s == '-' || *s == '+')
		s++;
	if (strcmp(s, "0") == 0) {
		*ns = 0;
		return 0;
	}
	if (*s == '\0')
		return ERR_FORMAT;
	while (*s != '\0') {
		if ((r = take_decimal(&s, &whole, &part, &scale)) != 0)
			return r;
		len = strcspn(s, ".0123456789");
		for (i = 0; i < NITEMS(time_units); i++)
			if (strlen(time_units[i].name) == len &&
			    memcmp(time_units[i].name, s, len) == 0)
				break;
		if (i == NITEMS(time_units))
			return ERR_FORMAT;
		s += len;
		if ((r = scale_decimal(whole, part, scale, time_units[i].ns,
		    INT64_MAX, &value)) != 0)
			return r;
		if (value > (uint64_t)INT64_MAX - sum)
			return ERR_RANGE;
		sum += value;
	}
	*ns = negative ? -(int64_t)sum : (int64_t)sum;
	return 0;
}

int
str_to_duration_ms(const char *s, int64_t *ms)
{
	int64_t	 ns;
	int	 r;

	if ((r = str_to_duration_ns(s, &ns)) != 0)
		return r;
	*ms = ns / 1000000 + (ns > 0 && ns % 1000000 != 0);
	return 0;
}

/* part / scale as decimals without zeros at the end, with the point. */
static char *
format_part(uint64_t part, unsigned digits, char text[16])
{
	size_t	 n;

	if (part == 0) {
		text[0] = '\0';
		return text;
	}
	n = (size_t)snprintf(text, 16, ".%0*llu", (int)digits,
	    (unsigned long long)part);
	while (text[n - 1] == '0')
		text[--n] = '\0';
	return text;
}

char *
str_format_duration_ns(int64_t ns, char text[STR_NUMBER_SIZE])
{
	const char		*sign = ns < 0 ? "-" : "";
	unsigned long long	 u = ns < 0 ? -(uint64_t)ns : (uint64_t)ns;
	unsigned long long	 s = u / 1000000000;
	char			 part[16];

	if (u == 0)
		snprintf(text, STR_NUMBER_SIZE, "0s");
	else if (u < 1000)
		snprintf(text, STR_NUMBER_SIZE, "%s%lluns", sign, u);
	else if (u < 1000000)
		snprintf(text, STR_NUMBER_SIZE, "%s%llu%s\302\265s", sign,
		    u / 1000, format_part(u % 1000, 3, part));
	else if (u < 1000000000)
		snprintf(text, STR_NUMBER_SIZE, "%s%llu%sms", sign,
		    u / 1000000, format_part(u % 1000000, 6, part));
	else if (s < 60)
		snprintf(text, STR_NUMBER_SIZE, "%s%llu%ss", sign, s,
		    format_part(u % 1000000000, 9, part));
	else if (s < 3600)
		snprintf(text, STR_NUMBER_SIZE, "%s%llum%llu%ss", sign,
		    s / 60, s % 60, format_part(u % 1000000000, 9, part));
	else
		snprintf(text, STR_NUMBER_SIZE, "%s%lluh%llum%llu%ss", sign,
		    s / 3600, s / 60 % 60, s % 60,
		    format_part(u % 1000000000, 9, part));
	return text;
}

/* --- bytes --------------------------------------------------------------- */

static int
byte_unit(const char *s, uint64_t *unit)
{
	static const char	 letters[] = "kmgtp";
	const char		*at;
	unsigned		 power;

	*unit = 1;
	if (*s == '\0' || strcasecmp(s, "b") == 0)
		return 0;
	if ((at = strchr(letters, *s | 32)) == NULL)
		return ERR_FORMAT;
	power = (unsigned)(at - letters) + 1;
	s++;
	if (*s == '\0' || strcasecmp(s, "ib") == 0 || strcasecmp(s, "i") == 0)
		*unit = UINT64_C(1) << 10 * power;
	else if (strcasecmp(s, "b") == 0)
		while (power-- > 0)
			*unit *= 1000;
	else
		return ERR_FORMAT;
	return 0;
}

int
str_to_bytes(const char *s, uint64_t *bytes)
{
	uint64_t	 whole, part, scale, unit;
	int		 r;

	if ((r = take_decimal(&s, &whole, &part, &scale)) != 0 ||
	    (r = byte_unit(s, &unit)) != 0)
		return r;
	return scale_decimal(whole, part, scale, unit, UINT64_MAX, bytes);
}

char *
str_format_bytes(uint64_t bytes, char text[STR_NUMBER_SIZE])
{
	static const char *const	 units[] = {
		"", "KiB", "MiB", "GiB", "TiB", "PiB"
	};
	size_t				 i = 0;

	while (bytes != 0 && bytes % 1024 == 0 && i < NITEMS(units) - 1) {
		bytes /= 1024;
		i++;
	}
	snprintf(text, STR_NUMBER_SIZE, "%llu%s", (unsigned long long)bytes,
	    units[i]);
	return text;
}

/* --- text ---------------------------------------------------------------- */

int
str_starts_with(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

int
str_ends_with(const char *s, const char *suffix)
{
	size_t	 n = strlen(s), m = strlen(suffix);

	return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

int
str_copy(char *to, size_t size, const char *from)
{
	size_t	 n = strlen(from), take;

	if (size == 0)
		return ERR_TOO_BIG;
	take = MIN(n, size - 1);
	memcpy(to, from, take);
	to[take] = '\0';
	return take == n ? 0 : ERR_TOO_BIG;
}

int
str_equal_const_time(const void *a, const void *b, size_t n)
{
	const volatile uint8_t	*p = a, *q = b;
	uint8_t			 differ = 0;
	size_t			 i;

	for (i = 0; i < n; i++)
		differ |= p[i] ^ q[i];
	return differ == 0;
}

size_t
str_distance(const char *a, const char *b, size_t max)
{
	size_t	 n = strlen(a), m = strlen(b), i, j, diagonal, up, best;
	size_t	*row;

	if (n > m + max || m > n + max)
		return max + 1;
	/* row[j]: distance of the first i letters of a and j letters of b */
	row = xmalloc((m + 1) * sizeof(*row));
	for (j = 0; j <= m; j++)
		row[j] = j;
	for (i = 1; i <= n; i++) {
		diagonal = row[0];
		row[0] = i;
		for (j = 1; j <= m; j++) {
			up = row[j];
			best = diagonal + (a[i - 1] != b[j - 1]);
			best = MIN(best, MIN(up, row[j - 1]) + 1);
			row[j] = best;
			diagonal = up;
		}
	}
	best = row[m];
	free(row);
	return MIN(best, max + 1);
}
