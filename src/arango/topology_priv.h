/* topology_priv.h - shared by topology.c and topology_make.c */
#ifndef ARANGO_TOPOLOGY_PRIV_H
#define ARANGO_TOPOLOGY_PRIV_H

struct arango_topology;

void	topo_destroy(struct arango_topology *t);
/* Databases, collections and servers by name. */
void	topo_sort(struct arango_topology *t);

#endif
