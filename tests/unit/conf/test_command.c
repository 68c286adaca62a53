/* test_command.c - tests of conf: commands, help, manual, print */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fsx.h"
#include "base/str.h"
#include "conf/conf.h"
#include "unit.h"

static const struct conf_option	 common[] = {
	{ .name = "verbose", .letter = 'v', .type = CONF_BOOL,
	  .group = "Common options", .help = "Say more." },
	{ .name = NULL }
};
static const struct conf_option	 start_options[] = {
	{ .name = "dir", .type = CONF_STRING, .arg = "DIR",
	  .flags = CONF_REQUIRED, .help = "Directory of the cluster." },
	{ .name = "port", .type = CONF_INT, .def = "8529", .min = 0,
	  .max = 65535, .help = "Port of the first coordinator; the others "
	  "follow. 0 takes any that are free. This sentence is here to be "
	  "wrapped." },
	{ .name = "merge-window", .type = CONF_INT, .unit = "microseconds",
	  .help = ".dot at the start. A back\\slash. 'quote." },
	{ .name = "password", .type = CONF_STRING, .flags = CONF_SECRET,
	  .def = "geheim", .help = "Of root." },
	{ .name = "debug", .type = CONF_BOOL, .flags = CONF_HIDDEN,
	  .help = "NEVER SHOWN." },
	{ .name = "conf", .type = CONF_STRING, .flags = CONF_NO_FILE,
	  .def = "/nonexistent/x.conf", .help = "Configuration file." },
	{ .name = "hosts", .type = CONF_LIST, .help = "Hosts." },
	{ .name = NULL }
};
static const struct conf_option	 stop_options[] = {
	{ .name = "stop-only", .type = CONF_STRING, .help = "X." },
	{ .name = NULL }
};
static const struct conf_option *const	 start_tables[] = {
	start_options, common, NULL
};
static const struct conf_option *const	 stop_tables[] = {
	stop_options, common, NULL
};

static const char	*ran;		/* command that ran */
static char		 ran_args[256];	/* its positional arguments */
static int64_t		 ran_port;
static char		*ran_dir;

static int
run(const struct conf *c, void *context)
{
	const char *const	*args = conf_args(c, NULL);

	ran = conf_command(c)->words;
	ran_args[0] = '\0';
	for (; *args != NULL; args++) {
		strcat(ran_args, *args);
		strcat(ran_args, "|");
	}
	if (conf_has(c, "port")) {
		ran_port = conf_int(c, "port");
		free(ran_dir);
		ran_dir = xstrdup(conf_string(c, "dir"));
	}
	return *(int *)context;
}

static const struct conf_command	 commands[] = {
	{ .words = "", .tables = start_tables, .run = run,
	  .summary = "Start a cluster." },
	{ .words = "get status", .tables = stop_tables, .run = run,
	  .summary = "Print the state." },
	{ .words = "get tasks", .run = run, .summary = "Print tasks." },
	{ .words = "get", .run = run, .hidden = 1, .summary = "Hidden." },
	{ .words = "set message timeout", .args = "DURATION", .min_args = 1,
	  .max_args = 1, .run = run, .summary = "Set it." },
	{ .words = "move-shard", .args = "DB COLLECTION INDEX SERVER",
	  .min_args = 4, .max_args = 4, .run = run, .tables = stop_tables,
	  .summary = "Move a shard.", .help = "Waits until it is there." },
	{ .words = "any", .max_args = -1, .run = run, .summary = "Takes." },
	{ .words = NULL }
};
static const struct conf_program	 program = {
	.name = "prog", .summary = "Does things.", .version = "prog 1.2.3",
	.file_option = "conf", .commands = commands,
	.exit_text = "Exit codes: 0 good, 1 failed, 2 usage."
};

static char	 out_text[20000], err_text_[20000];

