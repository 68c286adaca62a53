/*
 * docop.h - the rules for documents: options of a request, keys, edges, what
 * is stored for an insert, replace or update, and what is answered.
 *
 * Coordinators and DB-servers use the same functions, so that both accept and
 * refuse the same documents.  Nothing here waits, stores or sends anything.
 * Functions that return an "errnum" give AE_OK (0) or one of arangod's numbers
 * from errors.h, with the sentence for the client in em when em is not NULL.
 *
 * Facts: arangod/Transaction/Methods.cpp, arangod/RestHandler/
 * RestDocumentHandler.cpp, arangod/VocBase/KeyGenerator.cpp.
 */
#ifndef SANDBOX_DOCOP_H
#define SANDBOX_DOCOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>

#include "base/buf.h"
#include "base/err.h"
#include "sandbox/errors.h"
#include "vpack/rev.h"
#include "vpack/vpack.h"

struct sb_req;

/* ---- options --------------------------------------------------------- */

enum docop_kind {
	DOCOP_INSERT,		/* POST */
	DOCOP_REPLACE,		/* PUT */
	DOCOP_UPDATE,		/* PATCH */
	DOCOP_REMOVE,		/* DELETE */
	DOCOP_READ		/* GET, HEAD, PUT ?onlyget=true */
};

/* What an insert does when the key is there already. */
enum docop_overwrite {
	DOCOP_CONFLICT,		/* 1210; the default */
	DOCOP_IGNORE,		/* leave it, and that is success */
	DOCOP_OW_UPDATE,
	DOCOP_OW_REPLACE
};

struct docop_opts {
	enum docop_kind	 kind;
	enum docop_overwrite overwrite;	/* inserts only */
	bool		 wait_for_sync;
	bool		 is_restore;
	bool		 return_new;
	bool		 return_old;
	bool		 silent;
	bool		 keep_null;	/* default true for PATCH, false for
					 * inserts with overwriteMode=update */
	bool		 merge_objects;	/* default true */
	bool		 ignore_revs;	/* default true */
	bool		 only_get;	/* PUT that reads many */
	const char	*sync_from;	/* isSynchronousReplication: id of the
					 * leader; NULL when absent or empty.
					 * Points where get() pointed. */
};

typedef const char *docop_param_fn(void *arg, const char *name);

/* Read the query parameters; get() gives a decoded value or NULL. */
void	docop_opts_parse(struct docop_opts *o, enum docop_kind kind,
	    docop_param_fn *get, void *arg);
/* The same for a request.  kind PUT with onlyget becomes DOCOP_READ. */
void	docop_opts_from_req(struct docop_opts *o, enum docop_kind kind,
	    struct sb_req *r);
/*
 * Append the options as a query string ("waitForSync=true&..."), without '?',
 * maybe empty, such that docop_opts_parse() of it gives the same.
 */
void	docop_opts_to_query(const struct docop_opts *o, struct buf *out);
/* true for update and replace, by whatever method */
bool	docop_modifies(const struct docop_opts *o);

/* ---- keys and ids ---------------------------------------------------- */

#define DOCOP_KEY_MAX	254	/* bytes */
#define DOCOP_GENERATED_KEY_MAX	40	/* with NUL: any generated key */

/* 1..254 bytes out of A-Z a-z 0-9 _ - : . @ ( ) + , = ; $ ! * ' % */
bool	docop_key_ok(const char *key, size_t len);
/* "collection/key" with a collection name and a key that are possible. */
bool	docop_id_ok(const char *id, size_t len);
/* The part behind the first '/', or all of it. */
const char *docop_key_of_id(const char *id, size_t len, size_t *klen);

enum docop_keygen_type {
	DOCOP_KEYS_TRADITIONAL,
	DOCOP_KEYS_AUTOINCREMENT,
	DOCOP_KEYS_PADDED,
	DOCOP_KEYS_UUID
};

/* Key generator of one collection. */
struct docop_keygen {
	enum docop_keygen_type type;
	bool		 allow_user_keys;
	uint64_t	 increment, offset;	/* autoincrement */
	uint64_t	 last;			/* given or seen */
};

/*
 * From keyOptions of a definition (NULL: traditional).  errnum: 1232 for an
 * unknown type, 10 for a bad increment or offset.
 */
int	docop_keygen_init(struct docop_keygen *g, struct json_object *options);
/*
 * A new key and its length.  tick is a number that no other server hands out
 * (traditional and padded use it; the others do not).  0 when the generator
 * has run out of numbers (errnum 1225).
 */
