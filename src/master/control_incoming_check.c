/*
 * control_incoming_check.c - shards of both datacenters, their checksums, and
 * a shard that is repaired because somebody says so.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arango/conn.h"
#include "base/log.h"
#include "base/str.h"
#include "ev/loop.h"
#include "http/url.h"
#include "json/get.h"
#include "master/control_incoming_priv.h"
#include "master/control_outgoing.h"

#define NS_PER_MS		1000000
#define COMPARE_DEFAULT_MS	((uint64_t)10 * 60 * 1000)
/* What a comparison may wait for its shard to be running. */
#define SETTLE_MS		10000
#define SHARDS_PREFIX		"/_api/sync/database/"

/* ---- lists -------------------------------------------------------------- */

/*
 * The source first: what it has is what the others should have.  Both lists
 * are made by the same function, so that both leave the same away.
 */
int
control_incoming_shards(struct control_call *call, struct json_object **out)
{
	struct control_incoming	*in;
	struct incoming_ask	 q = { .path = "/_x/v1/shards" };
	struct json_object	*own = NULL, *theirs = NULL, *list;
	struct err_msg		 m = { "" };
	int			 status;

	if ((in = incoming_of(call, out, &status)) == NULL)
		return status;
	if ((status = control_outgoing_get_shards(call, &own)) != 200) {
		*out = own;
		incoming_release(&in);
		return status;
	}
	if (in->source == NULL) {
		*out = own;
		incoming_release(&in);
		return 200;
	}
	if (incoming_source_call(in->source, &q, &theirs, &m) != 0) {
		json_object_put(own);
		status = control_say(out, 503, "%s: service unavailable",
		    m.text);
	} else {
		list = json_at(theirs, "datacenters");
		if (json_object_is_type(list, json_type_array))
			json_object_array_add(list, json_object_get(
			    json_object_array_get_idx(json_at(own,
			    "datacenters"), 0)));
		json_object_put(own);
		*out = theirs;
	}
	incoming_release(&in);
	return status;
}

/* ---- one shard ---------------------------------------------------------- */

/* .../database/{db}/collection/{col}/shard/{i}/verb */
struct shard_path {
	char		*db, *coll, *verb;
	uint32_t	 index;
};

static void
path_free(struct shard_path *p)
{
	free(p->db);
	free(p->coll);
	free(p->verb);
}

/* The next segment, decoded; NULL when there is none. */
static char *
segment(const char **p)
{
	const char	*e;
	char		*s;

	if (**p == '\0')
		return NULL;
	e = strchrnul(*p, '/');
	if (url_decode(*p, (size_t)(e - *p), false, &s, NULL) != 0)
		return NULL;
	*p = *e == '/' ? e + 1 : e;
	return s;
}

static bool
word(const char **p, const char *want)
{
	char	*s = segment(p);
	bool	 same = s != NULL && strcmp(s, want) == 0;

	free(s);
	return same;
}

static bool
path_parse(const char *path, struct shard_path *out)
{
	const char	*p = path + strlen(SHARDS_PREFIX);
	char		*index = NULL;
	uint64_t	 n = 0;
	bool		 good;

	memset(out, 0, sizeof(*out));
	good = (out->db = segment(&p)) != NULL && word(&p, "collection") &&
	    (out->coll = segment(&p)) != NULL && word(&p, "shard") &&
	    (index = segment(&p)) != NULL && str_to_u64(index, &n) == 0 &&
	    n < UINT32_MAX && (out->verb = segment(&p)) != NULL && *p == '\0';
	free(index);
	out->index = (uint32_t)n;
	return good;
}

