/* file.c - certificates, keys and secrets in files */
#include <sys/stat.h>

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/fsx.h"
#include "base/random.h"
#include "certs/certs_priv.h"

int
cert_read_file(const char *path, struct buf *b, struct err_msg *m)
{
	int	 r = fsx_read_file(path, CERT_FILE_MAX_BYTES, b);

	return r == 0 ? 0 : err_set(m, r, "Failed to read %s: %s", path,
	    err_text(r));
}

/*
 * Files are replaced by renaming.  So a link is followed first, and what is
 * not a file (/dev/stdout, say) is left alone: the rename would remove it.
 * *real is free()d by the caller; NULL: there is nothing at path yet.
 */
static int
find_target(const char *path, char **real, struct err_msg *m)
{
	struct stat	 st;

	*real = NULL;
	if (lstat(path, &st) == -1)
		return 0;
	if ((*real = realpath(path, NULL)) == NULL || stat(*real, &st) == -1)
		return err_set(m, -errno, "Failed to write %s: %s", path,
		    strerror(errno));
	if (!S_ISREG(st.st_mode))
		return err_set(m, -EINVAL,
		    "Failed to write %s: it is there and not a file", path);
	return 0;
}

static int
make_parents(const char *path, struct err_msg *m)
{
	const char	*slash = strrchr(path, '/');
	char		*dir;
	int		 r = 0;

	if (slash == NULL || slash == path)
		return 0;
	dir = xstrndup(path, (size_t)(slash - path));
	if ((r = fsx_mkdir_p(dir, 0755)) != 0)
		err_set(m, r, "Failed to make directory %s: %s", dir,
		    err_text(r));
	free(dir);
	return r;
}

int
cert_write_file(const char *path, const struct buf *text, mode_t mode,
    struct err_msg *m)
{
	char	*real;
	int	 r;

	if ((r = find_target(path, &real, m)) == 0 &&
	    (r = make_parents(path, m)) == 0 &&
	    (r = fsx_replace(real != NULL ? real : path, text->data,
	    text->len, mode)) != 0)
		err_set(m, r, "Failed to write %s: %s", path, err_text(r));
	free(real);
	return r;
}

/* What was at path, to put it back. */
struct saved {
	int		 existed;
	mode_t		 mode;
	struct buf	 text;
};

static int
save(const char *path, struct saved *s, struct err_msg *m)
{
	struct stat	 st;

	memset(s, 0, sizeof(*s));
	if (stat(path, &st) == -1 || !S_ISREG(st.st_mode))
		return 0;
	s->existed = 1;
	s->mode = st.st_mode & 07777;
	return cert_read_file(path, &s->text, m);
}

static void
restore(const char *path, const struct saved *s)
{
	struct err_msg	 ignored;

	/* The failure that brought us here is the one to tell of. */
	if (s->existed)
		(void)cert_write_file(path, &s->text, s->mode, &ignored);
	else
		(void)fsx_unlink(path);
}

int
cert_write_pair(const struct cert_pair *p, const char *cert_path,
    const char *key_path, struct err_msg *m)
{
	struct saved	 old;
	int		 r;

	if ((r = save(key_path, &old, m)) == 0 &&
	    (r = cert_write_file(key_path, &p->key, 0600, m)) == 0 &&
	    (r = cert_write_file(cert_path, &p->cert, 0644, m)) != 0)
		restore(key_path, &old);
	if (old.text.data != NULL)
		OPENSSL_cleanse(old.text.data, old.text.cap);
	buf_free(&old.text);
	return r;
}

void
cert_secret_text(size_t n, struct buf *out)
{
	uint8_t	 bytes[CERT_SECRET_MAX_BYTES];
	size_t	 i;

	bug_unless(n <= sizeof(bytes));
	rand_secret(bytes, n);
	for (i = 0; i < n; i++)
		buf_printf(out, "%02x", bytes[i]);
	OPENSSL_cleanse(bytes, sizeof(bytes));
}
