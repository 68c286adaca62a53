/* boss.c - the supervisor of a sandbox cluster: start, states, stop */
#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fsx.h"
#include "base/log.h"
#include "proc/daemon.h"
#include "proc/notify.h"
#include "sandbox/boss.h"

/* An earlier supervisor was killed: its servers leave within that time. */
#define OLD_SERVERS_MS	10000

static void	on_changed(struct proc *p, enum proc_state from);

/*
 * Servers stay down until somebody starts them.  Coordinators go first, so
 * that the others have nobody who asks while they close their stores.
 */
#define SERVER_CLASS(title, phase)					\
	{ .name = title, .main = boss_child_main,			\
	  .restart = PROC_RESTART_NEVER, .ready_ms = SB_READY_MS,	\
	  .drain_ms = 8000, .term_ms = 3000, .stop_phase = phase,	\
	  .rules = control_server_rules, .changed = on_changed }

static const struct proc_class classes[SB_KIND_COUNT] = {
	[SB_KIND_COORDINATOR] = SERVER_CLASS("coordinator", 0),
	[SB_KIND_DBSERVER] = SERVER_CLASS("dbserver", 1),
	[SB_KIND_AGENT] = SERVER_CLASS("agent", 2)
};

struct boss_server *
boss_find(struct boss *b, const char *name)
{
	size_t	 i;

	for (i = 0; i < b->n; i++)
		if (strcmp(b->servers[i].name, name) == 0)
			return &b->servers[i];
	return NULL;
}

bool
boss_is_up(const struct boss_server *s)
{
	return s->proc != NULL && proc_state(s->proc) == PROC_READY &&
	    !proc_is_paused(s->proc);
}

const char *
boss_state(const struct boss_server *s)
{
	if (s->proc == NULL || proc_pid(s->proc) == 0)
		return "down";
	if (proc_is_paused(s->proc))
		return "paused";
	return proc_state(s->proc) == PROC_READY ? "up" : "down";
}

/* ---- the directory ------------------------------------------------------ */

static bool
is_dir_empty(const char *path)
{
	struct dirent	*e;
	DIR		*d = opendir(path);
	bool		 empty = true;

	if (d == NULL)
		return false;
	while (empty && (e = readdir(d)) != NULL)
		/* What a start that failed may have left is ours. */
		empty = strcmp(e->d_name, ".") == 0 ||
		    strcmp(e->d_name, "..") == 0 ||
		    strcmp(e->d_name, BOSS_LOCK_FILE) == 0 ||
		    strcmp(e->d_name, BOSS_DATA_LOCK_FILE) == 0 ||
		    strcmp(e->d_name, BOSS_SOCKET_FILE) == 0 ||
		    strcmp(e->d_name, BOSS_LOG_FILE) == 0;
	closedir(d);
	return empty;
}

/* The topmost directory of the path that does not exist yet; NULL: all do. */
static char *
first_missing(const char *path)
{
	char		*copy = xstrdup(path), *slash, *missing = NULL;
	struct stat	 st;

	while (stat(copy, &st) == -1 && errno == ENOENT) {
		free(missing);
		missing = xstrdup(copy);
		if ((slash = strrchr(copy, '/')) == NULL || slash == copy)
			break;
		*slash = '\0';
	}
	free(copy);
	return missing;
}

static int
open_dir(struct boss *b, struct err_msg *m)
{
	const char	*dir = b->opts->dir;
	char		*path;
	struct stat	 st;
	int		 r;

	b->made = first_missing(dir);
	if ((r = fsx_mkdir_p(dir, 0700)) == -EEXIST)
		return err_set(m, r, "cannot make directory %s: a file is in "
		    "the way", dir);
	if (r != 0)
		return err_set(m, r, "cannot make directory %s: %s", dir,
		    err_text(r));
	if ((b->dir = realpath(dir, NULL)) == NULL)
		return err_set(m, -errno, "%s: %s", dir, err_text(-errno));
	if (access(b->dir, R_OK | W_OK | X_OK) == -1)
		return err_set(m, -errno, "cannot write to directory %s: %s",
		    dir, err_text(-errno));
	path = xasprintf("%s/%s", b->dir, BOSS_CLUSTER_FILE);
	b->is_new = stat(path, &st) == -1;
	free(path);
	if (b->is_new && !is_dir_empty(b->dir))
		return err_set(m, ERR_EXISTS, "%s is not empty and holds no "
		    "cluster: name an empty directory", dir);
	if (b->is_new && b->opts->port == -1)
		return err_set(m, ERR_USAGE, "--port is required for a new "
		    "cluster");
	return 0;
}

