// SPDX-License-Identifier: Apache-2.0
#include "http/routes.h"

#include "http/index.h"
#include "http/metrics.h"
#include "http/symbol.h"
#include "profile/build.h"
#include "profile/encode.h"
#include "profile/text.h"
#include "profile/threadtext.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void fail_for(struct answer *answer, int err, const char *reason)
{
	switch (err) {
	case -ESRCH:
		answer_fail(answer, 404, "this process is not profiled");
		break;
	case -ENOTSUP:
		answer_fail(answer, 501, "%s", reason[0] ? reason : "not supported here");
		break;
	case -ESHUTDOWN:
		answer_fail(answer, 503, "the agent is ending");
		break;
	case -EBUSY:
		answer_fail(answer, 503, "%u requests with seconds wait already; try again later",
			    CAPTURE_MAX_WAITING);
		break;
	case -ENOSPC:
		answer_fail(answer, 500, "the profile is larger than the agent's limits");
		break;
	default:
		answer_fail(answer, 500, "%s", strerrordesc_np(-err));
	}
}

static int write_profile(struct symbolizer *symbolizer, const struct route *route,
			 const struct capture *capture, struct answer *answer)
{
	const struct build_options options = {
		.now = capture->now,
		.before = capture->before,
		.symbolizer = symbolizer,
		.label_targets = route->pid == 0 && capture->now->count > 1,
		.lists_threads = route->shows_each,
		.lists_pauses = route->kind == KIND_PAUSES && route->is_text,
		.comment = route->kind == KIND_HEAP && route->wants_gc
				   ? "gc=1 ignored: an agent outside the process cannot force a "
				     "collection"
				   : NULL,
	};
	bool is_delta = route->seconds > 0 && route->kind != KIND_PROFILE;
	struct profile *profile;
	int err = build_profile(route->kind, &options, &profile);

	if (err)
		return err;
	if (route->shows_each) {
		err = threadtext_write(profile, &answer->body);
	} else if (route->is_text) {
		err = text_profile(profile, &answer->body);
	} else {
		answer->content_type = "application/octet-stream";
		snprintf(answer->filename, sizeof(answer->filename), "%s%s",
			 kind_info(route->kind)->name, is_delta ? "-delta" : "");
		err = encode_profile(profile, &answer->body);
	}
	profile_free(profile);
	return err;
}

static int answer_profile(struct routes *routes, const struct routes_request *request,
			  struct answer *answer)
{
	const struct route *route = &request->route;
	const struct capture_options options = {
		.desk = routes->desk,
		.gate = &routes->gate,
		.kind = route->kind,
		.pid = route->pid,
		.is_difference = route->seconds > 0,
		.seconds = request->method == ROUTES_HEAD ? 0 : route->seconds,
		.client_fd = request->client_fd,
		.stop_fd = routes->stop_fd,
	};
	char reason[DESK_REASON_BYTES];
	struct capture capture;
	int err;

	if (route->error) {
		answer_fail(answer, 400, "%s", route->error);
		return 0;
	}
	err = capture_take(&options, &capture, reason);
	if (err == -ECANCELED)
		return err;
	if (!err) {
		err = write_profile(routes->symbolizer, route, &capture, answer);
		capture_fini(&capture);
	}
	if (err)
		fail_for(answer, err, reason);
	return 0;
}

/* What reading /proc/PID/cmdline gives, without the NUL that ends the last argument. */
static int read_cmdline(pid_t pid, struct buf *out)
{
	char path[32], bytes[4096];
	ssize_t len;
	int fd, err;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	while ((len = read(fd, bytes, sizeof(bytes))) > 0)
		buf_add(out, bytes, (size_t)len);
	err = len < 0 ? -errno : 0;
	close(fd);
	if (out->len > 0 && out->data[out->len - 1] == '\0')
		out->len--;
	return err;
}

static void answer_cmdline(const struct status *status, const struct route *route,
			   struct answer *answer)
{
	const struct status_target *target = NULL;
	size_t living = 0;
	int err;

	if (route->pid != 0) {
		target = index_find_target(status, route->pid);
	} else {
		for (size_t i = 0; i < status->target_count; i++) {
			if (status->targets[i].has_ended)
				continue;
			target = &status->targets[i];
			living++;
		}
	}
	if (living > 1) {
		answer_fail(answer, 501,
			    "there are %zu targets: ask /pid/PID/debug/pprof/cmdline for one",
			    living);
		return;
	}
	err = target && !target->has_ended ? read_cmdline(target->pid, &answer->body) : -ESRCH;
	if (err)
		fail_for(answer, err, "");
}

/* Names need only the mappings, which each of these kinds has. */
static int find_mappings(struct routes *routes, pid_t pid, struct snapshot_set **out,
			 char reason[DESK_REASON_BYTES])
{
	static const enum kind kinds[] = { KIND_PROFILE, KIND_HEAP, KIND_THREADS };
	int err = -ENOTSUP;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && err == -ENOTSUP; i++)
		err = desk_snapshot(routes->desk, kinds[i], pid, out, reason);
	return err;
}

