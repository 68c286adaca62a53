/*
 * fuzz_agency.c - bodies of writes and reads, as they come over HTTP, on a
 * store: nothing crashes, and a transaction that fails has changed nothing.
 *
 * One input is lines of JSON.  A line that is an array of transactions is
 * written (or read, transaction by transaction), as the agent would.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "json/get.h"
#include "sandbox/agency_store.h"

#define INPUT_MAX	(64 * 1024)

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *
state_text(struct agency_store *s)
{
	struct json_object	*list = json_object_new_array();
	char			*text;

	json_object_array_add(list, agency_store_dump(s));
	json_object_array_add(list, agency_store_dump_ttl_ms(s));
	text = json_to_text(list);
	json_object_put(list);
	return text;
}

/* The same state, whatever the order of names? */
static int
same_state(const char *a, const char *b)
{
	struct json_object	*x = NULL, *y = NULL;
	int			 same;

	if (strcmp(a, b) == 0)
		return 1;
	if (json_parse(a, strlen(a), &x, NULL) != 0 ||
	    json_parse(b, strlen(b), &y, NULL) != 0)
		abort();
	same = json_equal(x, y);
	json_object_put(x);
	json_object_put(y);
	return same;
}

static int
is_paths(struct json_object *trx)
{
	size_t	i;

	if (!json_object_is_type(trx, json_type_array))
		return 0;
	for (i = 0; i < json_object_array_length(trx); i++)
		if (!json_object_is_type(json_object_array_get_idx(trx, i),
		    json_type_string))
			return 0;
	return 1;
}

static void
run_transaction(struct agency_store *s, struct json_object *trx, uint64_t now)
{
	struct json_object	*failed = NULL, *ops;
	struct err_msg		 m;
	char			*before, *after;
	int			 r;

	if (is_paths(trx)) {
		json_object_put(agency_store_read(s, trx));
		return;
	}
	before = state_text(s);
	r = agency_store_validate(trx, &m);
	if (r == 0) {
		ops = json_object_array_get_idx(trx, 0);
		(void)agency_store_is_forbidden(trx);
		r = agency_store_check(s, json_object_array_get_idx(trx, 1),
		    &failed);
		if (r == 0)
			r = agency_store_apply(s, ops, now);
		else
			json_object_put(agency_store_read(s, failed));
		if (r == 0)
			agency_store_append(s, ops, "id", 1, now);
		json_object_put(failed);
	}
	if (r != 0) {
		after = state_text(s);
		if (!same_state(before, after))
			abort();
		free(after);
	}
	free(before);
}

/* Taken to another store, it is the same. */
static void
check_restore(struct agency_store *s)
{
	struct agency_store	*copy = agency_store_new();
	struct json_object	*tree = agency_store_dump(s);
	struct json_object	*ttl = agency_store_dump_ttl_ms(s);
	char			*a = state_text(s), *b;

	if (agency_store_restore(copy, tree, ttl, 1) != 0)
		abort();
	b = state_text(copy);
	if (!same_state(a, b))
		abort();
	free(a);
	free(b);
	json_object_put(tree);
	json_object_put(ttl);
	agency_store_free(&copy);
}

static void
run_line(struct agency_store *s, const char *line, size_t len, uint64_t now)
{
	struct json_object	*body, *ops;
	size_t			 i;

	if ((ops = agency_store_expired(s, now)) != NULL) {
		if (agency_store_apply(s, ops, now) != 0)
			abort();
		json_object_put(ops);
	}
	if (json_parse(line, len, &body, NULL) != 0)
		return;
	if (json_object_is_type(body, json_type_array))
		for (i = 0; i < json_object_array_length(body); i++)
			run_transaction(s, json_object_array_get_idx(body, i),
			    now);
	else
		run_transaction(s, body, now);
	json_object_put(body);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct agency_store	*s;
	const char		*p = (const char *)data, *end = p + size, *nl;
	uint64_t		 now = 1000000;

	if (size > INPUT_MAX)
		return 0;
	s = agency_store_new();
	for (; p < end; p = nl + 1, now += 1500) {
		if ((nl = memchr(p, '\n', (size_t)(end - p))) == NULL)
			nl = end;
		run_line(s, p, (size_t)(nl - p), now);
		if (nl == end)
			break;
	}
	check_restore(s);
	agency_store_free(&s);
	return 0;
}
