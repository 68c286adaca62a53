/* receive_state.c - steps, what is recorded, what is shown */
#include <errno.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/fsx.h"
#include "base/log.h"
#include "ipc/messages.h"
#include "receive/receive_priv.h"

#define STATUS_MS	200
#define RECORD_EVERY_MS	1000
#define ROOM_AGAIN_MS	1000
/* So long after the last request the next one marks us as busy anew. */
#define BUSY_MS		2000

/* ---- steps -------------------------------------------------------------- */

bool
receive_is_running(const struct receive *r)
{
	return r->shard.step == SHARD_RUNNING ||
	    r->shard.step == SHARD_DETACHED;
}

static void
step_changed(void *arg, const struct shard *s, enum shard_step old,
    enum shard_event event)
{
	struct receive	*r = arg;

	if (s->step != old)
		log_notice("%s: %s -> %s (%s)", r->name, shard_step_name(old),
		    shard_step_name(s->step), s->reason);
	else
		log_debug("%s: %s, %s (%s)", r->name, shard_step_name(old),
		    shard_event_name(event), s->reason);
	if (s->step == old)
		return;
	receive_status(r);
	receive_say_applied(r, r->last_pos.tick);
	if (r->comparing.wanted && !receive_is_running(r) &&
	    !(r->comparing.again && (s->step == SHARD_SUBSCRIBE ||
	    s->step == SHARD_RESUME)))
		receive_compare_failed(r, "not running: %s (%s)",
		    shard_step_name(s->step), s->reason);
}

bool
receive_event(struct receive *r, enum shard_event event, const char *fmt, ...)
{
	enum shard_action	 action;
	char			 text[256];
	va_list			 ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (shard_event(&r->shard, event, loop_now_ms(r->loop), &action, "%s",
	    text) != 0) {
		log_debug("%s: %s means nothing in %s (%s)", r->name,
		    shard_event_name(event), shard_step_name(r->shard.step),
		    text);
		return false;
	}
	if (action == SHARD_DO_ASK_PLACE)
		receive_ask_place(r);
	return true;
}

int
receive_because(struct receive *r, int err, const char *fmt, ...)
{
	char	 text[sizeof(r->why)];
	va_list	 ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	memcpy(r->why, text, sizeof(text));
	return err;
}

/* ---- trouble ------------------------------------------------------------ */

void
receive_trouble(struct receive *r, const char *fmt, ...)
{
	char	 text[sizeof(r->error)];
	va_list	 ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (strcmp(text, r->error) == 0)
		return;
	log_warning("%s: %s", r->name, text);
	memcpy(r->error, text, sizeof(text));
	receive_status(r);
}

void
receive_trouble_over(struct receive *r)
{
	if (r->error[0] == '\0')
		return;
	log_notice("%s: goes on", r->name);
	r->error[0] = '\0';
	receive_status(r);
}

/* Our own disk: what has to be noted cannot be. */
static void
disk_trouble(struct receive *r, int err, const char *text)
{
	char	 all[sizeof(r->disk)];

	snprintf(all, sizeof(all), "%.400s%s", text, err_is_full(err) ?
	    "; make room there, until then the source keeps what is not "
	    "recorded" : "");
	if (strcmp(all, r->disk) == 0)
		return;
	if (r->disk[0] == '\0')
		log_warning("%s: %s", r->name, all);
	memcpy(r->disk, all, sizeof(all));
	receive_status(r);
}

static void
disk_good(struct receive *r)
{
	if (r->disk[0] == '\0')
		return;
	log_notice("%s: the data directory can be written again", r->name);
	r->disk[0] = '\0';
	receive_status(r);
}

int
receive_await_room(struct receive *r, int err, const char *what)
{
	char	 text[256];

	if (err == 0) {
		if (r->awaits_room)
			disk_good(r);
		r->awaits_room = false;
		return 0;
	}
	r->awaits_room = true;
	snprintf(text, sizeof(text), "%s: %s", what, err_text(err));
	disk_trouble(r, err, text);
	if (!r->stopping)
		receive_wait(r, loop_now_ms(r->loop) + ROOM_AGAIN_MS);
	return r->stopping ? receive_because(r, ERR_CANCELLED,
	    "the process is to stop") : 0;
}

/* ---- the record --------------------------------------------------------- */

/* Clocks jump: never longer than from now on. */
static uint64_t
suspect_still_ms(uint64_t until_us)
{
	uint64_t	 now = clock_wall_us();

	return until_us <= now ? 0 : MIN((until_us - now) / 1000,
	    receive_limits.suspect_ms);
}

