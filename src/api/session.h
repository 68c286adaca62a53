/*
 * session.h - the source's end of the connection between datacenters, in the
 * process api (link/link.h, arangosync-protocol(7); R21, R27).
 *
 * A target has one session: two streamed answers that carry frames down, and
 * requests that carry them up.  A frame names its channel; which channel is
 * which shard is told by MSG_CH_SUBSCRIBE, and the send process that serves a
 * shard says so itself (MSG_SEND_HELLO).  This end passes messages on between
 * both and looks into very few of them.
 */
#ifndef API_SESSION_H
#define API_SESSION_H

#include <stdint.h>

#include "api/api.h"
#include "ipc/rules.h"

struct api_sessions;

/* In /_x/v1/session below this come the id and what is wanted of it. */
#define API_SESSION_PATH	"/_x/v1/session"

struct api_sessions *api_sessions_new(struct api *a);
/* Ends all sessions.  Either the processes that were connected have gone
 * before, or the loop does not run any more. */
void	api_sessions_free(struct api_sessions **all);

/* Answer a request below API_SESSION_PATH; who is API_CERTIFICATE or
 * API_TOKEN.  Does not wait. */
void	api_session_serve(struct api_sessions *all, struct http_req *req);

/* What control says about sessions; ctx is the struct api. */
extern const struct msg_rule	api_session_rules[];
/* control is there (again): it is told which sessions there are. */
void	api_sessions_control(struct api_sessions *all);
/* Connected with a process of that class; fd is taken. */
void	api_sessions_connect(struct api_sessions *all, const char *name,
	    unsigned class, int fd);

#endif
