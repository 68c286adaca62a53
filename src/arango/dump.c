/* dump.c - documents of a snapshot, and documents by key; see snapshot.h */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "arango/snapshot_priv.h"
#include "arango/vpack_split.h"
#include "base/buf.h"
#include "http/client.h"
#include "http/url.h"
#include "vpack/rev.h"
#include "vpack/vpack.h"

/* A document is at most what a request may be. */
#define DOC_MAX_BYTES	((size_t)1536 * 1024 * 1024)
#define KEYS_MAX_BYTES	((size_t)1024 * 1024 * 1024)

/* ---- key and revision --------------------------------------------------- */

static bool
name_is(const struct scan_span *name, const char *want)
{
	return name->len == strlen(want) &&
	    memcmp(name->p, want, name->len) == 0;
}

static uint64_t
rev_of_text(const char *p, size_t n)
{
	uint64_t	 rev = rev_from_text(p, n);

	return rev == REV_INVALID ? 0 : rev;
}

static int
identify_vpack(const uint8_t *doc, struct arango_doc_id *id)
{
	const char	*s;
	size_t		 n;

	if ((id->key.p = vp_get_string(vp_get(doc, "_key"),
	    &id->key.len)) == NULL)
		return ERR_FORMAT;
	if ((s = vp_get_string(vp_get(doc, "_rev"), &n)) != NULL)
		id->rev = rev_of_text(s, n);
	return 0;
}

int
arango_doc_identify(const struct arango_doc *doc, struct arango_doc_id *id)
{
	struct scan_iter	 it;
	struct scan_span	 name, value;
	bool			 have_rev = false;
	int			 r;

	memset(id, 0, sizeof(*id));
	if (doc->vpack)
		return identify_vpack((const uint8_t *)doc->data.p, id);
	scan_object(&it, doc->data.p, doc->data.len);
	/* arangod prints both in front of the rest. */
	while ((id->key.p == NULL || !have_rev) &&
	    (r = scan_next(&it, &name, &value)) == 1) {
		if (name_is(&name, "_key")) {
			if (*value.p != '"')
				return ERR_FORMAT;
			id->key.p = value.p + 1;
			id->key.len = value.len - 2;
			id->key_escaped = memchr(id->key.p, '\\',
			    id->key.len) != NULL;
		} else if (name_is(&name, "_rev") && *value.p == '"') {
			have_rev = true;
			id->rev = rev_of_text(value.p + 1, value.len - 2);
		}
	}
	return id->key.p == NULL ? ERR_FORMAT : 0;
}

/* ---- dump --------------------------------------------------------------- */

struct dump {
	const struct arango_dump_opts *o;
	struct line_split	 lines;
	struct buf		 part;
	bool			 vpack, more, envelope;
	bool			 looked;	/* at the first document */
};

/*
 * {"type":2300,"data":{..}} of servers that know no useEnvelope: a document
 * always has a _key of its own.
 */
static bool
is_envelope(const struct arango_doc *doc)
{
	struct arango_doc_id	 id;
	struct scan_iter	 it;
	struct scan_span	 name, value;

	if (arango_doc_identify(doc, &id) == 0)
		return false;
	if (doc->vpack)
		return vp_get((const uint8_t *)doc->data.p, "data") != NULL;
	scan_object(&it, doc->data.p, doc->data.len);
	while (scan_next(&it, &name, &value) == 1)
		if (name_is(&name, "data"))
			return true;
	return false;
}

static int
unwrap(struct arango_doc *doc)
{
	const uint8_t		*v;
	struct scan_iter	 it;
	struct scan_span	 name, value;

	if (doc->vpack) {
		v = vp_get((const uint8_t *)doc->data.p, "data");
		if (v == NULL || !vp_is_object(v))
			return ERR_FORMAT;
		doc->data.p = (const char *)v;
		doc->data.len = vp_size(v);
		return 0;
	}
	scan_object(&it, doc->data.p, doc->data.len);
	while (scan_next(&it, &name, &value) == 1)
		if (name_is(&name, "data") && *value.p == '{') {
			doc->data = value;
			return 0;
		}
	return ERR_FORMAT;
}

static int
give(struct dump *d, struct arango_doc *doc)
{
	int	 r;

	if (!d->looked) {
		d->looked = true;
		d->envelope = is_envelope(doc);
	}
	if (d->envelope && (r = unwrap(doc)) != 0)
		return r;
	return d->o->on_doc(d->o->arg, doc);
}

static int
take_line(const char *line, size_t len, void *arg)
{
	struct arango_doc	 doc = { false, { line, len } };

	if (*line != '{' || line[len - 1] != '}')
		return ERR_FORMAT;
	return give(arg, &doc);
}

static int
take_slice(void *arg, const uint8_t *slice, size_t len, bool last)
{
	struct arango_doc	 doc = { true, { (const char *)slice, len } };

	return give(arg, &doc);
}

