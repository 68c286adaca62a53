/*
 * vpack.h - VelocyPack: read it, check it, build it, and turn JSON into it
 * and it into JSON.
 *
 * A value ("slice") is a `const uint8_t *` to its first byte; its length is
 * in the bytes themselves.  So bytes of a foreigner must pass vp_validate()
 * once; after that every function here may be called on them and on what is
 * inside them, without a length.  Slices point into the caller's memory and
 * live as long as it does.
 *
 * Objects are built with their attributes stored in the order in which they
 * were added and an index table sorted by name behind them, as arangod's own
 * builder does; iterators go in stored order.
 *
 * Attribute names may be stored as the small numbers that arangod uses for
 * its system attributes (1 _key, 2 _rev, 3 _id, 4 _from, 5 _to); they are
 * read as those names everywhere.  The builder always writes names.
 *
 * Format: VelocyPack.md in the velocypack repository, read with the public
 * sources of arangodb for what it accepts and emits.
 */
#ifndef VPACK_VPACK_H
#define VPACK_VPACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * Nesting of arrays and objects from which on JSON and foreign values are
 * refused (as arangod does, so 199 is accepted).  The builder goes a little
 * deeper, because answers wrap such values once more.
 */
#define VP_DEPTH_MAX	200
#define VP_DEPTH_BUILD	(VP_DEPTH_MAX + 16)

/* Longest value that the builder makes; arangod has the same limit. */
#define VP_SIZE_MAX	UINT32_MAX

enum vp_kind {
	VP_NONE,		/* 0x00: no value */
	VP_ILLEGAL,
	VP_NULL,
	VP_BOOL,
	VP_ARRAY,
	VP_OBJECT,
	VP_DOUBLE,
	VP_DATE,		/* int64 milliseconds since 1970, UTC */
	VP_MINKEY,
	VP_MAXKEY,
	VP_INT,
	VP_UINT,
	VP_SMALLINT,		/* -6..9 in the head byte */
	VP_STRING,
	VP_BINARY,
	VP_EXTERNAL,		/* the rest is never accepted from outside */
	VP_BCD,
	VP_CUSTOM,
	VP_TAGGED,
	VP_RESERVED		/* head bytes without a meaning */
};

/* Ready-made slices. */
extern const uint8_t vp_null[1], vp_true[1], vp_false[1];
extern const uint8_t vp_empty_array[1], vp_empty_object[1];

/* ---- reading ---------------------------------------------------------- */

extern const uint8_t vp_kind_of_head[256];

static inline enum vp_kind
vp_type(const uint8_t *s)
{
	return (enum vp_kind)vp_kind_of_head[*s];
}

/* "object", "number", ... as an error message would say it. */
const char *vp_type_name(const uint8_t *s);

/*
 * Are these exactly len bytes one well-formed value?  Checks every length,
 * padding, index tables, UTF-8 of all strings and names, that names stored as
 * numbers are known ones, and the nesting (VP_DEPTH_MAX).  Refuses externals,
 * BCD, custom and tagged values, None and Illegal.  The index table of an
 * object must list each attribute once, in the order of their names: others
 * search it.
 * 0, ERR_FORMAT, ERR_TRUNCATED (the value is longer than len), ERR_EXISTS (a
 * name twice in one object), ERR_TOO_BIG (nesting) or -ENOMEM; em may be NULL.
 */
int	vp_validate(const uint8_t *p, size_t len, struct err_msg *em);
/* As above for the first value of a longer stretch; *used is its length. */
int	vp_validate_first(const uint8_t *p, size_t len, size_t *used,
	    struct err_msg *em);

/* Length in bytes of a checked value, head included. */
size_t	vp_size(const uint8_t *s);

static inline bool
vp_is_null(const uint8_t *s)
{
	return *s == 0x18;
}

static inline bool
vp_is_bool(const uint8_t *s)
{
	return *s == 0x19 || *s == 0x1a;
}

static inline bool
vp_is_true(const uint8_t *s)
{
	return *s == 0x1a;
}

static inline bool
vp_is_array(const uint8_t *s)
{
	return vp_type(s) == VP_ARRAY;
}

static inline bool
vp_is_object(const uint8_t *s)
{
	return vp_type(s) == VP_OBJECT;
}

static inline bool
vp_is_string(const uint8_t *s)
{
	return *s >= 0x40 && *s <= 0xbf;
}

