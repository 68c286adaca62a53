/*
 * receive_apply.c - a fold to the leader of the target's shard, until it is
 * there (R10 to R17)
 *
 * What was begun is finished, whatever happens to the link: a batch of unknown
 * outcome comes again before any other (R16).  Only the end of the process
 * leaves one behind, and then the next one begins where it was recorded.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arango/conn.h"
#include "arango/structure.h"
#include "arango/tail.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "ipc/messages.h"
#include "receive/receive_priv.h"
#include "vpack/rev.h"
#include "vpack/vpack.h"

#define LOOK_EVERY_MS	2000
/* So often an index must have refused what the source holds side by side
 * before it counts as one that the source does not have. */
#define FOREIGN_VOTES	2

/* ---- the target --------------------------------------------------------- */

int
receive_target(struct receive *r, struct arango_write_to *to)
{
	memset(to, 0, sizeof(*to));
	to->cluster = r->cluster;
	to->db = r->conf.name.db;
	to->cancel = worker_cancel(r->w);
	while (r->target.server[0] == '\0') {
		if (r->stopping)
			return receive_because(r, ERR_CANCELLED,
			    "the process is to stop");
		receive_trouble(r, "nobody leads the shard at the target");
		worker_say(r->w, MSG_WORKER_LOOK);
		receive_wait(r, loop_now_ms(r->loop) + LOOK_EVERY_MS);
	}
	to->server = arango_server_get(r->cluster, r->target.server);
	to->name = r->target.shard;
	bug_unless(to->server != NULL);
	return 0;
}

int
receive_recover(struct receive *r, enum arango_reaction how)
{
	uint64_t	 now = loop_now_ms(r->loop), changes, end;
	bool		 look = how == ARANGO_LEADER || how == ARANGO_RESYNC;

	if (r->stopping)
		return receive_because(r, ERR_CANCELLED,
		    "the process is to stop");
	if (how == ARANGO_SPLIT)
		return 0;
	end = now + backoff_failed(&r->retry, now);
	changes = r->target_changes;
	if (look)
		worker_say(r->w, MSG_WORKER_LOOK);
	while (!r->stopping && loop_now_ms(r->loop) < end &&
	    (!look || r->target_changes == changes))
		receive_wait(r, end);
	return r->stopping ? receive_because(r, ERR_CANCELLED,
	    "the process is to stop") : 0;
}

/* A request may run now or later (R16): durable, as we may end before. */
static void
outcome_unknown(struct receive *r)
{
	uint64_t	 now = loop_now_ms(r->loop);

	if (r->unknown_batch == 0) {
		r->unknown_batch = ++r->batch_number;
		commit_sent(r->commit, r->unknown_batch, &r->last_pos);
	}
	commit_unknown(r->commit, r->unknown_batch, now);
	r->record.suspect_us = clock_wall_us() +
	    (uint64_t)receive_limits.suspect_ms * 1000;
	if (r->has_record)
		(void)receive_store(r);
}

static void
note_failure(struct receive *r, const struct arango_write_result *res,
    const char *what)
{
	if (res->unknown)
		outcome_unknown(r);
	receive_trouble(r, "%s: %s%s", what, res->msg.text, res->unknown ?
	    " (it may have been executed)" : "");
}

/* ---- bodies ------------------------------------------------------------- */

static void
take_errors(struct fold *f, const struct fold_body *b,
    const struct arango_write_result *res)
{
	fold_react_fn	*react = b->kind == FOLD_REMOVALS ?
			    arango_react_remove : arango_react;
	size_t		 i;

	for (i = 0; i < res->nerrors; i++)
		fold_element(f, b, res->errors[i].pos, res->errors[i].num,
		    res->errors[i].conflict, res->errors[i].index, react);
	/* only the first ones were kept: the others are among the rest */
	if (res->nerrors_all > res->nerrors && res->nerrors != 0)
		fold_element(f, b, SIZE_MAX, AERR_CONFLICT, NULL, NULL, react);
}

struct reading {
	struct fold		*f;
	struct fold_body	*b;
};

/* Straight from the lines to where it is sent from. */
static size_t
read_body(void *arg, size_t at, uint8_t *p, size_t n)
{
	struct reading	*x = arg;

	return fold_body_read(x->f, x->b, at, p, n);
}

