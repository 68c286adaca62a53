/*
 * inventory_priv.h - shared by the files of the inventory.
 *
 * Nothing below knows of processes: both roles are objects that live on a loop
 * and talk to one cluster, and say what they have to say through callbacks.
 * inventory.c puts them into a worker, tests drive them directly.
 */
#ifndef INVENTORY_PRIV_H
#define INVENTORY_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arango/agency.h"
#include "arango/conn.h"
#include "base/buf.h"
#include "base/map.h"
#include "inventory/inventory.h"
#include "sync/plan.h"
#include "sync/structure.h"

struct json_object;

/* No try later than that, whatever failed before (source reference 3). */
#define INV_AGENCY_RETRY_MS	10000
/* Changes of the Plan come in groups: one read for all that come within. */
#define INV_GATHER_MS		150
/* Names that a note or a list of the status shows. */
#define INV_NAMES_SHOWN		20
#define INV_NOTES_MAX		200

/* Which incarnation of a source collection a collection here was made from,
 * one small key for each: below this path, by the cid here, so that one that
 * somebody made anew under the same name is none of ours. */
#define INV_MADE_PATH		"/arangodb/arangosync/x/made-from"

/* ---- inventory_read.c: one consistent read ----------------------------- */

struct inv_made {
	char	*source;	/* cluster id */
	char	*db, *coll;	/* for people */
	char	*cid;		/* the source's */
	bool	 lineage;	/* we filled it from empty (R7) */
	bool	 checked;	/* looked where it puts documents (R12) ... */
	bool	 misplaced;	/* ... and that is not where the source does */
};

struct inv_view {
	struct structure	*st;
	struct json_object	*views;		/* ["shop/v1", ...] */
	int64_t			 dbservers;
	struct map		 made;		/* cid here -> inv_made */
};

/* 0, or negative with a sentence.  Waits. */
int	inv_view_read(struct arango_agency *ag, struct inv_view **v,
	    struct err_msg *m);
/* From {"arango":{..},"arangodb":{..}}, what the agency gave. */
int	inv_view_make(struct json_object *root, struct inv_view **v,
	    struct err_msg *m);
void	inv_view_free(struct inv_view **v);
void	inv_made_free(void *made);
struct json_object *inv_made_to_json(const struct inv_made *made);

/* ---- inventory_source.c ------------------------------------------------ */

/*
 * What travels is structure_to_json() with one more member:
 *
 *	"x": {"reader": "..", "ms": 1234,	who read it, when (its clock)
 *	      "views": ["shop/v1"]}
 *
 * By `ms` the target knows that two reads are ten seconds apart (R19), however
 * long each was on its way.
 */
struct inv_source;

struct inv_source_ops {
	/* The text is the source's until the next call. */
	void	(*publish)(void *arg, uint64_t version, const char *text,
		    size_t len);
	void	(*status)(void *arg, struct json_object *status);
};

struct inv_source *inv_source_new(struct arango *a,
	    struct arango_cancel *cancel, const struct inv_source_ops *ops,
	    void *arg);
/* Publish the last one again; nothing when there is none. */
void	inv_source_repeat(struct inv_source *s);

/* ---- inventory_arrival.c: what travels, at the other end --------------- */

/* Zeros: nothing has come yet. */
struct inv_arrival {
	struct buf		 text;		/* the newest, not looked at */
	uint64_t		 arrived_ms;
	struct structure	*st;		/* last that could be read */
	struct json_object	*views;
	uint32_t		 sum;		/* of its text */
	struct err_msg		 bad;		/* the newest cannot be read */
	char			 reader[40];	/* who read it */
	uint64_t		 reader_ms;	/* when, on its clock ... */
	uint64_t		 read_ms;	/* ... and on ours (R19) */
};
void	inv_arrival_put(struct inv_arrival *x, const void *text, size_t len,
	    uint64_t now_ms);
/*
 * Look at what has come; 0 also when nothing has.  *changed: it is not what it
 * was.  ERR_FORMAT with a sentence as long as the newest cannot be read: what
 * we know of the source is not so any more, so nothing is done by it.
 */
int	inv_arrival_take(struct inv_arrival *x, bool *changed,
	    struct err_msg *m);
void	inv_arrival_free(struct inv_arrival *x);

/* ---- inventory_apply.c: steps, and what went wrong with them ----------- */

/* What failed: the step is tried again, later and later. */
struct inv_trouble {
	char		*what;		/* "create collection shop/orders" */
	char		*why;
	uint32_t	 wait_ms;	/* between the last two tries */
	uint64_t	 due_ms;	/* not before */
	unsigned	 tries;
	bool		 refused;	/* the target cannot take it */
	unsigned	 turn;		/* last plan that had this step */
};

struct inv_troubles {
	struct map	 map;		/* of a step's key */
	unsigned	 turn;
};