static int
lock_dir(struct boss *b, struct err_msg *m)
{
	pid_t	 holder = 0;

	b->lock_fd = fsx_open_dir_locked(b->dir, BOSS_LOCK_FILE,
	    FSX_LOCK_FCNTL, &holder);
	if (b->lock_fd == -EWOULDBLOCK)
		return err_set(m, b->lock_fd, "the cluster in %s runs already "
		    "(process %d)", b->opts->dir, (int)holder);
	if (b->lock_fd < 0)
		return err_set(m, b->lock_fd, "cannot lock %s/%s: %s",
		    b->opts->dir, BOSS_LOCK_FILE, err_text(b->lock_fd));
	b->data_lock_fd = proc_data_lock(b->dir, BOSS_DATA_LOCK_FILE,
	    OLD_SERVERS_MS, m);
	return b->data_lock_fd < 0 ? b->data_lock_fd : 0;
}

/* After a start that failed: nothing of a new cluster stays behind. */
static void
remove_new(struct boss *b)
{
	static const char *const files[] = {
		BOSS_CLUSTER_FILE, BOSS_LOCK_FILE, BOSS_DATA_LOCK_FILE,
		BOSS_SOCKET_FILE, BOSS_LOG_FILE, BOSS_PASSWORD_FILE
	};
	char	*path;
	size_t	 i;

	if (b->made != NULL) {
		(void)fsx_remove_tree(b->made);
		return;
	}
	if (!b->is_new || b->dir == NULL)
		return;
	for (i = 0; i < NITEMS(files); i++) {
		path = xasprintf("%s/%s", b->dir, files[i]);
		(void)unlink(path);
		free(path);
	}
	for (i = 0; i < b->n; i++)
		(void)fsx_remove_tree(b->servers[i].dir);
}

/* ---- states ------------------------------------------------------------- */

static size_t
count_up(const struct boss *b)
{
	size_t	 i, up = 0;

	for (i = 0; i < b->n; i++)
		up += proc_state(b->servers[i].proc) == PROC_READY;
	return up;
}

static int
start_server(struct boss *b, struct boss_server *s)
{
	int	 r;

	if ((r = proc_start(s->proc)) != 0) {
		fprintf(stderr, "arangosync-sandbox: cannot start %s: %s\n",
		    s->name, err_text(r));
		b->start_failed = true;
	}
	return r;
}

/* All serve: let go of who waits for it. */
static void
started(struct boss *b)
{
	size_t	 i;

	b->starting = false;
	log_notice("the cluster in %s serves: %zu servers", b->dir, b->n);
	if (!b->opts->daemon)
		for (i = 0; i < b->n; i++)
			printf("%-14s %s\n", b->servers[i].name,
			    b->servers[i].endpoint);
	fflush(stdout);
	proc_daemon_ready(b->daemon_fd, 0);
	b->daemon_fd = -1;
	(void)proc_notify("READY=1\nSTATUS=The cluster serves.");
}

/* One step of the start: the agent first, then all others. */
static void
start_step(struct boss *b, struct boss_server *s, enum proc_state now)
{
	size_t	 i;

	if (now == PROC_DOWN) {
		fprintf(stderr, "arangosync-sandbox: %s did not start: %s\n"
		    "arangosync-sandbox: see %s/log\n", s->name,
		    proc_end(s->proc)->text, s->dir);
		b->start_failed = true;
	} else if (now == PROC_READY && s->kind == SB_KIND_AGENT) {
		for (i = 0; i < b->n; i++)
			if (&b->servers[i] != s &&
			    start_server(b, &b->servers[i]) != 0)
				break;
	}
	if (b->start_failed)
		super_stop(b->super, 1);
	else if (count_up(b) == b->n)
		started(b);
}

static void
on_changed(struct proc *p, enum proc_state from)
{
	struct boss_server	*s = proc_arg(p);
	struct boss		*b = s->boss;
	enum proc_state		 now = proc_state(p);
	int			 r;

	if (now == PROC_READY)
		s->initialized = true;
	if ((r = boss_cluster_save(b, false)) != 0)
		log_error("cannot write %s/%s: %s", b->dir, BOSS_CLUSTER_FILE,
		    err_text(r));
	if (b->starting && from != now && !super_is_stopping(b->super))
		start_step(b, s, now);
	if (b->control != NULL)
		control_server_changed(b->control, s);
}

