// SPDX-License-Identifier: Apache-2.0
#include "http/server.h"

#include "base/log.h"
#include "http/listen.h"
#include "http/routes.h"

#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define SERVER_MAX_ADDRESSES 16U
#define SERVER_MAX_CONNECTIONS 128U /* of one address; those over it are closed at once */
#define SERVER_IDLE_SECONDS 30U
#define SERVER_MEMORY_BYTES ((size_t)16 << 10) /* of one connection: request line and headers */
#define SERVER_MAX_BODY_BYTES ((size_t)64 << 10)

struct server {
	struct routes routes;
	struct {
		struct listener listener;
		struct MHD_Daemon *daemon;
	} at[SERVER_MAX_ADDRESSES];
	size_t count;
};

/* One request while it is read and answered. */
struct exchange {
	struct routes_request request;
	struct buf body;
	bool is_read; /* its headers */
	char uri[]; /* that the route borrows from */
};

/* Called with the request line, before the headers are read; what it returns is the exchange. */
static void *start_exchange(void *arg, const char *uri, struct MHD_Connection *connection)
{
	size_t len = strlen(uri);
	struct exchange *exchange = calloc(1, sizeof(*exchange) + len + 1);

	(void)arg;
	(void)connection;
	if (!exchange)
		return NULL;
	memcpy(exchange->uri, uri, len + 1);
	request_parse_uri(exchange->uri, &exchange->request.route);
	buf_init(&exchange->body, SERVER_MAX_BODY_BYTES);
	return exchange;
}

static void end_exchange(void *arg, struct MHD_Connection *connection, void **state,
			 enum MHD_RequestTerminationCode code)
{
	struct exchange *exchange = *state;

	(void)arg;
	(void)connection;
	(void)code;
	if (exchange)
		buf_fini(&exchange->body);
	free(exchange);
	*state = NULL;
}

static void add_headers(struct MHD_Response *response, const struct answer *answer)
{
	char disposition[80];

	MHD_add_response_header(response, "Content-Type", answer->content_type);
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	/* The pages have no scripts, and nothing that a target is called shall become one. */
	MHD_add_response_header(response, "Content-Security-Policy",
				"default-src 'none'; style-src 'unsafe-inline'");
	if (answer->status >= 400)
		MHD_add_response_header(response, "X-Go-Pprof", "1");
	if (answer->allow)
		MHD_add_response_header(response, "Allow", answer->allow);
	if (answer->location[0] != '\0')
		MHD_add_response_header(response, "Location", answer->location);
	if (answer->filename[0] != '\0') {
		snprintf(disposition, sizeof(disposition), "attachment; filename=\"%s\"",
			 answer->filename);
		MHD_add_response_header(response, "Content-Disposition", disposition);
	}
}

/* Takes what answer holds. */
static enum MHD_Result send_answer(struct MHD_Connection *connection, struct answer *answer)
{
	struct MHD_Response *response;
	enum MHD_Result result;

	if (answer->body.data)
		response = MHD_create_response_from_buffer(answer->body.len, answer->body.data,
							   MHD_RESPMEM_MUST_FREE);
	else
		response = MHD_create_response_from_buffer(0, (void *)(uintptr_t) "",
							   MHD_RESPMEM_PERSISTENT);
	if (!response) {
		answer_fini(answer);
		return MHD_NO;
	}
	add_headers(response, answer);
	result = MHD_queue_response(connection, answer->status, response);
	MHD_destroy_response(response);
	return result;
}

static enum routes_method parse_method(const char *method)
{
	if (strcmp(method, MHD_HTTP_METHOD_GET) == 0)
		return ROUTES_GET;
	if (strcmp(method, MHD_HTTP_METHOD_HEAD) == 0)
		return ROUTES_HEAD;
	if (strcmp(method, MHD_HTTP_METHOD_POST) == 0)
		return ROUTES_POST;
	return ROUTES_OTHER_METHOD;
}

/* Refuses by the headers alone, before a body is read. Returns whether it did not. */
static bool accept_headers(struct MHD_Connection *connection, const struct exchange *exchange,
			   struct answer *answer)
{
	const char *length = MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
							 MHD_HTTP_HEADER_CONTENT_LENGTH);
	unsigned long long bytes = length ? strtoull(length, NULL, 10) : 0;

	if (MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
					MHD_HTTP_HEADER_TRANSFER_ENCODING)) {
		answer_fail(answer, 400, "Transfer-Encoding is not accepted; send Content-Length");
		return false;
	}
	if (!routes_accept(&exchange->request, bytes > 0, answer))
		return false;
	if (bytes > SERVER_MAX_BODY_BYTES) {
		answer_fail(answer, 413, "the body is over %zu bytes", SERVER_MAX_BODY_BYTES);
		return false;
	}
	return true;
}

/*
 * The library counts the time-out from the last byte moved, so that a capture longer than it would
 * be cut off when it is ready to be sent: switching it off and on begins the count anew.
 */