static int
send_body(struct receive *r, struct fold *f, struct fold_body *b)
{
	struct reading			 x = { f, b };
	struct arango_write_result	 res;
	struct arango_write_to		 to;
	struct arango_write		 w = ARANGO_WRITE_INIT;
	enum arango_reaction		 how = ARANGO_SUCCESS;
	int				 e;

	if ((e = receive_target(r, &to)) != 0)
		return e;
	w.body = &r->body;
	if (b->unwritten != 0) {
		w.on_body = read_body;
		w.arg = &x;
		w.len = b->unwritten;
	}
	w.count = b->count;
	if ((e = receive_request_begins(r)) != 0)
		return e;
	if (b->kind == FOLD_REMOVALS)
		e = arango_write_remove(&to, &w, &res);
	else
		e = arango_write_upsert(&to, &w, &res);
	receive_request_ends(r);
	if (e == 0) {
		take_errors(f, b, &res);
		fold_answered(f, b);
		backoff_reset(&r->retry);
		receive_trouble_over(r);
	} else {
		note_failure(r, &res, b->kind == FOLD_REMOVALS ?
		    "removing documents" : "writing documents");
		how = res.reaction;
		fold_unsent(f, b, how);
		(void)fold_trouble(f);
	}
	arango_write_result_free(&res);
	if (how == ARANGO_SUCCESS)
		return 0;
	if (how == ARANGO_FAIL)
		return receive_because(r, ERR_STORAGE, "%s", r->error);
	return receive_recover(r, how);
}

static int
after_pause(struct receive *r, struct fold *f)
{
	enum arango_reaction	 how = fold_trouble(f);

	receive_trouble(r, "documents are refused for the moment (%s)",
	    arango_reaction_name(how));
	return receive_recover(r, how);
}

/* ---- conflicts (R13) ---------------------------------------------------- */

static int
disk_failed(struct receive *r, int err)
{
	worker_done(r->w, PROC_EXIT_IO, "%s: the journal of owed keys cannot "
	    "be written: %s", r->name, err_text(err));
	r->stopping = r->left = true;
	return receive_because(r, ERR_CANCELLED, "the disk has failed");
}

/*
 * What came of noting something: 0, and it is done unless *again says that
 * there is to be another try.
 */
static int
noted(struct receive *r, int err, bool *again)
{
	*again = err_is_full(err);
	if (err != 0 && !*again)
		return disk_failed(r, err);
	return receive_await_room(r, err, "the journal of owed keys cannot be "
	    "written");
}

static int
owe(struct receive *r, const void *key, size_t len)
{
	bool	 again = true;
	int	 e = 0;

	while (e == 0 && again)
		e = noted(r, owed_add(r->owed, key, len), &again);
	return e;
}

static int
owe_for_sure(struct receive *r)
{
	int	 e = owed_sync(r->owed);

	return e != 0 ? disk_failed(r, e) : 0;
}

/* The index is none of the source's. */
static int
drop_index(struct receive *r, const char *index)
{
	struct err_msg	 m;
	int		 num = 0;

	log_warning("%s: index %s of %s refuses documents that the source "
	    "holds side by side: it is dropped at the target", r->name, index,
	    r->target.coll);
	if (arango_index_drop(r->cluster, r->conf.name.db, r->target.coll,
	    index, &num, &m) != 0)
		receive_trouble(r, "%s", m.text);
	r->foreign = 0;
	return 0;
}

/* r->scratch is an array of n keys: remove them, whatever it takes. */
static int
remove_keys(struct receive *r, size_t n)
{
	struct arango_write_result	 res;
	struct arango_write_to		 to;
	struct arango_write		 w = ARANGO_WRITE_INIT;
	enum arango_reaction		 how;
	int				 e;

	w.body = &r->scratch;
	w.count = n;
	for (;;) {
		if ((e = receive_target(r, &to)) != 0)
			return e;
		if ((e = receive_request_begins(r)) != 0)
			return e;
		e = arango_write_remove(&to, &w, &res);
		receive_request_ends(r);
		how = e != 0 ? res.reaction : res.nerrors_all != 0 ?
		    ARANGO_RETRY : ARANGO_SUCCESS;
		if (e != 0)
			note_failure(r, &res, "removing documents that are in "
			    "the way");
		arango_write_result_free(&res);
		if (how == ARANGO_SUCCESS)
			return 0;
		if (how == ARANGO_FAIL)
			return receive_because(r, ERR_STORAGE, "%s", r->error);
		if ((e = receive_recover(r, how)) != 0)
			return e;
	}
}

/*
 * What is in the way is made owed and removed.  Not so when both documents
 * are the source's: then all of them are owed, and fetched side by side (the
 * source may have changed one of them since); nor for what was fetched, where
 * the next round brings both.
 */
