/*
 * dbs_ttl.c - documents that expire, and the switch of it, /_api/ttl (R18)
 *
 * As arangod's TTL thread: every `frequency` ms each leader of a shard with a
 * TTL index removes documents whose attribute (seconds since 1970, or a date)
 * lies `expireAfter` seconds back; others than those that the look-up found,
 * by revision, stay.  It asks for read-only mode and the switch before a run
 * and before each shard, not within one.  The switch is in memory, and is
 * answered when a run in progress has ended.
 *
 * Facts: target reference, section 3 (notes on ttl); arangod's RestServer/
 * TtlFeature.cpp.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "sandbox/dbs.h"
#include "vpack/vpack.h"

#define LOOK_MS		100
#define SLICE_ROWS	5000
#define PIECE_KEYS	1000

enum { ACTIVE, FREQUENCY, MAX_TOTAL, MAX_COLLECTION, ONLY_LOADED };

static struct {
	const char	*name;
	bool		 is_bool;
	int64_t		 value;
} properties[] = {
	[ACTIVE]		= { "active", true, 1 },
	[FREQUENCY]		= { "frequency", false, 30000 },
	[MAX_TOTAL]		= { "maxTotalRemoves", false, 1000000 },
	[MAX_COLLECTION]	= { "maxCollectionRemoves", false, 100000 },
	[ONLY_LOADED]		= { "onlyLoadedCollections", true, 1 }
};

static bool	running;

/* ---- when a document expires -------------------------------------------- */

/* "2024-05-01", "2024-05-01T12:00:00.123Z", "...+02:00": seconds since 1970. */
static bool
date_seconds(const char *text, double *s)
{
	struct tm	 tm;
	double		 sec = 0;
	int		 n = 0, hours = 0, minutes = 0;
	char		 sign;

	memset(&tm, 0, sizeof(tm));
	if (sscanf(text, "%4d-%2d-%2d%n", &tm.tm_year, &tm.tm_mon,
	    &tm.tm_mday, &n) != 3)
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	text += n;
	if (*text == 'T' || *text == ' ') {
		if (sscanf(text + 1, "%2d:%2d%n", &tm.tm_hour, &tm.tm_min,
		    &n) != 2)
			return false;
		text += n + 1;
		if (*text == ':' && sscanf(text, ":%6lf%n", &sec, &n) == 1)
			text += n;
	}
	if (sscanf(text, "%c%2d:%2d", &sign, &hours, &minutes) == 3 &&
	    (sign == '+' || sign == '-')) {
		hours = sign == '-' ? -hours : hours;
		minutes = sign == '-' ? -minutes : minutes;
	} else if (*text != '\0' && strcmp(text, "Z") != 0)
		return false;
	*s = (double)timegm(&tm) + sec - hours * 3600 - minutes * 60;
	return true;
}

/* Of the attribute that is indexed; false: it never does. */
static bool
is_expired(const uint8_t *v, double stamp)
{
	char		 text[64];
	const char	*p;
	size_t		 n;
	double		 at;

	if (v == NULL)
		return false;
	if (vp_is_number(v)) {
		if (vp_get_double(v, &at) != 0)
			return false;
	} else if ((p = vp_get_string(v, &n)) != NULL && n < sizeof(text)) {
		memcpy(text, p, n);
		text[n] = '\0';
		if (!date_seconds(text, &at))
			return false;
	} else
		return false;
	return at >= 0 && at <= stamp;
}

/* ---- a shard ------------------------------------------------------------ */

struct doomed {
	uint64_t	 rev;
	uint16_t	 klen;
	char		 key[254];
};

struct ttl_run {
	struct dbs_shard	*s;
	const struct store_index *index;
	double			 stamp;
	struct doomed		*all;
	size_t			 n, cap, max;
};

static bool
may_run(const struct dbs *d)
{
	return !d->stopping && properties[ACTIVE].value != 0 &&
	    !cluster_is_readonly(d->cluster);
}

