/*
 * tail.h - the process that reads the WAL of one DB-server of the source, once
 * for all shards that it leads and one target (design section 2; R1 to R6).
 *
 * Peers: control, api (watermarks); every send of that server lists it.
 */
#ifndef TAIL_TAIL_H
#define TAIL_TAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "sync/position.h"
#include "worker/worker.h"

struct rbuf;

/* Configuration of the process (MSG_MESH_START). */
struct tail_conf {
	char		 target[64];		/* cluster id */
	char		 source[64];
	char		 server[POS_SERVER_SIZE];
	char		 url[256];
	uint64_t	 reboot_id;
	uint64_t	 max_hold_bytes;	/* R3; 0: no bound */
	uint64_t	 max_hold_ms;
};
void	tail_conf_put(struct buf *b, const struct tail_conf *c);
int	tail_conf_get(struct rbuf *m, struct tail_conf *c);

int	tail_main(struct member *m, const struct worker_conf *conf);

/* ---- the conversation with a send --------------------------------------- */

/*
 * A send has one channel, so nothing but ASK and JOIN names it.
 *
 *	send				tail
 *	ASK_REQ(position) ->		<- ASK_ANS(evidence)
 *	JOIN_REQ(tick) ->		<- BEHIND(tick), when there is a past
 *					<- JOIN_ANS(0, tick)
 *					<- STATE(detached, "it resumes ..")
 *					<- LINES .. END, LINES .. END ..
 *					<- STATE(live)
 *	ACK(noted, durable) ->
 *
 * Both questions are answered when the server can be asked; while it is down
 * that lasts.  ASK changes nothing.  A second JOIN (after a repair) takes the
 * place of the first: whatever comes between JOIN_REQ and its answer is of the
 * former one and is dropped.  JOIN_ANS comes before anything of the new one
 * but BEHIND; its tick is never above the one that was asked for.
 * ROUTE_FROM_NOW is answered after the present response; open the
 * snapshot then, not before.
 *
 * LINES are whole lines of one response, in order; a line that is longer than
 * a piece goes on in the next one (TAIL_LINES_MORE), and all its pieces follow
 * each other whatever happens.  END says that the response is complete: its
 * position is the only thing to resume from (R1), and what the lines since the
 * last END belong to.
 *
 * An END without lines, asked from its own tick, says that nothing more comes
 * up to there: the channel was told BEHIND and is live now.
 *
 * Lines without an END.  When a response breaks off, or the channel is
 * detached in the middle of one, its lines come again, from the first one
 * behind the last END, with TAIL_LINES_AGAIN in the first piece.  A send has
 * nothing to undo: the queue may hold the first part twice, because the same
 * operations in the same order lead to the same documents, and no boundary
 * lies between.  So all it has to do is to go on.  The same holds at a new
 * JOIN.
 *
 * GONE ends the join: nothing more comes before the next JOIN; what has no END
 * yet must not be applied (it may never have happened), nor what is queued and
 * not delivered with TAIL_HISTORY_LOST and TAIL_ENDED (R5).
 *
 * ACK.  durable: the highest `tick` of END (or of the JOIN, or of a cut whose
 * repair has ended) up to which everything is durable; the server may forget
 * what is below all of them (R2), and when a history is proven only up to a
 * lower tick after a restart of the server, the join is GONE.  noted: see
 * below.  Both only rise between two JOINs.
 *
 * Watermarks (R21).  link takes a channel for "applied through the watermark"
 * unless it was told of records that wait.  So the tail sends no watermark
 * above a record before that channel's send has noted it, and a send notes
 * a tick only after api has answered MSG_SEND_NOTED for MSG_CH_QUEUED of this
 * or a higher tick:
 *   - END(pos): say QUEUED(pos.tick), then note it;
 *   - BEHIND(tick): the channel is detached, or joins from behind: records up
 *     to tick exist that come only later, and live ones go on.  Say
 *     QUEUED(tick), then note it, as if it were an END.  When it comes before
 *     JOIN_ANS, RESUME.queued is not below it.  It is said again, at most four
 *     times a second, while more comes for a detached channel.
 * Notes may be joined: only the highest tick counts.  Channels that nobody
 * has subscribed are noted all the same (api answers at once).
 * A send whose connection is lost holds watermarks back for two seconds more:
 * by then api has told link that the channel is closed.
 *
 * Sleep (R24).  A send that has nothing to do for long leaves: api and link keep
 * the channel as it was, nothing queued, so it does not count as lost.  Control
 * says MSG_TAIL_ASLEEP; from then on the first line for its channel makes the
 * tail say MSG_TAIL_WANT, and holds watermarks back until the send has come
 * back and noted it.  Each new process of a tail is told of all that sleep; one
 * that it has no row for is wanted at once.
 */

/* Answer to MSG_TAIL_ASK: what this server can prove about the position. */
struct tail_evidence {
	char		 server[POS_SERVER_SIZE];
	uint64_t	 reboot_id, server_id;
	bool		 proven;	/* same reboot, or the last line was
					 * read again and is the same */
	bool		 gap;		/* what is behind it is not there */
	/* As shard_can_resume() wants it: not above the position's tick when
	 * nothing that the channel needs is missing (R4), though the log
	 * itself may begin later. */
	uint64_t	 wal_first, wal_last;
	/* Where to join to miss nothing behind the position: it, the tick of
	 * its proof, or, for a channel that had nothing since, our own. */
	uint64_t	 join;
	/*
	 * Where the tail is, and how many responses have had nothing behind
	 * that.  The last ticks of a log may be of nothing that it shows (a
	 * counter, somebody's commit), so a position need not come to the
	 * newest tick; when there were two such responses since the newest
	 * tick was asked for, everything through it was read.
	 */
	uint64_t	 through, rounds;
};
void	tail_evidence_put(struct buf *b, const struct tail_evidence *e);
int	tail_evidence_get(struct rbuf *m, struct tail_evidence *e);

/* MSG_TAIL_LINES: u8 flags, then the bytes to the end. */
#define TAIL_LINES_MORE	1	/* the last line goes on in the next piece */
#define TAIL_LINES_AGAIN 2	/* the first piece of lines that come again */

enum tail_end_why {
	TAIL_WAL_GONE,		/* gap, pruned, hold given up (R3) */
	TAIL_HISTORY_LOST,	/* restarted, and the history is not proven */
	TAIL_ENDED		/* a 2000 or 2001 marker (R5) */
};

/*
 * Its status (worker_status()):
 *
 *	{"state": "running",		"proving" a history, "down": the server
 *					does not answer, "waiting" for bytes to
 *					be taken, "starting"
 *	 "error": "...",		absent when there is none
 *	 "server": "PRMR-..", "reboot_id": 7,
 *	 "from_tick", "newest_tick", "held_tick", "watermark_tick",
 *	 "channels", "detached", "busy", "away", "asleep",
 *	 "spill_bytes", "lines", "bytes", "not_ours_lines"}
 */

#endif
