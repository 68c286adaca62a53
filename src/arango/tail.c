/* tail.c - the tail of one DB-server; see tail.h and rules R1, R2, R5, R6 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "arango/conn.h"
#include "arango/tail.h"
#include "arango/wal_parse.h"
#include "base/str.h"
#include "ev/backoff.h"
#include "ev/loop.h"
#include "http/client.h"

#define IDLE_FIRST_MS	5
/* Pruning may begin 60 s after a server came back (R2). */
#define BACKOFF_MIN_MS	50
#define BACKOFF_MAX_MS	10000
/* After so long a silence the server may have been another one meanwhile. */
#define SILENCE_MS	10000
/* So far back we look first for a line that proves the history. */
#define WITNESS_TICKS	256

/* What the header of a response says. */
struct wal_head {
	bool		 more, from_present, vpack;
	uint64_t	 included, scanned, newest;
};

struct arango_tail {
	struct arango_tail_opts	 o;
	struct arango_tail_point point;
	struct wal_parser	 parser;
	struct wal_head		 head;
	struct arango_cancel	 request, nap;
	struct http_call	*call;		/* the one that streams */
	uint64_t		 asked_from;
	struct backoff		 backoff;
	uint64_t		 idle_ms;
	enum arango_tail_event	 trouble;
	bool			 in_trouble;
	bool			 stopped, paused, gap, sought;
	bool			 unproven;	/* it may be another log now */
	uint64_t		 good_ms;	/* last whole response */
	int			 refused;	/* by on_marker */
};

static void	tail_run(void *arg);
static int	on_marker(void *arg, const struct arango_marker *m);

struct arango_tail *
arango_tail_start(const struct arango_tail_opts *o)
{
	struct arango_tail	*t = xcalloc(1, sizeof(*t));

	t->o = *o;
	t->point = o->point;
	t->backoff = (struct backoff)BACKOFF_INIT(BACKOFF_MIN_MS,
	    BACKOFF_MAX_MS);
	wal_parse_init(&t->parser, o->max_line);
	t->parser.on_marker = on_marker;
	t->parser.arg = t;
	fiber_spawn(arango_loop(o->cluster), tail_run, t);
	return t;
}

void
arango_tail_stop(struct arango_tail **tp)
{
	struct arango_tail	*t = *tp;

	*tp = NULL;
	if (t == NULL)
		return;
	t->stopped = true;
	arango_cancel(&t->request);
	arango_cancel(&t->nap);
}

void
arango_tail_pause(struct arango_tail *t)
{
	t->paused = true;
	if (t->call != NULL)
		http_call_pause(t->call);
}

void
arango_tail_resume(struct arango_tail *t)
{
	if (!t->paused)
		return;
	t->paused = false;
	if (t->call != NULL)
		http_call_resume(t->call);
	arango_cancel(&t->nap);
}

struct arango_tail_point
arango_tail_point(const struct arango_tail *t)
{
	return t->point;
}

void
arango_tail_poke(struct arango_tail *t)
{
	t->idle_ms = 0;
	arango_cancel(&t->nap);
}

void
arango_tail_seek(struct arango_tail *t, const struct arango_tail_point *p)
{
	t->point = *p;
	t->sought = true;
	t->unproven = false;
	t->gap = false;
	arango_cancel(&t->request);
	arango_cancel(&t->nap);
}

/* ---- the header of a response ------------------------------------------- */

static int
header_u64(const struct http_call *call, const char *name, uint64_t *v)
{
	const char	*s = http_call_header(call, name);

	return s == NULL ? ERR_PROTOCOL : str_to_u64(s, v);
}

static int
header_bool(const struct http_call *call, const char *name, bool *v)
{
	const char	*s = http_call_header(call, name);

	if (s == NULL || (strcmp(s, "true") != 0 && strcmp(s, "false") != 0))
		return ERR_PROTOCOL;
	*v = *s == 't';
	return 0;
}

static bool
type_is(const char *type, const char *want)
{
	size_t	 n = strlen(want);

	return type != NULL && strncasecmp(type, want, n) == 0 &&
	    (type[n] == '\0' || type[n] == ';' || type[n] == ' ');
}

