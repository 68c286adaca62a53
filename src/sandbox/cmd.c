/* cmd.c - asking the supervisor, and servers, from the command line */
#ifdef HAVE_SYS_PIDFD_H
#include <sys/pidfd.h>
#endif
#include <sys/socket.h>

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fsx.h"
#include "http/client.h"
#include "http/jwt.h"
#include "ipc/codec.h"
#include "ipc/frame.h"
#include "ipc/messages.h"
#include "json/get.h"
#include "sandbox/boss.h"
#include "sandbox/cmd.h"
#include "sandbox/control.h"

#define ANSWER_MAX_BYTES	(1024 * 1024)
#define PROBE_MS		2000
#define PROBE_PAUSE_MS		50
#define TOKEN_SECONDS		120

void
cmd_complain(const char *fmt, ...)
{
	va_list	 ap;

	fputs("arangosync-sandbox: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

/* ---- the supervisor ----------------------------------------------------- */

static int
connect_boss(const char *dir)
{
	struct sockaddr_un	 sun;
	int			 at, fd, r = 0;

	if ((at = control_address(dir, BOSS_SOCKET_FILE, &sun)) < 0)
		return at == -ENOENT ? ERR_NOT_FOUND : at;
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) == -1 ||
	    connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1)
		r = errno == ENOENT || errno == ECONNREFUSED ? ERR_NOT_FOUND :
		    -errno;
	close(at);
	if (r != 0 && fd != -1)
		close(fd);
	return r != 0 ? r : fd;
}

static int
wait_readable(int fd, uint64_t deadline)
{
	struct pollfd	 pfd = { fd, POLLIN, 0 };
	uint64_t	 now;
	int		 n;

	do {
		if ((now = clock_mono_ms()) >= deadline)
			return ERR_TIMEOUT;
		n = poll(&pfd, 1, (int)MIN(deadline - now, (uint64_t)60000));
	} while (n == 0 || (n == -1 && errno == EINTR));
	return n == -1 ? -errno : 0;
}

static int
read_answer(int fd, uint64_t deadline, int *code, char **text)
{
	struct frame_parser	 parser;
	struct frame		 f;
	struct rbuf		 m;
	uint8_t			 data[8192], c;
	ssize_t			 n;
	int			 r;

	frame_parser_init(&parser, ANSWER_MAX_BYTES);
	while ((r = frame_parser_next(&parser, &f)) == 0) {
		if ((r = wait_readable(fd, deadline)) != 0)
			break;
		if ((n = read(fd, data, sizeof(data))) <= 0) {
			r = n == 0 ? ERR_CLOSED : -errno;
			break;
		}
		frame_parser_feed(&parser, data, (size_t)n);
	}
	if (r == 1) {
		m.p = f.payload;
		m.left = f.len;
		r = f.type != MSG_CMD_ANS ? ERR_PROTOCOL : 0;
		if (r == 0 && (r = get_u8(&m, &c)) == 0 &&
		    (r = get_str_dup(&m, ANSWER_MAX_BYTES, text)) == 0)
			*code = c;
	}
	frame_parser_free(&parser);
	return r;
}

/*
 * Until the supervisor has ended: a process that hung up is still there for a
 * moment.  Kernels without pidfd leave it at the hang-up.
 */
static void
wait_end(int fd, uint64_t deadline)
{
	uint8_t		 byte;
#ifdef HAVE_SYS_PIDFD_H
	struct ucred	 who;
	socklen_t	 len = sizeof(who);
	int		 pidfd;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 &&
	    (pidfd = pidfd_open(who.pid, 0)) != -1) {
		(void)wait_readable(pidfd, deadline);
		close(pidfd);
		return;
	}
#endif
	while (wait_readable(fd, deadline) == 0 && read(fd, &byte, 1) > 0)
		;
}

int
cmd_ask(const char *dir, uint16_t type, struct buf *body, uint32_t timeout_ms,
    int linger, int *code, char **text)
{
	struct frame_header	 h = { 0, type, 0, 0, 1 };
	struct buf		 out = BUF_INIT;
	uint64_t		 deadline = clock_mono_ms() + timeout_ms;
	int			 fd, r;

	if ((fd = connect_boss(dir)) < 0) {
		buf_free(body);
		return fd;
	}
	frame_encode(&out, &h, body->data, body->len);
	buf_free(body);
	if ((r = fsx_write_all(fd, out.data, out.len)) == 0)
		r = read_answer(fd, deadline, code, text);
	buf_free(&out);
	if (r == 0 && linger)
		wait_end(fd, deadline);
	close(fd);
	return r;
}

int
cmd_ask_and_tell(const char *dir, uint16_t type, struct buf *body,
    uint32_t timeout_ms)
{
	char	*text = NULL;
	int	 r, code = 1;

	r = cmd_ask(dir, type, body, timeout_ms, 0, &code, &text);
	if (r == ERR_NOT_FOUND)
		cmd_complain("no cluster runs in %s", dir);
	else if (r == ERR_TIMEOUT)
		cmd_complain("not done after %u s: the supervisor in %s does "
		    "not answer", (unsigned)(timeout_ms / 1000), dir);
	else if (r != 0)
		cmd_complain("the supervisor in %s: %s", dir, err_text(r));
	else if (code != 0)
		cmd_complain("%s", text);
	else if (text[0] != '\0')
		printf("%s\n", text);
	free(text);
	return r != 0 ? 1 : code;
}

