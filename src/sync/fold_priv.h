/* fold_priv.h - what fold.c (lines in) and fold_out.c (bodies out) share. */
#ifndef SYNC_FOLD_PRIV_H
#define SYNC_FOLD_PRIV_H

#include "sync/fold.h"

enum {
	ENTRY_REMOVAL	= 1 << 0,
	ENTRY_ARENA	= 1 << 1,	/* key is at an offset of the arena */
	ENTRY_DISCARDED	= 1 << 2,	/* of an aborted transaction */
	ENTRY_OLD	= 1 << 3,	/* a later line has the same key */
	ENTRY_FIRST	= 1 << 4,	/* an upsert that is removed first */
	ENTRY_FAILED	= 1 << 5	/* of the body that is being answered,
					 * or left over from its round */
};

enum entry_out {
	OUT_WAITS,		/* not sent, or to be sent again */
	OUT_DONE,
	OUT_AGAIN,		/* refused for the moment */
	OUT_CONFLICT,		/* 1210 */
	OUT_DEAD,
	OUT_LEFT		/* owed: somebody else sees to it */
};

/* One operation; spans are in the lines. */
struct entry {
	const char	*doc;		/* the value of "data" */
	size_t		 doc_len;
	union {
		const char	*p;
		size_t		 arena;
	} key;
	const char	*rev;		/* without quotes, or NULL */
	uint64_t	 tid;		/* of a transaction still open, or 0 */
	uint32_t	 key_len, rev_len;
	uint32_t	 hash;
	uint32_t	 prev;		/* 1 + older entry of the key; 0 */
	uint8_t		 flags;
	uint8_t		 out;
	int		 num;		/* OUT_DEAD */
};

/* Open addressing; of another generation: empty. */
struct slot {
	uint32_t	 generation;
	uint32_t	 hash;
	uint32_t	 entry;		/* newest of the key */
};

/* A stretch of the order of a phase that comes again before anything else. */
struct stretch {
	size_t		 first, count;
	unsigned int	 round;
};

struct conflict {
	uint32_t	 entry;
	char		*in_the_way, *index;
};

#define OPEN_TRX_MAX	64

struct open_trx {
	uint64_t	 tid;
	uint32_t	 first;		/* entry */
};

enum fold_phase {
	PHASE_TAKING,
	PHASE_REMOVE,
	PHASE_UPSERT,
	PHASE_DONE,
	PHASE_STUCK
};

struct fold {
	struct fold_opts	 o;
	struct fold_counts	 counts;
	uint64_t		 floor;
	bool			 ended;		/* a barrier was taken */

	struct entry		*entries;
	uint32_t		 n, cap;
	struct slot		*slots;
	uint32_t		 nslots;	/* a power of two */
	uint32_t		 used;		/* slots of this generation */
	uint32_t		 generation;
	struct buf		 arena;		/* keys that had escapes */
	struct open_trx		 open[OPEN_TRX_MAX];
	size_t			 nopen;

	/* out */
	enum fold_phase		 phase;
	uint32_t		*removals, *upserts;	/* entries, as live */
	size_t			 nremovals, nupserts, clive;
	uint32_t		*order;		/* of this round */
	size_t			 norder, corder;
	size_t			 next;		/* in order, not yet out */
	size_t			 in_flight;	/* bodies */
	unsigned int		 round, retries;
	size_t			 left_before;	/* failed in the last round */
	bool			 pause, resolve;
	size_t			 max_body;	/* lowered by ARANGO_SPLIT */
	struct stretch		*again;
	size_t			 nagain, cagain;
	struct conflict		*conflicts;
	size_t			 nconflicts, cconflicts;
	enum arango_reaction	 trouble;
};

static inline const char *
entry_key(const struct fold *f, const struct entry *e)
{
	return (e->flags & ENTRY_ARENA) != 0 ?
	    (const char *)f->arena.data + e->key.arena : e->key.p;
}

/* The newest entry of a key that was not discarded, or NULL. */
struct entry *fold_find(struct fold *f, const void *key, size_t len);
void	fold_out_reset(struct fold *f);
void	fold_out_free(struct fold *f);

#endif