#define H	"x-arango-replication-"

/* 0 or ERR_PROTOCOL: it is not an answer of wal/tail. */
static int
read_head(const struct http_call *call, int status, struct wal_head *h)
{
	const char	*type = http_call_header(call, "content-type");

	memset(h, 0, sizeof(*h));
	if ((status != 200 && status != 204) ||
	    header_u64(call, H "lastincluded", &h->included) != 0 ||
	    header_u64(call, H "lastscanned", &h->scanned) != 0 ||
	    header_u64(call, H "lasttick", &h->newest) != 0 ||
	    header_bool(call, H "checkmore", &h->more) != 0 ||
	    header_bool(call, H "frompresent", &h->from_present) != 0)
		return ERR_PROTOCOL;
	h->vpack = type_is(type, "application/x-velocypack");
	if (status == 200 && !h->vpack &&
	    !type_is(type, "application/x-arango-dump"))
		return ERR_PROTOCOL;
	return 0;
}

/* ---- one response ------------------------------------------------------- */

static int
on_status(void *arg, struct http_call *call, int status)
{
	struct arango_tail	*t = arg;
	int			 r;

	if (t->stopped || t->sought)
		return ERR_CANCELLED;
	if ((r = read_head(call, status, &t->head)) != 0)
		return r;
	if (!t->head.from_present && t->asked_from > 0) {
		t->gap = true;
		return ERR_NOT_FOUND;
	}
	wal_parse_begin(&t->parser, t->head.vpack);
	t->call = call;
	if (t->paused)
		http_call_pause(call);
	return 0;
}

static int
on_data(void *arg, struct http_call *call, const uint8_t *p, size_t n)
{
	struct arango_tail	*t = arg;

	if (t->stopped || t->sought)
		return ERR_CANCELLED;
	return wal_parse_feed(&t->parser, p, n);
}

static void
on_over(void *arg)
{
	struct arango_tail	*t = arg;

	t->call = NULL;
}

static int
on_marker(void *arg, const struct arango_marker *m)
{
	struct arango_tail	*t = arg;
	int			 r;

	/* It may have been stopped by the one before. */
	if (t->stopped || t->sought)
		return ERR_CANCELLED;
	r = t->o.on_marker(t->o.arg, m);
	if (r < 0)
		t->refused = r;
	return r;
}

/*
 * Everything arrived: does it hang together?  The last marker must be the one
 * that the header names, else something was cut off on the way.
 */
static int
check_whole(struct arango_tail *t, struct err_msg *m)
{
	const struct wal_head	*h = &t->head;

	if (wal_parse_end(&t->parser) != 0)
		return err_set(m, ERR_TRUNCATED, "the last marker is cut off");
	if (t->parser.last_tick != h->included)
		return err_set(m, ERR_PROTOCOL, "%" PRIu64 " markers end at "
		    "tick %" PRIu64 ", the header says %" PRIu64,
		    t->parser.markers, t->parser.last_tick, h->included);
	if (h->included != 0 && h->included <= t->asked_from)
		return err_set(m, ERR_PROTOCOL, "asked from %" PRIu64 ", got "
		    "markers up to %" PRIu64, t->asked_from, h->included);
	return 0;
}

/* R1: the new position, from the headers of a whole response only. */
static void
advance(struct arango_tail *t)
{
	const struct wal_head	*h = &t->head;
	struct arango_tail_point *p = &t->point;

	if (h->included > 0) {
		p->has_last = true;
		p->last_vpack = h->vpack;
		p->last_from = t->asked_from;
		p->last_tick = h->included;
		p->last_crc = t->parser.last_crc;
		p->from = h->included;
	} else if (h->scanned > 0)
		p->from = MAX(t->asked_from, h->scanned - 1);
}

static void
tell(struct arango_tail *t, enum arango_tail_event ev, const char *why)
{
	if (!t->stopped && t->o.on_event != NULL)
		t->o.on_event(t->o.arg, ev, why);
}

