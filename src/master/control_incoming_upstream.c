/*
 * control_incoming_upstream.c - the clusters that ours has its data from: its
 * source, the source of that, and so on; so that nobody makes a ring of them.
 *
 * Nobody can ask further than its own source.  So each master asks that one,
 * which asks its own first: what is known is as new as the chain can be
 * reached.  Where it cannot, the last that was heard is told; it is kept with
 * the state (x.incoming.upstream) and asked for again now and then.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "ev/loop.h"
#include "json/get.h"
#include "master/control_incoming_priv.h"

/* For each cluster that may still be asked; less than whoever asks us waits. */
#define HOP_MS		500

struct json_object *
incoming_upstream_take(struct json_object *info)
{
	struct json_object	*list = json_object_new_array(), *more, *e;
	size_t			 i, n;

	more = json_at(info, "upstream");
	n = json_object_is_type(more, json_type_array) ?
	    json_object_array_length(more) : 0;
	for (i = 0; i < n && i < INCOMING_HOPS_MAX; i++) {
		e = json_object_array_get_idx(more, i);
		if (json_object_is_type(e, json_type_string))
			json_object_array_add(list, json_object_get(e));
	}
	return list;
}

bool
incoming_upstream_has(struct json_object *list, const char *id)
{
	const char	*s;
	size_t		 i, n;

	n = json_object_is_type(list, json_type_array) ?
	    json_object_array_length(list) : 0;
	for (i = 0; i < n; i++) {
		s = json_object_get_string(json_object_array_get_idx(list, i));
		if (s != NULL && strcmp(s, id) == 0)
			return true;
	}
	return false;
}

/* For the next leader, and for when the source is away. */
static void
remember(struct control_incoming *in, struct json_object *list)
{
	struct agency_trx	 t = AGENCY_TRX_INIT;
	struct err_msg		 m = { "" };

	agency_trx_set(&t, INCOMING_X "/upstream", list, 0);
	if (incoming_write(in, &t, &m) == 0 && in->active)
		json_set(in->x, "upstream", json_object_get(list));
	agency_trx_free(&t);
}

/* Two were configured at the same time, or while some were not reachable. */
static void
look_for_ring(struct control_incoming *in, struct json_object *list)
{
	bool	 ring = incoming_upstream_has(list, in->c->cluster_id);

	if (ring && !in->ring)
		log_error("this cluster has its data from itself, by way of "
		    "%zu others; use \"stop sync\" at one of them",
		    json_object_array_length(list));
	in->ring = ring;
}

void
incoming_upstream_ask(struct control_incoming *in, unsigned hops)
{
	struct incoming_ask	 q = { .until_ms = loop_now_ms(in->c->loop) +
				    (hops + 1) * HOP_MS };
	struct json_object	*info = NULL, *list;
	struct err_msg		 m = { "" };
	char			*path;
	int			 r;

	if (in->source == NULL || !in->active)
		return;
	path = xasprintf("/_x/v1/info?hops=%u", hops);
	q.path = path;
	r = incoming_source_call(in->source, &q, &info, &m);
	free(path);
	/* Others may have acted while we waited. */
	if (r == 0 && in->active && !in->ended &&
	    strcmp(json_string_or(info, "cluster", ""),
	    incoming_source_id(in)) == 0) {
		list = incoming_upstream_take(info);
		look_for_ring(in, list);
		if (!json_equal(list, json_at(in->x, "upstream")))
			remember(in, list);
		json_object_put(list);
	}
	json_object_put(info);
}

/* From the agency, as this one may not have been read yet by its owner. */
struct json_object *
control_incoming_upstream(struct control *c, unsigned hops)
{
	struct control_incoming	*in = c->incoming;
	struct json_object	*list, *x;
	const char		*id;

	if (in != NULL && in->loaded && hops > 0) {
		incoming_hold(in);
		incoming_upstream_ask(in, MIN(hops, INCOMING_HOPS_MAX) - 1);
		incoming_release(&in);
		in = c->incoming;
	}
	x = in != NULL && in->loaded ? in->x :
	    control_state_at(c, "x", "incoming", NULL);
	id = json_string_or(x, "sourceId", "");
	list = json_object_new_array();
	if (*id != '\0') {
		struct json_object	*more = incoming_upstream_take(x);
		size_t			 i;

		json_object_array_add(list, json_object_new_string(id));
		for (i = 0; i < json_object_array_length(more); i++)
			json_object_array_add(list, json_object_get(
			    json_object_array_get_idx(more, i)));
		json_object_put(more);
	}
	return list;
}
