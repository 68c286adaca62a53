/*
 * link_priv.h - the process link: link.c (life, what control says),
 * link_session.c (the session with the source), link_lane.c (our receives and
 * their channels), link_mark.c (how far we are, clocks, status).
 *
 *	no endpoints -> waiting -> opening -> streams -> up
 *			   ^---------+-----------+------+
 *
 * Whatever is wrong with a session ends it, with one sentence; then the
 * receives are told, and the next one is tried after a while.  Nothing of a
 * session outlives it (R15).
 */
#ifndef LINK_LINK_PRIV_H
#define LINK_LINK_PRIV_H

#include <sys/queue.h>

#include "base/err.h"
#include "base/map.h"
#include "ev/backoff.h"
#include "ev/loop.h"
#include "http/client.h"
#include "ipc/frame.h"
#include "link/link.h"
#include "sync/channel.h"
#include "sync/watermark.h"

#define LINK_CLUSTER_SIZE	64
#define LINK_SESSION_ID_MAX	64
#define LINK_ENDPOINTS_MAX	64
#define LINK_OPEN_MS		20000	/* from the first request to the first
					 * bytes of both streams */
#define LINK_STEADY_MS		10000	/* a session that lived for so long
					 * was a good one */
#define LINK_STOP_MS		700

/* Bytes that receives have not taken yet, of all of them. */
#define LINK_DOWN_MAX_BYTES	((size_t)64 * 1024 * 1024)
/* Bytes that wait to go up; and of one request. */
#define LINK_UP_HIGH_BYTES	((size_t)4 * 1024 * 1024)
#define LINK_UP_LOW_BYTES	((size_t)1024 * 1024)
#define LINK_POST_BYTES		((size_t)512 * 1024)

#define LINK_SERVERS_MAX	1024	/* that a source may have */
#define LINK_PONGS		8	/* the best of so many counts */

/* Why there is no session: the highest of a round is told. */
enum link_why {
	LINK_WHY_AWAY,		/* no answer, or one that means "later" */
	LINK_WHY_NOT_LEADER,
	LINK_WHY_REFUSED	/* somebody has to do something */
};

enum link_phase {
	LINK_IDLE,		/* no endpoints yet, or stopping */
	LINK_WAITING,		/* until the timer fires */
	LINK_OPENING,		/* asks one endpoint after the other */
	LINK_STREAMS,		/* has a session, waits for both streams */
	LINK_UP
};

struct lane;
struct link;

/* A DB-server of the source. */
struct link_server {
	char		 id[POS_SERVER_SIZE];
	struct wm_server *wm;
	uint64_t	 reboot_id, tick, newest_tick;
	uint64_t	 seen_ms;
	size_t		 marks;
};

/* How far a channel is; outlives its receive for a while. */
struct mark {
	char		*name;		/* channel_name_text() */
	struct lane	*lane;		/* NULL: its receive is away */
	struct link_server *server;	/* NULL: not known yet */
	struct wm_channel *wm;		/* when the server is known */
	uint64_t	 left_ms;	/* lane: gone since */
};

/*
 * A receive.  One that sleeps (R24) keeps its lane without a connection: its
 * channel goes on as it was until something comes for it, which is dropped;
 * then it is stalled, and control starts the receive, which subscribes anew.
 */
struct lane {
	struct link	*l;
	struct peer	*peer;		/* NULL: asleep, and gone */
	bool		 asleep, wanted;
	uint64_t	 want_ms;	/* control was told */
	uint64_t	 said;		/* messages to it */
	uint32_t	 number;	/* of its channel: its own for good */
	bool		 named;
	struct channel_name name;
	uint32_t	 id;		/* of the subscription; 0: none yet */
	bool		 subscribed;	/* in this session */
	bool		 live;		/* RESUME or CUT has come */
	bool		 paused;	/* too much waits to go up */
	size_t		 counted;	/* of l->down_bytes */
	struct mark	*mark;
	TAILQ_ENTRY(lane) next;
};

/* One of the two streamed answers. */
struct link_stream {
	struct link	*l;
	bool		 bulk;
	struct http_call *call;
	struct frame_parser in;
	bool		 begun;		/* status 200 */
	uint64_t	 byte_ms;
	uint64_t	 bytes;
};

struct link {
	struct worker	*w;
	struct loop	*loop;
	struct link_conf conf;

	/* of control */
	struct buf	 remote;	/* payload of MSG_WORKER_REMOTE */
	char		*endpoints[LINK_ENDPOINTS_MAX];	/* URLs */
	size_t		 nendpoints;
	struct http_client *http;

