/*
 * control_incoming_pairs.c - the pairs that the target's inventory names: the
 * list of them, and who is who
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "http/url.h"
#include "json/get.h"
#include "master/control_incoming_priv.h"

#define SHARDS_MAX	100000	/* of one collection */

/* ---- finding ------------------------------------------------------------ */

static char *
pair_key(const char *db, const char *coll)
{
	return xasprintf("%s/%s", db, coll);
}

struct incoming_shard *
incoming_shard_find(const struct control_incoming *in, const char *db,
    const char *coll, uint32_t index)
{
	char			*key = pair_key(db, coll);
	struct incoming_pair	*p = map_get(&in->pairs, key);

	free(key);
	return p != NULL && index < p->nshards ? &p->shards[index] : NULL;
}

/* Names may hold what the agency takes for a path. */
char *
incoming_shard_key(const struct incoming_shard *s)
{
	char	*db = url_encode(s->pair->db);
	char	*coll = url_encode(s->pair->coll);
	char	*key = xasprintf("%s:%s:%u", db, coll, s->index);

	free(db);
	free(coll);
	return key;
}

enum shard_state
incoming_shard_state(const struct incoming_shard *s)
{
	const char	*word;
	int		 i;

	if (s->w == NULL)
		return SHARD_STATE_INITIALIZING;
	if (s->w->state == PROC_FAILED)
		return SHARD_STATE_FAILED;
	if (s->w->peer == NULL && !control_worker_is_resting(s->w))
		return SHARD_STATE_INITIALIZING;
	word = control_worker_word(s->w, "state");
	for (i = 0; i < SHARD_STATE_COUNT; i++)
		if (strcmp(shard_state_name((enum shard_state)i), word) == 0)
			return i == SHARD_STATE_INACTIVE ?
			    SHARD_STATE_INITIALIZING : (enum shard_state)i;
	return SHARD_STATE_INITIALIZING;
}

const char *
incoming_shard_error(const struct incoming_shard *s)
{
	const char	*word;

	if (s->w == NULL)
		return "";
	if (!control_worker_is_resting(s->w) &&
	    (s->w->state != PROC_READY || s->w->peer == NULL))
		return s->w->sentence;
	word = control_worker_word(s->w, "error");
	return word;
}

size_t
incoming_count(const struct control_incoming *in, enum shard_state state)
{
	struct incoming_pair	*p;
	struct map_iter		 it;
	uint32_t		 i;
	size_t			 n = 0;

	INCOMING_EACH_PAIR(in, it, p) {
		for (i = 0; i < p->nshards; i++)
			n += incoming_shard_state(&p->shards[i]) == state;
	}
	return n;
}

/* ---- the list ----------------------------------------------------------- */

static void
pair_free(struct control_incoming *in, struct incoming_pair *p, bool remove)
{
	char		*key;
	uint32_t	 i;

	for (i = 0; i < p->nshards; i++) {
		incoming_shard_stop(&p->shards[i], remove);
		if (remove) {
			key = incoming_shard_key(&p->shards[i]);
			map_put(&in->forgotten, key, in);
			free(key);
		}
		free(p->shards[i].name);
		free(p->shards[i].repair);
		buf_free(&p->shards[i].target);
	}
	in->nshards -= p->nshards;
	free(p->shards);
	free(p->db);
	free(p->coll);
	free(p->target_coll);
	free(p);
}

static void
pair_add(struct control_incoming *in, const char *key,
    const struct incoming_pair *new)
{
	struct incoming_pair	*p = xmalloc(sizeof(*p));
	struct incoming_shard	*s;
	uint32_t		 i;

	*p = *new;
	p->db = xstrdup(new->db);
	p->coll = xstrdup(new->coll);
	p->target_coll = xstrdup(new->target_coll);
	p->shards = xcalloc(p->nshards, sizeof(*p->shards));
	for (i = 0; i < p->nshards; i++) {
		s = &p->shards[i];
		s->in = in;
		s->pair = p;
		s->index = i;
		s->name = xasprintf("%s/%s/%u", p->db, p->coll, i);
		s->stored = SHARD_STATE_INACTIVE;
	}
	in->nshards += p->nshards;
	map_put(&in->pairs, key, p);
}