static enum MHD_Result answer_request(struct server *server, struct MHD_Connection *connection,
				      struct exchange *exchange)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct answer answer;
	int err;

	exchange->request.client_fd = info ? info->connect_fd : -1;
	exchange->request.body = exchange->body.data;
	exchange->request.body_len = exchange->body.len;
	answer_init(&answer);
	MHD_set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT, 0U);
	err = routes_answer(&server->routes, &exchange->request, &answer);
	MHD_set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT, SERVER_IDLE_SECONDS);
	if (err) {
		answer_fini(&answer);
		return MHD_NO;
	}
	return send_answer(connection, &answer);
}

/* The library's callback: once for the headers, for each piece of the body, and at the end. */
static enum MHD_Result handle(void *arg, struct MHD_Connection *connection, const char *url,
			      const char *method, const char *version, const char *upload,
			      size_t *upload_len, void **state)
{
	struct exchange *exchange = *state;
	struct answer answer;

	(void)url;
	(void)version;
	if (!exchange)
		return MHD_NO; /* memory was out */
	if (!exchange->is_read) {
		exchange->is_read = true;
		exchange->request.method = parse_method(method);
		answer_init(&answer);
		if (!accept_headers(connection, exchange, &answer))
			return send_answer(connection, &answer);
		return MHD_YES;
	}
	if (*upload_len > 0) {
		buf_add(&exchange->body, upload, *upload_len);
		*upload_len = 0;
		return buf_error(&exchange->body) ? MHD_NO : MHD_YES;
	}
	return answer_request(arg, connection, exchange);
}

/*
 * The library's threads inherit the signal mask: with all blocked, signals go to the caller's
 * threads alone. The library closes the socket it is given, so it gets a copy.
 */
static int start_daemon(struct server *server, int listen_fd, struct MHD_Daemon **out)
{
	const unsigned int flags =
		MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL_INTERNAL_THREAD | MHD_USE_ITC;
	sigset_t all, before;
	struct MHD_Daemon *daemon;
	int fd = fcntl(listen_fd, F_DUPFD_CLOEXEC, 0);
	int err;

	if (fd < 0)
		return -errno;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	errno = 0;
	daemon = MHD_start_daemon(
		flags, 0, NULL, NULL, handle, server, MHD_OPTION_LISTEN_SOCKET, fd,
		MHD_OPTION_CONNECTION_LIMIT, SERVER_MAX_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT,
		SERVER_IDLE_SECONDS, MHD_OPTION_CONNECTION_MEMORY_LIMIT, SERVER_MEMORY_BYTES,
		MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_URI_LOG_CALLBACK, start_exchange, NULL,
		MHD_OPTION_NOTIFY_COMPLETED, end_exchange, NULL, MHD_OPTION_END);
	err = errno ? -errno : -EIO;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!daemon)
		return err;
	*out = daemon;
	return 0;
}

static int open_address(struct server *server, const char *address, char *error, size_t error_bytes)
{
	struct listener *listener = &server->at[server->count].listener;
	int err = listen_open(address, listener, error, error_bytes);

	if (err)
		return err;
	err = start_daemon(server, listener->fd, &server->at[server->count].daemon);
	if (err) {
		snprintf(error, error_bytes, "--listen %s: the HTTP server does not start: %s",
			 address, strerrordesc_np(-err));
		listen_close(listener);
		return err;
	}
	server->count++;
	return 0;
}

void server_announce(const struct server *server)
{
	char where[160];

	for (size_t i = 0; i < server->count; i++) {
		listen_describe(&server->at[i].listener, where, sizeof(where));
		log_info("serving profiles at %s", where);
	}
}

int server_new(const struct server_options *options, struct server **out, char *error,
	       size_t error_bytes)
{
	struct server *server;
	int err = 0;

	if (options->address_count > SERVER_MAX_ADDRESSES) {
		snprintf(error, error_bytes, "--listen is given %zu times; at most %u are possible",
			 options->address_count, SERVER_MAX_ADDRESSES);
		return -E2BIG;
	}
	server = calloc(1, sizeof(*server));
	if (!server) {
		snprintf(error, error_bytes, "out of memory");
		return -ENOMEM;
	}
	server->routes.desk = options->desk;
	server->routes.symbolizer = options->symbolizer;
	server->routes.keeper_pid = options->keeper_pid;
	server->routes.stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (server->routes.stop_fd < 0) {
		err = -errno;
		snprintf(error, error_bytes, "eventfd: %s", strerrordesc_np(-err));
	}
	for (size_t i = 0; i < options->address_count && !err; i++)
		err = open_address(server, options->addresses[i], error, error_bytes);
	if (err) {
		server_free(server);
		return err;
	}
	*out = server;
	return 0;
}

void server_free(struct server *server)
{
	if (!server)
		return;
	if (server->routes.stop_fd >= 0)
		eventfd_write(server->routes.stop_fd, 1);
	for (size_t i = 0; i < server->count; i++) {
		MHD_stop_daemon(server->at[i].daemon);
		listen_close(&server->at[i].listener);
	}
	if (server->routes.stop_fd >= 0)
		close(server->routes.stop_fd);
	free(server);
}
