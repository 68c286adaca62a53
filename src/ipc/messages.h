/*
 * messages.h - every message between processes.
 *
 * Ranges: 0x01xx supervisor and child, 0x02xx sandbox supervisor and server,
 * 0x03xx sandbox command and supervisor, 0x04xx processes of a mesh and their
 * supervisor (proc/mesh.h), 0x05xx api and control.  Requests are even, answers odd.
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
	 * u32 generation, str sentence about its last end */		\
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
	X(MSG_API_CALL_ANS,		0x0501)

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
