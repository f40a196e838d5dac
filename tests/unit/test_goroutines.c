// SPDX-License-Identifier: Apache-2.0
/* The oracle is the program itself, by net/http/pprof. All of it: tests/bench/goroutines. */
#include "base/now.h"
#include "object/cache.h"
#include "runtime/golang_private.h"
#include "target/mapping.h"
#include "tests/gobuild.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#define MOST 256U
#define DUMP_BYTES (1U << 20)
#define PARKED 37U /* of the program's goroutines, main among them */

struct seen {
	uint64_t id;
	char state[64];
	uint32_t frame_count;
	bool is_cut;
};

struct fixture {
	char path[GOBUILD_PATH_BYTES];
	pid_t pid;
	int port;
	struct object_cache *cache;
	struct mapping_list mappings;
	struct golang *golang;
	struct seen seen[MOST];
	size_t count;
	bool kill; /* at the first goroutine */
};

static struct fixture fixture;

static void remember(void *arg, const struct golang_goroutine *goroutine)
{
	struct seen *seen = &fixture.seen[fixture.count++];

	(void)arg;
	assert_true(fixture.count <= MOST);
	seen->id = goroutine->id;
	seen->frame_count = goroutine->frame_count;
	seen->is_cut = goroutine->is_cut;
	snprintf(seen->state, sizeof(seen->state), "%s", goroutine->state);
	if (fixture.kill) {
		fixture.kill = false;
		assert_int_equal(kill(fixture.pid, SIGKILL), 0);
		assert_int_equal(waitpid(fixture.pid, NULL, 0), fixture.pid);
		fixture.pid = 0;
	}
}

static int read_all(void)
{
	fixture.count = 0;
	return golang_each_goroutine(fixture.golang, remember, NULL);
}

static void start(const char *options)
{
	int ends[2];
	char port[16] = "";

	gobuild_program("goroutines.go", options, fixture.path);
	assert_int_equal(pipe(ends), 0);
	fixture.pid = fork();
	if (fixture.pid == 0) {
		dup2(ends[1], STDOUT_FILENO);
		execl(fixture.path, fixture.path, (char *)NULL);
		_exit(127);
	}
	close(ends[1]);
	assert_true(read(ends[0], port, sizeof(port) - 1) > 0);
	close(ends[0]);
	fixture.port = atoi(port);
	assert_int_equal(object_cache_new(&fixture.cache), 0);
	assert_int_equal(mapping_read(fixture.pid, fixture.cache, &fixture.mappings), 0);
}

static void open_target(void)
{
	char reason[GOLANG_REASON_BYTES];

	assert_int_equal(golang_open(fixture.pid, &fixture.mappings, &fixture.golang, reason), 0);
}

static int stop(void **state)
{
	(void)state;
	golang_free(fixture.golang);
	mapping_list_fini(&fixture.mappings);
	object_cache_free(fixture.cache);
	if (fixture.pid > 0) {
		kill(fixture.pid, SIGKILL);
		waitpid(fixture.pid, NULL, 0);
	}
	memset(&fixture, 0, sizeof(fixture));
	return 0;
}

/* Until all have come where they stay: its own figures tell. */
static void settle(void)
{
	const struct timespec pause = { .tv_nsec = 20000000 };
	size_t moving = 1;

	for (int try = 0; try < 500 && moving > 0; try++) {
		assert_int_equal(read_all(), 0);
		moving = fixture.count < PARKED;
		for (size_t i = 0; i < fixture.count; i++)
			moving += strcmp(fixture.seen[i].state, "runnable") == 0 ||
				  strcmp(fixture.seen[i].state, "running") == 0;
		nanosleep(&pause, NULL);
	}
	assert_int_equal(moving, 0);
}

/* What the program says of itself, debug=2. */
static char *ask(void)
{
	static const char request[] =
		"GET /debug/pprof/goroutine?debug=2 HTTP/1.0\r\nConnection: close\r\n\r\n";
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons((uint16_t)fixture.port),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char *text = calloc(1, DUMP_BYTES);
	size_t len = 0;
	ssize_t got;

	assert_non_null(text);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(write(fd, request, strlen(request)), strlen(request));
	do {
		got = read(fd, text + len, DUMP_BYTES - 1 - len);
		len += got > 0 ? (size_t)got : 0;
	} while (got > 0);
	close(fd);
	return text;
}

static void states_are_those_that_the_program_tells(void **state)
{
	unsigned found = 0;
	char *text;

	(void)state;
	start("");
	open_target();
	settle();
	text = ask();
	for (size_t i = 0; i < fixture.count; i++) {
		char head[128];

		snprintf(head, sizeof(head), "goroutine %" PRIu64 " [%s", fixture.seen[i].id,
			 fixture.seen[i].state);
		if (!strstr(text, head))
			fail_msg("%s is not in the program's own dump", head);
		assert_false(fixture.seen[i].is_cut);
		assert_true(fixture.seen[i].frame_count > 0);
	}
	for (const char *at = strstr(text, "goroutine "); at; at = strstr(at + 1, "\ngoroutine "))
		found++;
	/* And the ones that serve the request. */
	assert_in_range(found, fixture.count + 1, fixture.count + 2);
	free(text);
}

/* Offsets in struct golang_g_layout, and what they are made. */
static const struct {
	size_t field;
	uint32_t wrong;
} broken[] = {
	{ offsetof(struct golang_g_layout, atomicstatus), 0 },
	{ offsetof(struct golang_g_layout, atomicstatus), 56 },
	{ offsetof(struct golang_g_layout, startpc), 0 },
	{ offsetof(struct golang_g_layout, startpc), 56 },
	{ offsetof(struct golang_g_layout, stack_lo), 8 },
	{ offsetof(struct golang_g_layout, stack_hi), 0 },
	{ offsetof(struct golang_g_layout, stack_hi), 64 },
	{ offsetof(struct golang_g_layout, sched_sp), 64 },
	{ offsetof(struct golang_g_layout, syscallsp), 8 },
	{ offsetof(struct golang_g_layout, goid), 48 },
};

