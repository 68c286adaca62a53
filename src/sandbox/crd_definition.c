/* crd_definition.c - names and definitions of collections */
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "sandbox/crd_definition.h"
#include "sandbox/crd_json.h"
#include "vpack/vpack.h"

#define NAME_MAX_DATABASE	64
#define NAME_MAX_DATABASE_EXT	128
#define NAME_MAX_COLLECTION	256
#define SHARD_KEYS_MAX		8

#define V3_9	30900
#define V3_10	31000
#define V3_12	31200
#define V3_12_5	31205

bool
crd_has_enterprise(const struct crd_rules *rules)
{
	return rules->enterprise || rules->version >= V3_12_5;
}

/* ---- names ----------------------------------------------------------------- */

static bool
is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
is_name_char(char c)
{
	return is_alpha(c) || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

static bool
traditional_ok(const char *name, size_t max, bool underscore)
{
	size_t	 i, len = strlen(name);

	if (len == 0 || len > max ||
	    !(is_alpha(name[0]) || (underscore && name[0] == '_')))
		return false;
	for (i = 1; i < len; i++)
		if (!is_name_char(name[i]))
			return false;
	return true;
}

static bool
extended_ok(const char *name, size_t max)
{
	size_t	 i, len = strlen(name);

	if (len == 0 || len > max || !vp_utf8_ok(name, len) ||
	    name[0] == '_' || name[0] == '.' || name[0] == ' ' ||
	    (name[0] >= '0' && name[0] <= '9') || name[len - 1] == ' ')
		return false;
	for (i = 0; i < len; i++)
		if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f ||
		    name[i] == '/' || name[i] == ':')
			return false;
	return true;
}

bool
crd_database_name_ok(const char *name, int version)
{
	return traditional_ok(name, NAME_MAX_DATABASE, false) ||
	    (version >= V3_12 && extended_ok(name, NAME_MAX_DATABASE_EXT));
}

bool
crd_collection_name_ok(const char *name, bool system, int version)
{
	return traditional_ok(name, NAME_MAX_COLLECTION, system) ||
	    (version >= V3_12 && extended_ok(name, NAME_MAX_COLLECTION));
}

bool
crd_index_name_ok(const char *name, int version)
{
	return traditional_ok(name, NAME_MAX_COLLECTION, true) ||
	    (version >= V3_12 && extended_ok(name, NAME_MAX_COLLECTION));
}

/* ---- pieces of a collection ------------------------------------------------ */

static int
bad(struct err_msg *em, const char *text)
{
	err_set(em, AE_BAD_PARAMETER, "%s", text);
	return AE_BAD_PARAMETER;
}

/*
 * 2 or 3.  Before 3.12 whatever is no edge type means documents; 3.12 refuses
 * what it does not know.
 */
static int
define_type(const struct crd_rules *rules, struct json_object *body, int *type)
{
	struct json_object	*v = cj_get(body, "type");
	const char		*s = cj_str(body, "type");

	*type = 2;
	if (v == NULL)
		return AE_OK;
	if (s != NULL && (strcmp(s, "edge") == 0 || strcmp(s, "3") == 0)) {
		*type = 3;
		return AE_OK;
	}
	if (cj_is_number(v) && json_object_get_int64(v) == 3) {
		*type = 3;
		return AE_OK;
	}
	if (rules->version >= V3_12 && !(cj_is_number(v) &&
	    json_object_get_int64(v) == 2) && !(s != NULL &&
	    (strcmp(s, "document") == 0 || strcmp(s, "2") == 0)))
		return AE_COLLECTION_TYPE_INVALID;
	return AE_OK;
}

static bool
wants_satellite(struct json_object *body)
{
	struct json_object	*v = cj_get(body, "replicationFactor");
	const char		*s = cj_str(body, "replicationFactor");

	return (s != NULL && strcmp(s, "satellite") == 0) ||
	    (cj_is_number(v) && json_object_get_int64(v) == 0);
}

/* Checks that creating and changing have in common. */
static int
check_replication(const struct crd_rules *rules, struct json_object *body,
    struct err_msg *em)
{
	struct json_object	*rf = cj_get(body, "replicationFactor");
	struct json_object	*wc = cj_get(body, "writeConcern");
	struct json_object	*min = cj_get(body, "minReplicationFactor");
	int64_t			 n;