static const struct store_index *
ttl_index(const struct store_shard *sh)
{
	size_t	 i;

	for (i = 0; i < sh->nindexes; i++)
		if (strcmp(sh->indexes[i]->type, "ttl") == 0 &&
		    sh->indexes[i]->nfields == 1)
			return sh->indexes[i];
	return NULL;
}

static void
found(struct ttl_run *x, const struct store_row *row)
{
	struct doomed	*e;

	if (row->klen > sizeof(e->key))
		return;
	if (x->n == x->cap) {
		x->cap = MAX((size_t)64, x->cap * 2);
		x->all = xrealloc(x->all, x->cap * sizeof(*x->all));
	}
	e = &x->all[x->n++];
	e->rev = row->rev;
	e->klen = (uint16_t)row->klen;
	memcpy(e->key, row->key, row->klen);
}

/* Who has expired, up to the bound.  Waits. */
static void
look_up(struct ttl_run *x, const char *field)
{
	struct store_scan	*scan;
	struct store_row	 row;
	unsigned		 i = 0;

	if (store_scan_new(x->s->d->store, x->s->sh, STORE_BY_REV, NULL, NULL,
	    &scan) != 0)
		return;
	while (x->n < x->max && x->s->sh != NULL &&
	    store_scan_next(scan, true, &row) == 1) {
		if (row.doc != NULL && is_expired(vp_obj_get(row.doc, field,
		    strlen(field)), x->stamp))
			found(x, &row);
		if (++i % SLICE_ROWS == 0)
			fiber_yield();
	}
	store_scan_free(&scan);
}

/* A piece of them, those that are what they were.  Waits. */
static size_t
remove_some(struct ttl_run *x, size_t at, size_t *gone)
{
	struct dbs_shard	*s = x->s;
	struct dbs_batch	 b;
	struct dbs_wait		 w = { 0 };
	const struct doomed	*e;
	uint64_t		 rev;
	size_t			 end = MIN(x->n, at + PIECE_KEYS);

	dbs_shard_wait_unlocked(s);
	if (dbs_shard_check_write(s, NULL) != AE_OK)
		return x->n;
	s->writing++;
	dbs_batch_begin(&b, s, STORE_TX_REQUEST, NULL);
	for (; at < end; at++) {
		e = &x->all[at];
		if (store_get_rev(s->d->store, b.tx, s->sh, e->key, e->klen,
		    &rev) == 0 && rev == e->rev)
			*gone += dbs_batch_remove(&b, e->key, e->klen,
			    NULL) == AE_OK;
	}
	if (dbs_batch_end(&b, s->wait_for_sync, &w) != 0)
		dbs_storage_failed(s->d);
	if (b.nops > 0)
		(void)dbs_wait_finish(s->d, &w, s->wait_for_sync);
	s->writing--;
	fiber_cond_broadcast(&s->idle);
	return at;
}

static size_t
expire_shard(struct dbs_shard *s, size_t max)
{
	struct ttl_run	 x = { .s = s, .max = max };
	const uint8_t	*after;
	char		*field;
	double		 seconds = 0;
	size_t		 at = 0, gone = 0;

	if (dbs_shard_check_leader(s) != AE_OK ||
	    (x.index = ttl_index(s->sh)) == NULL)
		return 0;
	after = vp_obj_get(x.index->def, "expireAfter", 11);
	if (after == NULL || vp_get_double(after, &seconds) != 0)
		return 0;
	x.stamp = (double)clock_wall_ms() / 1000 - seconds;
	/* the index may go while we look */
	field = xstrdup(x.index->fields[0]);
	look_up(&x, field);
	free(field);
	while (at < x.n && s->sh != NULL)
		at = remove_some(&x, at, &gone);
	free(x.all);
	if (gone != 0)
		log_info("%s/%s: %zu documents have expired", s->db, s->name,
		    gone);
	return gone;
}

