/* member.c - the child's side of a mesh */
#include <string.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/err.h"
#include "base/log.h"
#include "ipc/messages.h"
#include "ipc/peer.h"
#include "proc/mesh.h"

static int
on_connect(struct msg_in *in)
{
	struct member	*m = in->ctx;
	char		 name[MESH_NAME_MAX];
	uint16_t	 class;
	uint32_t	 generation;
	int		 r, fd;

	if ((r = get_str(&in->body, name, sizeof(name))) != 0 ||
	    (r = get_u16(&in->body, &class)) != 0 ||
	    (r = get_u32(&in->body, &generation)) != 0 ||
	    (r = get_end(&in->body)) != 0)
		return r;
	if ((fd = peer_take_fd(in->peer)) == -1)
		return ERR_PROTOCOL;
	if (m->connect_fn == NULL)
		close(fd);
	else
		m->connect_fn(m->connect_arg, name, class, generation, fd);
	return 0;
}

static int
on_file(struct msg_in *in)
{
	struct member	*m = in->ctx;
	char		 what[MESH_NAME_MAX];
	int		 r, fd;

	if ((r = get_str(&in->body, what, sizeof(what))) != 0 ||
	    (r = get_end(&in->body)) != 0)
		return r;
	if ((fd = peer_take_fd(in->peer)) == -1)
		return ERR_PROTOCOL;
	if (strcmp(what, MESH_FILE_LOG) == 0)
		log_take_fd(fd);
	else if (m->file_fn == NULL)
		close(fd);
	else
		m->file_fn(m->file_arg, what, fd);
	return 0;
}

static int
on_state(struct msg_in *in)
{
	struct member	*m = in->ctx;
	char		 name[MESH_NAME_MAX], sentence[1024];
	uint16_t	 class;
	uint32_t	 generation;
	uint32_t	 sum;
	uint8_t		 state;
	int		 r;

	if ((r = get_str(&in->body, name, sizeof(name))) != 0 ||
	    (r = get_u16(&in->body, &class)) != 0 ||
	    (r = get_u8(&in->body, &state)) != 0 ||
	    (r = get_u32(&in->body, &generation)) != 0 ||
	    (r = get_str(&in->body, sentence, sizeof(sentence))) != 0 ||
	    (r = get_u32(&in->body, &sum)) != 0 ||
	    (r = get_end(&in->body)) != 0)
		return r;
	if (m->state_fn != NULL)
		m->state_fn(m->state_arg, name, class, state, generation,
		    sentence, sum);
	return 0;
}

/* What the supervisor tells members. */
static const struct msg_rule	 from_supervisor[] = {
	{ MSG_MESH_CONNECT, 1, 10, MESH_NAME_MAX + 10, on_connect },
	{ MSG_MESH_FILE, 1, 4, MESH_NAME_MAX + 4, on_file },
	{ MSG_MESH_STATE, 1, 19, MESH_NAME_MAX + 1100, on_state },
	{ 0, 0, 0, 0, NULL }
};

void
member_on_connect(struct member *m, member_connect_fn *fn, void *arg)
{
	m->connect_fn = fn;
	m->connect_arg = arg;
}

void
member_on_file(struct member *m, member_file_fn *fn, void *arg)
{
	m->file_fn = fn;
	m->file_arg = arg;
}

void
member_on_state(struct member *m, member_state_fn *fn, void *arg)
{
	m->state_fn = fn;
	m->state_arg = arg;
}

void
member_ready(struct member *m)
{
	proc_child_set_rules(m->child, from_supervisor, m);
	proc_child_ready(m->child);
}

int
member_start(struct member *m, const char *name, unsigned class,
    const char *const *peers, size_t npeers, const void *config,
    size_t config_len)
{
	struct buf	 b = BUF_INIT;
	size_t		 i;
	int		 r;

	if (strlen(name) >= MESH_NAME_MAX || npeers > MESH_PEERS_MAX ||
	    config_len > MESH_CONFIG_MAX)
		return ERR_TOO_BIG;
	put_str(&b, name);
	put_u16(&b, (uint16_t)class);
	put_u16(&b, (uint16_t)npeers);
	for (i = 0; i < npeers; i++)
		put_str(&b, peers[i]);
	put_bytes(&b, config, config_len);
	r = peer_send_buf(m->child->boss, MSG_MESH_START, 0, &b);
	buf_free(&b);
	return r;
}

uint32_t
member_sum(const char *const *peers, size_t npeers, const void *config,
    size_t config_len)
{
	struct buf	 b = BUF_INIT;
	uint32_t	 sum;
	size_t		 i;

	put_u32(&b, (uint32_t)npeers);
	for (i = 0; i < npeers; i++)
		put_str(&b, peers[i]);
	put_bytes(&b, config, config_len);
	sum = crc32c(0, b.data, b.len);
	buf_free(&b);
	return sum;
}

int
member_stop(struct member *m, const char *name)
{
	struct buf	 b = BUF_INIT;
	int		 r;

	put_str(&b, name);
	r = peer_send_buf(m->child->boss, MSG_MESH_STOP, 0, &b);
	buf_free(&b);
	return r;
}
