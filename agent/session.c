// SPDX-License-Identifier: Apache-2.0
#include "session.h"
#include "base/log.h"
#include "base/now.h"
#include "config.h"
#include "http/server.h"
#include "object/cache.h"
#include "probe/clock.h"
#include "probe/keeper.h"
#include "probe/kernel.h"
#include "probe/sideband.h"
#include "probe/slicer.h"
#include "probe/tables.h"
#include "profile/symbolize.h"
#include "sample/afford.h"
#include "sample/desk.h"
#include "sample/loader.h"
#include "sample/recorder.h"
#include "sample/replay.h"
#include "sample/store.h"
#include "sample/watcher.h"
#include "target/spawn.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct session {
	const struct config *config;
	struct object_cache *cache;
	struct store *store;
	struct desk *desk;
	struct symbolizer *symbolizer;
	struct server *server;
	struct recorder *recorder;
	struct keeper *keeper;
	struct kernel *kernel;
	struct tables *tables;
	struct sideband *sideband;
	struct clock_set *clock;
	struct slicer *slicer;
	struct loader *loader;
	struct budget_cost hit_cost; /* of allocation probes */
	struct watcher *watcher;
	pid_t command; /* 0: none, or it has ended */
	int command_status; /* as of wait(2) */
	struct spawn_legacy legacy; /* what the command inherits as the agent did */
	int signal_fd;
	uint64_t status_ns; /* when the status was last prepared, CLOCK_MONOTONIC */
	bool should_stop, was_asked;
};

#define SESSION_RING_BYTES (8U << 20)
#define SESSION_ERROR_BYTES 256
#define SESSION_COALESCE_NS 5000000
#define SESSION_STATUS_NS 1000000000U

/* Blocked before any thread starts, so that all are. */
static int take_signals(struct session *session)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -errno;
	session->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return session->signal_fd < 0 ? -errno : 0;
}

/* PPROFD_RING_BYTES in the environment, for tests of what is lost. */
static size_t ring_bytes(void)
{
	const char *text = getenv("PPROFD_RING_BYTES");
	unsigned long bytes = text ? strtoul(text, NULL, 10) : 0;

	return bytes >= 4096 && bytes <= 1UL << 30 && (bytes & (bytes - 1)) == 0
		       ? bytes
		       : SESSION_RING_BYTES;
}

static struct select_rules rules_of(const struct config *config)
{
	return (struct select_rules){
		.pids = config->pids,
		.pid_count = config->pid_count,
		.names = config->names,
		.name_count = config->name_count,
		.all = config->all,
		.children = config->children,
	};
}

static int start_store(struct session *session, const struct store_options *options)
{
	int err;

	err = object_cache_new(&session->cache);
	err = err ?: store_new(options, &session->store);
	return err ?: desk_new(&session->desk);
}

static int start_server(struct session *session)
{
	const struct symbolizer_options symbols = {
		.path_maps = session->config->path_maps,
		.path_map_count = session->config->path_map_count,
		.use_debuginfod = session->config->debuginfod,
	};
	struct server_options options = {
		.addresses = session->config->listen,
		.address_count = session->config->listen_count,
		.desk = session->desk,
		.keeper_pid = session->keeper ? keeper_pid(session->keeper) : 0,
	};
	char error[SESSION_ERROR_BYTES] = "";
	int err;

	err = symbolizer_new(&symbols, &session->symbolizer);
	if (err)
		return err;
	options.symbolizer = session->symbolizer;
	err = server_new(&options, &session->server, error, sizeof(error));
	if (err)
		log_error("%s", error);
	return err;
}

static int start_replay(struct session *session)
{
	const char *path = session->config->replay;
	struct store_options options;
	struct replay *replay;
	int err;

	err = replay_open(path, &replay, &options);
	if (err) {
		log_error("cannot replay %s: %s", path,
			  err == -EBADMSG ? "it is no recording of this version" : strerror(-err));
		return err;
	}
	options.labels_locks = session->config->lock_labels;
	err = start_store(session, &options);
	err = err ?: replay_run(replay, session->store, session->cache);
	if (err == -EBADMSG) {
		log_warn("%s is cut short or damaged: what came before is served", path);
		err = 0;
	}
	replay_free(replay);
	return err ?: start_server(session);
}

static void start_keeper(struct session *session)
{
	int err = keeper_new(&session->keeper);

	if (err)
		log_warn("SIGKILL may leave probes in targets: there is no keeper of them: %s",
			 strerror(-err));
}