	n = cj_int(body, "numberOfShards", 0);
	if (n > CRD_MAX_SHARDS) {
		err_set(em, AE_TOO_MANY_SHARDS, "too many shards. maximum "
		    "number of shards is %d", CRD_MAX_SHARDS);
		return AE_TOO_MANY_SHARDS;
	}
	if (cj_is_number(wc) && cj_is_number(min) &&
	    json_object_get_int64(wc) != json_object_get_int64(min))
		return bad(em, "got ambiguous values for writeConcern and "
		    "minReplicationFactor");
	if (!rules->enforce)
		return AE_OK;
	if (cj_is_number(rf)) {
		n = json_object_get_int64(rf);
		if (n == 0)
			return AE_OK;
		if (n < 0)
			return bad(em, "invalid value for replicationFactor");
		if (n > CRD_MAX_REPLICATION) {
			err_set(em, AE_BAD_PARAMETER, "replicationFactor must "
			    "not be higher than maximum allowed "
			    "replicationFactor (%d)", CRD_MAX_REPLICATION);
			return AE_BAD_PARAMETER;
		}
		if ((uint64_t)n > rules->dbservers)
			return AE_INSUFFICIENT_DBSERVERS;
	}
	if (cj_is_string(rf))
		return AE_OK;
	if (!cj_is_number(wc))
		wc = min;
	if (cj_is_number(wc)) {
		n = json_object_get_int64(wc);
		if (n <= 0)
			return bad(em, wc == min ?
			    "invalid value for minReplicationFactor" :
			    "invalid value for writeConcern");
		if ((uint64_t)n > rules->dbservers)
			return AE_INSUFFICIENT_DBSERVERS;
	}
	return AE_OK;
}

static int
define_replication(const struct crd_rules *rules, struct json_object *body,
    bool system, struct json_object *def, struct err_msg *em)
{
	struct json_object	*v = cj_get(body, "replicationFactor");
	int64_t			 rf, wc;

	if (wants_satellite(body)) {
		if (!crd_has_enterprise(rules)) {
			if (rules->version >= V3_12) {
				err_set(em, AE_ONLY_ENTERPRISE, "satellite "
				    "collections are only available in the "
				    "Enterprise Edition");
				return AE_ONLY_ENTERPRISE;
			}
			return bad(em, "invalid replicationFactor");
		}
		cj_add_str(def, "replicationFactor", "satellite");
		cj_add_int(def, "writeConcern", 0);
		cj_add_int(def, "minReplicationFactor", 0);
		return AE_OK;
	}
	rf = rules->replication_factor;
	if (system)
		rf = MAX(rf, (int64_t)MIN((size_t)CRD_SYSTEM_REPLICATION,
		    rules->dbservers));
	if (cj_has(body, "replicationFactor")) {
		if (!cj_is_number(v) || (rf = json_object_get_int64(v)) < 0)
			return bad(em, "invalid replicationFactor");
	}
	wc = rules->write_concern;
	v = cj_has(body, "writeConcern") ? cj_get(body, "writeConcern") :
	    cj_get(body, "minReplicationFactor");
	if (v != NULL && !cj_is_number(v))
		return bad(em, "writeConcern needs to be an integer number");
	if (v != NULL && (wc = json_object_get_int64(v)) == 0)
		return bad(em, "writeConcern cannot be 0");
	/* A database's own writeConcern does not refuse a collection. */
	if (v == NULL && wc > rf)
		wc = rf;
	if (wc > rf) {
		err_set(em, AE_BAD_PARAMETER, "replicationFactor cannot be "
		    "smaller than writeConcern (%lld < %lld)", (long long)rf,
		    (long long)wc);
		return AE_BAD_PARAMETER;
	}
	cj_add_int(def, "replicationFactor", rf);
	cj_add_int(def, "writeConcern", wc);
	cj_add_int(def, "minReplicationFactor", wc);
	return AE_OK;
}

static int
define_shard_keys(const struct crd_rules *rules, struct json_object *body,
    struct json_object *def, struct err_msg *em)
{
	struct json_object	*in = cj_get(body, "shardKeys"), *out, *v;
	size_t			 i, n, len;
	const char		*key, *bare;

