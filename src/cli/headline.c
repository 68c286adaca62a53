/* headline.c - the state of synchronization in one line, with what to do */
#include <stdlib.h>
#include <string.h>

#include "cli/syncinfo.h"
#include "json/get.h"

/* What matters most comes first. */
enum weight {
	W_FINE,
	W_NOTHING,		/* not configured */
	W_BUSY,			/* goes on by itself */
	W_ABORTED,
	W_SHARDS,		/* some shards failed */
	W_FAILED
};

/* " to 0s4K" of a target; nothing of the source. */
static void
append_whom(struct buf *out, const struct sync_side *s)
{
	if (!s->incoming)
		buf_printf(out, " to %s", s->id);
}

static const struct sync_shard *
first_failed(const struct sync_side *s)
{
	size_t	 i;

	for (i = 0; i < s->n_shards; i++)
		if (s->shards[i].status == SYNC_FAILED)
			return &s->shards[i];
	return NULL;
}

static enum weight
say_failed(const struct sync_side *s, struct buf *out)
{
	const struct sync_shard	*f = first_failed(s);

	buf_append_str(out, "Synchronization");
	append_whom(out, s);
	buf_append_str(out, " has failed");
	if (f != NULL && *f->message != '\0')
		buf_printf(out, ": %s", f->message);
	buf_append_str(out, s->incoming ?
	    ". Look into the log of the leading master, then use \"arangosync "
	    "configure sync\" again." :
	    ". Ask the target's master with \"arangosync get status\".");
	return W_FAILED;
}

static enum weight
say_failed_shards(const struct sync_side *s, struct buf *out)
{
	const struct sync_shard	*f = first_failed(s);
	uint64_t		 n = s->by_status[SYNC_FAILED];

	buf_printf(out, "%llu of %llu shards", (unsigned long long)n,
	    (unsigned long long)s->total);
	append_whom(out, s);
	buf_printf(out, " %s failed; the first is %s/%s/%lld",
	    n == 1 ? "has" : "have", f->database, f->collection,
	    (long long)f->index);
	if (*f->message != '\0')
		buf_printf(out, " (%s)", f->message);
	if (s->incoming)
		buf_printf(out, ". When the reason is gone, use \"arangosync "
		    "reset failed shard --database %s --collection %s "
		    "--shard %lld\".", f->database, f->collection,
		    (long long)f->index);
	else
		buf_append_str(out, ". They are reset at the target.");
	return W_SHARDS;
}

static enum weight
say_running(const struct sync_side *s, struct buf *out)
{
	uint64_t	 n = s->by_status[SYNC_RUNNING];

	if (n >= s->total) {
		buf_append_str(out, "All shards are running.");
		return W_FINE;
	}
	buf_printf(out, "%llu of %llu shards", (unsigned long long)n,
	    (unsigned long long)s->total);
	append_whom(out, s);
	buf_append_str(out, " are running, the others are being synchronized. "
	    "Wait; there is nothing to do.");
	return W_BUSY;
}

/* What there is to say of one side. */
static enum weight
say_side(const struct sync_side *s, struct buf *out)
{
	if (s->status == SYNC_FAILED)
		return say_failed(s, out);
	if (s->status != SYNC_INACTIVE && s->by_status[SYNC_FAILED] > 0)
		return say_failed_shards(s, out);
	switch (s->status) {
	case SYNC_RUNNING:
		return say_running(s, out);
	case SYNC_INITIALIZING:
	case SYNC_INITIAL:
		buf_append_str(out, "Initial synchronization");
		append_whom(out, s);
		buf_printf(out, " is going on, %llu of %llu shards are "
		    "running. Wait; there is nothing to do.",
		    (unsigned long long)s->by_status[SYNC_RUNNING],
		    (unsigned long long)s->total);
		return W_BUSY;
	case SYNC_CANCELLING:
		buf_append_str(out, "Synchronization");
		append_whom(out, s);
		buf_append_str(out, s->incoming ?
		    " is being cancelled. If that does not end, use "
		    "\"arangosync abort sync\"." :
		    " is being cancelled. If that does not end, use "
		    "\"arangosync abort outgoing sync\".");
		return W_BUSY;
	case SYNC_UNKNOWN:
		buf_append_str(out, "Synchronization");
		append_whom(out, s);
		buf_printf(out, " is %s, which this program does not know; "
		    "use a newer one.", s->status_text);
		return W_BUSY;
	default:
		return W_NOTHING;
	}
}

/* Of an incoming side without anything in it. */
static enum weight
say_inactive(const struct sync_info *info, struct buf *out)
{
	if (info->cancellation_aborted) {
		buf_append_str(out, "Synchronization was aborted, and the "
		    "source was not told. Use \"arangosync abort outgoing "
		    "sync\" there.");
		return W_ABORTED;
	}
	if (!sync_side_is_over(&info->in)) {
		buf_append_str(out, "Synchronization is inactive, but not "
		    "cleaned up. Use \"arangosync abort sync\".");
		return W_ABORTED;
	}
	buf_append_str(out, "Nothing is synchronized. Use \"arangosync "
	    "configure sync\" at the target.");
	return W_NOTHING;
}

/*
 * No room at that master.  With it "wait" is no advice, and what has failed
 * may have failed for want of it.
 */
static void
say_space(const struct sync_info *info, enum weight top, struct buf *out)
{
	const char	*text = json_string_or(info->root, "x.space.message",
			    "");

	if (*text == '\0')
		return;
	if (top == W_FINE || top == W_BUSY)
		buf_reset(out);
	else
		buf_append_str(out, " ");
	buf_append_str(out, text);
}

void
sync_info_headline(const struct sync_info *info, struct buf *out)
{
	struct buf	 best = BUF_INIT, text = BUF_INIT;
	enum weight	 w, top;
	size_t		 i;

	if (info->in.status == SYNC_INACTIVE)
		top = say_inactive(info, &best);
	else
		top = say_side(&info->in, &best);
	for (i = 0; i < info->n_out; i++) {
		buf_reset(&text);
		w = say_side(&info->out[i], &text);
		/* A target is something, so "nothing" gives way to it. */
		if (text.len > 0 && (w > top || top == W_NOTHING)) {
			buf_reset(&best);
			buf_append(&best, text.data, text.len);
			top = w;
		}
	}
	say_space(info, top, &best);
	buf_append(out, best.data, best.len);
	buf_free(&best);
	buf_free(&text);
}
