/* list.c - lists of a master as tables */
#include "base/clock.h"
#include "cli/list.h"
#include "json/get.h"

void
list_cell(struct cli_table *t, struct json_object *o, const char *path)
{
	cli_table_add(t, json_string_or(o, path, ""));
}

void
list_cell_time(struct cli_table *t, struct json_object *o, const char *path)
{
	char		 text[CLOCK_TEXT_SIZE];
	uint64_t	 us;

	if (clock_parse(json_string_or(o, path, ""), &us) == 0)
		cli_table_add(t, clock_format_s(us, text));
	else
		cli_table_add(t, "");
}

static int
fill(struct cli_table *t, const struct list_spec *spec, struct json_object *a,
    int verbose)
{
	struct err_msg	 m = { "" };
	size_t		 i;

	for (i = 0; i < json_object_array_length(a); i++)
		if (spec->row(t, json_object_array_get_idx(a, i), verbose,
		    &m) != 0) {
			cli_make_safe(m.text);
			return cli_fail("%s: the answer of the master is "
			    "wrong: %s.%zu: %s", spec->failed, spec->name, i,
			    m.text);
		}
	return 0;
}

static int
print_table(const struct list_spec *spec, struct json_object *o, int verbose)
{
	struct json_object	*a = json_at(o, spec->name);
	struct cli_table	*t;
	int			 code;

	/* An empty list may be left out. */
	if (a == NULL || (json_object_is_type(a, json_type_array) &&
	    json_object_array_length(a) == 0)) {
		printf("%s\n", spec->empty);
		return 0;
	}
	if (!json_object_is_type(a, json_type_array))
		return cli_fail("%s: the answer of the master is wrong: %s is "
		    "not an array", spec->failed, spec->name);
	t = cli_table_new(verbose ? spec->verbose_heads : spec->heads);
	if ((code = fill(t, spec, a, verbose)) == 0)
		cli_table_print(t, 0, stdout);
	cli_table_free(&t);
	return code;
}

int
list_print(struct remote *r, const struct conf *c,
    const struct list_spec *spec)
{
	struct json_object	*o;
	struct err_msg		 m = { "" };
	int			 err, code = 0;

	if ((err = remote_get(r, spec->path, &o, &m)) != 0)
		return remote_fail(spec->failed, err, &m);
	if (conf_bool(c, "json"))
		remote_print_json(o);
	else
		code = print_table(spec, o, conf_bool(c, "verbose"));
	json_object_put(o);
	return code;
}
