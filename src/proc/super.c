/* super.c - the process table: states, restart policy, stopping, signals */
#include <sys/socket.h>
#include <sys/wait.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "ipc/messages.h"
#include "proc/child_priv.h"
#include "proc/proc.h"
#include "proc/super_priv.h"

#define BACKOFF_MIN_MS	1000
#define BACKOFF_MAX_MS	60000
/* A slow exit after the child closed its socket. */
#define LOST_TERM_MS	2000

static const char *const state_names[PROC_STATE_COUNT] = {
	"down", "starting", "ready", "stopping", "waiting", "failed"
};

/* Which states may follow; anything else is a bug of ours. */
static const unsigned edges[PROC_STATE_COUNT] = {
	[PROC_DOWN] = 1 << PROC_STARTING | 1 << PROC_WAITING,
	[PROC_STARTING] = 1 << PROC_READY | 1 << PROC_STOPPING |
	    1 << PROC_DOWN | 1 << PROC_WAITING | 1 << PROC_FAILED,
	[PROC_READY] = 1 << PROC_STOPPING | 1 << PROC_DOWN |
	    1 << PROC_WAITING | 1 << PROC_FAILED,
	[PROC_STOPPING] = 1 << PROC_DOWN,
	[PROC_WAITING] = 1 << PROC_STARTING | 1 << PROC_DOWN,
	[PROC_FAILED] = 1 << PROC_STARTING | 1 << PROC_DOWN
};

const char *
proc_state_name(enum proc_state state)
{
	return (unsigned)state < PROC_STATE_COUNT ? state_names[state] : "?";
}

static void
enter(struct proc *p, enum proc_state next, const char *why)
{
	enum proc_state	 from = p->state;

	bug_unless((edges[from] & 1u << next) != 0);
	p->state = next;
	poll_timer_stop(&p->timer);
	if (next == PROC_FAILED)
		log_error("%s: %s -> %s (%s)", p->name, state_names[from],
		    state_names[next], why);
	else
		log_notice("%s: %s -> %s (%s)", p->name, state_names[from],
		    state_names[next], why);
	if (p->class->changed != NULL)
		p->class->changed(p, from);
}

static uint32_t
or_default(uint32_t ms, uint32_t fallback)
{
	return ms != 0 ? ms : fallback;
}

/* ---- starting ----------------------------------------------------------- */

static int
on_hello(struct msg_in *m)
{
	struct proc	*p = m->ctx;
	struct buf	 config = BUF_INIT;
	uint16_t	 protocol;
	uint32_t	 generation;
	char		 build[64];
	int		 r;

	if ((r = get_u16(&m->body, &protocol)) != 0 ||
	    (r = get_str(&m->body, build, sizeof(build))) != 0 ||
	    (r = get_u32(&m->body, &generation)) != 0 ||
	    (r = get_end(&m->body)) != 0)
		return r;
	if (p->greeted || protocol != PROC_PROTOCOL_VERSION ||
	    strcmp(build, PACKAGE_VERSION) != 0 ||
	    generation != p->generation)
		return ERR_VERSION;
	p->greeted = true;
	/* What it has waited for us is not its fault. */
	if (p->state == PROC_STARTING)
		poll_timer_start(&p->timer, or_default(p->class->ready_ms,
		    PROC_READY_MS));
	if (p->class->config != NULL)
		p->class->config(p, &config);
	return peer_send_buf(m->peer, MSG_PROC_HELLO_ANS, m->id, &config);
}

static int
on_ready(struct msg_in *m)
{
	struct proc	*p = m->ctx;
	int		 r;

	if ((r = get_end(&m->body)) != 0)
		return r;
	if (!p->greeted)
		return ERR_BAD_STATE;
	if (p->state == PROC_STOPPING)
		return 0;	/* too late, but not wrong */
	p->was_ready = true;
	p->ready_at_ms = clock_mono_ms();
	enter(p, PROC_READY, "it says that it is ready");
	return 0;
}

