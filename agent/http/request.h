/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request: what a request's URI asks for, as the contract's endpoints and net/http/pprof's
 * parameters have it.
 */
#ifndef PPROFD_HTTP_REQUEST_H
#define PPROFD_HTTP_REQUEST_H

#include "sample/kind.h"

#include <stdbool.h>
#include <sys/types.h>

enum route_action {
	ROUTE_UNKNOWN_PATH,
	ROUTE_UNKNOWN_PROFILE,
	ROUTE_REDIRECT, /* to the index, of pid if there is one */
	ROUTE_INDEX,
	ROUTE_PROFILE,
	ROUTE_CMDLINE,
	ROUTE_SYMBOL,
	ROUTE_METRICS,
	ROUTE_HEALTHY,
	ROUTE_READY,
};

#define ROUTE_MAX_SECONDS 3600
#define ROUTE_CPU_SECONDS 30 /* of `profile`, where the request does not say */

struct route {
	enum route_action action;
	pid_t pid; /* 0: all targets */
	const char *query; /* as it was sent, "" if there is none; borrowed from the URI */

	/* For ROUTE_PROFILE alone: */
	enum kind kind;
	unsigned int seconds; /* 0: a snapshot; else what happens in so many seconds */
	bool is_text; /* debug was asked for */
	bool shows_each; /* debug=2 or more: every thread with its stack, where the kind has threads
			  */
	bool wants_gc;
	const char *error; /* why the parameters are refused, without a newline; or NULL */
};

/* Understands the URI of a request line, in origin or absolute form. A pure function. */
void request_parse_uri(const char *uri, struct route *out);

#endif
