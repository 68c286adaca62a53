/*
 * store_marker.c - records of the log to the markers of wal/tail.
 *
 * The state machine is that of arangod's parser of 2020/2021, to the letter
 * where a client can see it: which tick a marker carries (that of the last
 * counting record, so that several may share one), what is left out, and
 * where a batch may be cut.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "sandbox/store_priv.h"
#include "vpack/rev.h"

enum {
	MARK_DB_CREATE		= 1100,
	MARK_DB_DROP		= 1101,
	MARK_CREATE		= 2000,
	MARK_DROP		= 2001,
	MARK_CHANGE		= 2003,
	MARK_TRUNCATE		= 2004,
	MARK_INDEX_CREATE	= 2100,
	MARK_INDEX_DROP		= 2101,
	MARK_BEGIN		= 2200,
	MARK_COMMIT		= 2201,
	MARK_DOCUMENT		= 2300,
	MARK_REMOVE		= 2302
};

enum {
	ST_NONE,
	ST_DB_CREATE,
	ST_DB_DROP,
	ST_CREATE,
	ST_CHANGE,
	ST_TRANSACTION,
	ST_PUT,
	ST_REMOVE
};

void
smarker_init(struct smarker *m, const struct sresolver *names)
{
	memset(m, 0, sizeof(*m));
	m->names = names;
	m->limit = SIZE_MAX;
	vpb_init(&m->vb, &m->scratch);
}

void
smarker_free(struct smarker *m)
{
	vpb_free(&m->vb);
	buf_free(&m->scratch);
	buf_free(&m->known_text);
}

void
smarker_forget(struct smarker *m)
{
	m->known = 0;
}

static void
reset_state(struct smarker *m)
{
	m->state = ST_NONE;
	m->tid = 0;
	m->rid = 0;
}

void
smarker_begin(struct smarker *m, uint64_t seq)
{
	reset_state(m);
	m->seq = seq;
	m->start = true;
	m->stop_next = false;
}

bool
smarker_continue(struct smarker *m)
{
	if (m->stop_next)
		return false;
	/* Not between the log entry of a removal and the removal. */
	if (m->response > m->limit && m->state == ST_TRANSACTION &&
	    m->rid == 0)
		m->stop_next = true;	/* one more still */
	return true;
}

/* ---- filters ------------------------------------------------------------ */

static bool
wants_db(const struct smarker *m, uint64_t db)
{
	return m->db == 0 || m->db == db;
}

/* Is the shard there and asked for?  Its names are in known_* then. */
static bool
wants_shard(struct smarker *m, uint64_t shard)
{
	const char	*name, *guid;

	if (shard == 0)
		return false;
	if (m->known != shard) {
		guid = m->names->guid(m->names->arg, shard, &m->known_db);
		if (guid == NULL ||
		    (name = m->names->db(m->names->arg, m->known_db)) == NULL)
			return false;
		m->known = shard;
		m->known_guid = guid;
		buf_reset(&m->known_text);
		buf_append_str(&m->known_text, ",\"db\":");
		vp_string_to_json(&m->known_text, name, strlen(name),
		    m->json_flags);
		buf_append_str(&m->known_text, ",\"cuid\":");
		vp_string_to_json(&m->known_text, guid, strlen(guid),
		    m->json_flags);
	}
	return m->db == 0 || (m->db == m->known_db &&
	    (m->shard == 0 || m->shard == shard));
}

/* ---- output ------------------------------------------------------------- */

static char *
put_u64(char *end, uint64_t v)
{
	do {
		*--end = (char)('0' + v % 10);
		v /= 10;
	} while (v != 0);
	return end;
}

static void
append_u64(struct buf *out, uint64_t v)
{
	char	 text[20], *p = put_u64(text + sizeof(text), v);

	buf_append(out, p, (size_t)(text + sizeof(text) - p));
}

static void
add_u64_text(struct vp_builder *vb, const char *name, uint64_t v)
{
	char	 text[20], *p = put_u64(text + sizeof(text), v);

	vpb_add_string(vb, name, p, (size_t)(text + sizeof(text) - p));
}

static void
marker_open(struct smarker *m, uint64_t tick, int type)
{
	buf_reset(&m->scratch);
	vpb_start(&m->vb, &m->scratch);
	vpb_open_object_compact(&m->vb);
	add_u64_text(&m->vb, "tick", tick);
	vpb_add_int(&m->vb, "type", type);
}

