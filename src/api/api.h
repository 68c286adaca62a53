/*
 * api.h - the process that talks HTTPS: it finds out who is asking, answers
 * version, role and metrics itself, and asks control for everything else.
 *
 * Credentials (product reference 3.2): a client certificate of the CA in
 * --server.client-cafile; Basic, checked against the own cluster; a JWT signed
 * with the master secret; the monitoring token, for metrics and version only.
 */
#ifndef API_API_H
#define API_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/map.h"
#include "http/client.h"
#include "http/jwt.h"
#include "http/server.h"
#include "http/tls.h"
#include "master/daemon.h"
#include "metrics/metrics.h"

struct api_sessions;
struct peer;

#define API_BODY_MAX_BYTES	((uint64_t)1024 * 1024)
#define API_BODIES_MAX_BYTES	((uint64_t)64 * 1024 * 1024)
#define API_CONNECTIONS_MAX	1024
#define API_REQUEST_TIMEOUT_MS	60000
#define API_CONTROL_TIMEOUT_MS	30000
#define API_CONTROL_LONG_MS	(24 * 3600 * 1000)

enum api_who {
	API_NOBODY,
	API_MONITOR,		/* the monitoring token */
	API_USER,		/* Basic */
	API_TOKEN,		/* JWT of the master secret */
	API_CERTIFICATE,
	API_WHO_COUNT
};

struct api {
	struct member	*m;
	const struct daemon_conf *conf;
	struct loop	*loop;
	struct http_server *server;	/* NULL until socket and key are there */
	struct http_client *client;
	int		 listen_fd;
	struct buf	 keyfile, client_ca;	/* as they are in use */
	struct buf	 new_keyfile, new_client_ca;	/* ... or are to be */
	struct tls_ctx	*tls;
	struct jwt_secrets secrets;	/* of --master.jwt-secret */
	struct map	 users;		/* Basic credentials that were good:
					 * digest -> until when (ms) */
	struct peer	*control;	/* NULL while it is away */
	struct api_call	*calls;		/* that wait for control */
	struct api_sessions *sessions;	/* of other datacenters */
	struct metrics	*metrics;
	struct metrics_counter *requests, *denied;
};

/* The process. */
int	api_main(struct member *m);

/* auth.c: who is asking?  Runs in a fiber; may ask the cluster. */
enum api_who api_authenticate(struct api *a, struct http_req *req);
const char *api_who_name(enum api_who who);

/* call.c: requests to control and what comes of them. */
void	api_connect_control(struct api *a, int fd);
/* Answer req with what control says, or another master does.  In a fiber. */
void	api_ask_control(struct api *a, struct http_req *req,
	    enum api_who who);
/* {"Error":"..."} with that status. */
void	api_refuse(struct http_req *req, int status, const char *text);

#endif
