/* auth.c - credentials of a cluster; see conn.h, rules R23, R25, R28 */
#include <stdlib.h>
#include <string.h>

#include "arango/conn_priv.h"
#include "base/clock.h"
#include "base/str.h"
#include "ev/loop.h"
#include "json/get.h"

#define CLOCK_GOOD_MS		(10 * 60 * 1000)
/* Nothing helped: do not ask the same server again and again. */
#define DENIED_QUIET_MS		1000
/* A token from outside was refused: the next may be on its way. */
#define TOKEN_PATIENCE_MS	5000
/* Whoever makes tokens for us has just learned that we are there. */
#define FIRST_TOKEN_MS		2000
#define TIME_PATH		"/_admin/time"

/* ---- secrets ------------------------------------------------------------ */

static int
read_secrets(const struct auth *au, struct jwt_secrets *to, struct err_msg *m)
{
	memset(to, 0, sizeof(*to));
	if (au->secret_file != NULL)
		return jwt_secrets_add_file(to, au->secret_file, m);
	return jwt_secrets_add_dir(to, au->secret_dir, m);
}

static void
forget_made(struct auth *au)
{
	size_t	 i;

	for (i = 0; i < NITEMS(au->made); i++) {
		if (au->made[i] != NULL)
			explicit_bzero(au->made[i], strlen(au->made[i]));
		free(au->made[i]);
		au->made[i] = NULL;
	}
}

static bool
has_files(const struct auth *au)
{
	return au->secret_file != NULL || au->secret_dir != NULL;
}

int
arango_reload(struct arango *a, struct err_msg *m)
{
	struct auth		*au = &a->auth;
	struct jwt_secrets	 fresh;
	int			 r;

	if (au->mode != AUTH_MODE_SECRETS || !has_files(au))
		return 0;
	if ((r = read_secrets(au, &fresh, m)) == 0 && fresh.count == 0)
		r = err_set(m, ERR_NOT_FOUND, "%s: %s holds no secret",
		    a->name, au->secret_dir);
	if (r == 0 && memcmp(&fresh, &au->secrets, sizeof(fresh)) != 0) {
		au->secrets = fresh;
		forget_made(au);
		au->epoch++;
	}
	jwt_secrets_clear(&fresh);
	return r;
}

int
arango_change_secret(struct arango *a, const void *secret, size_t len,
    struct err_msg *m)
{
	struct auth		*au = &a->auth;
	struct jwt_secrets	 fresh = { .count = 0 };
	struct arango_server	*s;
	size_t			 i;
	int			 r;

	if (au->mode != AUTH_MODE_SECRETS || has_files(au))
		return err_set(m, ERR_BAD_STATE, "%s: has no secret of ours",
		    a->name);
	if ((r = jwt_secrets_add(&fresh, secret, len, m)) != 0)
		return r;
	if (au->secrets.count != 0)
		(void)jwt_secrets_add(&fresh, au->secrets.s[0].bytes,
		    au->secrets.s[0].len, NULL);
	au->secrets = fresh;
	jwt_secrets_clear(&fresh);
	for (i = 0; (s = arango_server_at(a, i)) != NULL; i++)
		s->secret = 0;
	forget_made(au);
	au->epoch++;
	return 0;
}

int
auth_init(struct arango *a, const struct arango_opts *o, struct err_msg *m)
{
	struct auth	*au = &a->auth;

	au->server_id = xstrdup(o->server_id);
	au->lifetime_s = MAX(o->token_lifetime_s, 2);
	if (o->token_from_outside) {
		au->mode = AUTH_MODE_TOKEN;
		return 0;
	}
	if (o->user != NULL) {
		au->mode = AUTH_MODE_USER;
		au->basic = auth_basic_value(o->user,
		    o->password == NULL ? "" : o->password);
		return 0;
	}
	if (o->jwt_secret != NULL) {
		au->mode = AUTH_MODE_SECRETS;
		return jwt_secrets_add(&au->secrets, o->jwt_secret,
		    o->jwt_secret_len, m);
	}
	if (o->jwt_secret_file != NULL)
		au->secret_file = xstrdup(o->jwt_secret_file);
	else if (o->jwt_secret_dir != NULL)
		au->secret_dir = xstrdup(o->jwt_secret_dir);
	else
		return 0;
	au->mode = AUTH_MODE_SECRETS;
	return arango_reload(a, m);
}

