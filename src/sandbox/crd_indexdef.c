/* crd_indexdef.c - normalised definitions of indexes, one table per type */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox/crd_definition.h"
#include "sandbox/crd_json.h"

#define V3_9	30900
#define V3_10	31000
#define V3_12	31200
#define V3_12_4	31204

#define STORED_VALUES_MAX	32

struct index_type;
typedef int	define_fn(const struct crd_rules *, struct json_object *body,
		    struct json_object *def, struct err_msg *em);

static define_fn	 define_persistent, define_ttl, define_geo,
			 define_fulltext, define_mdi, define_mdi_prefixed,
			 define_inverted, define_vector;

struct index_type {
	const char	*name;
	int		 since, until;	/* versions; until is excluded, 0: no */
	unsigned	 min_fields, max_fields;
	bool		 sub_attributes;	/* "a.b" */
	define_fn	*define;
};

#define ANY	UINT32_MAX

static const struct index_type types[] = {
	{ "persistent", 0, 0, 1, ANY, true, define_persistent },
	{ "hash", 0, 0, 1, ANY, true, define_persistent },
	{ "skiplist", 0, 0, 1, ANY, true, define_persistent },
	{ "ttl", 0, 0, 1, 1, false, define_ttl },
	{ "geo", 0, 0, 1, 2, true, define_geo },
	{ "geo1", 0, 0, 1, 1, true, define_geo },
	{ "geo2", 0, 0, 2, 2, true, define_geo },
	{ "fulltext", 0, 0, 1, 1, true, define_fulltext },
	{ "zkd", V3_9, 0, 1, ANY, true, define_mdi },
	{ "mdi", V3_12, 0, 1, ANY, true, define_mdi },
	{ "mdi-prefixed", V3_12, 0, 1, ANY, true, define_mdi_prefixed },
	{ "inverted", V3_10, 0, 1, ANY, true, define_inverted },
	{ "vector", V3_12_4, 0, 1, 1, true, define_vector }
};

static int
bad(struct err_msg *em, const char *text)
{
	err_set(em, AE_BAD_PARAMETER, "%s", text);
	return AE_BAD_PARAMETER;
}

/* ---- fields ---------------------------------------------------------------- */

static bool
is_id_field(const char *f)
{
	size_t	 len = strlen(f);

	return strcmp(f, "_id") == 0 ||
	    (len > 4 && strcmp(f + len - 4, "._id") == 0);
}

/* The name of a field: a string, or {"name":..} of inverted indexes. */
static const char *
field_name(struct json_object *v, bool objects)
{
	if (objects && cj_is_object(v))
		return cj_str(v, "name");
	return cj_is_string(v) ? json_object_get_string(v) : NULL;
}

/* Are the members of an array usable and different names of attributes? */
static int
check_fields(struct json_object *list, const struct index_type *t,
    bool objects, bool allow_id, struct err_msg *em)
{
	size_t		 i, k, n = 0;
	const char	*f, *g;

	if (cj_is_array(list))
		n = json_object_array_length(list);
	for (i = 0; i < n; i++) {
		f = field_name(json_object_array_get_idx(list, i), objects);
		if (f == NULL || f[0] == '\0')
			return bad(em, "index field names must be non-empty "
			    "strings");
		for (k = 0; k < i; k++) {
			g = field_name(json_object_array_get_idx(list, k),
			    objects);
			if (strcmp(f, g) == 0)
				return bad(em, "duplicate attribute name in "
				    "index fields list");
		}
		if (!t->sub_attributes && strchr(f, '.') != NULL)
			return bad(em, "cannot index a sub-attribute in this "
			    "type of index");
		if (!objects && !allow_id && is_id_field(f))
			return bad(em, "_id attribute cannot be indexed");
	}
	if (n < t->min_fields || n > t->max_fields)
		return bad(em, "invalid number of index attributes");
	return AE_OK;
}

