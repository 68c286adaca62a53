/* dbs_shard.c - the shards of a DB-server: what hangs at store_shard.user */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "sandbox/dbs.h"

#define FUTURE_MS	(24 * 3600 * UINT64_C(1000))

void
dbs_clock_receive(struct dbs *d, uint64_t rev)
{
	if (REV_MS(rev) < clock_wall_ms() + FUTURE_MS)
		hlc_receive(&d->clock, rev);
}

static bool
prop_bool(const uint8_t *props, const char *name)
{
	const uint8_t	*v = vp_get(props, name);

	return v != NULL && vp_is_true(v);
}

void
dbs_shard_update(struct dbs_shard *s)
{
	const uint8_t		*props = s->sh->props, *v;
	struct json_object	*options = NULL;
	uint64_t		 last = s->keys.last, n;

	s->wait_for_sync = prop_bool(props, "waitForSync");
	s->write_concern = 1;
	if ((v = vp_get(props, "writeConcern")) != NULL &&
	    vp_get_uint(v, &n) == 0 && n < 100)
		s->write_concern = (int)n;
	if ((v = vp_get(props, "keyOptions")) != NULL)
		options = dbs_vpack_to_json(v);
	if (docop_keygen_init(&s->keys, options) != AE_OK)
		docop_keygen_init(&s->keys, NULL);
	s->keys.last = last;
	json_object_put(options);

	free(s->coll_name);
	s->coll_name = xstrdup(s->sh->collection);
	s->coll.name = s->coll_name;
	s->coll.nlen = strlen(s->coll_name);
	s->coll.edge = s->sh->type == 3;
	s->coll.allow_user_keys = s->keys.allow_user_keys;
}

struct dbs_shard *
dbs_shard_of(struct dbs *d, struct store_shard *sh)
{
	struct dbs_shard	*s = sh->user;

	if (s != NULL)
		return s;
	s = xcalloc(1, sizeof(*s));
	s->refs = 1;
	s->d = d;
	s->sh = sh;
	s->db = xstrdup(sh->db->name);
	s->name = xstrdup(sh->name);
	s->guid = xstrdup(sh->guid);
	s->cid = sh->cid;
	sh->user = s;
	dbs_shard_update(s);
	return s;
}

struct dbs_shard *
dbs_shard_find(struct dbs *d, const char *db, const char *name)
{
	struct store_shard	*sh = store_shard_find(d->store, db, name);

	return sh == NULL ? NULL : dbs_shard_of(d, sh);
}

struct dbs_shard *
dbs_shard_by_guid(struct dbs *d, const char *guid)
{
	struct store_shard	*sh = store_shard_by_guid(d->store, guid);

	return sh == NULL ? NULL : dbs_shard_of(d, sh);
}

struct dbs_shard *
dbs_shard_ref(struct dbs_shard *s)
{
	s->refs++;
	return s;
}

void
dbs_shard_unref(struct dbs_shard **sp)
{
	struct dbs_shard	*s = *sp;
	size_t			 i;

	*sp = NULL;
	if (s == NULL || --s->refs > 0)
		return;
	for (i = 0; i < s->nindex_errors; i++)
		free(s->index_errors[i].text);
	free(s->index_errors);
	for (i = 0; i < s->nfollowers; i++) {
		free(s->followers[i].id);
		free(s->followers[i].waits);
	}
	free(s->followers);
	map_free(&s->touched, NULL);
	json_object_put(s->known);
	json_object_put(s->definition);
	free(s->leader);
	free(s->coll_name);
	free(s->guid);
	free(s->name);
	free(s->db);
	free(s);
}

void
dbs_shard_gone(struct dbs_shard *s)
{
	if (s->sh == NULL)
		return;
	dbs_shard_demote(s);
	dbs_session_end(s);
	s->sh->user = NULL;
	s->sh = NULL;
	fiber_cond_broadcast(&s->unlocked);
	dbs_shard_unref(&s);
}

const struct cl_shard *
dbs_shard_plan(struct dbs_shard *s, const struct cl_collection **out)
{
	const struct cl_collection	*col;
	size_t				 i;

	col = cluster_collection_of_shard(s->d->cluster, s->db, s->name, &i);
	if (out != NULL)
		*out = col;
	return col == NULL ? NULL : &col->shards[i];
}

/*
 * The role is ours since we wrote Current; the Plan's word is asked anew each
 * time, so that a leader stops the moment the news arrives, whatever
 * maintenance is waiting for.
 */
int
dbs_shard_check_leader(struct dbs_shard *s)
{
	const struct cl_shard	*p;

	if (s->sh == NULL)
		return AE_DATA_SOURCE_NOT_FOUND;
	if (s->role != DBS_LEADER)
		return AE_SHARD_LEADER_RESIGNED;
	p = dbs_shard_plan(s, NULL);
	if (p == NULL || p->plan.n == 0 || p->plan_resign ||
	    strcmp(p->plan.id[0], s->d->id) != 0)
		return AE_SHARD_LEADER_RESIGNED;
	return AE_OK;
}

int
dbs_shard_check_write(struct dbs_shard *s, struct sb_req *r)
{
	size_t	 i;
	int	 e, n = 1;

	if (r != NULL && !r->superuser && cluster_is_readonly(s->d->cluster))
		return AE_READ_ONLY;
	if ((e = dbs_shard_check_leader(s)) != AE_OK)
		return e;
	for (i = 0; i < s->nfollowers; i++)
		n += s->followers[i].state == DBS_IN_SYNC;
	return n < s->write_concern ? AE_READ_ONLY : AE_OK;
}

void
dbs_shard_wait_unlocked(struct dbs_shard *s)
{
	while (s->exclusive && s->sh != NULL)
		fiber_cond_wait(&s->unlocked);
}
