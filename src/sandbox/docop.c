/* docop.c - the rules for documents: keys, edges, what is stored */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/random.h"
#include "base/str.h"
#include "sandbox/docop.h"

/* Longest "_id" that is built: collection names have at most 256 bytes. */
#define ID_MAX	(512 + 1 + DOCOP_KEY_MAX)

/* ---- keys and ids ---------------------------------------------------- */

static const uint8_t key_chars[256] = {
	['a' ... 'z'] = 1, ['A' ... 'Z'] = 1, ['0' ... '9'] = 1,
	['_'] = 1, ['-'] = 1, [':'] = 1, ['.'] = 1, ['@'] = 1, ['('] = 1,
	[')'] = 1, ['+'] = 1, [','] = 1, ['='] = 1, [';'] = 1, ['$'] = 1,
	['!'] = 1, ['*'] = 1, ['\''] = 1, ['%'] = 1
};

bool
docop_key_ok(const char *key, size_t len)
{
	size_t	 i;

	if (len == 0 || len > DOCOP_KEY_MAX)
		return false;
	for (i = 0; i < len; i++)
		if (!key_chars[(uint8_t)key[i]])
			return false;
	return true;
}

bool
docop_id_ok(const char *id, size_t len)
{
	const char	*slash;
	size_t		 i, clen;

	if ((slash = memchr(id, '/', len)) == NULL)
		return false;
	clen = (size_t)(slash - id);
	/*
	 * Extended names may hold nearly everything, but begin with no digit
	 * and hold no control characters.
	 */
	if (clen == 0 || clen > 256 || (id[0] >= '0' && id[0] <= '9'))
		return false;
	for (i = 0; i < clen; i++)
		if ((uint8_t)id[i] < 0x20 || id[i] == 0x7f)
			return false;
	return docop_key_ok(slash + 1, len - clen - 1);
}

const char *
docop_key_of_id(const char *id, size_t len, size_t *klen)
{
	const char	*slash = memchr(id, '/', len);

	if (slash == NULL) {
		*klen = len;
		return id;
	}
	*klen = len - (size_t)(slash + 1 - id);
	return slash + 1;
}

/* ---- generated keys -------------------------------------------------- */

static const struct {
	const char		*name;
	enum docop_keygen_type	 type;
} keygen_names[] = {
	{ "traditional", DOCOP_KEYS_TRADITIONAL },
	{ "autoincrement", DOCOP_KEYS_AUTOINCREMENT },
	{ "padded", DOCOP_KEYS_PADDED },
	{ "uuid", DOCOP_KEYS_UUID }
};

static int
keygen_number(struct json_object *options, const char *name, uint64_t min,
    uint64_t *v)
{
	struct json_object	*o;
	int64_t			 n;

	if (!json_object_object_get_ex(options, name, &o) || o == NULL)
		return AE_OK;
	if (!json_object_is_type(o, json_type_int))
		return AE_BAD_PARAMETER;
	n = json_object_get_int64(o);
	if (n < (int64_t)min || n >= 65536)
		return AE_BAD_PARAMETER;
	*v = (uint64_t)n;
	return AE_OK;
}

int
docop_keygen_init(struct docop_keygen *g, struct json_object *options)
{
	struct json_object	*o;
	const char		*name;
	size_t			 i;
	int			 e;

	memset(g, 0, sizeof(*g));
	g->allow_user_keys = true;
	g->increment = 1;
	if (options == NULL || !json_object_is_type(options, json_type_object))
		return AE_OK;
	if (json_object_object_get_ex(options, "allowUserKeys", &o))
		g->allow_user_keys = json_object_get_boolean(o);
	if (!json_object_object_get_ex(options, "type", &o) || o == NULL)
		return AE_OK;
	if (!json_object_is_type(o, json_type_string))
		return AE_INVALID_KEY_GENERATOR;
	name = json_object_get_string(o);
	for (i = 0; i < NITEMS(keygen_names); i++)
		if (strcasecmp(name, keygen_names[i].name) == 0)
			break;
	if (i == NITEMS(keygen_names) && *name != '\0')
		return AE_INVALID_KEY_GENERATOR;
	if (*name != '\0')
		g->type = keygen_names[i].type;
	if (g->type != DOCOP_KEYS_AUTOINCREMENT)
		return AE_OK;
	if ((e = keygen_number(options, "increment", 1, &g->increment)) !=
	    AE_OK)
		return e;
	return keygen_number(options, "offset", 0, &g->offset);
}

