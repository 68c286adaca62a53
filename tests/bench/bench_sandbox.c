/*
 * bench_sandbox.c - how fast a DB-server of the sandbox is, seen from a client
 * that does next to nothing itself: blocking sockets, requests made up before.
 *
 * usage: bench_sandbox PORT SHARD [SECONDS]
 *
 * One line of JSON per number.  The null stage is the same bytes sent to a
 * path that reads and refuses them (405): what remains is the sandbox's work.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS	2
#define DOCS		1000
#define DOC_BYTES	1024
#define HEAD_MAX	16384

static int	port;
static char	shard[128];

static double
now(void)
{
	struct timespec	 ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void	die(const char *what) __attribute__((noreturn));

static void
die(const char *what)
{
	fprintf(stderr, "bench_sandbox: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void
result(const char *name, double value, const char *unit, const char *ratio_to,
    double ratio)
{
	printf("{\"name\":\"%s\",\"value\":%.3f,\"unit\":\"%s\"", name, value,
	    unit);
	if (ratio_to != NULL)
		printf(",\"ratio_to\":\"%s\",\"ratio\":%.4f", ratio_to, ratio);
	printf("}\n");
	fflush(stdout);
}

/* ---- a client that only counts ------------------------------------------------ */

struct conn {
	int	 fd;
	char	 head[HEAD_MAX];	/* of the last answer */
	int	 status;
	size_t	 length;		/* Content-Length */
	size_t	 have;			/* bytes in buf behind the head */
	char	*buf;			/* scratch for bodies */
};

#define SCRATCH_BYTES	(1 << 20)

static void
conn_open(struct conn *c)
{
	struct sockaddr_in	 sin = { .sin_family = AF_INET };
	int			 on = 1;

	sin.sin_port = htons((uint16_t)port);
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if ((c->fd = socket(AF_INET, SOCK_STREAM, 0)) == -1 ||
	    connect(c->fd, (struct sockaddr *)&sin, sizeof(sin)) == -1)
		die("connect");
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if ((c->buf = malloc(SCRATCH_BYTES)) == NULL)
		die("malloc");
}

static void
send_all(struct conn *c, const char *p, size_t n)
{
	ssize_t	 r;

	for (; n > 0; p += r, n -= (size_t)r)
		if ((r = send(c->fd, p, n, MSG_NOSIGNAL)) <= 0)
			die("send");
}

static const char *
header(struct conn *c, const char *name)
{
	char	*p = strcasestr(c->head, name);

	return p == NULL ? "" : p + strlen(name) + 2;
}

/* Read one answer; the body is thrown away. */
static void
receive(struct conn *c)
{
	size_t	 n = 0, body;
	ssize_t	 r;
	char	*end;

	for (;;) {
		r = recv(c->fd, c->buf + n, SCRATCH_BYTES - 1 - n, 0);
		if (r <= 0)
			die("recv");
		n += (size_t)r;
		c->buf[n] = '\0';
		if ((end = strstr(c->buf, "\r\n\r\n")) != NULL)
			break;
		if (n > HEAD_MAX)
			die("head too long");
	}
	body = n - (size_t)(end + 4 - c->buf);
	n = (size_t)(end + 2 - c->buf);
	memcpy(c->head, c->buf, n);
	c->head[n] = '\0';
	c->status = atoi(c->head + 9);
	c->length = strtoull(header(c, "content-length"), NULL, 10);
	if (c->status == 204)
		c->length = 0;
	while (body < c->length) {
		r = recv(c->fd, c->buf, SCRATCH_BYTES, 0);
		if (r <= 0)
			die("recv");
		body += (size_t)r;
	}
}

static void
request(struct conn *c, const char *method, const char *path,
    const char *body, size_t len)
{
	char	 head[1024];
	int	 n;

	n = snprintf(head, sizeof(head), "%s %s HTTP/1.1\r\nHost: x\r\n"
	    "Accept: application/json\r\nContent-Type: application/json\r\n"
	    "Content-Length: %zu\r\n\r\n", method, path, len);
	send_all(c, head, (size_t)n);
	if (len > 0)
		send_all(c, body, len);
	receive(c);
}

/* ---- inserts ------------------------------------------------------------------- */

