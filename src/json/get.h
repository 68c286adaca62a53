/*
 * get.h - control-plane JSON: strict parsing, and getters over json-c that
 * name the path of what is wrong ("Plan.Version is not a number") instead of
 * returning NULL.
 *
 * Never for documents: those stay VelocyPack or text (src/vpack, scan.h).
 *
 * Paths are member names with dots between them; a name may be the index of an
 * array ("result.0.id").  Names that hold dots themselves are reached with
 * the plain json-c calls.
 */
#ifndef JSON_GET_H
#define JSON_GET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json_object.h>

#include "base/buf.h"
#include "base/err.h"

/* Nesting from which on JSON is refused; the same as for documents. */
#define JSON_DEPTH_MAX	200

/*
 * Is this one JSON text of RFC 8259, in UTF-8, with white space around it at
 * most?  Integers beyond 64 bits, numbers beyond the doubles and names with a
 * NUL character are refused as well, because json-c would change them.
 * 0, ERR_FORMAT or ERR_TOO_BIG (nesting), with what and where in em.
 */
int	json_check(const char *text, size_t len, struct err_msg *em);
/*
 * The same, and make a tree of it, which the caller owns (json_object_put).
 * JSON null gives *out = NULL and 0, as json-c has it.  Of a name that comes
 * twice the last value counts.
 */
int	json_parse(const char *text, size_t len, struct json_object **out,
	    struct err_msg *em);

/* Append as JSON without white space; "/" is not escaped.  NULL is null. */
void	json_append(struct buf *out, struct json_object *o);
/* The same as a string that the caller frees. */
char	*json_to_text(struct json_object *o);

/*
 * What the path leads to; NULL when there is nothing (or null).  An empty path
 * is o itself.  The object stays o's.
 */
struct json_object *json_at(struct json_object *o, const char *path);

/*
 * Values that must be there.  0, ERR_NOT_FOUND ("path is missing") or
 * ERR_FORMAT ("path is not a ..."); numbers ERR_RANGE.  Values are written on
 * success only; strings and objects stay o's.
 */
int	json_need_string(struct json_object *o, const char *path,
	    const char **v, struct err_msg *em);
int	json_need_int(struct json_object *o, const char *path, int64_t min,
	    int64_t max, int64_t *v, struct err_msg *em);
int	json_need_uint(struct json_object *o, const char *path, uint64_t *v,
	    struct err_msg *em);
int	json_need_double(struct json_object *o, const char *path, double *v,
	    struct err_msg *em);
int	json_need_bool(struct json_object *o, const char *path, bool *v,
	    struct err_msg *em);
int	json_need_object(struct json_object *o, const char *path,
	    struct json_object **v, struct err_msg *em);
int	json_need_array(struct json_object *o, const char *path,
	    struct json_object **v, struct err_msg *em);
/*
 * A number as ArangoDB likes to send it: a decimal string ("12345"), or an
 * integer.
 */
int	json_need_id(struct json_object *o, const char *path, uint64_t *v,
	    struct err_msg *em);

/* The same for what may be absent or null: then 0, and *v keeps its value. */
int	json_want_string(struct json_object *o, const char *path,
	    const char **v, struct err_msg *em);
int	json_want_int(struct json_object *o, const char *path, int64_t min,
	    int64_t max, int64_t *v, struct err_msg *em);
int	json_want_uint(struct json_object *o, const char *path, uint64_t *v,
	    struct err_msg *em);
int	json_want_double(struct json_object *o, const char *path, double *v,
	    struct err_msg *em);
int	json_want_bool(struct json_object *o, const char *path, bool *v,
	    struct err_msg *em);
int	json_want_id(struct json_object *o, const char *path, uint64_t *v,
	    struct err_msg *em);

/* Without errors: a default for absent and for the wrong type alike. */
const char *json_string_or(struct json_object *o, const char *path,
	    const char *dflt);
int64_t	json_int_or(struct json_object *o, const char *path, int64_t dflt);
bool	json_bool_or(struct json_object *o, const char *path, bool dflt);

/* A copy that shares nothing; NULL of NULL. */
struct json_object *json_copy(struct json_object *o);
/*
 * Equal by value, whatever the order of members; 1 and 1.0 are equal, as the
 * agency's preconditions have it.
 */
bool	json_equal(struct json_object *a, struct json_object *b);

/* Members by short calls; they consume v and overwrite. */
void	json_set(struct json_object *o, const char *name,
	    struct json_object *v);
void	json_set_string(struct json_object *o, const char *name,
	    const char *v);
void	json_set_int(struct json_object *o, const char *name, int64_t v);
void	json_set_uint(struct json_object *o, const char *name, uint64_t v);
void	json_set_bool(struct json_object *o, const char *name, bool v);

#endif
