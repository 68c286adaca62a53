/*
 * client_priv.h - what client.c (the client, libcurl's events) and
 * client_call.c (the life of one call) share.
 */
#ifndef HTTP_CLIENT_PRIV_H
#define HTTP_CLIENT_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include <curl/curl.h>

#include "base/buf.h"
#include "base/err.h"
#include "ev/loop.h"
#include "http/client.h"

struct line {
	char	*name, *value;
};

struct http_call {
	struct http_call	*next, *prev;
	struct http_client	*client;
	struct http_call_opts	 o;	/* strings are not kept */
	CURL			*easy;
	struct curl_slist	*headers;
	curl_socket_t		 fd;		/* libcurl watches it for this */
	bool			 owns_body;
	bool			 dead;		/* cancelled, to be freed */
	bool			 to_add;	/* not given to libcurl yet */
	bool			 paused, upload_paused;	/* as wanted */
	bool			 done;
	bool			 repeatable;	/* GET, HEAD, or allowed to */
	unsigned		 sent;		/* times it went out */
	uint64_t		 upload_left;
	uint64_t		 received;
	bool			 status_told;
	int			 status;
	struct line		*lines;
	size_t			 n_lines, cap_lines, header_bytes;
	int			 err;		/* why we ended it ourselves */
	struct err_msg		 msg;
	char			 curl_text[CURL_ERROR_SIZE];
	struct buf		 body;
	struct loop_task	 resume_task;
};

/* A descriptor that libcurl wants watched. */
struct watch {
	struct http_client	*client;
	curl_socket_t		 fd;
	struct loop_fd		*w;
};

struct http_client {
	struct loop		*loop;
	struct http_client_opts	 o;
	CURLM			*multi;
	struct loop_timer	*timer;
	struct loop_task	 reap_task;
	struct loop_task	 ahead_task;	/* TLS has read ahead */
	struct http_call	*calls;
	unsigned		 depth;	/* inside libcurl or callbacks */
	bool			 in_curl;	/* it must not be called now */
	bool			 any_dead, any_new;	/* among calls */
	bool			 dead;
};

/*
 * Around everything that runs callbacks: what was cancelled or begun inside is
 * freed or given to libcurl when the outermost one leaves.
 */
void	http_client_enter(struct http_client *c);
void	http_client_leave(struct http_client *c);
/* Look what libcurl has finished; arg is the client. */
void	http_client_reap(void *arg);
/* libcurl may have read: take what TLS has read ahead.  arg is the client. */
void	http_client_read_on(void *arg);
void	http_call_free(struct http_call *call);
void	http_call_finish(struct http_call *call, CURLcode code);

#endif
