/* clock.c - the clocks, and time as text */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/err.h"

static uint64_t
read_ns(clockid_t id)
{
	struct timespec	 ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

uint64_t
clock_mono_ns(void)
{
	return read_ns(CLOCK_MONOTONIC);
}

uint64_t
clock_mono_us(void)
{
	return read_ns(CLOCK_MONOTONIC) / 1000;
}

uint64_t
clock_mono_ms(void)
{
	return read_ns(CLOCK_MONOTONIC) / 1000000;
}

uint64_t
clock_wall_us(void)
{
	return read_ns(CLOCK_REALTIME) / 1000;
}

uint64_t
clock_wall_ms(void)
{
	return read_ns(CLOCK_REALTIME) / 1000000;
}

/* 9999-12-31T23:59:59.999999Z, the last moment that RFC 3339 can say. */
#define LAST_US	UINT64_C(253402300799999999)

static size_t
format_date(uint64_t wall_us, char text[CLOCK_TEXT_SIZE])
{
	time_t		 t = (time_t)(wall_us / 1000000);
	struct tm	 tm;

	gmtime_r(&t, &tm);
	return strftime(text, CLOCK_TEXT_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
}

char *
clock_format_s(uint64_t wall_us, char text[CLOCK_TEXT_SIZE])
{
	size_t	 n = format_date(MIN(wall_us, LAST_US), text);

	snprintf(text + n, CLOCK_TEXT_SIZE - n, "Z");
	return text;
}

char *
clock_format_ms(uint64_t wall_us, char text[CLOCK_TEXT_SIZE])
{
	size_t	 n;

	wall_us = MIN(wall_us, LAST_US);
	n = format_date(wall_us, text);
	snprintf(text + n, CLOCK_TEXT_SIZE - n, ".%03uZ",
	    (unsigned)(wall_us / 1000 % 1000));
	return text;
}

char *
clock_format_us(uint64_t wall_us, char text[CLOCK_TEXT_SIZE])
{
	size_t	 n;

	wall_us = MIN(wall_us, LAST_US);
	n = format_date(wall_us, text);
	snprintf(text + n, CLOCK_TEXT_SIZE - n, ".%06uZ",
	    (unsigned)(wall_us % 1000000));
	return text;
}

/* n digits at *s; -1 when there are fewer.  Moves *s behind them. */
static int
take_digits(const char **s, int n)
{
	int	 value = 0;

	while (n-- > 0) {
		if (**s < '0' || **s > '9')
			return -1;
		value = value * 10 + (*(*s)++ - '0');
	}
	return value;
}

static int
take_char(const char **s, const char *set)
{
	if (**s == '\0' || strchr(set, **s) == NULL)
		return 0;
	(*s)++;
	return 1;
}

/* ".123456789" as microseconds; 0 without a point. */
static int
take_fraction(const char **s, uint64_t *us)
{
	uint64_t	 unit = 100000;

	*us = 0;
	if (**s != '.')
		return 0;
	(*s)++;
	if (**s < '0' || **s > '9')
		return ERR_FORMAT;
	for (; **s >= '0' && **s <= '9'; (*s)++, unit /= 10)
		*us += (uint64_t)(**s - '0') * unit;
	return 0;
}

/* "Z" or "+01:00" as seconds that are to be taken away. */
static int
take_offset(const char **s, int64_t *seconds)
{
	int	 sign, h, m;

	*seconds = 0;
	if (take_char(s, "Zz"))
		return 0;
	sign = **s == '-' ? -1 : 1;
	if (!take_char(s, "+-") || (h = take_digits(s, 2)) == -1 ||
	    !take_char(s, ":") || (m = take_digits(s, 2)) == -1 ||
	    h > 23 || m > 59)
		return ERR_FORMAT;
	*seconds = sign * (h * 3600 + m * 60);
	return 0;
}

int
clock_parse(const char *text, uint64_t *wall_us)
{
	struct tm	 tm, back;
	const char	*s = text;
	uint64_t	 us;
	int64_t		 offset, t;
	time_t		 local;

	memset(&tm, 0, sizeof(tm));
	if ((tm.tm_year = take_digits(&s, 4)) == -1 || !take_char(&s, "-") ||
	    (tm.tm_mon = take_digits(&s, 2)) == -1 || !take_char(&s, "-") ||
	    (tm.tm_mday = take_digits(&s, 2)) == -1 ||
	    !take_char(&s, "Tt ") ||
	    (tm.tm_hour = take_digits(&s, 2)) == -1 || !take_char(&s, ":") ||
	    (tm.tm_min = take_digits(&s, 2)) == -1 || !take_char(&s, ":") ||
	    (tm.tm_sec = take_digits(&s, 2)) == -1)
		return ERR_FORMAT;
	if (take_fraction(&s, &us) != 0 || take_offset(&s, &offset) != 0 ||
	    *s != '\0')
		return ERR_FORMAT;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	/* timegm() corrects February 30th to March; we refuse it. */
	back = tm;
	local = timegm(&back);
	if (back.tm_year != tm.tm_year || back.tm_mon != tm.tm_mon ||
	    back.tm_mday != tm.tm_mday || back.tm_hour != tm.tm_hour ||
	    back.tm_min != tm.tm_min || back.tm_sec != tm.tm_sec)
		return ERR_FORMAT;
	t = (int64_t)local - offset;
	if (t < 0 || (uint64_t)t > LAST_US / 1000000)
		return ERR_FORMAT;
	*wall_us = (uint64_t)t * 1000000 + us;
	return 0;
}
