/* cmd_run.c - start a cluster */
#include <string.h>

#include "base/str.h"
#include "conf/conf.h"
#include "sandbox/boss.h"
#include "sandbox/cmd.h"

/* The agent is on P+20. */
#define PORT_MAX	(65535 - 20)

static const char *
given(const struct conf *c, const char *name)
{
	return conf_is_set(c, name) ? conf_string(c, name) : NULL;
}

int
cmd_run(const struct conf *c, void *context)
{
	struct boss_options	 o;

	memset(&o, 0, sizeof(o));
	o.dir = conf_string(c, "dir");
	o.port = conf_is_set(c, "port") ? (int)conf_int(c, "port") : -1;
	if (o.port > PORT_MAX) {
		cmd_complain("--port %d is too high: ports up to P+20 are "
		    "used", o.port);
		return 2;
	}
	o.coordinators = conf_is_set(c, "coordinators") ?
	    (int)conf_int(c, "coordinators") : 0;
	o.dbservers = conf_is_set(c, "dbservers") ?
	    (int)conf_int(c, "dbservers") : 0;
	o.auth_file = given(c, "auth");
	o.root_password = given(c, "root-password");
	o.tls_keyfile = given(c, "tls");
	o.version = given(c, "arangodb-version");
	o.edition = given(c, "edition");
	o.merge_window_us = conf_is_set(c, "merge-window") ?
	    conf_int(c, "merge-window") : -1;
	o.daemon = conf_bool(c, "daemon") != 0;
	return boss_run(&o);
}
