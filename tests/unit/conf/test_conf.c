/* test_conf.c - tests of conf: values, command line, file */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fsx.h"
#include "base/str.h"
#include "conf/conf.h"
#include "unit.h"

static const char *const	 editions[] = {
	"community", "enterprise", NULL
};

static int
check_even(const char *value, struct err_msg *m)
{
	if ((value[strlen(value) - 1] - '0') % 2 != 0)
		return err_set(m, ERR_USAGE, "must be even");
	return 0;
}

static const struct conf_option	 options[] = {
	{ .name = "dir", .type = CONF_STRING, .arg = "DIR", .help = "D." },
	{ .name = "dbservers", .type = CONF_INT, .def = "3", .min = 1,
	  .max = 10, .help = "Number." },
	{ .name = "tls", .type = CONF_STRING, .flags = CONF_FILE_PATH },
	{ .name = "edition", .type = CONF_ENUM, .choices = editions,
	  .def = "community" },
	{ .name = "even", .letter = 'e', .type = CONF_INT,
	  .check = check_even },
	{ .name = "verbose", .letter = 'v', .type = CONF_BOOL },
	{ .name = "log.stderr", .letter = 'l', .type = CONF_BOOL,
	  .def = "true" },
	{ .name = "timeout", .type = CONF_DURATION, .def = "1m30s",
	  .min = 1000, .max = 3600000 },
	{ .name = "quota", .type = CONF_BYTES, .def = "32GiB" },
	{ .name = "host", .type = CONF_LIST, .def = "a,b" },
	{ .name = NULL }
};
static const struct conf_option	 more_options[] = {
	{ .name = "cluster.jwt-secret", .alias = "cluster.jwtSecret",
	  .type = CONF_STRING },
	{ .name = "password", .type = CONF_STRING, .flags = CONF_SECRET },
	{ .name = "pin", .type = CONF_INT, .flags = CONF_SECRET },
	{ .name = "endpoint", .type = CONF_ENDPOINT, .min = 8529 },
	{ .name = "master.endpoint", .type = CONF_ENDPOINT_LIST },
	{ .name = "only-args", .type = CONF_STRING, .flags = CONF_NO_FILE },
	{ .name = "secret-mode", .type = CONF_BOOL, .flags = CONF_HIDDEN },
	{ .name = NULL }
};
static const struct conf_option *const	 tables[] = {
	options, more_options, NULL
};

static struct err_msg	 msg;

/* Parse a command line given as one text, words apart by one blank. */
static int
parse(struct conf **c, const char *line)
{
	char	*copy = xstrdup(line), *words[32], *s = copy;
	int	 n = 0, r;

	while (s != NULL && n < 32)
		words[n++] = strsep(&s, " ");
	*c = conf_new(tables);
	msg.text[0] = '\0';
	r = conf_parse_args(*c, line[0] == '\0' ? 0 : n, words, &msg);
	free(copy);
	return r;
}

/* The sentence that a command line ends with. */
static const char *
error_of(const char *line)
{
	struct conf	*c;
	int		 r = parse(&c, line);

	conf_free(&c);
	CU_ASSERT_EQUAL(r, ERR_USAGE);
	return msg.text;
}