/* One of the list; 0 or ERR_FORMAT. */
static int
pair_read(struct json_object *o, struct incoming_pair *p)
{
	const char	*db, *coll, *target, *cid, *target_cid;
	int64_t		 n;
	struct err_msg	 m;

	memset(p, 0, sizeof(*p));
	if (json_need_string(o, "db", &db, &m) != 0 ||
	    json_need_string(o, "coll", &coll, &m) != 0 ||
	    json_need_string(o, "target_coll", &target, &m) != 0 ||
	    json_need_string(o, "cid", &cid, &m) != 0 ||
	    json_need_string(o, "target_cid", &target_cid, &m) != 0 ||
	    json_need_int(o, "shards", 1, SHARDS_MAX, &n, &m) != 0 ||
	    json_want_bool(o, "lineage", &p->lineage, &m) != 0)
		return ERR_FORMAT;
	if (str_to_u64(cid, &p->cid_number) != 0 ||
	    str_copy(p->cid, sizeof(p->cid), cid) != 0 ||
	    str_copy(p->target_cid, sizeof(p->target_cid), target_cid) != 0)
		return ERR_FORMAT;
	p->db = (char *)(uintptr_t)db;
	p->coll = (char *)(uintptr_t)coll;
	p->target_coll = (char *)(uintptr_t)target;
	p->nshards = (uint32_t)n;
	p->seen = true;
	return 0;
}

static bool
same_pair(const struct incoming_pair *a, const struct incoming_pair *b)
{
	return strcmp(a->cid, b->cid) == 0 &&
	    strcmp(a->target_cid, b->target_cid) == 0 &&
	    strcmp(a->target_coll, b->target_coll) == 0 &&
	    a->nshards == b->nshards;
}

static void
take_one(struct control_incoming *in, const struct incoming_pair *new)
{
	char			*key = pair_key(new->db, new->coll);
	struct incoming_pair	*old = map_get(&in->pairs, key);

	if (old != NULL && same_pair(old, new)) {
		old->seen = true;
		old->lineage = new->lineage;
	} else {
		/* Dropped and made again under the same name: the process of
		 * the old one ends first, the names are the same. */
		if (old != NULL) {
			(void)map_del(&in->pairs, key);
			pair_free(in, old, true);
		}
		pair_add(in, key, new);
	}
	free(key);
}

static void
drop_unseen(struct control_incoming *in)
{
	struct incoming_pair	*p;
	struct map_iter		 it;

	MAP_FOREACH(&in->pairs, it) {
		p = it.value;
		if (p->seen)
			continue;
		log_notice("%s/%s: not synchronized any more", p->db, p->coll);
		(void)map_del(&in->pairs, it.key);
		pair_free(in, p, true);
	}
}

void
incoming_pairs_take(struct control_incoming *in, struct json_object *o)
{
	struct json_object	*list = json_at(o, "pairs");
	struct incoming_pair	 new, *p;
	struct map_iter		 it;
	uint64_t		 plan = 0;
	size_t			 i;

	if (!in->running || !json_object_is_type(list, json_type_array))
		return;
	INCOMING_EACH_PAIR(in, it, p)
		p->seen = false;
	for (i = 0; i < json_object_array_length(list); i++) {
		if (pair_read(json_object_array_get_idx(list, i), &new) == 0)
			take_one(in, &new);
		else
			log_error("the inventory names a pair that is none: "
			    "%s", json_object_to_json_string(
			    json_object_array_get_idx(list, i)));
	}
	drop_unseen(in);
	if (json_want_uint(o, "plan", &plan, NULL) == 0)
		in->plan = plan;
	in->pending = json_int_or(o, "pending", 0);
	json_object_put(in->notes);
	in->notes = json_object_get(json_at(o, "notes"));
	in->has_plan = true;
}

void
incoming_pairs_stop(struct control_incoming *in)
{
	struct incoming_pair	*p;
	struct map_iter		 it;

	MAP_FOREACH(&in->pairs, it) {
		p = it.value;
		(void)map_del(&in->pairs, it.key);
		pair_free(in, p, false);
	}
}
