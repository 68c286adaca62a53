/*
 * write.h - batches of documents into a shard or a collection of the target.
 *
 * To the leader of a shard (by name of the shard, at a DB-server) or through
 * a coordinator (by name of the collection).  Bodies are arrays that the
 * caller has built, JSON or VelocyPack.  Results are parsed without trees.
 * All functions wait.
 *
 * A batch may always be sent again: the same batch before any other of that
 * shard (R16).
 *
 * Facts: target reference, sections 6 and 11.
 */
#ifndef ARANGO_WRITE_H
#define ARANGO_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arango/errors.h"
#include "base/buf.h"
#include "base/err.h"

struct arango;
struct arango_cancel;
struct arango_server;

struct arango_write_to {
	struct arango		*cluster;
	struct arango_server	*server;	/* NULL: a coordinator */
	const char		*db;
	const char		*name;		/* shard, or collection */
	struct arango_cancel	*cancel;	/* or NULL */
};

/* Start from ARANGO_WRITE_INIT. */
struct arango_write {
	const struct buf	*body;		/* an array */
	/* Or len bytes in pieces: see on_body of arango_req (arango/conn.h). */
	size_t			(*on_body)(void *arg, size_t at, uint8_t *p,
				    size_t n);
	void			*arg;
	size_t			 len;
	size_t			 count;		/* its elements */
	bool			 vpack;
	/*
	 * Upserts: isRestore.  A _rev in a document is kept, one without it
	 * gets a new one (R12); schema, computed values and rules for shard
	 * keys are stepped over.
	 */
	bool			 restore;
	bool			 wait_for_sync;
	uint64_t		 retry_ms;	/* for passing troubles */
};
#define ARANGO_WRITE_INIT	{ .restore = true }

struct arango_write_error {
	size_t		 pos;		/* in the batch; SIZE_MAX: not known */
	int		 num;		/* errorNum */
	/* 1210: key of the document that is in the way, decoded; else NULL. */
	char		*conflict;
	char		*index;		/* 1210: name of the index, or NULL */
	char		*text;		/* the server's message, cut */
};

struct arango_write_result {
	/*
	 * 0: the batch as a whole was executed; errors has the elements that
	 * were refused.  Otherwise nothing is known to be done: see reaction.
	 */
	int			 err;
	int			 status, num;
	bool			 unknown;	/* it may have been executed,
						 * now or later (R16) */
	enum arango_reaction	 reaction;	/* for the batch */
	struct err_msg		 msg;
	struct arango_write_error *errors;
	size_t			 nerrors;
	size_t			 nerrors_all;	/* kept are the first 4096 */
	uint64_t		 elapsed_us;
};

/*
 * Insert or replace.  First silently; when the header says that elements
 * failed, the batch is sent once more to learn which.  Returns res->err;
 * arango_write_result_free() in any case.
 */
int	arango_write_upsert(const struct arango_write_to *to,
	    const struct arango_write *w, struct arango_write_result *res);
/* Remove by key; elements that are not there (1202) are no errors. */
int	arango_write_remove(const struct arango_write_to *to,
	    const struct arango_write *w, struct arango_write_result *res);
/* Empty the shard or collection. */
int	arango_write_truncate(const struct arango_write_to *to,
	    struct arango_write_result *res);
void	arango_write_result_free(struct arango_write_result *res);

/*
 * The answer of a batch: len bytes of JSON or VelocyPack into errors.  For
 * tests and fuzzing; does not wait.  ERR_FORMAT when it is not such an answer.
 */
int	arango_write_parse(const uint8_t *p, size_t len, bool vpack,
	    bool remove, size_t count, struct arango_write_result *res);
/*
 * Key (and index) out of "unique constraint violated - in index I of type T
 * over 'F'; conflicting key: K".  New strings, NULL when it is not there.
 */
void	arango_parse_conflict(const char *text, size_t len, char **key,
	    char **index);

#endif