static void
test_defaults(void)
{
	struct conf	*c;
	size_t		 n;

	CU_ASSERT_EQUAL(parse(&c, ""), 0);
	CU_ASSERT_PTR_NULL(conf_string(c, "dir"));
	CU_ASSERT_EQUAL(conf_int(c, "dbservers"), 3);
	CU_ASSERT_EQUAL(conf_int(c, "even"), 0);
	CU_ASSERT_EQUAL(conf_enum(c, "edition"), 0);
	CU_ASSERT_STRING_EQUAL(conf_string(c, "edition"), "community");
	CU_ASSERT_FALSE(conf_bool(c, "verbose"));
	CU_ASSERT_TRUE(conf_bool(c, "log.stderr"));
	CU_ASSERT_EQUAL(conf_duration_ms(c, "timeout"), 90000);
	CU_ASSERT_EQUAL(conf_bytes(c, "quota"), UINT64_C(32) << 30);
	CU_ASSERT_STRING_EQUAL(conf_list(c, "host", &n)[1], "b");
	CU_ASSERT_EQUAL(n, 2);
	CU_ASSERT_PTR_NULL(conf_list(c, "master.endpoint", &n)[0]);
	CU_ASSERT_EQUAL(n, 0);
	CU_ASSERT_FALSE(conf_is_set(c, "dbservers"));
	CU_ASSERT_TRUE(conf_has(c, "dir"));
	CU_ASSERT_FALSE(conf_has(c, "dirs"));
	CU_ASSERT_PTR_NULL(conf_args(c, &n)[0]);
	conf_free(&c);
	CU_ASSERT_PTR_NULL(c);
}

static void
test_forms(void)
{
	struct conf	*c;
	size_t		 n;

	CU_ASSERT_EQUAL(parse(&c, "--dir /x --dbservers=7 one --verbose two "
	    "--log.stderr=false --timeout 2m --quota=1.5KiB -e 4 "
	    "--edition enterprise -- --dir -v"), 0);
	CU_ASSERT_STRING_EQUAL(conf_string(c, "dir"), "/x");
	CU_ASSERT_EQUAL(conf_int(c, "dbservers"), 7);
	CU_ASSERT_TRUE(conf_bool(c, "verbose"));
	CU_ASSERT_FALSE(conf_bool(c, "log.stderr"));
	CU_ASSERT_EQUAL(conf_duration_ms(c, "timeout"), 120000);
	CU_ASSERT_EQUAL(conf_bytes(c, "quota"), 1536);
	CU_ASSERT_EQUAL(conf_int(c, "even"), 4);
	CU_ASSERT_EQUAL(conf_enum(c, "edition"), 1);
	CU_ASSERT_EQUAL(conf_args(c, &n) != NULL && n == 4, 1);
	CU_ASSERT_STRING_EQUAL(conf_args(c, NULL)[0], "one");
	CU_ASSERT_STRING_EQUAL(conf_args(c, NULL)[1], "two");
	CU_ASSERT_STRING_EQUAL(conf_args(c, NULL)[2], "--dir");
	CU_ASSERT_STRING_EQUAL(conf_args(c, NULL)[3], "-v");
	CU_ASSERT_TRUE(conf_is_set(c, "dir"));
	conf_free(&c);
}

/* As the original's flag parser: the word behind a bool is an argument. */
static void
test_bool_takes_no_word(void)
{
	struct conf	*c;
	size_t		 n;

	CU_ASSERT_EQUAL(parse(&c, "--verbose false"), 0);
	CU_ASSERT_TRUE(conf_bool(c, "verbose"));
	CU_ASSERT_STRING_EQUAL(conf_args(c, &n)[0], "false");
	conf_free(&c);
	CU_ASSERT_EQUAL(parse(&c, "--verbose --verbose=false"), 0);
	CU_ASSERT_FALSE(conf_bool(c, "verbose"));
	conf_free(&c);
	CU_ASSERT_STRING_EQUAL(error_of("--verbose=yes"),
	    "--verbose=yes: must be true or false");
	CU_ASSERT_STRING_EQUAL(error_of("--verbose="),
	    "--verbose=: must be true or false");
}

static void
test_letters(void)
{
	struct conf	*c;

	CU_ASSERT_EQUAL(parse(&c, "-vl -e8 -5 -"), 0);
	CU_ASSERT_TRUE(conf_bool(c, "verbose"));
	CU_ASSERT_EQUAL(conf_int(c, "even"), 8);
	CU_ASSERT_STRING_EQUAL(conf_args(c, NULL)[0], "-5");
	CU_ASSERT_STRING_EQUAL(conf_args(c, NULL)[1], "-");
	conf_free(&c);
	CU_ASSERT_EQUAL(parse(&c, "-l=false -ve=6"), 0);
	CU_ASSERT_FALSE(conf_bool(c, "log.stderr"));
	CU_ASSERT_EQUAL(conf_int(c, "even"), 6);
	conf_free(&c);
	CU_ASSERT_STRING_EQUAL(error_of("-vx"), "unknown flag -x");
	CU_ASSERT_STRING_EQUAL(error_of("-e"), "--even needs a value (N)");
}

