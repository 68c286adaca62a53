/* agency_priv.h - shared by agency.c, agency_wait.c and lease.c */
#ifndef ARANGO_AGENCY_PRIV_H
#define ARANGO_AGENCY_PRIV_H

#include "arango/agency.h"
#include "arango/conn.h"

/*
 * Send to the leader, looking for it until deadline_ms.  may_repeat: also
 * after an unknown outcome.  Sets to and cancel of req.  Returns ans->err.
 */
int	agency_call(struct arango_agency *ag, struct arango_req *req,
	    bool may_repeat, uint64_t deadline_ms, struct arango_answer *ans);
/* now + patience */
uint64_t agency_deadline(const struct arango_agency *ag);
struct arango_cancel *agency_cancel(const struct arango_agency *ag);
/* "/a/b" inside a tree, or NULL; not counted. */
struct json_object *agency_walk(struct json_object *root, const char *path);

#endif
