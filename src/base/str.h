/*
 * str.h - text to numbers and back, strictly.
 *
 * The str_to_*() functions take the whole string or nothing: no blanks, no
 * rest, no overflow.  They return 0, ERR_FORMAT (not of that kind) or
 * ERR_RANGE (does not fit), and write the result on success only.
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stddef.h>
#include <stdint.h>

#define STR_NUMBER_SIZE	48	/* of str_format_*(), with NUL */

/* Decimal digits only; no sign. */
int	str_to_u64(const char *s, uint64_t *n);
/* The same for s[0..len), which needs no NUL. */
int	str_to_u64_n(const char *s, size_t len, uint64_t *n);
/* An optional '-' (not '+') and digits. */
int	str_to_i64(const char *s, int64_t *n);
/* 1 .. 16 hex digits. */
int	str_hex_to_u64(const char *s, uint64_t *n);

/*
 * A duration as Go writes it: decimal numbers with a unit each, "300ms",
 * "1h30m", "1.5s", "-2m"; units ns us µs ms s m h; "0" needs none.
 */
int	str_to_duration_ns(const char *s, int64_t *ns);
/* The same in ms; what is not a whole number of ms is rounded up. */
int	str_to_duration_ms(const char *s, int64_t *ms);
/* "1h30m0s", "1.5s", "300ms", "0s", as Go prints them. */
char	*str_format_duration_ns(int64_t ns, char text[STR_NUMBER_SIZE]);

/*
 * A number of bytes: "4096", "64KiB", "1.5GiB", "10MB", "10M" (=10MiB).
 * Units B, KiB MiB GiB TiB PiB, kB KB MB GB TB PB (1000), and K M G T P
 * (1024, like dd and systemd); upper and lower case are one.
 */
int	str_to_bytes(const char *s, uint64_t *bytes);
/* The largest binary unit that divides it: "32GiB", "1500", "0". */
char	*str_format_bytes(uint64_t bytes, char text[STR_NUMBER_SIZE]);

int	str_starts_with(const char *s, const char *prefix);
int	str_ends_with(const char *s, const char *suffix);
/*
 * Copy into a block of fixed size, always with a NUL.  0, or ERR_TOO_BIG
 * when it was cut.
 */
int	str_copy(char *to, size_t size, const char *from);
/* Are the first n bytes equal?  Takes the same time whatever they are. */
int	str_equal_const_time(const void *a, const void *b, size_t n);
/* Letters to change to make one from the other; at most max + 1. */
size_t	str_distance(const char *a, const char *b, size_t max);

#endif
