/*
 * rules.h - what a process accepts from a peer, as a table.
 *
 * Anything else - unknown type, wrong phase, wrong size - ends that peer: two
 * processes that disagree about the conversation cannot be brought back in
 * step.
 */
#ifndef IPC_RULES_H
#define IPC_RULES_H

#include <stddef.h>
#include <stdint.h>

#include "ipc/codec.h"
#include "ipc/frame.h"
#include "ipc/messages.h"
#include "ipc/peer.h"

/* What a rule's function gets. */
struct msg_in {
	void		*ctx;		/* as given to msg_dispatch() */
	struct peer	*peer;
	uint16_t	 type;
	uint32_t	 id;		/* for the answer */
	struct rbuf	 body;
};

/* A table ends with an entry of type 0. */
struct msg_rule {
	uint16_t	 type;
	uint32_t	 phases;	/* bits: allowed in these */
	uint32_t	 min, max;	/* bytes of payload */
	/* 0, or negative when the payload is bad: ends the peer. */
	int		(*fn)(struct msg_in *m);
};

/*
 * Find the rule and call it.  phase: one bit.  Returns what the function
 * returned; ERR_PROTOCOL for an unknown type, ERR_BAD_STATE for the wrong
 * phase, ERR_TRUNCATED or ERR_TOO_BIG for the wrong size.
 */
int	msg_dispatch(const struct msg_rule *rules, uint32_t phase, void *ctx,
	    struct peer *peer, const struct frame *f);
/* As msg_dispatch(), ERR_NOT_FOUND when the table has no such type: for
 * conversations in two tables. */
int	msg_dispatch_known(const struct msg_rule *rules, uint32_t phase,
	    void *ctx, struct peer *peer, const struct frame *f);
/* The largest max of a table, for peer_set_limits(). */
size_t	msg_rules_max(const struct msg_rule *rules);

#endif
