/*
 * watermark.h - how far the target is, from one number per DB-server of the
 * source (R21).
 *
 * A watermark (server, tick, source time) arrives every 250 ms, after every
 * record up to its tick.  A channel with nothing queued is applied through the
 * newest one; a channel with records queued is applied through its own tick.
 * So: everything of a server is applied through the lowest of these ticks, and
 * the newest watermark not above it tells up to which time.
 *
 * Source times are microseconds since 1970 on the source's clock, `now` is
 * the caller's monotonic ms.
 */
#ifndef SYNC_WATERMARK_H
#define SYNC_WATERMARK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct watermarks;
struct wm_server;
struct wm_channel;

struct watermarks *wm_new(void);
void	wm_free(struct watermarks **w);

/* Made when it is not there. */
struct wm_server *wm_server(struct watermarks *w, const char *id);
/* A server that leads nothing any more; its channels must be gone. */
void	wm_server_remove(struct watermarks *w, const char *id);
/*
 * A watermark came.  0, or ERR_RANGE when the tick went back: then another
 * reboot or history begins (reboot differs), or the sender is wrong.
 */
int	wm_receive(struct wm_server *s, uint64_t reboot_id, uint64_t tick,
	    uint64_t source_us, uint64_t now_ms);

struct wm_channel *wm_channel_add(struct wm_server *s, uint64_t applied_tick);
void	wm_channel_remove(struct wm_channel **c);
/*
 * What a new subscription of a channel begins with, whatever was known of it
 * before: applied through one tick, records waiting up to another (not above
 * it: none).
 */
void	wm_channel_set(struct wm_channel *c, uint64_t applied_tick,
	    uint64_t queued_tick, bool stalled);
/* Records up to this tick are on their way. */
void	wm_channel_queued(struct wm_channel *c, uint64_t tick);
/* Applied up to here; at or above what is queued: nothing waits. */
void	wm_channel_applied(struct wm_channel *c, uint64_t tick);
/*
 * Under repair, detached, without a leader: it holds "complete up to" where
 * it was.
 */
void	wm_channel_stall(struct wm_channel *c, bool stalled);
/* Through which tick of its server it is applied. */
uint64_t wm_channel_tick(const struct wm_channel *c);

/* All of a server's channels are applied through this tick. */
uint64_t wm_server_tick(const struct wm_server *s);
/* Ticks between that and the newest watermark. */
uint64_t wm_server_lag_ticks(const struct wm_server *s);
/* Up to which source time that is; 0: not known. */
uint64_t wm_server_complete_us(const struct wm_server *s);

struct wm_report {
	bool		 known;		/* every server has told something */
	uint64_t	 complete_us;	/* "complete up to T" */
	uint64_t	 lag_us;	/* newest source time less that */
	uint64_t	 lag_ticks;	/* sum over servers */
	const char	*slowest;	/* server that holds it, or NULL */
	uint64_t	 silent_ms;	/* of the most silent server */
	const char	*silent;
};
/* source_now_us: the source's clock now (0: the newest time received). */
void	wm_report(const struct watermarks *w, uint64_t source_now_us,
	    uint64_t now_ms, struct wm_report *r);
/* The first server that was silent for longer; NULL: all are alive. */
const char *wm_timed_out(const struct watermarks *w, uint64_t timeout_ms,
	    uint64_t now_ms);

#endif