static int
on_status(void *arg, struct http_call *call, int status)
{
	struct dump	*d = arg;
	const char	*type = http_call_header(call, "content-type");
	const char	*more = http_call_header(call,
			    "x-arango-replication-checkmore");

	d->more = more != NULL && strcmp(more, "true") == 0;
	d->vpack = type != NULL &&
	    strncasecmp(type, "application/x-velocypack", 24) == 0;
	if (status == 204)
		return 0;
	if (status != 200 || more == NULL || (!d->vpack && (type == NULL ||
	    strncasecmp(type, "application/x-arango-dump", 25) != 0)))
		return ERR_PROTOCOL;
	if (d->o->on_call != NULL)
		d->o->on_call(d->o->arg, call);
	return 0;
}

static int
on_data(void *arg, struct http_call *call, const uint8_t *p, size_t n)
{
	struct dump	*d = arg;

	if (d->vpack)
		return vpack_split_feed(&d->part, DOC_MAX_BYTES, p, n,
		    take_slice, d);
	return line_feed(&d->lines, (const char *)p, n, take_line, d);
}

static void
on_over(void *arg)
{
	struct dump	*d = arg;

	if (d->o->on_call != NULL)
		d->o->on_call(d->o->arg, NULL);
}

static int
end_of_chunk(struct dump *d)
{
	if (d->vpack)
		return d->part.len == 0 ? 0 : ERR_TRUNCATED;
	return line_end(&d->lines, false, take_line, d);
}

static int
dump_chunk(struct arango_snapshot *s, struct dump *d, const char *path,
    struct err_msg *m)
{
	struct arango_req	 req = ARANGO_REQ_INIT;
	struct arango_answer	 ans;
	int			 r;

	d->more = d->looked = false;
	req.to = s->o.server;
	req.db = d->o->db;
	req.path = path;
	req.accept = d->o->vpack ? ARANGO_VPACK : ARANGO_DUMP;
	req.timeout_ms = 0;
	req.stall_ms = ARANGO_TIMEOUT_READ_MS;
	req.cancel = s->o.cancel;
	/* Each request moves the server's iterator: never twice. */
	req.fresh = true;
	req.on_status = on_status;
	req.on_data = on_data;
	req.on_over = on_over;
	req.arg = d;
	r = arango_call(s->o.cluster, &req, &ans);
	if (r == 0 && (r = end_of_chunk(d)) != 0)
		err_set(&ans.msg, r, "%s: the dump of %s was cut off",
		    arango_name(s->o.cluster), d->o->shard);
	if (r == ERR_HTTP && ans.status == 404)
		s->lost = true;
	if (r != 0 && m != NULL)
		*m = ans.msg;
	arango_answer_free(&ans);
	return r;
}

int
arango_dump(struct arango_snapshot *s, const struct arango_dump_opts *o,
    struct err_msg *m)
{
	struct dump	 d = { .o = o };
	struct buf	 path = BUF_INIT;
	int		 r;

	line_init(&d.lines, DOC_MAX_BYTES);
	buf_append_str(&path, "/_api/replication/dump?collection=");
	url_encode_append(&path, o->shard, strlen(o->shard));
	buf_printf(&path, "&batchId=%s&chunkSize=%" PRIu32
	    "&useEnvelope=false", s->id, o->chunk_bytes);
	do
		r = s->lost ? err_set(m, ERR_NOT_FOUND, "%s: the snapshot of "
		    "%s is gone", arango_name(s->o.cluster), s->o.server->id) :
		    dump_chunk(s, &d, buf_cstr(&path), m);
	while (r == 0 && d.more);
	line_free(&d.lines);
	buf_free(&d.part);
	buf_free(&path);
	return r;
}

/* ---- keys --------------------------------------------------------------- */

struct key_reader {
	int		(*on_key)(void *arg, const char *key, size_t klen,
			    uint64_t rev);
	void		*arg;
	struct buf	 text;
};

static int
read_key(void *arg, const struct arango_doc *doc)
{
	struct key_reader	*k = arg;
	struct arango_doc_id	 id;
	struct scan_span	 quoted;
	int			 r;

	if ((r = arango_doc_identify(doc, &id)) != 0)
		return r;
	if (!id.key_escaped)
		return k->on_key(k->arg, id.key.p, id.key.len, id.rev);
	quoted.p = id.key.p - 1;
	quoted.len = id.key.len + 2;
	buf_reset(&k->text);
	if ((r = scan_string(&quoted, &k->text)) != 0)
		return r;
	return k->on_key(k->arg, (char *)k->text.data, k->text.len, id.rev);
}