static bool
array_has(struct json_object *list, const char *s)
{
	size_t		 i, n = cj_is_array(list) ?
	    json_object_array_length(list) : 0;
	const char	*f;

	for (i = 0; i < n; i++) {
		f = field_name(json_object_array_get_idx(list, i), true);
		if (f != NULL && strcmp(f, s) == 0)
			return true;
	}
	return false;
}

static int
stored_error(struct err_msg *em, const char *text)
{
	err_set(em, AE_BAD_PARAMETER,
	    "when parsing fields for stored values: %s", text);
	return AE_BAD_PARAMETER;
}

static int
define_stored(const struct crd_rules *rules, struct json_object *body,
    struct json_object *def, bool may_overlap, struct err_msg *em)
{
	static const struct index_type	 rule = { "", 0, 0, 1,
	    STORED_VALUES_MAX, true, NULL };
	struct json_object	*list = cj_get(body, "storedValues");
	struct err_msg		 inner;
	size_t			 i;

	if (rules->version < V3_10 || list == NULL)
		return AE_OK;
	if (!cj_is_array(list))
		return stored_error(em, "storedValues must be an array");
	if (json_object_array_length(list) == 0)
		return AE_OK;
	if (check_fields(list, &rule, false, true, &inner) != AE_OK)
		return stored_error(em, inner.text);
	for (i = 0; !may_overlap && i < json_object_array_length(list); i++)
		if (array_has(cj_get(body, "fields"), json_object_get_string(
		    json_object_array_get_idx(list, i))))
			return stored_error(em, "duplicate attribute name "
			    "(overlap between index fields and index stored "
			    "values list)");
	cj_add_ref(def, "storedValues", list);
	return AE_OK;
}

static void
add_flag(struct json_object *def, struct json_object *body, const char *name,
    bool fallback)
{
	cj_add_bool(def, name, cj_bool(body, name, fallback));
}

/* ---- types ----------------------------------------------------------------- */

static int
define_persistent(const struct crd_rules *rules, struct json_object *body,
    struct json_object *def, struct err_msg *em)
{
	int	 r;

	if ((r = define_stored(rules, body, def, false, em)) != AE_OK)
		return r;
	add_flag(def, body, "sparse", false);
	add_flag(def, body, "unique", false);
	add_flag(def, body, "deduplicate", true);
	add_flag(def, body, "estimates", true);
	add_flag(def, body, "inBackground", false);
	if (rules->version >= V3_10)
		add_flag(def, body, "cacheEnabled", false);
	return AE_OK;
}

static int
define_ttl(const struct crd_rules *rules, struct json_object *body,
    struct json_object *def, struct err_msg *em)
{
	struct json_object	*v = cj_get(body, "expireAfter");

	(void)rules;
	if (cj_bool(body, "unique", false))
		return bad(em, "a TTL index cannot be unique");
	if (!cj_is_number(v))
		return bad(em, "expireAfter attribute must be a number");
	if (json_object_get_double(v) < 0)
		return bad(em, "expireAfter attribute must greater equal to "
		    "zero");
	cj_add_bool(def, "unique", false);
	cj_add_bool(def, "sparse", true);
	cj_add_ref(def, "expireAfter", v);
	cj_add_bool(def, "estimates", false);
	add_flag(def, body, "inBackground", false);
	return AE_OK;
}

static int
define_geo(const struct crd_rules *rules, struct json_object *body,
    struct json_object *def, struct err_msg *em)
{
	(void)em;
	cj_add_bool(def, "sparse", true);
	cj_add_bool(def, "unique", false);
	if (json_object_array_length(cj_get(body, "fields")) == 1)
		add_flag(def, body, "geoJson", false);
	if (rules->version >= V3_10)
		add_flag(def, body, "legacyPolygons", false);
	add_flag(def, body, "inBackground", false);
	return AE_OK;
}