	out = json_object_new_array();
	cj_add(def, "shardKeys", out);
	if (wants_satellite(body))
		in = NULL;
	if (in != NULL && !cj_is_array(in))
		return bad(em, "invalid number of shard keys for collection");
	for (i = 0, n = in == NULL ? 0 : json_object_array_length(in);
	    i < n; i++) {
		v = json_object_array_get_idx(in, i);
		if (!cj_is_string(v))
			continue;
		key = json_object_get_string(v);
		len = strlen(key);
		bare = key[0] == ':' ? key + 1 : key;
		len = strlen(bare);
		if (bare == key && len > 0 && key[len - 1] == ':')
			len--;
		if ((len == 3 && strncmp(bare, "_id", 3) == 0) ||
		    (len == 4 && strncmp(bare, "_rev", 4) == 0)) {
			if (rules->version >= V3_9)
				return bad(em, "_id or _rev cannot be used as "
				    "shard keys");
			continue;
		}
		if (len > 0)
			cj_push_str(out, key);
	}
	if (json_object_array_length(out) == 0)
		cj_push_str(out, "_key");
	if (json_object_array_length(out) > SHARD_KEYS_MAX)
		return bad(em, "invalid number of shard keys for collection");
	return AE_OK;
}

static int
define_sharding(const struct crd_rules *rules, struct json_object *body,
    struct json_object *def, struct err_msg *em)
{
	static const char *const known[] = { "hash", "community-compat",
	    "enterprise-compat", "enterprise-smart-edge-compat",
	    "enterprise-hash-smart-edge", "enterprise-hex-smart-vertex" };
	struct json_object	*v;
	const char		*strategy = cj_str(body, "shardingStrategy");
	int64_t			 n;
	size_t			 i;

	v = cj_get(body, "numberOfShards");
	n = cj_int(body, "numberOfShards", 1);
	if ((v != NULL && !cj_is_number(v)) || n <= 0)
		return bad(em, "invalid number of shards");
	if (wants_satellite(body))
		n = 1;
	cj_add_int(def, "numberOfShards", n);
	v = cj_get(body, "distributeShardsLike");
	if (v != NULL && !cj_is_string(v))
		return bad(em, "invalid non-string value for "
		    "'distributeShardsLike'");
	if (v != NULL && json_object_get_string_len(v) > 0 &&
	    !wants_satellite(body))
		cj_add_ref(def, "distributeShardsLike", v);
	if (strategy == NULL)
		strategy = "hash";
	for (i = 0; i < NITEMS(known); i++)
		if (strcmp(strategy, known[i]) == 0)
			break;
	if (i == NITEMS(known)) {
		err_set(em, AE_BAD_PARAMETER, "unknown sharding type '%s'",
		    strategy);
		return AE_BAD_PARAMETER;
	}
	if (i > 1 && !crd_has_enterprise(rules)) {
		err_set(em, AE_ONLY_ENTERPRISE, "sharding strategy '%s' is "
		    "only available in the Enterprise Edition of ArangoDB",
		    strategy);
		return AE_ONLY_ENTERPRISE;
	}
	cj_add_str(def, "shardingStrategy", strategy);
	return define_shard_keys(rules, body, def, em);
}

static int
key_error(struct err_msg *em, const char *text)
{
	err_set(em, AE_INVALID_KEY_GENERATOR, "%s", text);
	return AE_INVALID_KEY_GENERATOR;
}

static int
define_key_options(struct json_object *body, int64_t nshards,
    struct json_object *def, struct err_msg *em)
{
	struct json_object	*in = cj_get(body, "keyOptions"), *out, *v;
	const char		*type = "traditional";
	int64_t			 increment, offset;

	if (in != NULL && !cj_is_object(in))
		in = NULL;
	if (in != NULL && cj_get(in, "type") != NULL &&
	    (type = cj_str(in, "type")) == NULL)
		return key_error(em, "key generator type needs to be a "
		    "string");
	v = cj_get(in, "allowUserKeys");
	if (v != NULL && !cj_is_bool(v))
		return bad(em, "expecting boolean value for "
		    "'keyOptions.allowUserKeys'");
	out = json_object_new_object();
	cj_add(def, "keyOptions", out);
	cj_add_bool(out, "allowUserKeys",
	    cj_bool(in, "allowUserKeys", true));
	cj_add_str(out, "type", type);
	if (strcmp(type, "traditional") == 0 || strcmp(type, "padded") == 0 ||
	    strcmp(type, "uuid") == 0)
		return AE_OK;
	if (strcmp(type, "autoincrement") != 0) {
		err_set(em, AE_INVALID_KEY_GENERATOR, "invalid key generator "
		    "type '%s'", type);
		return AE_INVALID_KEY_GENERATOR;
	}
	if (nshards > 1) {
		err_set(em, AE_CLUSTER_UNSUPPORTED, "the specified key "
		    "generator is not supported for collections with more "
		    "than one shard");
		return AE_CLUSTER_UNSUPPORTED;
	}
	increment = cj_int(in, "increment", 1);
	offset = cj_int(in, "offset", 0);
	v = cj_get(in, "increment");
	if ((v != NULL && !cj_is_number(v)) || increment <= 0 ||
	    increment >= 1LL << 16)
		return key_error(em, "increment value must be greater than "
		    "zero and smaller than 65536");
	v = cj_get(in, "offset");
	if ((v != NULL && !cj_is_number(v)) || offset < 0)
		return key_error(em, "offset value must be zero or greater");
	cj_add_int(out, "offset", offset);
	cj_add_int(out, "increment", increment);
	cj_add_int(out, "lastValue", 0);
	return AE_OK;
}