/* The smallest offset + n * increment above `last`, 0 when there is none. */
static uint64_t
autoincrement_next(const struct docop_keygen *g)
{
	uint64_t	 v;

	if (g->last < g->offset)
		return g->offset;
	v = g->last - g->offset;
	v = g->offset + (v / g->increment + 1) * g->increment;
	return v > g->last ? v : 0;
}

static size_t
uuid_text(char *key)
{
	uint64_t	 a = rand_u64(), b = rand_u64();

	a = (a & ~UINT64_C(0xf000)) | 0x4000;
	b = (b & ~(UINT64_C(3) << 62)) | UINT64_C(2) << 62;
	return (size_t)snprintf(key, DOCOP_GENERATED_KEY_MAX,
	    "%08" PRIx64 "-%04" PRIx64 "-%04" PRIx64 "-%04" PRIx64
	    "-%012" PRIx64, a >> 32, (a >> 16) & 0xffff, a & 0xffff, b >> 48,
	    b & UINT64_C(0xffffffffffff));
}

size_t
docop_keygen_next(struct docop_keygen *g, uint64_t tick,
    char key[DOCOP_GENERATED_KEY_MAX])
{
	uint64_t	 v;

	switch (g->type) {
	case DOCOP_KEYS_AUTOINCREMENT:
		if ((v = autoincrement_next(g)) == 0)
			return 0;
		g->last = v;
		return (size_t)snprintf(key, DOCOP_GENERATED_KEY_MAX,
		    "%" PRIu64, v);
	case DOCOP_KEYS_UUID:
		return uuid_text(key);
	case DOCOP_KEYS_PADDED:
	case DOCOP_KEYS_TRADITIONAL:
		break;
	}
	/*
	 * A tick can be smaller than a number that a user chose for a key:
	 * go on behind that one, as arangod's generator does.
	 */
	v = tick > g->last ? tick : g->last + 1;
	if (v == 0 || v == UINT64_MAX)
		return 0;
	g->last = v;
	return (size_t)snprintf(key, DOCOP_GENERATED_KEY_MAX,
	    g->type == DOCOP_KEYS_PADDED ? "%016" PRIx64 : "%" PRIu64, v);
}

void
docop_keygen_track(struct docop_keygen *g, const char *key, size_t len)
{
	char		 hex[17];
	uint64_t	 v;

	if (g->type == DOCOP_KEYS_UUID || len == 0)
		return;
	if (g->type == DOCOP_KEYS_PADDED) {
		if (len != 16)
			return;
		memcpy(hex, key, 16);
		hex[16] = '\0';
		if (str_hex_to_u64(hex, &v) != 0)
			return;
	} else if (str_to_u64_n(key, len, &v) != 0)
		return;
	/* The very last numbers would leave no key for anybody else. */
	if (v > g->last && v < UINT64_MAX / 2)
		g->last = v;
}

/* ---- elements -------------------------------------------------------- */

static uint64_t
elem_rev(const uint8_t *object)
{
	const uint8_t	*v = vp_obj_get(object, "_rev", 4);
	const char	*s;
	size_t		 len;

	if (v == NULL || (s = vp_get_string(v, &len)) == NULL || len == 0)
		return 0;
	return rev_from_text(s, len);
}