static int
on_failed(struct msg_in *m)
{
	struct proc	*p = m->ctx;
	uint8_t		 code;
	int		 r;

	if ((r = get_u8(&m->body, &code)) != 0 ||
	    (r = get_str(&m->body, p->last_words,
	    sizeof(p->last_words))) != 0 ||
	    (r = get_end(&m->body)) != 0)
		return r;
	return 0;
}

static int
on_progress(struct msg_in *m)
{
	struct proc	*p = m->ctx;

	p->n_deaths = 0;
	p->immediate = false;
	p->proven = true;
	backoff_reset(&p->backoff);
	return get_end(&m->body);
}

static const struct msg_rule from_child[] = {
	{ MSG_PROC_HELLO_REQ,	PROC_PHASE_STARTING | PROC_PHASE_STOPPING,
	    10, 128, on_hello },
	{ MSG_PROC_READY,	PROC_PHASE_STARTING | PROC_PHASE_STOPPING,
	    0, 0, on_ready },
	{ MSG_PROC_FAILED,	PROC_PHASE_ANY, 5, 1024, on_failed },
	{ MSG_PROC_PROGRESS,	PROC_PHASE_ANY, 0, 0, on_progress },
	{ MSG_NONE, 0, 0, 0, NULL }
};

/* Nothing it says can be trusted any more.  Before the connection is closed:
 * at its end the child would leave, as if we had gone. */
static void
end_for_bad_frame(struct proc *p)
{
	p->bad_frame = true;
	if (p->pid != 0)
		kill(p->pid, SIGKILL);
}

static int
on_message(struct peer *peer, const struct frame *f, void *arg)
{
	struct proc	*p = arg;
	uint32_t	 phase;
	int		 r;

	phase = p->state == PROC_READY ? PROC_PHASE_READY :
	    p->state == PROC_STOPPING ? PROC_PHASE_STOPPING :
	    PROC_PHASE_STARTING;
	r = msg_dispatch_known(from_child, phase, p, peer, f);
	if (r == ERR_NOT_FOUND && p->greeted && p->class->rules != NULL)
		r = msg_dispatch_known(p->class->rules, phase, p, peer, f);
	if (r < 0) {
		log_error("%s: %s in state %s is not acceptable: %s", p->name,
		    msg_name(f->type), state_names[p->state],
		    r == ERR_NOT_FOUND ? "unknown" : err_text(r));
		end_for_bad_frame(p);
	}
	return r;
}

static void
on_lost(struct peer *peer, int why, void *arg)
{
	struct proc	*p = arg;

	poll_fd_free(&p->watch);
	if (p->pid == 0)
		return;
	if (why != ERR_CLOSED && why != ERR_TRUNCATED) {
		log_error("%s: killed for what it sent: %s", p->name,
		    err_text(why));
		end_for_bad_frame(p);
		return;
	}
	/* It is ending; see to it that it does. */
	if (p->state == PROC_STARTING || p->state == PROC_READY)
		poll_timer_start(&p->timer, LOST_TERM_MS);
}

static const struct peer_ops child_ops = { on_message, on_lost, NULL };

static void
peer_wants(void *arg, short events)
{
	struct proc	*p = arg;

	if (p->watch != NULL)
		poll_fd_set(p->watch, events);
}

static void
peer_is_ready(void *arg, short revents)
{
	struct proc	*p = arg;

	peer_handle(p->peer, revents);
}