static int
schema_error(struct err_msg *em, const char *text)
{
	err_set(em, AE_VALIDATION_BAD_PARAMETER, "%s", text);
	return AE_VALIDATION_BAD_PARAMETER;
}

/* null and {} mean none. */
static int
define_schema(struct json_object *in, struct json_object **out,
    struct err_msg *em)
{
	static const char *const levels[] = { "none", "new", "moderate",
	    "strict" };
	struct json_object	*v;
	const char		*level = "strict";
	size_t			 i;

	*out = NULL;
	if (in == NULL)
		return AE_OK;
	if (!cj_is_object(in))
		return schema_error(em, "Schema description is not an "
		    "object.");
	if (json_object_object_length(in) == 0)
		return AE_OK;
	if (!cj_is_object(cj_get(in, "rule")))
		return schema_error(em, "Schema rule must be an object.");
	v = cj_get(in, "level");
	if (v != NULL && (level = cj_str(in, "level")) == NULL)
		return schema_error(em, "Validation level must be a string.");
	for (i = 0; i < NITEMS(levels); i++)
		if (strcmp(level, levels[i]) == 0)
			break;
	if (i == NITEMS(levels))
		return schema_error(em, "Valid validation levels are: none, "
		    "new, moderate, strict");
	v = cj_get(in, "message");
	if (v != NULL && !cj_is_string(v))
		return schema_error(em, "Validation message must be a "
		    "string.");
	*out = json_object_new_object();
	cj_copy(*out, in, "rule");
	cj_add_str(*out, "level", level);
	cj_add_str(*out, "message", v == NULL ? "" :
	    json_object_get_string(v));
	cj_add_str(*out, "type", "json");
	return AE_OK;
}

static int
define_computed_value(struct json_object *in, struct json_object **out,
    struct err_msg *em)
{
	struct json_object	*on;

	if (!cj_is_object(in))
		return bad(em, "invalid 'computedValues' entry: not an "
		    "object");
	if (cj_str(in, "name") == NULL || cj_str(in, "name")[0] == '\0')
		return bad(em, "invalid 'computedValues' entry: invalid "
		    "attribute name");
	if (cj_str(in, "expression") == NULL)
		return bad(em, "invalid 'computedValues' entry: invalid "
		    "expression");
	if (!cj_is_bool(cj_get(in, "overwrite")))
		return bad(em, "invalid 'computedValues' entry: 'overwrite' "
		    "must be a boolean");
	*out = json_object_new_object();
	cj_copy(*out, in, "name");
	cj_copy(*out, in, "expression");
	on = cj_get(in, "computeOn");
	if (cj_is_array(on)) {
		cj_add_ref(*out, "computeOn", on);
	} else {
		on = json_object_new_array();
		cj_push_str(on, "insert");
		cj_push_str(on, "update");
		cj_push_str(on, "replace");
		cj_add(*out, "computeOn", on);
	}
	cj_copy(*out, in, "overwrite");
	cj_add_bool(*out, "failOnWarning",
	    cj_bool(in, "failOnWarning", false));
	cj_add_bool(*out, "keepNull", cj_bool(in, "keepNull", true));
	return AE_OK;
}

static int
define_computed(struct json_object *in, struct json_object **out,
    struct err_msg *em)
{
	struct json_object	*one;
	size_t			 i, n;
	int			 r;

	*out = NULL;
	if (in == NULL)
		return AE_OK;
	if (!cj_is_array(in))
		return bad(em, "computedValues must be an array");
	if ((n = json_object_array_length(in)) == 0)
		return AE_OK;
	*out = json_object_new_array();
	for (i = 0; i < n; i++) {
		r = define_computed_value(json_object_array_get_idx(in, i),
		    &one, em);
		if (r != AE_OK) {
			json_object_put(*out);
			*out = NULL;
			return r;
		}
		json_object_array_add(*out, one);
	}
	return AE_OK;
}

