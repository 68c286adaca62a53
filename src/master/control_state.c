/* control_state.c - what the agency says below our key, as last seen */
#include <stdarg.h>
#include <string.h>

#include "ev/loop.h"
#include "master/control.h"

struct json_object *
control_state_at(const struct control *c, ...)
{
	struct json_object	*o = c->state;
	const char		*name;
	va_list			 ap;

	va_start(ap, c);
	while (o != NULL && (name = va_arg(ap, const char *)) != NULL) {
		if (!json_object_is_type(o, json_type_object) ||
		    !json_object_object_get_ex(o, name, &o))
			o = NULL;
	}
	va_end(ap);
	return o;
}

static const char *
text_of(struct json_object *o)
{
	return json_object_is_type(o, json_type_string) ?
	    json_object_get_string(o) : NULL;
}

const char *
control_leader_id(const struct control *c)
{
	return text_of(control_state_at(c, "leader", NULL));
}

const char *
control_leader_endpoint(const struct control *c)
{
	const char	*id = control_leader_id(c);

	return id == NULL ? NULL :
	    text_of(control_state_at(c, "masters", id, NULL));
}

bool
control_is_leader(const struct control *c)
{
	return arango_lease_is_held(&c->lease, loop_now_ms(c->loop));
}

int64_t
control_message_timeout_ns(const struct control *c)
{
	struct json_object	*o = control_state_at(c, "x", "messageTimeout",
				    NULL);
	int64_t			 ns;

	if (!json_object_is_type(o, json_type_int))
		return CONTROL_MESSAGE_TIMEOUT_NS;
	ns = json_object_get_int64(o);
	return ns > 0 ? ns : CONTROL_MESSAGE_TIMEOUT_NS;
}

/* Ours as --master.endpoint says, else those of all masters. */
struct json_object *
control_endpoints(const struct control *c)
{
	const char *const	*p = c->conf->master_endpoints;
	struct json_object	*masters, *list = json_object_new_array();

	for (; p != NULL && *p != NULL; p++)
		json_object_array_add(list, json_object_new_string(*p));
	masters = control_state_at(c, "masters", NULL);
	if (json_object_array_length(list) == 0 &&
	    json_object_is_type(masters, json_type_object)) {
		json_object_object_foreach(masters, id, endpoint) {
			(void)id;
			json_object_array_add(list, json_object_get(endpoint));
		}
	}
	if (json_object_array_length(list) == 0)
		json_object_array_add(list,
		    json_object_new_string(c->conf->server_endpoint));
	return list;
}
