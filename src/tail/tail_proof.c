/*
 * tail_proof.c - what can be proven of the server's history, and of positions
 * in it (R5)
 *
 * Proving the place of a position is not enough: its target may have applied
 * more than it has recorded.  So what counts over a restart of the server is
 * how far we ourselves had read, and whether that is still there.  Only of
 * starts that we know nothing of, the position's own proof is read.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "tail/tail_priv.h"

/* So long an answer of wal/range is good for all who ask. */
#define RANGE_MS	1000

/* ---- lineage ------------------------------------------------------------ */

void
tail_lineage_add(struct tail *t, uint64_t reboot_id, uint64_t tick)
{
	size_t	 i;

	for (i = 0; i < t->nlineage; i++)
		if (t->lineage[i].reboot_id == reboot_id) {
			t->lineage[i].tick = MAX(t->lineage[i].tick, tick);
			return;
		}
	if (t->nlineage == TAIL_LINEAGE_MAX)
		memmove(t->lineage, t->lineage + 1,
		    --t->nlineage * sizeof(*t->lineage));
	t->lineage[t->nlineage].reboot_id = reboot_id;
	t->lineage[t->nlineage++].tick = tick;
}

void
tail_lineage_cut(struct tail *t, uint64_t tick)
{
	size_t	 i;

	for (i = 0; i < t->nlineage; i++)
		t->lineage[i].tick = MIN(t->lineage[i].tick, tick);
}

/* Is it in the history that was proven?  *join: where to go on. */
static bool
lineage_has(const struct tail *t, const struct sync_pos *p, uint64_t *join)
{
	size_t	 i;

	*join = p->tick;
	if (p->reboot_id == t->conf.reboot_id &&
	    p->reboot_id == t->point_reboot)
		return true;
	for (i = 0; i < t->nlineage; i++) {
		if (t->lineage[i].reboot_id != p->reboot_id)
			continue;
		if (p->has_proof && p->proof_tick > t->lineage[i].tick)
			return false;
		if (p->tick <= t->lineage[i].tick)
			return true;
		/* nothing was read between its proof and it */
		*join = p->proof_tick;
		return p->has_proof;
	}
	return false;
}

/* ---- channels that have to be repaired ---------------------------------- */

static size_t
floor_key(char *key, size_t size, const char *db, const char *cuid)
{
	size_t	 a = strlen(db) + 1, b = strlen(cuid);

	if (a + b > size)
		return 0;
	memcpy(key, db, a);
	memcpy(key + a, cuid, b);
	return a + b;
}

static struct tail_floor *
floor_get(const struct tail *t, const char *db, const char *cuid)
{
	char	 key[1024];
	size_t	 n = floor_key(key, sizeof(key), db, cuid);

	return n == 0 ? NULL : map_get_n(&t->floors, key, n);
}

struct tail_floor *
tail_floor_put(struct tail *t, const char *db, const char *cuid)
{
	struct tail_floor	*f = floor_get(t, db, cuid);
	char			 key[1024];
	size_t			 n = floor_key(key, sizeof(key), db, cuid);

	if (f == NULL) {
		bug_unless(n != 0);	/* names are bounded when they come */
		f = xcalloc(1, sizeof(*f));
		(void)map_put_n(&t->floors, key, n, f);
	}
	f->us = clock_wall_us();
	return f;
}

void
tail_floor_set(struct tail *t, const char *db, const char *cuid, bool strict)
{
	struct tail_floor	*f = tail_floor_put(t, db, cuid);

	f->tick = UINT64_MAX;
	f->strict = f->strict || strict;
}

void
tail_floor_joined(struct tail *t, const char *db, const char *cuid,
    uint64_t tick)
{
	struct tail_floor	*f = floor_get(t, db, cuid);

	if (f != NULL)
		f->tick = tick + f->strict;
}

bool
tail_floor_allows(const struct tail *t, const char *db, const char *cuid,
    uint64_t tick)
{
	const struct tail_floor	*f = floor_get(t, db, cuid);

	return f == NULL || (f->tick != UINT64_MAX && tick >= f->tick);
}

