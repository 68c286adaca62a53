/*
 * plan.h - what has to be done at the target so that its structure is that of
 * the source: a list of steps in an order in which they can be carried out.
 *
 * Prototypes of distributeShardsLike are made first and dropped last.  A drop
 * needs to be seen in two reads at least 10 s apart (R19): the plan remembers
 * in a struct plan_memory what it has seen.  Collections whose sharding
 * differs are dropped and made again (R12), as are those that were made from
 * another incarnation.
 *
 * Facts: target reference 1 to 3 and 10.4; rules R12, R19, R20.
 */
#ifndef SYNC_PLAN_H
#define SYNC_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "sync/structure.h"

#define PLAN_CONFIRM_MS		10000
#define PLAN_MASS_DROP_MIN	20	/* more than this, and more than half */

enum plan_kind {
	PLAN_DROP_INDEX,
	PLAN_DROP_COLL,
	PLAN_CREATE_DB,
	PLAN_CREATE_COLL,
	PLAN_CHANGE_COLL,
	PLAN_CREATE_INDEX,
	PLAN_DROP_DB,
	PLAN_KIND_COUNT
};

enum plan_hold {
	PLAN_GO,
	PLAN_UNCONFIRMED,	/* seen once, or for less than 10 s */
	PLAN_MASS_DROP		/* waits for --allow-mass-drop */
};

struct plan_step {
	enum plan_kind		 kind;
	enum plan_hold		 hold;
	char			*db;
	char			*coll;		/* target's name, or NULL */
	char			*index;		/* or NULL */
	char			*like;		/* prototype, or NULL */
	/* Body: options, definition, changed properties; NULL for drops. */
	struct json_object	*def;
	char			*cid;		/* of the source, or NULL */
	char			*why;		/* "number of shards is 3, not
						 * 4", or NULL */
};

/* Something the target cannot take, or takes otherwise. */
struct plan_note {
	bool			 refused;	/* else rewritten */
	char			*db, *coll, *index;	/* the latter or NULL */
	char			*text;
};

struct plan {
	struct plan_step	*steps;
	size_t			 n;
	struct plan_note	*notes;
	size_t			 nnotes;
	size_t			 drops;		/* collections, with those of
						 * databases */
	bool			 guarded;	/* mass drop */
	bool			 waits;		/* some step may not go yet:
						 * read again in 10 s */
};

struct plan_memory;

struct plan_memory *plan_memory_new(void);
void	plan_memory_free(struct plan_memory **m);

struct plan_opts {
	const char	*pinned_cluster;	/* source's ClusterId, NULL */
	bool		 community;	/* target without Enterprise features */
	int		 version;	/* of the target: 31108; 0: not known */
	int64_t		 dbservers;	/* of the target; 0: not known */
	int64_t		 min_rf, max_rf;	/* 0: no bound */
	int64_t		 satellite_rf;	/* what satellites become, 2 */
	bool		 first;		/* after configure sync */
	bool		 allow_mass_drop;
	/* false: leave it out at the source and alone at the target.  coll
	 * NULL: the database as such.  NULL: everything. */
	bool		(*wanted)(void *arg, const char *db, const char *coll);
	/* The source's cid that this collection of the target was made from,
	 * NULL when not known. */
	const char	*(*made_from)(void *arg, const char *db,
			    const char *coll);
	void		*arg;
};
#define PLAN_OPTS_INIT	{ .satellite_rf = 2 }

/*
 * source_read_ms is when the source was read (monotonic).  mem may be NULL:
 * nothing is held back for confirmation (dry run).  0; ERR_DENIED when the
 * source is another cluster than the pinned one (then there is no plan).
 */
int	plan_make(const struct structure *source,
	    const struct structure *target, const struct plan_opts *o,
	    struct plan_memory *mem, uint64_t source_read_ms,
	    struct plan **plan, struct err_msg *m);
void	plan_free(struct plan **plan);

/* "create collection shop/orders with 3 shards", appended. */
void	plan_step_sentence(struct buf *b, const struct plan_step *s);
void	plan_note_sentence(struct buf *b, const struct plan_note *n);
const char *plan_kind_name(enum plan_kind k);	/* "create-collection" */
/* All steps and notes; the caller's. */
struct json_object *plan_to_json(const struct plan *p);

/*
 * The collection as the target gets it: rewritten for Community, replication
 * factor within its bounds.  The body for creating it; notes are appended to p
 * (may be NULL).  NULL: refused.  For tests and for who makes it anew.
 */
struct json_object *plan_coll_body(const struct structure_coll *c,
	    const char *db, const struct plan_opts *o, struct plan *p);

#endif
