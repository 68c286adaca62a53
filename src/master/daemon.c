/* daemon.c - the supervisor of `arangosync run master` */
#include <sys/socket.h>
#include <sys/stat.h>

#include <netinet/in.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fsx.h"
#include "base/log.h"
#include "master/check.h"
#include "master/daemon.h"
#include "proc/daemon.h"
#include "proc/notify.h"

/* An earlier supervisor was killed: its children leave within that time. */
#define OLD_CHILDREN_MS	10000
#define LISTEN_BACKLOG	1024
#define PID_FILE_AGAIN_MS	2000

struct daemon {
	const struct daemon_conf *conf;
	struct super	*super;
	struct mesh	*mesh;
	int		 lock_fd, data_lock_fd, listen_fd;
	struct err_msg	 why;		/* it cannot go on */
	bool		 no_pid_file;	/* the disk is full */
	struct poll_timer pid_timer;
};

/* One of the files that children read; see file_list(). */
struct secret_file {
	const char	*member;
	const char	*what;
	const char	*path;
};

/* ---- what must be there -------------------------------------------------------- */

static int
lock_data_dir(struct daemon *d, const struct check_user *user,
    struct err_msg *m)
{
	const char	*dir = d->conf->data_dir;
	pid_t		 holder = 0;
	int		 r;

	if ((r = fsx_mkdir_p(dir, 0700)) != 0)
		return err_set(m, r, "data directory %s: %s", dir,
		    err_text(r));
	d->lock_fd = fsx_open_dir_locked(dir, "arangosync.lock",
	    FSX_LOCK_FCNTL, &holder);
	if (d->lock_fd < 0 && holder != 0)
		return err_set(m, d->lock_fd, "data directory %s: process %ld "
		    "uses it already; stop that one or give --data.dir", dir,
		    (long)holder);
	if (d->lock_fd < 0)
		return err_set(m, d->lock_fd, "data directory %s: cannot be "
		    "locked: %s", dir, err_text(d->lock_fd));
	d->data_lock_fd = proc_data_lock(dir, "data.lock", OLD_CHILDREN_MS, m);
	if (d->data_lock_fd < 0)
		return d->data_lock_fd;
	return check_give_dir(dir, user, m);
}

/* All addresses, IPv6 and IPv4 in one socket where the kernel has both. */
static int
listen_on(struct daemon *d, struct err_msg *m)
{
	struct sockaddr_in6	 six = { .sin6_family = AF_INET6,
	    .sin6_addr = IN6ADDR_ANY_INIT };
	struct sockaddr_in	 four = { .sin_family = AF_INET };
	const struct sockaddr	*sa = (const struct sockaddr *)&six;
	socklen_t		 len = sizeof(six);
	int			 fd, on = 1, off = 0, saved;

	six.sin6_port = four.sin_port = htons(d->conf->port);
	four.sin_addr.s_addr = htonl(INADDR_ANY);
	fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd != -1)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	else {
		sa = (const struct sockaddr *)&four;
		len = sizeof(four);
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC |
		    SOCK_NONBLOCK, 0);
	}
	if (fd != -1)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (fd == -1 || bind(fd, sa, len) == -1 ||
	    listen(fd, LISTEN_BACKLOG) == -1) {
		saved = errno;
		if (fd != -1)
			close(fd);
		return err_set(m, -saved, "port %u: cannot listen: %s; stop "
		    "what uses it or give --server.port", d->conf->port,
		    strerror(saved));
	}
	d->listen_fd = fd;
	return 0;
}

/*
 * The port first, as that changes nothing.  When it is in use, that may be
 * children of a supervisor that was killed: they are gone once the data
 * directory can be locked.
 */
static int
take_port_and_dir(struct daemon *d, const struct check_user *user,
    struct err_msg *m)
{
	char	*path = xasprintf("%s/data.lock", d->conf->data_dir);
	bool	 used = access(path, F_OK) == 0;
	int	 r;

	free(path);
	r = listen_on(d, m);
	if (r != 0 && (r != -EADDRINUSE || !used))
		return r;
	if ((r = lock_data_dir(d, user, m)) != 0)
		return r;
	return d->listen_fd != -1 ? 0 : listen_on(d, m);
}

/* ---- files of the children -------------------------------------------------------- */