void
tail_floors_forget(struct tail *t, uint64_t older_than_us)
{
	struct map_iter		 it;
	struct tail_floor	*f;

	MAP_FOREACH(&t->floors, it) {
		f = it.value;
		if (f->us < older_than_us)
			free(map_del_n(&t->floors, it.key, it.key_len));
	}
}

void
tail_floors_free(struct tail *t)
{
	map_free(&t->floors, free);
}

/* ---- evidence ----------------------------------------------------------- */

bool
tail_is_idle_since(struct tail *t, const char *db, const char *cuid,
    uint64_t tick)
{
	const struct tail_row	*row = tail_row_find(t, db, cuid);

	return row != NULL && row->known <= tick && row->last <= tick &&
	    tick <= t->point.from;
}

/* Read its own proof.  Waits. */
static int
prove(struct tail *t, const struct sync_pos *pos, struct tail_evidence *e)
{
	struct arango_tail_point p = {
		.from = pos->tick, .has_last = pos->has_proof,
		.last_vpack = pos->proof_vpack, .last_from = pos->proof_from,
		.last_tick = pos->proof_tick, .last_crc = pos->proof_crc
	};
	struct arango_tail_point resume;
	struct err_msg		 m;
	int			 r;

	if (!pos->has_proof)
		return 0;
	r = arango_tail_prove(t->cluster, t->server, &p, &t->cancel, &resume,
	    &m);
	switch (r) {
	case 0:
		e->proven = true;
		/* a proof may be of what came later */
		e->join = MIN(pos->tick, resume.from);
		return 0;
	case ERR_NOT_FOUND:
		e->gap = true;
		return 0;
	case ERR_CORRUPT:
		return 0;
	default:
		return r;
	}
}

/* Of this server's data, and not of a history that was lost. */
static bool
may_be_proven(const struct tail *t, const struct tail_ask *a)
{
	const struct sync_pos	*p = &a->pos;

	if (!a->has_pos || strcmp(p->server, t->conf.server) != 0 ||
	    p->reboot_id == 0 || p->reboot_id <= t->lost_reboot)
		return false;
	if (p->server_id != 0 && t->server_id != 0 &&
	    p->server_id != t->server_id)
		return false;
	return tail_floor_allows(t, a->db, a->cuid, p->tick);
}

static int
find_range(struct tail *t, const struct tail_ask *a)
{
	struct err_msg	 m;
	uint64_t	 now = loop_now_ms(t->loop);
	int		 r;

	/* one that is further than we knew is not ahead of the server */
	if (t->range_ms != 0 && now - t->range_ms <= RANGE_MS &&
	    (!a->has_pos || a->pos.tick <= t->range.max))
		return 0;
	r = arango_wal_range(t->cluster, t->server, &t->range, &m);
	if (r == 0)
		t->range_ms = now;
	return r;
}

int
tail_evidence_find(struct tail *t, const struct tail_ask *a,
    struct tail_evidence *e)
{
	uint32_t	 losses = t->losses;
	int		 r;

	memset(e, 0, sizeof(*e));
	if ((r = find_range(t, a)) != 0)
		return r;
	memcpy(e->server, t->conf.server, sizeof(e->server));
	e->join = a->pos.tick;
	if (may_be_proven(t, a)) {
		e->proven = lineage_has(t, &a->pos, &e->join);
		if (!e->proven && (r = prove(t, &a->pos, e)) != 0)
			return r;
	}
	if (losses != t->losses || t->point_reboot != t->conf.reboot_id)
		return ERR_BAD_STATE;	/* while we waited: again */
	e->reboot_id = t->conf.reboot_id;
	e->server_id = t->server_id;
	e->through = t->point.from;
	e->rounds = t->rounds;
	e->wal_first = t->range.min;
	e->wal_last = MAX(t->range.max, t->point.from);
	if (!e->proven) {
		/* who looks at reboot ids only must not be misled */
		if (a->has_pos && a->pos.reboot_id == e->reboot_id)
			e->gap = true;
		return 0;
	}
	if (tail_is_idle_since(t, a->db, a->cuid, a->pos.tick)) {
		e->join = t->point.from;
		e->wal_first = MIN(e->wal_first, a->pos.tick);
		e->wal_last = MAX(e->wal_last, a->pos.tick);
		e->gap = false;
	} else if (e->join < t->range.min && e->join < a->pos.tick)
		e->gap = true;
	return 0;
}
