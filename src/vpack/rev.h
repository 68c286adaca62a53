/*
 * rev.h - revisions (`_rev`) and the hybrid logical clock that makes them.
 *
 * A stamp is (milliseconds since 1970) << 20 | counter.  As text it is
 * written in base 64 with ArangoDB's alphabet "-_A-Za-z0-9", most significant
 * digit first, without leading zeros.  The order of revisions is that of the
 * numbers, not of the texts.
 */
#ifndef VPACK_REV_H
#define VPACK_REV_H

#include <stddef.h>
#include <stdint.h>

#define REV_TEXT_MAX	12		/* 11 digits and a NUL */
#define REV_INVALID	UINT64_MAX	/* decoding failed */

#define REV_MS(rev)		((rev) >> 20)
#define REV_COUNTER(rev)	((uint32_t)((rev) & 0xfffff))
#define REV_MAKE(ms, counter)	((uint64_t)(ms) << 20 | (counter))

/* Writes text and a NUL, returns its length.  0 is "". */
size_t	rev_to_text(uint64_t rev, char text[REV_TEXT_MAX]);
/*
 * REV_INVALID for another alphabet, leading zeros, more than 11 digits or a
 * value beyond 64 bits; the empty text is 0.
 */
uint64_t rev_from_text(const char *text, size_t len);

/*
 * One clock per server.  Stamps rise strictly.  The counter starts at 0 in
 * each millisecond and goes on counting while the time stands still or runs
 * backwards.  Not for several threads at once.
 */
struct hlc {
	uint64_t	 last;		/* the newest stamp given or received */
};

/* A new stamp; now_ms is wall-clock time in milliseconds since 1970. */
uint64_t hlc_next(struct hlc *c, uint64_t now_ms);
/* The same with the system's clock. */
uint64_t hlc_stamp(struct hlc *c);
/*
 * A stamp was received from elsewhere (x-arango-hlc, replication): later
 * stamps are larger than it.  REV_INVALID is ignored.
 */
void	hlc_receive(struct hlc *c, uint64_t stamp);

#endif
