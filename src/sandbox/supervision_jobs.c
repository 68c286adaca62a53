/*
 * supervision_jobs.c - jobs of Target: moveShard.
 *
 * A job is one object that wanders from Target/ToDo over Pending to Finished
 * or Failed.  What has to be done next is read from Plan and Current each
 * time, so an agent that was stopped at any point just goes on:
 *
 *	leader					follower
 *	1 [from, .., to]	wait: in sync	1 [.., from, .., to]  wait
 *	2 [_from, .., to]	wait: resigned	2 [.., to]
 *	3 [to, from, ..]	wait: to leads
 *	4 without from, when the list is longer than the replication factor
 *
 * Facts: MoveShard.cpp, Job.cpp.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "json/get.h"
#include "sandbox/supervision_priv.h"

/* So many ended jobs are kept for those who ask. */
#define ENDED_KEEP	500

struct job {
	struct supervision	*s;
	char			*id;
	struct json_object	*o;		/* a copy */
	const char		*from, *to;
	bool			 is_leader;
	struct sv_group		*g;
	size_t			 index;		/* of the shard */
};

/* from and to, for the functions that edit a list */
struct pair {
	const char	*from, *to;
};

/* ---- where a job is ----------------------------------------------------- */

static void
job_clear(struct job *j)
{
	sv_group_free(&j->g);
	json_object_put(j->o);
	free(j->id);
}

static void
add_locks(const struct job *j, struct agency_trx *t, bool lock)
{
	const struct sv_member	*m;
	size_t			 i;

	for (i = 0; j->g != NULL && i < j->g->n; i++) {
		m = &j->g->m[i];
		if (j->index >= m->nshards)
			continue;
		if (lock) {
			agency_set(t, json_object_new_string(j->id),
			    "/arango/Supervision/Shards/%s",
			    m->shards[j->index]);
			agency_if_empty(t, true,
			    "/arango/Supervision/Shards/%s",
			    m->shards[j->index]);
		} else if (sv_get(j->s, "/arango/Supervision/Shards/%s",
		    m->shards[j->index]) != NULL)
			agency_delete(t, "/arango/Supervision/Shards/%s",
			    m->shards[j->index]);
	}
}

/* Add to t: the job ends in Finished, or with a reason in Failed. */
static void
add_end(struct job *j, struct agency_trx *t, const char *where,
    const char *reason)
{
	struct json_object	*o;

	o = json_object_is_type(j->o, json_type_object) ? json_copy(j->o) :
	    json_object_new_object();
	json_set_string(o, "timeFinished", j->s->now);
	if (reason != NULL)
		json_set_string(o, "reason", reason);
	agency_delete(t, "/arango/Target/%s/%s", where, j->id);
	agency_set(t, o, "/arango/Target/%s/%s",
	    reason == NULL ? "Finished" : "Failed", j->id);
	add_locks(j, t, false);
}

static void
job_end(struct job *j, const char *where, const char *reason)
{
	struct agency_trx	t;

	agency_trx_init(&t);
	add_end(j, &t, where, reason);
	if (sv_commit(j->s, &t) == 0)
		log_notice("supervision: job %s: %s%s", j->id,
		    reason == NULL ? "finished" : "failed: ",
		    reason == NULL ? "" : reason);
}

/* Read what the job says; a sentence when that makes no sense, "" when what it
 * is about is gone. */
static const char *
job_parse(struct job *j)
{
	const char	*db, *collection, *shard;
	size_t		 i, k;

	if (!json_object_is_type(j->o, json_type_object))
		return "not an object";
	if (strcmp(json_string_or(j->o, "type", ""), "moveShard") != 0)
		return "jobs of this type are not supported";
	db = json_string_or(j->o, "database", NULL);
	collection = json_string_or(j->o, "collection", NULL);
	shard = json_string_or(j->o, "shard", NULL);
	j->from = json_string_or(j->o, "fromServer", NULL);
	j->to = json_string_or(j->o, "toServer", NULL);
	if (db == NULL || collection == NULL || shard == NULL ||
	    j->from == NULL || j->to == NULL)
		return "database, collection, shard, fromServer and toServer "
		    "are needed";
	if (strcmp(j->from, j->to) == 0)
		return "fromServer and toServer are the same";
	if ((j->g = sv_group_of(j->s, db, collection)) == NULL)
		return "";
	for (i = 0; i < j->g->n; i++)
		for (k = 0; k < j->g->m[i].nshards; k++)
			if (strcmp(j->g->m[i].shards[k], shard) == 0) {
				j->index = k;
				return NULL;
			}
	return "";
}

