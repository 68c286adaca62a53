/* get.c - typed access to control-plane JSON; see get.h */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "json/get.h"

int
json_parse(const char *text, size_t len, struct json_object **out,
    struct err_msg *em)
{
	struct json_tokener	*tok;
	struct json_object	*o;
	int			 r;

	if ((r = json_check(text, len, em)) != 0)
		return r;
	if (len > INT32_MAX)
		return err_set(em, ERR_TOO_BIG, "JSON of %zu bytes", len);
	if ((tok = json_tokener_new_ex(JSON_DEPTH_MAX + 1)) == NULL)
		fatal("out of memory for a JSON parser");
	json_tokener_set_flags(tok,
	    JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	o = json_tokener_parse_ex(tok, text, (int)len);
	/* a number or word at the very end is complete with the next byte */
	if (json_tokener_get_error(tok) == json_tokener_continue)
		o = json_tokener_parse_ex(tok, "", 1);
	if (json_tokener_get_error(tok) != json_tokener_success)
		r = err_set(em, ERR_FORMAT, "%s",
		    json_tokener_error_desc(json_tokener_get_error(tok)));
	json_tokener_free(tok);
	if (r != 0)
		json_object_put(o);
	else
		*out = o;
	return r;
}

#define PLAIN	(JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)

void
json_append(struct buf *out, struct json_object *o)
{
	size_t		 n;
	const char	*s;

	if (o == NULL) {
		buf_append_str(out, "null");
		return;
	}
	s = json_object_to_json_string_length(o, PLAIN, &n);
	if (s == NULL)
		fatal("out of memory for JSON text");
	buf_append(out, s, n);
}

char *
json_to_text(struct json_object *o)
{
	return xstrdup(o == NULL ? "null" :
	    json_object_to_json_string_ext(o, PLAIN));
}

/* ---- paths -------------------------------------------------------------- */

static struct json_object *
step(struct json_object *o, const char *name, size_t len)
{
	struct json_object	*next = NULL;
	char			 key[256];
	char			*end;
	unsigned long		 i;

	if (len >= sizeof(key))
		return NULL;
	memcpy(key, name, len);
	key[len] = '\0';
	if (json_object_is_type(o, json_type_object)) {
		json_object_object_get_ex(o, key, &next);
		return next;
	}
	if (!json_object_is_type(o, json_type_array) || len == 0)
		return NULL;
	i = strtoul(key, &end, 10);
	return *end == '\0' ? json_object_array_get_idx(o, i) : NULL;
}

struct json_object *
json_at(struct json_object *o, const char *path)
{
	const char	*dot;
	size_t		 n;

	while (*path != '\0' && o != NULL) {
		dot = strchr(path, '.');
		n = dot != NULL ? (size_t)(dot - path) : strlen(path);
		o = step(o, path, n);
		path += n + (dot != NULL);
	}
	return o;
}

/* For messages: an empty path has no name. */
static const char *
shown(const char *path)
{
	return *path != '\0' ? path : "the value";
}

/*
 * Find what must be there; with want, absence is 0 with *v = NULL.
 */
static int
find(struct json_object *o, const char *path, bool want,
    struct json_object **v, struct err_msg *em)
{
	*v = json_at(o, path);
	if (*v != NULL || want)
		return 0;
	return err_set(em, ERR_NOT_FOUND, "%s is missing", shown(path));
}

static int
wrong_type(const char *path, const char *type, struct err_msg *em)
{
	return err_set(em, ERR_FORMAT, "%s is not %s", shown(path), type);
}

static int
get_string(struct json_object *o, const char *path, bool want, const char **v,
    struct err_msg *em)
{
	struct json_object	*x;
	const char		*s;
	int			 r;

