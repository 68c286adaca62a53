/*
 * inventory_arrival.c - the structure of the source as it arrives; see
 * inventory_priv.h
 */
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "base/crc32c.h"
#include "base/str.h"
#include "inventory/inventory_priv.h"
#include "json/get.h"

void
inv_arrival_put(struct inv_arrival *x, const void *text, size_t len,
    uint64_t now_ms)
{
	buf_reset(&x->text);
	buf_append(&x->text, text, len);
	x->arrived_ms = now_ms;
}

/*
 * When it was read, on our clock.  Reads of one reader are as far apart as it
 * says; those of another one as their arrivals.
 */
static void
take_time(struct inv_arrival *x, struct json_object *o)
{
	const char	*reader = json_string_or(o, "x.reader", "");
	uint64_t	 ms = 0;

	if (json_want_uint(o, "x.ms", &ms, NULL) == 0 && *reader != '\0' &&
	    strcmp(reader, x->reader) == 0) {
		if (ms > x->reader_ms)
			x->read_ms += ms - x->reader_ms;
	} else {
		x->read_ms = MAX(x->read_ms, x->arrived_ms);
		(void)str_copy(x->reader, sizeof(x->reader), reader);
	}
	x->reader_ms = ms;
}

/* Everything but who read it when, which is the last member. */
static uint32_t
sum_of(struct buf *text)
{
	char	*p = buf_cstr(text), *x = NULL, *q;

	for (q = p; (q = strstr(q, ",\"x\":{\"reader\":")) != NULL; q++)
		x = q;
	return crc32c(0, p, x != NULL ? (size_t)(x - p) : text->len);
}

static int
parse(struct inv_arrival *x, bool *changed)
{
	struct json_object	*o, *v;
	struct structure	*st;
	size_t			 len = x->text.len;
	uint32_t		 sum = sum_of(&x->text);
	int			 r;

	if ((r = json_parse((char *)x->text.data, len, &o, &x->bad)) != 0)
		return r;
	if ((r = structure_from_json(o, &st, &x->bad)) == 0) {
		*changed = x->st == NULL || sum != x->sum;
		x->sum = sum;
		structure_free(&x->st);
		x->st = st;
		take_time(x, o);
		v = json_at(o, "x.views");
		json_object_put(x->views);
		x->views = json_object_is_type(v, json_type_array) ?
		    json_object_get(v) : NULL;
	}
	json_object_put(o);
	return r;
}

int
inv_arrival_take(struct inv_arrival *x, bool *changed, struct err_msg *m)
{
	struct err_msg	 why;

	*changed = false;
	if (x->text.len != 0) {
		*x->bad.text = '\0';
		if (parse(x, changed) != 0) {
			why = x->bad;
			(void)err_set(&x->bad, 0, "the structure that the "
			    "source sends cannot be read: %.400s", why.text);
		}
		buf_free(&x->text);
	}
	*m = x->bad;
	return *x->bad.text != '\0' ? ERR_FORMAT : 0;
}

void
inv_arrival_free(struct inv_arrival *x)
{
	buf_free(&x->text);
	structure_free(&x->st);
	json_object_put(x->views);
	memset(x, 0, sizeof(*x));
}