/* ---- a collection ---------------------------------------------------------- */

static int
define_smart(const struct crd_rules *rules, struct json_object *body, int type,
    struct json_object *def, struct err_msg *em)
{
	bool	 smart;

	/* Community builds drop these attributes without a word. */
	smart = crd_has_enterprise(rules) && cj_bool(body, "isSmart", false);
	if (smart && type == 3) {
		err_set(em, AE_NOT_IMPLEMENTED, "the sandbox has no smart edge "
		    "collections");
		return AE_NOT_IMPLEMENTED;
	}
	if (smart && wants_satellite(body))
		return bad(em, "'isSmart' and replicationFactor 'satellite' "
		    "cannot be combined");
	cj_add_bool(def, "isSmart", smart);
	cj_add_bool(def, "isSmartChild", false);
	cj_add_bool(def, "isDisjoint",
	    smart && cj_bool(body, "isDisjoint", false));
	if (crd_has_enterprise(rules)) {
		if (cj_str(body, "smartGraphAttribute") != NULL)
			cj_copy(def, body, "smartGraphAttribute");
		if (cj_str(body, "smartJoinAttribute") != NULL)
			cj_copy(def, body, "smartJoinAttribute");
	}
	return AE_OK;
}

static int
define_extras(const struct crd_rules *rules, struct json_object *body,
    struct json_object *def, struct err_msg *em)
{
	struct json_object	*v;
	int			 r;

	if ((r = define_schema(cj_get(body, "schema"), &v, em)) != AE_OK)
		return r;
	cj_add(def, "schema", v);
	if (rules->version >= V3_9)
		cj_add_int(def, "internalValidatorType",
		    cj_int(body, "internalValidatorType", 0));
	if (rules->version < V3_10)
		return AE_OK;
	r = define_computed(cj_get(body, "computedValues"), &v, em);
	if (r == AE_OK)
		cj_add(def, "computedValues", v);
	return r;
}

static void
define_constants(struct json_object *body, int type, bool system,
    struct json_object *def)
{
	cj_add_int(def, "type", type);
	cj_add_int(def, "status", 3);
	cj_add_str(def, "statusString", "loaded");
	cj_add_bool(def, "deleted", false);
	cj_add_bool(def, "isSystem", system);
	cj_add_bool(def, "waitForSync", cj_bool(body, "waitForSync", false));
	cj_add_bool(def, "cacheEnabled",
	    cj_bool(body, "cacheEnabled", false));
	cj_add_bool(def, "usesRevisionsAsDocumentIds", true);
	cj_add_bool(def, "syncByRevision",
	    cj_bool(body, "syncByRevision", true));
	cj_add(def, "indexes", crd_system_indexes(type));
}

int
crd_define_collection(const struct crd_rules *rules, struct json_object *body,
    struct json_object **def, struct err_msg *em)
{
	struct json_object	*d;
	const char		*name = cj_str(body, "name");
	bool			 system;
	int			 type, r;

	*def = NULL;
	em->text[0] = '\0';
	if (name == NULL || name[0] == '\0')
		return AE_ILLEGAL_NAME;
	system = name[0] == '_' && cj_bool(body, "isSystem", false);
	if (!crd_collection_name_ok(name, system, rules->version))
		return AE_ILLEGAL_NAME;
	if ((r = define_type(rules, body, &type)) != AE_OK ||
	    (r = check_replication(rules, body, em)) != AE_OK)
		return r;
	d = json_object_new_object();
	cj_add_str(d, "name", name);
	define_constants(body, type, system, d);
	if ((r = define_sharding(rules, body, d, em)) != AE_OK ||
	    (r = define_replication(rules, body, system, d, em)) != AE_OK ||
	    (r = define_key_options(body, cj_int(d, "numberOfShards", 1), d,
	    em)) != AE_OK ||
	    (r = define_smart(rules, body, type, d, em)) != AE_OK ||
	    (r = define_extras(rules, body, d, em)) != AE_OK) {
		json_object_put(d);
		return r;
	}
	*def = d;
	return AE_OK;
}

int
crd_define_like(struct json_object *def, struct json_object *prototype,
    struct err_msg *em)
{
	static const char *const same[] = { "numberOfShards",
	    "replicationFactor", "shardingStrategy" };
	size_t	 i;

