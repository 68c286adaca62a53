/* mesh.c - the supervisor's side of processes that talk to each other */
#include <sys/queue.h>
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/map.h"
#include "ipc/messages.h"
#include "ipc/peer.h"
#include "proc/mesh.h"

#define MESH_START_MAX	(MESH_CONFIG_MAX + (MESH_PEERS_MAX + 1) *	\
			    (MESH_NAME_MAX + 4) + 64)

struct wanted_file {
	struct wanted_file *next;
	char		*what;
	int		(*open_fn)(void *);
	void		*arg;
};

/* A name: who has it, and who wants to talk to that one, if there were one. */
struct party {
	struct slot	*slot;		/* or NULL */
	LIST_HEAD(, wish) wishes;
	char		 name[];
};

struct wish {
	LIST_ENTRY(wish) next;		/* of the party that is wanted */
	struct slot	*slot;		/* who wants */
	struct party	*party;
};

struct slot {
	TAILQ_ENTRY(slot) next;
	TAILQ_ENTRY(slot) next_doomed;
	struct mesh	*mesh;
	struct proc	*proc;
	struct party	*party;
	size_t		 class;
	bool		 fixed;		/* of the supervisor itself */
	bool		 doomed;	/* forget it once it is down */
	struct wish	*wishes;
	size_t		 nwishes;
	struct buf	 config;
	uint32_t	 sum;		/* of what the process runs with */
	struct wanted_file *files;
};

/*
 * There may be thousands of members, and each starts, stops and dies many
 * times: nothing here looks at all of them for one.
 */
struct mesh {
	struct super	*super;
	const struct mesh_class *classes;
	struct proc_class *procs;	/* one for each class */
	size_t		 nclasses;
	void		*arg;
	TAILQ_HEAD(, slot) slots;
	TAILQ_HEAD(, slot) doomed;
	struct map	 parties;	/* by name */
	char		*governor;
	void		(*give_up)(void *, const char *);
	void		*give_up_arg;
};

static void	slot_free(struct slot **);

/* ---- names ----------------------------------------------------------------- */

static struct party *
party_of(struct mesh *m, const char *name)
{
	struct party	*y = map_get(&m->parties, name);
	size_t		 n = strlen(name) + 1;

	if (y != NULL)
		return y;
	y = xcalloc(1, sizeof(*y) + n);
	LIST_INIT(&y->wishes);
	memcpy(y->name, name, n);
	map_put(&m->parties, name, y);
	return y;
}

static void
party_release(struct mesh *m, struct party *y)
{
	if (y->slot != NULL || !LIST_EMPTY(&y->wishes))
		return;
	(void)map_del(&m->parties, y->name);
	free(y);
}

static struct slot *
find(struct mesh *m, const char *name)
{
	struct party	*y = map_get(&m->parties, name);

	return y == NULL ? NULL : y->slot;
}

static void
forget_wishes(struct slot *s)
{
	struct wish	*w;

	while (s->nwishes > 0) {
		w = &s->wishes[--s->nwishes];
		LIST_REMOVE(w, next);
		party_release(s->mesh, w->party);
	}
	free(s->wishes);
	s->wishes = NULL;
}

static void
set_wishes(struct slot *s, const char *const *names, size_t n)
{
	struct wish	*w;

	forget_wishes(s);
	s->wishes = xcalloc(n == 0 ? 1 : n, sizeof(*s->wishes));
	for (; s->nwishes < n; s->nwishes++) {
		w = &s->wishes[s->nwishes];
		w->slot = s;
		w->party = party_of(s->mesh, names[s->nwishes]);
		LIST_INSERT_HEAD(&w->party->wishes, w, next);
	}
}

static bool
wants(const struct slot *a, const struct slot *b)
{
	size_t	 i;

	for (i = 0; i < a->nwishes; i++)
		if (a->wishes[i].party == b->party)
			return true;
	return false;
}

/* ---- to members ------------------------------------------------------------ */

/* One end for `to`, which tells it about `other`.  Closes fd. */
static int
send_end(struct slot *to, struct slot *other, int fd)
{
	struct buf	 b = BUF_INIT;
	int		 r;

	put_str(&b, proc_name(other->proc));
	put_u16(&b, (uint16_t)other->class);
	put_u32(&b, proc_generation(other->proc));
	r = peer_send_fd(proc_peer(to->proc), MSG_MESH_CONNECT, 0, b.data,
	    b.len, fd);
	buf_free(&b);
	return r;
}

