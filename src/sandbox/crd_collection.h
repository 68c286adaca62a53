/* crd_collection.h - collections as coordinators show them */
#ifndef SANDBOX_CRD_COLLECTION_H
#define SANDBOX_CRD_COLLECTION_H

#include <stdbool.h>

#include <json-c/json.h>

#include "sandbox/coordinator.h"

/*
 * What the API tells of a collection: id, name, status, type, isSystem and
 * globallyUniqueId, with properties all attributes that users see.
 */
struct json_object *crd_collection_show(struct crd *c,
	    const struct cl_collection *col, bool properties);
/* Add "error", "code" to o (consumed), the header location, and answer. */
void	crd_collection_reply(struct sb_req *r, struct json_object *o);
/* The name that distributeShardsLike has for users; NULL: none. */
const char *crd_prototype_name(struct crd *c, const struct cl_collection *col);

/* crd_collection_data.c: GET and PUT of what the shards know */
void	crd_collection_count(struct sb_req *r,
	    const struct cl_collection *col);
void	crd_collection_figures(struct sb_req *r,
	    const struct cl_collection *col);
void	crd_collection_revision(struct sb_req *r,
	    const struct cl_collection *col);
void	crd_collection_checksum(struct sb_req *r,
	    const struct cl_collection *col);
void	crd_collection_responsible(struct sb_req *r,
	    const struct cl_collection *col);
void	crd_collection_truncate(struct sb_req *r,
	    const struct cl_collection *col);
void	crd_collection_load(struct sb_req *r,
	    const struct cl_collection *col);
void	crd_collection_recalculate(struct sb_req *r,
	    const struct cl_collection *col);

#endif