int
arango_dump_keys(struct arango_snapshot *s, const char *db, const char *shard,
    int (*on_key)(void *arg, const char *key, size_t klen, uint64_t rev),
    void *arg, struct err_msg *m)
{
	struct arango_dump_opts	 o = ARANGO_DUMP_OPTS_INIT;
	struct key_reader	 k = { on_key, arg, BUF_INIT };
	int			 r;

	o.db = db;
	o.shard = shard;
	o.on_doc = read_key;
	o.arg = &k;
	r = arango_dump(s, &o, m);
	buf_free(&k.text);
	return r;
}

/* ---- by key ------------------------------------------------------------- */

/* A document, or {"error":true,"errorNum":..} which has no _key. */
static int
refusal_num(const struct arango_doc *doc)
{
	struct scan_iter	 it;
	struct scan_span	 name, value;
	const uint8_t		*v;
	uint64_t		 n = 0;

	if (doc->vpack) {
		v = vp_get((const uint8_t *)doc->data.p, "errorNum");
		if (v == NULL || vp_get_uint(v, &n) != 0)
			n = 0;
	} else {
		scan_object(&it, doc->data.p, doc->data.len);
		while (scan_next(&it, &name, &value) == 1)
			if (name_is(&name, "errorNum"))
				scan_uint(&value, &n);
	}
	return n > 0 && n < 1000000 ? (int)n : 0;
}

typedef int on_doc_fn(void *arg, size_t index, const struct arango_doc *doc,
	    int num);

static int
give_found(const struct arango_doc *doc, size_t i, on_doc_fn *fn, void *arg)
{
	struct arango_doc_id	 id;
	int			 num;

	if (arango_doc_identify(doc, &id) == 0)
		return fn(arg, i, doc, 0);
	if ((num = refusal_num(doc)) == 0)
		return ERR_FORMAT;
	return fn(arg, i, NULL, num);
}

static int
give_vpack(const struct buf *b, on_doc_fn *fn, void *arg)
{
	struct arango_doc	 doc = { .vpack = true };
	struct vp_iter		 it;
	const uint8_t		*v;
	size_t			 i;
	int			 r = 0;

	if (b->len == 0 || vp_validate(b->data, b->len, NULL) != 0 ||
	    !vp_is_array(b->data))
		return ERR_FORMAT;
	vp_arr_iter(&it, b->data);
	for (i = 0; r == 0 && (v = vp_arr_next(&it)) != NULL; i++) {
		if (!vp_is_object(v))
			return ERR_FORMAT;
		doc.data.p = (const char *)v;
		doc.data.len = vp_size(v);
		r = give_found(&doc, i, fn, arg);
	}
	return r;
}

static int
give_json(const struct buf *b, on_doc_fn *fn, void *arg)
{
	struct arango_doc	 doc = { .vpack = false };
	struct scan_iter	 it;
	size_t			 i;
	int			 r;

	if (b->len == 0)
		return ERR_FORMAT;
	scan_object(&it, (const char *)b->data, b->len);
	for (i = 0; (r = scan_array_next(&it, &doc.data)) == 1; i++) {
		if (*doc.data.p != '{')
			return ERR_FORMAT;
		if ((r = give_found(&doc, i, fn, arg)) != 0)
			return r;
	}
	return r;
}

int
arango_documents(struct arango *a, struct arango_server *s, const char *db,
    const char *shard, bool vpack, const void *keys, size_t keys_len,
    struct arango_cancel *cancel, on_doc_fn *fn, void *arg, int *num,
    struct err_msg *m)
{
	struct arango_req	 req = ARANGO_REQ_INIT;
	struct arango_answer	 ans;
	struct buf		 path = BUF_INIT;
	const char		*type;
	int			 r;

	buf_append_str(&path, "/_api/document/");
	url_encode_append(&path, shard, strlen(shard));
	buf_append_str(&path, "?onlyget=true&ignoreRevs=true");
	req.to = s;
	req.method = "PUT";
	req.db = db;
	req.path = buf_cstr(&path);
	req.body = keys;
	req.len = keys_len;
	req.type = req.accept = vpack ? ARANGO_VPACK : ARANGO_JSON;
	req.timeout_ms = 0;
	req.stall_ms = ARANGO_TIMEOUT_READ_MS;
	req.max_body = KEYS_MAX_BYTES;
	req.repeatable = true;
	req.cancel = cancel;
	r = arango_call(a, &req, &ans);
	if (r == 0) {
		type = arango_answer_header(&ans, "content-type");
		r = type != NULL &&
		    strncasecmp(type, "application/x-velocypack", 24) == 0 ?
		    give_vpack(&ans.body, fn, arg) :
		    give_json(&ans.body, fn, arg);
		if (r != 0)
			err_set(&ans.msg, r, "%s: documents of %s: %s",
			    arango_name(a), shard, err_text(r));
	}
	if (num != NULL)
		*num = ans.num;
	if (r != 0 && m != NULL)
		*m = ans.msg;
	arango_answer_free(&ans);
	buf_free(&path);
	return r;
}
