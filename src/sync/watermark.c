/* watermark.c - how far the target is; see watermark.h */
#include <stdlib.h>
#include <string.h>

#include <sys/queue.h>

#include "base/err.h"
#include "sync/watermark.h"

/*
 * Which source time belongs to a tick: the newest watermark, and those since
 * somebody is behind, the thinner the longer that is: an outage of days needs
 * no more memory.
 */
#define HISTORY_MAX	1024

struct mark {
	uint64_t	 tick, source_us;
};

struct wm_channel {
	struct wm_server	*server;
	uint64_t		 applied, queued;
	bool			 stalled;
	bool			 held;		/* is in the server's list */
	TAILQ_ENTRY(wm_channel)	 next;
};

struct wm_server {
	struct watermarks	*all;
	char			*id;
	bool			 known;		/* something came */
	uint64_t		 reboot_id;
	uint64_t		 received_ms;
	struct mark		 newest;
	struct mark		*history;	/* by tick */
	size_t			 n;
	uint64_t		 spacing_us;	/* at least, between two */
	/* channels that are not applied through the newest watermark */
	TAILQ_HEAD(, wm_channel) held;
	size_t			 nchannels;
	TAILQ_ENTRY(wm_server)	 next;
};

struct watermarks {
	TAILQ_HEAD(, wm_server)	 servers;
};

struct watermarks *
wm_new(void)
{
	struct watermarks	*w = xcalloc(1, sizeof(*w));

	TAILQ_INIT(&w->servers);
	return w;
}

static void
server_free(struct wm_server *s)
{
	TAILQ_REMOVE(&s->all->servers, s, next);
	free(s->history);
	free(s->id);
	free(s);
}

void
wm_free(struct watermarks **wp)
{
	struct watermarks	*w = *wp;

	*wp = NULL;
	if (w == NULL)
		return;
	while (!TAILQ_EMPTY(&w->servers))
		server_free(TAILQ_FIRST(&w->servers));
	free(w);
}

static struct wm_server *
server_find(const struct watermarks *w, const char *id)
{
	struct wm_server	*s;

	TAILQ_FOREACH(s, &w->servers, next)
		if (strcmp(s->id, id) == 0)
			return s;
	return NULL;
}

struct wm_server *
wm_server(struct watermarks *w, const char *id)
{
	struct wm_server	*s = server_find(w, id);

	if (s != NULL)
		return s;
	s = xcalloc(1, sizeof(*s));
	s->all = w;
	s->id = xstrdup(id);
	TAILQ_INIT(&s->held);
	TAILQ_INSERT_TAIL(&w->servers, s, next);
	return s;
}

void
wm_server_remove(struct watermarks *w, const char *id)
{
	struct wm_server	*s = server_find(w, id);

	if (s != NULL && s->nchannels == 0)
		server_free(s);
}

/* ---- watermarks --------------------------------------------------------- */

static void
history_add(struct wm_server *s)
{
	size_t		 i;

	if (s->history == NULL)
		s->history = xcalloc(HISTORY_MAX, sizeof(*s->history));
	/* nobody is behind: the past is of no interest */
	if (TAILQ_EMPTY(&s->held)) {
		s->n = 0;
		s->spacing_us = 0;
	}
	if (s->n != 0 && s->newest.source_us <
	    s->history[s->n - 1].source_us + s->spacing_us)
		return;
	if (s->n == HISTORY_MAX) {
		for (i = 0; i < HISTORY_MAX / 2; i++)
			s->history[i] = s->history[i * 2];
		s->n = i;
		s->spacing_us = (s->newest.source_us -
		    s->history[0].source_us) / (HISTORY_MAX / 2);
	}
	s->history[s->n++] = s->newest;
}

int
wm_receive(struct wm_server *s, uint64_t reboot_id, uint64_t tick,
    uint64_t source_us, uint64_t now_ms)
{
	if (s->known && reboot_id != s->reboot_id)
		s->n = 0;
	else if (s->known && tick < s->newest.tick)
		return ERR_RANGE;
	/* the source's clock may step back; "complete up to" does not */
	if (s->known && source_us < s->newest.source_us)
		source_us = s->newest.source_us;
	s->known = true;
	s->reboot_id = reboot_id;
	s->received_ms = now_ms;
	s->newest.tick = tick;
	s->newest.source_us = source_us;
	history_add(s);
	return 0;
}

/* The newest watermark at or below the tick; NULL: it is older than all. */
static const struct mark *
mark_for(const struct wm_server *s, uint64_t tick)
{
	size_t		 lo = 0, hi = s->n, mid;

	if (tick >= s->newest.tick)
		return &s->newest;
	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (s->history[mid].tick <= tick)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo == 0 ? NULL : &s->history[lo - 1];
}

