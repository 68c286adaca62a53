/*
 * snapshot.h - a consistent view of a DB-server: batch, dump, single
 * documents.
 *
 * All functions wait (ev/fiber.h) unless they say otherwise; callbacks run
 * outside the fiber and must not wait.
 *
 * Facts: source reference, section 6; target reference 6.
 */
#ifndef ARANGO_SNAPSHOT_H
#define ARANGO_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "json/scan.h"

struct arango;
struct arango_cancel;
struct arango_server;
struct arango_snapshot;
struct http_call;

struct arango_snapshot_opts {
	struct arango		*cluster;
	struct arango_server	*server;	/* DB-server */
	const char		*db;		/* of the registration; every
						 * database can be dumped */
	uint32_t		 ttl_s;		/* renewed after a quarter */
	/* Digits of our own; never those of a hold (R2). 0: none. */
	uint64_t		 syncer_id;
	struct arango_cancel	*cancel;	/* or NULL */
};
#define ARANGO_SNAPSHOT_OPTS_INIT	{ .db = "_system", .ttl_s = 120 }

int	arango_snapshot_open(const struct arango_snapshot_opts *o,
	    struct arango_snapshot **s, struct err_msg *m);
/* Everything up to this tick is inside; tail from it. */
uint64_t arango_snapshot_tick(const struct arango_snapshot *s);
const char *arango_snapshot_id(const struct arango_snapshot *s);
struct arango_server *arango_snapshot_server(const struct arango_snapshot *s);
/* The server has dropped it: everything read since is worth nothing. */
bool	arango_snapshot_is_lost(const struct arango_snapshot *s);
/* Never waits; the server is told by a fiber of its own. */
void	arango_snapshot_close(struct arango_snapshot **s);

/* ---- dump --------------------------------------------------------------- */

/* A document: JSON text, or a checked VelocyPack slice. */
struct arango_doc {
	bool		 vpack;
	struct scan_span data;		/* valid during the callback only */
};

struct arango_dump_opts {
	const char	*db;
	const char	*shard;
	uint32_t	 chunk_bytes;
	bool		 vpack;		/* JSON where the server has no other */
	/* 0, or negative to stop with it. */
	int		(*on_doc)(void *arg, const struct arango_doc *doc);
	/* A chunk begins (may be NULL); for pausing.  NULL: it is over, there
	 * is nothing to be resumed any more. */
	void		(*on_call)(void *arg, struct http_call *call);
	void		*arg;
};
#define ARANGO_DUMP_OPTS_INIT	{ .chunk_bytes = 8 * 1024 * 1024 }

/*
 * All documents of a shard as of the snapshot, once per snapshot and shard.
 * A lost answer cannot be asked for again: any error means a new snapshot.
 */
int	arango_dump(struct arango_snapshot *s, const struct arango_dump_opts *o,
	    struct err_msg *m);

/*
 * The same for comparing: (key, revision) of each document, in the order of
 * the dump.  The key is decoded text.
 */
int	arango_dump_keys(struct arango_snapshot *s, const char *db,
	    const char *shard,
	    int (*on_key)(void *arg, const char *key, size_t klen,
		uint64_t rev), void *arg, struct err_msg *m);

/* ---- key and revision of a document, without a tree --------------------- */

struct arango_doc_id {
	struct scan_span key;	/* JSON: without quotes, escapes as they came */
	bool		 key_escaped;
	uint64_t	 rev;	/* 0 when absent */
};
/* 0, or ERR_FORMAT (no object, or without a _key string).  Never waits. */
int	arango_doc_identify(const struct arango_doc *doc,
	    struct arango_doc_id *id);

/* ---- documents by key --------------------------------------------------- */

/*
 * Fetch documents of a shard from the server that leads it (the present
 * state, not the snapshot).  keys_body: JSON or VelocyPack array of key strings
 * (or objects with _key).  The callback is called once for each element in
 * order: doc, or num (1202: not there).
 */
int	arango_documents(struct arango *a, struct arango_server *s,
	    const char *db, const char *shard, bool vpack, const void *keys,
	    size_t keys_len, struct arango_cancel *cancel,
	    int (*on_doc)(void *arg, size_t index, const struct arango_doc *doc,
		int num), void *arg, int *num, struct err_msg *m);

#endif