/* Run a command line; what it prints is in out_text and err_text_. */
static int
run_line(const char *line)
{
	char		*copy = xstrdup(line), *words[32], *s = copy;
	char		 prog[] = "prog";
	struct buf	 b = BUF_INIT;
	int		 n = 0, r, saved[2], fd, i, code = 0;
	char		 name[2][32];

	words[n++] = prog;
	while (s != NULL && *line != '\0' && n < 31)
		words[n++] = strsep(&s, " ");
	words[n] = NULL;
	fflush(stdout);
	fflush(stderr);
	for (i = 0; i < 2; i++) {
		strcpy(name[i], "/tmp/test_command.XXXXXX");
		fd = mkstemp(name[i]);
		saved[i] = dup(1 + i);
		dup2(fd, 1 + i);
		close(fd);
	}
	ran = NULL;
	r = conf_main(&program, n, words, &code);
	fflush(stdout);
	fflush(stderr);
	for (i = 0; i < 2; i++) {
		dup2(saved[i], 1 + i);
		close(saved[i]);
		buf_reset(&b);
		fsx_read_file(name[i], 10000, &b);
		str_copy(i == 0 ? out_text : err_text_, 20000, buf_cstr(&b));
		unlink(name[i]);
	}
	buf_free(&b);
	free(copy);
	return r;
}

static void
test_dispatch(void)
{
	CU_ASSERT_EQUAL(run_line("--dir /d --port 7"), 0);
	CU_ASSERT_STRING_EQUAL(ran, "");
	CU_ASSERT_STRING_EQUAL(ran_dir, "/d");
	CU_ASSERT_EQUAL(ran_port, 7);
	CU_ASSERT_EQUAL(run_line("get status"), 0);
	CU_ASSERT_STRING_EQUAL(ran, "get status");
	CU_ASSERT_EQUAL(run_line("set message timeout 5m"), 0);
	CU_ASSERT_STRING_EQUAL(ran, "set message timeout");
	CU_ASSERT_STRING_EQUAL(ran_args, "5m|");
	/* Flags before, between and behind the words and arguments. */
	CU_ASSERT_EQUAL(run_line("-v move-shard --stop-only x db c "
	    "--stop-only=y 0 dbserver2 --verbose"), 0);
	CU_ASSERT_STRING_EQUAL(ran, "move-shard");
	CU_ASSERT_STRING_EQUAL(ran_args, "db|c|0|dbserver2|");
	CU_ASSERT_EQUAL(run_line("--stop-only get get --verbose status"), 0);
	CU_ASSERT_STRING_EQUAL(ran, "get status");
	CU_ASSERT_STRING_EQUAL(ran_args, "");
	/* Words of commands can be arguments. */
	CU_ASSERT_EQUAL(run_line("any get status any"), 0);
	CU_ASSERT_STRING_EQUAL(ran, "any");
	CU_ASSERT_STRING_EQUAL(ran_args, "get|status|any|");
	CU_ASSERT_EQUAL(run_line("any -- --dir x"), 0);
	CU_ASSERT_STRING_EQUAL(ran_args, "--dir|x|");
}

static void
test_usage_errors(void)
{
	CU_ASSERT_EQUAL(run_line("--dir /d sttus"), 2);
	CU_ASSERT_PTR_NULL(ran);
	CU_ASSERT_STRING_EQUAL(err_text_, "prog: unknown command \"sttus\"\n"
	    "Try \"prog --help\".\n");
	CU_ASSERT_EQUAL(run_line("move-shart a b"), 2);
	CU_ASSERT_STRING_EQUAL(err_text_, "prog: unknown command "
	    "\"move-shart\"; did you mean \"move-shard\"?\n"
	    "Try \"prog --help\".\n");
	CU_ASSERT_EQUAL(run_line("set mesage timeout 3s"), 2);
	CU_ASSERT_NOT_EQUAL(strstr(err_text_,
	    "did you mean \"set message timeout\"?"), NULL);
	CU_ASSERT_EQUAL(run_line("set nothing near"), 2);
	CU_ASSERT_NOT_EQUAL(strstr(err_text_, "incomplete command"), NULL);
	CU_ASSERT_EQUAL(run_line("set"), 2);
	CU_ASSERT_STRING_EQUAL(err_text_, "prog: incomplete command; there "
	    "is \"set message timeout\"\nTry \"prog --help\".\n");
	CU_ASSERT_EQUAL(run_line("move-shard a b c"), 2);
	CU_ASSERT_STRING_EQUAL(err_text_, "prog: move-shard: expected DB "
	    "COLLECTION INDEX SERVER\nTry \"prog move-shard --help\".\n");
	CU_ASSERT_EQUAL(run_line("move-shard a b c d e"), 2);
	CU_ASSERT_NOT_EQUAL(strstr(err_text_,
	    "unexpected argument \"e\""), NULL);
	CU_ASSERT_EQUAL(run_line(""), 2);
	CU_ASSERT_NOT_EQUAL(strstr(err_text_, "--dir is required"), NULL);
	CU_ASSERT_EQUAL(run_line("get status --dir x"), 2);
	CU_ASSERT_NOT_EQUAL(strstr(err_text_, "unknown flag --dir"), NULL);
	CU_ASSERT_STRING_EQUAL(out_text, "");
}