static void check_refused(size_t field, uint32_t wrong)
{
	int err;

	open_target();
	memcpy((char *)&fixture.golang->layout.g + field, &wrong, sizeof(wrong));
	err = read_all();
	if (err != -EBADMSG || fixture.count != 0)
		fail_msg("field at %zu: error %d, %zu goroutines", field, err, fixture.count);
	assert_true(golang_reason(fixture.golang)[0] != '\0');
	golang_free(fixture.golang);
	fixture.golang = NULL;
}

static void check_layouts(const char *options)
{
	start(options);
	open_target();
	settle();
	golang_free(fixture.golang);
	fixture.golang = NULL;
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++)
		check_refused(broken[i].field, broken[i].wrong);
}

static void a_wrong_layout_is_refused(void **state)
{
	(void)state;
	check_layouts("");
}

static void a_wrong_layout_is_refused_without_symbols(void **state)
{
	(void)state;
	check_layouts("-ldflags '-s -w'");
}

static void a_process_that_ends_meanwhile_is_an_error(void **state)
{
	(void)state;
	start("");
	open_target();
	settle();
	fixture.kill = true;
	/* A pass reads many at once: the next one is sure to find it gone. */
	read_all();
	assert_int_equal(fixture.pid, 0);
	assert_int_equal(read_all(), -ESRCH);
}

static void ignore(void *arg, const struct golang_record *record)
{
	(void)arg;
	(void)record;
}

static void check_spent(int err)
{
	assert_int_equal(err, -ETIME);
	assert_non_null(strstr(golang_reason(fixture.golang), "takes too long to read"));
}

/* Each call has as much as the one before, and what is there takes a small part of it. */
static void a_process_that_takes_too_long_is_an_error(void **state)
{
	struct golang_summary summary;
	uint64_t whole;

	(void)state;
	start("-ldflags '-s -w'");
	open_target();
	whole = fixture.golang->budget_bytes;
	fixture.golang->budget_bytes = 1U << 20;
	check_spent(read_all());
	fixture.golang->budget_bytes = 1;
	check_spent(golang_each_record(fixture.golang, GOLANG_HEAP, ignore, NULL, &summary));
	fixture.golang->budget_bytes = whole / 256;
	assert_int_equal(read_all(), 0);
	assert_string_equal(golang_reason(fixture.golang), "");
	assert_int_equal(golang_each_record(fixture.golang, GOLANG_HEAP, ignore, NULL, &summary),
			 0);
}

static void a_reading_in_vain_is_not_repeated_at_once(void **state)
{
	struct golang_summary summary;
	struct golang_task *task;
	uint64_t whole, end_ns;

	(void)state;
	start("-ldflags '-s -w'");
	open_target();
	task = &fixture.golang->goroutines_task;
	whole = fixture.golang->budget_bytes;
	fixture.golang->budget_bytes = 1;
	fixture.golang->patience_ns = 0;
	check_spent(read_all());
	end_ns = now_monotonic_ns();
	assert_in_range(task->rests_until_ns, task->begun_ns + 1,
			end_ns + 10 * (end_ns - task->begun_ns));

	fixture.golang->budget_bytes = whole;
	task->rests_until_ns = UINT64_MAX;
	check_spent(read_all());
	assert_int_equal(golang_each_record(fixture.golang, GOLANG_HEAP, ignore, NULL, &summary),
			 0);
	task->rests_until_ns = now_monotonic_ns();
	assert_int_equal(read_all(), 0);
}

/* Data of nothing but lists of what is no goroutine: after a few of each the rest is not read. */
static void lists_of_something_else_cost_little(void **state)
{
	static uint64_t nothing[128], list[64], slices[3 * 1000];

	(void)state;
	start("-ldflags '-s -w'");
	open_target();
	memset(nothing, 0x55, sizeof(nothing));
	for (size_t i = 0; i < 64; i++)
		list[i] = (uint64_t)(uintptr_t)nothing;
	for (size_t i = 0; i < 3000; i++)
		slices[i] = i % 3 == 0 ? (uint64_t)(uintptr_t)list : 64;
	remote_free(fixture.golang->remote);
	assert_int_equal(remote_open(getpid(), &fixture.golang->remote), 0);
	fixture.golang->module.bss = (uint64_t)(uintptr_t)slices;
	fixture.golang->module.ebss = (uint64_t)(uintptr_t)(slices + 3000);
	fixture.golang->next_module = 0;
	fixture.golang->budget_bytes = 256U << 20;
	assert_int_equal(read_all(), -EBADMSG);
	assert_string_equal(golang_reason(fixture.golang), "runtime.allgs was not found");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(states_are_those_that_the_program_tells, stop),
		cmocka_unit_test_teardown(a_wrong_layout_is_refused, stop),
		cmocka_unit_test_teardown(a_wrong_layout_is_refused_without_symbols, stop),
		cmocka_unit_test_teardown(a_process_that_ends_meanwhile_is_an_error, stop),
		cmocka_unit_test_teardown(a_process_that_takes_too_long_is_an_error, stop),
		cmocka_unit_test_teardown(a_reading_in_vain_is_not_repeated_at_once, stop),
		cmocka_unit_test_teardown(lists_of_something_else_cost_little, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