/* ---- lists -------------------------------------------------------------- */

static void
list_add(struct json_object *list, const char *id)
{
	json_object_array_add(list, json_object_new_string(id));
}

static struct json_object *
edit_append(struct json_object *old, const void *arg)
{
	struct json_object	*list;

	if (sv_list_has(old, arg))
		return NULL;
	list = json_copy(old);
	list_add(list, arg);
	return list;
}

static struct json_object *
edit_drop(struct json_object *old, const void *arg)
{
	struct json_object	*list;
	const char		*id;
	size_t			 i;

	if (!sv_list_has(old, arg))
		return NULL;
	list = json_object_new_array();
	for (i = 0; (id = sv_list_id(old, i)) != NULL; i++)
		if (strcmp(id, arg) != 0)
			list_add(list, id);
	return list;
}

/* [_from, ...] */
static struct json_object *
edit_resign(struct json_object *old, const void *arg)
{
	const char		*from = arg;
	struct json_object	*list = json_object_new_array();
	const char		*id;
	char			*marked = xasprintf("_%s", from);
	size_t			 i;

	list_add(list, marked);
	free(marked);
	for (i = 0; (id = sv_list_id(old, i)) != NULL; i++)
		if (strcmp(id, from) != 0)
			list_add(list, id);
	return list;
}

/* The leader shall lead after all. */
static struct json_object *
edit_unresign(struct json_object *old, const void *arg)
{
	struct json_object	*list = json_object_new_array();
	const char		*id;
	size_t			 i;

	(void)arg;
	for (i = 0; (id = sv_list_id(old, i)) != NULL; i++)
		list_add(list, id);
	return list;
}

/* [to, from, ...] */
static struct json_object *
edit_lead(struct json_object *old, const void *arg)
{
	const struct pair	*p = arg;
	struct json_object	*list = json_object_new_array();
	const char		*id;
	size_t			 i;

	list_add(list, p->to);
	if (sv_list_has(old, p->from))
		list_add(list, p->from);
	for (i = 0; (id = sv_list_id(old, i)) != NULL; i++)
		if (strcmp(id, p->to) != 0 && strcmp(id, p->from) != 0)
			list_add(list, id);
	return list;
}

static void
edit_and_commit(struct job *j, sv_edit *edit, const void *arg)
{
	struct agency_trx	t;

	agency_trx_init(&t);
	sv_edit_plan(j->s, &t, j->g, j->index, edit, arg);
	if (json_object_object_length(t.ops) == 0)
		agency_trx_free(&t);
	else
		(void)sv_commit(j->s, &t);
}

/* ---- from ToDo to Pending ----------------------------------------------- */

/* May it begin?  NULL: yes; a sentence: never. */
static const char *
start_problem(struct job *j)
{
	struct json_object	*list = sv_plan(j->s, j->g, 0, j->index);
	const char		*leader = sv_list_id(list, 0);
	bool			 leads;

	if (leader == NULL || !sv_list_has(list, j->from))
		return "fromServer has no copy of the shard";
	leads = strcmp(leader, j->from) == 0;
	if (json_at(j->o, "isLeader") != NULL &&
	    json_bool_or(j->o, "isLeader", false) != leads)
		return "isLeader is not true any more";
	if (!leads && sv_list_has(list, j->to))
		return "toServer has a copy of the shard already";
	if (sv_get(j->s, "/arango/Plan/DBServers/%s", j->to) == NULL)
		return "toServer is no DB-server of this cluster";
	if (sv_is_failed(j->s, j->to))
		return "toServer has failed";
	if (sv_is_failed(j->s, j->from) && leads)
		return "fromServer has failed";
	j->is_leader = leads;
	return NULL;
}