static int
open_secret(void *arg)
{
	const struct secret_file	*f = arg;
	/* Not waiting for somebody who writes, should it be a FIFO. */
	int				 fd = open(f->path, O_RDONLY |
					     O_CLOEXEC | O_NONBLOCK);

	if (fd == -1) {
		fd = -errno;
		log_error("--%s %s: %s; what was read before is kept",
		    f->what, f->path, err_text(fd));
	}
	return fd;
}

static int
dup_listen(void *arg)
{
	const struct daemon	*d = arg;
	int			 fd;

	fd = fcntl(d->listen_fd, F_DUPFD_CLOEXEC, PROC_FD_FIRST_OTHER +
	    PROC_FD_OTHERS_MAX);
	return fd == -1 ? -errno : fd;
}

/* Every file once, for whoever reads it; ends with a NULL member. */
static struct secret_file *
file_list(const struct daemon_conf *c)
{
	static struct secret_file	 list[8];
	size_t				 n = 0;

#define ADD(m, w, p)							\
	if ((p) != NULL)						\
		list[n++] = (struct secret_file){ m, w, p }
	ADD(DAEMON_API_NAME, DAEMON_FILE_KEYFILE, c->keyfile);
	ADD(DAEMON_API_NAME, DAEMON_FILE_CLIENT_CA, c->client_ca_file);
	ADD(DAEMON_API_NAME, DAEMON_FILE_MASTER_JWT, c->master_jwt_file);
	ADD(DAEMON_CONTROL_NAME, DAEMON_FILE_MASTER_JWT, c->master_jwt_file);
	ADD(DAEMON_CONTROL_NAME, DAEMON_FILE_CLUSTER_JWT,
	    c->cluster_jwt_file);
#undef ADD
	list[n].member = NULL;
	return list;
}

static void
give_files(struct daemon *d)
{
	struct secret_file	*f;

	mesh_give_file(d->mesh, DAEMON_API_NAME, DAEMON_FILE_LISTEN,
	    dup_listen, d);
	for (f = file_list(d->conf); f->member != NULL; f++)
		mesh_give_file(d->mesh, f->member, f->what, open_secret, f);
}

/* ---- signals ------------------------------------------------------------------------ */

static void
on_reload(void *arg)
{
	struct daemon	*d = arg;
	int		 r;

	(void)proc_notify("RELOADING=1\nSTATUS=reading files again");
	if ((r = log_reopen()) != 0)
		log_warning("log file %s: %s; the old one is kept",
		    d->conf->log_file, err_text(r));
	log_notice("SIGHUP: log file, certificates and secrets are read "
	    "again");
	mesh_reload(d->mesh);
	(void)proc_notify("READY=1\nSTATUS=serving");
}

static void
on_stopping(void *arg)
{
	log_notice("stopping");
	(void)proc_notify("STOPPING=1\nSTATUS=stopping");
}

/* ---- life ----------------------------------------------------------------------------- */

/*
 * Digits only, without a newline: the ArangoDB Starter reads it with Go's Atoi
 * and takes anything else for "not running".  On a full disk it comes later.
 */
static int
write_pid_file(struct daemon *d, struct err_msg *m)
{
	const struct daemon_conf	*c = d->conf;
	char				 text[24];
	int				 n, r;

	if (c->pid_file == NULL)
		return 0;
	n = snprintf(text, sizeof(text), "%ld", (long)getpid());
	r = fsx_replace(c->pid_file, text, (size_t)n, 0644);
	d->no_pid_file = err_is_full(r);
	if (r != 0)
		err_set(m, r, "--pid-file %s: %s", c->pid_file, err_text(r));
	return d->no_pid_file ? 0 : r;
}

static void
on_pid_timer(void *arg)
{
	struct daemon	*d = arg;
	struct err_msg	 m = { "" };

	if (write_pid_file(d, &m) == 0 && !d->no_pid_file)
		log_notice("--pid-file %s: there is room for it now",
		    d->conf->pid_file);
	else if (d->no_pid_file)
		poll_timer_start(&d->pid_timer, PID_FILE_AGAIN_MS);
	else
		log_warning("%s", m.text);
}

/* What it was started with turned out to be of no use. */
static void
on_give_up(void *arg, const char *sentence)
{
	struct daemon	*d = arg;

	err_set(&d->why, ERR_USAGE, "%s", sentence);
	super_stop(d->super, 1);
}