int
proc_start(struct proc *p)
{
	struct super	*s = p->super;
	int		 fds[PROC_FD_OTHERS_MAX], n = 0, sv[2];
	pid_t		 pid;
	int		 r;

	if (p->state == PROC_STARTING || p->state == PROC_READY)
		return 0;
	if (p->state == PROC_STOPPING || s->stopping)
		return ERR_BAD_STATE;
	if (p->class->fds != NULL)
		n = p->class->fds(p, fds);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == -1)
		return -errno;
	/* What stdio holds would be written twice. */
	fflush(NULL);
	p->generation = ++s->last_generation;
	if ((pid = fork()) == -1) {
		r = -errno;
		close(sv[0]);
		close(sv[1]);
		return r;
	}
	if (pid == 0)
		proc_child_run(p->class, p->name, p->arg, p->generation,
		    sv[1], s->data_lock, fds, n);
	close(sv[1]);
	p->pid = pid;
	map_put_u64(&s->pids, (uint64_t)pid, p);
	p->paused = p->greeted = p->was_ready = p->killed = false;
	p->bad_frame = false;
	p->last_words[0] = '\0';
	p->started_ms = clock_mono_ms();
	p->peer = peer_new(sv[0], p->name, &child_ops, p);
	peer_set_generation(p->peer, p->generation);
	p->watch = poll_fd_new(s->ps, sv[0], 0, peer_is_ready, p);
	peer_watch(p->peer, peer_wants, p);
	enter(p, PROC_STARTING, p->end.ended ? "started again" : "started");
	poll_timer_start(&p->timer, or_default(p->class->ready_ms,
	    PROC_READY_MS));
	return 0;
}

/* ---- ending ------------------------------------------------------------- */

/* When one restart follows another: at once the first time, then slower. */
static void
restart_later(struct proc *p)
{
	const struct proc_class	*class = p->class;
	uint64_t		 now = clock_mono_ms(), window;
	uint32_t		 delay;
	unsigned		 i, k = 0;
	bool			 counted;
	char			 why[700];

	counted = !(p->end.signaled && (p->end.code == SIGKILL ||
	    p->end.code == SIGTERM));
	window = or_default(class->deaths_window_ms, 600000);
	for (i = 0; i < p->n_deaths; i++)
		if (now - p->deaths[i] < window)
			p->deaths[k++] = p->deaths[i];
	p->n_deaths = k;
	/* A healthy period makes this death a first one again. */
	if (p->was_ready && now - p->ready_at_ms >= window) {
		backoff_reset(&p->backoff);
		p->immediate = false;
	}
	if (p->was_ready && !p->immediate && p->backoff.next_ms == 0) {
		delay = 0;
		p->immediate = true;
	} else
		delay = backoff_failed(&p->backoff, now);
	if (counted && p->n_deaths < PROC_DEATHS_MAX)
		p->deaths[p->n_deaths++] = now;
	if (counted && class->deaths_max != 0 &&
	    p->n_deaths >= MIN(class->deaths_max, PROC_DEATHS_MAX)) {
		snprintf(why, sizeof(why), "ended %u times in %u s, last: %s",
		    p->n_deaths, (unsigned)(window / 1000), p->end.text);
		p->n_deaths = 0;
		enter(p, PROC_FAILED, why);
		if (class->retry_failed_ms != 0)
			poll_timer_start(&p->timer, class->retry_failed_ms);
		return;
	}
	snprintf(why, sizeof(why), "%s; again in %u ms", p->end.text,
	    (unsigned)delay);
	enter(p, PROC_WAITING, why);
	poll_timer_start(&p->timer, delay);
}

static void
describe_end(struct proc *p, int status)
{
	struct proc_end	*e = &p->end;

	e->ended = true;
	e->was_ready = p->was_ready;
	snprintf(e->words, sizeof(e->words), "%s", p->last_words);
	e->signaled = WIFSIGNALED(status);
	if (e->signaled) {
		e->code = WTERMSIG(status);
		snprintf(e->text, sizeof(e->text), "killed by SIG%s%s",
		    sigabbrev_np(e->code) == NULL ? "?" :
		    sigabbrev_np(e->code),
		    p->bad_frame ? " for what it sent" : "");
		return;
	}
	e->code = WEXITSTATUS(status);
	if (p->last_words[0] != '\0')
		snprintf(e->text, sizeof(e->text), "exit %d (%s): %s", e->code,
		    proc_exit_name(e->code), p->last_words);
	else
		snprintf(e->text, sizeof(e->text), "exit %d (%s): %s", e->code,
		    proc_exit_name(e->code), proc_exit_text(e->code));
}

