/*
 * clock.h - the clocks, and time as text.
 *
 * Durations and deadlines use the monotonic clock; the wall clock is for
 * people and for other machines only.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#define CLOCK_TEXT_SIZE	32	/* of clock_format_*(), with NUL */

uint64_t clock_mono_ms(void);
uint64_t clock_mono_us(void);
uint64_t clock_mono_ns(void);
/* Since 1970 UTC. */
uint64_t clock_wall_ms(void);
uint64_t clock_wall_us(void);

/*
 * RFC 3339 in UTC: "2024-02-29T23:59:59Z", "...59.123Z", "...59.123456Z".
 * wall_us is microseconds since 1970; years up to 9999.  Returns text.
 */
char	*clock_format_s(uint64_t wall_us, char text[CLOCK_TEXT_SIZE]);
char	*clock_format_ms(uint64_t wall_us, char text[CLOCK_TEXT_SIZE]);
char	*clock_format_us(uint64_t wall_us, char text[CLOCK_TEXT_SIZE]);
/*
 * The reverse, for any number of decimals (cut after six) and "Z" or an
 * offset; 1970 to 9999.  0 or ERR_FORMAT.
 */
int	clock_parse(const char *text, uint64_t *wall_us);

#endif
