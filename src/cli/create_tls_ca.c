/* create_tls_ca.c - arangosync create tls ca */
#include "cli/create.h"

static int
run(const struct conf *c, void *context)
{
	return create_authority(c);
}

static const struct conf_option options[] = {
	OPTION_FILE("cert", "tls-ca.crt",
	    "File for the certificate of the authority."),
	OPTION_FILE("key", "tls-ca.key",
	    "File for the private key of the authority."),
	OPTION_VALIDFOR(VALID_AUTHORITY),
	OPTION_CURVE("P256"),
	{ .name = NULL }
};
static const struct conf_option *const tables[] = { options, NULL };

const struct conf_command cli_create_tls_ca = {
	.words = "create tls ca", .tables = tables, .run = run,
	.summary = "Create an authority that signs server certificates."
};