int
docop_elem_parse(struct docop_elem *e, const struct docop_opts *o,
    const uint8_t *value)
{
	const uint8_t	*k;
	const char	*s;
	size_t		 len;
	bool		 by_key;

	memset(e, 0, sizeof(*e));
	e->value = value;
	by_key = o->kind == DOCOP_REMOVE || o->kind == DOCOP_READ;
	if (by_key && (s = vp_get_string(value, &len)) != NULL) {
		e->key = docop_key_of_id(s, len, &e->klen);
		return e->klen > 0 ? AE_OK : AE_DOCUMENT_HANDLE_BAD;
	}
	if (!vp_is_object(value))
		return by_key ? AE_DOCUMENT_HANDLE_BAD :
		    AE_DOCUMENT_TYPE_INVALID;
	k = vp_obj_get(value, "_key", 4);
	if (k == NULL && by_key) {
		/* an _id alone will do to find it */
		if ((s = vp_get_string(vp_obj_get(value, "_id", 3), &len)) ==
		    NULL)
			return AE_DOCUMENT_HANDLE_BAD;
		e->key = docop_key_of_id(s, len, &e->klen);
	} else if (k != NULL) {
		if ((e->key = vp_get_string(k, &e->klen)) == NULL)
			return by_key ? AE_DOCUMENT_HANDLE_BAD :
			    AE_DOCUMENT_KEY_BAD;
	} else if (o->kind != DOCOP_INSERT)
		return AE_DOCUMENT_HANDLE_BAD;
	if (e->key != NULL && e->klen == 0)
		return AE_DOCUMENT_KEY_BAD;
	e->rev = elem_rev(value);
	return AE_OK;
}

/* ---- what is stored -------------------------------------------------- */

static int
check_edge_end(const uint8_t *body, const char *name, bool must)
{
	const uint8_t	*v = vp_get(body, name);
	const char	*s;
	size_t		 len;

	if (v == NULL)
		return must ? AE_INVALID_EDGE_ATTRIBUTE : AE_OK;
	if ((s = vp_get_string(v, &len)) == NULL || !docop_id_ok(s, len))
		return AE_INVALID_EDGE_ATTRIBUTE;
	return AE_OK;
}

int
docop_check(const struct docop_coll *c, const struct docop_opts *o,
    const struct docop_elem *e, struct err_msg *em)
{
	int	 r;

	if (e->key != NULL && !docop_key_ok(e->key, e->klen)) {
		/* An existing document cannot have such a key. */
		if (o->kind != DOCOP_INSERT)
			return AE_OK;
		err_set(em, 0, "%s", arango_error_text(AE_DOCUMENT_KEY_BAD));
		return AE_DOCUMENT_KEY_BAD;
	}
	if (e->key != NULL && o->kind == DOCOP_INSERT &&
	    !c->allow_user_keys && !o->is_restore) {
		err_set(em, 0, "%s",
		    arango_error_text(AE_DOCUMENT_KEY_UNEXPECTED));
		return AE_DOCUMENT_KEY_UNEXPECTED;
	}
	if (!c->edge)
		return AE_OK;
	/* An insert that may become an update can leave them out. */
	r = check_edge_end(e->value, "_from", o->kind != DOCOP_UPDATE &&
	    !(o->kind == DOCOP_INSERT && o->overwrite == DOCOP_OW_UPDATE));
	if (r == AE_OK)
		r = check_edge_end(e->value, "_to", o->kind != DOCOP_UPDATE &&
		    !(o->kind == DOCOP_INSERT &&
		    o->overwrite == DOCOP_OW_UPDATE));
	if (r != AE_OK)
		err_set(em, 0, "%s", arango_error_text(r));
	return r;
}

uint64_t
docop_new_rev(const struct docop_opts *o, const uint8_t *body,
    struct hlc *clock)
{
	uint64_t	 rev;

	/*
	 * arangod would store a text that is no revision as it is, all of
	 * them under one number; here such a document gets a new revision.
	 */
	if (o->is_restore && (rev = elem_rev(body)) != 0 && rev != REV_INVALID)
		return rev;
	return hlc_stamp(clock);
}

static void
put_system(struct vp_builder *b, const struct docop_coll *c, const char *key,
    size_t klen)
{
	char	 id[ID_MAX];
	size_t	 nlen = MIN(c->nlen, 512), len = MIN(klen, DOCOP_KEY_MAX);

	memcpy(id, c->name, nlen);
	id[nlen] = '/';
	memcpy(id + nlen + 1, key, len);
	vpb_key(b, "_key", 4);
	vpb_string(b, key, klen);
	vpb_key(b, "_id", 3);
	vpb_string(b, id, nlen + 1 + len);
}

