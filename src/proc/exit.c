/* exit.c - exit codes of children, each with a sentence */
#include <stdio.h>

#include "base/err.h"
#include "proc/contract.h"

static const struct {
	int		 code;
	const char	*name;
	const char	*text;
} codes[] = {
	{ PROC_EXIT_OK, "ok", "it ended in order" },
	{ PROC_EXIT_FATAL, "fatal",
	    "it met a state that it cannot go on from; its log says which" },
	{ PROC_EXIT_CONFIG, "config",
	    "its configuration cannot be used; correct it and start again" },
	{ PROC_EXIT_PROTOCOL, "protocol",
	    "it and its supervisor do not understand each other; this is a "
	    "bug, please report it with the log" },
	{ PROC_EXIT_ORPHANED, "orphaned",
	    "its supervisor went away; start the program again" },
	{ PROC_EXIT_NO_SPACE, "no-space",
	    "its disk is full; free space there" },
	{ PROC_EXIT_IO, "io",
	    "writing to its disk failed; look at the kernel's log and check "
	    "the disk" },
	{ PROC_EXIT_STORAGE, "storage",
	    "its storage engine refused to work; its log says why" },
	{ PROC_EXIT_CORRUPT, "corrupt",
	    "its files are damaged; its log names the file" },
	{ PROC_EXIT_LOCKED, "locked",
	    "another process uses its files; end that one first" },
	{ PROC_EXIT_PORT, "port",
	    "its port cannot be used; end what uses it or choose another" },
	{ PROC_EXIT_TLS, "tls",
	    "its certificate or key cannot be used; check the keyfile" },
	{ PROC_EXIT_SECRET, "secret",
	    "a file with a secret cannot be used; check path and rights" },
	{ PROC_EXIT_PEER, "peer",
	    "a server that it needs cannot be reached; check that it runs" },
	{ PROC_EXIT_LIMIT, "limit",
	    "the system gave it no more descriptors, processes or memory; "
	    "raise the limit" },
	{ PROC_EXIT_START, "start",
	    "it could not set itself up; its log says why" }
};

const char *
proc_exit_name(int code)
{
	static char	 other[16];
	size_t		 i;

	for (i = 0; i < NITEMS(codes); i++)
		if (codes[i].code == code)
			return codes[i].name;
	snprintf(other, sizeof(other), "code-%d", code);
	return other;
}

const char *
proc_exit_text(int code)
{
	size_t	 i;

	for (i = 0; i < NITEMS(codes); i++)
		if (codes[i].code == code)
			return codes[i].text;
	return "it ended with a code that means nothing to us; its log may "
	    "say more";
}
