/* check.c - files that a daemon is started with; see check.h */
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "http/ossl.h"

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/fsx.h"
#include "base/str.h"
#include "http/jwt.h"
#include "http/tls.h"
#include "master/check.h"

/* A file system that does not answer must not stop us for ever. */
#define CHECK_MAX_S	30

/* What the process says to its parent. */
struct verdict {
	int			 r;
	struct check_user	 user;
	struct err_msg		 m;
};

static int
read_named(const char *flag, const char *path, struct buf *b,
    struct err_msg *m)
{
	struct stat	 st;
	int		 r;

	/* Opening a FIFO would wait for somebody who writes. */
	if (stat(path, &st) == -1)
		return err_set(m, -errno, "--%s %s: %s", flag, path,
		    err_text(-errno));
	if (!S_ISREG(st.st_mode))
		return err_set(m, ERR_FORMAT, "--%s %s: is not a regular file",
		    flag, path);
	if ((r = fsx_read_file(path, TLS_FILE_MAX_BYTES, b)) != 0)
		return err_set(m, r, "--%s %s: %s", flag, path, err_text(r));
	if (b->len == 0)
		return err_set(m, ERR_FORMAT, "--%s %s: the file is empty",
		    flag, path);
	return 0;
}

static int
check_secret(const char *flag, const char *path, struct err_msg *m)
{
	struct jwt_secrets	 s = { .count = 0 };
	struct err_msg		 why = { "" };
	struct stat		 st;
	int			 r;

	if (path == NULL)
		return 0;
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return err_set(m, ERR_FORMAT, "--%s %s: is not a regular file",
		    flag, path);
	if ((r = jwt_secrets_add_file(&s, path, &why)) != 0)
		err_set(m, r, "--%s %s: %s", flag, path,
		    r == ERR_RANGE ? "must hold a secret of 1 to 64 bytes" :
		    err_text(r));
	return r;
}

/* Nobody who verifies it would talk to us. */
static int
check_expiry(const struct daemon_conf *c, const struct tls_ctx *tls,
    struct err_msg *m)
{
	const X509	*x = SSL_CTX_get0_certificate(tls_ctx_ssl(tls));
	struct tm	 tm;
	char		 day[32];

	if (x == NULL || X509_cmp_current_time(X509_get0_notAfter(x)) > 0)
		return 0;
	if (ASN1_TIME_to_tm(X509_get0_notAfter(x), &tm) != 1 ||
	    strftime(day, sizeof(day), "%Y-%m-%d", &tm) == 0)
		str_copy(day, sizeof(day), "some time ago");
	return err_set(m, ERR_TLS, "--server.keyfile %s: the certificate "
	    "expired on %s; make a new one", c->keyfile, day);
}

static int
check_tls(const struct daemon_conf *c, struct err_msg *m)
{
	struct tls_server_opts	 o = { .keyfile = NULL };
	struct tls_ctx		*tls = NULL;
	struct err_msg		 why = { "" };
	struct buf		 key = BUF_INIT, ca = BUF_INIT;
	int			 r;

	if ((r = read_named("server.keyfile", c->keyfile, &key, m)) != 0)
		return r;
	o.pem = key.data;
	o.pem_len = key.len;
	if ((r = tls_server_new(&o, &tls, &why)) != 0)
		return err_set(m, r, "--server.keyfile %s: %s", c->keyfile,
		    why.text);
	if ((r = check_expiry(c, tls, m)) != 0 || c->client_ca_file == NULL)
		return r;
	tls_ctx_free(&tls);
	if ((r = read_named("server.client-cafile", c->client_ca_file, &ca,
	    m)) != 0)
		return r;
	o.ca_pem = ca.data;
	o.ca_pem_len = ca.len;
	o.client_auth = TLS_CLIENT_CERT_OPTIONAL;
	if ((r = tls_server_new(&o, &tls, &why)) != 0)
		return err_set(m, r, "--server.client-cafile %s: %s",
		    c->client_ca_file, why.text);
	return 0;
}

static int
check_user(const struct daemon_conf *c, struct check_user *u,
    struct err_msg *m)
{
	struct passwd	*pw;
	uint64_t	 id;

	u->uid = geteuid();
	u->gid = getegid();
	if (c->user == NULL || u->uid != 0)
		return 0;
	pw = str_to_u64(c->user, &id) == 0 && id < UINT32_MAX ?
	    getpwuid((uid_t)id) : getpwnam(c->user);
	if (pw == NULL)
		return err_set(m, ERR_NOT_FOUND, "--user %s: there is no such "
		    "user", c->user);
	u->uid = pw->pw_uid;
	u->gid = pw->pw_gid;
	return 0;
}

static void
check_all(const struct daemon_conf *c, struct verdict *v)
{
	int	 r;

	if ((r = check_user(c, &v->user, &v->m)) == 0 &&
	    (r = check_tls(c, &v->m)) == 0 &&
	    (r = check_secret(DAEMON_FILE_MASTER_JWT, c->master_jwt_file,
	    &v->m)) == 0)
		r = check_secret(DAEMON_FILE_CLUSTER_JWT, c->cluster_jwt_file,
		    &v->m);
	v->r = r;
}

/* All of it, or not. */
static bool
read_verdict(int fd, struct verdict *v)
{
	size_t	 got = 0;
	ssize_t	 n;

	while (got < sizeof(*v)) {
		n = read(fd, (char *)v + got, sizeof(*v) - got);
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		got += (size_t)n;
	}
	return true;
}

int
check_start(const struct daemon_conf *conf, struct check_user *user,
    struct err_msg *m)
{
	struct verdict	 v = { .r = 0 };
	pid_t		 pid;
	bool		 told;
	int		 fds[2];

	if (pipe2(fds, O_CLOEXEC) == -1 || (pid = fork()) == -1)
		return err_set(m, -errno, "cannot start a process: %s",
		    err_text(-errno));
	if (pid == 0) {
		signal(SIGALRM, SIG_DFL);
		alarm(CHECK_MAX_S);
		check_all(conf, &v);
		_exit(fsx_write_all(fds[1], &v, sizeof(v)) == 0 ? 0 : 1);
	}
	close(fds[1]);
	told = read_verdict(fds[0], &v);
	close(fds[0]);
	while (waitpid(pid, NULL, 0) == -1 && errno == EINTR)
		;
	if (!told)
		return err_set(m, ERR_TIMEOUT, "the files that were given "
		    "cannot be read within %d s", CHECK_MAX_S);
	*user = v.user;
	if (v.r != 0)
		*m = v.m;
	return v.r;
}

/* ---- the data directory ------------------------------------------------------------ */

static const struct check_user	*new_owner;	/* nftw() has no argument */

static int
give_one(const char *path, const struct stat *st, int type, struct FTW *f)
{
	return lchown(path, new_owner->uid, new_owner->gid) == -1 ? errno : 0;
}

int
check_give_dir(const char *dir, const struct check_user *user,
    struct err_msg *m)
{
	struct stat	 st;
	int		 r;

	if (geteuid() != 0 || user->uid == 0)
		return 0;
	if (stat(dir, &st) == -1)
		return err_set(m, -errno, "data directory %s: %s", dir,
		    err_text(-errno));
	if (st.st_uid == user->uid)
		return 0;
	new_owner = user;
	if ((r = nftw(dir, give_one, 16, FTW_PHYS | FTW_MOUNT)) == -1)
		r = errno;
	if (r != 0)
		return err_set(m, -r, "data directory %s: cannot be given to "
		    "--user: %s", dir, err_text(-r));
	return 0;
}