/* ---- channels ----------------------------------------------------------- */

static void
channel_place(struct wm_channel *c)
{
	bool	 held = c->stalled || c->applied < c->queued;

	if (held == c->held)
		return;
	c->held = held;
	if (held)
		TAILQ_INSERT_TAIL(&c->server->held, c, next);
	else
		TAILQ_REMOVE(&c->server->held, c, next);
}

struct wm_channel *
wm_channel_add(struct wm_server *s, uint64_t applied_tick)
{
	struct wm_channel	*c = xcalloc(1, sizeof(*c));

	c->server = s;
	c->applied = c->queued = applied_tick;
	s->nchannels++;
	return c;
}

void
wm_channel_remove(struct wm_channel **cp)
{
	struct wm_channel	*c = *cp;

	*cp = NULL;
	if (c == NULL)
		return;
	if (c->held)
		TAILQ_REMOVE(&c->server->held, c, next);
	c->server->nchannels--;
	free(c);
}

void
wm_channel_set(struct wm_channel *c, uint64_t applied_tick,
    uint64_t queued_tick, bool stalled)
{
	c->applied = applied_tick;
	c->queued = MAX(applied_tick, queued_tick);
	c->stalled = stalled;
	channel_place(c);
}

void
wm_channel_queued(struct wm_channel *c, uint64_t tick)
{
	/* what it was applied through until now, by having nothing queued */
	if (!c->held && c->server->known &&
	    c->server->newest.tick > c->applied &&
	    c->server->newest.tick < tick)
		c->applied = c->server->newest.tick;
	if (tick > c->queued)
		c->queued = tick;
	channel_place(c);
}

void
wm_channel_applied(struct wm_channel *c, uint64_t tick)
{
	if (tick > c->applied)
		c->applied = tick;
	channel_place(c);
}

void
wm_channel_stall(struct wm_channel *c, bool stalled)
{
	if (stalled && !c->held && c->server->known &&
	    c->server->newest.tick > c->applied)
		c->applied = c->server->newest.tick;
	c->stalled = stalled;
	channel_place(c);
}

uint64_t
wm_channel_tick(const struct wm_channel *c)
{
	return c->held ? c->applied : MAX(c->applied, c->server->newest.tick);
}

uint64_t
wm_server_tick(const struct wm_server *s)
{
	const struct wm_channel	*c;
	uint64_t		 tick = s->newest.tick;

	TAILQ_FOREACH(c, &s->held, next)
		tick = MIN(tick, c->applied);
	return tick;
}

uint64_t
wm_server_lag_ticks(const struct wm_server *s)
{
	return s->newest.tick - wm_server_tick(s);
}

uint64_t
wm_server_complete_us(const struct wm_server *s)
{
	const struct mark	*m;

	if (!s->known || (m = mark_for(s, wm_server_tick(s))) == NULL)
		return 0;
	return m->source_us;
}

/* ---- reports ------------------------------------------------------------ */

void
wm_report(const struct watermarks *w, uint64_t source_now_us, uint64_t now_ms,
    struct wm_report *r)
{
	const struct wm_server	*s;
	const struct mark	*m;
	uint64_t		 us, newest = 0, silent;

	memset(r, 0, sizeof(*r));
	r->known = !TAILQ_EMPTY(&w->servers);
	r->complete_us = UINT64_MAX;
	TAILQ_FOREACH(s, &w->servers, next) {
		if (!s->known) {
			r->known = false;
			continue;
		}
		newest = MAX(newest, s->newest.source_us);
		silent = now_ms > s->received_ms ? now_ms - s->received_ms :
		    0;
		if (r->silent == NULL || silent > r->silent_ms) {
			r->silent_ms = silent;
			r->silent = s->id;
		}
		r->lag_ticks += wm_server_lag_ticks(s);
		m = mark_for(s, wm_server_tick(s));
		us = m != NULL ? m->source_us : 0;
		if (us < r->complete_us) {
			r->complete_us = us;
			r->slowest = s->id;
		}
	}
	/* before the first watermark that we know of: nothing can be said */
	if (!r->known || r->complete_us == 0 ||
	    r->complete_us == UINT64_MAX) {
		r->known = false;
		r->complete_us = 0;
		return;
	}
	newest = MAX(newest, source_now_us);
	r->lag_us = newest - r->complete_us;
}

const char *
wm_timed_out(const struct watermarks *w, uint64_t timeout_ms, uint64_t now_ms)
{
	const struct wm_server	*s;

	TAILQ_FOREACH(s, &w->servers, next)
		if (s->known && now_ms > s->received_ms &&
		    now_ms - s->received_ms > timeout_ms)
			return s->id;
	return NULL;
}