static void
put_rev(struct vp_builder *b, const char *name, uint64_t rev)
{
	char	 text[REV_TEXT_MAX];
	size_t	 len;

	len = rev_to_text(rev, text);
	vpb_add_string(b, name, text, len);
}

/*
 * Attributes that stand in front and are not copied with the others.  _from
 * and _to are dropped where they do not stand: from documents that are no
 * edges, too (Transaction/Helpers.cpp).
 */
static bool
is_system(const struct vp_attr *a)
{
	if (a->nlen < 3 || a->name[0] != '_')
		return false;
	switch (a->nlen) {
	case 3:
		return memcmp(a->name, "_id", 3) == 0 ||
		    memcmp(a->name, "_to", 3) == 0;
	case 4:
		return memcmp(a->name, "_key", 4) == 0 ||
		    memcmp(a->name, "_rev", 4) == 0;
	case 5:
		return memcmp(a->name, "_from", 5) == 0;
	default:
		return false;
	}
}

static int
end_errnum(int r)
{
	switch (r) {
	case 0:
		return AE_OK;
	case ERR_TOO_BIG:
		return AE_DOCUMENT_TOO_LARGE;
	case ERR_EXISTS:	/* an attribute twice, in a VelocyPack body */
		return AE_HTTP_CORRUPTED_JSON;
	default:
		return AE_BAD_PARAMETER;
	}
}

int
docop_build(struct vp_builder *b, struct buf *out, const struct docop_coll *c,
    const uint8_t *body, const char *key, size_t klen, uint64_t rev)
{
	struct vp_iter	 it;
	struct vp_attr	 a;

	if (c->edge && (check_edge_end(body, "_from", true) != AE_OK ||
	    check_edge_end(body, "_to", true) != AE_OK))
		return AE_INVALID_EDGE_ATTRIBUTE;
	vpb_start(b, out);
	vpb_open_object(b);
	put_system(b, c, key, klen);
	if (c->edge) {
		vpb_add_slice(b, "_from", vp_obj_get(body, "_from", 5));
		vpb_add_slice(b, "_to", vp_obj_get(body, "_to", 3));
	}
	put_rev(b, "_rev", rev);
	vp_obj_iter(&it, body);
	while (vp_obj_next(&it, &a)) {
		if (is_system(&a))
			continue;
		vpb_key(b, a.name, a.nlen);
		vpb_slice(b, a.value);
	}
	vpb_close(b);
	return end_errnum(vpb_end(b));
}

/* An object that the document did not have, without its nulls.  What lies
 * deeper stays as it is, as in arangod. */
static void
put_without_nulls(struct vp_builder *b, const uint8_t *object)
{
	struct vp_iter	 it;
	struct vp_attr	 a;

	vpb_open_object(b);
	vp_obj_iter(&it, object);
	while (vp_obj_next(&it, &a)) {
		if (vp_is_null(a.value))
			continue;
		vpb_key(b, a.name, a.nlen);
		vpb_slice(b, a.value);
	}
	vpb_close(b);
}

/* The attributes of patch laid over those of old, inside an open object. */
static void
merge_attrs(struct vp_builder *b, const struct docop_opts *o,
    const uint8_t *old, const uint8_t *patch, bool top)
{
	struct vp_iter	 it;
	struct vp_attr	 a;
	const uint8_t	*v;

	vp_obj_iter(&it, old);
	while (vp_obj_next(&it, &a)) {
		if (top && is_system(&a))
			continue;
		v = vp_obj_get(patch, a.name, a.nlen);
		if (v != NULL && vp_is_null(v) && !o->keep_null)
			continue;
		vpb_key(b, a.name, a.nlen);
		if (v != NULL && (top ? o->merge_objects : true) &&
		    vp_is_object(v) && vp_is_object(a.value)) {
			vpb_open_object(b);
			merge_attrs(b, o, a.value, v, false);
			vpb_close(b);
		} else
			vpb_slice(b, v != NULL ? v : a.value);
	}
	vp_obj_iter(&it, patch);
	while (vp_obj_next(&it, &a)) {
		if (top && is_system(&a))
			continue;
		if (vp_is_null(a.value) && !o->keep_null)
			continue;
		if (vp_obj_get(old, a.name, a.nlen) != NULL)
			continue;
		vpb_key(b, a.name, a.nlen);
		if (top && !o->keep_null && vp_is_object(a.value))
			put_without_nulls(b, a.value);
		else
			vpb_slice(b, a.value);
	}
}