void
auth_free(struct auth *au)
{
	forget_made(au);
	jwt_secrets_clear(&au->secrets);
	free(au->secret_file);
	free(au->secret_dir);
	free(au->server_id);
	if (au->token != NULL)
		explicit_bzero(au->token, strlen(au->token));
	free(au->token);
	if (au->basic != NULL)
		explicit_bzero(au->basic, strlen(au->basic));
	free(au->basic);
}

unsigned
auth_epoch(const struct arango *a)
{
	return a->auth.epoch;
}

/* ---- making tokens ------------------------------------------------------ */

/* exp 0: one that never ends, to ask for the time with. */
static char *
sign_with(const struct auth *au, size_t i, int64_t exp)
{
	struct jwt_secrets	 one;
	char			*token;

	memset(&one, 0, sizeof(one));
	one.s[0] = au->secrets.s[i];
	one.count = 1;
	token = jwt_make_superuser(&one, au->server_id, exp);
	jwt_secrets_clear(&one);
	return token;
}

/* Seconds since 1970 as the cluster counts them. */
static int64_t
cluster_time_s(const struct auth *au, int64_t plus_ms)
{
	return ((int64_t)clock_wall_ms() + au->offset_ms + plus_ms) / 1000;
}

static const char *
made_token(struct arango *a, const struct arango_server *s)
{
	struct auth	*au = &a->auth;
	size_t		 i;

	if (au->secrets.count == 0)
		return NULL;
	i = s->secret < au->secrets.count ? s->secret : 0;
	if (au->made[i] == NULL || loop_now_ms(a->loop) >= au->renew_ms[i]) {
		if (au->made[i] != NULL)
			explicit_bzero(au->made[i], strlen(au->made[i]));
		free(au->made[i]);
		au->made[i] = sign_with(au, i,
		    cluster_time_s(au, (int64_t)au->lifetime_s * 1000));
		au->renew_ms[i] = loop_now_ms(a->loop) +
		    (uint64_t)au->lifetime_s * 500;
	}
	return au->made[i];
}

int
arango_make_token(struct arango *a, uint64_t lifetime_ms, char **token,
    struct err_msg *m)
{
	struct auth		*au = &a->auth;
	struct arango_server	*s;
	int			 r;

	if (au->mode != AUTH_MODE_SECRETS || au->secrets.count == 0)
		return err_set(m, ERR_DENIED, "%s: no secret to make a token "
		    "with", a->name);
	if ((!au->measured ||
	    loop_now_ms(a->loop) - au->measured_ms > CLOCK_GOOD_MS) &&
	    (r = arango_measure_clock(a, NULL, m)) != 0)
		return r;
	s = conn_coordinator(a);
	*token = sign_with(au, s != NULL && s->secret < au->secrets.count ?
	    s->secret : 0, MAX(cluster_time_s(au, (int64_t)lifetime_ms), 1));
	return 0;
}

/* ---- tokens from outside ------------------------------------------------ */

void
arango_set_token(struct arango *a, const char *token, uint64_t valid_ms)
{
	struct auth	*au = &a->auth;

	if (au->token != NULL)
		explicit_bzero(au->token, strlen(au->token));
	free(au->token);
	au->token = xstrdup(token);
	au->token_until_ms = valid_ms == 0 ? UINT64_MAX :
	    loop_now_ms(a->loop) + valid_ms;
	au->token_number++;
	au->epoch++;
	fiber_cond_broadcast(&au->token_came);
}

/*
 * Waits for another token than number `seen`, in short naps so that cancelling
 * is noticed as well.
 */
