/*
 * session_priv.h - sessions, their streams and channels: what session.c (life
 * and requests), session_stream.c (frames down), session_channel.c (who talks
 * to whom) and session_peer.c (processes of our own) share.
 *
 * Nothing here waits.  A session is freed by session_end() and by nothing
 * else, which functions that are given one do not call; they return an error
 * to whoever may.
 */
#ifndef API_SESSION_PRIV_H
#define API_SESSION_PRIV_H

#include <sys/queue.h>

#include "api/session.h"
#include "base/map.h"
#include "ev/loop.h"
#include "ipc/frame.h"
#include "sync/channel.h"

#define SESSION_ID_HEX		32
#define SESSION_CLUSTER_SIZE	64
#define SESSION_CHANNELS_MAX	1000000
#define SESSION_WANT_MS		2000	/* said again after that time */

struct sender;
struct session;

/* One streamed answer.  Senders that spoke while it was full wait for room. */
struct stream {
	struct session	*s;
	struct http_req	*req;		/* NULL: not asked for yet */
	bool		 full;
	TAILQ_HEAD(, sender) waiting;
	struct loop_task more;		/* let some of them go on */
	uint64_t	 bytes;
};

/* A subscription; there is none without. */
struct row {
	struct session	*s;
	uint32_t	 number;	/* of the channel */
	uint32_t	 id;		/* of the subscription */
	struct channel_name name;
	struct sender	*sender;	/* NULL: it is waited for, */
	bool		 dormant;	/* or it sleeps (R24), and everything
					 * it had was sent */
	struct buf	 kept;		/* SUBSCRIBE, while it is waited for */
	uint64_t	 want_ms;	/* control was told */
	TAILQ_ENTRY(row) next;		/* while it is waited for */
};

/* A send process. */
struct sender {
	struct api_sessions *all;
	struct peer	*peer;
	bool		 known;		/* it has said who it is */
	char		 target[SESSION_CLUSTER_SIZE];
	struct channel_name name;
	struct row	*row;		/* NULL: nobody listens */
	uint64_t	 said;		/* messages to it */
	struct stream	*paused;	/* in its list */
	TAILQ_ENTRY(sender) next;
};

struct session {
	struct api_sessions *all;
	char		 id[SESSION_ID_HEX + 1];
	char		 target[SESSION_CLUSTER_SIZE];
	char		*hello;		/* JSON */
	char		*fingerprint;	/* of the certificate it came with, or
					 * NULL */
	struct stream	 live, bulk;
	struct frame_parser up;
	struct map	 numbers;	/* u64 -> row */
	struct map	 names;		/* channel_name_text() -> row */
	uint64_t	 heard_ms;
	uint64_t	 structure;	/* the one that was sent; 0: none */
};

struct api_sessions {
	struct api	*a;
	bool		 taken;		/* we lead */
	struct json_object *identity;	/* of control, or NULL */
	struct map	 targets;	/* cluster id -> session */
	struct map	 ids;		/* session id -> session */
	struct map	 senders;	/* "target name" -> sender */
	TAILQ_HEAD(, row) wanted;	/* no sender yet */
	struct loop_timer *timer;
	struct buf	 structure;	/* payload of MSG_CH_STRUCTURE */
	uint64_t	 structure_count;	/* 0: there is none */
};

/* session.c */
/* The session is over; both sides are told why.  s is gone. */
void	session_end(struct session *s, const char *why);
struct session *session_of_target(const struct api_sessions *all,
	    const char *target);

/* session_stream.c */
void	stream_init(struct stream *t, struct session *s);
void	stream_begin(struct stream *t, struct http_req *req);
/* The answer ends, senders go on. */
void	stream_close(struct stream *t);
/* A frame down; channel 0: the session's own. */
void	stream_put(struct stream *t, uint16_t type, uint32_t channel,
	    uint32_t id, const void *payload, size_t len);
/* The same with a message of a sender, which has no payload afterwards. */
void	stream_pass(struct stream *t, struct sender *x, const struct frame *f);
/* The answer to a PING with that clock; 0: there was none. */
void	stream_pong(struct stream *t, uint64_t clock);
/* It has spoken while there was no room: not another word before there is. */
void	stream_hold(struct stream *t, struct sender *x);
void	stream_forget(struct sender *x);
/* The newest structure, when the session has an older one and there is room. */
void	session_put_structure(struct session *s);

/* session_channel.c */
/* A frame that came up.  0 or negative: it breaks the protocol. */
int	session_take(struct session *s, const struct frame *f);
/* Subscriptions end; senders are told, the other side is not. */
void	session_drop_rows(struct session *s, const char *why);
/* One subscription ends, and the other side is told. */
void	row_close(struct row *row, const char *why);
struct row *session_find_row(const struct session *s,
	    const struct channel_name *name);
/* The sender has said who it is. */
void	sender_begin(struct sender *x);
/* It is gone. */
void	sender_end(struct sender *x);
/* It leaves and comes back; it has got so many messages. */
void	sender_sleeps(struct sender *x, uint64_t got);
/* A message of it for the other side. */
int	sender_take(struct sender *x, const struct frame *f);
/* Tell control what is wanted and was not said for a while. */
void	sessions_say_wanted(struct api_sessions *all, uint64_t now_ms);

#endif