static void
reaped(struct proc *p, int status)
{
	struct super	*s = p->super;
	int		 i;

	/* Its last words may still be in the socket. */
	for (i = 0; i < 16 && peer_is_open(p->peer); i++)
		peer_handle(p->peer, POLLIN);
	(void)map_del_u64(&s->pids, (uint64_t)p->pid);
	p->pid = 0;
	p->paused = false;
	poll_fd_free(&p->watch);
	peer_free(&p->peer);
	describe_end(p, status);
	if (p->state == PROC_STOPPING || p->killed || s->stopping ||
	    p->class->restart == PROC_RESTART_NEVER)
		enter(p, PROC_DOWN, p->end.text);
	else
		restart_later(p);
	/* One look at all of them for the last of a phase, not for each. */
	if (s->phase_left > 0 && p->class->stop_phase == s->phase)
		s->phase_left--;
	if (s->phase_left == 0)
		super_stop_next(s);
}

static void
on_sigchld(void *arg, int signo)
{
	struct super	*s = arg;
	struct proc	*p;
	int		 status;
	pid_t		 pid;

	while ((pid = waitpid(-1, &status,
	    WNOHANG | WUNTRACED | WCONTINUED)) > 0) {
		if ((p = map_get_u64(&s->pids, (uint64_t)pid)) == NULL)
			continue;
		if (WIFSTOPPED(status) || WIFCONTINUED(status)) {
			/* Whoever did it: us or somebody with kill(1). */
			p->paused = WIFSTOPPED(status);
			log_notice("%s: %s", p->name, p->paused ?
			    "paused" : "continued");
			if (p->class->changed != NULL)
				p->class->changed(p, p->state);
			continue;
		}
		reaped(p, status);
	}
}

void
proc_stop(struct proc *p)
{
	switch (p->state) {
	case PROC_WAITING:
	case PROC_FAILED:
		enter(p, PROC_DOWN, "not needed any more");
		return;
	case PROC_STARTING:
	case PROC_READY:
		break;
	default:
		return;
	}
	(void)peer_send(p->peer, MSG_PROC_STOP, 0, NULL, 0);
	if (p->paused)
		kill(p->pid, SIGCONT);
	enter(p, PROC_STOPPING, "asked to stop");
	p->stop_signal = SIGTERM;
	poll_timer_start(&p->timer, or_default(p->class->drain_ms,
	    PROC_DRAIN_MS));
}

void
proc_kill(struct proc *p)
{
	if (p->state == PROC_WAITING || p->state == PROC_FAILED)
		enter(p, PROC_DOWN, "not needed any more");
	if (p->pid != 0) {
		p->killed = true;
		kill(p->pid, SIGKILL);
	}
}

int
proc_pause(struct proc *p)
{
	if (p->pid == 0)
		return ERR_BAD_STATE;
	return kill(p->pid, SIGSTOP) == -1 ? -errno : 0;
}

int
proc_resume(struct proc *p)
{
	if (p->pid == 0)
		return ERR_BAD_STATE;
	return kill(p->pid, SIGCONT) == -1 ? -errno : 0;
}

/* The deadline of the state that the process is in. */
static void
on_timer(void *arg)
{
	struct proc	*p = arg;
	int		 r;

	switch (p->state) {
	case PROC_STARTING:
		log_error("%s: %s; killed", p->name, peer_is_open(p->peer) ?
		    "not ready in time" : "hung up, but did not end");
		kill(p->pid, SIGKILL);
		break;
	case PROC_READY:
		log_error("%s: hung up, but did not end; killed", p->name);
		kill(p->pid, SIGKILL);
		break;
	case PROC_STOPPING:
		log_warning("%s: still there; sending SIG%s", p->name,
		    sigabbrev_np(p->stop_signal));
		kill(p->pid, p->stop_signal);
		p->stop_signal = SIGKILL;
		poll_timer_start(&p->timer, or_default(p->class->term_ms,
		    PROC_TERM_MS));
		break;
	case PROC_WAITING:
	case PROC_FAILED:
		if ((r = proc_start(p)) != 0 && !p->super->stopping) {
			log_error("%s: cannot be started: %s", p->name,
			    err_text(r));
			poll_timer_start(&p->timer, BACKOFF_MIN_MS);
		}
		break;
	default:
		break;
	}
}