static void
load_record(struct receive *r)
{
	struct err_msg	 m;
	int		 e;

	e = receive_record_load(r->record_path, r->conf.source, &r->conf.name,
	    &r->record, &m);
	r->has_record = e == 0;
	if (e != 0 && e != -ENOENT)
		log_error("%s: %s", r->name, m.text);
	if (e != 0) {
		memset(&r->record, 0, sizeof(r->record));
		snprintf(r->record.shard.cid, sizeof(r->record.shard.cid),
		    "%llu", (unsigned long long)r->conf.name.cid);
		r->record.shard.lineage = r->conf.lineage;
		return;
	}
	if (r->record.shard.target_server[0] != '\0')
		(void)commit_target_seen(r->commit,
		    r->record.shard.target_server,
		    r->record.shard.target_reboot);
	if (r->record.suspect_us != 0)
		commit_suspect_until(r->commit, loop_now_ms(r->loop) +
		    suspect_still_ms(r->record.suspect_us));
	r->last_pos = r->record.shard.pos;
}

/* ---- requests under way ------------------------------------------------- */

/* It need not survive a power cut: what we sent did not, either. */
static int
mark_busy(struct receive *r)
{
	int	 e = fsx_replace_fast(r->busy_path, "", 0, 0600);

	/* started on a full disk */
	if (e == -ENOENT && (e = fsx_mkdir_p(r->applied_dir, 0700)) == 0)
		e = fsx_replace_fast(r->busy_path, "", 0, 0600);
	return e;
}

int
receive_request_begins(struct receive *r)
{
	int	 e, w;

	while (!r->busy) {
		if ((e = mark_busy(r)) != 0 && !err_is_full(e)) {
			log_warning("%s: %s: %s", r->name, r->busy_path,
			    err_text(e));
			e = 0;
		}
		if ((w = receive_await_room(r, e, r->busy_path)) != 0)
			return w;
		r->busy = e == 0;
	}
	r->in_request = true;
	return 0;
}

void
receive_request_ends(struct receive *r)
{
	r->in_request = false;
	r->busy_ms = loop_now_ms(r->loop);
	receive_settle_soon(r);
}

void
receive_set_floor(struct receive *r, uint64_t tick)
{
	r->floor = tick;
	fold_set_floor(r->fold, tick);
}

/* Memory of batches; the next one takes what it needs. */
static void
give_back(struct receive *r)
{
	if (r->in_request || r->applying)
		return;
	/* nothing is applied, so nothing points there */
	inbox_quiet(&r->in);
	if (r->batch.len == 0)
		buf_free(&r->batch);
	buf_free(&r->body);
	buf_free(&r->scratch);
	fold_free(&r->fold);
	fold_free(&r->docs_fold);
	r->fold = fold_new(&receive_limits.fold);
	r->docs_fold = fold_new(&receive_limits.fold);
	fold_set_floor(r->fold, r->floor);
	(void)malloc_trim(0);
}

void
receive_quiet(struct receive *r)
{
	if (!r->busy || r->in_request || r->applying)
		return;
	r->busy = false;
	(void)unlink(r->busy_path);
	give_back(r);
}

/* Was a former process killed with a request under way? */
static void
look_for_busy(struct receive *r)
{
	if (access(r->busy_path, F_OK) != 0)
		return;
	log_notice("%s: a request may have been under way when the last "
	    "process was killed: the shard is compared in %u minutes", r->name,
	    receive_limits.suspect_ms / 60000);
	r->busy = true;
	r->busy_ms = loop_now_ms(r->loop);
	commit_suspect_until(r->commit, r->busy_ms +
	    receive_limits.suspect_ms);
	r->record.suspect_us = clock_wall_us() +
	    (uint64_t)receive_limits.suspect_ms * 1000;
	if (r->has_record)
		(void)receive_store(r);
}

static int
open_owed(struct receive *r, const char *path, struct err_msg *m)
{
	uint64_t	 cut = 0;
	char		*aside;
	int		 e = owed_open(path, r->name, &r->owed, &cut, m);

	if (cut != 0)
		log_notice("%s: %s: cut a torn record of %llu bytes", r->name,
		    path, (unsigned long long)cut);
	if (e != ERR_CORRUPT && e != ERR_FORMAT && e != ERR_EXISTS)
		return e;
	/* What was owed is found again by comparing. */
	log_error("%s: %s: the file is put aside, the shard is compared with "
	    "the source", r->name, m->text);
	aside = xasprintf("%s.damaged", path);
	e = fsx_rename(path, aside);
	free(aside);
	if (e != 0)
		return err_set(m, e, "%s: cannot be put aside: %s", path,
		    err_text(e));
	snprintf(r->repair, sizeof(r->repair), "the journal of owed keys was "
	    "damaged");
	return owed_open(path, r->name, &r->owed, NULL, m);
}