static void
test_help_and_version(void)
{
	CU_ASSERT_EQUAL(run_line("--version"), 0);
	CU_ASSERT_STRING_EQUAL(out_text, "prog 1.2.3\n");
	CU_ASSERT_EQUAL(run_line("--help"), 0);
	CU_ASSERT_PTR_NULL(ran);
	CU_ASSERT_NOT_EQUAL(strstr(out_text, "\n  move-shard DB"), NULL);
	CU_ASSERT_NOT_EQUAL(strstr(out_text, "\n  get status"), NULL);
	CU_ASSERT_NOT_EQUAL(strstr(out_text, "Exit codes: 0"), NULL);
	CU_ASSERT_PTR_NULL(strstr(out_text, "Hidden."));
	CU_ASSERT_STRING_EQUAL(err_text_, "");
	/* Help is there although the command line is not complete. */
	CU_ASSERT_EQUAL(run_line("move-shard -h"), 0);
	CU_ASSERT_PTR_NULL(ran);
	CU_ASSERT_TRUE(str_starts_with(out_text, "Usage: prog move-shard "
	    "[options] DB COLLECTION INDEX SERVER\n\nMove a shard.\n\n"
	    "Waits until it is there.\n"));
	CU_ASSERT_EQUAL(run_line("help move-shard"), 0);
	CU_ASSERT_TRUE(str_starts_with(out_text, "Usage: prog move-shard "));
	CU_ASSERT_EQUAL(run_line("nonsense --help"), 0);
	CU_ASSERT_NOT_EQUAL(strstr(out_text, "Commands:"), NULL);
}

static int
longest_line(const char *s)
{
	int	 n, max = 0;

	for (; *s != '\0'; s += n + (s[n] == '\n')) {
		n = (int)strcspn(s, "\n");
		max = MAX(max, n);
	}
	return max;
}

static void
test_help_layout(void)
{
	struct buf	 b = BUF_INIT;
	const char	*text;

	conf_print_help(&b, &program, &commands[0]);
	text = buf_cstr(&b);
	CU_ASSERT_TRUE(longest_line(text) <= 80);
	CU_ASSERT_NOT_EQUAL(strstr(text,
	    "  --dir DIR                   Directory of the cluster. "
	    "Required.\n"), NULL);
	CU_ASSERT_NOT_EQUAL(strstr(text,
	    "\n  --port N                    Port of the first"), NULL);
	CU_ASSERT_NOT_EQUAL(strstr(text, "Default: 8529."), NULL);
	CU_ASSERT_NOT_EQUAL(strstr(text, "From 0 to 65535."), NULL);
	CU_ASSERT_NOT_EQUAL(strstr(text, "microseconds."), NULL);
	CU_ASSERT_NOT_EQUAL(strstr(text, "May be given several times."),
	    NULL);
	CU_ASSERT_NOT_EQUAL(strstr(text, "\nCommon options:\n"
	    "  -v, --verbose               Say more.\n"), NULL);
	CU_ASSERT_PTR_NULL(strstr(text, "NEVER"));
	CU_ASSERT_PTR_NULL(strstr(text, "geheim"));
	CU_ASSERT_PTR_NULL(strstr(text, " \n"));
	CU_ASSERT_TRUE(str_starts_with(text,
	    "Usage: prog --dir DIR [options]\n\nStart a cluster.\n\n"
	    "Options:\n"));
	buf_free(&b);
	conf_print_help(&b, &program, NULL);
	CU_ASSERT_TRUE(longest_line(buf_cstr(&b)) <= 80);
	buf_free(&b);
}

