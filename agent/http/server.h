/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server: listens, and hands requests to the routes.
 *
 * Each connection has a thread of its own from a bounded number; the caller's thread is not used.
 */
#ifndef PPROFD_HTTP_SERVER_H
#define PPROFD_HTTP_SERVER_H

#include <stddef.h>
#include <sys/types.h>

struct desk;
struct server;
struct symbolizer;

struct server_options {
	const char *const *addresses; /* host:port, [v6]:port or unix:/path */
	size_t address_count;
	struct desk *desk; /* borrowed until server_free() */
	struct symbolizer *symbolizer; /* likewise; NULL: nothing is kept between profiles */
	pid_t keeper_pid; /* its CPU time is the agent's; 0: none */
};

/*
 * Binds every address and starts to answer. Returns 0 or -errno; then error says in one line,
 * without a newline, which address failed and what to do about it.
 */
__attribute__((warn_unused_result)) int server_new(const struct server_options *options,
						   struct server **out, char *error,
						   size_t error_bytes);

/* Logs where it listens. */
void server_announce(const struct server *server);

/* Ends waiting captures, closes every connection and joins the threads. The desk must be closed
 * first. */
void server_free(struct server *server);

#endif
