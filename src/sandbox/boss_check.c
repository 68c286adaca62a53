/* boss_check.c - are files with secrets usable? */
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fsx.h"
#include "http/jwt.h"
#include "http/tls.h"
#include "sandbox/boss.h"

static int
check(const char *auth_file, const char *tls_keyfile, struct err_msg *m)
{
	struct jwt_secrets	 secrets;
	struct tls_server_opts	 opts;
	struct tls_ctx		*ctx = NULL;
	int			 r;

	memset(&secrets, 0, sizeof(secrets));
	memset(&opts, 0, sizeof(opts));
	opts.keyfile = tls_keyfile;
	if (auth_file != NULL &&
	    (r = jwt_secrets_add_file(&secrets, auth_file, m)) != 0)
		return r;
	jwt_secrets_clear(&secrets);
	if (tls_keyfile != NULL && (r = tls_server_new(&opts, &ctx, m)) != 0)
		return r;
	tls_ctx_free(&ctx);
	return 0;
}

int
boss_check_files(const char *auth_file, const char *tls_keyfile,
    struct err_msg *m)
{
	struct err_msg	 said = { "" };
	ssize_t		 n;
	pid_t		 pid;
	int		 fds[2], status;

	if (auth_file == NULL && tls_keyfile == NULL)
		return 0;
	if (pipe2(fds, O_CLOEXEC) == -1)
		return err_set(m, -errno, "pipe: %s", err_text(-errno));
	fflush(NULL);
	if ((pid = fork()) == -1) {
		close(fds[0]);
		close(fds[1]);
		return err_set(m, -errno, "fork: %s", err_text(-errno));
	}
	if (pid == 0) {
		if (check(auth_file, tls_keyfile, &said) == 0)
			_exit(0);
		(void)fsx_write_all(fds[1], said.text, strlen(said.text));
		_exit(1);
	}
	close(fds[1]);
	while ((n = read(fds[0], said.text, sizeof(said.text) - 1)) == -1 &&
	    errno == EINTR)
		;
	said.text[n > 0 ? n : 0] = '\0';
	close(fds[0]);
	while (waitpid(pid, &status, 0) == -1 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	return err_set(m, ERR_FORMAT, "%s", said.text[0] != '\0' ? said.text :
	    "the files of --auth and --tls cannot be used");
}