static struct json_object *
sums(const struct shard_path *p, const struct incoming_compare *cmp)
{
	struct json_object	*list = json_object_new_array(), *o, *up;
	const char		*texts[] = { cmp->source, cmp->target };
	char			 index[16];
	size_t			 i;

	for (i = 0; i < NITEMS(texts); i++) {
		o = json_object_new_object();
		json_set_string(o, "checksum", texts[i]);
		json_object_array_add(list, o);
	}
	snprintf(index, sizeof(index), "%u", p->index);
#define WRAP(name, value) (up = json_object_new_object(),		\
	json_set(up, name, value), up)
	o = WRAP(index, list);
	o = WRAP("shards", o);
	o = WRAP(p->coll, o);
	o = WRAP("collections", o);
	o = WRAP(p->db, o);
	o = WRAP("databases", o);
#undef WRAP
	return o;
}

/*
 * A shard that is just being brought up is waited for a little; what else
 * goes wrong is "later" (503), and callers try again.
 */
static int
compare(struct control_incoming *in, const struct shard_path *p,
    uint64_t ms, struct incoming_compare *cmp)
{
	uint64_t		 now = loop_now_ms(in->c->loop);
	uint64_t		 until = now + MIN(ms, SETTLE_MS);
	struct incoming_shard	*s;
	int			 r;

	while ((s = incoming_shard_find(in, p->db, p->coll,
	    p->index)) != NULL && loop_now_ms(in->c->loop) < until &&
	    (incoming_shard_state(s) != SHARD_STATE_RUNNING ||
	    s->compare != NULL))
		if ((r = arango_sleep(&in->cancel, 100)) != 0)
			return r;
	if (s == NULL) {
		(void)str_copy(cmp->text, sizeof(cmp->text), "it is not "
		    "synchronized any more");
		return ERR_NOT_FOUND;
	}
	return incoming_compare(s, ms, cmp);
}

static int
get_checksum(struct control_incoming *in, const struct shard_path *p,
    struct json_object *body, struct json_object **out)
{
	struct incoming_compare	 cmp;
	int64_t			 ns = json_int_or(body, "timeout", 0);
	int			 r;

	memset(&cmp, 0, sizeof(cmp));
	r = compare(in, p, ns > 0 ? (uint64_t)ns / NS_PER_MS :
	    COMPARE_DEFAULT_MS, &cmp);
	if (r != 0) {
		log_debug("%s/%s/%u: not compared: %s", p->db, p->coll,
		    p->index, cmp.text);
		return control_say(out, 503, "shard %u of %s/%s: %s: service "
		    "unavailable", p->index, p->db, p->coll,
		    cmp.text[0] != '\0' ? cmp.text : err_text(r));
	}
	*out = sums(p, &cmp);
	return 200;
}

static int
put_reset(struct incoming_shard *s, struct json_object **out)
{
	if (incoming_repair(s, "reset by an operator") != 0)
		return control_say(out, 503, "shard %s: its process is not "
		    "there just now (%s): service unavailable", s->name,
		    s->w == NULL ? "not started yet" : s->w->sentence);
	log_notice("%s: repaired, as an operator wants", s->name);
	return 200;
}

int
control_incoming_shard(struct control_call *call, struct json_object **out)
{
	struct control_incoming	*in;
	struct incoming_shard	*s;
	struct json_object	*body = control_body(call);
	struct shard_path	 p;
	bool			 good = path_parse(call->path, &p);
	int			 status = 404;

	if (!good)
		control_say(out, 404, "not found");
	else if ((in = incoming_of(call, out, &status)) != NULL) {
		s = incoming_shard_find(in, p.db, p.coll, p.index);
		if (s == NULL)
			status = control_say(out, 404, "shard %u of %s/%s is "
			    "not synchronized: not found", p.index, p.db,
			    p.coll);
		else if (strcmp(p.verb, "checksum") == 0 &&
		    strcmp(call->method, "GET") == 0)
			status = get_checksum(in, &p, body, out);
		else if (strcmp(p.verb, "reset") == 0 &&
		    strcmp(call->method, "PUT") == 0)
			status = put_reset(s, out);
		else
			status = control_say(out, 404, "not found");
		incoming_release(&in);
	}
	path_free(&p);
	json_object_put(body);
	return status;
}
