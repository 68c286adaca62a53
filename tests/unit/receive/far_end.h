/*
 * far_end.h - everything that a process receive talks to, for one scenario: a
 * script in a fiber is the source, link and control.
 */
#ifndef TESTS_FAR_END_H
#define TESTS_FAR_END_H

#include "base/buf.h"
#include "ev/fiber.h"
#include "ev/loop.h"
#include "ipc/codec.h"
#include "ipc/messages.h"
#include "ipc/peer.h"
#include "receive/receive.h"
#include "fake_shard.h"

struct far_message {
	struct far_message *next;
	uint16_t	 type;
	uint32_t	 id;
	size_t		 len;
	uint8_t		 data[];
};

struct far_end {
	struct loop	*loop;
	char		 dir[64];
	struct fake_shard shard, other, coordinator;
	struct proc_child child;
	struct member	 member;
	struct peer	*link, *control;
	struct far_message *first, **last;
	struct fiber_cond came;
	uint32_t	 sub;		/* of the last SUBSCRIBE */
	struct channel_subscribe subscribe;
	uint64_t	 applied, committed;
	bool		 stalled;
	char		 status[4096];
	unsigned int	 downs;		/* messages that it was given of link */
	struct peer	*garbler;	/* may be lost */
	bool		 garbling;	/* all of them may be */
	void		(*script)(struct far_end *);
};

/* Run the script beside a receive, in a process of their own; 0 when it came to
 * its end without a far_fail(). */
int	far_run(void (*script)(struct far_end *));
/* The same, in a directory of the caller's that stays. */
int	far_run_in(void (*script)(struct far_end *), const char *dir);
/* Of the next ones: leave when idle for so long; 0: never. */
extern uint64_t	far_idle_ms;
void	far_fail(const char *fmt, ...)
	    __attribute__((format(printf, 1, 2), noreturn));

/*
 * The next message of its side (source and link, or control), which must be of
 * the type (credits, statuses and the like are read by the way).  The caller
 * frees.
 */
struct far_message *far_expect(struct far_end *f, uint16_t type);
/* As far_expect(), for what is of no interest. */
void	far_skip(struct far_end *f, uint16_t type);
void	far_down(struct far_end *f, uint16_t type, struct buf *b);
void	far_control(struct far_end *f, uint16_t type, struct buf *b);
/* Until it is so, or fail with the text. */
#define far_until(f, cond, what)					\
	for (int far_i_ = 0; !(cond); far_i_++) {			\
		if (far_i_ == 1000)					\
			far_fail("%s:%d: %s", __FILE__, __LINE__, what);\
		fiber_sleep_ms(10);					\
	}
#define far_check(cond)							\
	do {								\
		if (!(cond))						\
			far_fail("%s:%d: %s", __FILE__, __LINE__, #cond); \
	} while (0)

/* ---- phrases ------------------------------------------------------------ */

/* Link up, where to write; the SUBSCRIBE that follows. */
void	far_begin(struct far_end *f);
void	far_target(struct far_end *f, const struct fake_shard *to,
	    const char *server, uint64_t reboot_id);
void	far_link(struct far_end *f, bool up);
void	far_subscribed(struct far_end *f);
void	far_pos(struct sync_pos *p, uint64_t tick);
void	far_resume(struct far_end *f, uint64_t tick);
void	far_repair(struct far_end *f, const char *why);
void	far_cut(struct far_end *f, uint64_t tick, bool compare);
/* Lines of a response that ends with the tick (0: not yet). */
void	far_lines(struct far_end *f, const char *lines, uint64_t tick);
void	far_caught_up(struct far_end *f);
/* From REPAIR until the shard is running with nothing in it. */
void	far_start_empty(struct far_end *f);
/* "i TICK KEY REV [U]" or "d TICK KEY", or "t TICK": a line. */
void	far_op(struct buf *b, const char *op);
void	far_ops(struct far_end *f, const char *ops, uint64_t tick);
/* The same with lines between two operations; they may be NULL. */
void	far_op_lines(struct far_end *f, const char *before, const char *lines,
	    const char *after, uint64_t tick);
/* Answer a FETCH: documents, or NULL for what is gone; as many as keys. */
void	far_docs(struct far_end *f, const char *const *docs, size_t n);

/* Everything that nobody should send (garbage.h), each over a connection of this
 * name; then all connections are made anew. */
void	far_garble(struct far_end *f, const char *name);

#endif
