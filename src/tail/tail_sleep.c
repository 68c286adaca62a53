/*
 * tail_sleep.c - channels whose send has left because there was nothing to do
 * (R24)
 *
 * Such a row is an away one that holds watermarks back for as long as there is
 * something for it that nobody has noted: nobody else knows of it.  Control
 * says who sleeps, to each new process all of them, and starts whom we want.
 */
#include "base/log.h"
#include "ipc/codec.h"
#include "ipc/messages.h"
#include "ipc/peer.h"
#include "ipc/rules.h"
#include "tail/tail_priv.h"

#define NAME_SIZE	256

static void
say_want(struct tail *t, const char *db, const char *cuid)
{
	struct peer	*control = t->w == NULL ? NULL : worker_control(t->w);
	struct buf	 b = BUF_INIT;

	if (control == NULL)
		return;
	put_str(&b, db);
	put_str(&b, cuid);
	(void)peer_send_buf(control, MSG_TAIL_WANT, 0, &b);
	buf_free(&b);
}

void
tail_row_want(struct tail_row *row)
{
	uint64_t	 now = loop_now_ms(row->t->loop);

	if (!row->asleep || row->conn != NULL ||
	    (row->want_ms != 0 && now - row->want_ms < TAIL_WANT_MS))
		return;
	row->want_ms = now;
	say_want(row->t, row->ch->db, row->ch->cuid);
}

void
tail_rows_want(struct tail *t)
{
	struct tail_row	*row;

	TAILQ_FOREACH(row, &t->pending, pend)
		tail_row_want(row);
}

static int
get_names(struct msg_in *in, char db[NAME_SIZE], char cuid[NAME_SIZE])
{
	int	 r;

	if ((r = get_str(&in->body, db, NAME_SIZE)) != 0 ||
	    (r = get_str(&in->body, cuid, NAME_SIZE)) != 0)
		return r;
	return get_end(&in->body);
}

int
tail_on_asleep(struct msg_in *in)
{
	struct tail	*t = in->ctx;
	struct tail_row	*row;
	char		 db[NAME_SIZE], cuid[NAME_SIZE];
	int		 r;

	if ((r = get_names(in, db, cuid)) != 0)
		return r;
	if (cuid[0] == '\0') {
		t->sleepers_known = true;
		return 0;
	}
	row = tail_row_find(t, db, cuid);
	/* What our predecessor knew of it is lost, or its log has ended: it has
	 * to look itself. */
	if (row == NULL) {
		say_want(t, db, cuid);
		return 0;
	}
	row->asleep = true;
	row->want_ms = 0;
	if (row->pending || row->ch->state != ROUTE_LIVE)
		tail_row_want(row);
	return 0;
}

int
tail_on_nobody(struct msg_in *in)
{
	struct tail	*t = in->ctx;
	struct tail_row	*row;
	char		 db[NAME_SIZE], cuid[NAME_SIZE];
	int		 r;

	if ((r = get_names(in, db, cuid)) != 0)
		return r;
	if ((row = tail_row_find(t, db, cuid)) != NULL && row->conn == NULL)
		row->asleep = false;
	return 0;
}
