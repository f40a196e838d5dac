/* SPDX-License-Identifier: Apache-2.0 */
/*
 * routes: an answer for each thing that can be asked for.
 */
#ifndef PPROFD_HTTP_ROUTES_H
#define PPROFD_HTTP_ROUTES_H

#include "http/answer.h"
#include "http/capture.h"
#include "http/request.h"

struct symbolizer;

enum routes_method { ROUTES_GET, ROUTES_HEAD, ROUTES_POST, ROUTES_OTHER_METHOD };

/* What all requests share. */
struct routes {
	struct desk *desk;
	struct capture_gate gate;
	struct symbolizer *symbolizer; /* borrowed; NULL: profiles have one of their own each */
	pid_t keeper_pid; /* 0: none */
	int stop_fd; /* readable when waiting captures shall end */
};

struct routes_request {
	enum routes_method method;
	struct route route;
	const char *body; /* of a POST; may be NULL where body_len is 0 */
	size_t body_len;
	int client_fd; /* as capture_options' */
};

/*
 * Whether this method, and a body, are accepted there. If not, answer is made the error: a caller
 * asks before it reads a body.
 */
bool routes_accept(const struct routes_request *request, bool has_body, struct answer *answer);

/*
 * Fills an initialized answer; may block for as long as a capture is asked to take. A HEAD is
 * answered at once. Returns 0, or -ECANCELED if the client went away. Any thread.
 */
__attribute__((warn_unused_result)) int routes_answer(struct routes *routes,
						      const struct routes_request *request,
						      struct answer *answer);

#endif
