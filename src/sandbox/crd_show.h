/* crd_show.h - pieces of answers that several files of a coordinator give */
#ifndef SANDBOX_CRD_SHOW_H
#define SANDBOX_CRD_SHOW_H

#include <json-c/json.h>

#include "sandbox/coordinator.h"

/* Properties of a database; path is "none" in GET current, "" elsewhere. */
struct json_object *crd_database_show(struct crd *c, const char *db,
	    const char *path);

/*
 * Whatever the Plan says, unique indexes have estimates (ClusterIndex.cpp);
 * set that in a copy of an entry.
 */
void	crd_index_estimates(struct json_object *index);

#endif