static void
took_whole(struct arango_tail *t, const struct arango_answer *ans)
{
	struct arango_tail_done	 d = { .asked_from = t->asked_from };
	bool			 moved;

	advance(t);
	t->unproven = false;
	t->good_ms = loop_now_ms(arango_loop(t->o.cluster));
	moved = t->point.from != t->asked_from;
	backoff_reset(&t->backoff);
	if (t->in_trouble) {
		t->in_trouble = false;
		tell(t, ARANGO_TAIL_UP, "");
	}
	d.point = t->point;
	d.server_tick = t->head.newest;
	d.markers = t->parser.markers;
	d.bytes = t->parser.bytes;
	d.elapsed_us = ans->elapsed_us;
	/* Nothing for us in what was read, but there is more behind it. */
	d.more = t->head.more || (moved && d.markers == 0 &&
	    t->head.scanned < t->head.newest);
	if (d.more || d.markers > 0)
		t->idle_ms = 0;
	if (!t->stopped && t->o.on_done != NULL)
		t->o.on_done(t->o.arg, &d);
	if (d.more || t->stopped || t->sought)
		return;
	t->idle_ms = MIN(MAX(t->idle_ms + t->idle_ms / 2, IDLE_FIRST_MS),
	    t->o.idle_max_ms);
	arango_sleep(&t->nap, t->idle_ms);
}

static enum arango_tail_event
event_of(const struct arango_tail *t, const struct arango_answer *ans)
{
	if (ans->err == ERR_DENIED)
		return ARANGO_TAIL_DENIED;
	if (ans->err == ERR_HTTP && ans->status != 0)
		return arango_react(ans->num, ans->status) == ARANGO_RETRY ?
		    ARANGO_TAIL_DOWN : ARANGO_TAIL_FAILED;
	if (ans->err == ERR_PROTOCOL || ans->err == ERR_FORMAT ||
	    ans->err == ERR_TOO_BIG)
		return t->refused != 0 ? ARANGO_TAIL_BROKEN :
		    ARANGO_TAIL_FAILED;
	return ARANGO_TAIL_DOWN;
}

/* Tell what happened (once, while it stays the same), and wait. */
static void
took_nothing(struct arango_tail *t, const struct arango_answer *ans)
{
	enum arango_tail_event	 ev;
	uint32_t		 pause;

	if (t->parser.markers > 0 || t->refused != 0)
		tell(t, ARANGO_TAIL_BROKEN, ans->msg.text);
	/* Whoever answers next may have lost what we have read (R5). */
	if (t->refused == 0 && ans->err != ERR_DENIED)
		t->unproven = true;
	ev = event_of(t, ans);
	if (t->refused == 0 && ev != ARANGO_TAIL_BROKEN &&
	    (!t->in_trouble || t->trouble != ev)) {
		t->in_trouble = true;
		t->trouble = ev;
		tell(t, ev, ans->msg.text);
	}
	if (t->stopped || t->sought)
		return;
	pause = backoff_failed(&t->backoff,
	    loop_now_ms(arango_loop(t->o.cluster)));
	arango_sleep(&t->nap, MIN(pause, BACKOFF_MAX_MS));
}

static void
ask(struct arango_tail *t, struct arango_answer *ans)
{
	struct arango_req	 req = ARANGO_REQ_INIT;
	char			*path;

	t->asked_from = t->point.from;
	t->refused = 0;
	t->call = NULL;
	wal_parse_begin(&t->parser, false);
	path = xasprintf("/_api/wal/tail?global=true&from=%" PRIu64
	    "&lastScanned=0&chunkSize=%" PRIu32, t->asked_from,
	    t->o.chunk_bytes);
	req.to = t->o.server;
	req.path = path;
	req.accept = t->o.ask_vpack ? ARANGO_VPACK : ARANGO_DUMP;
	req.timeout_ms = 0;
	req.stall_ms = ARANGO_TIMEOUT_READ_MS;
	req.cancel = &t->request;
	req.on_status = on_status;
	req.on_data = on_data;
	req.on_over = on_over;
	req.arg = t;
	arango_call(t->o.cluster, &req, ans);
	if (ans->err == 0)
		ans->err = check_whole(t, &ans->msg);
	free(path);
}

/*
 * R5 without waiting for the agency to tell of a reboot: after any trouble the
 * last line is read again.  0: go on; otherwise look again at what is to be
 * done.
 */