/* With the names of a shard that wants_shard() has found. */
static void
marker_open_shard(struct smarker *m, uint64_t tick, int type)
{
	marker_open(m, tick, type);
	vpb_add_str(&m->vb, "db", m->names->db(m->names->arg, m->known_db));
	vpb_add_str(&m->vb, "cuid", m->known_guid);
}

static void
marker_sent(struct smarker *m, const struct buf *out, size_t before)
{
	m->response += out->len - before;
	m->last_included = m->seq;
}

static int
marker_close(struct smarker *m, struct buf *out)
{
	size_t	 before = out->len;

	vpb_close(&m->vb);
	if (vpb_end(&m->vb) != 0)
		return ERR_FORMAT;
	if (m->seq <= m->from)
		return 0;
	if (m->format == STORE_VPACK)
		buf_append(out, m->scratch.data, m->scratch.len);
	else {
		vp_to_json(out, m->scratch.data, m->json_flags);
		buf_append_u8(out, '\n');
	}
	marker_sent(m, out, before);
	return 0;
}

/* {"tick":"1","type":2300,"db":"d","cuid":"c","tid":"0","data": */
static void
json_head(struct smarker *m, const char *type, struct buf *out)
{
	buf_append(out, "{\"tick\":\"", 9);
	append_u64(out, m->seq);
	buf_append(out, "\",\"type\":", 9);
	buf_append(out, type, 4);
	buf_append(out, m->known_text.data, m->known_text.len);
	buf_append(out, ",\"tid\":\"", 8);
	append_u64(out, m->tid);
	buf_append(out, "\",\"data\":", 9);
}

static int
emit_document(struct smarker *m, const uint8_t *doc, struct buf *out)
{
	size_t	 before = out->len;

	if (m->seq <= m->from)
		return 0;
	if (m->format == STORE_VPACK) {
		marker_open_shard(m, m->seq, MARK_DOCUMENT);
		add_u64_text(&m->vb, "tid", m->tid);
		vpb_add_slice(&m->vb, "data", doc);
		return marker_close(m, out);
	}
	json_head(m, "2300", out);
	vp_to_json(out, doc, m->json_flags);
	buf_append(out, "}\n", 2);
	marker_sent(m, out, before);
	return 0;
}

static int
emit_removal(struct smarker *m, const char *key, size_t klen, struct buf *out)
{
	char	 rev[REV_TEXT_MAX];
	size_t	 before = out->len, n;

	if (m->seq <= m->from)
		return 0;
	n = rev_to_text(m->rid, rev);
	if (m->format == STORE_VPACK) {
		marker_open_shard(m, m->seq, MARK_REMOVE);
		add_u64_text(&m->vb, "tid", m->tid);
		vpb_add_object(&m->vb, "data");
		vpb_add_string(&m->vb, "_key", key, klen);
		vpb_add_string(&m->vb, "_rev", rev, n);
		vpb_close(&m->vb);
		return marker_close(m, out);
	}
	json_head(m, "2302", out);
	buf_append(out, "{\"_key\":", 8);
	vp_string_to_json(out, key, klen, m->json_flags);
	buf_append(out, ",\"_rev\":\"", 9);
	buf_append(out, rev, n);
	buf_append(out, "\"}}\n", 4);
	marker_sent(m, out, before);
	return 0;
}

/* ---- log data ----------------------------------------------------------- */

static int
on_transaction(struct smarker *m, const struct slog *l, int type,
    struct buf *out)
{
	const char	*name = m->names->db(m->names->arg, l->db);

	if (name == NULL)
		return 0;
	marker_open(m, m->seq, type);
	add_u64_text(&m->vb, "tid", l->n);
	vpb_add_str(&m->vb, "db", name);
	return marker_close(m, out);
}

static int
on_begin(struct smarker *m, const struct slog *l, struct buf *out)
{
	int	 r;

	reset_state(m);
	if (!wants_db(m, l->db) ||
	    m->names->db(m->names->arg, l->db) == NULL)
		return 0;
	r = on_transaction(m, l, MARK_BEGIN, out);
	m->state = ST_TRANSACTION;
	m->tid = l->n;
	return r;
}

static int
on_commit(struct smarker *m, const struct slog *l, struct buf *out)
{
	int	 r = 0;

	if (m->state == ST_TRANSACTION && wants_db(m, l->db) &&
	    m->tid == l->n)
		r = on_transaction(m, l, MARK_COMMIT, out);
	reset_state(m);
	return r;
}