static void
connect_pair(struct slot *a, struct slot *b)
{
	int	 fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
	    fds) == -1) {
		log_error("%s: cannot be connected with %s: %s",
		    proc_name(a->proc), proc_name(b->proc), strerror(errno));
		return;
	}
	/* When one of them is lost meanwhile, the other sees EOF. */
	(void)send_end(a, b, fds[0]);
	(void)send_end(b, a, fds[1]);
}

static bool
is_there(struct slot *s)
{
	return proc_state(s->proc) == PROC_READY && proc_peer(s->proc) != NULL;
}

/* With everybody whom it wants, and who wants it. */
static void
connect_all(struct slot *s)
{
	struct slot	*o;
	struct wish	*w;
	size_t		 i;

	for (i = 0; i < s->nwishes; i++) {
		o = s->wishes[i].party->slot;
		if (o != NULL && o != s && is_there(o))
			connect_pair(s, o);
	}
	LIST_FOREACH(w, &s->party->wishes, next) {
		o = w->slot;
		/* those who want each other were just connected */
		if (o != s && is_there(o) && !wants(s, o))
			connect_pair(s, o);
	}
}

static void
send_file(struct slot *s, struct wanted_file *f)
{
	struct buf	 b = BUF_INIT;
	int		 fd = f->open_fn(f->arg);

	if (fd < 0)
		return;
	put_str(&b, f->what);
	(void)peer_send_fd(proc_peer(s->proc), MSG_MESH_FILE, 0, b.data, b.len,
	    fd);
	buf_free(&b);
}

static void
tell_governor(struct slot *s)
{
	struct mesh		*m = s->mesh;
	struct slot		*g;
	const struct proc_end	*end = proc_end(s->proc);
	struct buf		 b = BUF_INIT;

	if (m->governor == NULL || (g = find(m, m->governor)) == NULL ||
	    g == s || proc_state(g->proc) != PROC_READY ||
	    proc_peer(g->proc) == NULL)
		return;
	put_str(&b, proc_name(s->proc));
	put_u16(&b, (uint16_t)s->class);
	put_u8(&b, (uint8_t)proc_state(s->proc));
	put_u32(&b, proc_generation(s->proc));
	put_str(&b, end != NULL && end->ended ? end->text : "");
	put_u32(&b, s->sum);
	(void)peer_send_buf(proc_peer(g->proc), MSG_MESH_STATE, 0, &b);
	buf_free(&b);
}

/* A governor that has (re)started learns what there is. */
static void
brief_governor(struct slot *g)
{
	struct slot	*s;

	TAILQ_FOREACH(s, &g->mesh->slots, next)
		if (s != g)
			tell_governor(s);
}

/* See mesh_on_give_up(). */
static bool
cannot_be_used(const struct slot *s)
{
	const struct proc_end	*end = proc_end(s->proc);

	return s->mesh->give_up != NULL && s->fixed &&
	    !proc_is_proven(s->proc) && !end->signaled &&
	    end->code == PROC_EXIT_CONFIG;
}

static void
on_changed(struct proc *p, enum proc_state from)
{
	struct slot		*s = proc_arg(p);
	struct wanted_file	*f;

	if (proc_state(p) == PROC_READY && from != PROC_READY) {
		for (f = s->files; f != NULL; f = f->next)
			send_file(s, f);
		connect_all(s);
		if (s->mesh->governor != NULL &&
		    strcmp(s->mesh->governor, proc_name(p)) == 0)
			brief_governor(s);
	}
	if (proc_state(p) != from)
		tell_governor(s);
	if (proc_state(p) == PROC_WAITING && cannot_be_used(s))
		s->mesh->give_up(s->mesh->give_up_arg, proc_end(p)->words);
}

/* ---- from the governor -------------------------------------------------------- */

static bool
is_governor(struct mesh *m, struct proc *p)
{
	return m->governor != NULL && strcmp(m->governor, proc_name(p)) == 0;
}

static void
set_doomed(struct slot *s, bool doomed)
{
	if (s->doomed == doomed)
		return;
	s->doomed = doomed;
	if (doomed)
		TAILQ_INSERT_TAIL(&s->mesh->doomed, s, next_doomed);
	else
		TAILQ_REMOVE(&s->mesh->doomed, s, next_doomed);
}

/*
 * Take out what was stopped and is down now.  Not in on_changed(): the
 * supervisor is still busy with the slot there.
 */
