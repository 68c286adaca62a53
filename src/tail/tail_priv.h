/*
 * tail_priv.h - the inside of a tail.
 *
 *	tail.c		life: worker, connections, timers, status
 *	tail_drive.c	the server: proofs, hold, starting and stopping readers
 *	tail_read.c	the live reader and the one for the detached (catch-up)
 *	tail_row.c	channels: lines on their way, who is too slow
 *	tail_join.c	conversation with sends
 *	tail_proof.c	what can be proven of a history, and of a position
 *	tail_mark.c	watermarks (R21)
 *	tail_sleep.c	channels whose send sleeps (R24)
 *	tail_file.c	the checkpoint file
 */
#ifndef TAIL_TAIL_PRIV_H
#define TAIL_TAIL_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sys/queue.h>

#include "arango/conn.h"
#include "arango/tail.h"
#include "base/buf.h"
#include "base/map.h"
#include "ev/fiber.h"
#include "ev/loop.h"
#include "ipc/peer.h"
#include "sync/route.h"
#include "tail/tail.h"

struct json_object;
struct msg_in;
struct tail;
struct tail_conn;
struct tail_row;

/* Flags byte and lines of one message. */
#define TAIL_PIECE_BYTES	((size_t)240 * 1024)
/* While something waits for a pipe we look so often. */
#define TAIL_DRAIN_MS		5
#define TAIL_MARK_MS		250
/* A full pipe holds the reader while it takes so many bytes in such a time, for
 * reading twice costs more; below that its channel is detached. */
#define TAIL_GRACE_MS		50
#define TAIL_GRACE_BYTES	((size_t)1024 * 1024)
/* A channel under refill that takes nothing for so long drops out. */
#define TAIL_REFILL_STUCK_MS	5000
/* The catch-up waits so long for its slow ones before it goes on. */
#define TAIL_REFILL_WAIT_MS	200
/* See tail.h: a lost send holds watermarks back. */
#define TAIL_AWAY_MS		2000
/* Control is told so often of a send that is wanted. */
#define TAIL_WANT_MS		2000
/* So long we say no watermark before control has told who sleeps. */
#define TAIL_SLEEPERS_MS	10000
#define TAIL_CHECKPOINT_MS	10000
/* Nothing is known of former channels: hold everything so long. */
#define TAIL_HOLD_ALL_MS	60000
#define TAIL_BACKOFF_MAX_MS	10000
#define TAIL_IDLE_MS		200
/* So long we wait to be told of a restart that we have noticed. */
#define TAIL_REBOOT_MS		5000
#define TAIL_MESSAGE_MAX	4096

TAILQ_HEAD(tail_rows, tail_row);

/*
 * A registered channel.  It outlives its send: without one (away) it stays
 * live while nothing comes for it, and is detached, read by nobody, when
 * something does.
 */
struct tail_row {
	struct tail		*t;
	struct route_channel	*ch;		/* ch->arg is the row */
	struct tail_conn	*conn;		/* NULL: away */
	uint32_t		 id;
	uint64_t		 away_ms;	/* since when */
	uint64_t		 away_us;	/* the same on the wall */
	bool			 asleep;	/* its send comes back when we
						 * want it */
	uint64_t		 want_ms;	/* control was told */
	/* Everything above `known` was watched; `last` is the highest tick that
	 * was seen for it then.  So nothing is between last and the reader. */
	uint64_t		 known, last;
	uint64_t		 join_tick;
	uint64_t		 base;		/* what its target builds on:
						 * must be in the history */

	/* Lines of the present response. */
	struct buf		 out;		/* flags byte, whole lines */
	size_t			 line_at;	/* of the last one */
	uint64_t		 line_tick;
	bool			 again;		/* next piece repeats */
	struct tail_reader	*in;		/* whose list it is in */
	struct tail_reader	*early;		/* something went out before the
						 * response was complete */
	bool			 doubted;	/* ... and it broke off */
	size_t			 queued;	/* bytes in the peer */
	bool			 is_queued, is_slow;
	uint64_t		 slow_ms;	/* since when */
	size_t			 slow_sent;	/* what it took since then */