static int
define_fulltext(const struct crd_rules *rules, struct json_object *body,
    struct json_object *def, struct err_msg *em)
{
	struct json_object	*v = cj_get(body, "minLength");
	int64_t			 n = 2;

	(void)rules;
	if (v != NULL && !cj_is_number(v))
		return bad(em, "bad parameter");
	if (v != NULL)
		n = json_object_get_int64(v);
	cj_add_bool(def, "sparse", true);
	cj_add_bool(def, "unique", false);
	cj_add_int(def, "minLength", n <= 0 ? 1 : n);
	add_flag(def, body, "inBackground", false);
	return AE_OK;
}

static int
define_mdi(const struct crd_rules *rules, struct json_object *body,
    struct json_object *def, struct err_msg *em)
{
	const char	*t = cj_str(body, "fieldValueTypes");
	int		 r;

	if (t == NULL || strcmp(t, "double") != 0) {
		err_set(em, AE_BAD_PARAMETER, "%s requires `fieldValueTypes` "
		    "to be set to `double` - future releases might lift this "
		    "requirement", rules->version >= V3_12 ? "mdi" :
		    "zkd index");
		return AE_BAD_PARAMETER;
	}
	cj_add_str(def, "fieldValueTypes", "double");
	if (rules->version >= V3_12 &&
	    (r = define_stored(rules, body, def, true, em)) != AE_OK)
		return r;
	add_flag(def, body, "sparse", false);
	add_flag(def, body, "unique", false);
	if (rules->version >= V3_12)
		add_flag(def, body, "estimates", true);
	add_flag(def, body, "inBackground", false);
	return AE_OK;
}

static int
define_mdi_prefixed(const struct crd_rules *rules, struct json_object *body,
    struct json_object *def, struct err_msg *em)
{
	static const struct index_type	 rule = { "", 0, 0, 1, ANY, true,
	    NULL };
	struct json_object	*list = cj_get(body, "prefixFields");
	int			 r;

	if (!cj_is_array(list) || json_object_array_length(list) == 0)
		return bad(em, "when parsing prefix fields: prefixFields is "
		    "required for `mdi-prefixed`");
	if ((r = check_fields(list, &rule, false, true, em)) != AE_OK ||
	    (r = define_mdi(rules, body, def, em)) != AE_OK)
		return r;
	cj_add_ref(def, "prefixFields", list);
	return AE_OK;
}

static struct json_object *
default_consolidation(void)
{
	struct json_object	*o = json_object_new_object();

	cj_add_str(o, "type", "tier");
	cj_add_int(o, "segmentsBytesFloor", 2097152);
	cj_add_int(o, "segmentsBytesMax", 5368709120LL);
	cj_add_int(o, "segmentsMax", 10);
	cj_add_int(o, "segmentsMin", 1);
	cj_add_int(o, "minScore", 0);
	return o;
}

/* The index itself is metadata only: what is given is kept, defaults added. */
static int
define_inverted(const struct crd_rules *rules, struct json_object *body,
    struct json_object *def, struct err_msg *em)
{
	static const struct {
		const char	*name;
		int64_t		 value;
	} numbers[] = {
		{ "cleanupIntervalStep", 2 }, { "commitIntervalMsec", 1000 },
		{ "consolidationIntervalMsec", 1000 },
		{ "writebufferActive", 0 }, { "writebufferIdle", 64 },
		{ "writebufferSizeMax", 33554432 }
	};
	struct json_object	*in = cj_get(body, "fields"), *out, *v, *o;
	size_t			 i;

