/*
 * near_end.h - everything that a process send talks to, for one scenario: a
 * script in a fiber is the tail, api and control; a shard in memory is behind
 * HTTP.
 */
#ifndef TESTS_NEAR_END_H
#define TESTS_NEAR_END_H

#include "base/buf.h"
#include "base/map.h"
#include "ev/fiber.h"
#include "ev/loop.h"
#include "ipc/codec.h"
#include "ipc/messages.h"
#include "ipc/peer.h"
#include "send/send.h"
#include "sync/route.h"
#include "tail/tail.h"

struct near_message {
	struct near_message *next;
	uint16_t	 type;
	uint32_t	 id;
	size_t		 len;
	uint8_t		 data[];
};

struct near_end {
	struct loop	*loop;
	char		 dir[64];
	struct proc_child child;
	struct member	 member;
	struct peer	*api, *tail, *control;
	struct near_message *first, **last;
	struct fiber_cond came;
	uint32_t	 sub;
	uint64_t	 ups;		/* messages that it was given of api */
	struct peer	*garbler;	/* may be lost */
	bool		 garbling;	/* all of them may be */
	void		(*script)(struct near_end *);
	/* what it has said by the way */
	uint64_t	 noted, durable, queued;
	bool		 blocked;
	char		 status[4096];
	/* the source */
	struct http_server *srv;
	char		 url[64];
	struct map	 docs;		/* key -> JSON text, whole */
	const char	*leader;
	uint64_t	 reboot_id, snapshot_tick, wal_tick;
	unsigned int	 snapshots, dumps;
	unsigned int	 chunks;	/* of a dump, each with all of docs */
	unsigned int	 break_at;	/* the dump breaks off with this one */
	/* How far the tail says it is; 0: the script answers. */
	uint64_t	 server_tail, rounds;
	bool		 idle;		/* and there is nothing more */
};

/* Of the next ones; 0: none, or never. */
extern uint64_t	near_quota, near_min_free, near_idle_ms;
/* Run the script beside a send, in a process of their own; 0 when it came to
 * its end without a near_fail().  dir NULL: one of its own, removed; else it
 * is made, and kept for the next one. */
int	near_run(void (*script)(struct near_end *), const char *dir);
void	near_fail(const char *fmt, ...)
	    __attribute__((format(printf, 1, 2), noreturn));
#define near_check(cond)						\
	do {								\
		if (!(cond))						\
			near_fail("%s:%d: %s", __FILE__, __LINE__, #cond); \
	} while (0)
#define near_until(cond)						\
	for (int near_i_ = 0; !(cond); near_i_++) {			\
		if (near_i_ == 1000)					\
			near_fail("%s:%d: %s", __FILE__, __LINE__, #cond); \
		fiber_sleep_ms(10);					\
	}

/* The next message of its side (tail, or api), which must be of the type; the
 * caller frees. */
struct near_message *near_expect(struct near_end *f, uint16_t type);
void	near_skip(struct near_end *f, uint16_t type);
/* Nothing comes for so long. */
void	near_quiet(struct near_end *f, uint64_t ms);
void	near_up(struct near_end *f, uint16_t type, struct buf *b);
void	near_tail(struct near_end *f, uint16_t type, uint32_t id,
	    struct buf *b);

/* ---- phrases ----------------------------------------------------------- */

void	near_pos(struct sync_pos *p, uint64_t tick);
/* pos NULL: without a record; repair "": none. */
void	near_subscribe(struct near_end *f, const struct sync_pos *pos,
	    const char *repair);
/* Answer the ASK that comes: the server's log is first .. last. */
void	near_ask(struct near_end *f, bool proven, uint64_t first,
	    uint64_t last, uint64_t join);
/* Answer the JOIN that comes, which must be for this tick. */
void	near_join(struct near_end *f, uint64_t tick, uint64_t answer);
/* "i TICK KEY REV", "d TICK KEY": lines; end 0: the response goes on. */
void	near_ops(struct near_end *f, const char *ops, uint64_t end);
void	near_piece(struct near_end *f, const void *p, size_t n, uint8_t flags);
void	near_end_at(struct near_end *f, uint64_t tick);
void	near_doc(struct near_end *f, const char *key, const char *rev);
/*
 * Records as they come until a boundary (until_tick 0), or the boundary of that
 * tick: ticks of the lines, "101 102"; static storage.  pos may be NULL.
 */
const char *near_records(struct near_end *f, uint64_t until_tick,
	    struct sync_pos *pos);
/* The conversation of an empty target until it is running, at the cut. */
void	near_start_empty(struct near_end *f, uint64_t join, uint64_t cut);
void	near_closed(struct near_end *f, const char *has);
/* The tail dies and is there again. */
void	near_tail_again(struct near_end *f);

/* Everything that nobody should send (garbage.h), each over a connection of this
 * name; then all connections are made anew. */
void	near_garble(struct near_end *f, const char *name);

#endif