static void
on_reload(void *arg)
{
	struct boss	*b = arg;
	int		 r;

	if ((r = log_reopen()) != 0)
		log_error("cannot open the log again: %s", err_text(r));
	super_reload_children(b->super);
}

static void
on_stopping(void *arg)
{
	(void)proc_notify("STOPPING=1");
}

/* ---- start and end ------------------------------------------------------ */

static int
open_log(struct boss *b, struct err_msg *m)
{
	char	*path;
	int	 r;

	log_set_name("sandbox");
	if (!b->opts->daemon)
		return 0;
	path = xasprintf("%s/%s", b->dir, BOSS_LOG_FILE);
	if ((r = log_open(path)) != 0)
		(void)err_set(m, r, "cannot open %s: %s", path, err_text(r));
	free(path);
	return r;
}

static int
prepare(struct boss *b, struct err_msg *m)
{
	const struct boss_options	*o = b->opts;
	int				 r;

	if ((r = boss_check_files(o->auth_file, o->tls_keyfile, m)) != 0 ||
	    (r = open_dir(b, m)) != 0 || (r = lock_dir(b, m)) != 0 ||
	    (r = open_log(b, m)) != 0)
		return r;
	r = b->is_new ? boss_cluster_create(b, m) : boss_cluster_load(b, m);
	if (r != 0)
		return r;
	if (!b->is_new && (r = boss_check_files(b->config.auth_file,
	    b->config.tls_keyfile, m)) != 0)
		return r;
	return 0;
}

static int
run(struct boss *b, struct err_msg *m)
{
	static const struct super_hooks	 hooks = {
		.reload = on_reload, .stopping = on_stopping
	};
	size_t	 i;
	int	 code, r;

	b->super = super_new(&hooks, b);
	super_set_data_lock(b->super, b->data_lock_fd);
	for (i = 0; i < b->n; i++)
		b->servers[i].proc = super_add(b->super,
		    &classes[b->servers[i].kind], b->servers[i].name,
		    &b->servers[i]);
	if ((r = control_new(b, &b->control, m)) != 0)
		return r;
	b->starting = true;
	if ((r = start_server(b, &b->servers[0])) != 0)
		return err_set(m, r, "cannot start %s: %s",
		    b->servers[0].name, err_text(r));
	code = super_run(b->super);
	log_notice("the cluster in %s has ended", b->dir);
	return code;
}

static void
boss_end(struct boss *b)
{
	size_t	 i;

	/* Stored states are for who reads them while nobody runs. */
	for (i = 0; i < b->n; i++)
		b->servers[i].proc = NULL;
	if (b->data_lock_fd >= 0)
		close(b->data_lock_fd);
	if (b->lock_fd >= 0)
		close(b->lock_fd);
	/* Last: commands that wait for the end see it by this. */
	control_free(&b->control);
	super_free(&b->super);
	boss_cluster_free(b);
	free(b->dir);
	free(b->made);
}

int
boss_run(const struct boss_options *o)
{
	struct boss	 b;
	struct err_msg	 m = { "" };
	int		 r, code;

	memset(&b, 0, sizeof(b));
	b.opts = o;
	b.lock_fd = b.data_lock_fd = b.daemon_fd = -1;
	proc_raise_fd_limit();
	if (o->daemon && (r = proc_daemonize(&b.daemon_fd)) != 0) {
		fprintf(stderr, "arangosync-sandbox: cannot fork: %s\n",
		    err_text(r));
		return 1;
	}
	code = (r = prepare(&b, &m)) == 0 ? run(&b, &m) : r;
	if (code < 0) {
		fprintf(stderr, "arangosync-sandbox: %s\n", m.text);
		b.start_failed = true;
		code = code == ERR_USAGE ? 2 : 1;
	}
	/* Somebody else's cluster is none of our business. */
	if (b.start_failed && b.lock_fd >= 0)
		remove_new(&b);
	else if (b.start_failed && b.made != NULL)
		(void)fsx_remove_tree(b.made);
	proc_daemon_ready(b.daemon_fd, code);
	boss_end(&b);
	return code;
}