/* Same step, same definition: same key.  Appended. */
void	inv_step_key(struct buf *b, const struct plan_step *s);
/* A new plan: what it does not have any more is forgotten. */
void	inv_troubles_turn(struct inv_troubles *ts, const struct plan *p);
struct inv_trouble *inv_troubles_get(const struct inv_troubles *ts,
	    const struct plan_step *s);
/* It failed now; num is arangod's number or 0. */
void	inv_troubles_put(struct inv_troubles *ts, const struct plan_step *s,
	    int num, const char *why, uint64_t now_ms);
void	inv_troubles_drop(struct inv_troubles *ts, const struct plan_step *s);
void	inv_troubles_free(struct inv_troubles *ts);
/* When the next one is due; UINT64_MAX: none. */
uint64_t inv_troubles_next_ms(const struct inv_troubles *ts);
/* An answer with this number will not change by itself. */
bool	inv_is_refusal(int num);

/*
 * Going through the steps of a plan in order: what does not come about takes
 * with it the steps that need it.
 */
struct inv_lost {
	struct map	 map;
};
/* May it go now?  Not when it is held back, its time has not come, or what it
 * needs is lost; then it is lost itself. */
bool	inv_step_ready(struct inv_lost *lost, const struct inv_troubles *ts,
	    const struct plan_step *s, uint64_t now_ms);
void	inv_step_lose(struct inv_lost *lost, const struct plan_step *s);
void	inv_lost_free(struct inv_lost *lost);

/* Carry out one step.  0, or negative; *num: arangod's number.  Waits. */
int	inv_step_run(struct arango *a, const struct plan_step *s,
	    bool community, int *num, struct err_msg *m);

/* ---- inventory_pairs.c: what is made from what ------------------------- */

/* Changes of the records below INV_MADE_PATH. */
struct inv_record {
	char			*target_cid;
	struct inv_made		*made;		/* NULL: remove it */
};
struct inv_records {
	struct inv_record	*list;
	size_t			 n;
};
void	inv_records_free(struct inv_records *r);

struct inv_input {
	const struct structure	*source;
	const struct inv_view	*target;
	const struct plan	*plan;
	/* "db/coll" -> cid of the source: made here, by this process */
	const struct map	*created;
	bool			 forget_lineage;	/* first plan */
};

/*
 * Which records have to be written so that each collection that stands for one
 * of the source says so, and no other: made by us now, or adopted (it was there
 * and its sharding fits; no lineage).
 */
void	inv_records_make(const struct inv_input *in, struct inv_records *r);
/* The same change in memory; takes what is in r. */
void	inv_records_apply(struct inv_records *r, struct inv_view *target);

/* ---- inventory_check.c ------------------------------------------------- */

/* Is there something to be checked?  Not with one shard, and strategies of the
 * Enterprise Edition only arangod knows. */
bool	inv_check_needed(const struct structure_coll *t);
/* "s100" -> true when this answer for a document of shard `index` fits those
 * before; state begins as zeros. */
struct inv_samples {
	unsigned	 index[8];
	uint64_t	 number[8];	/* of the shard */
	size_t		 n;
};
bool	inv_sample_fits(struct inv_samples *x, unsigned index,
	    const char *shard);
/*
 * Ask the target where it puts some documents, for the records that nobody has
 * done that for.  Those that could not be asked stay unchecked; why has a
 * sentence then, unless it will be over in a moment.  Waits.
 */
void	inv_records_check(struct arango *a, const struct structure *target,
	    struct inv_records *r, struct err_msg *why);

/*
 * The pairs that can run, as in inventory.h, an array; *missing: collections
 * of the source that should have one and neither have it nor are refused.
 */
struct json_object *inv_pairs_make(const struct inv_input *in,
	    size_t *missing);
/* Is there a drop that may go now of one of these pairs? */
bool	inv_pairs_hit(const struct plan *p, struct json_object *pairs);
/* Everything that is not replicated or otherwise than at the source: array of
 * sentences.  views: of the source, or NULL. */
struct json_object *inv_notes_make(const struct inv_input *in,
	    struct json_object *views, const struct inv_troubles *ts);

/* ---- inventory_target.c ------------------------------------------------ */

struct inv_target;

struct inv_target_ops {
	/* The whole message of MSG_WORKER_PAIRS, whenever it has changed. */
	void	(*pairs)(void *arg, const char *text, size_t len);
	void	(*status)(void *arg, struct json_object *status);
	void	(*progress)(void *arg);		/* or NULL */
};

struct inv_target *inv_target_new(struct arango *a,
	    struct arango_cancel *cancel, const struct inventory_conf *conf,
	    const struct inv_target_ops *ops, void *arg);
/* The structure of the source, as it came. */
void	inv_target_source(struct inv_target *t, const void *text, size_t len);
/* Say the pairs again; nothing when there are none yet. */
void	inv_target_repeat(struct inv_target *t);

#endif