	/* Watermarks: records up to need, noted or not. */
	uint64_t		 need, told, noted;
	uint64_t		 ended;		/* last position it was told */
	uint64_t		 pending_from;
	bool			 pending, detoured;

	TAILQ_ENTRY(tail_row)	 all, touched, earlier, detour, sending, pend;
};

/* One of the two readers. */
struct tail_reader {
	struct tail		*t;
	bool			 live;
	struct arango_tail	*tail;
	bool			 reading;	/* within a response */
	unsigned		 pauses;
	uint64_t		 from;		/* of the present request */
	uint64_t		 meet;		/* refill: where live was */
	struct tail_rows	 touched;	/* got something of it */
	struct tail_rows	 earlies;	/* row->early is us */
	/*
	 * Of a response that broke off: whose lines went out early, and the
	 * last of them.  It must come again, or they have never happened.
	 */
	struct tail_rows	 doubted;
	uint64_t		 early_tick;
	uint32_t		 early_crc;
};

/* Why a reader is paused. */
enum {
	TAIL_PAUSE_FULL = 1,	/* all spill buffers together */
	TAIL_PAUSE_SLOW = 2,	/* a busy pipe, for a moment */
	TAIL_PAUSE_MEET = 4,	/* live: the catch-up is close */
	TAIL_PAUSE_WAIT = 8	/* catch-up: nobody is ready */
};

/* The connection with a send. */
struct tail_conn {
	struct tail		*t;
	struct peer		*peer;
	struct tail_row		*row;
	/* JOIN waits for the end of a response. */
	bool			 joining;
	uint32_t		 join_id;
	char			*join_db, *join_cuid;
	uint64_t		 join_tick;
	/* Answered: a join at `lifted` stands for `asked`, as nothing lies
	 * between. */
	uint64_t		 asked, lifted;
	uint32_t		 losses;	/* as they were then */
	TAILQ_ENTRY(tail_conn)	 next;
};

struct tail_ask {
	struct tail_conn	*conn;		/* NULL: gone meanwhile */
	uint32_t		 id;
	char			*db, *cuid;
	bool			 has_pos;
	struct sync_pos		 pos;
	TAILQ_ENTRY(tail_ask)	 next;
};

/* At this time the server's newest record had this tick. */
struct tail_time {
	uint64_t		 tick, us;
};

#define TAIL_TIMES		512
#define TAIL_LINEAGE_MAX	16

/* In an earlier start of the server; its ticks up to this one are proven. */
struct tail_lineage {
	uint64_t		 reboot_id, tick;
};

/* A channel whose log has ended must be repaired: positions below this are
 * refused.  UINT64_MAX until it has joined for that. */
struct tail_floor {
	uint64_t		 tick;
	uint64_t		 us;		/* since when */
	bool			 strict;	/* the tick itself, too */
};

enum tail_state {
	TAIL_STARTING, TAIL_PROVING, TAIL_RUNNING, TAIL_DOWN
};

struct tail {
	struct worker		*w;		/* NULL in tests */
	struct loop		*loop;
	struct arango		*cluster;
	struct arango_server	*server;
	const char		*data_dir;
	struct tail_conf	 conf;		/* url, reboot_id: of now */
	struct arango_cancel	 cancel;
	bool			 stopping;

	struct route		*route;
	struct tail_rows	 rows;
	uint32_t		 next_id;
	bool			 has_point;
	struct route_point	 point;		/* of the live reader */
	uint64_t		 point_reboot;	/* proven in this start */
	uint64_t		 server_id;
	uint64_t		 newest;	/* tick of the server */
	bool			 at_end;	/* nothing behind the point */
	uint64_t		 rounds;	/* responses without more
						 * since it moved */
	uint64_t		 good_ms;	/* last whole response */
	bool			 gap;		/* the reader found one */
	bool			 begun;		/* anew, at the end */
	/*
	 * A history was lost that was read in this start of the server:
	 * positions of it and of earlier ones prove nothing, even where their
	 * own part of the log is there, because their targets may have applied
	 * more than they have recorded.
	 */
	uint64_t		 lost_reboot;
	uint32_t		 losses;
	struct map		 floors;	/* db NUL cuid -> tail_floor */
	struct tail_lineage	 lineage[TAIL_LINEAGE_MAX];
	size_t			 nlineage;

