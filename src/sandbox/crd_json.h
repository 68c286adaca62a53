/*
 * crd_json.h - short words for json-c, which coordinators use for everything
 * but documents.  A JSON null is a NULL pointer there; cj_has() tells it from
 * an attribute that is absent.
 */
#ifndef SANDBOX_CRD_JSON_H
#define SANDBOX_CRD_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include <json-c/json.h>

static inline bool
cj_has(struct json_object *o, const char *name)
{
	return o != NULL && json_object_object_get_ex(o, name, NULL);
}

/* Borrowed; NULL when absent, null, or o is NULL. */
static inline struct json_object *
cj_get(struct json_object *o, const char *name)
{
	struct json_object	*v;

	if (o == NULL || !json_object_is_type(o, json_type_object) ||
	    !json_object_object_get_ex(o, name, &v))
		return NULL;
	return v;
}

static inline bool
cj_is_string(struct json_object *v)
{
	return v != NULL && json_object_is_type(v, json_type_string);
}

static inline bool
cj_is_int(struct json_object *v)
{
	return v != NULL && json_object_is_type(v, json_type_int);
}

static inline bool
cj_is_number(struct json_object *v)
{
	return v != NULL && (json_object_is_type(v, json_type_int) ||
	    json_object_is_type(v, json_type_double));
}

static inline bool
cj_is_bool(struct json_object *v)
{
	return v != NULL && json_object_is_type(v, json_type_boolean);
}

static inline bool
cj_is_array(struct json_object *v)
{
	return v != NULL && json_object_is_type(v, json_type_array);
}

static inline bool
cj_is_object(struct json_object *v)
{
	return v != NULL && json_object_is_type(v, json_type_object);
}

/* The string, or NULL when it is none. */
static inline const char *
cj_str(struct json_object *o, const char *name)
{
	struct json_object	*v = cj_get(o, name);

	return cj_is_string(v) ? json_object_get_string(v) : NULL;
}

/* The boolean, or the fallback when it is none. */
static inline bool
cj_bool(struct json_object *o, const char *name, bool fallback)
{
	struct json_object	*v = cj_get(o, name);

	return cj_is_bool(v) ? json_object_get_boolean(v) : fallback;
}

/* The number as integer, or the fallback when it is none. */
static inline int64_t
cj_int(struct json_object *o, const char *name, int64_t fallback)
{
	struct json_object	*v = cj_get(o, name);

	return cj_is_number(v) ? json_object_get_int64(v) : fallback;
}

static inline void
cj_add(struct json_object *o, const char *name, struct json_object *v)
{
	json_object_object_add(o, name, v);
}

static inline void
cj_add_str(struct json_object *o, const char *name, const char *v)
{
	json_object_object_add(o, name, json_object_new_string(v));
}

static inline void
cj_add_bool(struct json_object *o, const char *name, bool v)
{
	json_object_object_add(o, name, json_object_new_boolean(v));
}

static inline void
cj_add_int(struct json_object *o, const char *name, int64_t v)
{
	json_object_object_add(o, name, json_object_new_int64(v));
}

/* Another reference to a value that stays where it is (null too). */
static inline void
cj_add_ref(struct json_object *o, const char *name, struct json_object *v)
{
	json_object_object_add(o, name, json_object_get(v));
}

/* Add what the other object has under that name, if it has it. */
static inline void
cj_copy(struct json_object *to, struct json_object *from, const char *name)
{
	if (cj_has(from, name))
		cj_add_ref(to, name, cj_get(from, name));
}

static inline void
cj_push_str(struct json_object *array, const char *v)
{
	json_object_array_add(array, json_object_new_string(v));
}

/* A copy that shares nothing with v. */
static inline struct json_object *
cj_clone(struct json_object *v)
{
	struct json_object	*copy = NULL;

	if (v != NULL && json_object_deep_copy(v, &copy, NULL) != 0)
		return NULL;
	return copy;
}

/* The same value?  Order of attributes does not matter. */
static inline bool
cj_equal(struct json_object *a, struct json_object *b)
{
	return a == b || (a != NULL && b != NULL && json_object_equal(a, b));
}

#endif