	(void)rules;
	if (cj_bool(body, "unique", false))
		return bad(em, "Inverted index cannot be unique");
	out = json_object_new_array();
	for (i = 0; i < json_object_array_length(in); i++) {
		v = json_object_array_get_idx(in, i);
		if (cj_is_object(v)) {
			json_object_array_add(out, json_object_get(v));
			continue;
		}
		o = json_object_new_object();
		cj_add_ref(o, "name", v);
		json_object_array_add(out, o);
	}
	cj_add(def, "fields", out);
	cj_add_bool(def, "sparse", true);
	cj_add_bool(def, "unique", false);
	cj_add_int(def, "version", 1);
	for (i = 0; i < NITEMS(numbers); i++)
		cj_add_int(def, numbers[i].name, cj_int(body,
		    numbers[i].name, numbers[i].value));
	cj_add_str(def, "analyzer", cj_str(body, "analyzer") != NULL ?
	    cj_str(body, "analyzer") : "identity");
	if (cj_is_array(cj_get(body, "features"))) {
		cj_copy(def, body, "features");
	} else {
		out = json_object_new_array();
		cj_push_str(out, "frequency");
		cj_push_str(out, "norm");
		cj_add(def, "features", out);
	}
	add_flag(def, body, "includeAllFields", false);
	add_flag(def, body, "trackListPositions", false);
	add_flag(def, body, "searchField", false);
	add_flag(def, body, "inBackground", false);
	if (cj_is_object(cj_get(body, "primarySort"))) {
		cj_copy(def, body, "primarySort");
	} else {
		o = json_object_new_object();
		cj_add(o, "fields", json_object_new_array());
		cj_add_str(o, "compression", "lz4");
		cj_add(def, "primarySort", o);
	}
	if (cj_is_array(cj_get(body, "storedValues")))
		cj_copy(def, body, "storedValues");
	else
		cj_add(def, "storedValues", json_object_new_array());
	if (cj_is_object(cj_get(body, "consolidationPolicy")))
		cj_copy(def, body, "consolidationPolicy");
	else
		cj_add(def, "consolidationPolicy", default_consolidation());
	return AE_OK;
}

static int
define_vector(const struct crd_rules *rules, struct json_object *body,
    struct json_object *def, struct err_msg *em)
{
	(void)rules;
	if (!cj_is_object(cj_get(body, "params")))
		return bad(em, "vector index requires an object `params`");
	cj_copy(def, body, "params");
	add_flag(def, body, "sparse", false);
	cj_add_bool(def, "unique", false);
	add_flag(def, body, "inBackground", false);
	return AE_OK;
}

/* ---- the whole ------------------------------------------------------------- */

/* An id that is an integer, as text without leading zeros; else NULL. */
static const char *
usable_id(struct json_object *body, char text[32])
{
	struct json_object	*v = cj_get(body, "id");
	const char		*s;

	if (cj_is_int(v) && json_object_get_int64(v) > 0) {
		snprintf(text, 32, "%lld",
		    (long long)json_object_get_int64(v));
		return text;
	}
	if (!cj_is_string(v))
		return NULL;
	s = json_object_get_string(v);
	if (s[0] == '\0' || strlen(s) > 19 ||
	    s[strspn(s, "0123456789")] != '\0' || strtoull(s, NULL, 10) == 0)
		return NULL;
	snprintf(text, 32, "%llu", strtoull(s, NULL, 10));
	return text;
}

