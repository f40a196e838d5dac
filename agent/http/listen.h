/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listen: sockets that listen where --listen says.
 */
#ifndef PPROFD_HTTP_LISTEN_H
#define PPROFD_HTTP_LISTEN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/un.h>

struct listen_address {
	bool is_unix;
	char host[256]; /* "": every address of the machine */
	char port[6]; /* decimal; "0": one that is free */
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

/*
 * Understands `host:port`, `[v6]:port`, `:port` and `unix:/path`. Returns 0 or -EINVAL. A pure
 * function.
 */
__attribute__((warn_unused_result)) int listen_parse(const char *text, struct listen_address *out);

struct listener {
	int fd; /* listens; close-on-exec */
	struct listen_address address;
	dev_t device; /* of the socket's file, so that nobody else's is unlinked */
	ino_t inode;
};

/*
 * Binds and listens. A unix socket's file has mode 0600; one that nobody listens on is replaced.
 * Returns 0 or -errno; then error says in one line, without a newline, what to do about it.
 */
__attribute__((warn_unused_result)) int listen_open(const char *text, struct listener *out,
						    char *error, size_t error_bytes);
/* Closes it and removes its file. */
void listen_close(struct listener *listener);

/* Writes where it listens as one would ask for it: `127.0.0.1:6060`, `unix:/path`. */
void listen_describe(const struct listener *listener, char *text, size_t text_bytes);

#endif