/* ---- the file ----------------------------------------------------------- */

struct json_object *
cmd_cluster(const char *dir)
{
	struct json_object	*o = NULL;
	struct err_msg		 m = { "" };
	struct buf		 text = BUF_INIT;
	char			*path;
	int			 r;

	path = xasprintf("%s/%s", dir, BOSS_CLUSTER_FILE);
	if ((r = fsx_read_file(path, ANSWER_MAX_BYTES, &text)) == -ENOENT)
		cmd_complain("there is no cluster in %s", dir);
	else if (r != 0)
		cmd_complain("cannot read %s: %s", path, err_text(r));
	else if ((r = json_parse(buf_cstr(&text), text.len, &o, &m)) != 0)
		cmd_complain("%s is damaged: %s", path, m.text);
	else if (!json_object_is_type(json_at(o, "servers"), json_type_array))
		cmd_complain("%s names no servers", path);
	else
		goto out;
	json_object_put(o);
	o = NULL;
out:
	buf_free(&text);
	free(path);
	return o;
}

struct json_object *
cmd_cluster_server(struct json_object *cluster, const char *name)
{
	struct json_object	*list = json_at(cluster, "servers"), *o;
	size_t			 i;

	for (i = 0; i < json_object_array_length(list); i++) {
		o = json_object_array_get_idx(list, i);
		if (strcmp(json_string_or(o, "name", ""), name) == 0)
			return o;
	}
	return NULL;
}

/* ---- servers ------------------------------------------------------------ */

/* "authorization: bearer ..." of the cluster's secret; NULL without --auth. */
static int
make_token_header(struct json_object *cluster, char **header,
    struct err_msg *m)
{
	const char		*file = json_string_or(cluster, "auth", NULL);
	struct jwt_secrets	 secrets;
	char			*token;
	int			 r;

	*header = NULL;
	if (file == NULL)
		return 0;
	memset(&secrets, 0, sizeof(secrets));
	if ((r = jwt_secrets_add_file(&secrets, file, m)) != 0)
		return r;
	token = jwt_make_superuser(&secrets, "arangosync-sandbox",
	    (int64_t)time(NULL) + TOKEN_SECONDS);
	jwt_secrets_clear(&secrets);
	*header = xasprintf("authorization: bearer %s", token);
	free(token);
	return 0;
}

int
cmd_http(struct json_object *cluster, const char *endpoint,
    const char *method, const char *path, const char *body,
    uint32_t timeout_ms, struct http_result *res)
{
	struct http_client_opts	 copts = HTTP_CLIENT_OPTS_INIT;
	struct http_call_opts	 opts = HTTP_CALL_OPTS_INIT;
	const char		*headers[3];
	char			*url, *token = NULL;
	size_t			 n = 0;
	int			 r;

	memset(res, 0, sizeof(*res));
	if ((r = make_token_header(cluster, &token, &res->msg)) != 0) {
		res->err = r;
		return r;
	}
	copts.no_verify = true;		/* loopback, our own certificate */
	url = xasprintf("%s%s", endpoint, path);
	if (token != NULL)
		headers[n++] = token;
	if (body != NULL)
		headers[n++] = "content-type: application/json";
	headers[n] = NULL;
	opts.method = method;
	opts.url = url;
	opts.headers = headers;
	opts.body = body;
	opts.body_len = body == NULL ? 0 : strlen(body);
	opts.connect_timeout_ms = timeout_ms;
	opts.total_timeout_ms = timeout_ms;
	r = http_client_fetch(&copts, &opts, res);
	free(token);
	free(url);
	return r;
}

int
cmd_wait_available(const char *dir, const char *name, uint64_t deadline_ms)
{
	const struct timespec	 pause = { 0, PROBE_PAUSE_MS * 1000000L };
	struct json_object	*cluster, *server;
	struct http_result	 res;
	char			 last[640] = "no answer";
	int			 code = 1;

	if ((cluster = cmd_cluster(dir)) == NULL)
		return 1;
	if ((server = cmd_cluster_server(cluster, name)) == NULL) {
		cmd_complain("there is no server %s in this cluster", name);
		json_object_put(cluster);
		return 2;
	}
	do {
		if (cmd_http(cluster, json_string_or(server, "endpoint", ""),
		    "GET", "/_admin/server/availability", NULL, PROBE_MS,
		    &res) != 0)
			snprintf(last, sizeof(last), "%s", res.msg.text);
		else if (res.status == 200)
			code = 0;
		else
			snprintf(last, sizeof(last), "it answers %d",
			    res.status);
		http_result_free(&res);
		if (code != 0)
			nanosleep(&pause, NULL);
	} while (code != 0 && clock_mono_ms() < deadline_ms);
	if (code != 0)
		cmd_complain("%s is not available: %s", name, last);
	json_object_put(cluster);
	return code;
}