static int
resolve(struct receive *r, struct fold *f, enum apply_mode mode)
{
	struct fold_conflict	 c;
	bool			 leave = mode == APPLY_OWED;
	size_t			 i, n = 0;
	int			 e;

	for (i = 0; fold_conflict_at(f, i, &c) == 0; i++)
		if (c.foreign_index || c.in_the_way == NULL)
			leave = true;
	buf_reset(&r->scratch);
	buf_append_u8(&r->scratch, '[');
	for (i = 0; fold_conflict_at(f, i, &c) == 0; i++) {
		if (leave && (e = owe(r, c.key.p, c.key.len)) != 0)
			return e;
		if (c.in_the_way == NULL)
			continue;
		if ((e = owe(r, c.in_the_way, strlen(c.in_the_way))) != 0)
			return e;
		if (n++ != 0)
			buf_append_u8(&r->scratch, ',');
		vp_string_to_json(&r->scratch, c.in_the_way,
		    strlen(c.in_the_way), 0);
	}
	buf_append_u8(&r->scratch, ']');
	if ((e = owe_for_sure(r)) != 0)
		return e;
	log_debug("%s: %zu conflicts, %zu keys in the way%s", r->name, i, n,
	    leave ? ", fetched side by side" : "");
	if (leave) {
		if (mode == APPLY_OWED && fold_conflict_at(f, 0, &c) == 0 &&
		    c.foreign_index && c.index != NULL &&
		    ++r->foreign >= FOREIGN_VOTES)
			(void)drop_index(r, c.index);
		fold_leave(f);
		return 0;
	}
	if ((e = remove_keys(r, n)) != 0)
		return e;
	fold_resolved(f);
	return 0;
}

/* ---- a fold ------------------------------------------------------------- */

static void
key_is_applied(void *arg, const void *key, size_t len, bool removed)
{
	struct receive	*r = arg;

	(void)owed_applied(r->owed, key, len);
}

static int
keep_dead(struct receive *r, struct fold *f)
{
	struct fold_dead	 d;
	struct owed_dead	 o;
	char			 text[160];
	size_t			 i;
	bool			 again;
	int			 e;

	for (i = 0; fold_dead_at(f, i, &d) == 0; i++) {
		memset(&o, 0, sizeof(o));
		o.key = d.key.p;
		o.key_len = d.key.len;
		o.num = d.num;
		o.rev = d.rev.p != NULL ? rev_from_text(d.rev.p, d.rev.len) :
		    0;
		o.wall_us = clock_wall_us();
		snprintf(text, sizeof(text), "%s (%zu bytes)", d.num == 0 ?
		    "larger than a request may be" : arango_error_name(d.num),
		    d.bytes);
		o.text = text;
		log_error("%s: document %.*s is a dead letter: %s %d",
		    r->name, (int)MIN(d.key.len, (size_t)254), d.key.p, text,
		    d.num);
		for (again = true; again;)
			if ((e = noted(r, owed_dead_add(r->owed, &o),
			    &again)) != 0)
				return e;
	}
	return i != 0 ? owe_for_sure(r) : 0;
}

static int
fold_is_done(struct receive *r, struct fold *f)
{
	const struct fold_counts	*c = fold_counts(f);

	if (owed_count(r->owed) != 0 || owed_dead_count(r->owed) != 0)
		fold_each_key(f, key_is_applied, r);
	r->records += c->operations;
	r->removed += c->removals;
	r->bytes += c->bytes;
	if (c->operations != 0)
		r->last_change_us = clock_wall_us();
	if (r->unknown_batch != 0) {
		commit_answered(r->commit, r->unknown_batch,
		    loop_now_ms(r->loop));
		r->unknown_batch = 0;
	}
	return c->dead != 0 ? keep_dead(r, f) : 0;
}

/*
 * The rounds are used up.  What may pass is begun again from what is recorded;
 * what no repetition would change has failed.
 */
static int
stuck(struct receive *r, struct fold *f)
{
	enum arango_reaction	 how = fold_trouble(f);

	return receive_because(r, how == ARANGO_FAIL || how == ARANGO_REFUSED ?
	    ERR_STORAGE : ERR_BAD_STATE, "documents are refused (%s)%s%s",
	    arango_reaction_name(how), r->error[0] != '\0' ? ": " : "",
	    r->error);
}

