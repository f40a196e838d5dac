// SPDX-License-Identifier: Apache-2.0
#include "sample/desk.h"

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
#include <unistd.h>

#include <cmocka.h>

#define ASKERS 16
#define QUESTIONS 50

struct asker {
	struct desk *desk;
	pid_t pid;
	unsigned int right, ended;
};

struct served {
	pid_t pids[ASKERS];
	size_t count;
};

static int give_snapshot(void *arg, enum kind kind, pid_t pid, struct snapshot_set **out,
			 char reason[DESK_REASON_BYTES])
{
	struct served *served = arg;

	if (served && served->count < ASKERS)
		served->pids[served->count++] = pid;
	if (kind == KIND_PAUSES) {
		snprintf(reason, DESK_REASON_BYTES, "no pauses for %d", (int)pid);
		return -ENOTSUP;
	}
	*out = calloc(1, sizeof(**out));
	(*out)->items = calloc(1, sizeof(*(*out)->items));
	(*out)->count = 1;
	if (snapshot_new(&(*out)->items[0]))
		abort();
	(*out)->items[0]->pid = pid;
	return 0;
}

static int give_status(void *arg, struct status **out)
{
	int err = status_new(out);

	(void)arg;
	if (!err)
		(*out)->started_ns = 4711;
	return err;
}

static bool is_readable(const struct desk *desk)
{
	struct pollfd fd = { .fd = desk_fd(desk), .events = POLLIN };

	return poll(&fd, 1, 0) == 1;
}

static void wait_readable(const struct desk *desk)
{
	struct pollfd fd = { .fd = desk_fd(desk), .events = POLLIN };

	assert_int_equal(poll(&fd, 1, -1), 1);
}

/* cmocka's asserts belong to the test's thread: this one only counts. */
static void *ask_often(void *arg)
{
	struct asker *asker = arg;

	for (int i = 0; i < QUESTIONS; i++) {
		enum kind kind = i % 3 == 0 ? KIND_PAUSES : KIND_HEAP;
		char reason[DESK_REASON_BYTES], expected[DESK_REASON_BYTES];
		struct snapshot_set *set = NULL;
		int err = desk_snapshot(asker->desk, kind, asker->pid, &set, reason);

		snprintf(expected, sizeof(expected), "no pauses for %d", (int)asker->pid);
		if (kind == KIND_PAUSES)
			asker->right += err == -ENOTSUP && strcmp(reason, expected) == 0;
		else
			asker->right += err == 0 && set->items[0]->pid == asker->pid;
		asker->ended += err == -ESHUTDOWN;
		snapshot_set_free(set);
	}
	return NULL;
}

static void *ask_once(void *arg)
{
	struct asker *asker = arg;
	char reason[DESK_REASON_BYTES];
	struct snapshot_set *set = NULL;

	asker->ended +=
		desk_snapshot(asker->desk, KIND_HEAP, asker->pid, &set, reason) == -ESHUTDOWN;
	snapshot_set_free(set);
	return NULL;
}

static void *ask_status(void *arg)
{
	struct asker *asker = arg;
	struct status *status = NULL;

	if (desk_status(asker->desk, &status) == 0)
		asker->right += status->started_ns == 4711;
	status_free(status);
	return NULL;
}

static void *serve_until_told(void *arg)
{
	struct asker *end = arg;
	const struct desk_source source = { give_snapshot, give_status, NULL };

	while (!__atomic_load_n(&end->ended, __ATOMIC_ACQUIRE)) {
		struct pollfd fd = { .fd = desk_fd(end->desk), .events = POLLIN };

		if (poll(&fd, 1, 1) == 1)
			desk_serve(end->desk, &source);
	}
	return NULL;
}

static void every_asker_gets_its_own_answer(void **state)
{
	struct asker askers[ASKERS] = { 0 }, end = { 0 };
	pthread_t threads[ASKERS], server;
	struct desk *desk;

	(void)state;
	assert_int_equal(desk_new(&desk), 0);
	end.desk = desk;
	assert_int_equal(pthread_create(&server, NULL, serve_until_told, &end), 0);
	for (int i = 0; i < ASKERS; i++) {
		askers[i] = (struct asker){ .desk = desk, .pid = 100 + i };
		assert_int_equal(pthread_create(&threads[i], NULL, ask_often, &askers[i]), 0);
	}
	for (int i = 0; i < ASKERS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(askers[i].right, QUESTIONS);
	}
	__atomic_store_n(&end.ended, 1, __ATOMIC_RELEASE);
	pthread_join(server, NULL);
	desk_free(desk);
}

static void askers_are_served_in_the_order_in_which_they_came(void **state)
{
	struct asker askers[4] = { 0 };
	struct served served = { 0 };
	const struct desk_source source = { give_snapshot, give_status, &served };
	pthread_t threads[4];
	struct desk *desk;

	(void)state;
	assert_int_equal(desk_new(&desk), 0);
	for (int i = 0; i < 4; i++) {
		uint64_t seen = 0;

		askers[i] = (struct asker){ .desk = desk, .pid = 1 + i };
		assert_int_equal(pthread_create(&threads[i], NULL, ask_once, &askers[i]), 0);
		/* The next one starts when this one is known to stand in the queue. */
		wait_readable(desk);
		assert_int_equal(read(desk_fd(desk), &seen, sizeof(seen)), sizeof(seen));
		assert_int_equal(seen, 1);
	}
	while (served.count < 4)
		desk_serve(desk, &source);
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(served.pids[i], 1 + i);
		assert_int_equal(askers[i].ended, 0);
	}
	desk_free(desk);
}

static void its_descriptor_is_readable_only_while_somebody_asks(void **state)
{
	const struct desk_source source = { give_snapshot, give_status, NULL };
	struct asker asker = { 0 };
	pthread_t thread;

	(void)state;
	assert_int_equal(desk_new(&asker.desk), 0);
	assert_false(is_readable(asker.desk));
	desk_serve(asker.desk, &source);
	assert_int_equal(pthread_create(&thread, NULL, ask_status, &asker), 0);
	wait_readable(asker.desk);
	desk_serve(asker.desk, &source);
	pthread_join(thread, NULL);
	assert_int_equal(asker.right, 1);
	assert_false(is_readable(asker.desk));
	desk_free(asker.desk);
}

static void closing_wakes_those_that_wait_and_refuses_those_that_come(void **state)
{
	struct asker askers[ASKERS] = { 0 };
	char reason[DESK_REASON_BYTES];
	pthread_t threads[ASKERS];
	struct snapshot_set *set;
	struct status *status;
	struct desk *desk;

	(void)state;
	assert_int_equal(desk_new(&desk), 0);
	for (int i = 0; i < ASKERS; i++) {
		askers[i].desk = desk;
		assert_int_equal(pthread_create(&threads[i], NULL, ask_once, &askers[i]), 0);
	}
	wait_readable(desk);
	desk_close(desk);
	for (int i = 0; i < ASKERS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(askers[i].ended, 1);
	}
	assert_int_equal(desk_snapshot(desk, KIND_HEAP, 0, &set, reason), -ESHUTDOWN);
	assert_string_equal(reason, "");
	assert_int_equal(desk_status(desk, &status), -ESHUTDOWN);
	desk_free(desk);
	desk_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_asker_gets_its_own_answer),
		cmocka_unit_test(askers_are_served_in_the_order_in_which_they_came),
		cmocka_unit_test(its_descriptor_is_readable_only_while_somebody_asks),
		cmocka_unit_test(closing_wakes_those_that_wait_and_refuses_those_that_come),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
