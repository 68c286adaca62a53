/*
 * agency_store_priv.h - the inside of a store, for agency_store.c and
 * agency_ops.c only.
 */
#ifndef SANDBOX_AGENCY_STORE_PRIV_H
#define SANDBOX_AGENCY_STORE_PRIV_H

#include "base/map.h"
#include "sandbox/agency_store.h"

enum store_undo_kind {
	UNDO_ROOT,
	UNDO_MEMBER,
	UNDO_TTL
};

/* How it was before one step of a transaction. */
struct store_undo {
	enum store_undo_kind	 kind;
	struct json_object	*parent;	/* MEMBER: of this object */
	char			*key;		/* MEMBER, TTL: path */
	bool			 had;		/* there was one before: */
	struct json_object	*old;
	uint64_t		 expires_ms;
};

struct agency_store {
	struct json_object	*root;
	struct map		 ttl;		/* path -> uint64_t, ms */
	struct store_undo	*undo;		/* of this transaction */
	size_t			 nundo, undo_cap;
	struct agency_entry	*log;		/* ring of AGENCY_LOG_KEEP */
	size_t			 log_start, nlog;
	uint64_t		 next_index;
	struct map		 clients;	/* client id -> index */
};

size_t	store_walk(struct agency_store *s, const struct agency_path *p,
	    struct json_object **node);
struct json_object *store_find(struct agency_store *s,
	    const struct agency_path *p, bool *found);
/* Changes of the tree, undone by store_rollback() until store_commit(). */
void	store_set(struct agency_store *s, const struct agency_path *p,
	    struct json_object *value);
void	store_delete(struct agency_store *s, const struct agency_path *p);
void	store_ttl_set(struct agency_store *s, const char *path,
	    uint64_t expires_ms);
void	store_ttl_forget(struct agency_store *s, const char *path);
void	store_rollback(struct agency_store *s);
void	store_commit(struct agency_store *s);
int	store_import(struct json_object *v, unsigned depth,
	    struct json_object **out);

#endif
