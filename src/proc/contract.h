/*
 * contract.h - what a supervisor and its children promise each other.  Anyone
 * can write a child from this page.
 *
 * Birth.  A child is forked, not exec'd, from a supervisor that holds no
 * secret and has initialised no library (libevent, OpenSSL, libcurl, random
 * state begin in the child).  Before its main function runs, all descriptors
 * but those listed here and those of its class are closed, signal handlers
 * and masks are reset, SIGPIPE, SIGHUP, SIGINT, SIGUSR1 and SIGUSR2 ignored
 * (the terminal sends them to the whole group; children hear of them from the
 * supervisor), the process title set, and an event loop made.
 *
 * Handshake.  Child: HELLO(protocol, build, generation).  Supervisor: CONFIG,
 * whose payload belongs to the class.  Child: READY, within the deadline of
 * its class.  A child that ends before READY counts as a broken start.
 *
 * Generation.  Every fork gets a number, rising, which is in each frame of
 * both directions; frames of an older generation are dropped unread.
 *
 * End.  STOP: take no new work, drain, sync, return from main with
 * PROC_EXIT_OK.  SIGTERM means the same.  When that takes longer than the
 * phase allows: SIGTERM, then SIGKILL.  EOF on the control socket: the
 * supervisor is gone; stop new writes at once, sync, leave within
 * PROC_ORPHAN_MS; the kernel ends who does not (SIGALRM).
 */
#ifndef PROC_CONTRACT_H
#define PROC_CONTRACT_H

#define PROC_PROTOCOL_VERSION	4

/* Descriptors of a child; 0 to 2 and that of the log are kept as they are. */
enum {
	PROC_FD_CONTROL		= 3,	/* socketpair to the supervisor */
	PROC_FD_DATA_LOCK	= 4,	/* flock of the data directory (R24),
					 * or /dev/null where there is none */
	PROC_FD_FIRST_OTHER	= 5,	/* descriptors of the class, in the
					 * order in which it lists them */
	PROC_FD_OTHERS_MAX	= 8
};

/*
 * Exit codes of children.  0 only after an orderly end.  Each has a sentence
 * for the operator: proc_exit_text().
 */
enum proc_exit {
	PROC_EXIT_OK		= 0,
	PROC_EXIT_FATAL		= 1,	/* fatal(): the reason is in the log */
	PROC_EXIT_CONFIG	= 10,	/* its configuration cannot be used */
	PROC_EXIT_PROTOCOL	= 11,	/* supervisor and child disagree */
	PROC_EXIT_ORPHANED	= 12,	/* the supervisor went away */
	PROC_EXIT_NO_SPACE	= 13,	/* a disk is full */
	PROC_EXIT_IO		= 14,	/* a write or fsync failed */
	PROC_EXIT_STORAGE	= 15,	/* the storage engine refuses */
	PROC_EXIT_CORRUPT	= 16,	/* files are damaged */
	PROC_EXIT_LOCKED	= 17,	/* another process uses the files */
	PROC_EXIT_PORT		= 18,	/* the port cannot be used */
	PROC_EXIT_TLS		= 19,	/* certificate or key cannot be used */
	PROC_EXIT_SECRET	= 20,	/* a secret file cannot be used */
	PROC_EXIT_PEER		= 21,	/* another server cannot be reached */
	PROC_EXIT_LIMIT		= 22,	/* descriptors, memory, processes */
	PROC_EXIT_START		= 23	/* could not set itself up */
};

/* Name ("no-space") and sentence; unknown codes have both, too. */
const char *proc_exit_name(int code);
const char *proc_exit_text(int code);

/* Deadlines in milliseconds; a class may have its own for the first three. */
enum {
	PROC_READY_MS		= 10000,	/* fork to READY, and again from
						 * CONFIG on */
	PROC_DRAIN_MS		= 10000,	/* STOP to SIGTERM */
	PROC_TERM_MS		= 5000,		/* SIGTERM to SIGKILL */
	PROC_HELLO_MS		= 60000,	/* child waits for CONFIG: who
						 * starts hundreds is busy */
	PROC_ORPHAN_MS		= 1000,		/* EOF to end, as promised */
	PROC_ORPHAN_KILL_MS	= 10000,	/* and as enforced (R24) */
	PROC_NAG_MS		= 2000		/* "still waiting for ..." */
};

#endif