static void
status_fired(void *arg);

void
receive_open_files(struct receive *r)
{
	const char	*dir = worker_get_conf(r->w)->data_dir;
	char		*applied = xasprintf("%s/applied", dir), *path;
	struct err_msg	 m;
	int		 e;

	shard_init(&r->shard, SHARD_RECEIVE);
	r->shard.long_ms = receive_limits.long_ms;
	r->shard.changed = step_changed;
	r->shard.arg = r;
	r->status_timer = loop_timer_new(r->loop, status_fired, r);
	r->applied_dir = applied;
	e = fsx_mkdir_p(applied, 0700);
	if (e != 0 && !err_is_full(e)) {
		worker_done(r->w, PROC_EXIT_IO, "%s: %s", applied,
		    err_text(e));
		return;
	}
	/* It is made when there is room: see receive_store(). */
	if (e != 0)
		disk_trouble(r, e, applied);
	r->record_path = receive_record_path(dir, &r->conf.name, "");
	load_record(r);
	r->busy_path = receive_record_path(dir, &r->conf.name, ".busy");
	look_for_busy(r);
	path = receive_record_path(dir, &r->conf.name, ".owed");
	if (open_owed(r, path, &m) != 0)
		worker_done(r->w, PROC_EXIT_IO, "%s", m.text);
	free(path);
	receive_status(r);
}

int
receive_store(struct receive *r)
{
	struct err_msg	 m;
	int		 e;

	e = receive_record_store(r->record_path, r->conf.source,
	    &r->conf.name, &r->record, &m);
	if (e == -ENOENT && (e = fsx_mkdir_p(r->applied_dir, 0700)) == 0)
		e = receive_record_store(r->record_path, r->conf.source,
		    &r->conf.name, &r->record, &m);
	r->recorded_ms = loop_now_ms(r->loop);
	if (e != 0) {
		disk_trouble(r, e, m.text);
		return e;
	}
	disk_good(r);
	r->has_record = true;
	return 0;
}

int
receive_mark_repairing(struct receive *r)
{
	bool	 was = r->record.shard.repairing;

	if (r->repairing)
		return 0;
	r->record.shard.repairing = true;
	if (receive_store(r) != 0) {
		/* Nothing was changed: what is recorded can still resume. */
		r->record.shard.repairing = was;
		return receive_because(r, ERR_BAD_STATE, "%.250s", r->disk);
	}
	r->repairing = true;
	return 0;
}

/* What was applied last is a batch of commit.h, at most ten in a second. */
static void
put_applied(struct receive *r, uint64_t now)
{
	if (!r->unput)
		return;
	r->unput = false;
	r->put_ms = now;
	commit_sent(r->commit, ++r->batch_number, &r->last_pos);
	commit_answered(r->commit, r->batch_number, now);
}

void
receive_applied(struct receive *r, const struct sync_pos *pos)
{
	uint64_t	 now = loop_now_ms(r->loop);

	r->last_pos = *pos;
	r->unput = true;
	if (now - r->put_ms >= 100)
		put_applied(r, now);
	receive_say_applied(r, pos->tick);
	receive_settle_soon(r);
	receive_status(r);
}

static void
say_committed(struct receive *r)
{
	struct buf	 b = BUF_INIT;

	if (!r->progressed) {
		r->progressed = true;
		worker_progress(r->w);
	}
	if (!r->sub.open)
		return;
	pos_put(&b, &r->record.shard.pos);
	receive_up(r, MSG_CH_COMMIT, &b);
	buf_free(&b);
}

void
receive_settle(struct receive *r)
{
	struct shard_record	*rec = &r->record.shard;
	const struct sync_pos	*pos;
	uint64_t		 now = loop_now_ms(r->loop);
	size_t			 before;

	put_applied(r, now);
	before = commit_settling(r->commit);
	pos = commit_committed(r->commit, now);
	if (pos != NULL && commit_settling(r->commit) != before) {
		rec->pos = *pos;
		rec->repairing = false;
		snprintf(rec->target_cid, sizeof(rec->target_cid), "%s",
		    r->target.cid);
		if (r->target.server[0] != '\0') {
			snprintf(rec->target_server,
			    sizeof(rec->target_server), "%s",
			    r->target.server);
			rec->target_reboot = r->target.reboot_id;
		}
		r->unrecorded = true;
	}
	if (r->unrecorded && receive_store(r) == 0) {
		r->unrecorded = false;
		say_committed(r);
		/* Once a second: what a burst needed, a steady trickle does
		 * not. */
		give_back(r);
	}
	if (r->busy && now - r->busy_ms >= BUSY_MS)
		receive_quiet(r);
	receive_settle_soon(r);
}

