/*
 * commit.h - when an answered batch is safe at the target (R14), and what is
 * doubtful (R16).
 *
 * arangod answers before it has written to its disk.  So a batch is *applied*
 * when it was answered, and *committed*, that is, the source may forget it,
 * when it was answered at least `settle` ago and everything before it was
 * too.  When a DB-server of the target restarts, what it had answered may be
 * lost, also when it comes to lead only afterwards: nothing commits until the
 * shard was compared.
 *
 * Batches have numbers of the caller, rising; a batch is put in before it is
 * sent.  Times are monotonic ms.
 */
#ifndef SYNC_COMMIT_H
#define SYNC_COMMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sync/position.h"

#define COMMIT_SETTLE_MS	2000
#define COMMIT_SUSPECT_MS	(16 * 60 * 1000)

struct commit;

/* suspect_ms: COMMIT_SUSPECT_MS, but in tests. */
struct commit *commit_new(uint32_t settle_ms, uint32_t suspect_ms);
void	commit_free(struct commit **c);

/* A batch goes out; pos is where the channel is when it is applied. */
void	commit_sent(struct commit *c, uint64_t batch,
	    const struct sync_pos *pos);
/* It was executed.  Unknown and committed numbers are ignored. */
void	commit_answered(struct commit *c, uint64_t batch, uint64_t now_ms);
/*
 * Nobody knows whether it was executed, now or later: it stays unanswered (it
 * is sent again before any other), and the shard is suspect for 16 minutes.
 */
void	commit_unknown(struct commit *c, uint64_t batch, uint64_t now_ms);
/* A former process left such a request behind; it may run until then. */
void	commit_suspect_until(struct commit *c, uint64_t until_ms);

/* The end of the answered prefix; NULL: nothing was applied yet. */
const struct sync_pos *commit_applied(const struct commit *c);
/*
 * The end of the settled prefix at that time; NULL: nothing yet.  Never goes
 * back.
 */
const struct sync_pos *commit_committed(struct commit *c, uint64_t now_ms);
/* When the next batch settles; UINT64_MAX: none waits. */
uint64_t commit_next_ms(const struct commit *c);
/* Batches that were sent and not answered; and answered, not committed. */
size_t	commit_in_flight(const struct commit *c);
size_t	commit_settling(const struct commit *c);

/*
 * The reboot id of the DB-server that leads the target shard, as looked at
 * now (0: not known).  true: it has changed, or another server led before and
 * this one was not known as a copy; nothing commits until commit_compared().
 */
bool	commit_target_seen(struct commit *c, const char *server,
	    uint64_t reboot_id);
/*
 * A DB-server with a copy that is in sync.  Only the first look counts: one
 * that was started again since may have lost what it had taken from the leader,
 * which tells when it leads itself.
 */
void	commit_copy_seen(struct commit *c, const char *server,
	    uint64_t reboot_id);
bool	commit_is_frozen(const struct commit *c);
/* Must the shard be compared because of an unknown outcome? */
bool	commit_suspect_is_due(const struct commit *c, uint64_t now_ms);
bool	commit_is_suspect(const struct commit *c);
uint64_t commit_suspect_ms(const struct commit *c);	/* UINT64_MAX: no */
/*
 * A comparison at a cut that began at started_ms has made both sides the same:
 * thaws, and clears suspects that were due when it began.
 */
void	commit_compared(struct commit *c, uint64_t started_ms);
/* A repair begins anew: forget all batches, keep suspects and servers. */
void	commit_restart(struct commit *c);

#endif
