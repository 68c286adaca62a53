/*
 * jobs.h - requests with the header x-arango-async: answered with 202 at once,
 * carried out afterwards, their answer fetched by /_api/job.  Facts:
 * GeneralServer/CommTask.cpp, AsyncJobManager.cpp, RestJobHandler.cpp of
 * arangod.  Inside the server of the sandbox only.
 */
#ifndef SANDBOX_JOBS_H
#define SANDBOX_JOBS_H

#include "base/buf.h"
#include "sandbox/server.h"

struct sb_job;

/*
 * Before the handler of a request that may proceed: when the client asked for
 * a job, tell it so; what the handler answers is then kept for it, or thrown
 * away.  0, or answered and -1.  Waits.
 */
int	sb_job_begin(struct sb_req *r);
/* A header of the answer, and the answer; body is moved, may be NULL. */
void	sb_job_header(struct sb_job *j, const char *name, const char *value);
void	sb_job_answer(struct sb_job *j, int status, const char *type,
	    struct buf *body);
/* The request is over. */
void	sb_job_end(struct sb_job **j);
void	sb_jobs_free(struct sb_server *s);

extern const struct sb_route sb_job_routes[];

#endif
