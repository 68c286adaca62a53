/*
 * fuzz_inventory_client.c - answers of coordinators: definitions that become
 * requests again, results of batches, messages, versions.
 */
#include <stdlib.h>
#include <string.h>

#include "arango/structure.h"
#include "arango/write.h"
#include "base/err.h"
#include "json/get.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_body(struct json_object *o)
{
	char			*text = json_to_text(o);
	struct err_msg		 m;

	bug_unless(json_object_is_type(o, json_type_object));
	bug_unless(json_check(text, strlen(text), &m) == 0);
	bug_unless(!json_object_object_get_ex(o, "id", NULL));
	free(text);
	json_object_put(o);
}

static void
check_definitions(struct json_object *o)
{
	struct json_object	*list = json_at(o, "collections"), *c, *ix;
	size_t			 i, k;

	if (!json_object_is_type(list, json_type_array))
		return;
	for (i = 0; i < json_object_array_length(list); i++) {
		c = json_object_array_get_idx(list, i);
		if ((ix = json_at(c, "indexes")) != NULL &&
		    json_object_is_type(ix, json_type_array))
			for (k = 0; k < json_object_array_length(ix); k++)
				check_body(arango_index_body(
				    json_object_array_get_idx(ix, k)));
		c = json_at(c, "parameters");
		check_body(arango_collection_body(c, NULL, true));
		check_body(arango_collection_body(c, "p", false));
	}
}

static void
check_results(const uint8_t *data, size_t size, bool vpack, bool remove)
{
	struct arango_write_result	 res;
	size_t				 i;

	memset(&res, 0, sizeof(res));
	arango_write_parse(data, size, vpack, remove, 3, &res);
	for (i = 0; i < res.nerrors; i++)
		bug_unless(res.errors[i].num > 0 && (res.errors[i].pos < 3 ||
		    res.errors[i].pos == SIZE_MAX || size > 3));
	bug_unless(res.nerrors <= res.nerrors_all);
	arango_write_result_free(&res);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arango_version	 v;
	struct json_object	*o;
	char			*key, *index, *text;

	if (json_parse((const char *)data, size, &o, NULL) == 0) {
		check_definitions(o);
		json_object_put(o);
	}
	check_results(data, size, false, false);
	check_results(data, size, false, true);
	check_results(data, size, true, false);
	arango_parse_conflict((const char *)data, size, &key, &index);
	bug_unless(key == NULL || *key != '\0');
	free(key);
	free(index);
	text = xstrndup((const char *)data, size);
	if (arango_version_parse(text, &v) == 0)
		bug_unless(v.major >= 0 && v.minor >= 0 && v.patch >= 0);
	free(text);
	return 0;
}