/* An array of documents of DOC_BYTES each, keys of their own. */
static size_t
make_body(char *out, int writer, unsigned long round)
{
	char	*p = out;
	int	 i, n, k;

	*p++ = '[';
	for (i = 0; i < DOCS; i++) {
		n = sprintf(p, "%s{\"_key\":\"%d-%lu-%d\",\"number\":%lu,"
		    "\"price\":%d.25,\"active\":true,\"tags\":[\"a\",\"b\"],"
		    "\"address\":{\"city\":\"Cologne\",\"zip\":\"50667\"}",
		    i == 0 ? "" : ",", writer, round, i, round * DOCS +
		    (unsigned long)i, i);
		p += n;
		for (k = 0; n < DOC_BYTES - 130; k++) {
			int	 m = sprintf(p, ",\"text%d\":\"%090d\"", k, i);

			p += m;
			n += m;
		}
		n = DOC_BYTES - n - 12;
		p += sprintf(p, ",\"pad\":\"%0*d\"}", n > 1 ? n : 1, i);
	}
	*p++ = ']';
	return (size_t)(p - out);
}

#define BODY_MAX	(DOCS * (DOC_BYTES + 256))
#define BODIES		64		/* made before the clock starts */

struct writer {
	pthread_t	 thread;
	int		 number;
	double		 seconds;
	const char	*method;
	char		 path[256];
	int		 want;		/* status */
	unsigned long	 rounds, round0;
	size_t		 bytes;
};

static pthread_barrier_t	 barrier;

static void *
writer_main(void *arg)
{
	struct writer	*w = arg;
	struct conn	 c;
	char		**bodies = calloc(BODIES, sizeof(*bodies));
	size_t		 len[BODIES];
	double		 end;
	unsigned long	 i;

	for (i = 0; i < BODIES; i++) {
		if ((bodies[i] = malloc(BODY_MAX)) == NULL)
			die("malloc");
		len[i] = make_body(bodies[i], w->number, w->round0 + i);
	}
	conn_open(&c);
	pthread_barrier_wait(&barrier);
	end = now() + w->seconds;
	for (i = 0; now() < end; i++) {
		/* Made before where there are enough, else keys repeat: then
		 * new ones are needed, and making them is the client's time. */
		if (i >= BODIES && w->want == 202)
			len[i % BODIES] = make_body(bodies[i % BODIES],
			    w->number, w->round0 + i);
		request(&c, w->method, w->path, bodies[i % BODIES],
		    len[i % BODIES]);
		if (c.status != w->want || (w->want == 202 &&
		    strcasestr(c.head, "x-arango-error-codes") != NULL)) {
			fprintf(stderr, "bench_sandbox: status %d: %.600s\n",
			    c.status, c.head);
			exit(1);
		}
		w->bytes += len[i % BODIES];
	}
	w->rounds = i;
	close(c.fd);
	for (i = 0; i < BODIES; i++)
		free(bodies[i]);
	free(bodies);
	free(c.buf);
	return NULL;
}

/* documents a second over all connections */
static double
run_writers(double seconds, const char *method, const char *path, int want,
    unsigned long round0, double *mb)
{
	struct writer	 w[CONNECTIONS] = { { 0 } };
	double		 begin, took;
	unsigned long	 docs = 0;
	size_t		 bytes = 0;
	int		 i;

	pthread_barrier_init(&barrier, NULL, CONNECTIONS + 1);
	for (i = 0; i < CONNECTIONS; i++) {
		w[i].number = i;
		w[i].seconds = seconds;
		w[i].method = method;
		w[i].want = want;
		w[i].round0 = round0;
		snprintf(w[i].path, sizeof(w[i].path), "%s", path);
		pthread_create(&w[i].thread, NULL, writer_main, &w[i]);
	}
	pthread_barrier_wait(&barrier);
	begin = now();
	for (i = 0; i < CONNECTIONS; i++) {
		pthread_join(w[i].thread, NULL);
		docs += w[i].rounds * DOCS;
		bytes += w[i].bytes;
	}
	took = now() - begin;
	pthread_barrier_destroy(&barrier);
	*mb = (double)bytes / took / 1e6;
	return (double)docs / took;
}

/* ---- reads ----------------------------------------------------------------------- */