	if ((r = find(o, path, want, &x, em)) != 0 || x == NULL)
		return r;
	if (!json_object_is_type(x, json_type_string))
		return wrong_type(path, "a string", em);
	s = json_object_get_string(x);
	if (strlen(s) != (size_t)json_object_get_string_len(x))
		return err_set(em, ERR_FORMAT, "%s has a NUL character",
		    shown(path));
	*v = s;
	return 0;
}

/*
 * An integer as sign and magnitude.  Doubles without a fraction are taken:
 * JavaScript writes 1e3.
 */
static int
get_integer(struct json_object *x, const char *path, bool *negative,
    uint64_t *mag, struct err_msg *em)
{
	int64_t		 i;
	double		 d;

	if (json_object_is_type(x, json_type_double)) {
		d = json_object_get_double(x);
		if (d != trunc(d) || fabs(d) > 0x1p53)
			return wrong_type(path, "an integer", em);
		*negative = d < 0;
		*mag = (uint64_t)fabs(d);
		return 0;
	}
	if (!json_object_is_type(x, json_type_int))
		return wrong_type(path, "a number", em);
	i = json_object_get_int64(x);
	*negative = i < 0;
	*mag = i < 0 ? 0 - (uint64_t)i : json_object_get_uint64(x);
	return 0;
}

static int
get_int(struct json_object *o, const char *path, bool want, int64_t min,
    int64_t max, int64_t *v, struct err_msg *em)
{
	struct json_object	*x;
	uint64_t		 mag;
	int64_t			 i;
	bool			 negative;
	int			 r;

	if ((r = find(o, path, want, &x, em)) != 0 || x == NULL)
		return r;
	if ((r = get_integer(x, path, &negative, &mag, em)) != 0)
		return r;
	if (mag > (uint64_t)INT64_MAX + (negative ? 1 : 0))
		return err_set(em, ERR_RANGE, "%s is too large", shown(path));
	i = (int64_t)(negative ? 0 - mag : mag);
	if (i < min || i > max)
		return err_set(em, ERR_RANGE, "%s is %" PRId64 ", not from "
		    "%" PRId64 " to %" PRId64, shown(path), i, min, max);
	*v = i;
	return 0;
}

static int
get_uint(struct json_object *o, const char *path, bool want, uint64_t *v,
    struct err_msg *em)
{
	struct json_object	*x;
	uint64_t		 mag;
	bool			 negative;
	int			 r;

	if ((r = find(o, path, want, &x, em)) != 0 || x == NULL)
		return r;
	if ((r = get_integer(x, path, &negative, &mag, em)) != 0)
		return r;
	if (negative)
		return err_set(em, ERR_RANGE, "%s is negative", shown(path));
	*v = mag;
	return 0;
}

static int
get_double(struct json_object *o, const char *path, bool want, double *v,
    struct err_msg *em)
{
	struct json_object	*x;
	double			 d;
	int			 r;

	if ((r = find(o, path, want, &x, em)) != 0 || x == NULL)
		return r;
	if (!json_object_is_type(x, json_type_double) &&
	    !json_object_is_type(x, json_type_int))
		return wrong_type(path, "a number", em);
	d = json_object_get_double(x);
	if (!isfinite(d))
		return err_set(em, ERR_RANGE, "%s is too large", shown(path));
	*v = d;
	return 0;
}

static int
get_bool(struct json_object *o, const char *path, bool want, bool *v,
    struct err_msg *em)
{
	struct json_object	*x;
	int			 r;

	if ((r = find(o, path, want, &x, em)) != 0 || x == NULL)
		return r;
	if (!json_object_is_type(x, json_type_boolean))
		return wrong_type(path, "true or false", em);
	*v = json_object_get_boolean(x);
	return 0;
}

/* Digits only, no sign, no white space: strtoull is too kind. */
static int
get_id(struct json_object *o, const char *path, bool want, uint64_t *v,
    struct err_msg *em)
{
	struct json_object	*x;
	const char		*s;
	uint64_t		 n = 0;
	unsigned int		 d;
	int			 r;

	if ((r = find(o, path, want, &x, em)) != 0 || x == NULL)
		return r;
	if (json_object_is_type(x, json_type_int))
		return get_uint(o, path, want, v, em);
	if (!json_object_is_type(x, json_type_string))
		return wrong_type(path, "a number in a string", em);
	s = json_object_get_string(x);
	if (*s == '\0')
		return wrong_type(path, "a number in a string", em);
	for (; *s != '\0'; s++) {
		d = (unsigned int)*s - '0';
		if (d > 9)
			return wrong_type(path, "a number in a string", em);
		if (n > (UINT64_MAX - d) / 10)
			return err_set(em, ERR_RANGE, "%s is too large",
			    shown(path));
		n = n * 10 + d;
	}
	*v = n;
	return 0;
}

int
json_need_string(struct json_object *o, const char *path, const char **v,
    struct err_msg *em)
{
	return get_string(o, path, false, v, em);
}

int
json_need_int(struct json_object *o, const char *path, int64_t min,
    int64_t max, int64_t *v, struct err_msg *em)
{
	return get_int(o, path, false, min, max, v, em);
}

int
json_need_uint(struct json_object *o, const char *path, uint64_t *v,
    struct err_msg *em)
{
	return get_uint(o, path, false, v, em);
}

int
json_need_double(struct json_object *o, const char *path, double *v,
    struct err_msg *em)
{
	return get_double(o, path, false, v, em);
}

int
json_need_bool(struct json_object *o, const char *path, bool *v,
    struct err_msg *em)
{
	return get_bool(o, path, false, v, em);
}

int
json_need_object(struct json_object *o, const char *path,
    struct json_object **v, struct err_msg *em)
{
	struct json_object	*x;
	int			 r;