/* ---- the supervisor ----------------------------------------------------- */

/* Stop the lowest phase that still has processes; leave when none has. */
void
super_stop_next(struct super *s)
{
	struct proc	*p;
	unsigned	 phase = 0;
	bool		 any = false;

	if (!s->stopping || s->in_stop)
		return;
	s->in_stop = true;
	TAILQ_FOREACH(p, &s->procs, next) {
		if (p->state == PROC_WAITING || p->state == PROC_FAILED)
			proc_stop(p);
		if (p->state != PROC_DOWN &&
		    (!any || p->class->stop_phase < phase)) {
			phase = p->class->stop_phase;
			any = true;
		}
	}
	s->phase = phase;
	s->phase_left = 0;
	TAILQ_FOREACH(p, &s->procs, next)
		if (any && p->class->stop_phase == phase) {
			proc_stop(p);
			s->phase_left += p->state != PROC_DOWN;
		}
	s->in_stop = false;
	if (!any) {
		poll_timer_stop(&s->nag);
		pollset_stop(s->ps);
	}
}

static void
on_nag(void *arg)
{
	struct super	*s = arg;
	struct proc	*p;
	struct buf	 names = BUF_INIT;

	TAILQ_FOREACH(p, &s->procs, next)
		if (p->state == PROC_STOPPING)
			buf_printf(&names, "%s%s", names.len == 0 ? "" : ", ",
			    p->name);
	if (names.len != 0)
		log_notice("still waiting for %s", buf_cstr(&names));
	buf_free(&names);
	poll_timer_start(&s->nag, PROC_NAG_MS);
}

void
super_stop(struct super *s, int code)
{
	if (s->stopping)
		return;
	s->stopping = true;
	s->code = code;
	if (s->hooks.stopping != NULL)
		s->hooks.stopping(s->arg);
	poll_timer_start(&s->nag, PROC_NAG_MS);
	super_stop_next(s);
}

static void
on_term(void *arg, int signo)
{
	struct super	*s = arg;
	struct proc	*p;

	if (!s->stopping) {
		log_notice("SIG%s: stopping", sigabbrev_np(signo));
		super_stop(s, 0);
		return;
	}
	if (signo != SIGINT)
		return;
	/* Somebody at a terminal does not want to wait. */
	log_warning("SIGINT again: killing all");
	TAILQ_FOREACH(p, &s->procs, next)
		proc_kill(p);
}

static void
on_hup(void *arg, int signo)
{
	struct super	*s = arg;

	if (!s->stopping && s->hooks.reload != NULL)
		s->hooks.reload(s->arg);
}

static void
on_usr1(void *arg, int signo)
{
	struct super	*s = arg;

	super_dump(s);
	if (s->hooks.dump != NULL)
		s->hooks.dump(s->arg);
}

static void
send_all(struct super *s, uint16_t type)
{
	struct proc	*p;

	TAILQ_FOREACH(p, &s->procs, next)
		if (p->state == PROC_READY)
			(void)peer_send(p->peer, type, 0, NULL, 0);
}

void
super_reload_children(struct super *s)
{
	send_all(s, MSG_PROC_RELOAD);
}

void
super_dump(struct super *s)
{
	struct proc	*p;

	TAILQ_FOREACH(p, &s->procs, next)
		log_notice("process %s: %s%s, pid %d, generation %u%s%s",
		    p->name, state_names[p->state], p->paused ? ", paused" :
		    "", (int)p->pid, (unsigned)p->generation,
		    p->end.ended ? ", last end: " : "", p->end.text);
	send_all(s, MSG_PROC_DUMP);
}