static int
make_sure(struct arango_tail *t)
{
	struct arango_tail_point	 q;
	struct arango_answer		 ans = { 0 };

	if (t->good_ms != 0 && loop_now_ms(arango_loop(t->o.cluster)) -
	    t->good_ms > SILENCE_MS)
		t->unproven = true;
	if (!t->unproven || !t->point.has_last)
		return 0;
	t->refused = 0;
	wal_parse_begin(&t->parser, false);
	ans.err = arango_tail_prove(t->o.cluster, t->o.server, &t->point,
	    &t->request, &q, &ans.msg);
	if (t->stopped || t->sought)
		return ERR_CANCELLED;
	switch (ans.err) {
	case 0:
		t->point.from = q.from;
		break;
	case ERR_NOT_FOUND:
		break;	/* pruned: what follows will show */
	case ERR_CORRUPT:
		t->gap = true;
		tell(t, ARANGO_TAIL_GAP, ans.msg.text);
		return ERR_CORRUPT;
	default:
		took_nothing(t, &ans);
		return ans.err;
	}
	t->unproven = false;
	t->good_ms = loop_now_ms(arango_loop(t->o.cluster));
	return 0;
}

static void
tail_run(void *arg)
{
	struct arango_tail	*t = arg;
	struct arango_answer	 ans;

	while (!t->stopped) {
		memset(&t->request, 0, sizeof(t->request));
		memset(&t->nap, 0, sizeof(t->nap));
		t->sought = false;
		if (t->paused || t->gap) {
			arango_sleep(&t->nap, 60 * 1000);
			continue;
		}
		if (make_sure(t) != 0)
			continue;
		if (t->o.on_request != NULL)
			t->o.on_request(t->o.arg, t->point.from);
		if (t->stopped || t->sought || t->paused)
			continue;
		ask(t, &ans);
		if (t->stopped || t->sought)
			;
		else if (t->gap)
			tell(t, ARANGO_TAIL_GAP, "what follows the position "
			    "is no longer in the log, or it is another log");
		else if (ans.err == 0)
			took_whole(t, &ans);
		else
			took_nothing(t, &ans);
		arango_answer_free(&ans);
	}
	wal_parse_free(&t->parser);
	free(t);
}

/* ---- proof of history --------------------------------------------------- */

struct proof {
	struct wal_parser	 parser;
	struct wal_head		 head;
	bool			 gone;
	uint64_t		 from;
};

static int
proof_status(void *arg, struct http_call *call, int status)
{
	struct proof	*p = arg;
	int		 r;

	if ((r = read_head(call, status, &p->head)) != 0)
		return r;
	if (!p->head.from_present && p->from > 0) {
		p->gone = true;
		return ERR_NOT_FOUND;
	}
	wal_parse_begin(&p->parser, p->head.vpack);
	return 0;
}

static int
proof_data(void *arg, struct http_call *call, const uint8_t *d, size_t n)
{
	struct proof	*p = arg;

	return wal_parse_feed(&p->parser, d, n);
}

static int
proof_marker(void *arg, const struct arango_marker *m)
{
	return 0;
}

static int
judge(const struct proof *p, const struct arango_tail_point *pt,
    struct err_msg *m)
{
	if (p->head.vpack != pt->last_vpack)
		return err_set(m, ERR_NOT_FOUND, "the server prints its log "
		    "in another way than then: nothing can be compared");
	if (p->parser.markers == 0 || p->parser.last_tick != pt->last_tick)
		return err_set(m, ERR_CORRUPT, "another history: tick %" PRIu64
		    " is not in it any more", pt->last_tick);
	if (p->parser.last_crc != pt->last_crc)
		return err_set(m, ERR_CORRUPT, "another history: tick %" PRIu64
		    " is another operation now", pt->last_tick);
	return 0;
}

/* Everything in (from, to], thrown away but for the last line.  Waits. */
static int
read_part(struct arango *a, struct arango_server *s, uint64_t from,
    uint64_t to, bool vpack, struct arango_cancel *cancel, struct proof *p,
    struct err_msg *m)
{
	struct arango_req	 req = ARANGO_REQ_INIT;
	struct arango_answer	 ans;
	char			*path;
	int			 r;

