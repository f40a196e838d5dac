// SPDX-License-Identifier: Apache-2.0
#include "http/capture.h"

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
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* A pipeline that answers, a client and a stop flag. */
struct world {
	struct desk *desk;
	struct capture_gate gate;
	pthread_t pipeline;
	int client[2], stop_fd, end_fd;
};

static int give_snapshot(void *arg, enum kind kind, pid_t pid, struct snapshot_set **out,
			 char reason[DESK_REASON_BYTES])
{
	(void)arg;
	(void)kind;
	if (pid > 0) {
		snprintf(reason, DESK_REASON_BYTES, "there is no %d", (int)pid);
		return -ENOTSUP;
	}
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

static int give_status(void *arg, struct status **out)
{
	(void)arg;
	return status_new(out);
}

static void *run_pipeline(void *arg)
{
	const struct desk_source source = { give_snapshot, give_status, NULL };
	struct world *world = arg;
	struct pollfd fds[] = { { .fd = desk_fd(world->desk), .events = POLLIN },
				{ .fd = world->end_fd, .events = POLLIN } };

	while (poll(fds, 2, -1) > 0 && !fds[1].revents)
		desk_serve(world->desk, &source);
	return NULL;
}

static int set_up(void **state)
{
	struct world *world = calloc(1, sizeof(*world));

	*state = world;
	world->stop_fd = eventfd(0, EFD_CLOEXEC);
	world->end_fd = eventfd(0, EFD_CLOEXEC);
	return socketpair(AF_UNIX, SOCK_STREAM, 0, world->client) || desk_new(&world->desk) ||
	       pthread_create(&world->pipeline, NULL, run_pipeline, world);
}

static int tear_down(void **state)
{
	struct world *world = *state;

	eventfd_write(world->end_fd, 1);
	pthread_join(world->pipeline, NULL);
	desk_free(world->desk);
	close(world->client[0]);
	close(world->client[1]);
	close(world->stop_fd);
	close(world->end_fd);
	free(world);
	return 0;
}

static struct capture_options options_of(struct world *world)
{
	return (struct capture_options){ .desk = world->desk,
					 .gate = &world->gate,
					 .kind = KIND_HEAP,
					 .client_fd = world->client[0],
					 .stop_fd = world->stop_fd };
}

static void a_snapshot_has_nothing_before_it(void **state)
{
	struct capture_options options = options_of(*state);
	char reason[DESK_REASON_BYTES];
	struct capture capture;

	assert_int_equal(capture_take(&options, &capture, reason), 0);
	assert_null(capture.before);
	assert_non_null(capture.now);
	capture_fini(&capture);
}

static void a_difference_has_two_sets(void **state)
{
	struct capture_options options = options_of(*state);
	char reason[DESK_REASON_BYTES];
	struct capture capture;

	options.is_difference = true;
	assert_int_equal(capture_take(&options, &capture, reason), 0);
	assert_non_null(capture.before);
	assert_non_null(capture.now);
	assert_ptr_not_equal(capture.before, capture.now);
	capture_fini(&capture);
}

static void the_wait_ends_when_the_client_goes_away(void **state)
{
	struct world *world = *state;
	struct capture_options options = options_of(world);
	char reason[DESK_REASON_BYTES];
	struct capture capture;

	options.is_difference = true;
	options.seconds = 3600;
	assert_int_equal(shutdown(world->client[1], SHUT_RDWR), 0);
	assert_int_equal(capture_take(&options, &capture, reason), -ECANCELED);
	assert_int_equal(atomic_load(&world->gate.waiting), 0);
}

static void the_wait_ends_when_the_agent_stops(void **state)
{
	struct world *world = *state;
	struct capture_options options = options_of(world);
	char reason[DESK_REASON_BYTES];
	struct capture capture;

	options.is_difference = true;
	options.seconds = 3600;
	assert_int_equal(eventfd_write(world->stop_fd, 1), 0);
	assert_int_equal(capture_take(&options, &capture, reason), -ESHUTDOWN);
	assert_int_equal(atomic_load(&world->gate.waiting), 0);
}

static void only_so_many_wait_at_once(void **state)
{
	struct world *world = *state;
	struct capture_options options = options_of(world);
	char reason[DESK_REASON_BYTES];
	struct capture capture;

	atomic_store(&world->gate.waiting, CAPTURE_MAX_WAITING);
	options.is_difference = true;
	options.seconds = 3600;
	assert_int_equal(capture_take(&options, &capture, reason), -EBUSY);
	assert_int_equal(atomic_load(&world->gate.waiting), CAPTURE_MAX_WAITING);

	/* One that does not wait needs no place. */
	options.is_difference = false;
	assert_int_equal(capture_take(&options, &capture, reason), 0);
	capture_fini(&capture);
}

static void the_desks_error_comes_with_its_reason(void **state)
{
	struct capture_options options = options_of(*state);
	char reason[DESK_REASON_BYTES];
	struct capture capture;

	options.pid = 5;
	options.is_difference = true;
	options.seconds = 3600;
	assert_int_equal(capture_take(&options, &capture, reason), -ENOTSUP);
	assert_string_equal(reason, "there is no 5");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_snapshot_has_nothing_before_it, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_difference_has_two_sets, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_wait_ends_when_the_client_goes_away, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(the_wait_ends_when_the_agent_stops, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(only_so_many_wait_at_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_desks_error_comes_with_its_reason, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