static void
merge_edge_end(struct vp_builder *b, const char *name, const uint8_t *old,
    const uint8_t *patch)
{
	const uint8_t	*v;

	if ((v = vp_get(patch, name)) != NULL ||
	    (v = vp_get(old, name)) != NULL)
		vpb_add_slice(b, name, v);
}

int
docop_merge(struct vp_builder *b, struct buf *out, const struct docop_coll *c,
    const struct docop_opts *o, const uint8_t *old, const uint8_t *patch,
    uint64_t rev)
{
	const char	*key;
	size_t		 klen;

	if ((key = vp_get_string(vp_obj_get(old, "_key", 4), &klen)) == NULL)
		return AE_INTERNAL;
	if (c->edge && (check_edge_end(patch, "_from", false) != AE_OK ||
	    check_edge_end(patch, "_to", false) != AE_OK))
		return AE_INVALID_EDGE_ATTRIBUTE;
	vpb_start(b, out);
	vpb_open_object(b);
	put_system(b, c, key, klen);
	if (c->edge) {
		merge_edge_end(b, "_from", old, patch);
		merge_edge_end(b, "_to", old, patch);
	}
	put_rev(b, "_rev", rev);
	merge_attrs(b, o, old, patch, true);
	vpb_close(b);
	return end_errnum(vpb_end(b));
}

bool
docop_patch_is_empty(const uint8_t *patch)
{
	return vp_length(patch) <= 1;
}

/* ---- what is answered ------------------------------------------------ */

void
docop_put_done(struct vp_builder *b, const struct docop_coll *c,
    const struct docop_done *d)
{
	char	 id[ID_MAX];
	size_t	 nlen = MIN(c->nlen, 512), len = MIN(d->klen, DOCOP_KEY_MAX);

	memcpy(id, c->name, nlen);
	id[nlen] = '/';
	memcpy(id + nlen + 1, d->key, len);
	vpb_open_object(b);
	vpb_add_string(b, "_id", id, nlen + 1 + len);
	vpb_add_string(b, "_key", d->key, d->klen);
	put_rev(b, "_rev", d->rev);
	if (d->old_rev != 0)
		put_rev(b, "_oldRev", d->old_rev);
	if (d->old_doc != NULL)
		vpb_add_slice(b, "old", d->old_doc);
	if (d->new_doc != NULL)
		vpb_add_slice(b, "new", d->new_doc);
	vpb_close(b);
}

void
docop_put_error(struct vp_builder *b, int errnum, const char *text)
{
	if (text == NULL || *text == '\0')
		text = arango_error_text(errnum);
	vpb_open_object(b);
	vpb_add_bool(b, "error", true);
	vpb_add_int(b, "errorNum", errnum);
	/* Parts of a request may stand in it: cut texts can end inside a
	 * character. */
	vpb_add_str(b, "errorMessage", vp_utf8_ok(text, strlen(text)) ? text :
	    arango_error_text(errnum));
	vpb_close(b);
}

void
docop_unique_text(struct err_msg *em, const char *index_name,
    const char *index_type, const char *fields, const char *key, size_t klen)
{
	err_set(em, 0, "unique constraint violated - in index %s of type %s "
	    "over '%s'; conflicting key: %.*s", index_name, index_type, fields,
	    (int)MIN(klen, DOCOP_KEY_MAX), key);
}