static void
reap(struct mesh *m)
{
	struct slot	*s, *next;

	for (s = TAILQ_FIRST(&m->doomed); s != NULL; s = next) {
		next = TAILQ_NEXT(s, next_doomed);
		if (proc_state(s->proc) == PROC_DOWN ||
		    proc_state(s->proc) == PROC_FAILED)
			slot_free(&s);
	}
}

static struct slot *
slot_new(struct mesh *m, const char *name, size_t class)
{
	struct slot	*s = xcalloc(1, sizeof(*s));

	s->mesh = m;
	s->class = class;
	s->proc = super_add(m->super, &m->procs[class], name, s);
	s->party = party_of(m, name);
	s->party->slot = s;
	TAILQ_INSERT_HEAD(&m->slots, s, next);
	return s;
}

static int
on_start(struct msg_in *in)
{
	struct proc	*from = in->ctx;
	struct mesh	*m = ((struct slot *)proc_arg(from))->mesh;
	struct slot	*s;
	char		 name[MESH_NAME_MAX], *peers[MESH_PEERS_MAX];
	const uint8_t	*config;
	uint16_t	 class, n = 0, i = 0;
	size_t		 len;
	int		 r;

	if (!is_governor(m, from))
		return ERR_DENIED;
	if ((r = get_str(&in->body, name, sizeof(name))) != 0 ||
	    (r = get_u16(&in->body, &class)) != 0 ||
	    (r = get_u16(&in->body, &n)) != 0)
		return r;
	if (name[0] == '\0' || class >= m->nclasses ||
	    !m->classes[class].on_request || n > MESH_PEERS_MAX)
		return ERR_PROTOCOL;
	for (i = 0; i < n; i++)
		if ((r = get_str_dup(&in->body, MESH_NAME_MAX - 1,
		    &peers[i])) != 0)
			goto fail;
	if ((r = get_bytes(&in->body, &config, &len)) != 0 ||
	    (r = get_end(&in->body)) != 0)
		goto fail;
	reap(m);
	if ((s = find(m, name)) == NULL)
		s = slot_new(m, name, class);
	else if (s->fixed || s->class != class) {
		r = ERR_PROTOCOL;
		goto fail;
	}
	set_doomed(s, false);
	set_wishes(s, (const char *const *)peers, n);
	while (i > 0)
		free(peers[--i]);
	buf_reset(&s->config);
	buf_append(&s->config, config, len);
	/* Still stopping: on_changed() does not restart it, so the governor
	 * asks again when it is told that the process is down. */
	r = proc_start(s->proc);
	if (r != 0 && r != ERR_BAD_STATE) {
		/* No fault of the governor's, who must live on. */
		log_error("%s: cannot be started: %s", name, err_text(r));
		tell_governor(s);
	}
	return 0;
fail:
	while (i > 0)
		free(peers[--i]);
	return r;
}

static int
on_stop(struct msg_in *in)
{
	struct proc	*from = in->ctx;
	struct mesh	*m = ((struct slot *)proc_arg(from))->mesh;
	struct slot	*s;
	char		 name[MESH_NAME_MAX];
	int		 r;

	if (!is_governor(m, from))
		return ERR_DENIED;
	if ((r = get_str(&in->body, name, sizeof(name))) != 0 ||
	    (r = get_end(&in->body)) != 0)
		return r;
	if ((s = find(m, name)) == NULL)
		return 0;
	if (s->fixed)
		return ERR_PROTOCOL;
	set_doomed(s, true);
	proc_stop(s->proc);
	reap(m);
	return 0;
}

/* Also from one that is stopping: it may not know yet when it says it. */
#define FROM_GOVERNOR	(PROC_PHASE_READY | PROC_PHASE_STOPPING)

static const struct msg_rule	 from_members[] = {
	{ MSG_MESH_START, FROM_GOVERNOR, 12, MESH_START_MAX, on_start },
	{ MSG_MESH_STOP, FROM_GOVERNOR, 4, MESH_NAME_MAX + 4, on_stop },
	{ 0, 0, 0, 0, NULL }
};

/* ---- in the child ------------------------------------------------------------- */

static int
member_main(struct proc_child *c, void *arg, struct rbuf *config)
{
	struct slot	*s = arg;
	struct member	 m = { .child = c, .arg = s->mesh->arg,
			    .proven = proc_is_proven(s->proc) };
	int		 r;

	if ((r = get_bytes(config, &m.config, &m.config_len)) != 0 ||
	    (r = get_end(config)) != 0)
		return proc_child_fail(c, PROC_EXIT_PROTOCOL,
		    "configuration: %s", err_text(r));
	return s->mesh->classes[s->class].main(&m);
}

