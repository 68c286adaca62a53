/*
 * inventory_apply.c - the steps of a plan: which may go, how they are carried
 * out, and what is remembered of those that failed; see inventory_priv.h
 *
 * The cluster is read-only for everybody else meanwhile; what we send carries a
 * superuser's token, which read-only mode does not concern (target reference
 * 10.1).  In a cluster without authentication there are no superusers: there
 * 11 and 1004 come back, and are tried again, as the mode may change.
 */
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "arango/structure.h"
#include "base/crc32c.h"
#include "inventory/inventory_priv.h"
#include "json/get.h"

#define FAILED_MIN_MS	1000
#define FAILED_MAX_MS	60000
/* What was refused is tried again all the same: the target may be upgraded. */
#define REFUSED_MS	(5 * 60 * 1000)
/* Coordinators learn of a new database in their heartbeat. */
#define LEARN_EVERY_MS	300
#define LEARN_TRIES	20

/* ---- troubles ---------------------------------------------------------- */

void
inv_step_key(struct buf *b, const struct plan_step *s)
{
	char		*text = s->def != NULL ? structure_text(s->def) : NULL;

	buf_printf(b, "%s %s/%s/%s %08x", plan_kind_name(s->kind), s->db,
	    s->coll != NULL ? s->coll : "", s->index != NULL ? s->index : "",
	    text != NULL ? (unsigned)crc32c(0, text, strlen(text)) : 0);
	free(text);
}

static void
trouble_free(void *vt)
{
	struct inv_trouble	*t = vt;

	free(t->what);
	free(t->why);
	free(t);
}

struct inv_trouble *
inv_troubles_get(const struct inv_troubles *ts, const struct plan_step *s)
{
	struct inv_trouble	*t;
	struct buf		 key = BUF_INIT;

	if (map_count(&ts->map) == 0)
		return NULL;
	inv_step_key(&key, s);
	t = map_get_n(&ts->map, key.data, key.len);
	buf_free(&key);
	return t;
}

void
inv_troubles_turn(struct inv_troubles *ts, const struct plan *p)
{
	struct inv_trouble	*t;
	struct map_iter		 it;
	size_t			 i;

	ts->turn++;
	for (i = 0; i < p->n; i++)
		if ((t = inv_troubles_get(ts, &p->steps[i])) != NULL)
			t->turn = ts->turn;
	MAP_FOREACH(&ts->map, it) {
		t = it.value;
		if (t->turn != ts->turn)
			trouble_free(map_del_n(&ts->map, it.key, it.key_len));
	}
}

bool
inv_is_refusal(int num)
{
	/* rights and modes change, and so do numbers of servers */
	if (num == 0 || num == AERR_FORBIDDEN || num == 1487)
		return false;
	return arango_react(num, 500) == ARANGO_FAIL;
}

void
inv_troubles_put(struct inv_troubles *ts, const struct plan_step *s, int num,
    const char *why, uint64_t now_ms)
{
	struct inv_trouble	*t = inv_troubles_get(ts, s);
	struct buf		 b = BUF_INIT;

	if (t == NULL) {
		t = xcalloc(1, sizeof(*t));
		inv_step_key(&b, s);
		map_put_n(&ts->map, b.data, b.len, t);
		buf_reset(&b);
		plan_step_sentence(&b, s);
		t->what = xstrdup(buf_cstr(&b));
		buf_free(&b);
	}
	free(t->why);
	t->why = xstrdup(why);
	t->refused = inv_is_refusal(num);
	t->tries++;
	t->turn = ts->turn;
	if (t->refused)
		t->wait_ms = REFUSED_MS;
	else if (t->wait_ms == 0 || t->wait_ms > FAILED_MAX_MS)
		t->wait_ms = FAILED_MIN_MS;
	else
		t->wait_ms = MIN(t->wait_ms * 2, (uint32_t)FAILED_MAX_MS);
	t->due_ms = now_ms + t->wait_ms;
}

void
inv_troubles_drop(struct inv_troubles *ts, const struct plan_step *s)
{
	struct inv_trouble	*t;
	struct buf		 key = BUF_INIT;

	if (map_count(&ts->map) == 0)
		return;
	inv_step_key(&key, s);
	if ((t = map_del_n(&ts->map, key.data, key.len)) != NULL)
		trouble_free(t);
	buf_free(&key);
}