static void answer_symbol(struct routes *routes, const struct routes_request *request,
			  struct answer *answer)
{
	bool is_post = request->method == ROUTES_POST;
	const char *text = is_post ? request->body : request->route.query;
	size_t len = is_post ? request->body_len : strlen(text);
	char reason[DESK_REASON_BYTES];
	struct snapshot_set *set;
	int err;

	if (len == 0) {
		symbol_write(NULL, "", 0, &answer->body);
		return;
	}
	err = find_mappings(routes, request->route.pid, &set, reason);
	if (err) {
		fail_for(answer, err, reason);
		return;
	}
	if (set->count == 1)
		symbol_write(set->items[0], text, len, &answer->body);
	else if (set->count == 0)
		fail_for(answer, -ESRCH, "");
	else
		answer_fail(answer, 501,
			    "there are %zu targets: ask /pid/PID/debug/pprof/symbol for one",
			    set->count);
	snapshot_set_free(set);
}

static void answer_ready(const struct status *status, struct answer *answer)
{
	struct buf *body = &answer->body;

	for (size_t i = 0; i < status->target_count; i++) {
		const struct status_target *target = &status->targets[i];

		if (target->has_ended || target->waiting_for[0] == '\0')
			continue;
		answer->status = 503;
		buf_printf(body, "pid %d (", (int)target->pid);
		answer_add_outside(body, target->comm);
		buf_add_str(body, ") waits for ");
		answer_add_outside(body, target->waiting_for);
		buf_add_str(body, "\n");
	}
	if (answer->status == 200)
		buf_add_str(body, "ready\n");
}

static void answer_index(const struct status *status, const struct route *route,
			 struct answer *answer)
{
	const struct status_target *target = NULL;

	if (route->pid != 0) {
		target = index_find_target(status, route->pid);
		if (!target) {
			fail_for(answer, -ESRCH, "");
			return;
		}
	}
	answer->content_type = INDEX_CONTENT_TYPE;
	index_write(status, target, &answer->body);
}

static void answer_metrics(const struct routes *routes, const struct status *status,
			   struct answer *answer)
{
	struct metrics_self self;

	metrics_read_self(routes->keeper_pid, &self);
	answer->content_type = METRICS_CONTENT_TYPE;
	metrics_write(status, &self, &answer->body);
}

/* The actions that need no more than the agent's status. */
static void answer_from_status(struct routes *routes, const struct route *route,
			       struct answer *answer)
{
	struct status *status;
	int err = desk_status(routes->desk, &status);

	if (err) {
		fail_for(answer, err, "");
		return;
	}
	if (route->action == ROUTE_CMDLINE)
		answer_cmdline(status, route, answer);
	else if (route->action == ROUTE_READY)
		answer_ready(status, answer);
	else if (route->action == ROUTE_METRICS)
		answer_metrics(routes, status, answer);
	else
		answer_index(status, route, answer);
	status_free(status);
}

static void answer_redirect(const struct route *route, struct answer *answer)
{
	answer->status = 301;
	if (route->pid != 0)
		snprintf(answer->location, sizeof(answer->location), "/pid/%d/debug/pprof/",
			 (int)route->pid);
	else
		snprintf(answer->location, sizeof(answer->location), "/debug/pprof/");
}

bool routes_accept(const struct routes_request *request, bool has_body, struct answer *answer)
{
	bool is_symbol = request->route.action == ROUTE_SYMBOL;

	if (request->route.action == ROUTE_UNKNOWN_PATH) {
		answer_fail(answer, 404, "Not found; /debug/pprof/ lists what there is");
	} else if (request->route.action == ROUTE_UNKNOWN_PROFILE) {
		answer_fail(answer, 404, "Unknown profile");
	} else if (request->method == ROUTES_OTHER_METHOD ||
		   (request->method == ROUTES_POST && !is_symbol)) {
		answer_fail(answer, 405, "this method is not possible here");
		answer->allow = is_symbol ? "GET, HEAD, POST" : "GET, HEAD";
	} else if (has_body && request->method != ROUTES_POST) {
		answer_fail(answer, 413, "this request takes no body");
	} else {
		return true;
	}
	return false;
}

int routes_answer(struct routes *routes, const struct routes_request *request,
		  struct answer *answer)
{
	int err = 0;

	if (!routes_accept(request, request->body_len > 0, answer))
		return 0;
	switch (request->route.action) {
	case ROUTE_REDIRECT:
		answer_redirect(&request->route, answer);
		break;
	case ROUTE_PROFILE:
		err = answer_profile(routes, request, answer);
		break;
	case ROUTE_SYMBOL:
		answer_symbol(routes, request, answer);
		break;
	case ROUTE_HEALTHY:
		buf_add_str(&answer->body, "ok\n");
		break;
	default:
		answer_from_status(routes, &request->route, answer);
	}
	if (!err && buf_error(&answer->body))
		fail_for(answer, buf_error(&answer->body), "");
	return err;
}