	memset(p, 0, sizeof(*p));
	p->from = from;
	wal_parse_init(&p->parser, SIZE_MAX / 2);
	p->parser.on_marker = proof_marker;
	path = xasprintf("/_api/wal/tail?global=true&from=%" PRIu64
	    "&to=%" PRIu64 "&lastScanned=0&chunkSize=134217728", from, to);
	req.to = s;
	req.path = path;
	req.accept = vpack ? ARANGO_VPACK : ARANGO_DUMP;
	req.timeout_ms = 0;
	req.stall_ms = ARANGO_TIMEOUT_READ_MS;
	req.cancel = cancel;
	req.on_status = proof_status;
	req.on_data = proof_data;
	req.arg = p;
	r = arango_call(a, &req, &ans);
	if (r == 0 && wal_parse_end(&p->parser) != 0)
		r = err_set(&ans.msg, ERR_TRUNCATED, "%s: %s cut its answer "
		    "off", arango_name(a), s->id);
	if (r != 0 && m != NULL)
		*m = ans.msg;
	wal_parse_free(&p->parser);
	arango_answer_free(&ans);
	free(path);
	return r;
}

/*
 * Behind the last line nothing was read up to p->from.  When that is so today,
 * and the server is past it, nothing can come there any more.
 */
static int
prove_rest(struct arango *a, struct arango_server *s,
    const struct arango_tail_point *pt, struct arango_cancel *cancel,
    struct arango_tail_point *resume, struct err_msg *m)
{
	struct proof	 p;
	int		 r;

	if (pt->from <= pt->last_tick)
		return 0;
	r = read_part(a, s, pt->last_tick, pt->from, pt->last_vpack, cancel,
	    &p, m);
	if (r == 0 && p.parser.markers == 0 && p.head.newest >= pt->from)
		resume->from = pt->from;
	return r;
}

int
arango_tail_prove(struct arango *a, struct arango_server *s,
    const struct arango_tail_point *pt, struct arango_cancel *cancel,
    struct arango_tail_point *resume, struct err_msg *m)
{
	struct proof	 p;
	int		 r;

	if (!pt->has_last)
		return err_set(m, ERR_NOT_FOUND, "nothing was read yet that "
		    "could prove the history of %s", s->id);
	r = read_part(a, s, pt->last_from, pt->last_tick, pt->last_vpack,
	    cancel, &p, m);
	if (p.gone && p.head.newest < pt->last_tick)
		return err_set(m, ERR_CORRUPT, "%s: the log of %s ends at "
		    "tick %" PRIu64 ", before what was read of it",
		    arango_name(a), s->id, p.head.newest);
	if (p.gone)
		return err_set(m, ERR_NOT_FOUND, "%s: the log of %s begins "
		    "behind tick %" PRIu64, arango_name(a), s->id,
		    pt->last_from);
	if (r == 0)
		r = judge(&p, pt, m);
	if (r != 0)
		return r;
	*resume = *pt;
	resume->from = pt->last_tick;
	return prove_rest(a, s, pt, cancel, resume, m);
}

int
arango_tail_witness(struct arango *a, struct arango_server *s,
    const struct arango_wal_range *range, struct arango_cancel *cancel,
    struct arango_tail_point *pt, struct err_msg *m)
{
	struct proof	 p;
	uint64_t	 window = WITNESS_TICKS, from;
	int		 r;

	memset(pt, 0, sizeof(*pt));
	pt->from = range->max;
	for (;; window *= 32) {
		from = range->max > window ? range->max - window : 0;
		from = MAX(from, MAX(range->min, 1));
		if (from >= range->max)
			return 0;
		if ((r = read_part(a, s, from, range->max, false, cancel, &p,
		    m)) != 0)
			return p.gone ? 0 : r;
		if (p.parser.markers != 0)
			break;
		if (from <= MAX(range->min, 1))
			return 0;
	}
	pt->has_last = true;
	pt->last_vpack = p.head.vpack;
	pt->last_from = from;
	pt->last_tick = p.parser.last_tick;
	pt->last_crc = p.parser.last_crc;
	return 0;
}
