// SPDX-License-Identifier: Apache-2.0
#include "http/listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define LISTEN_BACKLOG 128

static int parse_port(const char *text, char *port, size_t port_bytes)
{
	size_t len = strlen(text);

	if (len == 0 || len >= port_bytes || text[strspn(text, "0123456789")] != '\0' ||
	    atoi(text) > 65535)
		return -EINVAL;
	memcpy(port, text, len + 1);
	return 0;
}

static int parse_unix(const char *path, struct listen_address *out)
{
	size_t len = strlen(path);

	if (path[0] != '/' || len >= sizeof(out->path))
		return -EINVAL;
	out->is_unix = true;
	memcpy(out->path, path, len + 1);
	return 0;
}

int listen_parse(const char *text, struct listen_address *out)
{
	const char *colon = strrchr(text, ':'), *host = text;
	size_t len;

	*out = (struct listen_address){ 0 };
	if (strncmp(text, "unix:", 5) == 0)
		return parse_unix(text + 5, out);
	if (!colon)
		return -EINVAL;
	len = (size_t)(colon - text);
	if (text[0] == '[') {
		if (len < 3 || text[len - 1] != ']')
			return -EINVAL;
		host = text + 1;
		len -= 2;
	} else if (memchr(text, ':', len)) {
		return -EINVAL; /* which colon ends an IPv6 address is anybody's guess */
	}
	if (len >= sizeof(out->host))
		return -EINVAL;
	memcpy(out->host, host, len);
	return parse_port(colon + 1, out->port, sizeof(out->port));
}

/* An IPv6 socket takes IPv4, too, where its address says "all". */
static int bind_internet(const struct addrinfo *info, int *out)
{
	const int on = 1, off = 0;
	int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int err;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (info->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (bind(fd, info->ai_addr, info->ai_addrlen) < 0 || listen(fd, LISTEN_BACKLOG) < 0) {
		err = -errno;
		close(fd);
		return err;
	}
	*out = fd;
	return 0;
}

/*
 * One socket for the address. "All" is IPv6 where there is IPv6, since that takes both; a name is
 * IPv4 where it has one, since `localhost` is expected at 127.0.0.1.
 */
static int open_internet(struct listener *listener, char *error, size_t error_bytes)
{
	const struct listen_address *address = &listener->address;
	const struct addrinfo hints = { .ai_family = AF_UNSPEC,
					.ai_socktype = SOCK_STREAM,
					.ai_flags = AI_PASSIVE | AI_NUMERICSERV };
	int families[] = { AF_INET, AF_INET6 };
	struct addrinfo *list;
	int err, failure;

	failure =
		getaddrinfo(address->host[0] ? address->host : NULL, address->port, &hints, &list);
	if (failure != 0) {
		snprintf(error, error_bytes, "the host cannot be resolved: %s",
			 gai_strerror(failure));
		return -EADDRNOTAVAIL;
	}
	if (!address->host[0]) {
		families[0] = AF_INET6;
		families[1] = AF_INET;
	}

	err = -EADDRNOTAVAIL;
	for (size_t f = 0; f < 2; f++) {
		for (const struct addrinfo *info = list; info && err; info = info->ai_next) {
			/* Another family must not hide that the first one's port is taken. */
			if (info->ai_family == families[f] && err != -EADDRINUSE)
				err = bind_internet(info, &listener->fd);
		}
	}
	freeaddrinfo(list);
	return err;
}

/* Makes way for a new socket at this path: removes a file that a dead process left. */
static int remove_stale(const struct sockaddr_un *name, char *error, size_t error_bytes)
{
	struct stat file;
	int fd, err = 0;

	if (lstat(name->sun_path, &file) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(file.st_mode)) {
		snprintf(error, error_bytes, "there is a file of this name that is not a socket");
		return -EEXIST;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)name, sizeof(*name)) == 0 || errno == EAGAIN)
		err = -EADDRINUSE;
	else if (errno != ECONNREFUSED || unlink(name->sun_path) < 0)
		err = -errno;
	close(fd);
	return err;
}

static int open_unix(struct listener *listener, char *error, size_t error_bytes)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	struct stat file;
	int fd, err;

	memcpy(name.sun_path, listener->address.path, sizeof(name.sun_path));
	err = remove_stale(&name, error, error_bytes);
	if (err)
		return err;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	/* Before bind, so that the file never has another mode; umask would hit other threads. */
	if (fchmod(fd, 0600) < 0 || bind(fd, (const struct sockaddr *)&name, sizeof(name)) < 0) {
		err = -errno;
		close(fd);
		return err;
	}
	if (lstat(name.sun_path, &file) < 0 || listen(fd, LISTEN_BACKLOG) < 0) {
		err = -errno;
		unlink(name.sun_path);
		close(fd);
		return err;
	}
	listener->fd = fd;
	listener->device = file.st_dev;
	listener->inode = file.st_ino;
	return 0;
}

static void explain(int err, char *error, size_t error_bytes)
{
	switch (err) {
	case -EADDRINUSE:
		snprintf(error, error_bytes,
			 "the address is in use; choose another one with --listen");
		break;
	case -EADDRNOTAVAIL:
		snprintf(error, error_bytes, "this machine does not have the address");
		break;
	case -EACCES:
		snprintf(error, error_bytes,
			 "not permitted; ports below 1024 and paths of others need privileges");
		break;
	default:
		snprintf(error, error_bytes, "%s", strerrordesc_np(-err));
	}
}

int listen_open(const char *text, struct listener *out, char *error, size_t error_bytes)
{
	struct listener listener = { .fd = -1 };
	char why[160] = "";
	int err = listen_parse(text, &listener.address);

	if (err) {
		snprintf(error, error_bytes,
			 "--listen %s: not an address; write host:port, [v6]:port or unix:/path",
			 text);
		return err;
	}
	if (listener.address.is_unix)
		err = open_unix(&listener, why, sizeof(why));
	else
		err = open_internet(&listener, why, sizeof(why));
	if (err) {
		if (why[0] == '\0')
			explain(err, why, sizeof(why));
		snprintf(error, error_bytes, "--listen %s: %s", text, why);
		return err;
	}
	*out = listener;
	return 0;
}

void listen_close(struct listener *listener)
{
	const char *path = listener->address.path;
	struct stat file;

	if (listener->fd < 0)
		return;
	if (listener->address.is_unix && lstat(path, &file) == 0 &&
	    file.st_dev == listener->device && file.st_ino == listener->inode)
		unlink(path);
	close(listener->fd);
	listener->fd = -1;
}

void listen_describe(const struct listener *listener, char *text, size_t text_bytes)
{
	struct sockaddr_storage name;
	socklen_t name_bytes = sizeof(name);
	char host[64], port[8];

	if (listener->address.is_unix) {
		snprintf(text, text_bytes, "unix:%s", listener->address.path);
		return;
	}
	if (getsockname(listener->fd, (struct sockaddr *)&name, &name_bytes) < 0 ||
	    getnameinfo((struct sockaddr *)&name, name_bytes, host, sizeof(host), port,
			sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		snprintf(text, text_bytes, "%s:%s", listener->address.host, listener->address.port);
	else
		snprintf(text, text_bytes, name.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host,
			 port);
}
