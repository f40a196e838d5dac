// SPDX-License-Identifier: Apache-2.0
#include "http/routes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

/* A pipeline whose targets are this process and, where wanted, pid 1. */
struct world {
	struct routes routes;
	struct answer answer;
	pthread_t pipeline;
	int end_fd;
	size_t target_count;
	bool is_waiting;
};

static int give_snapshot(void *arg, enum kind kind, pid_t pid, struct snapshot_set **out,
			 char reason[DESK_REASON_BYTES])
{
	const struct world *world = arg;

	if (kind == KIND_PAUSES) {
		snprintf(reason, DESK_REASON_BYTES, "no pauses\nhere");
		return -ENOTSUP;
	}
	if (pid > 0 && pid != getpid())
		return -ESRCH;
	*out = calloc(1, sizeof(**out));
	(*out)->items = calloc(2, sizeof(*(*out)->items));
	(*out)->count = pid > 0 ? 1 : world->target_count;
	for (size_t i = 0; i < (*out)->count; i++) {
		if (snapshot_new(&(*out)->items[i]))
			abort();
		(*out)->items[i]->kind = kind;
		(*out)->items[i]->period = 524288;
	}
	return 0;
}

static int give_status(void *arg, struct status **out)
{
	const struct world *world = arg;
	int err = status_new(out);

	if (err)
		return err;
	(*out)->targets = calloc(2, sizeof(*(*out)->targets));
	(*out)->target_count = world->target_count;
	for (size_t i = 0; i < world->target_count; i++)
		(*out)->targets[i] =
			(struct status_target){ .pid = i == 0 ? getpid() : 1,
						.comm = "t\n1",
						.allocator = "",
						.source = "",
						.waiting_for = { world->is_waiting ? 'x' : '\0' } };
	return 0;
}

static void *run_pipeline(void *arg)
{
	struct world *world = arg;
	const struct desk_source source = { give_snapshot, give_status, world };
	struct pollfd fds[] = { { .fd = desk_fd(world->routes.desk), .events = POLLIN },
				{ .fd = world->end_fd, .events = POLLIN } };

	while (poll(fds, 2, -1) > 0 && !fds[1].revents)
		desk_serve(world->routes.desk, &source);
	return NULL;
}

static int set_up(void **state)
{
	struct world *world = calloc(1, sizeof(*world));

	*state = world;
	world->target_count = 1;
	world->end_fd = eventfd(0, EFD_CLOEXEC);
	world->routes.stop_fd = eventfd(0, EFD_CLOEXEC);
	answer_init(&world->answer);
	return desk_new(&world->routes.desk) ||
	       pthread_create(&world->pipeline, NULL, run_pipeline, world);
}

static int tear_down(void **state)
{
	struct world *world = *state;

	eventfd_write(world->end_fd, 1);
	pthread_join(world->pipeline, NULL);
	answer_fini(&world->answer);
	desk_free(world->routes.desk);
	close(world->end_fd);
	close(world->routes.stop_fd);
	free(world);
	return 0;
}

static const struct answer *ask(struct world *world, enum routes_method method, const char *uri)
{
	struct routes_request request = { .method = method, .client_fd = -1 };

	request_parse_uri(uri, &request.route);
	answer_fini(&world->answer);
	answer_init(&world->answer);
	assert_int_equal(routes_answer(&world->routes, &request, &world->answer), 0);
	return &world->answer;
}

static const struct answer *get(struct world *world, const char *uri)
{
	return ask(world, ROUTES_GET, uri);
}

static void assert_error(const struct answer *answer, unsigned int status, const char *text)
{
	assert_int_equal(answer->status, status);
	assert_string_equal(answer->content_type, ANSWER_TEXT);
	assert_string_equal(answer->filename, "");
	assert_string_equal(answer->body.data, text);
}

static void a_profile_is_a_gzipped_attachment(void **state)
{
	const struct answer *answer = get(*state, "/debug/pprof/heap");

	assert_int_equal(answer->status, 200);
	assert_string_equal(answer->content_type, "application/octet-stream");
	assert_string_equal(answer->filename, "heap");
	assert_true(answer->body.len > 20);
	assert_memory_equal(answer->body.data, "\x1f\x8b", 2);
}

static void a_head_waits_for_nothing_and_a_difference_is_named_so(void **state)
{
	const struct answer *answer = ask(*state, ROUTES_HEAD, "/debug/pprof/heap?seconds=3600");

	assert_int_equal(answer->status, 200);
	assert_string_equal(answer->filename, "heap-delta");
	answer = ask(*state, ROUTES_HEAD, "/debug/pprof/profile?seconds=3600");
	assert_string_equal(answer->filename, "profile");
}

static void debug_is_text_in_the_page(void **state)
{
	const struct answer *answer = get(*state, "/debug/pprof/heap?debug=1");

	assert_int_equal(answer->status, 200);
	assert_string_equal(answer->content_type, ANSWER_TEXT);
	assert_string_equal(answer->filename, "");
	assert_memory_equal(answer->body.data, "heap profile: ", 14);
}