static void
test_last_wins(void)
{
	struct conf	*c;
	size_t		 n;

	CU_ASSERT_EQUAL(parse(&c, "--dbservers 1 --dbservers=2 --host x "
	    "--host=y,z --dir a --dir b"), 0);
	CU_ASSERT_EQUAL(conf_int(c, "dbservers"), 2);
	CU_ASSERT_STRING_EQUAL(conf_string(c, "dir"), "b");
	/* A list grows, but not on top of its default. */
	CU_ASSERT_STRING_EQUAL(conf_list(c, "host", &n)[0], "x");
	CU_ASSERT_EQUAL(n, 3);
	CU_ASSERT_STRING_EQUAL(conf_list(c, "host", &n)[2], "z");
	CU_ASSERT_PTR_NULL(conf_list(c, "host", &n)[3]);
	conf_free(&c);
	CU_ASSERT_EQUAL(parse(&c, "--host="), 0);
	CU_ASSERT_PTR_NULL(conf_list(c, "host", &n)[0]);
	CU_ASSERT_TRUE(conf_is_set(c, "host"));
	conf_free(&c);
}

static void
test_alias(void)
{
	struct conf	*c;

	CU_ASSERT_EQUAL(parse(&c, "--cluster.jwtSecret /s"), 0);
	CU_ASSERT_STRING_EQUAL(conf_string(c, "cluster.jwt-secret"), "/s");
	conf_free(&c);
}

static void
test_endpoints(void)
{
	static const struct {
		const char	*in, *out;
	} good[] = {
		{ "http://h:1", "http://h:1" },
		{ "https://Host.Example:8529/", "https://host.example:8529" },
		{ "tcp://127.0.0.1:8530", "http://127.0.0.1:8530" },
		{ "ssl://[::1]:8529", "https://[::1]:8529" },
		{ "http://h", "http://h:8529" }
	};
	static const char *const	 bad[] = {
		"", "h:1", "ftp://h:1", "http://", "http://:1", "http://h:",
		"http://h:0", "http://h:65536", "http://h:1/path",
		"http://u@h:1", "http://h:1?x", "http://[::1:1",
		"http://h h:1", "http://h:+1", "HTTP//h:1"
	};
	struct conf			*c;
	char				*text;
	size_t				 i, n;

	for (i = 0; i < NITEMS(good); i++) {
		CU_ASSERT_EQUAL_FATAL(conf_endpoint_normalize(good[i].in, 8529,
		    &text), 0);
		CU_ASSERT_STRING_EQUAL(text, good[i].out);
		free(text);
	}
	for (i = 0; i < NITEMS(bad); i++)
		CU_ASSERT_EQUAL(conf_endpoint_normalize(bad[i], 8529, &text),
		    ERR_FORMAT);
	CU_ASSERT_EQUAL(conf_endpoint_normalize("http://h", 0, &text),
	    ERR_FORMAT);
	CU_ASSERT_EQUAL(parse(&c, "--endpoint tcp://A --master.endpoint "
	    "http://x:1,ssl://y:2 --master.endpoint=http://z:3"), 0);
	CU_ASSERT_STRING_EQUAL(conf_string(c, "endpoint"), "http://a:8529");
	CU_ASSERT_STRING_EQUAL(conf_list(c, "master.endpoint", &n)[1],
	    "https://y:2");
	CU_ASSERT_EQUAL(n, 3);
	conf_free(&c);
	CU_ASSERT_STRING_EQUAL(error_of("--master.endpoint http://x:1,y"),
	    "--master.endpoint=http://x:1,y: must be an endpoint such as "
	    "https://host:8529");
}