	enum tail_state		 state;
	struct err_msg		 error;
	struct fiber_cond	 wake;		/* the driver */
	bool			 restart, driving;
	struct tail_reader	 live, refill;
	uint64_t		 refill_wait_ms;

	struct arango_hold	*hold;
	uint64_t		 hold_tick;	/* of the durable checkpoint */
	uint64_t		 hold_all_ms;	/* until then everything */
	bool			 hold_failed, hold_warned, hold_given_up;
	uint64_t		 read_bytes, read_ticks;	/* ratio */

	TAILQ_HEAD(, tail_conn)	 conns;
	TAILQ_HEAD(, tail_ask)	 asks;
	bool			 asking;
	struct arango_wal_range	 range;
	uint64_t		 range_ms;
	struct tail_rows	 sending;	/* bytes wait for their pipe */
	struct tail_rows	 detoured;
	struct tail_rows	 pending;	/* watermarks wait for them */
	struct buf		 scratch;
	struct buf		 spare[8];	/* for row->out */
	size_t			 nspare;

	bool			 sleepers_known;	/* control has said who
						 * sleeps */
	uint64_t		 start_ms;
	struct peer		*api;
	uint64_t		 mark_tick, mark_us;	/* highest sent */
	uint64_t		 mark_reboot;
	struct tail_time	 recent[TAIL_TIMES];	/* a ring */
	size_t			 recent_at, nrecent;
	struct tail_time	 old[TAIL_TIMES];
	size_t			 nold;
	uint64_t		 old_spacing_us;

	struct buf		 saved;		/* what the file has */
	uint64_t		 saved_ms;
	bool			 save_failed;
	struct loop_timer	*mark_timer, *drain_timer, *second_timer;
	struct loop_task	 join_task;
};

/* tail.c */
struct tail *tail_new(struct loop *loop, struct arango *cluster,
	    const char *data_dir, const struct tail_conf *conf);
void	tail_start(struct tail *t);
/* Reads no more, writes the checkpoint.  Its fibers end soon after (driving,
 * asking). */
void	tail_stop(struct tail *t);
void	tail_free(struct tail **t);
void	tail_take_send(struct tail *t, const char *name, int fd);
void	tail_take_api(struct tail *t, const char *name, int fd);
void	tail_server_is(struct tail *t, const char *url, uint64_t reboot_id);
struct json_object *tail_status(struct tail *t);
void	tail_set_state(struct tail *t, enum tail_state state, const char *why);

/* tail_drive.c */
void	tail_drive(void *arg);
/* The live reader has to go on from before its position: only what is below
 * is proven. */
void	tail_rewound(struct tail *t, uint64_t from);
void	tail_hold_update(struct tail *t);
void	tail_hold_check(struct tail *t);	/* R3 */

/* tail_read.c */
/* What arango/tail.h calls a point, for the table. */
void	tail_point_of(struct route_point *rp,
	    const struct arango_tail_point *p);
/* A tick of this server as a position; proven where it is the end of a
 * response. */
void	tail_position(const struct tail *t, uint64_t tick,
	    const struct route_point *end, struct sync_pos *pos);
void	tail_reader_start(struct tail_reader *rd,
	    const struct arango_tail_point *p);
void	tail_reader_stop(struct tail_reader *rd);
void	tail_reader_pause(struct tail_reader *rd, unsigned why, bool on);
/* Start, seek, pause or stop the catch-up as the table wants it. */
void	tail_refill_step(struct tail *t);

