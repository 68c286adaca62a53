/*
 * bench_null.c - what it costs on this machine to move a GiB the way that
 * documents go, and do nothing with it: through five sockets (log -> tail ->
 * send -> api -> link -> receive -> shard; of the first and the last one end
 * belongs to a DB-server), into one file, and through TLS between the
 * datacenters.  CPU time.  The figures of bench_pipeline.py are above these,
 * whatever we do; where these alone come near a bound, the machine is not one
 * that it was made for.  One JSON object a line.
 */
#include <sys/socket.h>

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/evp.h>

#define PIECE_BYTES	((size_t)64 * 1024)
#define RECORD_BYTES	16384		/* of TLS, at most */
#define FILE_BYTES	((size_t)64 << 20)
#define SOCKETS		5
#define MIN_SECONDS	0.3
#define GIB		((double)(1 << 30))

static unsigned char	 from[PIECE_BYTES], to[PIECE_BYTES];

static double
now(void)
{
	struct timespec	 ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static double
report(const char *name, double seconds, double bytes)
{
	double	 v = seconds / (bytes / GIB);

	printf("{\"name\":\"%s\",\"value\":%.3f,\"unit\":\"CPU-s/GiB\"}\n",
	    name, v);
	fflush(stdout);
	return v;
}

static void
must(bool ok, const char *what)
{
	if (!ok) {
		perror(what);
		exit(1);
	}
}

static double
bench_socket(void)
{
	double	 start = now(), bytes = 0, t;
	ssize_t	 n;
	size_t	 got;
	int	 fd[2];

	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0,
	    "socketpair");
	do {
		must(write(fd[0], from, PIECE_BYTES) == (ssize_t)PIECE_BYTES,
		    "write to a socket");
		for (got = 0; got < PIECE_BYTES; got += (size_t)n) {
			n = read(fd[1], to, PIECE_BYTES);
			must(n > 0, "read from a socket");
		}
		bytes += PIECE_BYTES;
	} while ((t = now() - start) < MIN_SECONDS);
	close(fd[0]);
	close(fd[1]);
	return report("null_socket", t, bytes);
}

/* New pages each time, as for the segments of a queue. */
static double
bench_file(void)
{
	const char	*dir = getenv("TMPDIR");
	double		 start, bytes = 0, t = 0;
	char		 path[4096];
	size_t		 n;
	int		 fd;

	snprintf(path, sizeof(path), "%s/arangosync-null.XXXXXX",
	    dir != NULL ? dir : "/tmp");
	do {
		must((fd = mkstemp(path)) >= 0, path);
		(void)unlink(path);
		start = now();
		for (n = 0; n < FILE_BYTES; n += PIECE_BYTES)
			must(pwrite(fd, from, PIECE_BYTES, (off_t)n) ==
			    (ssize_t)PIECE_BYTES, path);
		t += now() - start;
		bytes += FILE_BYTES;
		close(fd);
		memset(path + strlen(path) - 6, 'X', 6);
	} while (t < MIN_SECONDS);
	return report("null_file", t, bytes);
}

/* Both ends: records are sealed, and opened again. */
static double
bench_tls(void)
{
	static unsigned char	 sealed[RECORD_BYTES];
	static const unsigned char key[16] = "0123456789abcde";
	unsigned char		 iv[12] = { 0 }, tag[16];
	EVP_CIPHER_CTX		*c = EVP_CIPHER_CTX_new();
	double			 start = now(), bytes = 0, t;
	int			 n, end;

	must(c != NULL, "OpenSSL");
	do {
		must(EVP_EncryptInit_ex(c, EVP_aes_128_gcm(), NULL, key, iv) &&
		    EVP_EncryptUpdate(c, sealed, &n, from, RECORD_BYTES) &&
		    EVP_EncryptFinal_ex(c, sealed + n, &end) &&
		    EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, 16, tag),
		    "sealing a record");
		must(EVP_DecryptInit_ex(c, EVP_aes_128_gcm(), NULL, key, iv) &&
		    EVP_DecryptUpdate(c, to, &n, sealed, RECORD_BYTES) &&
		    EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, 16, tag) &&
		    EVP_DecryptFinal_ex(c, to + n, &end), "opening a record");
		bytes += RECORD_BYTES;
		iv[0]++;
	} while ((t = now() - start) < MIN_SECONDS);
	EVP_CIPHER_CTX_free(c);
	return report("null_tls_both_ends", t, bytes);
}

int
main(void)
{
	double	 v;

	memset(from, 'x', sizeof(from));
	v = SOCKETS * bench_socket();
	v += bench_file();
	v += bench_tls();
	(void)report("null_way", v, GIB);
	return 0;
}