static int start_kernel(struct session *session, const struct store_options *store_options)
{
	const struct select_rules rules = rules_of(session->config);
	const struct kernel_options options = {
		.alloc_interval = session->config->alloc_interval,
		.watch_all = select_is_open(&rules),
		.ring_bytes = ring_bytes(),
		.keeper = session->keeper,
	};
	char error[SESSION_ERROR_BYTES] = "";
	struct kernel_tables maps;
	int err;

	err = kernel_new(&options, &session->kernel, error, sizeof(error));
	if (err) {
		log_error("%s", error);
		return err;
	}
	maps = kernel_tables(session->kernel);
	err = tables_new(&maps, &session->tables);
	if (err)
		return err;
	err = sideband_new(&session->sideband);
	if (err) {
		log_error("cannot follow mappings by perf events: %s", strerror(-err));
		return err;
	}
	if ((store_options->collect & EVENT_COLLECT_CPU) != 0)
		err = clock_attach(kernel_programs(session->kernel).cpu_fd, session->config->cpu_hz,
				   &session->clock);
	if (err)
		log_error("cannot open CPU clock events: %s; --disable cpu does without",
			  strerror(-err));
	return err;
}

static int start_budget(struct session *session)
{
	const struct config *config = session->config;
	int err;

	if ((config->collect & EVENT_COLLECT_ALLOC) != 0 &&
	    config->budget_percent < AFFORD_NO_LIMIT) {
		err = afford_measure(session->kernel, session->cache, &session->hit_cost);
		if (err)
			log_warn("the cost of probes is a guess: %s", strerror(-err));
		log_debug("a hit of a probe costs %.0f ns, of an allocation %.0f",
			  session->hit_cost.hit_ns, session->hit_cost.alloc_ns);
	}
	return slicer_new(session->kernel, &session->slicer);
}

static int start_loader(struct session *session)
{
	int err = session->config->inject ? loader_new(&session->loader) : 0;

	if (err)
		log_error("--inject: libpprofd.so is not beside the agent's own file: %s",
			  strerror(-err));
	return err;
}

static int start_recorder(struct session *session, const struct store_options *options)
{
	const char *path = session->config->record;
	int err = path ? recorder_new(path, options, &session->recorder) : 0;

	if (err)
		log_error("cannot record to %s: %s", path, strerror(-err));
	return err;
}

static int start_watcher(struct session *session)
{
	const struct watcher_options options = {
		.kernel = session->kernel,
		.tables = session->tables,
		.store = session->store,
		.recorder = session->recorder,
		.cache = session->cache,
		.rules = rules_of(session->config),
		.collect = session->config->collect,
		.sources = session->config->sources,
		.loader = session->loader,
		.alloc_interval = session->config->alloc_interval,
		.slicer = session->slicer,
		.budget_percent = session->config->budget_percent,
		.hit_cost = session->hit_cost,
		.go_memprofile = session->config->go_memprofile,
	};
	pid_t missing = 0;
	int err;

	err = watcher_new(&options, &session->watcher);
	err = err ?: watcher_scan(session->watcher, &missing);
	if (err && missing)
		log_error("there is no process %d: see ps for those that are", missing);
	else if (err)
		log_error("cannot follow processes: %s", strerror(-err));
	return err;
}

/* A command that is over before it is profiled is no failure of the agent. */
static int start_command(struct session *session)
{
	char **argv = session->config->command;
	int err;

	err = spawn_command(argv, &session->legacy, &session->command, &session->command_status);
	if (err == -ECHILD) {
		session->command = 0;
		session->should_stop = true;
		return 0;
	}
	if (err) {
		log_error("cannot start %s: %s", argv[0], strerror(-err));
		session->command = 0;
		return err;
	}
	err = watcher_add_pid(session->watcher, session->command);
	if (err)
		log_error("cannot profile %s: %s", argv[0], strerror(-err));
	if (spawn_release(session->command))
		log_debug("%s is gone", argv[0]);
	return err;
}

static int start_live(struct session *session)
{
	const struct store_options options = {
		.rates = { session->config->alloc_interval, 1000000000U / session->config->cpu_hz },
		.collect = session->config->collect,
		.labels_locks = session->config->lock_labels,
		.is_live = true,
	};
	int err;

	start_keeper(session);
	err = start_kernel(session, &options);
	err = err ?: start_store(session, &options);
	err = err ?: start_recorder(session, &options);
	err = err ?: start_budget(session);
	err = err ?: start_loader(session);
	err = err ?: start_server(session); /* before any target is touched */
	err = err ?: start_watcher(session);
	if (!err && session->config->command)
		err = start_command(session);
	return err;
}

static void reap(struct session *session)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != session->command)
			continue;
		session->command = 0;
		session->command_status = status;
		session->should_stop = true;
	}
}

/*
 * In front of a command a first signal is the command's, and its end ends the agent; a terminal has
 * sent it to both already.
 */
static void on_signals(struct session *session)
{
	struct signalfd_siginfo info;

	while (read(session->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGCHLD) {
			reap(session);
			continue;
		}
		if (session->command > 0 && !session->was_asked) {
			if (info.ssi_code <= 0)
				kill(session->command, (int)info.ssi_signo);
		} else {
			session->should_stop = true;
		}
		session->was_asked = true;
	}
}

