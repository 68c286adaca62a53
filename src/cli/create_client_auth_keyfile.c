/* create_client_auth_keyfile.c - arangosync create client-auth keyfile */
#include "cli/create.h"

static int
run(const struct conf *c, void *context)
{
	return create_keyfile(c, CERT_CLIENT);
}

static const struct conf_option options[] = {
	OPTION_FILE("cacert", "client-auth-ca.crt",
	    "File that holds the certificate of the authority."),
	OPTION_FILE("cakey", "client-auth-ca.key",
	    "File that holds the private key of the authority."),
	OPTION_FILE("keyfile", "client-auth.keyfile",
	    "File for the certificate, its chain and the private key."),
	OPTION_HOST,
	OPTION_EMAIL,
	OPTION_VALIDFOR(VALID_CLIENT),
	OPTION_CURVE("P521"),
	{ .name = NULL }
};
static const struct conf_option *const tables[] = { options, NULL };

const struct conf_command cli_create_client_auth_keyfile = {
	.words = "create client-auth keyfile", .tables = tables, .run = run,
	.summary = "Create a client certificate, in a keyfile."
};