void
inv_troubles_free(struct inv_troubles *ts)
{
	map_free(&ts->map, trouble_free);
}

uint64_t
inv_troubles_next_ms(const struct inv_troubles *ts)
{
	const struct inv_trouble	*t;
	struct map_iter			 it;
	uint64_t			 next = UINT64_MAX;

	MAP_FOREACH(&ts->map, it) {
		t = it.value;
		next = MIN(next, t->due_ms);
	}
	return next;
}

/* ---- which may go ------------------------------------------------------ */

/* Keys: "db", or "db/coll". */
void
inv_step_lose(struct inv_lost *lost, const struct plan_step *s)
{
	char	*key;

	/* nothing hangs on these */
	if (s->kind == PLAN_DROP_INDEX || s->kind == PLAN_CREATE_INDEX ||
	    s->kind == PLAN_CHANGE_COLL)
		return;
	if (s->coll == NULL) {
		map_put(&lost->map, s->db, lost);
		return;
	}
	key = xasprintf("%s/%s", s->db, s->coll);
	map_put(&lost->map, key, lost);
	free(key);
}

void
inv_lost_free(struct inv_lost *lost)
{
	map_free(&lost->map, NULL);
}

static bool
is_lost(const struct inv_lost *lost, const char *db, const char *coll)
{
	char	*key;
	bool	 is;

	if (map_count(&lost->map) == 0)
		return false;
	if (map_has(&lost->map, db))
		return true;
	if (coll == NULL)
		return false;
	key = xasprintf("%s/%s", db, coll);
	is = map_has(&lost->map, key);
	free(key);
	return is;
}

bool
inv_step_ready(struct inv_lost *lost, const struct inv_troubles *ts,
    const struct plan_step *s, uint64_t now_ms)
{
	const struct inv_trouble	*t = inv_troubles_get(ts, s);

	if (s->hold == PLAN_GO && (t == NULL || t->due_ms <= now_ms) &&
	    !is_lost(lost, s->db, s->coll) && !is_lost(lost, s->db, s->like))
		return true;
	inv_step_lose(lost, s);
	return false;
}

/* ---- one step ---------------------------------------------------------- */

static int
run_once(struct arango *a, const struct plan_step *s, bool community, int *num,
    struct err_msg *m)
{
	switch (s->kind) {
	case PLAN_DROP_INDEX:
		return arango_index_drop(a, s->db, s->coll, s->index, num, m);
	case PLAN_DROP_COLL:
		return arango_collection_drop(a, s->db, s->coll, num, m);
	case PLAN_CREATE_DB:
		return arango_database_create(a, s->db, s->def, num, m);
	case PLAN_CREATE_COLL:
		return arango_collection_create(a, s->db, s->def, s->like,
		    community, num, m);
	case PLAN_CHANGE_COLL:
		return arango_collection_change(a, s->db, s->coll, s->def, num,
		    m);
	case PLAN_CREATE_INDEX:
		return arango_index_create(a, s->db, s->coll, s->def, NULL,
		    num, m);
	case PLAN_DROP_DB:
		return arango_database_drop(a, s->db, num, m);
	case PLAN_KIND_COUNT:
		break;
	}
	return err_set(m, ERR_USAGE, "unknown step %d", (int)s->kind);
}

/* The coordinator that was asked may not know yet what another one made. */
static bool
is_news(const struct plan_step *s, int num)
{
	if (num == AERR_DATABASE_NOT_FOUND)
		return s->kind != PLAN_DROP_DB;
	if (num == AERR_DATA_SOURCE_NOT_FOUND)
		return s->kind == PLAN_CREATE_INDEX ||
		    s->kind == PLAN_CHANGE_COLL;
	return num == 1486;	/* the prototype */
}

int
inv_step_run(struct arango *a, const struct plan_step *s, bool community,
    int *num, struct err_msg *m)
{
	unsigned	 i;
	int		 r;

	for (i = 0;; i++) {
		*num = 0;
		r = run_once(a, s, community, num, m);
		if (r == 0 || i == LEARN_TRIES || !is_news(s, *num))
			return r;
		fiber_sleep_ms(LEARN_EVERY_MS);
	}
}
