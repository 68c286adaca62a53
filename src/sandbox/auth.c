/*
 * auth.c - who is asking.  Rules of arangod: Auth/TokenCache.cpp (tokens),
 * GeneralServer/CommTask.cpp (headers, answers), RestAuthHandler.cpp.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "base/err.h"
#include "sandbox/server_priv.h"

/* Our own tokens: long enough for any request, made anew at half time. */
#define OWN_TOKEN_S		3600
#define USER_TOKEN_S		3600	/* --server.session-timeout */
#define USER_TOKEN_OLD_S	(30 * 24 * 3600)	/* before 3.9 */
#define RENEW_S			150	/* what is left of those renewed */

static double
now_seconds(void)
{
	struct timeval	 tv;

	gettimeofday(&tv, NULL);
	return (double)tv.tv_sec + (double)tv.tv_usec / 1e6;
}

const char *
sb_superuser_header(struct sb_server *s)
{
	int64_t	 now = (int64_t)now_seconds();
	char	*token;

	if (!s->auth)
		return NULL;
	if (s->header == NULL || now - s->header_made > OWN_TOKEN_S / 2) {
		token = jwt_make_superuser(&s->secrets, s->child->id,
		    now + OWN_TOKEN_S);
		free(s->header);
		s->header = xasprintf("bearer %s", token);
		s->header_made = now;
		free(token);
	}
	return s->header;
}

static int
refuse(struct sb_req *r)
{
	if (sb_req_header(r, "x-omit-www-authenticate") == NULL)
		sb_header(r, "www-authenticate",
		    "Bearer token_type=\"JWT\", realm=\"ArangoDB\"");
	sb_error_status(r, 401, AE_FORBIDDEN,
	    "not authorized to execute this request");
	return -1;
}

static bool
accept_basic(struct sb_req *r, const struct auth_header *a)
{
	const struct sb_role	*role = r->server->role;

	/* DB-servers and agents know no users. */
	if (!role->has_users || role->check_password == NULL ||
	    !role->check_password(r->server, a->user, a->password))
		return false;
	snprintf(sb_ctx(r)->user, sizeof(sb_ctx(r)->user), "%s", a->user);
	r->user = sb_ctx(r)->user;
	return true;
}

static bool
accept_bearer(struct sb_req *r, const struct auth_header *a)
{
	const struct jwt_claims	*claims;

	if (jwt_cache_verify(r->server->tokens, a->token, a->token_len,
	    now_seconds(), &claims) != 0 ||
	    !jwt_path_is_allowed(claims, http_req_path(r->http)))
		return false;
	if (claims->superuser) {
		r->superuser = true;
		return true;
	}
	if (!r->server->role->has_users ||
	    !r->server->role->user_exists(r->server, claims->user) ||
	    strlen(claims->user) >= sizeof(sb_ctx(r)->user))
		return false;
	strcpy(sb_ctx(r)->user, claims->user);
	r->user = sb_ctx(r)->user;
	sb_ctx(r)->has_token = true;
	sb_ctx(r)->token_exp = claims->exp;
	return true;
}

/*
 * Without --auth every request has all rights, but in read-only mode only
 * those that carry a token still write: arangod gives the others read rights
 * then (VocbaseContext::create), and it does not verify tokens it has no
 * secret for.
 */
static int
without_auth(struct sb_req *r, const struct auth_header *a)
{
	const struct sb_role	*role = r->server->role;

	r->superuser = a->scheme == AUTH_BEARER || role->is_readonly == NULL ||
	    !role->is_readonly(r->server);
	return 0;
}

int
sb_authenticate(struct sb_req *r, unsigned flags)
{
	struct auth_header	 a = { .scheme = AUTH_NONE };
	bool			 good = false;

	if (auth_header_parse(sb_req_header(r, "authorization"), &a) != 0)
		a.scheme = AUTH_NONE;
	if (!r->server->auth) {
		without_auth(r, &a);
		auth_header_free(&a);
		return 0;
	}
	if (a.scheme == AUTH_BASIC)
		good = accept_basic(r, &a);
	else if (a.scheme == AUTH_BEARER)
		good = accept_bearer(r, &a);
	auth_header_free(&a);
	if (good || (flags & SB_OPEN))
		return 0;
	return refuse(r);
}

/* ---- /_open/auth ----------------------------------------------------------- */

static const char *
string_field(struct json_object *o, const char *name)
{
	struct json_object	*v;

	if (!json_object_is_type(o, json_type_object) ||
	    !json_object_object_get_ex(o, name, &v) ||
	    !json_object_is_type(v, json_type_string))
		return NULL;
	return json_object_get_string(v);
}

static void
put_token(struct sb_req *r, struct json_object *out, const char *user)
{
	struct sb_server	*s = r->server;
	int64_t			 now = (int64_t)now_seconds();
	char			*token;

	token = jwt_make_user(&s->secrets, user, now, now +
	    (s->version < 30900 ? USER_TOKEN_OLD_S : USER_TOKEN_S));
	json_object_object_add(out, "jwt", json_object_new_string(token));
	free(token);
}

static void
open_auth(struct sb_req *r)
{
	struct sb_server	*s = r->server;
	struct json_object	*in, *out;
	const char		*user, *password;

	if (!s->auth) {
		sb_error(r, AE_HTTP_NOT_FOUND, NULL);
		return;
	}
	if (!s->role->has_users) {
		sb_error_status(r, 401, AE_HTTP_UNAUTHORIZED,
		    "This server does not support users");
		return;
	}
	if ((in = sb_body_json(r, false)) == NULL)
		return;
	user = string_field(in, "username");
	password = string_field(in, "password");
	if (user == NULL || password == NULL)
		sb_error_status(r, 400, AE_HTTP_BAD_PARAMETER, NULL);
	else if (!s->role->check_password(s, user, password))
		sb_error_status(r, 401, AE_HTTP_UNAUTHORIZED,
		    "Wrong credentials");
	else {
		out = json_object_new_object();
		put_token(r, out, user);
		sb_reply_json(r, 200, out);
	}
	json_object_put(in);
}

/* A new token for a user whose own one is about to expire; else {}. */
static void
renew_auth(struct sb_req *r)
{
	struct sb_ctx		*ctx = sb_ctx(r);
	struct json_object	*out;

	if (!r->server->auth || !r->server->role->has_users ||
	    r->server->version < 30900) {
		open_auth(r);
		return;
	}
	if (!ctx->has_token) {
		sb_error(r, AE_USER_NOT_FOUND, NULL);
		return;
	}
	out = json_object_new_object();
	if (ctx->token_exp > 0 && ctx->token_exp - now_seconds() < RENEW_S)
		put_token(r, out, ctx->user);
	sb_reply_json(r, 200, out);
}

const struct sb_route	 sb_auth_routes[] = {
	{ SB_POST, "/_open/auth", SB_OPEN, open_auth },
	{ SB_POST, "/_open/auth/renew", SB_OPEN, renew_auth },
	{ 0, NULL, 0, NULL }
};