static void
test_errors(void)
{
	CU_ASSERT_STRING_EQUAL(error_of("--dbserver 3"),
	    "unknown flag --dbserver; did you mean --dbservers?");
	CU_ASSERT_STRING_EQUAL(error_of("--dbserver=3"),
	    "unknown flag --dbserver; did you mean --dbservers?");
	CU_ASSERT_STRING_EQUAL(error_of("--nothing-like-it"),
	    "unknown flag --nothing-like-it");
	CU_ASSERT_STRING_EQUAL(error_of("--secret-mod"),
	    "unknown flag --secret-mod");
	CU_ASSERT_STRING_EQUAL(error_of("--=3"), "unknown flag --");
	CU_ASSERT_STRING_EQUAL(error_of("--dir"),
	    "--dir needs a value (DIR)");
	CU_ASSERT_STRING_EQUAL(error_of("--dbservers 11"),
	    "--dbservers=11: must be between 1 and 10");
	CU_ASSERT_STRING_EQUAL(error_of("--dbservers 99999999999999999999"),
	    "--dbservers=99999999999999999999: must be between 1 and 10");
	CU_ASSERT_STRING_EQUAL(error_of("--dbservers x"),
	    "--dbservers=x: must be a whole number");
	CU_ASSERT_STRING_EQUAL(error_of("--even 3"),
	    "--even=3: must be even");
	CU_ASSERT_STRING_EQUAL(error_of("--even 99999999999999999999"),
	    "--even=99999999999999999999: is too large");
	CU_ASSERT_STRING_EQUAL(error_of("--timeout 5"), "--timeout=5: must "
	    "be a duration such as 300ms, 90s or 1h30m");
	CU_ASSERT_STRING_EQUAL(error_of("--timeout 5ms"),
	    "--timeout=5ms: must be between 1s and 1h0m0s");
	CU_ASSERT_STRING_EQUAL(error_of("--timeout -5s"),
	    "--timeout=-5s: must not be negative");
	CU_ASSERT_STRING_EQUAL(error_of("--quota 5x"), "--quota=5x: must be a "
	    "number of bytes such as 4096, 64KiB or 32GiB");
	CU_ASSERT_STRING_EQUAL(error_of("--quota 9000PiB"),
	    "--quota=9000PiB: is too large");
	CU_ASSERT_STRING_EQUAL(error_of("--edition foo"),
	    "--edition=foo: must be community or enterprise");
	CU_ASSERT_STRING_EQUAL(error_of("--host a,,b"),
	    "--host=a,,b: has an empty element");
	CU_ASSERT_STRING_EQUAL(error_of("--host a,"),
	    "--host=a,: has an empty element");
	CU_ASSERT_STRING_EQUAL(error_of("--host ,"),
	    "--host=,: has an empty element");
	CU_ASSERT_STRING_EQUAL(error_of("--tls="),
	    "Missing filename for option --tls");
	/* A secret is in no message. */
	CU_ASSERT_STRING_EQUAL(error_of("--pin 12x4"),
	    "--pin must be a whole number");
}

static void
test_required(void)
{
	static const struct conf_option	 needs[] = {
		{ .name = "dir", .type = CONF_STRING, .flags = CONF_REQUIRED },
		{ .name = "hosts", .type = CONF_LIST, .flags = CONF_REQUIRED },
		{ .name = NULL }
	};
	static const struct conf_option *const	 t[] = { needs, NULL };
	struct conf	*c = conf_new(t);
	char		 dir[] = "--dir=x", hosts[] = "--hosts=h";
	char		*argv[] = { dir, hosts };

	CU_ASSERT_EQUAL(conf_check_required(c, &msg), ERR_USAGE);
	CU_ASSERT_STRING_EQUAL(msg.text, "--dir is required");
	CU_ASSERT_EQUAL(conf_parse_args(c, 1, argv, &msg), 0);
	CU_ASSERT_EQUAL(conf_check_required(c, &msg), ERR_USAGE);
	CU_ASSERT_STRING_EQUAL(msg.text, "--hosts is required");
	CU_ASSERT_EQUAL(conf_parse_args(c, 1, argv + 1, &msg), 0);
	CU_ASSERT_EQUAL(conf_check_required(c, &msg), 0);
	conf_free(&c);
}