static void
job_start(struct job *j)
{
	struct json_object	*list = sv_plan(j->s, j->g, 0, j->index), *o;
	struct agency_trx	 t;

	o = json_copy(j->o);
	json_set_bool(o, "isLeader", j->is_leader);
	json_set_string(o, "timeStarted", j->s->now);
	/* Ours: whether to take it out again when the job fails. */
	json_set_bool(o, "toServerAdded", !sv_list_has(list, j->to));
	agency_trx_init(&t);
	agency_delete(&t, "/arango/Target/ToDo/%s", j->id);
	agency_set(&t, o, "/arango/Target/Pending/%s", j->id);
	sv_edit_plan(j->s, &t, j->g, j->index, edit_append, j->to);
	add_locks(j, &t, true);
	if (sv_commit(j->s, &t) == 0)
		log_notice("supervision: job %s: moving shard %s/%s from %s "
		    "to %s", j->id, j->g->db, j->g->m[0].shards[j->index],
		    j->from, j->to);
}

static void
todo_step(struct job *j)
{
	const char	*problem = job_parse(j);

	if (problem == NULL && sv_is_locked(j->s, j->g, j->index))
		return;			/* after the other job */
	if (problem == NULL)
		problem = start_problem(j);
	if (problem == NULL)
		job_start(j);
	else
		/* What was dropped needs no moving. */
		job_end(j, "ToDo", *problem == '\0' ? NULL : problem);
}

/* ---- Pending ------------------------------------------------------------ */

/* Give up: as far as can be, everything is as it was. */
static void
job_abort(struct job *j, const char *reason)
{
	struct json_object	*list = sv_plan(j->s, j->g, 0, j->index);
	struct json_object	*first;
	struct agency_trx	 t;
	const char		*leader = sv_list_id(list, 0);

	first = json_object_array_get_idx(list, 0);
	agency_trx_init(&t);
	if (leader != NULL && strcmp(leader, j->to) != 0 &&
	    json_bool_or(j->o, "toServerAdded", false))
		sv_edit_plan(j->s, &t, j->g, j->index, edit_drop, j->to);
	else if (json_object_is_type(first, json_type_string) &&
	    json_object_get_string(first)[0] == '_')
		sv_edit_plan(j->s, &t, j->g, j->index, edit_unresign, NULL);
	add_end(j, &t, "Pending", reason);
	if (sv_commit(j->s, &t) == 0)
		log_notice("supervision: job %s: failed: %s", j->id, reason);
}

static bool
is_marked(struct json_object *list)
{
	struct json_object	*o = json_object_array_get_idx(list, 0);

	return json_object_is_type(o, json_type_string) &&
	    json_object_get_string(o)[0] == '_';
}

/* Has `from` told, for all shards, that it writes no more? */
static bool
has_resigned(struct job *j)
{
	struct json_object	*cur;
	const char		*leader;
	size_t			 i;

	for (i = 0; i < j->g->n; i++) {
		if (j->index >= j->g->m[i].nshards)
			continue;
		cur = sv_current(j->s, j->g, i, j->index);
		leader = sv_list_id(cur, 0);
		if (leader == NULL || strcmp(leader, j->from) != 0 ||
		    !is_marked(cur))
			return false;
	}
	return true;
}

/* The last step: `from` is dropped where it is one too many. */
static void
job_finish(struct job *j)
{
	struct json_object	*list = sv_plan(j->s, j->g, 0, j->index);
	struct agency_trx	 t;
	bool			 drop;

	drop = !j->is_leader || json_object_array_length(list) >
	    sv_group_factor(j->s, j->g) ||
	    !json_bool_or(j->o, "remainsFollower", true);
	agency_trx_init(&t);
	if (drop)
		sv_edit_plan(j->s, &t, j->g, j->index, edit_drop, j->from);
	add_end(j, &t, "Pending", NULL);
	if (sv_commit(j->s, &t) == 0)
		log_notice("supervision: job %s: finished", j->id);
}