static inline bool
vp_is_integer(const uint8_t *s)
{
	return *s >= 0x20 && *s <= 0x3f;
}

static inline bool
vp_is_number(const uint8_t *s)
{
	return vp_is_integer(s) || *s == 0x1b;
}

/*
 * The bytes of a string (not NUL-terminated) and their number; NULL when s is
 * not a string.  s may be NULL (an attribute that is not there).
 */
const char *vp_get_string(const uint8_t *s, size_t *len);
/* A string equal to these bytes?  s may be NULL. */
bool	vp_string_is(const uint8_t *s, const char *str, size_t len);
/*
 * Integers of any width; 0, ERR_FORMAT (not an integer) or ERR_RANGE.
 * vp_get_double takes every number.
 */
int	vp_get_int(const uint8_t *s, int64_t *v);
int	vp_get_uint(const uint8_t *s, uint64_t *v);
int	vp_get_double(const uint8_t *s, double *v);
/* Payload of binary, NULL when s is something else. */
const uint8_t *vp_get_binary(const uint8_t *s, size_t *len);
int	vp_get_date(const uint8_t *s, int64_t *ms);

/* Members of an array, attributes of an object, else 0. */
size_t	vp_length(const uint8_t *s);
/* Member i of an array; NULL when it has fewer or s is no array. */
const uint8_t *vp_arr_at(const uint8_t *s, size_t i);
/* Value of an attribute; NULL when absent or s is no object (or NULL). */
const uint8_t *vp_obj_get(const uint8_t *s, const char *key, size_t klen);

/* The same for a literal or other NUL-terminated name. */
static inline const uint8_t *
vp_get(const uint8_t *s, const char *key)
{
	return vp_obj_get(s, key, strlen(key));
}

struct vp_iter {
	const uint8_t	*pos;		/* next member */
	size_t		 left;		/* members not yet given out */
};

struct vp_attr {
	const char	*name;		/* translated when stored as number */
	size_t		 nlen;
	const uint8_t	*key;		/* the name as it is stored */
	const uint8_t	*value;
};

/*
 *	vp_obj_iter(&it, doc);
 *	while (vp_obj_next(&it, &a))
 *		...
 * A value of another type is as an empty one.
 */
void	vp_arr_iter(struct vp_iter *it, const uint8_t *s);
const uint8_t *vp_arr_next(struct vp_iter *it);		/* NULL: end */
void	vp_obj_iter(struct vp_iter *it, const uint8_t *s);
bool	vp_obj_next(struct vp_iter *it, struct vp_attr *a);

/*
 * Order of two values as AQL has it: null < bool < number < string < array <
 * object; numbers by value whatever their type (exactly, also beyond 2^53);
 * strings by bytes, not by locale; objects by their sorted names, an absent
 * attribute being null.  <0, 0, >0.
 */
int	vp_compare(const uint8_t *a, const uint8_t *b);

/* ---- building --------------------------------------------------------- */

struct vp_sort;

struct vp_frame {
	size_t		 start;		/* of the open value, in out */
	size_t		 index;		/* its first entry in offsets */
	bool		 object;
	bool		 compact;
};

/*
 * Appends values to *out, which the caller owns.  One builder serves many
 * values and keeps its memory between them.  Errors stick: the first is kept
 * in err, and vpb_end() reports it, so calls between need no check.
 */
struct vp_builder {
	struct buf	*out;
	size_t		 base;		/* out->len at vpb_start */
	uint32_t	*offsets;	/* of members of open values */
	size_t		 noffsets, coffsets;
	struct vp_sort	*sort;		/* work space of closing objects */
	size_t		 csort;
	size_t		 depth;		/* open arrays and objects */
	size_t		 err_at;	/* byte at which vp_from_json failed */
	bool		 have_key;
	int		 err;
	struct vp_frame	 frames[VP_DEPTH_BUILD];
};

void	vpb_init(struct vp_builder *b, struct buf *out);
void	vpb_free(struct vp_builder *b);		/* not *out */
/* Begin (again) at the present end of out, or of another buffer. */
void	vpb_start(struct vp_builder *b, struct buf *out);
/*
 * 0 when everything that was opened is closed and nothing failed; ERR_EXISTS
 * for a name that came twice, ERR_TOO_BIG for depth or size, ERR_BAD_STATE for
 * a wrong order of calls.  After an error out is as it was at vpb_start().
 */
int	vpb_end(struct vp_builder *b);

