/* create_client_auth_ca.c - arangosync create client-auth ca */
#include "cli/create.h"

static int
run(const struct conf *c, void *context)
{
	return create_authority(c);
}

static const struct conf_option options[] = {
	OPTION_FILE("cert", "client-auth-ca.crt",
	    "File for the certificate of the authority."),
	OPTION_FILE("key", "client-auth-ca.key",
	    "File for the private key of the authority."),
	OPTION_VALIDFOR(VALID_AUTHORITY),
	OPTION_CURVE("P521"),
	{ .name = NULL }
};
static const struct conf_option *const tables[] = { options, NULL };

const struct conf_command cli_create_client_auth_ca = {
	.words = "create client-auth ca", .tables = tables, .run = run,
	.summary = "Create an authority that signs client certificates."
};
