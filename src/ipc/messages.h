/*
 * messages.h - every message between processes.
 *
 * Ranges: 0x01xx supervisor and child, 0x02xx sandbox supervisor and server,
 * 0x03xx sandbox command and supervisor, 0x04xx processes of a mesh and their
 * supervisor (proc/mesh.h), 0x05xx api and control, 0x06xx control and workers
 * (worker/worker.h), 0x07xx tail and send, link and receive (tail/tail.h,
 * link/link.h), 0x08xx a channel, from send to receive and back, also on the
 * wire between datacenters (sync/channel.h).  Requests are even, answers odd.
 * Numbers of retired messages stay here as comments.  Changing anything
 * raises PROC_PROTOCOL_VERSION (proc/contract.h).
 */
#ifndef IPC_MESSAGES_H
#define IPC_MESSAGES_H

#include <stdint.h>

#define MESSAGE_LIST(X)							\
	/* child: u16 protocol, str build, u32 generation */		\
	X(MSG_PROC_HELLO_REQ,		0x0100)				\
	/* supervisor: bytes of the class */				\
	X(MSG_PROC_HELLO_ANS,		0x0101)				\
	/* child: empty; it serves */					\
	X(MSG_PROC_READY,		0x0102)				\
	/* supervisor: empty; drain, sync, leave */			\
	X(MSG_PROC_STOP,		0x0104)				\
	/* child: u8 exit code, str sentence; it ends now */		\
	X(MSG_PROC_FAILED,		0x0106)				\
	/* child: empty; it has achieved something since its start */	\
	X(MSG_PROC_PROGRESS,		0x0108)				\
	/* supervisor: empty; SIGHUP */					\
	X(MSG_PROC_RELOAD,		0x010a)				\
	/* supervisor: empty; SIGUSR1, log your state */		\
	X(MSG_PROC_DUMP,		0x010c)				\
									\
	/* boss: u8 kind, u32 delay ms, str path, u32 count */		\
	X(MSG_SB_FAULT_REQ,		0x0200)				\
	/* server: i32 result, str sentence */				\
	X(MSG_SB_FAULT_ANS,		0x0201)				\
	/* boss: empty */						\
	X(MSG_SB_PRUNE_REQ,		0x0202)				\
	/* server: i32 result, u64 removed, u64 kept, str sentence */	\
	X(MSG_SB_PRUNE_ANS,		0x0203)				\
									\
	/* command: empty */						\
	X(MSG_CMD_STATUS_REQ,		0x0300)				\
	/* boss: u8 exit code, str text: the answer to all of these */	\
	X(MSG_CMD_ANS,			0x0301)				\
	X(MSG_CMD_STOP_REQ,		0x0302)				\
	/* str server */						\
	X(MSG_CMD_KILL_REQ,		0x0304)				\
	X(MSG_CMD_START_REQ,		0x0306)				\
	X(MSG_CMD_PAUSE_REQ,		0x0308)				\
	X(MSG_CMD_RESUME_REQ,		0x030a)				\
	X(MSG_CMD_POWER_CUT_REQ,	0x030c)				\
	X(MSG_CMD_PRUNE_REQ,		0x030e)				\
	/* str server, u8 kind, u32 delay ms, str path, u32 count */	\
	X(MSG_CMD_FAULT_REQ,		0x0310)				\
									\
	/* governor: str name, u16 class, u16 n, n str names to be connected	\
	 * with, bytes configuration */					\
	X(MSG_MESH_START,		0x0400)				\
	/* governor: str name; stop it and forget it */			\
	X(MSG_MESH_STOP,		0x0402)				\
	/* supervisor to governor: str name, u16 class, u8 proc_state,	\
	 * u32 generation, str sentence about its last end, u32		\
	 * member_sum() of what it runs with */				\
	X(MSG_MESH_STATE,		0x0404)				\
	/* supervisor: str name, u16 class, u32 generation of the other	\
	 * process, with one end of a socketpair */			\
	X(MSG_MESH_CONNECT,		0x0406)				\
	/* supervisor: str what, with a descriptor open for reading */	\
	X(MSG_MESH_FILE,		0x0408)				\
									\
	/* api to control: str method, str path, str query, str who,	\
	 * bytes body */						\
	X(MSG_API_CALL_REQ,		0x0500)				\
	/* control: u16 status, str URL of the master that can answer	\
	 * ("": this one did), bytes JSON body */			\
	X(MSG_API_CALL_ANS,		0x0501)				\
	/* api: u8 open, str target cluster, bytes JSON of its hello */	\
	X(MSG_API_SESSION,		0x0502)				\
	/* api: str target, str db, u64 cid, u32 shard: somebody there wants	\
	 * this channel and no send process is connected; said again every	\
	 * few seconds while that is so */				\
	X(MSG_API_WANT,			0x0504)				\
	/* control: str target, str sentence; end that session */	\
	X(MSG_API_SESSION_END,		0x0506)				\
	/* control: str target, str db, u64 cid, u32 shard, str sentence: it	\
	 * cannot be served now */					\
	X(MSG_API_REFUSE,		0x0508)				\
	/* control: bool sessions are taken (we lead), bytes JSON: what a	\
	 * session is answered with, cluster id and versions */		\
	X(MSG_API_IDENTITY,		0x050a)				\
									\
	/* control: str token ("": none is needed), u32 valid for ms */	\
	X(MSG_WORKER_TOKEN,		0x0600)				\
	/* worker: bytes JSON object, all of its status */		\
	X(MSG_WORKER_STATUS,		0x0602)				\
	/* control to receive: struct worker_target (worker/worker.h) */ \
	X(MSG_WORKER_TARGET,		0x0604)				\
	/* worker: empty; what was told is not so, look again now */	\
	X(MSG_WORKER_LOOK,		0x0606)				\
	/* receive: empty; may I repair?  Answered when a place is free */ \
	X(MSG_WORKER_PLACE_REQ,		0x0608)				\
	X(MSG_WORKER_PLACE_ANS,		0x0609)				\
	/* receive: empty; done with it (also when the connection ends) */ \
	X(MSG_WORKER_PLACE_FREE,	0x060a)				\
	/* control to receive: u32 ms; compare at a cut */		\
	X(MSG_WORKER_COMPARE_REQ,	0x060c)				\
	/* receive: i32 error, str sentence, u64 pairs that differ, str sum	\
	 * of the source, str sum of the target */			\
	X(MSG_WORKER_COMPARE_ANS,	0x060d)				\
	/* control to link: u32 n, n str endpoints, str certificate and key,	\
	 * str authorities (PEM) */					\
	X(MSG_WORKER_REMOTE,		0x060e)				\
	/* control to tail: str server, str URL, u64 reboot id */	\
	X(MSG_WORKER_SERVER,		0x0610)				\
	/* target inventory to control: bytes JSON (inventory/inventory.h) */ \
	X(MSG_WORKER_PAIRS,		0x0612)				\
	/* source inventory to api, link to target inventory: u64 version of	\
	 * the Plan, bytes JSON (sync/structure.h) */			\
	X(MSG_WORKER_STRUCTURE,		0x0614)				\
	/* send, receive: u64 tick of the last record; nothing to do for long,	\
	 * may I leave (R24)? */					\
	X(MSG_WORKER_LEAVE_REQ,		0x0616)				\
	/* control: bool */						\
	X(MSG_WORKER_LEAVE_ANS,		0x0617)				\
	/* control to receive: str why; repair, whatever was recorded */ \
	X(MSG_WORKER_REPAIR,		0x0618)				\
	/* send, receive, after MSG_WORKER_LEAVE_ANS(true): bool; it has told	\
	 * its other peers and can be stopped; or something came, it stays */ \
	X(MSG_WORKER_LEFT,		0x061a)				\
	/* control to send: bool; all queues together are too large, and this	\
	 * is one of the largest */					\
	X(MSG_WORKER_QUOTA,		0x061c)				\
									\
	/* send: str db, str cuid, bool, struct sync_pos */		\
	X(MSG_TAIL_ASK_REQ,		0x0700)				\
	/* tail: struct tail_evidence */				\
	X(MSG_TAIL_ASK_ANS,		0x0701)				\
	/* send: str db, str cuid, u64 tick, or ROUTE_FROM_NOW */	\
	X(MSG_TAIL_JOIN_REQ,		0x0702)				\
	/* tail: i32 error, u64 tick: everything above it will come */	\
	X(MSG_TAIL_JOIN_ANS,		0x0703)				\
	/* tail: u8 flags, then bytes of whole lines with their ends, or a	\
	 * piece of one */						\
	X(MSG_TAIL_LINES,		0x0704)				\
	/* tail: u64 asked from, struct sync_pos: the response is complete */ \
	X(MSG_TAIL_END,			0x0706)				\
	/* send: u64 noted through, u64 durable through (ticks) */	\
	X(MSG_TAIL_ACK,			0x0708)				\
	/* tail: u8 enum route_state, str why: detached, or live again */ \
	X(MSG_TAIL_STATE,		0x070a)				\
	/* tail: u8 enum tail_end_why, str sentence: nothing more comes */ \
	X(MSG_TAIL_GONE,		0x070c)				\
	/* send: bool; its queue is over quota */			\
	X(MSG_TAIL_BLOCK,		0x070e)				\
	/* tail to api: str target, bytes payload of MSG_CH_WATERMARK */ \
	X(MSG_TAIL_WATERMARK,		0x0710)				\
	/* tail to send: u64 tick: records up to it exist and come later; to be	\
	 * noted like a response (tail/tail.h) */			\
	X(MSG_TAIL_BEHIND,		0x0712)				\
	/* control to tail: str db, str cuid: its send has left and comes back	\
	 * when it is wanted; "", "": that were all of them (tail/tail.h) */ \
	X(MSG_TAIL_ASLEEP,		0x0714)				\
	/* tail to control: str db, str cuid: that send is wanted; said again	\
	 * every two seconds while it does not come */			\
	X(MSG_TAIL_WANT,		0x0716)				\
	/* control to tail: str db, str cuid: nobody comes for it */	\
	X(MSG_TAIL_NOBODY,		0x0718)				\
	/* send to api, first of all: str target, str db, u64 cid, u32 shard */ \
	X(MSG_SEND_HELLO,		0x0720)				\
	/* api to send: u64 tick: what was said by MSG_CH_QUEUED is on its way,	\
	 * or nobody listens */						\
	X(MSG_SEND_NOTED,		0x0722)				\
	/* link to receive: bool; there is a session, subscribe */	\
	X(MSG_LINK_UP,			0x0724)				\
	/* receive to link: u64 tick that is applied, bool stalled */	\
	X(MSG_LINK_APPLIED,		0x0726)				\
	/* send to api: u64 messages that it has got of api: it leaves, and	\
	 * comes back when there is something */			\
	X(MSG_SEND_SLEEP,		0x0728)				\
	/* receive to link: u64 messages that it has got of link: the same */ \
	X(MSG_LINK_SLEEP,		0x072a)				\
	/* link to control: str db, u64 cid, u32 shard: a receive that has left	\
	 * is wanted; said again every two seconds while it does not come */ \
	X(MSG_LINK_WANT,		0x072c)				\
	/* control to link: the same: it does not come back */		\
	X(MSG_LINK_NOBODY,		0x072e)				\
									\
	/* The id of these is the subscription; sync/channel.h. */	\
	X(MSG_CH_SUBSCRIBE,		0x0800)				\
	X(MSG_CH_CREDIT,		0x0802)				\
	X(MSG_CH_COMMIT,		0x0804)				\
	X(MSG_CH_VERIFY,		0x0806)				\
	X(MSG_CH_AT_CUT,		0x0808)				\
	X(MSG_CH_DIFF,			0x080a)				\
	X(MSG_CH_FETCH,			0x080c)				\
	X(MSG_CH_REPAIRED,		0x080e)				\
	X(MSG_CH_CLOSE,			0x0810)				\
	X(MSG_CH_RESUME,		0x0801)				\
	X(MSG_CH_REPAIR,		0x0803)				\
	X(MSG_CH_RECORD,		0x0805)				\
	X(MSG_CH_QUEUED,		0x0807)				\
	X(MSG_CH_CUT,			0x0809)				\
	X(MSG_CH_SNAP,			0x080b)				\
	X(MSG_CH_SNAP_END,		0x080d)				\
	X(MSG_CH_SUMS,			0x080f)				\
	X(MSG_CH_PAIRS,			0x0811)				\
	X(MSG_CH_DOCS,			0x0813)				\
	X(MSG_CH_CAUGHT_UP,		0x0815)				\
	X(MSG_CH_CLOSED,		0x0817)				\
	X(MSG_CH_WATERMARK,		0x0819)				\
	X(MSG_CH_STRUCTURE,		0x081b)				\
	X(MSG_CH_PING,			0x0812)				\
	X(MSG_CH_PONG,			0x081d)

enum message {
#define X(name, number)	name = number,
	MESSAGE_LIST(X)
#undef X
	MSG_NONE = 0
};

/* "MSG_PROC_READY"; numbers that are none give "MSG_0x1234" in static
 * storage. */
const char *msg_name(uint16_t type);

#endif