/* ---- runs --------------------------------------------------------------- */

static void
run(struct dbs *d)
{
	struct dbs_shard	**all = NULL;
	struct store_shard	*sh;
	size_t			 n = 0, i;
	size_t			 left = (size_t)MAX(properties[MAX_TOTAL].value,
				    0);

	for (sh = store_shard_next(d->store, NULL); sh != NULL;
	    sh = store_shard_next(d->store, sh)) {
		if (ttl_index(sh) == NULL)
			continue;
		all = xrealloc(all, (n + 1) * sizeof(*all));
		all[n++] = dbs_shard_ref(dbs_shard_of(d, sh));
	}
	for (i = 0; i < n; i++) {
		if (left > 0 && may_run(d))
			left -= expire_shard(all[i], MIN(left,
			    (size_t)MAX(properties[MAX_COLLECTION].value, 0)));
		dbs_shard_unref(&all[i]);
	}
	free(all);
}

void
dbs_ttl_main(void *arg)
{
	struct dbs	*d = arg;
	uint64_t	 last = loop_now_ms(d->loop);

	while (!d->stopping) {
		fiber_sleep_ms(LOOK_MS);
		if (!may_run(d) || loop_now_ms(d->loop) - last <
		    (uint64_t)MAX(properties[FREQUENCY].value, LOOK_MS))
			continue;
		last = loop_now_ms(d->loop);
		running = true;
		run(d);
		running = false;
	}
}

/* ---- the switch --------------------------------------------------------- */

static bool
is_system(struct sb_req *r)
{
	if (strcmp(r->db, "_system") == 0)
		return true;
	sb_error(r, AE_USE_SYSTEM_DATABASE, NULL);
	return false;
}

static void
reply(struct sb_req *r)
{
	struct json_object	*o = json_object_new_object();
	struct json_object	*all = json_object_new_object();
	size_t			 i;

	for (i = 0; i < NITEMS(properties); i++)
		json_object_object_add(all, properties[i].name,
		    properties[i].is_bool ?
		    json_object_new_boolean(properties[i].value != 0) :
		    json_object_new_int64(properties[i].value));
	json_object_object_add(o, "result", all);
	sb_reply_ok(r, 200, o);
}

static void
get_properties(struct sb_req *r)
{
	if (is_system(r))
		reply(r);
}

static void
put_properties(struct sb_req *r)
{
	struct json_object	*body, *v;
	size_t			 i;
	bool			 good = true;

	if (!is_system(r) || (body = sb_body_json(r, false)) == NULL)
		return;
	for (i = 0; i < NITEMS(properties) && good; i++)
		if (json_object_object_get_ex(body, properties[i].name, &v))
			good = json_object_is_type(v, properties[i].is_bool ?
			    json_type_boolean : json_type_int);
	for (i = 0; i < NITEMS(properties) && good; i++)
		if (json_object_object_get_ex(body, properties[i].name, &v))
			properties[i].value = properties[i].is_bool ?
			    json_object_get_boolean(v) :
			    json_object_get_int64(v);
	json_object_put(body);
	if (!good) {
		sb_error(r, AE_BAD_PARAMETER, NULL);
		return;
	}
	while (running && properties[ACTIVE].value == 0)
		fiber_sleep_ms(10);
	reply(r);
}

static void
statistics(struct sb_req *r)
{
	sb_not_supported(r, "statistics of the TTL thread");
}

#define ANY	(SB_GET | SB_POST | SB_PUT | SB_PATCH | SB_DELETE | SB_HEAD)

const struct sb_route dbs_ttl_routes[] = {
	{ SB_GET, "/_api/ttl/properties", SB_SUPERUSER, get_properties },
	{ SB_PUT, "/_api/ttl/properties", SB_SUPERUSER, put_properties },
	{ ANY, "/_api/ttl/**", SB_SUPERUSER, statistics },
	{ 0 }
};
