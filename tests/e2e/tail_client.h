/* tail_client.h - tail_client.c and tail_client_api.c */
#ifndef TESTS_TAIL_CLIENT_H
#define TESTS_TAIL_CLIENT_H

/* A fiber: asks for everything once, and stops the loop; arg: struct arango */
void	api_run(void *arg);
extern int	api_failed;

#endif