int
crd_define_index(const struct crd_rules *rules, struct json_object *body,
    const char *generated, struct json_object **def, struct err_msg *em)
{
	const struct index_type	*t = NULL;
	struct json_object	*d;
	const char		*type = cj_str(body, "type"), *name, *id;
	char			 text[32];
	bool			 objects;
	size_t			 i;
	int			 r;

	*def = NULL;
	em->text[0] = '\0';
	if (type == NULL)
		return bad(em, "invalid index type");
	if (strcmp(type, "primary") == 0 || strcmp(type, "edge") == 0)
		return AE_FORBIDDEN;
	for (i = 0; i < NITEMS(types); i++)
		if (strcmp(types[i].name, type) == 0 &&
		    rules->version >= types[i].since &&
		    (types[i].until == 0 || rules->version < types[i].until))
			t = &types[i];
	if (t == NULL) {
		err_set(em, AE_BAD_PARAMETER, "invalid index type '%s'", type);
		return AE_BAD_PARAMETER;
	}
	name = cj_str(body, "name");
	if (name == NULL || name[0] == '\0')
		name = generated;
	if (!crd_index_name_ok(name, rules->version))
		return AE_ILLEGAL_NAME;
	objects = t->define == define_inverted;
	r = check_fields(cj_get(body, "fields"), t, objects, false, em);
	if (r != AE_OK)
		return r;
	d = json_object_new_object();
	if ((id = usable_id(body, text)) != NULL)
		cj_add_str(d, "id", id);
	cj_add_str(d, "name", name);
	cj_add_str(d, "type", type);
	cj_copy(d, body, "fields");
	if ((r = t->define(rules, body, d, em)) != AE_OK) {
		json_object_put(d);
		return r;
	}
	*def = d;
	return AE_OK;
}

static const char *
canonical_type(struct json_object *def)
{
	const char	*t = cj_str(def, "type");

	if (t == NULL)
		return "";
	return strcmp(t, "zkd") == 0 ? "mdi" : t;
}

static bool
same_attribute(struct json_object *a, struct json_object *b, const char *name)
{
	return cj_equal(cj_get(a, name), cj_get(b, name));
}

bool
crd_index_equal(struct json_object *a, struct json_object *b)
{
	const char		*t = canonical_type(a);
	struct json_object	*x, *y;

	if (strcmp(t, canonical_type(b)) != 0 ||
	    cj_bool(a, "unique", false) != cj_bool(b, "unique", false))
		return false;
	if (strncmp(t, "geo", 3) != 0 && strcmp(t, "fulltext") != 0 &&
	    cj_bool(a, "sparse", false) != cj_bool(b, "sparse", false))
		return false;
	if (!same_attribute(a, b, "fields"))
		return false;
	if (strncmp(t, "geo", 3) == 0)
		return cj_bool(a, "geoJson", false) ==
		    cj_bool(b, "geoJson", false);
	if (strcmp(t, "fulltext") == 0)
		return same_attribute(a, b, "minLength");
	if (strcmp(t, "mdi-prefixed") == 0)
		return same_attribute(a, b, "prefixFields");
	if (strcmp(t, "vector") == 0)
		return same_attribute(a, b, "params");
	if (strcmp(t, "ttl") == 0) {
		x = cj_get(a, "expireAfter");
		y = cj_get(b, "expireAfter");
		return fabs(json_object_get_double(x) -
		    json_object_get_double(y)) < 1e-9;
	}
	return true;
}

bool
crd_index_clashes(struct json_object *a, struct json_object *b)
{
	const char	*x, *y;

	x = cj_str(a, "id");
	y = cj_str(b, "id");
	if (x != NULL && y != NULL && strcmp(x, y) == 0)
		return true;
	x = cj_str(a, "name");
	y = cj_str(b, "name");
	return x != NULL && y != NULL && strcmp(x, y) == 0;
}

static struct json_object *
system_index(const char *id, const char *type, const char *field, bool unique)
{
	struct json_object	*o = json_object_new_object(), *f;

	f = json_object_new_array();
	cj_push_str(f, field);
	cj_add_str(o, "id", id);
	cj_add_str(o, "type", type);
	cj_add_str(o, "name", type);
	cj_add(o, "fields", f);
	cj_add_bool(o, "unique", unique);
	cj_add_bool(o, "sparse", false);
	return o;
}

struct json_object *
crd_system_indexes(int type)
{
	struct json_object	*list = json_object_new_array();

	json_object_array_add(list, system_index("0", "primary", "_key",
	    true));
	if (type == 3) {
		json_object_array_add(list, system_index("1", "edge", "_from",
		    false));
		json_object_array_add(list, system_index("2", "edge", "_to",
		    false));
	}
	return list;
}