struct super *
super_new(const struct super_hooks *hooks, void *arg)
{
	struct super	*s = xcalloc(1, sizeof(*s));

	s->ps = pollset_new();
	if (hooks != NULL)
		s->hooks = *hooks;
	s->arg = arg;
	s->data_lock = -1;
	TAILQ_INIT(&s->procs);
	poll_timer_init(&s->nag, s->ps, on_nag, s);
	proc_child_prepare();
	signal(SIGPIPE, SIG_IGN);
	pollset_signal(s->ps, SIGCHLD, on_sigchld, s);
	pollset_signal(s->ps, SIGTERM, on_term, s);
	pollset_signal(s->ps, SIGINT, on_term, s);
	pollset_signal(s->ps, SIGHUP, on_hup, s);
	pollset_signal(s->ps, SIGUSR1, on_usr1, s);
	return s;
}

void
super_free(struct super **ps)
{
	struct super	*s = *ps;
	struct proc	*p;

	if (s == NULL)
		return;
	*ps = NULL;
	while ((p = TAILQ_FIRST(&s->procs)) != NULL)
		proc_remove(&p);
	map_free(&s->pids, NULL);
	poll_timer_stop(&s->nag);
	pollset_free(&s->ps);
	free(s);
}

void
super_set_data_lock(struct super *s, int fd)
{
	s->data_lock = fd;
}

int
super_run(struct super *s)
{
	int	 r;

	if ((r = pollset_run(s->ps)) != 0)
		fatal("supervisor: poll: %s", err_text(r));
	return s->code;
}

bool
super_is_stopping(const struct super *s)
{
	return s->stopping;
}

struct pollset *
super_pollset(struct super *s)
{
	return s->ps;
}

struct proc *
super_first(struct super *s)
{
	return TAILQ_FIRST(&s->procs);
}

/* ---- slots -------------------------------------------------------------- */

struct proc *
super_add(struct super *s, const struct proc_class *class, const char *name,
    void *arg)
{
	struct proc	*p = xcalloc(1, sizeof(*p));

	p->super = s;
	p->class = class;
	p->name = xstrdup(name);
	p->arg = arg;
	p->backoff.min_ms = or_default(class->backoff_min_ms, BACKOFF_MIN_MS);
	p->backoff.max_ms = or_default(class->backoff_max_ms, BACKOFF_MAX_MS);
	poll_timer_init(&p->timer, s->ps, on_timer, p);
	TAILQ_INSERT_TAIL(&s->procs, p, next);
	return p;
}

void
proc_remove(struct proc **pp)
{
	struct proc	*p = *pp;

	if (p == NULL)
		return;
	*pp = NULL;
	bug_unless(p->pid == 0);
	poll_timer_stop(&p->timer);
	TAILQ_REMOVE(&p->super->procs, p, next);
	free(p->name);
	free(p);
}

struct proc *
proc_next(struct proc *p)
{
	return TAILQ_NEXT(p, next);
}

const char *
proc_name(const struct proc *p)
{
	return p->name;
}

void *
proc_arg(const struct proc *p)
{
	return p->arg;
}

enum proc_state
proc_state(const struct proc *p)
{
	return p->state;
}

bool
proc_is_paused(const struct proc *p)
{
	return p->paused;
}

pid_t
proc_pid(const struct proc *p)
{
	return p->pid;
}

bool
proc_is_proven(const struct proc *p)
{
	return p->proven;
}

uint32_t
proc_generation(const struct proc *p)
{
	return p->generation;
}

const struct proc_end *
proc_end(const struct proc *p)
{
	return &p->end;
}

struct peer *
proc_peer(struct proc *p)
{
	return p->peer;
}

struct super *
proc_super(struct proc *p)
{
	return p->super;
}
