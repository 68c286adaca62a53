/* boss_cluster.c - cluster.json: what a cluster is, and how it is */
#include <sys/stat.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fsx.h"
#include "base/random.h"
#include "base/str.h"
#include "json/get.h"
#include "sandbox/boss.h"

#define CLUSTER_FILE_MAX_BYTES	(1024 * 1024)
#define DEFAULT_VERSION		"3.11.8"
#define DEFAULT_DBSERVERS	3

static const char *const prefixes[SB_KIND_COUNT] = {
	[SB_KIND_AGENT] = "AGNT", [SB_KIND_COORDINATOR] = "CRDN",
	[SB_KIND_DBSERVER] = "PRMR"
};

/* The order of servers everywhere: agent1 is servers[0]. */
static const enum sb_kind order[SB_KIND_COUNT] = {
	SB_KIND_AGENT, SB_KIND_COORDINATOR, SB_KIND_DBSERVER
};

/* Random UUID (version 4), 36 characters. */
static void
make_uuid(char text[37])
{
	char	 hex[33];

	rand_hex(hex, 32);
	hex[12] = '4';
	hex[16] = "89ab"[rand_below(4)];
	snprintf(text, 37, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12,
	    hex + 16, hex + 20);
}

static void
add_server(struct boss *b, enum sb_kind kind, unsigned number)
{
	struct boss_server	*s = &b->servers[b->n++];

	memset(s, 0, sizeof(*s));
	s->boss = b;
	s->kind = kind;
	s->number = number;
	s->reserve_fd = -1;
	snprintf(s->name, sizeof(s->name), "%s%u", sb_kind_name(kind), number);
	s->dir = xasprintf("%s/%s", b->dir, s->name);
}

static void
add_servers(struct boss *b)
{
	unsigned	 i, k;

	for (k = 0; k < SB_KIND_COUNT; k++)
		for (i = 1; i <= b->config.count[order[k]]; i++)
			add_server(b, order[k], i);
}

void
boss_cluster_endpoints(struct boss *b)
{
	size_t	 i;

	for (i = 0; i < b->n; i++) {
		free(b->servers[i].endpoint);
		b->servers[i].endpoint = xasprintf("%s://127.0.0.1:%u",
		    b->config.tls_keyfile != NULL ? "https" : "http",
		    (unsigned)b->servers[i].port);
	}
}

static void
set_ports(struct boss *b, unsigned p)
{
	size_t	 i;

	for (i = 0; i < b->n; i++)
		b->servers[i].port = boss_port_of(p, b->servers[i].kind,
		    b->servers[i].number);
}

static int
absolute(const char *path, char **out, struct err_msg *m)
{
	char	*real = realpath(path, NULL);

	if (real == NULL)
		return err_set(m, -errno, "%s: %s", path, err_text(-errno));
	free(*out);
	*out = real;
	return 0;
}

static void
replace_text(char **to, const char *text)
{
	if (text == NULL)
		return;
	free(*to);
	*to = xstrdup(text);
}

/* What the command line says goes before what was stored or is usual. */
static int
apply_options(struct boss *b, struct err_msg *m)
{
	const struct boss_options	*o = b->opts;
	struct boss_config		*c = &b->config;
	int				 r;

	replace_text(&c->version, o->version);
	if (o->edition != NULL)
		c->enterprise = strcmp(o->edition, "enterprise") == 0;
	if (o->merge_window_us >= 0)
		c->merge_window_us = (uint32_t)o->merge_window_us;
	if (o->auth_file != NULL &&
	    (r = absolute(o->auth_file, &c->auth_file, m)) != 0)
		return r;
	if (o->tls_keyfile != NULL &&
	    (r = absolute(o->tls_keyfile, &c->tls_keyfile, m)) != 0)
		return r;
	return 0;
}