static void on_record(void *arg, const struct event_head *head)
{
	watcher_add_event(((struct session *)arg)->watcher, head);
}

/* Fetches what waits. Returns whether more does. */
static bool fetch(struct session *session)
{
	int more;

	if (!session->kernel)
		return false;
	more = kernel_fetch(session->kernel, on_record, session);
	if (more < 0)
		log_warn("cannot read the ring buffer: %s", strerror(-more));
	return more > 0;
}

static void on_mapping(void *arg, pid_t pid)
{
	watcher_mark(((struct session *)arg)->watcher, pid);
}

/*
 * A program that starts maps many files one after the other: after the first one is seen the rest
 * is left to come for a while. Returns until when.
 */
static uint64_t fetch_sideband(struct session *session, uint64_t now_ns)
{
	sideband_fetch(session->sideband, on_mapping, session);
	return now_ns + SESSION_COALESCE_NS;
}

static void fetch_now(void *arg)
{
	fetch(arg);
}

static int on_snapshot(void *arg, enum kind kind, pid_t pid, struct snapshot_set **out,
		       char reason[DESK_REASON_BYTES])
{
	struct session *session = arg;
	const struct desk_source source = store_source(session->store);

	if (session->watcher)
		watcher_prepare(session->watcher, kind, pid > 0 ? pid : 0, fetch_now, session);
	return source.snapshot(source.arg, kind, pid, out, reason);
}

static int on_status(void *arg, struct status **out)
{
	struct session *session = arg;
	const struct desk_source source = store_source(session->store);
	uint64_t now_ns = now_monotonic_ns();

	/* The heaps that runtimes count are read when they are asked for, also by many. */
	if (session->watcher && now_ns - session->status_ns >= SESSION_STATUS_NS) {
		session->status_ns = now_ns;
		watcher_prepare(session->watcher, KIND_HEAP, 0, fetch_now, session);
	}
	return source.status(source.arg, out);
}

static void loop(struct session *session)
{
	const struct desk_source source = { on_snapshot, on_status, session };
	struct pollfd fds[] = {
		{ .fd = session->signal_fd, .events = POLLIN },
		{ .fd = desk_fd(session->desk), .events = POLLIN },
		{ .fd = session->kernel ? kernel_fd(session->kernel) : -1, .events = POLLIN },
		{ .fd = -1, .events = POLLIN },
	};
	int wait_ms = session->kernel ? 0 : -1;
	uint64_t quiet_until_ns = 0;

	while (!session->should_stop) {
		uint64_t now_ns = now_monotonic_ns();
		bool is_quiet = now_ns < quiet_until_ns, more;

		fds[3].fd = session->sideband && !is_quiet ? sideband_fd(session->sideband) : -1;
		if (is_quiet && wait_ms > SESSION_COALESCE_NS / 1000000)
			wait_ms = SESSION_COALESCE_NS / 1000000;
		if (poll(fds, 4, wait_ms) < 0 && errno != EINTR) {
			log_error("poll: %s", strerror(errno));
			return;
		}
		now_ns = now_monotonic_ns();
		if (fds[3].fd >= 0 && (fds[3].revents & POLLIN) != 0)
			quiet_until_ns = fetch_sideband(session, now_ns);
		more = fetch(session);
		if (session->watcher)
			wait_ms = watcher_tick(session->watcher, now_ns, !more);
		if (more)
			wait_ms = 0;
		if ((fds[1].revents & POLLIN) != 0)
			desk_serve(session->desk, &source);
		on_signals(session);
	}
}

static void stop(struct session *session)
{
	if (session->desk)
		desk_close(session->desk);
	server_free(session->server);
	symbolizer_free(session->symbolizer);
	if (session->watcher && fetch(session))
		log_debug("records are left behind");
	watcher_free(session->watcher);
	slicer_free(session->slicer);
	loader_free(session->loader);
	clock_detach(session->clock);
	sideband_free(session->sideband);
	tables_free(session->tables);
	kernel_free(session->kernel);
	keeper_free(session->keeper);
	if (recorder_free(session->recorder))
		log_error("the recording is not whole");
	desk_free(session->desk);
	store_free(session->store);
	object_cache_free(session->cache);
	if (session->signal_fd >= 0)
		close(session->signal_fd);
}

static int exit_status(const struct session *session)
{
	if (!session->config->command || session->command > 0)
		return 0;
	if (WIFSIGNALED(session->command_status))
		return 128 + WTERMSIG(session->command_status);
	return WEXITSTATUS(session->command_status);
}

int session_run(const struct config *config)
{
	struct session session = { .config = config, .signal_fd = -1 };
	int err;

	spawn_save_legacy(&session.legacy);
	err = take_signals(&session);
	err = err ?: config->replay ? start_replay(&session) : start_live(&session);
	if (!err) {
		server_announce(session.server);
		loop(&session);
	}
	stop(&session);
	return err ? 1 : exit_status(&session);
}
