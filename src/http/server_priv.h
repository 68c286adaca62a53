/*
 * server_priv.h - connections and requests, shared by the files of the server.
 *
 * server.c owns the listener and the list of connections, conn.c moves one
 * connection through its states, request.c is what handlers see.
 *
 * Why not evhttp: it has no hook between the header and the body of a request
 * but a filter under it, which would have to frame requests itself, with a
 * second parser behind it that may frame them otherwise; it knows no 431, no
 * deadline of a request as a whole; it adds a Date line to every answer, which
 * arangod does not send; it reads 4 KiB at a time; and the body would be
 * copied once more to be in one block.
 */
#ifndef HTTP_SERVER_PRIV_H
#define HTTP_SERVER_PRIV_H

#include "base/buf.h"
#include "ev/loop.h"
#include "http/head.h"
#include "http/server.h"
#include "http/sock.h"

#define CONN_PEER_BYTES		48	/* INET6_ADDRSTRLEN and a bit */

enum conn_state {
	CONN_HEAD,	/* waits for, or reads, request line and header */
	CONN_BODY,	/* reads the body */
	CONN_HANDLE,	/* the handler has the request */
	CONN_ANSWER,	/* the answer is complete, the rest of it is sent */
	CONN_LINGER,	/* all is sent; reads until the client closes, as
			 * closing on unread bytes would reset the connection
			 * and could take the answer away from the client */
	CONN_STATE_COUNT
};

/* A block of bytes to be sent. */
struct outblk {
	struct outblk	*next;
	struct buf	 b;
	size_t		 off;
};

struct conn {
	struct conn		*next, *prev;
	struct http_server	*srv;	/* NULL: the server was freed */
	struct loop		*loop;
	struct sock		 sock;
	struct loop_fd		*watch;
	int			 events;	/* asked of watch */
	enum conn_state		 state;
	unsigned		 busy;	/* in use on the stack: not freed now */
	bool			 running;	/* inside conn_run() */
	bool			 dead;
	bool			 readable;	/* more may be there */
	bool			 peer_eof;
	bool			 close_after;	/* this answer is the last */
	bool			 blocked;	/* the socket takes no more */
	struct buf		 in;	/* bytes behind the current request */
	size_t			 scanned;
	struct http_head	 head;	/* CONN_BODY */
	uint8_t			*body;
	uint64_t		 body_len, body_have, body_reserved;
	struct http_req		*req;	/* CONN_HANDLE */
	struct outblk		*out, *out_last;
	size_t			 out_bytes;
	uint64_t		 discarded;	/* CONN_LINGER */
	struct loop_timer	*timer;
	uint64_t		 deadline_ms;	/* 0: none */
	uint64_t		 armed_ms;	/* of the timer; 0: off */
	struct loop_task	 run_task;
	char			 peer[CONN_PEER_BYTES];
	uint16_t		 peer_port;
	char			*cert_subject, *cert_fingerprint;
	bool			 cert_looked_at;
};

enum {
	NOTIFY_CLOSE	= 1,
	NOTIFY_ROOM	= 2
};

enum req_state {
	REQ_OPEN,	/* no answer yet */
	REQ_STREAM,	/* between begin and end */
	REQ_DONE
};

struct http_req {
	struct http_req		*next, *prev;	/* all of a server */
	struct http_server	*srv;	/* NULL: the server was freed */
	struct conn		*conn;	/* NULL: gone, or answered */
	struct loop		*loop;
	unsigned		 refs;
	enum req_state		 state;
	bool			 gone;	/* the client closed its side */
	bool			 tls;
	bool			 close_after;
	struct http_head	 head;
	uint8_t			*body;
	uint64_t		 body_len, body_reserved;
	char			 peer[CONN_PEER_BYTES];
	uint16_t		 peer_port;
	char			*cert_subject, *cert_fingerprint;
	struct buf		 extra;	/* header lines of the answer */
	/* streams */
	bool			 chunked;
	bool			 want_room;
	int64_t			 left;	/* of a stream of known length */
	/* callbacks */
	struct loop_task	 task;
	unsigned		 notify;	/* NOTIFY_* not delivered yet */
	void			(*on_close)(struct http_req *, void *);
	void			*on_close_arg;
	void			(*on_room)(struct http_req *, void *);
	void			*on_room_arg;
	void			*user;
};

struct http_server {
	struct loop		*loop;
	struct http_server_opts	 o;	/* strings are ours */
	int			 fd;
	uint16_t		 port;
	struct loop_fd		*watch;
	struct loop_timer	*retry;	/* after EMFILE */
	bool			 refusing;
	struct conn		*conns;
	struct http_req		*reqs;
	uint64_t		 n_conns;
	uint64_t		 n_requests, n_refused;
	uint64_t		 body_bytes;
};

/* server.c: room for new connections again */
void	server_conn_closed(struct http_server *srv);

/* conn.c */
void	conn_new(struct http_server *srv, int fd, const char *peer,
	    uint16_t port);
/* Close now.  The request lives on and is told when tell. */
void	conn_close(struct conn *c, bool tell);
/* Queue bytes; moves b. */
void	conn_queue(struct conn *c, struct buf *b);
void	conn_queue_copy(struct conn *c, const void *p, size_t n);
/* Send what is queued, as far as the socket takes it. */
void	conn_flush(struct conn *c);
/* As conn_flush(), at the end of this iteration. */
void	conn_flush_later(struct conn *c);
/* The answer of the current request is complete in the queue. */
void	conn_answered(struct conn *c, bool close_after);
/* Append status line and header up to the empty line. */
void	conn_format_head(const struct http_server *srv, struct buf *b,
	    int status, const char *type, int64_t len, bool keep_alive,
	    const struct buf *extra);

/* request.c */
/* Takes over c->head and c->body. */
struct http_req *req_new(struct conn *c);
void	req_notify(struct http_req *req, unsigned what);
void	req_conn_gone(struct http_req *req, bool tell);

#endif