/* Drops are always told, as long as the database is there. */
static int
on_shard_drop(struct smarker *m, const struct slog *l, struct buf *out)
{
	const char	*name;

	reset_state(m);
	if (!wants_db(m, l->db) ||
	    (name = m->names->db(m->names->arg, l->db)) == NULL)
		return 0;
	if (m->check && !vp_utf8_ok((const char *)l->blob, l->blen))
		return ERR_FORMAT;
	marker_open(m, m->seq + (m->start ? 0 : 1), MARK_DROP);
	vpb_add_str(&m->vb, "db", name);
	vpb_add_string(&m->vb, "cuid", (const char *)l->blob, l->blen);
	return marker_close(m, out);
}

static int
on_truncate(struct smarker *m, const struct slog *l, struct buf *out)
{
	reset_state(m);
	if (!wants_shard(m, l->shard))
		return 0;
	marker_open_shard(m, m->seq, MARK_TRUNCATE);
	return marker_close(m, out);
}

static int
on_index(struct smarker *m, const struct slog *l, struct buf *out)
{
	reset_state(m);
	if (!wants_shard(m, l->shard))
		return 0;
	if (l->type == SLOG_INDEX_CREATE) {
		if (m->check && vp_validate(l->blob, l->blen, NULL) != 0)
			return ERR_FORMAT;
		marker_open_shard(m, m->seq + (m->start ? 0 : 1),
		    MARK_INDEX_CREATE);
		vpb_add_slice(&m->vb, "data", l->blob);
	} else {
		marker_open_shard(m, m->seq + (m->start ? 0 : 1),
		    MARK_INDEX_DROP);
		vpb_add_object(&m->vb, "data");
		add_u64_text(&m->vb, "id", l->n);
		vpb_close(&m->vb);
	}
	return marker_close(m, out);
}

/* Those that only say what the next record is. */
static void
on_announcement(struct smarker *m, const struct slog *l)
{
	reset_state(m);
	switch (l->type) {
	case SLOG_DB_CREATE:
		if (wants_db(m, l->db))
			m->state = ST_DB_CREATE;
		break;
	case SLOG_DB_DROP:
		if (wants_db(m, l->db))
			m->state = ST_DB_DROP;
		break;
	case SLOG_SHARD_CREATE:
		if (wants_shard(m, l->shard))
			m->state = ST_CREATE;
		break;
	case SLOG_SHARD_CHANGE:
		if (wants_shard(m, l->shard))
			m->state = ST_CHANGE;
		break;
	case SLOG_PUT:
		if (wants_shard(m, l->shard))
			m->state = ST_PUT;
		break;
	case SLOG_REMOVE:
		if (wants_shard(m, l->shard)) {
			m->state = ST_REMOVE;
			m->rid = l->n;
		}
		break;
	default:
		break;
	}
}

static int
on_log(struct smarker *m, const struct wrec *rec, struct buf *out)
{
	struct slog	 l;
	int		 r;

	if ((r = slog_decode(&l, rec->key, rec->klen)) != 0)
		return r;
	switch (l.type) {
	case SLOG_BEGIN:
		return on_begin(m, &l, out);
	case SLOG_COMMIT:
		return on_commit(m, &l, out);
	case SLOG_SHARD_DROP:
		return on_shard_drop(m, &l, out);
	case SLOG_TRUNCATE:
		return on_truncate(m, &l, out);
	case SLOG_INDEX_CREATE:
	case SLOG_INDEX_DROP:
		return on_index(m, &l, out);
	case SLOG_TX_REMOVE:
		if (m->state == ST_TRANSACTION)
			m->rid = l.n;
		else
			reset_state(m);
		return 0;
	default:
		on_announcement(m, &l);
		return 0;
	}
}

/* ---- counting records --------------------------------------------------- */

static int
on_db_record(struct smarker *m, const struct wrec *rec, struct buf *out)
{
	const uint8_t	*name = vp_get(rec->val, "name");
	const uint8_t	*props = vp_get(rec->val, "props");
	uint64_t	 id = get_be64(rec->key + 2);

	if (name == NULL || props == NULL)
		return ERR_FORMAT;
	if (m->state == ST_DB_CREATE) {
		if (m->names->db(m->names->arg, id) == NULL)
			return 0;
		marker_open(m, m->seq, MARK_DB_CREATE);
		vpb_add_slice(&m->vb, "db", name);
		vpb_add_slice(&m->vb, "data", props);
		return marker_close(m, out);
	}
	if (m->state != ST_DB_DROP)
		return 0;
	marker_open(m, m->seq, MARK_DB_DROP);
	vpb_add_slice(&m->vb, "db", name);
	return marker_close(m, out);
}