/* tail_row.c */
struct tail_row *tail_row_find(struct tail *t, const char *db,
	    const char *cuid);
struct tail_row *tail_row_add(struct tail *t, uint32_t id, const char *db,
	    const char *cuid, uint64_t tick);
/* Register it anew, at another position. */
void	tail_row_again(struct tail_row *row, uint64_t tick);
void	tail_row_free(struct tail_row *row);
/* Its send is told, and it is forgotten. */
void	tail_row_gone(struct tail_row *row, enum tail_end_why why,
	    const char *sentence);
void	tail_rows_gone(struct tail *t, enum tail_end_why why,
	    const char *sentence);
void	tail_row_away(struct tail_row *row);
void	tail_row_detach(struct tail_row *row, enum route_why why);
void	tail_row_joined(void *arg, struct route_channel *ch);
void	tail_row_line(struct tail_row *row, struct tail_reader *rd,
	    const struct arango_marker *m);
void	tail_row_flush(struct tail_row *row, struct tail_reader *rd,
	    bool early);
void	tail_row_early_clear(struct tail_row *row);
/* Lines that were not sent are forgotten; the rest comes again. */
void	tail_row_drop_lines(struct tail_row *row);
void	tail_row_send(struct tail_row *row, uint16_t type, struct buf *b);
void	tail_row_pending(struct tail_row *row, uint64_t from, uint64_t need);
void	tail_row_noted(struct tail_row *row, uint64_t tick);
void	tail_drain(void *arg);

/* tail_join.c */
extern const struct peer_ops tail_send_ops;
void	tail_conn_free(struct tail_conn *c);
/* Joins that waited for the end of a response. */
void	tail_joins(struct tail *t);
void	tail_asks(struct tail *t);

/* tail_proof.c */
/* 0, or negative: the server could not be asked.  Waits. */
int	tail_evidence_find(struct tail *t, const struct tail_ask *a,
	    struct tail_evidence *e);
/* Nothing came for it behind the tick: our own place is as good. */
bool	tail_is_idle_since(struct tail *t, const char *db, const char *cuid,
	    uint64_t tick);
void	tail_lineage_add(struct tail *t, uint64_t reboot_id, uint64_t tick);
/* Nothing above this tick is proven any more. */
void	tail_lineage_cut(struct tail *t, uint64_t tick);
/* Its log has ended; it joins to be repaired; is a position good? */
void	tail_floor_set(struct tail *t, const char *db, const char *cuid,
	    bool strict);
void	tail_floor_joined(struct tail *t, const char *db, const char *cuid,
	    uint64_t tick);
bool	tail_floor_allows(const struct tail *t, const char *db,
	    const char *cuid, uint64_t tick);
struct tail_floor *tail_floor_put(struct tail *t, const char *db,
	    const char *cuid);
void	tail_floors_forget(struct tail *t, uint64_t older_than_us);
void	tail_floors_free(struct tail *t);

/* tail_mark.c */
void	tail_time_note(struct tail *t, uint64_t tick, uint64_t us);
/* When was this tick the newest?  0: before we knew. */
uint64_t tail_time_of(const struct tail *t, uint64_t tick);
uint64_t tail_mark_tick(struct tail *t);
void	tail_mark(void *arg);

/* tail_sleep.c */
/* There is something for it, and its send is not there: tell control. */
void	tail_row_want(struct tail_row *row);
/* Tell it again. */
void	tail_rows_want(struct tail *t);
int	tail_on_asleep(struct msg_in *in);	/* MSG_TAIL_ASLEEP */
int	tail_on_nobody(struct msg_in *in);	/* MSG_TAIL_NOBODY */

/* tail_file.c */
/* 1: there is one; 0: none; negative: it cannot be used (m). */
int	tail_file_load(struct tail *t, struct err_msg *m);
/* When it has changed.  0 or negative. */
int	tail_file_save(struct tail *t);
int	tail_file_parse(struct tail *t, const void *data, size_t len);
void	tail_file_make(struct tail *t, struct buf *b);

#endif