/* The file that tells a person, or a copied directory, who it is. */
static int
write_id(const struct boss_server *s, struct err_msg *m)
{
	char	*path, text[64];
	int	 n, r;

	if (mkdir(s->dir, 0700) == -1 && errno != EEXIST)
		return err_set(m, -errno, "cannot make %s: %s", s->dir,
		    err_text(-errno));
	path = xasprintf("%s/ID", s->dir);
	n = snprintf(text, sizeof(text), "%s\n", s->id);
	if ((r = fsx_replace_fast(path, text, (size_t)n, 0644)) != 0)
		(void)err_set(m, r, "cannot write %s: %s", path, err_text(r));
	free(path);
	return r;
}

static int
write_ids(struct boss *b, struct err_msg *m)
{
	size_t	 i;
	int	 r;

	for (i = 0; i < b->n; i++)
		if ((r = write_id(&b->servers[i], m)) != 0)
			return r;
	return 0;
}

static int
write_password(struct boss *b, struct err_msg *m)
{
	const char	*password = b->opts->root_password;
	char		*path;
	int		 r;

	if (password == NULL)
		return 0;
	path = xasprintf("%s/%s", b->dir, BOSS_PASSWORD_FILE);
	r = fsx_replace_fast(path, password, strlen(password), 0600);
	if (r != 0)
		(void)err_set(m, r, "cannot write %s: %s", path, err_text(r));
	free(path);
	return r;
}

int
boss_cluster_create(struct boss *b, struct err_msg *m)
{
	const struct boss_options	*o = b->opts;
	struct boss_config		*c = &b->config;
	char				 uuid[37];
	size_t				 i;
	int				 r;

	c->count[SB_KIND_AGENT] = 1;
	c->count[SB_KIND_COORDINATOR] = o->coordinators == 0 ? 1 :
	    (unsigned)o->coordinators;
	c->count[SB_KIND_DBSERVER] = o->dbservers == 0 ? DEFAULT_DBSERVERS :
	    (unsigned)o->dbservers;
	replace_text(&c->version, DEFAULT_VERSION);
	make_uuid(uuid);
	replace_text(&c->cluster_id, uuid);
	if ((r = apply_options(b, m)) != 0)
		return r;
	add_servers(b);
	for (i = 0; i < b->n; i++) {
		make_uuid(uuid);
		snprintf(b->servers[i].id, sizeof(b->servers[i].id), "%s-%s",
		    prefixes[b->servers[i].kind], uuid);
	}
	set_ports(b, o->port > 0 ? (unsigned)o->port : 0);
	if ((r = boss_ports_reserve(b, m)) != 0 ||
	    (r = write_ids(b, m)) != 0 || (r = write_password(b, m)) != 0)
		return r;
	boss_cluster_endpoints(b);
	if ((r = boss_cluster_save(b, true)) != 0)
		return err_set(m, r, "cannot write %s/%s: %s", b->dir,
		    BOSS_CLUSTER_FILE, err_text(r));
	return 0;
}

/* ---- reading ------------------------------------------------------------ */

/* Fill the id, port and state of one entry of "servers". */
static int
load_server(struct boss *b, struct json_object *o, struct err_msg *m)
{
	struct boss_server	*s;
	const char		*name, *id, *endpoint, *colon;
	uint64_t		 port;
	int			 r;

	if ((r = json_need_string(o, "name", &name, m)) != 0 ||
	    (r = json_need_string(o, "id", &id, m)) != 0 ||
	    (r = json_need_string(o, "endpoint", &endpoint, m)) != 0)
		return r;
	if ((s = boss_find(b, name)) == NULL)
		return err_set(m, ERR_FORMAT, "unexpected server %s", name);
	if ((colon = strrchr(endpoint, ':')) == NULL ||
	    str_to_u64(colon + 1, &port) != 0 || port == 0 || port > 65535)
		return err_set(m, ERR_FORMAT, "bad endpoint %s", endpoint);
	if (str_copy(s->id, sizeof(s->id), id) != 0)
		return err_set(m, ERR_FORMAT, "bad id %s", id);
	s->port = (uint16_t)port;
	s->initialized = json_bool_or(o, "initialized", true);
	return 0;
}