static int
wait_for_token(struct arango *a, unsigned seen, struct arango_cancel *c,
    uint64_t deadline_ms)
{
	struct auth	*au = &a->auth;
	uint64_t	 now;

	while (au->token_number == seen) {
		if (c != NULL && c->cancelled)
			return ERR_CANCELLED;
		if ((now = loop_now_ms(a->loop)) >= deadline_ms)
			return ERR_DENIED;
		fiber_cond_wait_until(&au->token_came,
		    MIN(deadline_ms, now + 100));
	}
	return 0;
}

static int
outside_token(struct arango *a, struct arango_cancel *c, uint64_t deadline_ms,
    const char **token, struct err_msg *m)
{
	struct auth	*au = &a->auth;
	int		 r;

	/* A process that has just started gets its first one any moment. */
	if (au->token_number == 0)
		deadline_ms = MAX(deadline_ms, loop_now_ms(a->loop) +
		    FIRST_TOKEN_MS);
	while (au->token == NULL ||
	    loop_now_ms(a->loop) >= au->token_until_ms) {
		r = wait_for_token(a, au->token_number, c, deadline_ms);
		if (r != 0)
			return err_set(m, r, r == ERR_CANCELLED ?
			    "%s: cancelled" : "%s: no valid token", a->name);
	}
	*token = au->token;
	return 0;
}

/* ---- the header --------------------------------------------------------- */

int
auth_header(struct arango *a, struct arango_server *s, struct arango_cancel *c,
    uint64_t deadline_ms, struct buf *out, struct err_msg *m)
{
	const char	*token = NULL;
	int		 r;

	switch (a->auth.mode) {
	case AUTH_MODE_NONE:
		return 0;
	case AUTH_MODE_USER:
		buf_append_str(out, a->auth.basic);
		return 0;
	case AUTH_MODE_SECRETS:
		if ((token = made_token(a, s)) == NULL)
			return err_set(m, ERR_DENIED, "%s: no secret",
			    a->name);
		break;
	case AUTH_MODE_TOKEN:
		if ((r = outside_token(a, c, deadline_ms, &token, m)) != 0)
			return r;
		break;
	}
	buf_printf(out, "bearer %s", token);
	return 0;
}

/* ---- 401 ---------------------------------------------------------------- */

static void
take_time(struct arango *a, struct arango_answer *ans, uint64_t began_ms)
{
	struct json_object	*o;
	double			 t;

	if (arango_answer_json(ans, &o) != 0)
		return;
	/* Ours is that of the middle of the request. */
	if (json_need_double(o, "time", &t, NULL) == 0 && t > 0 &&
	    t < 1e11) {
		a->auth.offset_ms = (int64_t)(t * 1000) -
		    (int64_t)(began_ms + (clock_wall_ms() - began_ms) / 2);
		a->auth.measured = true;
		a->auth.measured_ms = loop_now_ms(a->loop);
	}
	json_object_put(o);
}

/*
 * Ask s for the time with secret i and a token that does not end.  0: it takes
 * the secret (and the time is known, if it told); ERR_DENIED: it does not.
 */
static int
try_secret(struct arango *a, struct arango_server *s, size_t i,
    struct arango_cancel *c, struct err_msg *m)
{
	struct arango_req	 req = ARANGO_REQ_INIT;
	struct arango_answer	 ans = { 0 };
	char			*token = sign_with(&a->auth, i, 0), *value;
	uint64_t		 began = clock_wall_ms();
	int			 r;

	value = xasprintf("bearer %s", token);
	req.path = TIME_PATH;
	req.timeout_ms = 10 * 1000;
	req.max_body = 64 * 1024;
	req.cancel = c;
	r = conn_try(a, &req, s, value, &ans);
	if (r == 0)
		take_time(a, &ans, began);
	else if (ans.status == 401)
		r = err_set(m, ERR_DENIED, "%s", ans.msg.text);
	else if (ans.status != 0)
		r = 0;		/* no such path there, but it let us in */
	else
		*m = ans.msg;
	arango_answer_free(&ans);
	explicit_bzero(token, strlen(token));
	explicit_bzero(value, strlen(value));
	free(token);
	free(value);
	return r;
}