static void errors_are_a_line_of_text(void **state)
{
	struct world *world = *state;

	assert_error(get(world, "/debug/pprof/nothing"), 404, "Unknown profile\n");
	assert_error(get(world, "/nothing"), 404, "Not found; /debug/pprof/ lists what there is\n");
	assert_error(get(world, "/debug/pprof/pauses"), 501, "no pauses?here\n");
	assert_error(get(world, "/pid/2/debug/pprof/heap"), 404, "this process is not profiled\n");
	assert_error(get(world, "/pid/2/debug/pprof/"), 404, "this process is not profiled\n");
	assert_error(get(world, "/pid/2/debug/pprof/cmdline"), 404,
		     "this process is not profiled\n");
	assert_error(get(world, "/debug/pprof/heap?seconds=x"), 400,
		     "invalid value for \"seconds\" - must be a positive integer\n");
	atomic_store(&world->routes.gate.waiting, CAPTURE_MAX_WAITING);
	assert_error(get(world, "/debug/pprof/profile"), 503,
		     "32 requests with seconds wait already; try again later\n");
}

static void other_methods_are_refused(void **state)
{
	const struct answer *answer = ask(*state, ROUTES_POST, "/debug/pprof/heap");

	assert_error(answer, 405, "this method is not possible here\n");
	assert_string_equal(answer->allow, "GET, HEAD");
	answer = ask(*state, ROUTES_OTHER_METHOD, "/debug/pprof/symbol");
	assert_int_equal(answer->status, 405);
	assert_string_equal(answer->allow, "GET, HEAD, POST");
	assert_int_equal(ask(*state, ROUTES_POST, "/debug/pprof/symbol")->status, 200);
	assert_int_equal(ask(*state, ROUTES_POST, "/nothing")->status, 404);
}

static void a_body_is_accepted_on_a_post_of_symbol_alone(void **state)
{
	struct routes_request request = { .method = ROUTES_GET };
	struct world *world = *state;

	request_parse_uri("/debug/pprof/symbol", &request.route);
	assert_true(routes_accept(&request, false, &world->answer));
	assert_false(routes_accept(&request, true, &world->answer));
	assert_error(&world->answer, 413, "this request takes no body\n");
	request.method = ROUTES_POST;
	assert_true(routes_accept(&request, true, &world->answer));
}

static void cmdline_is_of_one_target(void **state)
{
	struct world *world = *state;
	const struct answer *answer = get(world, "/debug/pprof/cmdline");
	char expected[4096];
	FILE *file = fopen("/proc/self/cmdline", "re");
	size_t len;

	assert_non_null(file);
	len = fread(expected, 1, sizeof(expected), file);
	fclose(file);
	assert_int_equal(answer->status, 200);
	assert_int_equal(answer->body.len, len - 1); /* the last NUL ends, it does not join */
	assert_memory_equal(answer->body.data, expected, len - 1);

	world->target_count = 2;
	assert_error(get(world, "/debug/pprof/cmdline"), 501,
		     "there are 2 targets: ask /pid/PID/debug/pprof/cmdline for one\n");
	world->target_count = 0;
	assert_int_equal(get(world, "/debug/pprof/cmdline")->status, 404);
}

static void symbol_needs_to_know_which_target(void **state)
{
	struct world *world = *state;

	assert_string_equal(get(world, "/debug/pprof/symbol")->body.data, "num_symbols: 1\n");
	assert_string_equal(get(world, "/debug/pprof/symbol?0x1")->body.data, "num_symbols: 1\n");
	world->target_count = 2;
	assert_string_equal(get(world, "/debug/pprof/symbol")->body.data, "num_symbols: 1\n");
	assert_error(get(world, "/debug/pprof/symbol?0x1"), 501,
		     "there are 2 targets: ask /pid/PID/debug/pprof/symbol for one\n");
}

static void readiness_names_what_is_missing(void **state)
{
	struct world *world = *state;

	assert_string_equal(get(world, "/-/ready")->body.data, "ready\n");
	world->is_waiting = true;
	world->target_count = 2;
	get(world, "/-/ready");
	assert_int_equal(world->answer.status, 503);
	assert_non_null(strstr(world->answer.body.data, "pid 1 (t?1) waits for x\n"));
}

static void health_needs_no_pipeline(void **state)
{
	struct world *world = *state;

	desk_close(world->routes.desk);
	assert_string_equal(get(world, "/-/healthy")->body.data, "ok\n");
	assert_error(get(world, "/-/ready"), 503, "the agent is ending\n");
	assert_error(get(world, "/debug/pprof/heap"), 503, "the agent is ending\n");
}

static void the_index_and_what_leads_to_it(void **state)
{
	char location[64], uri[64];

	assert_string_equal(get(*state, "/debug/pprof/")->content_type, "text/html; charset=utf-8");
	assert_int_equal(get(*state, "/debug/pprof")->status, 301);
	assert_string_equal(get(*state, "/")->location, "/debug/pprof/");
	snprintf(uri, sizeof(uri), "/pid/%d", (int)getpid());
	snprintf(location, sizeof(location), "/pid/%d/debug/pprof/", (int)getpid());
	assert_string_equal(get(*state, uri)->location, location);
	assert_int_equal(get(*state, location)->status, 200);
}

#define WITH_WORLD(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_WORLD(a_profile_is_a_gzipped_attachment),
		WITH_WORLD(a_head_waits_for_nothing_and_a_difference_is_named_so),
		WITH_WORLD(debug_is_text_in_the_page),
		WITH_WORLD(errors_are_a_line_of_text),
		WITH_WORLD(other_methods_are_refused),
		WITH_WORLD(a_body_is_accepted_on_a_post_of_symbol_alone),
		WITH_WORLD(cmdline_is_of_one_target),
		WITH_WORLD(symbol_needs_to_know_which_target),
		WITH_WORLD(readiness_names_what_is_missing),
		WITH_WORLD(health_needs_no_pipeline),
		WITH_WORLD(the_index_and_what_leads_to_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