void
receive_settle_soon(struct receive *r)
{
	uint64_t	 now = loop_now_ms(r->loop);
	uint64_t	 at = commit_next_ms(r->commit);

	if (r->left)
		return;
	if (r->unput)
		at = MIN(at, r->put_ms + 100);
	if (r->unrecorded)
		at = now;
	if (r->busy && !r->in_request)
		at = MIN(at, r->busy_ms + BUSY_MS);
	if (at == UINT64_MAX)
		return;
	at = MAX(at, r->recorded_ms + RECORD_EVERY_MS);
	loop_timer_start(r->settle_timer, at > now ? at - now : 0);
}

/* ---- status ------------------------------------------------------------- */

static void
add_str(struct json_object *o, const char *name, const char *v)
{
	if (v[0] != '\0')
		json_object_object_add(o, name, json_object_new_string(v));
}

static void
add_u64(struct json_object *o, const char *name, uint64_t v)
{
	json_object_object_add(o, name, json_object_new_uint64(v));
}

static int
newest_letter(void *arg, const struct owed_dead *d)
{
	err_set(arg, 0, "%.*s: %.160s", (int)MIN(d->key_len, (size_t)100),
	    (const char *)d->key, d->text);
	return 0;
}

/* What people should know, the gravest first. */
static const char *
present_error(const struct receive *r, struct err_msg *m)
{
	struct err_msg	 letter = { "" };
	size_t		 n;

	if (r->disk[0] != '\0')
		return r->disk;
	if (r->error[0] != '\0')
		return r->error;
	if (r->shard.step == SHARD_FAILED)
		return r->shard.reason;
	if (r->refused[0] != '\0')
		return r->refused;
	if (r->owed == NULL || (n = owed_dead_count(r->owed)) == 0)
		return "";
	(void)owed_dead_each(r->owed, newest_letter, &letter);
	err_set(m, 0, "dead letters: %zu, refused by the target, the newest "
	    "is document %.300s", n, letter.text);
	return m->text;
}

static void
status_fired(void *arg)
{
	struct receive		*r = arg;
	struct json_object	*o = json_object_new_object(), *p;
	struct err_msg		 m;

	add_str(o, "state", shard_state_name(shard_step_state(r->shard.step)));
	add_str(o, "step", shard_step_name(r->shard.step));
	add_str(o, "reason", r->shard.reason);
	add_str(o, "error", present_error(r, &m));
	add_str(o, "database", r->conf.name.db);
	add_str(o, "collection", r->conf.coll);
	add_u64(o, "shard", r->conf.name.shard);
	add_str(o, "server", r->last_pos.server);
	add_u64(o, "tick", r->last_pos.tick);
	p = json_object_new_object();
	add_str(p, "server", r->record.shard.pos.server);
	add_u64(p, "tick", r->record.shard.pos.tick);
	json_object_object_add(o, "recorded", p);
	add_str(o, "target", r->target.server);
	add_u64(o, "records", r->records);
	add_u64(o, "removed", r->removed);
	add_u64(o, "bytes", r->bytes);
	if (r->owed != NULL) {
		add_u64(o, "owed", owed_count(r->owed));
		add_u64(o, "dead", owed_dead_count(r->owed));
	}
	json_object_object_add(o, "suspect",
	    json_object_new_boolean(commit_is_suspect(r->commit)));
	add_u64(o, "lag_us", r->lag_us);
	add_u64(o, "last_message_us", r->last_message_us);
	add_u64(o, "last_data_change_us", r->last_change_us);
	add_u64(o, "last_master_change_us", r->subscribed_us);
	if (shard_step_state(r->shard.step) == SHARD_STATE_INITIAL_SYNC) {
		p = json_object_new_object();
		add_u64(p, "done", r->repair_done);
		add_u64(p, "total", r->repair_total);
		json_object_object_add(o, "repair", p);
	}
	worker_status(r->w, o);
}

void
receive_status(struct receive *r)
{
	if (!loop_timer_is_running(r->status_timer))
		loop_timer_start(r->status_timer, STATUS_MS);
}