static double
run_tail(const char *name, unsigned long long from)
{
	struct conn	 c;
	char		 path[256];
	double		 begin = now(), took;
	unsigned long long included, scanned, pos = from;
	size_t		 bytes = 0;

	conn_open(&c);
	for (;;) {
		snprintf(path, sizeof(path), "/_api/wal/tail?global=true&"
		    "from=%llu&lastScanned=0&chunkSize=8388608", pos);
		request(&c, "GET", path, NULL, 0);
		if (c.status != 200 && c.status != 204)
			die("tail");
		bytes += c.length;
		included = strtoull(header(&c,
		    "x-arango-replication-lastincluded"), NULL, 10);
		scanned = strtoull(header(&c,
		    "x-arango-replication-lastscanned"), NULL, 10);
		if (included == 0 && scanned > pos + 1)
			included = scanned - 1;
		if (included <= pos)
			break;
		pos = included;
	}
	took = now() - begin;
	result(name, (double)bytes / took / 1e6, "MB/s", NULL, 0);
	close(c.fd);
	free(c.buf);
	return (double)pos;
}

static int
by_value(const void *a, const void *b)
{
	double	 x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void
run_poll(unsigned long long from)
{
	static double	 took[2000];
	struct conn	 c;
	char		 path[256];
	double		 begin;
	size_t		 i;

	conn_open(&c);
	snprintf(path, sizeof(path), "/_api/wal/tail?global=true&from=%llu"
	    "&lastScanned=0&chunkSize=1048576", from);
	for (i = 0; i < 2000; i++) {
		begin = now();
		request(&c, "GET", path, NULL, 0);
		took[i] = (now() - begin) * 1000;
	}
	qsort(took, 2000, sizeof(took[0]), by_value);
	result("wal_poll_nothing_new_p50", took[1000], "ms", NULL, 0);
	result("wal_poll_nothing_new_p99", took[1980], "ms", NULL, 0);
	/* The least the same connection can do: a small fixed answer. */
	for (i = 0; i < 2000; i++) {
		begin = now();
		request(&c, "GET", "/_admin/server/availability", NULL, 0);
		took[i] = (now() - begin) * 1000;
	}
	qsort(took, 2000, sizeof(took[0]), by_value);
	result("null_small_request_p50", took[1000], "ms", NULL, 0);
	close(c.fd);
	free(c.buf);
}

static void
run_dump(void)
{
	struct conn	 c;
	char		 path[512], id[64], *p;
	double		 begin, took;
	size_t		 bytes = 0;

	conn_open(&c);
	request(&c, "POST", "/_api/replication/batch", "{\"ttl\":600}", 11);
	if (c.status != 200 || (p = strstr(c.buf, "\"id\":\"")) == NULL)
		die("batch");
	snprintf(id, sizeof(id), "%.*s", (int)strcspn(p + 6, "\""), p + 6);
	begin = now();
	for (;;) {
		snprintf(path, sizeof(path), "/_api/replication/dump?"
		    "collection=%s&batchId=%s&chunkSize=8388608", shard, id);
		request(&c, "GET", path, NULL, 0);
		if (c.status != 200 && c.status != 204)
			die("dump");
		bytes += c.length;
		if (strncmp(header(&c, "x-arango-replication-checkmore"),
		    "true", 4) != 0)
			break;
	}
	took = now() - begin;
	result("dump", (double)bytes / took / 1e6, "MB/s", NULL, 0);
	snprintf(path, sizeof(path), "/_api/replication/batch/%s", id);
	request(&c, "DELETE", path, NULL, 0);
	close(c.fd);
	free(c.buf);
}

int
main(int argc, char **argv)
{
	double		 seconds, null_mb, mb, docs, last;
	char		 path[256];

	if (argc < 3) {
		fprintf(stderr, "usage: bench_sandbox PORT SHARD [SECONDS]\n");
		return 2;
	}
	port = atoi(argv[1]);
	snprintf(shard, sizeof(shard), "%s", argv[2]);
	seconds = argc > 3 ? atof(argv[3]) : 5;
	run_writers(seconds / 2, "PUT", "/_api/version", 405, 0, &null_mb);
	result("null_upload", null_mb, "MB/s", NULL, 0);
	snprintf(path, sizeof(path), "/_api/document/%s?silent=true", shard);
	docs = run_writers(seconds, "POST", path, 202, 1000000, &mb);
	result("insert_to_leader", docs, "documents/s", NULL, 0);
	result("insert_to_leader_bytes", mb, "MB/s", "null_upload",
	    mb / null_mb);
	last = run_tail("wal_tail", 1);
	run_poll((unsigned long long)last);
	run_dump();
	return 0;
}