static void
leader_step(struct job *j)
{
	struct json_object	*list = sv_plan(j->s, j->g, 0, j->index);
	const struct pair	 p = { j->from, j->to };
	const char		*leader = sv_list_id(list, 0);

	if (leader != NULL && strcmp(leader, j->to) == 0) {
		if (sv_leads(j->s, j->g, j->index, j->to))
			job_finish(j);
	} else if (leader == NULL || strcmp(leader, j->from) != 0) {
		job_abort(j, "another server leads the shard");
	} else if (!is_marked(list)) {
		/* Also for collections that have joined the group since. */
		edit_and_commit(j, edit_append, j->to);
		if (sv_is_in_sync(j->s, j->g, j->index, j->to) &&
		    sv_leads(j->s, j->g, j->index, j->from))
			edit_and_commit(j, edit_resign, j->from);
	} else if (has_resigned(j)) {
		if (sv_is_in_sync(j->s, j->g, j->index, j->to))
			edit_and_commit(j, edit_lead, &p);
		else
			/* It fell behind meanwhile. */
			edit_and_commit(j, edit_unresign, NULL);
	}
}

static void
pending_step(struct job *j)
{
	const char	*problem = job_parse(j);
	uint64_t	 started_us;

	if (problem != NULL) {
		job_end(j, "Pending", *problem == '\0' ? NULL : problem);
		return;
	}
	j->is_leader = json_bool_or(j->o, "isLeader", true);
	if (clock_parse(json_string_or(j->o, "timeStarted", ""),
	    &started_us) == 0 &&
	    j->s->wall_ms > started_us / 1000 + SUPERVISION_JOB_MS) {
		job_abort(j, "it took too long");
		return;
	}
	if (!sv_list_has(sv_plan(j->s, j->g, 0, j->index), j->to))
		job_abort(j, "toServer is not in the Plan any more");
	else if (sv_is_failed(j->s, j->to))
		job_abort(j, "toServer has failed");
	else if (j->is_leader)
		leader_step(j);
	else if (sv_is_in_sync(j->s, j->g, j->index, j->to)) {
		if (strcmp(sv_list_id(sv_plan(j->s, j->g, 0, j->index), 0),
		    j->from) == 0)
			job_abort(j, "fromServer leads the shard now");
		else
			job_finish(j);
	}
}

/* ---- all jobs ----------------------------------------------------------- */

static int
id_compare(const void *a, const void *b)
{
	const char	*x = *(const char *const *)a;
	const char	*y = *(const char *const *)b;

	return strlen(x) != strlen(y) ? (strlen(x) < strlen(y) ? -1 : 1) :
	    strcmp(x, y);
}

/* Names below Target/<where>, in the order of their numbers; freed by the
 * caller, as each of them. */
static size_t
job_ids(struct supervision *s, const char *where, char ***ids)
{
	struct json_object	*o = sv_get(s, "/arango/Target/%s", where);
	size_t			 n = 0;

	*ids = NULL;
	if (!json_object_is_type(o, json_type_object))
		return 0;
	*ids = xcalloc((size_t)json_object_object_length(o) + 1,
	    sizeof(**ids));
	json_object_object_foreach(o, id, val) {
		(void)val;
		(*ids)[n++] = xstrdup(id);
	}
	qsort(*ids, n, sizeof(**ids), id_compare);
	return n;
}

static void
run_list(struct supervision *s, const char *where,
    void (*step)(struct job *))
{
	struct job	  j;
	char		**ids;
	size_t		  i, n;

	n = job_ids(s, where, &ids);
	for (i = 0; i < n; i++) {
		memset(&j, 0, sizeof(j));
		j.s = s;
		j.id = ids[i];
		j.o = json_copy(sv_get(s, "/arango/Target/%s/%s", where,
		    j.id));
		step(&j);
		job_clear(&j);
	}
	free(ids);
}

static void
forget_ended(struct supervision *s, const char *where)
{
	struct json_object	 *o = sv_get(s, "/arango/Target/%s", where);
	struct agency_trx	  t;
	char			**ids;
	size_t			  i, n;

	if (!json_object_is_type(o, json_type_object) ||
	    json_object_object_length(o) <= ENDED_KEEP)
		return;
	n = job_ids(s, where, &ids);
	agency_trx_init(&t);
	for (i = 0; i < n; i++) {
		if (i < n - ENDED_KEEP)
			agency_delete(&t, "/arango/Target/%s/%s", where,
			    ids[i]);
		free(ids[i]);
	}
	free(ids);
	(void)sv_commit(s, &t);
}

void
sv_run_jobs(struct supervision *s)
{
	run_list(s, "ToDo", todo_step);
	run_list(s, "Pending", pending_step);
	forget_ended(s, "Finished");
	forget_ended(s, "Failed");
}