void	vpb_open_object(struct vp_builder *b);
void	vpb_open_array(struct vp_builder *b);
/*
 * Without index table (0x14, 0x13): smaller, slower to search.  Every reader
 * knows it, arangod itself stores single-attribute objects so.
 */
void	vpb_open_object_compact(struct vp_builder *b);
void	vpb_open_array_compact(struct vp_builder *b);
void	vpb_close(struct vp_builder *b);

void	vpb_key(struct vp_builder *b, const char *name, size_t len);
void	vpb_null(struct vp_builder *b);
void	vpb_bool(struct vp_builder *b, bool v);
void	vpb_int(struct vp_builder *b, int64_t v);
void	vpb_uint(struct vp_builder *b, uint64_t v);
void	vpb_double(struct vp_builder *b, double v);
/* The caller vouches for UTF-8. */
void	vpb_string(struct vp_builder *b, const char *s, size_t len);
void	vpb_slice(struct vp_builder *b, const uint8_t *slice);

/* The same with the name in front; names are NUL-terminated. */
void	vpb_add_object(struct vp_builder *b, const char *name);
void	vpb_add_array(struct vp_builder *b, const char *name);
void	vpb_add_null(struct vp_builder *b, const char *name);
void	vpb_add_bool(struct vp_builder *b, const char *name, bool v);
void	vpb_add_int(struct vp_builder *b, const char *name, int64_t v);
void	vpb_add_uint(struct vp_builder *b, const char *name, uint64_t v);
void	vpb_add_double(struct vp_builder *b, const char *name, double v);
void	vpb_add_str(struct vp_builder *b, const char *name, const char *v);
void	vpb_add_string(struct vp_builder *b, const char *name, const char *v,
	    size_t len);
void	vpb_add_slice(struct vp_builder *b, const char *name,
	    const uint8_t *slice);

/* ---- JSON --------------------------------------------------------------- */

/*
 * Parse one JSON text (RFC 8259; an UTF-8 byte order mark is skipped, as
 * arangod does) and append it to the builder as the next value: a whole value,
 * the next member, or the value of the attribute whose name was just given.
 * Integers that fit int64 or uint64 stay integers, other numbers become
 * doubles; -0 is the integer 0 and -0.0 a double.
 * ERR_FORMAT, ERR_EXISTS (an attribute name twice in one object), ERR_TOO_BIG
 * (nested too deep), ERR_RANGE (a number beyond the doubles).  em then holds
 * the words arangod has for it ("Expecting digit"), without the position,
 * because arangod's answers have none; that is in b->err_at.  On error the
 * builder and its buffer are as before.
 */
int	vp_from_json(struct vp_builder *b, const char *json, size_t len,
	    struct err_msg *em);
/*
 * The same for the first value of a longer text; *used counts the bytes up to
 * its end.  len == 0 or only white space: ERR_NOT_FOUND.
 */
int	vp_from_json_first(struct vp_builder *b, const char *json, size_t len,
	    size_t *used, struct err_msg *em);

enum {
	/*
	 * Doubles of 2^53 <= |d| < 2^64 exactly and with ".0", as 3.11.12 and
	 * 3.12.3 print them (rule R29); without it as older versions: 2^60 is
	 * 1152921504606847000.
	 */
	VP_JSON_EXACT_DOUBLES	= 1,
	/* Everything beyond ASCII as \uXXXX. */
	VP_JSON_ESCAPE_UNICODE	= 2,
	/* Attributes sorted by name instead of in stored order. */
	VP_JSON_SORTED		= 4,
	/*
	 * What JSON does not have (NaN, infinities, binary, dates, min/max key)
	 * as "(non-representable type double)", which is how arangod's servers
	 * are configured, instead of null.
	 */
	VP_JSON_NAME_UNSUPPORTED = 8
};

/* Append as JSON, without white space. */
void	vp_to_json(struct buf *out, const uint8_t *s, unsigned int flags);
/* One string with quotes and escapes. */
void	vp_string_to_json(struct buf *out, const char *s, size_t len,
	    unsigned int flags);
/* dst needs VP_DOUBLE_TEXT_MAX bytes; returns the length, no NUL. */
#define VP_DOUBLE_TEXT_MAX	32
size_t	vp_double_to_text(char *dst, double v, unsigned int flags);

/* Is this UTF-8 (no surrogates, no overlong forms, at most U+10FFFF)? */
bool	vp_utf8_ok(const char *s, size_t len);

#endif
