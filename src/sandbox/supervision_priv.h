/*
 * supervision_priv.h - what the files of the supervision share:
 * agent_supervision.c (servers), supervision_shards.c (leaders and copies),
 * supervision_jobs.c (moveShard).
 */
#ifndef SANDBOX_SUPERVISION_PRIV_H
#define SANDBOX_SUPERVISION_PRIV_H

#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"
#include "base/map.h"
#include "sandbox/agency.h"
#include "sandbox/agent_supervision.h"

enum sv_status {
	SV_UNKNOWN,		/* nobody has judged it yet */
	SV_GOOD,
	SV_BAD,
	SV_FAILED
};

struct sv_server {
	char			*id;
	bool			 is_dbserver;
	enum sv_status		 status;
	bool			 seen;		/* a heartbeat since the
						 * clocks began */
	uint64_t		 seen_ms;	/* monotonic */
	uint64_t		 seen_wall_ms;
	uint64_t		 failed_ms;	/* when it became FAILED */
	struct json_object	*beat;		/* the last heartbeat */
	size_t			 shards;	/* planned there */
};

struct supervision {
	struct supervision_io	 io;
	struct supervision_times times;
	struct map		 servers;	/* id -> struct sv_server */
	uint64_t		 begin_ms;	/* the clocks' */
	uint64_t		 last_ms;	/* last step; 0: none */
	uint64_t		 now_ms, wall_ms;	/* of this step */
	char			 now[CLOCK_TEXT_SIZE];
	/* what the last look at all shards was based on */
	int64_t			 plan_version, current_version;
	uint64_t		 looked_ms;
};

/* Value of the store, or NULL. */
struct json_object *sv_get(struct supervision *s, const char *fmt, ...)
	    __attribute__((format(printf, 2, 3)));
/* Carry t out and free it; 0 or negative. */
int	sv_commit(struct supervision *s, struct agency_trx *t);
/* In Target/FailedServers? */
bool	sv_is_failed(struct supervision *s, const char *id);
bool	sv_is_good(struct supervision *s, const char *id);

/* ---- shards that belong together ---------------------------------------- */

/*
 * A collection and those that are distributed like it: shards of one index
 * have the same servers in the same order, and change them together.
 */
struct sv_member {
	char			*cid;
	struct json_object	*def;		/* a reference */
	size_t			 nshards;
	char			**shards;	/* ordered by number */
};

struct sv_group {
	char			*db;
	size_t			 n;
	struct sv_member	*m;		/* m[0] is the prototype */
};

/* Of the collection with that id (or name); NULL: there is none. */
struct sv_group *sv_group_of(struct supervision *s, const char *db,
	    const char *collection);
void	sv_group_free(struct sv_group **g);
/* Number of copies it shall have. */
size_t	sv_group_factor(struct supervision *s, const struct sv_group *g);
/* Plan's list of a shard; NULL when it is gone. */
struct json_object *sv_plan(struct supervision *s, const struct sv_group *g,
	    size_t member, size_t index);
/* Current's list; NULL when it was never reported. */
struct json_object *sv_current(struct supervision *s,
	    const struct sv_group *g, size_t member, size_t index);
/* An id of a list without '_'; NULL behind its end. */
const char *sv_list_id(struct json_object *list, size_t i);
bool	sv_list_has(struct json_object *list, const char *id);
/* Is the server in sync with every shard of that index? */
bool	sv_is_in_sync(struct supervision *s, const struct sv_group *g,
	    size_t index, const char *id);
/* Does it lead all of them, in Current, and has not resigned? */
bool	sv_leads(struct supervision *s, const struct sv_group *g, size_t index,
	    const char *id);
/*
 * Add to t: the shards of that index get the list that edit makes of each old
 * one (a new array, or NULL: leave it), provided that it still is the old one.
 */
typedef struct json_object *sv_edit(struct json_object *old, const void *arg);
void	sv_edit_plan(struct supervision *s, struct agency_trx *t,
	    const struct sv_group *g, size_t index, sv_edit *edit,
	    const void *arg);
/* Is one of them being moved? */
bool	sv_is_locked(struct supervision *s, const struct sv_group *g,
	    size_t index);

/* ---- the parts of a step ------------------------------------------------ */

void	sv_look_at_shards(struct supervision *s);
void	sv_run_jobs(struct supervision *s);

#endif
