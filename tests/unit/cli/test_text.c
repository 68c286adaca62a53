/* test_text.c - tables, and text of strangers on a terminal */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "unit.h"

static void
test_safe(void)
{
	static const struct {
		const char	*in, *out;
	} cases[] = {
		{ "", "" },
		{ "plain", "plain" },
		{ "\x1b[31mred\x7f\n", "?[31mred??" },
		{ "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f" },
		{ "\xc2\x9b" "31m", "??31m" },	/* CSI in one character */
		{ "\xc2\xa0", "\xc2\xa0" },
		{ "a\xff\xc3\xbc", "a???" },	/* no UTF-8 at all */
		{ "cut\xc3", "cut?" }
	};
	char	 s[32];
	size_t	 i;

	for (i = 0; i < NITEMS(cases); i++) {
		strcpy(s, cases[i].in);
		cli_make_safe(s);
		CU_ASSERT_STRING_EQUAL(s, cases[i].out);
	}
}

static char *
print(const struct cli_table *t, size_t indent)
{
	char	*text = NULL;
	size_t	 n;
	FILE	*f = open_memstream(&text, &n);

	cli_table_print(t, indent, f);
	fclose(f);
	return text;
}

static void
test_table(void)
{
	static const char *const	 heads[] = { "A", "Bee", "C", NULL };
	struct cli_table		*t = cli_table_new(heads);
	char				*s;

	CU_ASSERT_EQUAL(cli_table_rows(t), 0);
	s = print(t, 0);
	CU_ASSERT_STRING_EQUAL(s, "A  Bee  C\n");
	free(s);
	cli_table_add(t, "long one");
	cli_table_add(t, NULL);
	cli_table_addf(t, "%d", 7);
	cli_table_add(t, "\xc3\xa4\xc3\xb6");
	cli_table_add(t, "b");
	cli_table_add(t, "x\ny");
	CU_ASSERT_EQUAL(cli_table_rows(t), 2);
	s = print(t, 2);
	CU_ASSERT_STRING_EQUAL(s,
	    "  A         Bee  C\n"
	    "  long one  -    7\n"
	    "  \xc3\xa4\xc3\xb6        b    x?y\n");
	free(s);
	cli_table_free(&t);
	CU_ASSERT_PTR_NULL(t);
	cli_table_free(&t);
}

UNIT_MAIN("text",
    { "what a terminal would obey becomes a question mark", test_safe },
    { "columns are as wide as their widest cell", test_table })
