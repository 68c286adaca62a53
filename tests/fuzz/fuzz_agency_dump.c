/*
 * fuzz_agency_dump.c - the state of an agency: a topology that hangs together,
 * or an error.
 */
#include <string.h>

#include "arango/topology.h"
#include "base/err.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_collection(const struct arango_topology *t, struct topo_collection *c)
{
	struct topo_shard	*s;
	size_t			 i;

	bug_unless(*c->name != '\0' && c->db != NULL);
	for (i = 0; i < c->nshards; i++) {
		s = &c->shards[i];
		bug_unless(s->index == i && s->coll == c);
		bug_unless(i == 0 || s[-1].number < s->number);
		bug_unless(arango_topology_shard(t, s->cuid,
		    strlen(s->cuid)) == s);
		bug_unless(!s->settled || s->leader != NULL);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arango_topology	*t;
	struct topo_database	*db;
	struct err_msg		 m = { "" };
	size_t			 i, k;

	if (arango_topology_parse((const char *)data, size, &t, &m) != 0) {
		bug_unless(m.text[0] != '\0');
		return 0;
	}
	for (i = 0; i < t->ndbs; i++) {
		db = &t->dbs[i];
		bug_unless(arango_topology_db(t, db->name) == db);
		for (k = 0; k < db->ncolls; k++)
			check_collection(t, &db->colls[k]);
	}
	for (i = 0; i < t->nservers; i++)
		bug_unless(arango_topology_server(t, t->servers[i].id) ==
		    &t->servers[i]);
	arango_topology_release(&t);
	return 0;
}