/* --- file ---------------------------------------------------------------- */

static int
parse_text(struct conf *c, const char *text)
{
	msg.text[0] = '\0';
	return conf_parse_text(c, "x.conf", text, strlen(text), &msg);
}

static const char *
file_error(const char *text)
{
	struct conf	*c = conf_new(tables);
	int		 r = parse_text(c, text);

	conf_free(&c);
	CU_ASSERT_EQUAL(r, ERR_FORMAT);
	return msg.text;
}

static void
test_file(void)
{
	struct conf	*c = conf_new(tables);
	size_t		 n;

	CU_ASSERT_EQUAL(parse_text(c,
	    "# a comment\n"
	    "\n"
	    "   \t\r\n"
	    "dir = /var/lib/a b\r\n"
	    "  dbservers=5\n"
	    "host = x, y\n"
	    "host = z\n"
	    "verbose = true\n"
	    "tls = \"  a \\\"quoted\\\" # name\\n\\\\ \"\n"
	    "cluster.jwtSecret = old=name\n"
	    "password = # no comment"), 0);
	CU_ASSERT_STRING_EQUAL(msg.text, "");
	CU_ASSERT_STRING_EQUAL(conf_string(c, "dir"), "/var/lib/a b");
	CU_ASSERT_EQUAL(conf_int(c, "dbservers"), 5);
	CU_ASSERT_TRUE(conf_bool(c, "verbose"));
	CU_ASSERT_STRING_EQUAL(conf_string(c, "tls"),
	    "  a \"quoted\" # name\n\\ ");
	CU_ASSERT_STRING_EQUAL(conf_string(c, "cluster.jwt-secret"),
	    "old=name");
	CU_ASSERT_STRING_EQUAL(conf_string(c, "password"), "# no comment");
	CU_ASSERT_STRING_EQUAL(conf_list(c, "host", &n)[2], "z");
	CU_ASSERT_EQUAL(n, 3);
	CU_ASSERT_STRING_EQUAL(conf_list(c, "host", &n)[1], "y");
	CU_ASSERT_TRUE(conf_is_set(c, "dir"));
	conf_free(&c);
}

static void
test_file_errors(void)
{
	CU_ASSERT_STRING_EQUAL(file_error("\n\ndbserver = 3\n"), "x.conf:3: "
	    "unknown option dbserver; did you mean dbservers?");
	CU_ASSERT_STRING_EQUAL(file_error("dir\n"),
	    "x.conf:1: expected a line of the form name = value");
	CU_ASSERT_STRING_EQUAL(file_error("[section]"),
	    "x.conf:1: expected a line of the form name = value");
	CU_ASSERT_STRING_EQUAL(file_error(" = 3"),
	    "x.conf:1: there is no name before the =");
	CU_ASSERT_STRING_EQUAL(file_error("dir = /x\n\ndbservers = 0"),
	    "x.conf:3: dbservers = 0: must be between 1 and 10");
	CU_ASSERT_STRING_EQUAL(file_error("host = a , , b"),
	    "x.conf:1: host = a , , b: has an empty element");
	CU_ASSERT_STRING_EQUAL(file_error("pin = x1"),
	    "x.conf:1: pin must be a whole number");
	CU_ASSERT_STRING_EQUAL(file_error("only-args = 3"), "x.conf:1: "
	    "only-args can be given on the command line only");
	CU_ASSERT_STRING_EQUAL(file_error("dir = \"x"),
	    "x.conf:1: the closing quote is missing");
	CU_ASSERT_STRING_EQUAL(file_error("dir = \"x\\\""),
	    "x.conf:1: the closing quote is missing");
	CU_ASSERT_STRING_EQUAL(file_error("dir = \"x\" y"),
	    "x.conf:1: there is text behind the closing quote");
	CU_ASSERT_STRING_EQUAL(file_error("dir = \"\\x\""),
	    "x.conf:1: in quotes a backslash stands before \\ \" n or t "
	    "only");
}