static void
put_config(struct proc *p, struct buf *out)
{
	struct slot	*s = proc_arg(p);
	const char	*names[MESH_PEERS_MAX];
	size_t		 i;

	for (i = 0; i < s->nwishes; i++)
		names[i] = s->wishes[i].party->name;
	s->sum = member_sum(names, s->nwishes, s->config.data, s->config.len);
	put_bytes(out, s->config.data, s->config.len);
}

/* ---- the mesh ------------------------------------------------------------------ */

struct mesh *
mesh_new(struct super *super, const struct mesh_class *classes,
    size_t nclasses, void *arg)
{
	struct mesh	*m = xcalloc(1, sizeof(*m));
	size_t		 i;

	m->super = super;
	m->classes = classes;
	m->nclasses = nclasses;
	m->arg = arg;
	TAILQ_INIT(&m->slots);
	TAILQ_INIT(&m->doomed);
	m->procs = xcalloc(nclasses, sizeof(*m->procs));
	for (i = 0; i < nclasses; i++)
		m->procs[i] = (struct proc_class){
			.name = classes[i].name,
			.main = member_main,
			.restart = PROC_RESTART_ALWAYS,
			.backoff_min_ms = classes[i].backoff_min_ms,
			.backoff_max_ms = classes[i].backoff_max_ms,
			.deaths_max = classes[i].deaths_max,
			.deaths_window_ms = classes[i].deaths_window_ms,
			.retry_failed_ms = classes[i].retry_failed_ms,
			.stop_phase = classes[i].stop_phase,
			.rules = from_members,
			.config = put_config,
			.changed = on_changed
		};
	return m;
}

static void
slot_free(struct slot **sp)
{
	struct slot		*s = *sp;
	struct wanted_file	*f;

	TAILQ_REMOVE(&s->mesh->slots, s, next);
	set_doomed(s, false);
	proc_remove(&s->proc);
	forget_wishes(s);
	s->party->slot = NULL;
	party_release(s->mesh, s->party);
	while ((f = s->files) != NULL) {
		s->files = f->next;
		free(f->what);
		free(f);
	}
	buf_free(&s->config);
	free(s);
	*sp = NULL;
}

void
mesh_free(struct mesh **mp)
{
	struct mesh	*m = *mp;
	struct slot	*s;

	if (m == NULL)
		return;
	while ((s = TAILQ_FIRST(&m->slots)) != NULL)
		slot_free(&s);
	map_free(&m->parties, free);
	free(m->procs);
	free(m->governor);
	free(m);
	*mp = NULL;
}

int
mesh_add(struct mesh *m, const char *name, size_t class,
    const char *const *peers, size_t npeers)
{
	struct slot	*s;

	bug_unless(class < m->nclasses && npeers <= MESH_PEERS_MAX);
	if (find(m, name) != NULL)
		return ERR_EXISTS;
	s = slot_new(m, name, class);
	s->fixed = true;
	set_wishes(s, peers, npeers);
	return proc_start(s->proc);
}

void
mesh_set_governor(struct mesh *m, const char *name)
{
	free(m->governor);
	m->governor = xstrdup(name);
}

void
mesh_give_file(struct mesh *m, const char *member, const char *what,
    int (*open_fn)(void *), void *arg)
{
	struct slot		*s = find(m, member);
	struct wanted_file	*f = xcalloc(1, sizeof(*f));

	bug_unless(s != NULL);
	f->what = xstrdup(what);
	f->open_fn = open_fn;
	f->arg = arg;
	f->next = s->files;
	s->files = f;
	if (proc_state(s->proc) == PROC_READY && proc_peer(s->proc) != NULL)
		send_file(s, f);
}

void
mesh_on_give_up(struct mesh *m, void (*fn)(void *, const char *), void *arg)
{
	m->give_up = fn;
	m->give_up_arg = arg;
}

static int
dup_log(void *arg)
{
	int	 fd = fcntl(log_fd(), F_DUPFD_CLOEXEC, 0);

	return fd == -1 ? -errno : fd;
}

void
mesh_reload(struct mesh *m)
{
	static char		 log_name[] = MESH_FILE_LOG;
	struct wanted_file	*f, log = { .what = log_name,
				    .open_fn = dup_log };
	struct slot		*s;

	TAILQ_FOREACH(s, &m->slots, next) {
		if (!is_there(s))
			continue;
		if (log_fd() > STDERR_FILENO)
			send_file(s, &log);
		for (f = s->files; f != NULL; f = f->next)
			send_file(s, f);
	}
	super_reload_children(m->super);
}