static void
test_man(void)
{
	struct buf	 b = BUF_INIT;
	const char	*text;

	conf_print_man(&b, start_tables);
	text = buf_cstr(&b);
	CU_ASSERT_NOT_EQUAL(strstr(text, ".TP\n\\fB\\-\\-merge\\-window\\fR "
	    "\\fIN\\fR\n\\&.dot at the start.\nA back\\eslash. 'quote.\n"
	    "In microseconds.\n"), NULL);
	CU_ASSERT_NOT_EQUAL(strstr(text,
	    ".TP\n\\fB\\-v\\fR, \\fB\\-\\-verbose\\fR\nSay more.\n"), NULL);
	CU_ASSERT_PTR_NULL(strstr(text, "NEVER"));
	CU_ASSERT_PTR_NULL(strstr(text, "geheim"));
	CU_ASSERT_PTR_NULL(strstr(text, "\n."
	    "dot"));
	buf_free(&b);
	conf_print_man_commands(&b, &program);
	text = buf_cstr(&b);
	CU_ASSERT_NOT_EQUAL(strstr(text, ".SS prog move\\-shard [options] DB "
	    "COLLECTION INDEX SERVER\nMove a shard.\nWaits until it is "
	    "there.\n.TP\n"), NULL);
	CU_ASSERT_PTR_NULL(strstr(text, "Hidden."));
	buf_free(&b);
}

/* The file that is printed gives the same values again. */
static void
test_effective(void)
{
	char		 dir[] = "--dir= a \"b\"\n#\\c\t", port[] = "--port=1";
	char		 hosts[] = "--hosts=x,y";
	char		*argv[] = { dir, port, hosts };
	struct conf	*c = conf_new_command(&program, &commands[0]), *d;
	struct buf	 b = BUF_INIT;
	struct err_msg	 m;
	size_t		 n;

	CU_ASSERT_EQUAL(conf_parse_args(c, 3, argv, &m), 0);
	CU_ASSERT_EQUAL(conf_parse_text(c, "f.conf", "\nverbose=true", 13,
	    &m), 0);
	conf_print_effective(&b, c);
	CU_ASSERT_NOT_EQUAL(strstr(buf_cstr(&b),
	    "# command line\nport = 1\n"), NULL);
	CU_ASSERT_NOT_EQUAL(strstr(buf_cstr(&b),
	    "# f.conf:2\nverbose = true\n"), NULL);
	CU_ASSERT_NOT_EQUAL(strstr(buf_cstr(&b),
	    "# password is not shown\n"), NULL);
	CU_ASSERT_PTR_NULL(strstr(buf_cstr(&b), "geheim"));
	d = conf_new_command(&program, &commands[0]);
	CU_ASSERT_EQUAL(conf_parse_text(d, "g", (char *)b.data, b.len, &m),
	    0);
	CU_ASSERT_STRING_EQUAL(conf_string(d, "dir"), conf_string(c, "dir"));
	CU_ASSERT_EQUAL(conf_int(d, "port"), 1);
	CU_ASSERT_TRUE(conf_bool(d, "verbose"));
	CU_ASSERT_STRING_EQUAL(conf_list(d, "hosts", &n)[1], "y");
	CU_ASSERT_EQUAL(n, 2);
	buf_free(&b);
	conf_free(&c);
	conf_free(&d);
}

static void
test_shared_file(void)
{
	char	 name[] = "/tmp/test_command.XXXXXX", line[128];
	int	 fd = mkstemp(name);

	CU_ASSERT_TRUE_FATAL(fd != -1);
	/* stop-only belongs to another command: stepped over. */
	CU_ASSERT_EQUAL(dprintf(fd, "stop-only = x\ndir = /f\nport = 4\n"),
	    32);
	snprintf(line, sizeof(line), "--port 5 --conf %s", name);
	CU_ASSERT_EQUAL(run_line(line), 0);
	CU_ASSERT_STRING_EQUAL(ran_dir, "/f");
	CU_ASSERT_EQUAL(ran_port, 5);
	CU_ASSERT_TRUE(dprintf(fd, "nonsense = 1\n") > 0);
	CU_ASSERT_EQUAL(run_line(line), 1);
	CU_ASSERT_PTR_NULL(ran);
	CU_ASSERT_NOT_EQUAL(strstr(err_text_, ":4: unknown option nonsense"),
	    NULL);
	close(fd);
	unlink(name);
	/* Asked for and not there; the default place may be empty. */
	CU_ASSERT_EQUAL(run_line(line), 1);
	CU_ASSERT_EQUAL(run_line("--dir /d"), 0);
	free(ran_dir);
	ran_dir = NULL;
}

UNIT_MAIN("conf commands",
    { "words choose the command, flags may stand anywhere", test_dispatch },
    { "a wrong command line is one sentence and 2", test_usage_errors },
    { "help and version", test_help_and_version },
    { "help is aligned and wrapped", test_help_layout },
    { "the manual's text is safe roff", test_man },
    { "the effective configuration reads back", test_effective },
    { "one file serves several commands", test_shared_file })
