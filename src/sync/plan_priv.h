/* plan_priv.h - shared by the files of the plan. */
#ifndef SYNC_PLAN_PRIV_H
#define SYNC_PLAN_PRIV_H

#include "sync/plan.h"

/* What the target is to have; strings without a star of their own are the
 * source's. */
struct plan_want {
	int64_t			 shards;
	char			*shard_keys;
	const char		*strategy, *like;
	int64_t			 rf, wc;	/* not with like */
	bool			 smart, disjoint;
	struct json_object	*fixed;
};

/* ERR_DENIED: refused, which is noted. */
int	plan_want(struct plan_want *w, const struct structure_coll *c,
	    const char *db, const struct plan_opts *o, struct plan *p);
void	plan_want_free(struct plan_want *w);
struct json_object *plan_want_body(const struct plan_want *w,
	    const struct structure_coll *c);
/* Why it has to be dropped and made again, the caller's; NULL: it has not. */
char	*plan_must_recreate(const struct plan_want *w,
	    const struct structure_coll *c, const struct structure_coll *t);
/* What to change; NULL: nothing, else *reason is the caller's. */
struct json_object *plan_changes(const struct plan_want *w,
	    const struct structure_coll *c, const struct structure_coll *t,
	    char **reason);
void	plan_note(struct plan *p, bool refused, const char *db,
	    const char *coll, const char *index, const char *text);

#endif
