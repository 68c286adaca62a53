/* version.c - arangosync version */
#include <stdio.h>

#include "cli/cli.h"

static int
run(const struct conf *c, void *context)
{
	const struct cli_context	*ctx = context;

	printf("%s\n", ctx->version_line);
	return 0;
}

const struct conf_command cli_version = {
	.words = "version", .run = run,
	.summary = "Print the version of this program."
};