/* How many there are of each kind; the names must count from 1. */
static int
count_servers(struct boss *b, struct json_object *list, struct err_msg *m)
{
	struct boss_config	*c = &b->config;
	struct json_object	*o;
	const char		*role;
	size_t			 i, k;
	int			 r;

	for (i = 0; i < json_object_array_length(list); i++) {
		o = json_object_array_get_idx(list, i);
		if ((r = json_need_string(o, "role", &role, m)) != 0)
			return r;
		for (k = 0; k < SB_KIND_COUNT; k++)
			if (strcmp(role, sb_kind_name((enum sb_kind)k)) == 0)
				break;
		if (k == SB_KIND_COUNT || ++c->count[k] > BOSS_SERVERS_MAX)
			return err_set(m, ERR_FORMAT, "bad role %s", role);
	}
	if (c->count[SB_KIND_AGENT] != 1 ||
	    c->count[SB_KIND_COORDINATOR] == 0 ||
	    c->count[SB_KIND_DBSERVER] == 0)
		return err_set(m, ERR_FORMAT, "servers are missing");
	return 0;
}

static int
load_json(struct boss *b, struct json_object *o, struct err_msg *m)
{
	struct boss_config	*c = &b->config;
	struct json_object	*list;
	const char		*version, *cluster_id;
	size_t			 i;
	int			 r;

	if ((r = json_need_string(o, "version", &version, m)) != 0 ||
	    (r = json_need_string(o, "clusterId", &cluster_id, m)) != 0 ||
	    (r = json_need_array(o, "servers", &list, m)) != 0 ||
	    (r = count_servers(b, list, m)) != 0)
		return r;
	replace_text(&c->version, version);
	replace_text(&c->cluster_id, cluster_id);
	replace_text(&c->auth_file, json_string_or(o, "auth", NULL));
	replace_text(&c->tls_keyfile, json_string_or(o, "tls", NULL));
	c->enterprise = strcmp(json_string_or(o, "edition", "community"),
	    "enterprise") == 0;
	c->merge_window_us = (uint32_t)json_int_or(o, "mergeWindow", 0);
	add_servers(b);
	for (i = 0; i < json_object_array_length(list); i++)
		if ((r = load_server(b, json_object_array_get_idx(list, i),
		    m)) != 0)
			return r;
	for (i = 0; i < b->n; i++)
		if (b->servers[i].port == 0)
			return err_set(m, ERR_FORMAT, "server %s is missing",
			    b->servers[i].name);
	return 0;
}

/* Flags that say something else than the cluster is. */
static int
check_contradiction(struct boss *b, struct err_msg *m)
{
	static const struct {
		enum sb_kind	 kind;
		const char	*flag;
	} flags[] = {
		{ SB_KIND_COORDINATOR, "coordinators" },
		{ SB_KIND_DBSERVER, "dbservers" }
	};
	size_t	 i;
	int	 want;

	for (i = 0; i < NITEMS(flags); i++) {
		want = flags[i].kind == SB_KIND_COORDINATOR ?
		    b->opts->coordinators : b->opts->dbservers;
		if (want != 0 &&
		    (unsigned)want != b->config.count[flags[i].kind])
			return err_set(m, ERR_USAGE, "the cluster in %s has "
			    "%u %s, not %d: leave --%s out, or use another "
			    "directory", b->dir,
			    b->config.count[flags[i].kind], flags[i].flag,
			    want, flags[i].flag);
	}
	return 0;
}

