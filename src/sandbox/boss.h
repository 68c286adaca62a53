/*
 * boss.h - the supervisor of a sandbox cluster: one struct boss, one struct
 * boss_server per server, kept over all its lives.
 *
 *	boss.c		start, states, stop
 *	boss_cluster.c	cluster.json and identities
 *	boss_ports.c	which ports, and keeping them
 *	boss_control.c	commands that come over the Unix socket
 *	boss_check.c	files with secrets, looked at in a child (R25)
 *	boss_child.c	from the fork to the main function of a server
 */
#ifndef SANDBOX_BOSS_H
#define SANDBOX_BOSS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "proc/proc.h"
#include "sandbox/child.h"

#define BOSS_SERVERS_MAX	10	/* of one kind */

/* Files in DIR. */
#define BOSS_CLUSTER_FILE	"cluster.json"
#define BOSS_LOCK_FILE		"sandbox.lock"	/* fcntl: one supervisor */
#define BOSS_DATA_LOCK_FILE	"data.lock"	/* flock: one set of servers */
#define BOSS_SOCKET_FILE	"control.sock"
#define BOSS_LOG_FILE		"sandbox.log"	/* with --daemon */
#define BOSS_PASSWORD_FILE	"root-password"

/* The command line; strings live as long as the process. */
struct boss_options {
	const char	*dir;
	int		 port;		/* -1: not given */
	int		 coordinators;	/* 0: not given */
	int		 dbservers;	/* 0: not given */
	const char	*auth_file;	/* NULL: not given, as all below */
	const char	*root_password;
	const char	*tls_keyfile;
	const char	*version;
	const char	*edition;
	int64_t		 merge_window_us;	/* -1: not given */
	bool		 daemon;
};

/* What is in effect; all of it is kept in cluster.json. */
struct boss_config {
	char		*cluster_id;
	char		*version;
	char		*auth_file;	/* absolute, or NULL */
	char		*tls_keyfile;	/* absolute, or NULL */
	bool		 enterprise;
	uint32_t	 merge_window_us;
	unsigned	 count[SB_KIND_COUNT];
};

struct boss;

struct boss_server {
	struct boss	*boss;
	char		 name[24];	/* "dbserver1" */
	enum sb_kind	 kind;
	unsigned	 number;
	char		 id[48];	/* "PRMR-..." */
	char		*dir;		/* DIR/<name> */
	char		*endpoint;
	uint16_t	 port;
	int		 reserve_fd;	/* bound, never listening */
	bool		 initialized;	/* was READY once */
	struct proc	*proc;
};

struct boss {
	const struct boss_options *opts;
	struct boss_config config;
	char		*dir;		/* absolute */
	bool		 is_new;	/* made by this run */
	char		*made;		/* topmost directory we made, or NULL */
	int		 lock_fd;
	int		 data_lock_fd;
	struct boss_server servers[SB_KIND_COUNT * BOSS_SERVERS_MAX];
	size_t		 n;
	struct super	*super;
	struct control	*control;
	bool		 starting;	/* not all were READY yet */
	bool		 start_failed;
	int		 daemon_fd;	/* for proc_daemon_ready(), or -1 */
};

/* Everything from here to the exit code. */
int	boss_run(const struct boss_options *o);

/* ---- boss.c, for control ------------------------------------------------ */

/* NULL when there is none of this name. */
struct boss_server *boss_find(struct boss *b, const char *name);
/* "up", "down", "paused": as in cluster.json. */
const char *boss_state(const struct boss_server *s);
bool	boss_is_up(const struct boss_server *s);

/* ---- boss_cluster.c ----------------------------------------------------- */

/*
 * Read DIR/cluster.json and apply the options, or make a new cluster.  0 or
 * negative with a sentence; ERR_USAGE for options that contradict it.
 */
int	boss_cluster_load(struct boss *b, struct err_msg *m);
int	boss_cluster_create(struct boss *b, struct err_msg *m);
/* Replace cluster.json; durable also waits for the disk.  0 or -errno. */
int	boss_cluster_save(struct boss *b, bool durable);
/* The same text; free() it. */
char	*boss_cluster_text(struct boss *b);
/* Set the endpoints from the ports. */
void	boss_cluster_endpoints(struct boss *b);
void	boss_cluster_free(struct boss *b);

/* ---- boss_ports.c ------------------------------------------------------- */

/* Port of a server in a cluster at P: coordinators P.., DB-servers P+10..,
 * agent P+20. */
uint16_t boss_port_of(unsigned p, enum sb_kind kind, unsigned number);
/* Bind all; those of port 0 get a free one.  0 or negative, a sentence. */
int	boss_ports_reserve(struct boss *b, struct err_msg *m);
/* A bound socket for the child, or -errno. */
int	boss_port_bind(uint16_t port);

/* ---- boss_check.c ------------------------------------------------------- */

/*
 * Are the secret and the keyfile usable?  Looked at in a process of its own,
 * so that nothing of them stays in ours.
 */
int	boss_check_files(const char *auth_file, const char *tls_keyfile,
	    struct err_msg *m);

/* ---- boss_child.c ------------------------------------------------------- */

/* Main function of the class: arg is the struct boss_server. */
int	boss_child_main(struct proc_child *pc, void *arg,
	    struct rbuf *config);

/* ---- boss_control.c ----------------------------------------------------- */

/* Listen on DIR/control.sock.  0 or negative with a sentence. */
int	control_new(struct boss *b, struct control **out, struct err_msg *m);
/* A server changed: who waits for it may get an answer. */
void	control_server_changed(struct control *c, struct boss_server *s);
/* All is over: answer those who wait for the stop, let go of all. */
void	control_free(struct control **c);
/* Messages of servers (answers to faults and pruning). */
extern const struct msg_rule control_server_rules[];

#endif