/* The definition as it was then: props, and the indexes in it. */
static void
add_definition(struct vp_builder *vb, const uint8_t *val)
{
	struct vp_iter	 it;
	struct vp_attr	 a;
	const uint8_t	*e, *def;

	vpb_add_object(vb, "data");
	vp_obj_iter(&it, vp_get(val, "props"));
	while (vp_obj_next(&it, &a)) {
		vpb_key(vb, a.name, a.nlen);
		vpb_slice(vb, a.value);
	}
	vpb_add_array(vb, "indexes");
	vp_arr_iter(&it, vp_get(val, "indexes"));
	while ((e = vp_arr_next(&it)) != NULL)
		if ((def = vp_get(e, "def")) != NULL)
			vpb_slice(vb, def);
	vpb_close(vb);
	vpb_close(vb);
}

static int
on_shard_record(struct smarker *m, const struct wrec *rec, struct buf *out)
{
	if ((m->state != ST_CREATE && m->state != ST_CHANGE) ||
	    !wants_shard(m, get_be64(rec->key + 10)))
		return 0;
	if (vp_get(rec->val, "props") == NULL ||
	    vp_get(rec->val, "indexes") == NULL)
		return ERR_FORMAT;
	marker_open_shard(m, m->seq, m->state == ST_CREATE ? MARK_CREATE :
	    MARK_CHANGE);
	add_definition(&m->vb, rec->val);
	return marker_close(m, out);
}

static int
on_definition(struct smarker *m, const struct wrec *rec, struct buf *out)
{
	bool	 is_db, is_shard;
	int	 r;

	is_db = rec->klen == 10 && rec->key[1] == 'D';
	is_shard = rec->klen == 18 && rec->key[1] == 'C';
	if (!is_db && !is_shard)
		return 0;		/* a counter of ours */
	if (m->check && vp_validate(rec->val, rec->vlen, NULL) != 0)
		return ERR_FORMAT;
	r = is_db ? on_db_record(m, rec, out) : on_shard_record(m, rec, out);
	reset_state(m);
	return r;
}

static int
on_document(struct smarker *m, const struct wrec *rec, struct buf *out)
{
	int	 r;

	if (m->state != ST_TRANSACTION && m->state != ST_PUT) {
		reset_state(m);
		return 0;
	}
	m->rid = 0;
	if (rec->klen != SKEY_DOC)
		return ERR_FORMAT;
	if (!wants_shard(m, get_be64(rec->key + 1)))
		return 0;
	if (m->check && vp_validate(rec->val, rec->vlen, NULL) != 0)
		return ERR_FORMAT;
	r = emit_document(m, rec->val, out);
	if (m->state == ST_PUT)
		reset_state(m);
	return r;
}

/* The removal from the primary index is what shows: it has the key. */
static int
on_primary_delete(struct smarker *m, const struct wrec *rec, struct buf *out)
{
	int	 r;

	if (m->state != ST_TRANSACTION && m->state != ST_REMOVE) {
		reset_state(m);
		return 0;
	}
	if (rec->klen <= SKEY_PREFIX)
		return ERR_FORMAT;
	if (!wants_shard(m, get_be64(rec->key + 1))) {
		m->rid = 0;
		return 0;
	}
	if (m->check && !vp_utf8_ok((const char *)rec->key + SKEY_PREFIX,
	    rec->klen - SKEY_PREFIX))
		return ERR_FORMAT;
	r = emit_removal(m, (const char *)rec->key + SKEY_PREFIX,
	    rec->klen - SKEY_PREFIX, out);
	m->rid = 0;
	if (m->state == ST_REMOVE)
		reset_state(m);
	return r;
}

int
smarker_record(struct smarker *m, const struct wrec *rec, struct buf *out)
{
	if (rec->type == WREC_LOG)
		return on_log(m, rec, out);
	if (m->start)
		m->start = false;
	else
		m->seq++;
	if (rec->klen == 0)
		return 0;
	if (rec->type == WREC_PUT && rec->key[0] == 'd')
		return on_document(m, rec, out);
	if (rec->type == WREC_PUT && rec->key[0] == 'm')
		return on_definition(m, rec, out);
	if (rec->type == WREC_DELETE && rec->key[0] == 'p')
		return on_primary_delete(m, rec, out);
	return 0;
}