static int
drive(struct receive *r, struct fold *f, enum apply_mode mode)
{
	struct fold_body	 b;
	int			 e = 0;

	fold_begin(f);
	while (e == 0) {
		buf_reset(&r->body);
		switch (fold_next(f, &r->body, &b)) {
		case FOLD_DONE:
			return fold_is_done(r, f);
		case FOLD_BODY:
			e = send_body(r, f, &b);
			break;
		case FOLD_PAUSE:
			e = after_pause(r, f);
			break;
		case FOLD_RESOLVE:
			e = resolve(r, f, mode);
			break;
		case FOLD_WAIT:
		case FOLD_STUCK:
			return stuck(r, f);
		}
	}
	return e;
}

int
receive_apply_fold(struct receive *r, struct fold *f, enum apply_mode mode)
{
	int	 e = 0;

	r->applying = true;
	if (fold_counts(f)->operations != 0)
		e = drive(r, f, mode);
	fold_reset(f);
	r->applying = false;
	inbox_forget(&r->body);
	return e;
}

/* ---- lines -------------------------------------------------------------- */

static int
truncate_shard(struct receive *r)
{
	struct arango_write_result	 res;
	struct arango_write_to		 to;
	enum arango_reaction		 how;
	bool				 again;
	int				 e;

	for (;;) {
		if ((e = receive_target(r, &to)) != 0)
			return e;
		if ((e = receive_request_begins(r)) != 0)
			return e;
		e = arango_write_truncate(&to, &res);
		receive_request_ends(r);
		if (e == 0) {
			arango_write_result_free(&res);
			break;
		}
		note_failure(r, &res, "emptying the shard");
		how = res.reaction;
		arango_write_result_free(&res);
		if (how == ARANGO_FAIL)
			return receive_because(r, ERR_STORAGE, "%s", r->error);
		if ((e = receive_recover(r, how)) != 0)
			return e;
	}
	backoff_reset(&r->retry);
	receive_trouble_over(r);
	for (again = true; again;)
		if ((e = noted(r, owed_clear_all(r->owed), &again)) != 0)
			return e;
	r->last_change_us = clock_wall_us();
	log_info("%s: emptied, as at the source", r->name);
	return 0;
}

/*
 * How old is the newest document of the batch?  Its revision tells when the
 * source wrote it, as far as the clocks agree.
 */
static void
note_lag(struct receive *r)
{
	const struct inbox_part	*last = r->lines.last;
	const char		*text, *p;
	size_t			 len;
	struct scan_marker	 mk;
	struct doc_head		 h;
	uint64_t		 rev, now = clock_wall_ms();

	if (last == NULL)
		return;
	text = (const char *)last->memory.data + last->at;
	len = last->memory.len - last->at;
	while (len > 0 && text[len - 1] == '\n')
		len--;
	if (len == 0)
		return;
	p = memrchr(text, '\n', len);
	p = p == NULL ? text : p + 1;
	if (scan_marker(p, len - (size_t)(p - text), &mk) != 0 ||
	    mk.data.p == NULL || doc_head(mk.data.p, mk.data.len, &h) != 0 ||
	    h.rev.p == NULL)
		return;
	rev = rev_from_text(h.rev.p, h.rev.len);
	if (rev != REV_INVALID && REV_MS(rev) <= now)
		r->lag_us = (now - REV_MS(rev)) * 1000;
}

/* The lines of a part into the fold, which is applied whenever it has to be. */
static int
take_part(struct receive *r, const struct inbox_part *p)
{
	const char	*text = (const char *)p->memory.data + p->at;
	size_t		 at = 0, used, len = p->memory.len - p->at;
	struct err_msg	 m;
	int		 took, e;

	while (at < len && !r->log_ended) {
		took = fold_lines(r->fold, text + at, len - at, &used, &m);
		if (took < 0) {
			fold_reset(r->fold);
			return receive_because(r, ERR_STORAGE, "a record of "
			    "the source cannot be read: %s", m.text);
		}
		at += used;
		if (took == FOLD_TOOK)
			break;
		if ((e = receive_apply_fold(r, r->fold, APPLY_STREAM)) != 0)
			return e;
		if (took == FOLD_TRUNCATE && (e = truncate_shard(r)) != 0)
			return e;
		if (took == FOLD_ENDED) {
			log_notice("%s: the log of the shard ends at the "
			    "source", r->name);
			r->log_ended = true;
		}
	}
	return 0;
}

int
receive_apply_lines(struct receive *r)
{
	const struct inbox_part	*p;
	int			 e;

	for (p = r->lines.first; p != NULL; p = p->next)
		if ((e = take_part(r, p)) != 0)
			return e;
	if ((e = receive_apply_fold(r, r->fold, APPLY_STREAM)) != 0)
		return e;
	note_lag(r);
	return 0;
}