/* Which of our secrets does s take?  Measures the clock on the way. */
static int
find_secret(struct arango *a, struct arango_server *s, struct arango_cancel *c,
    struct err_msg *m)
{
	struct auth	*au = &a->auth;
	size_t		 i, k, n = au->secrets.count;
	int		 r = ERR_DENIED;

	for (k = 0; k < n; k++) {
		i = (s->secret + k) % n;
		if ((r = try_secret(a, s, i, c, m)) == 0) {
			s->secret = i;
			return 0;
		}
		if (r != ERR_DENIED)
			return r;
	}
	return err_set(m, r, "%s: %s takes none of our secrets", a->name,
	    s->id);
}

static int
repair_secrets(struct arango *a, struct arango_server *s, unsigned epoch,
    struct arango_cancel *c, struct err_msg *m)
{
	struct auth	*au = &a->auth;
	int		 r = 0;

	fiber_mutex_lock(&au->repair);
	if (au->epoch != epoch) {
		fiber_mutex_unlock(&au->repair);
		return 0;	/* somebody else did it meanwhile */
	}
	if (au->denied_ms != 0 &&
	    loop_now_ms(a->loop) - au->denied_ms < DENIED_QUIET_MS)
		r = err_set(m, ERR_DENIED, "%s: %s takes none of our secrets",
		    a->name, s->id);
	if (r == 0) {
		arango_reload(a, NULL);	/* the old ones are kept if it fails */
		r = find_secret(a, s, c, m);
		au->denied_ms = r == ERR_DENIED ? loop_now_ms(a->loop) : 0;
	}
	if (r == 0) {
		forget_made(au);
		au->epoch++;
	}
	fiber_mutex_unlock(&au->repair);
	return r;
}

int
auth_denied(struct arango *a, struct arango_server *s, unsigned epoch,
    struct arango_cancel *c, uint64_t deadline_ms, struct err_msg *m)
{
	struct auth	*au = &a->auth;
	int		 r;

	switch (au->mode) {
	case AUTH_MODE_SECRETS:
		return repair_secrets(a, s, epoch, c, m);
	case AUTH_MODE_TOKEN:
		if (au->epoch != epoch)
			return 0;
		r = wait_for_token(a, au->token_number, c, MIN(deadline_ms,
		    loop_now_ms(a->loop) + TOKEN_PATIENCE_MS));
		if (r == ERR_DENIED)
			err_set(m, r, "%s: %s refuses our token", a->name,
			    s->id);
		else if (r != 0)
			err_set(m, r, "%s: cancelled", a->name);
		return r;
	case AUTH_MODE_USER:
		return err_set(m, ERR_DENIED, "%s: %s refuses user name and "
		    "password (DB-servers and agents know no users)", a->name,
		    s->id);
	default:
		return err_set(m, ERR_DENIED, "%s: %s wants credentials, and "
		    "we have none", a->name, s->id);
	}
}

/* ---- clocks ------------------------------------------------------------- */

int64_t
arango_clock_offset_ms(const struct arango *a, bool *measured)
{
	if (measured != NULL)
		*measured = a->auth.measured;
	return a->auth.offset_ms;
}

int
arango_measure_clock(struct arango *a, struct arango_server *to,
    struct err_msg *m)
{
	struct arango_req	 req = ARANGO_REQ_INIT;
	struct arango_answer	 ans;
	uint64_t		 began;
	int			 r;

	req.to = to;
	req.path = TIME_PATH;
	req.timeout_ms = 10 * 1000;
	req.max_body = 64 * 1024;
	a->auth.measured = false;
	began = clock_wall_ms();
	r = arango_call(a, &req, &ans);
	/* A repair of credentials has measured as well. */
	if (r == 0 && !a->auth.measured) {
		take_time(a, &ans, began);
		if (!a->auth.measured)
			r = err_set(&ans.msg, ERR_FORMAT, "%s: %s does not "
			    "tell the time", a->name, ans.by->id);
	}
	if (r != 0 && m != NULL)
		*m = ans.msg;
	arango_answer_free(&ans);
	return r;
}