static int
start_children(struct daemon *d)
{
	static const char *const	 of_api[] = { DAEMON_CONTROL_NAME };
	int				 r;

	mesh_set_governor(d->mesh, DAEMON_CONTROL_NAME);
	mesh_on_give_up(d->mesh, on_give_up, d);
	if ((r = mesh_add(d->mesh, DAEMON_CONTROL_NAME, DAEMON_CONTROL, NULL,
	    0)) != 0 || (r = mesh_add(d->mesh, DAEMON_API_NAME, DAEMON_API,
	    of_api, 1)) != 0)
		return err_set(&d->why, r, "cannot start processes: %s",
		    err_text(r));
	give_files(d);
	return 0;
}

static void
daemon_close(struct daemon *d)
{
	if (d->conf->pid_file != NULL)
		proc_pidfile_remove(d->conf->pid_file);
	if (d->listen_fd >= 0)
		close(d->listen_fd);
	if (d->lock_fd >= 0)
		close(d->lock_fd);
	/* data_lock_fd is the supervisor's framework's since
	 * super_set_data_lock(); children that are still there keep it. */
}

static int
open_log(const struct daemon_conf *c, struct err_msg *m)
{
	enum log_level	 level;
	int		 r;

	if (c->log_level != NULL && log_level_parse(c->log_level, &level) == 0)
		log_set_level(level);
	if ((r = log_open(c->log_file)) != 0)
		return err_set(m, r, "--log.file %s: %s", c->log_file,
		    err_text(r));
	log_set_name("master");
	return 0;
}

/* Standard error gets the sentence from the command. */
static void
log_failure(const struct err_msg *m)
{
	if (log_fd() <= STDERR_FILENO)
		return;
	log_set_stderr(false);
	log_error("cannot run: %s", m->text);
}

static int
run(struct daemon *d, const struct mesh_class *classes)
{
	static const struct super_hooks	 hooks = {
		.reload = on_reload, .stopping = on_stopping
	};
	const struct daemon_conf	*c = d->conf;
	int				 code;

	log_set_stderr(c->log_stderr);
	log_notice("arangosync %s, build %s: port %u, data in %s", c->version,
	    c->build, c->port, c->data_dir);
	proc_raise_fd_limit();
	d->super = super_new(&hooks, d);
	super_set_data_lock(d->super, d->data_lock_fd);
	poll_timer_init(&d->pid_timer, super_pollset(d->super), on_pid_timer,
	    d);
	if (d->no_pid_file) {
		log_warning("%s; it is written when there is room",
		    d->why.text);
		d->why.text[0] = '\0';
		poll_timer_start(&d->pid_timer, PID_FILE_AGAIN_MS);
	}
	d->mesh = mesh_new(d->super, classes, DAEMON_CLASS_COUNT,
	    (void *)(uintptr_t)c);
	if (start_children(d) != 0)
		super_stop(d->super, 1);
	else
		(void)proc_notify("READY=1\nSTATUS=serving");
	code = super_run(d->super);
	mesh_free(&d->mesh);
	poll_timer_stop(&d->pid_timer);
	super_free(&d->super);
	return code;
}

int
daemon_run(const struct daemon_conf *conf, const struct mesh_class *classes,
    struct err_msg *m)
{
	struct daemon		 d = { .conf = conf, .lock_fd = -1,
				    .data_lock_fd = -1, .listen_fd = -1 };
	struct check_user	 user;
	int			 code = 1;

	/* Every document of the source passes through the data directory. */
	umask(0077);
	if (open_log(conf, &d.why) == 0 &&
	    check_start(conf, &user, &d.why) == 0 &&
	    take_port_and_dir(&d, &user, &d.why) == 0 &&
	    write_pid_file(&d, &d.why) == 0) {
		code = run(&d, classes);
		log_notice("ended");
	}
	daemon_close(&d);
	if (code != 0) {
		log_failure(&d.why);
		*m = d.why;
	}
	return code;
}

int
daemon_child_begin(struct member *m)
{
	const struct daemon_conf	*c = daemon_conf_of(m);
	struct err_msg			 em = { "" };
	int				 r;

	if (c->user == NULL || geteuid() != 0)
		return 0;
	if ((r = proc_drop_privileges(c->user, &em)) != 0)
		return proc_child_fail(m->child, PROC_EXIT_CONFIG, "--user: %s",
		    em.text);
	return 0;
}
