// SPDX-License-Identifier: Apache-2.0
#include "http/request.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* Longer paths and parameters than these name nothing that there is. */
#define MAX_PATH_BYTES 128U
#define MAX_PARAMETER_BYTES 64U

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		return (c | 0x20) - 'a' + 10;
	return -1;
}

/* The byte that %XX at text stands for, or 0: a NUL would end the text early, so it is refused. */
static char decode_escape(const char *text, size_t len)
{
	int high, low;

	if (len < 3)
		return 0;
	high = hex_digit(text[1]);
	low = hex_digit(text[2]);
	return high < 0 || low < 0 ? 0 : (char)(high * 16 + low);
}

/* Undoes %XX, and, in a parameter, +. False where an escape is bad or there is no room. */
static bool decode(const char *text, size_t len, bool is_parameter, char *out, size_t out_bytes)
{
	size_t at = 0;

	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (c == '+' && is_parameter)
			c = ' ';
		if (c == '%') {
			c = decode_escape(text + i, len - i);
			i += 2;
		}
		if (c == 0 || at + 1 >= out_bytes)
			return false;
		out[at++] = c;
	}
	out[at] = '\0';
	return true;
}

/*
 * The value of the first parameter of this name, "" where there is none. As in Go, a pair with a
 * bad escape or a semicolon counts as absent. A value that is too long is given as "?", no number.
 */
static void find_parameter(const char *query, const char *name, char value[MAX_PARAMETER_BYTES])
{
	size_t len;

	value[0] = '\0';
	for (; *query; query += len + (query[len] == '&')) {
		char key[MAX_PARAMETER_BYTES];
		size_t key_len;

		len = strcspn(query, "&");
		key_len = strcspn(query, "=&");
		if (memchr(query, ';', len) || !decode(query, key_len, true, key, sizeof(key)) ||
		    strcmp(key, name) != 0)
			continue;
		if (key_len == len)
			return;
		if (len - key_len - 1 >= MAX_PARAMETER_BYTES) {
			strcpy(value, "?");
			return;
		}
		if (decode(query + key_len + 1, len - key_len - 1, true, value,
			   MAX_PARAMETER_BYTES))
			return;
		value[0] = '\0';
	}
}

/* A decimal number as Go's ParseInt takes it. One out of range is stored as the nearest. */
static int parse_int(const char *text, long long *out)
{
	const char *digits = text + (*text == '+' || *text == '-');

	*out = 0;
	if (*digits == '\0' || digits[strspn(digits, "0123456789")] != '\0')
		return -EINVAL;
	errno = 0;
	*out = strtoll(text, NULL, 10);
	return -errno;
}

static void parse_profile_parameters(struct route *route)
{
	char value[MAX_PARAMETER_BYTES];
	long long seconds, number;
	bool is_cpu = route->kind == KIND_PROFILE;
	int err;

	find_parameter(route->query, "gc", value);
	(void)parse_int(value, &number);
	route->wants_gc = number > 0;
	find_parameter(route->query, "debug", value);
	(void)parse_int(value, &number);
	route->is_text = number != 0 && !is_cpu;
	route->shows_each =
		number >= 2 && (route->kind == KIND_GOROUTINE || route->kind == KIND_THREADS);

	find_parameter(route->query, "seconds", value);
	if (value[0] == '\0' && !is_cpu)
		return;
	err = parse_int(value, &seconds);
	if (is_cpu && (err || seconds <= 0))
		seconds = ROUTE_CPU_SECONDS;
	else if (err || seconds <= 0)
		route->error = "invalid value for \"seconds\" - must be a positive integer";
	else if (seconds > ROUTE_MAX_SECONDS)
		route->error = "invalid value for \"seconds\" - at most 3600 are possible";
	else if (route->is_text)
		route->error = "\"debug\" and \"seconds\" params are incompatible";
	if (!route->error)
		route->seconds = (unsigned int)seconds;
}

/* Takes "/pid/PID" off the path; returns what follows it, or NULL where PID is none. */
static const char *take_pid(const char *path, pid_t *pid)
{
	const char *digits = path + strlen("/pid/");
	size_t len = strspn(digits, "0123456789");
	long number;

	if (len == 0 || len > 10)
		return NULL;
	number = strtol(digits, NULL, 10);
	if (number < 1 || number > INT_MAX)
		return NULL;
	*pid = (pid_t)number;
	return digits + len;
}

static void parse_kind(const char *name, struct route *route)
{
	if (strcmp(name, "cmdline") == 0) {
		route->action = ROUTE_CMDLINE;
	} else if (strcmp(name, "symbol") == 0) {
		route->action = ROUTE_SYMBOL;
	} else if (kind_parse(name, strlen(name), &route->kind)) {
		route->action = ROUTE_PROFILE;
		parse_profile_parameters(route);
	} else {
		route->action = ROUTE_UNKNOWN_PROFILE;
	}
}

static void parse_path(const char *path, struct route *route)
{
	static const struct {
		const char *path;
		enum route_action action;
		bool has_pid; /* whether it may follow /pid/PID, too */
	} fixed[] = {
		{ "", ROUTE_REDIRECT, true },
		{ "/", ROUTE_REDIRECT, true },
		{ "/pprof", ROUTE_REDIRECT, true },
		{ "/pprof/", ROUTE_REDIRECT, true },
		{ "/debug/pprof", ROUTE_REDIRECT, true },
		{ "/debug/pprof/", ROUTE_INDEX, true },
		{ "/metrics", ROUTE_METRICS, false },
		{ "/-/healthy", ROUTE_HEALTHY, false },
		{ "/-/ready", ROUTE_READY, false },
	};
	static const char *const prefixes[] = { "/debug/pprof/", "/pprof/" };

	if (strncmp(path, "/pid/", 5) == 0) {
		path = take_pid(path, &route->pid);
		if (!path)
			return;
	}
	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
		if (strcmp(path, fixed[i].path) == 0 && (fixed[i].has_pid || route->pid == 0)) {
			route->action = fixed[i].action;
			return;
		}
	}
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		if (strncmp(path, prefixes[i], strlen(prefixes[i])) == 0) {
			parse_kind(path + strlen(prefixes[i]), route);
			return;
		}
	}
}

void request_parse_uri(const char *uri, struct route *out)
{
	char path[MAX_PATH_BYTES];
	size_t len;

	*out = (struct route){ .action = ROUTE_UNKNOWN_PATH };
	if (strncmp(uri, "http://", 7) == 0)
		uri += 7 + strcspn(uri + 7, "/?");
	len = strcspn(uri, "?");
	out->query = uri[len] == '?' ? uri + len + 1 : uri + len;
	if (decode(uri, len, false, path, sizeof(path)))
		parse_path(path, out);
}