	if ((r = find(o, path, false, &x, em)) != 0)
		return r;
	if (!json_object_is_type(x, json_type_object))
		return wrong_type(path, "an object", em);
	*v = x;
	return 0;
}

int
json_need_array(struct json_object *o, const char *path,
    struct json_object **v, struct err_msg *em)
{
	struct json_object	*x;
	int			 r;

	if ((r = find(o, path, false, &x, em)) != 0)
		return r;
	if (!json_object_is_type(x, json_type_array))
		return wrong_type(path, "an array", em);
	*v = x;
	return 0;
}

int
json_need_id(struct json_object *o, const char *path, uint64_t *v,
    struct err_msg *em)
{
	return get_id(o, path, false, v, em);
}

int
json_want_string(struct json_object *o, const char *path, const char **v,
    struct err_msg *em)
{
	return get_string(o, path, true, v, em);
}

int
json_want_int(struct json_object *o, const char *path, int64_t min,
    int64_t max, int64_t *v, struct err_msg *em)
{
	return get_int(o, path, true, min, max, v, em);
}

int
json_want_uint(struct json_object *o, const char *path, uint64_t *v,
    struct err_msg *em)
{
	return get_uint(o, path, true, v, em);
}

int
json_want_double(struct json_object *o, const char *path, double *v,
    struct err_msg *em)
{
	return get_double(o, path, true, v, em);
}

int
json_want_bool(struct json_object *o, const char *path, bool *v,
    struct err_msg *em)
{
	return get_bool(o, path, true, v, em);
}

int
json_want_id(struct json_object *o, const char *path, uint64_t *v,
    struct err_msg *em)
{
	return get_id(o, path, true, v, em);
}

const char *
json_string_or(struct json_object *o, const char *path, const char *dflt)
{
	json_want_string(o, path, &dflt, NULL);
	return dflt;
}

int64_t
json_int_or(struct json_object *o, const char *path, int64_t dflt)
{
	json_want_int(o, path, INT64_MIN, INT64_MAX, &dflt, NULL);
	return dflt;
}

bool
json_bool_or(struct json_object *o, const char *path, bool dflt)
{
	json_want_bool(o, path, &dflt, NULL);
	return dflt;
}

/* ---- whole values ------------------------------------------------------- */

struct json_object *
json_copy(struct json_object *o)
{
	struct json_object	*copy = NULL;

	if (o == NULL)
		return NULL;
	if (json_object_deep_copy(o, &copy, NULL) != 0)
		fatal("cannot copy JSON: %s", strerror(errno));
	return copy;
}

static bool
is_number(struct json_object *o)
{
	return json_object_is_type(o, json_type_int) ||
	    json_object_is_type(o, json_type_double);
}

static bool
numbers_equal(struct json_object *a, struct json_object *b)
{
	if (json_object_is_type(a, json_type_int) &&
	    json_object_is_type(b, json_type_int))
		return json_object_get_int64(a) == json_object_get_int64(b) &&
		    json_object_get_uint64(a) == json_object_get_uint64(b);
	return json_object_get_double(a) == json_object_get_double(b);
}

static bool
objects_equal(struct json_object *a, struct json_object *b)
{
	struct json_object	*other;

	if (json_object_object_length(a) != json_object_object_length(b))
		return false;
	json_object_object_foreach(a, key, val) {
		if (!json_object_object_get_ex(b, key, &other) ||
		    !json_equal(val, other))
			return false;
	}
	return true;
}

bool
json_equal(struct json_object *a, struct json_object *b)
{
	size_t		 i, n;

	if (a == b)
		return true;
	if (is_number(a) && is_number(b))
		return numbers_equal(a, b);
	if (json_object_get_type(a) != json_object_get_type(b))
		return false;
	switch (json_object_get_type(a)) {
	case json_type_object:
		return objects_equal(a, b);
	case json_type_array:
		n = json_object_array_length(a);
		if (json_object_array_length(b) != n)
			return false;
		for (i = 0; i < n; i++)
			if (!json_equal(json_object_array_get_idx(a, i),
			    json_object_array_get_idx(b, i)))
				return false;
		return true;
	default:
		return json_object_equal(a, b) != 0;
	}
}

void
json_set(struct json_object *o, const char *name, struct json_object *v)
{
	if (json_object_object_add(o, name, v) != 0)
		fatal("out of memory for JSON");
}

void
json_set_string(struct json_object *o, const char *name, const char *v)
{
	json_set(o, name, json_object_new_string(v));
}

void
json_set_int(struct json_object *o, const char *name, int64_t v)
{
	json_set(o, name, json_object_new_int64(v));
}

void
json_set_uint(struct json_object *o, const char *name, uint64_t v)
{
	json_set(o, name, json_object_new_uint64(v));
}

void
json_set_bool(struct json_object *o, const char *name, bool v)
{
	json_set(o, name, json_object_new_boolean(v));
}