	/* the session */
	enum link_phase	 phase;
	size_t		 first, tried;	/* of the round */
	char		*hint;		/* endpoint of the leader, or NULL */
	bool		 hinted;	/* one such endpoint in a round */
	char		*url;		/* endpoint being asked, or in use */
	char		 id[LINK_SESSION_ID_MAX + 1];
	char		 source[LINK_CLUSTER_SIZE], version[64];
	struct http_call *open, *post, *bye;
	struct link_stream live, bulk;
	bool		 paused;	/* both streams */
	struct buf	 up;
	struct loop_task post_task;
	struct loop_timer *timer;	/* of LINK_WAITING */
	struct loop_timer *tick_timer, *drain_timer, *stop_timer;
	struct backoff	 backoff;
	uint64_t	 phase_ms;	/* since when */
	uint64_t	 ping_ms;	/* last sent */
	uint64_t	 up_bytes;
	uint64_t	 sessions;
	enum link_why	 why, round_why;
	struct err_msg	 error;		/* why there is no session; "": none */
	struct err_msg	 round;		/* the same, of this round so far */
	struct err_msg	 logged;
	bool		 stopping;

	/* receives */
	TAILQ_HEAD(, lane) lanes;
	struct map	 numbers;	/* channel -> lane */
	uint32_t	 last_number;
	bool		 lanes_paused;	/* some of them */
	size_t		 down_bytes;	/* at most: see down_count() */
	struct peer	*inventory;	/* NULL while it is away */
	struct buf	 structure;	/* payload of MSG_WORKER_STRUCTURE */

	/* marks */
	struct watermarks *wm;
	struct map	 servers;	/* id -> link_server */
	struct map	 marks;		/* name -> mark */
	uint64_t	 message_us;	/* wall clock of the last byte */
	int64_t		 offset_us[LINK_PONGS];
	uint64_t	 rtt_us[LINK_PONGS];
	unsigned	 pongs;		/* ever */
};

/* link.c */
void	link_stopped(struct link *l);

/* link_session.c */
void	link_session_init(struct link *l);
/* Endpoints and credentials are new: begin at once. */
void	link_session_restart(struct link *l, const char *why);
/* End it and tell the source; link_stopped() when that is done. */
void	link_session_stop(struct link *l);
void	link_session_end(struct link *l, enum link_why why, const char *fmt,
	    ...) __attribute__((format(printf, 3, 4)));
/* A frame up; channel 0: the session's own.  Only when phase is LINK_UP. */
void	link_put(struct link *l, uint16_t type, uint32_t channel, uint32_t id,
	    const void *payload, size_t len);
/* Every second. */
void	link_session_tick(struct link *l, uint64_t now_ms);

/* link_lane.c */
void	link_lane_connect(struct link *l, const char *name, int fd);
void	link_inventory_connect(struct link *l, const char *name, int fd);
/* The session is there, or gone. */
void	link_lanes_up(struct link *l, bool up);
/* Tell control again who is wanted and has not come. */
void	link_lanes_tick(struct link *l, uint64_t now_ms);
/* It does not come back. */
void	link_lane_nobody(struct link *l, const struct channel_name *name);
/* Room to go up again. */
void	link_lanes_resume(struct link *l);
/*
 * A frame that came down.  0, or negative with what is wrong with it: then the
 * session is to be ended.
 */
int	link_take(struct link *l, bool bulk, const struct frame *f,
	    struct err_msg *m);
/* Receives have not taken more than they may. */
bool	link_has_room(struct link *l);

/* link_mark.c */
void	link_mark_init(struct link *l);
struct mark *link_mark_get(struct link *l, struct lane *lane);
/* The lane of that channel, or NULL. */
struct lane *link_mark_lane(struct link *l, const struct channel_name *name);
/* Its receive is gone; in the midst of a subscription, or after its end. */
void	link_mark_leave(struct link *l, struct mark *k, bool subscribed);
/* 0, ERR_TOO_BIG (more servers than there can be), ERR_FORMAT (its id). */
int	link_mark_resume(struct link *l, struct mark *k,
	    const struct channel_resume *r);
int	link_mark_cut(struct link *l, struct mark *k,
	    const struct channel_cut *c);
void	link_mark_queued(struct mark *k, const char *server, uint64_t tick);
void	link_mark_applied(struct mark *k, uint64_t tick, bool stalled);
void	link_mark_stall(struct mark *k);
int	link_mark_watermark(struct link *l, const struct channel_watermark *w);
void	link_mark_pong(struct link *l, uint64_t sent_us, uint64_t source_us);
/* Forget what is gone. */
void	link_mark_tick(struct link *l, uint64_t now_ms);
void	link_status(struct link *l);

#endif