int
boss_cluster_load(struct boss *b, struct err_msg *m)
{
	struct json_object	*o = NULL;
	struct buf		 text = BUF_INIT;
	struct err_msg		 why = { "" };
	char			*path;
	int			 r;

	path = xasprintf("%s/%s", b->dir, BOSS_CLUSTER_FILE);
	if ((r = fsx_read_file(path, CLUSTER_FILE_MAX_BYTES, &text)) != 0)
		(void)err_set(m, r, "cannot read %s: %s", path, err_text(r));
	else if ((r = json_parse(buf_cstr(&text), text.len, &o, &why)) != 0 ||
	    (r = load_json(b, o, &why)) != 0)
		(void)err_set(m, r, "%s is damaged: %s", path, why.text);
	json_object_put(o);
	buf_free(&text);
	free(path);
	if (r != 0 || (r = check_contradiction(b, m)) != 0 ||
	    (r = apply_options(b, m)) != 0)
		return r;
	/* 0 and nothing mean: as before. */
	if (b->opts->port > 0)
		set_ports(b, (unsigned)b->opts->port);
	if ((r = boss_ports_reserve(b, m)) != 0 ||
	    (r = write_password(b, m)) != 0)
		return r;
	boss_cluster_endpoints(b);
	if ((r = boss_cluster_save(b, true)) != 0)
		return err_set(m, r, "cannot write %s/%s: %s", b->dir,
		    BOSS_CLUSTER_FILE, err_text(r));
	return 0;
}

/* ---- writing ------------------------------------------------------------ */

static struct json_object *
server_json(const struct boss_server *s)
{
	struct json_object	*o = json_object_new_object();
	pid_t			 pid = s->proc == NULL ? 0 :
				     proc_pid(s->proc);

	json_set_string(o, "name", s->name);
	json_set_string(o, "role", sb_kind_name(s->kind));
	json_set_string(o, "id", s->id);
	json_set_string(o, "endpoint", s->endpoint);
	/* Not 0 for none: kill(0) would end the script that reads it. */
	json_set(o, "pid", pid == 0 ? NULL : json_object_new_int(pid));
	json_set_string(o, "state", boss_state(s));
	json_set_bool(o, "initialized", s->initialized);
	return o;
}

char *
boss_cluster_text(struct boss *b)
{
	const struct boss_config	*c = &b->config;
	struct json_object		*o = json_object_new_object(), *list;
	char				*text;
	size_t				 i;

	json_set_string(o, "version", c->version);
	json_set_string(o, "clusterId", c->cluster_id);
	json_set_string(o, "edition", c->enterprise ? "enterprise" :
	    "community");
	json_set(o, "auth", c->auth_file == NULL ? NULL :
	    json_object_new_string(c->auth_file));
	json_set(o, "tls", c->tls_keyfile == NULL ? NULL :
	    json_object_new_string(c->tls_keyfile));
	json_set_int(o, "mergeWindow", c->merge_window_us);
	list = json_object_new_array();
	for (i = 0; i < b->n; i++)
		json_object_array_add(list, server_json(&b->servers[i]));
	json_set(o, "servers", list);
	text = json_to_text(o);
	json_object_put(o);
	return text;
}

int
boss_cluster_save(struct boss *b, bool durable)
{
	char	*path = xasprintf("%s/%s", b->dir, BOSS_CLUSTER_FILE);
	char	*json = boss_cluster_text(b);
	char	*text = xasprintf("%s\n", json);
	int	 r;

	r = (durable ? fsx_replace : fsx_replace_fast)(path, text,
	    strlen(text), 0644);
	free(text);
	free(json);
	free(path);
	return r;
}

void
boss_cluster_free(struct boss *b)
{
	size_t	 i;

	for (i = 0; i < b->n; i++) {
		if (b->servers[i].reserve_fd >= 0)
			close(b->servers[i].reserve_fd);
		free(b->servers[i].dir);
		free(b->servers[i].endpoint);
	}
	b->n = 0;
	free(b->config.cluster_id);
	free(b->config.version);
	free(b->config.auth_file);
	free(b->config.tls_keyfile);
	memset(&b->config, 0, sizeof(b->config));
}