	if (json_object_array_length(cj_get(def, "shardKeys")) !=
	    json_object_array_length(cj_get(prototype, "shardKeys")))
		return bad(em, "cannot distribute shards like a collection "
		    "with a different number of shard key attributes");
	for (i = 0; i < NITEMS(same); i++)
		cj_copy(def, prototype, same[i]);
	if (cj_int(def, "writeConcern", 1) >
	    cj_int(def, "replicationFactor", 1)) {
		cj_copy(def, prototype, "writeConcern");
		cj_copy(def, prototype, "minReplicationFactor");
	}
	return AE_OK;
}

/* ---- changes of a collection ----------------------------------------------- */

static int
change_replication(const struct crd_rules *rules, struct json_object *def,
    struct json_object *body, struct json_object *changes, struct err_msg *em)
{
	struct json_object	*rf = cj_get(body, "replicationFactor");
	struct json_object	*wc = cj_has(body, "writeConcern") ?
	    cj_get(body, "writeConcern") :
	    cj_get(body, "minReplicationFactor");
	int64_t			 old_rf, new_rf, new_wc;
	bool			 satellite;

	satellite = cj_is_string(cj_get(def, "replicationFactor"));
	old_rf = satellite ? 0 : cj_int(def, "replicationFactor", 1);
	new_rf = old_rf;
	new_wc = cj_int(def, "writeConcern", 1);
	if (rf != NULL && !(cj_is_string(rf) && satellite)) {
		if (!cj_is_number(rf) ||
		    (new_rf = json_object_get_int64(rf)) < 0 ||
		    (new_rf == 0 && !satellite))
			return bad(em, "bad value for replicationFactor");
	}
	if ((uint64_t)new_rf > rules->dbservers && new_rf != old_rf)
		return AE_INSUFFICIENT_DBSERVERS;
	if (wc != NULL) {
		if (!cj_is_number(wc) ||
		    ((new_wc = json_object_get_int64(wc)) <= 0 && !satellite))
			return bad(em, "bad value for writeConcern");
		if (new_wc > 0 && (uint64_t)new_wc > rules->dbservers)
			return AE_INSUFFICIENT_DBSERVERS;
	}
	if (new_rf != old_rf && (satellite ||
	    cj_str(def, "distributeShardsLike") != NULL)) {
		err_set(em, AE_FORBIDDEN, satellite ? "satellite collection, "
		    "cannot change replicationFactor" : "cannot change "
		    "replicationFactor of a collection using "
		    "'distributeShardsLike'");
		return AE_FORBIDDEN;
	}
	if (!satellite && new_wc > new_rf) {
		err_set(em, AE_BAD_PARAMETER, "replicationFactor cannot be "
		    "smaller than writeConcern (%lld < %lld)",
		    (long long)new_rf, (long long)new_wc);
		return AE_BAD_PARAMETER;
	}
	if (new_rf != old_rf)
		cj_add_int(changes, "replicationFactor", new_rf);
	if (wc != NULL) {
		cj_add_int(changes, "writeConcern", new_wc);
		cj_add_int(changes, "minReplicationFactor", new_wc);
	}
	return AE_OK;
}

int
crd_define_changes(const struct crd_rules *rules, struct json_object *def,
    struct json_object *body, struct json_object **changes,
    struct err_msg *em)
{
	static const char *const flags[] = { "waitForSync", "cacheEnabled" };
	struct crd_rules	 lenient = *rules;
	struct json_object	*c = json_object_new_object(), *v;
	size_t			 i;
	int			 r;

	*changes = NULL;
	em->text[0] = '\0';
	lenient.enforce = false;
	for (i = 0; i < NITEMS(flags); i++)
		if (cj_is_bool(cj_get(body, flags[i])))
			cj_copy(c, body, flags[i]);
	if ((r = check_replication(&lenient, body, em)) != AE_OK ||
	    (r = change_replication(rules, def, body, c, em)) != AE_OK)
		goto fail;
	if (cj_has(body, "schema")) {
		if ((r = define_schema(cj_get(body, "schema"), &v,
		    em)) != AE_OK)
			goto fail;
		cj_add(c, "schema", v);
	}
	if (cj_has(body, "computedValues") && rules->version >= V3_10) {
		if ((r = define_computed(cj_get(body, "computedValues"), &v,
		    em)) != AE_OK)
			goto fail;
		cj_add(c, "computedValues", v);
	}
	*changes = c;
	return AE_OK;
fail:
	json_object_put(c);
	return r;
}