size_t	docop_keygen_next(struct docop_keygen *g, uint64_t tick,
	    char key[DOCOP_GENERATED_KEY_MAX]);
/* A document with this key was written: later keys must differ. */
void	docop_keygen_track(struct docop_keygen *g, const char *key,
	    size_t len);

/* ---- what a request element says ------------------------------------- */

/* Views into the element; NULL and 0 when absent. */
struct docop_elem {
	const uint8_t	*value;		/* the element itself */
	const char	*key;
	size_t		 klen;
	uint64_t	 rev;		/* expected revision; 0: none given,
					 * REV_INVALID: cannot match */
};

/*
 * Take one element of a request apart: for inserts, replaces and updates an
 * object, for removals and reads also "key" and "collection/key".  Inserts may
 * lack a key (elem->key NULL).  errnum: 1227 not an object, 1221 bad key, 1205
 * missing or bad handle.
 */
int	docop_elem_parse(struct docop_elem *e, const struct docop_opts *o,
	    const uint8_t *value);

/* ---- what is stored -------------------------------------------------- */

/* What the rules have to know of a collection. */
struct docop_coll {
	const char	*name;		/* of the cluster's collection: _id */
	size_t		 nlen;
	bool		 edge;
	bool		 allow_user_keys;
};

/*
 * The checks of a new or replacing document that need no look at the stored
 * one: the key (1221; 1222 when users may give none and o does not restore),
 * _from and _to of edges (1233).  e->key may be NULL (inserts).
 */
int	docop_check(const struct docop_coll *c, const struct docop_opts *o,
	    const struct docop_elem *e, struct err_msg *em);

/*
 * The revision that is stored: that of the body when o restores and it is one,
 * else a new one from the clock.
 */
uint64_t docop_new_rev(const struct docop_opts *o, const uint8_t *body,
	    struct hlc *clock);

/*
 * Append the document for an insert or replace to b (vpb_start() before,
 * vpb_end() done here): _key, _id, for edges _from and _to, _rev, then the
 * other attributes in the order of the body.  errnum: 1233, 1216 too large.
 */
int	docop_build(struct vp_builder *b, struct buf *out,
	    const struct docop_coll *c, const uint8_t *body, const char *key,
	    size_t klen, uint64_t rev);
/*
 * The same for an update: old with the attributes of patch laid over it by
 * keep_null and merge_objects.  errnum: 1233, 1216.
 */
int	docop_merge(struct vp_builder *b, struct buf *out,
	    const struct docop_coll *c, const struct docop_opts *o,
	    const uint8_t *old, const uint8_t *patch, uint64_t rev);
/* An update that names nothing but the key changes nothing, _rev neither. */
bool	docop_patch_is_empty(const uint8_t *patch);

/* ---- what is answered ------------------------------------------------ */

struct docop_done {
	const char	*key;
	size_t		 klen;
	uint64_t	 rev;		/* new; the removed one's */
	uint64_t	 old_rev;	/* 0: none to tell */
	const uint8_t	*new_doc;	/* NULL: not asked for */
	const uint8_t	*old_doc;
};

/* Append {_id,_key,_rev[,_oldRev][,old][,new]} as the next value of b. */
void	docop_put_done(struct vp_builder *b, const struct docop_coll *c,
	    const struct docop_done *d);
/* Append {"error":true,"errorNum":n,"errorMessage":text}; NULL: the table's. */
void	docop_put_error(struct vp_builder *b, int errnum, const char *text);

/* Counts per error number, for the header x-arango-error-codes. */
#define DOCOP_ERRORS_MAX	16

struct docop_errors {
	size_t		 n;
	struct {
		int	 errnum;
		uint64_t count;
	}		 list[DOCOP_ERRORS_MAX];
};

void	docop_errors_add(struct docop_errors *es, int errnum, uint64_t count);
/* Read a header text of another server and add what it counts. */
void	docop_errors_add_text(struct docop_errors *es, const char *text);
/* {"1202":1,"1210":3}, appended; only when es->n > 0. */
void	docop_errors_text(const struct docop_errors *es, struct buf *out);

/* "unique constraint violated - in index primary of type primary over '_key';
 * conflicting key: K" */
void	docop_unique_text(struct err_msg *em, const char *index_name,
	    const char *index_type, const char *fields, const char *key,
	    size_t klen);

#endif