static void
test_file_nul(void)
{
	static const char	 text[] = "dir = a\0b\n";
	struct conf		*c = conf_new(tables);

	CU_ASSERT_EQUAL(conf_parse_text(c, "f", text, sizeof(text) - 1, &msg),
	    ERR_FORMAT);
	CU_ASSERT_STRING_EQUAL(msg.text, "f:1: there is a NUL byte in it");
	conf_free(&c);
}

static void
test_precedence(void)
{
	struct conf	*c;
	size_t		 n;

	CU_ASSERT_EQUAL(parse(&c, "--dbservers 9 --host cmd"), 0);
	CU_ASSERT_EQUAL(parse_text(c, "dbservers = 4\nhost = file\n"
	    "dir = file\n"), 0);
	CU_ASSERT_EQUAL(conf_int(c, "dbservers"), 9);
	CU_ASSERT_STRING_EQUAL(conf_list(c, "host", &n)[0], "cmd");
	CU_ASSERT_EQUAL(n, 1);
	CU_ASSERT_STRING_EQUAL(conf_string(c, "dir"), "file");
	/* What does not take effect is checked all the same. */
	CU_ASSERT_EQUAL(parse_text(c, "dbservers = 40\n"), ERR_FORMAT);
	CU_ASSERT_EQUAL(conf_int(c, "dbservers"), 9);
	conf_free(&c);
}

static void
test_file_on_disk(void)
{
	char		 name[] = "/tmp/test_conf.XXXXXX";
	struct conf	*c = conf_new(tables);
	char		*big;
	int		 fd = mkstemp(name);

	CU_ASSERT_TRUE_FATAL(fd != -1);
	CU_ASSERT_EQUAL(write(fd, "dir=/d\n", 7), 7);
	CU_ASSERT_EQUAL(conf_parse_file(c, name, &msg), 0);
	CU_ASSERT_STRING_EQUAL(conf_string(c, "dir"), "/d");
	big = xcalloc(1, 2000000);
	memset(big, '#', 2000000);
	CU_ASSERT_EQUAL(fsx_pwrite_all(fd, big, 2000000, 0), 0);
	CU_ASSERT_EQUAL(conf_parse_file(c, name, &msg), ERR_TOO_BIG);
	free(big);
	CU_ASSERT_EQUAL(ftruncate(fd, 0), 0);
	CU_ASSERT_EQUAL(conf_parse_file(c, name, &msg), 0);
	close(fd);
	unlink(name);
	CU_ASSERT_EQUAL(conf_parse_file(c, name, &msg), -ENOENT);
	CU_ASSERT_TRUE(str_starts_with(msg.text, "cannot read /tmp/"));
	CU_ASSERT_STRING_EQUAL(conf_string(c, "dir"), "/d");
	conf_free(&c);
}

UNIT_MAIN("conf",
    { "without arguments everything is its default", test_defaults },
    { "flags have all their forms", test_forms },
    { "a bool takes no following word", test_bool_takes_no_word },
    { "letters can be put together", test_letters },
    { "the last scalar wins, lists grow", test_last_wins },
    { "older spellings work", test_alias },
    { "endpoints have one form", test_endpoints },
    { "errors are one clear sentence", test_errors },
    { "required options are missed", test_required },
    { "a file is read line by line", test_file },
    { "errors of a file name the line", test_file_errors },
    { "a NUL byte in a file is an error", test_file_nul },
    { "the command line is stronger than the file", test_precedence },
    { "files on disk are read up to a limit", test_file_on_disk })
