// SPDX-License-Identifier: Apache-2.0
#include "config.h"
#include "bpf/state.h"
#include "http/listen.h"
#include "object/sourcepath.h"
#include "sample/source.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define CONFIG_DEFAULT_LISTEN "127.0.0.1:6060"
#define CONFIG_DEFAULT_INTERVAL 524288U /* runtime.MemProfileRate of Go */
#define CONFIG_MAX_INTERVAL (1ULL << 40)
#define CONFIG_DEFAULT_HZ 99U
#define CONFIG_MAX_HZ 10000U
#define CONFIG_DEFAULT_BUDGET 3.0
#define CONFIG_NO_BUDGET 100.0
#define CONFIG_HOST_PID_NAMESPACE 0xEFFFFFFCU /* PROC_PID_INIT_INO, include/linux/proc_ns.h */

enum {
	OPTION_CHILDREN = 256,
	OPTION_ALLOC_INTERVAL,
	OPTION_CPU_HZ,
	OPTION_BUDGET,
	OPTION_SOURCE,
	OPTION_DISABLE,
	OPTION_ENABLE,
	OPTION_RECORD,
	OPTION_REPLAY,
	OPTION_LOG_LEVEL,
	OPTION_LOG_FORMAT,
	OPTION_PATH_MAP,
	OPTION_DEBUGINFOD,
	OPTION_GO_MEMPROFILE,
	OPTION_LOCK_LABELS,
	OPTION_INJECT,
	OPTION_VERSION,
};

static const struct option options[] = {
	{ "pid", required_argument, NULL, 'p' },
	{ "name", required_argument, NULL, 'n' },
	{ "all", no_argument, NULL, 'a' },
	{ "children", no_argument, NULL, OPTION_CHILDREN },
	{ "listen", required_argument, NULL, 'l' },
	{ "alloc-interval", required_argument, NULL, OPTION_ALLOC_INTERVAL },
	{ "cpu-hz", required_argument, NULL, OPTION_CPU_HZ },
	{ "disable", required_argument, NULL, OPTION_DISABLE },
	{ "enable", required_argument, NULL, OPTION_ENABLE },
	{ "record", required_argument, NULL, OPTION_RECORD },
	{ "replay", required_argument, NULL, OPTION_REPLAY },
	{ "log-level", required_argument, NULL, OPTION_LOG_LEVEL },
	{ "log-format", required_argument, NULL, OPTION_LOG_FORMAT },
	{ "version", no_argument, NULL, OPTION_VERSION },
	{ "help", no_argument, NULL, 'h' },
	{ "budget", required_argument, NULL, OPTION_BUDGET },
	{ "source", required_argument, NULL, OPTION_SOURCE },
	{ "inject", no_argument, NULL, OPTION_INJECT },
	{ "go-memprofile", no_argument, NULL, OPTION_GO_MEMPROFILE },
	{ "path-map", required_argument, NULL, OPTION_PATH_MAP },
	{ "debuginfod", no_argument, NULL, OPTION_DEBUGINFOD },
	{ "lock-labels", no_argument, NULL, OPTION_LOCK_LABELS },
	{ NULL, 0, NULL, 0 },
};

static const char help[] =
	"pprofd: net/http/pprof for every process\n"
	"\n"
	"Usage: pprofd [OPTION...] [-- COMMAND [ARG...]]\n"
	"\n"
	"Which processes:\n"
	"  -p, --pid PID           this one (repeatable)\n"
	"  -n, --name GLOB         those whose executable or comm matches, new ones too "
	"(repeatable)\n"
	"  -a, --all               all that can be seen\n"
	"      --children          with --pid or COMMAND: descendants too\n"
	"      -- COMMAND          start COMMAND and profile it from its first instruction\n"
	"\n"
	"What and how:\n"
	"  -l, --listen ADDR       host:port, [v6]:port or unix:/path (repeatable);\n"
	"                          default " CONFIG_DEFAULT_LISTEN "\n"
	"      --alloc-interval N  mean bytes between sampled allocations, suffixes K and M;\n"
	"                          default 524288; 1 records all\n"
	"      --budget PCT        most CPU time that probes may cost a target; default 3, or "
	"with\n"
	"                          --alloc-interval 1 no limit (100)\n"
	"      --source LIST       where memory samples may come from: auto, sampler, usdt, go,\n"
	"                          probes; default auto: the cheapest that the target has\n"
	"      --cpu-hz N          CPU samples a second and core; default 99\n"
	"      --enable LIST       collectors: cpu, alloc, heap, threads, pauses, block, mutex\n"
	"      --disable LIST      likewise\n"
	"      --go-memprofile     switch Go's memory profiling on where the linker left it out\n"
	"      --inject            load the in-process sampler into running targets\n"
	"      --path-map FROM=TO  rewrite the beginning of source paths (repeatable)\n"
	"      --debuginfod        fetch missing debug files as DEBUGINFOD_URLS says\n"
	"      --lock-labels       label mutex samples with the lock's address\n"
	"      --record FILE       write the event stream\n"
	"      --replay FILE       serve profiles from a written one, without privileges\n"
	"      --log-level LEVEL   debug, info, warn, error\n"
	"      --log-format FORMAT logfmt, json\n"
	"      --version, --help\n";

__attribute__((format(printf, 1, 2))) static enum config_result bad(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("pprofd: ", stderr);
	vfprintf(stderr, format, args);
	fputs(" (see --help)\n", stderr);
	va_end(args);
	return CONFIG_BAD;
}

/* Decimal digits and an optional suffix K or M, where they are allowed; between least and most. */
static bool parse_number(const char *text, bool suffixes, uint64_t most, uint64_t *out)
{
	unsigned long long number;
	uint64_t scale = 1;
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	number = strtoull(text, &end, 10);
	if (suffixes && (*end == 'K' || *end == 'k'))
		scale = 1ULL << 10;
	else if (suffixes && (*end == 'M' || *end == 'm'))
		scale = 1ULL << 20;
	if (scale > 1)
		end++;
	if (errno || *end != '\0' || number < 1 || number > most / scale)
		return false;
	*out = number * scale;
	return true;
}

/* A name that stands for bits; lists of them are separated by commas. */
struct name_bits {
	const char *name;
	uint32_t bits;
};

static const struct name_bits collectors[] = {
	{ "cpu", EVENT_COLLECT_CPU },	    { "alloc", EVENT_COLLECT_ALLOC },
	{ "heap", EVENT_COLLECT_ALLOC },    { "threads", EVENT_COLLECT_THREADS },
	{ "pauses", EVENT_COLLECT_PAUSES }, { "block", EVENT_COLLECT_BLOCK },
	{ "mutex", EVENT_COLLECT_MUTEX },   { NULL, 0 },
};

static const struct name_bits sources[] = {
	{ "auto", SOURCE_ALL }, { "sampler", SOURCE_SAMPLER }, { "usdt", SOURCE_USDT },
	{ "go", SOURCE_GO },	{ "probes", SOURCE_PROBES },   { NULL, 0 },
};

/* what: for the message. */
static enum config_result parse_names(const struct name_bits *names, const char *what,
				      const char *list, uint32_t *bits)
{
	*bits = 0;
	do {
		size_t len = strcspn(list, ",");
		const struct name_bits *name = names;

		while (name->name && (strlen(name->name) != len || strncmp(name->name, list, len)))
			name++;
		if (!name->name)
			return bad("'%.*s' is no %s", (int)len, list, what);
		*bits |= name->bits;
		list += len + (list[len] == ',');
	} while (*list != '\0');
	return CONFIG_RUN;
}

static enum config_result switch_collectors(struct config *config, const char *list, bool on)
{
	uint32_t bits;
	enum config_result result = parse_names(collectors, "collector", list, &bits);

	config->collect = on ? config->collect | bits : config->collect & ~bits;
	return result;
}

static enum config_result add_repeat(const char **items, size_t *count, const char *value)
{
	if (*count == CONFIG_MAX_REPEATS)
		return bad("an option is given more than %u times", CONFIG_MAX_REPEATS);
	items[(*count)++] = value;
	return CONFIG_RUN;
}

static enum config_result add_path_map(struct config *config, const char *text)
{
	struct sourcepath_rule rule;

	if (sourcepath_parse(text, &rule))
		return bad("'%s' is no path map: FROM=TO", text);
	return add_repeat(config->path_maps, &config->path_map_count, text);
}

static enum config_result add_pid(struct config *config, const char *text)
{
	uint64_t pid;

	if (!parse_number(text, false, INT32_MAX, &pid))
		return bad("'%s' is no process id", text);
	if (config->pid_count == CONFIG_MAX_REPEATS)
		return bad("an option is given more than %u times", CONFIG_MAX_REPEATS);
	config->pids[config->pid_count++] = (pid_t)pid;
	return CONFIG_RUN;
}

static enum config_result set_log(struct config *config, int option, const char *value)
{
	static const char *const levels[] = { "debug", "info", "warn", "error" };

	if (option == OPTION_LOG_FORMAT) {
		config->log_json = strcmp(value, "json") == 0;
		if (!config->log_json && strcmp(value, "logfmt") != 0)
			return bad("'%s' is no log format: logfmt or json", value);
		return CONFIG_RUN;
	}
	for (int i = 0; i < 4; i++) {
		if (strcmp(levels[i], value) == 0) {
			config->log_level = (enum log_level)i;
			return CONFIG_RUN;
		}
	}
	return bad("'%s' is no log level: debug, info, warn or error", value);
}

static enum config_result set_rate(struct config *config, int option, const char *value)
{
	uint64_t number;

	if (option == OPTION_ALLOC_INTERVAL) {
		if (!parse_number(value, true, CONFIG_MAX_INTERVAL, &config->alloc_interval))
			return bad("'%s' is no interval: 1 to 1048576M bytes", value);
		return CONFIG_RUN;
	}
	if (!parse_number(value, false, CONFIG_MAX_HZ, &number))
		return bad("'%s' is no rate: 1 to %u a second", value, CONFIG_MAX_HZ);
	config->cpu_hz = (uint32_t)number;
	return CONFIG_RUN;
}

static enum config_result set_budget(struct config *config, const char *value)
{
	char *end;

	config->budget_percent = strtod(value, &end);
	if (end == value || *end != '\0' || !(config->budget_percent >= 0) ||
	    config->budget_percent > CONFIG_NO_BUDGET)
		return bad("'%s' is no budget: 0 to 100 percent", value);
	return CONFIG_RUN;
}

static enum config_result take_option(struct config *config, int option, const char *name)
{
	struct listen_address address;

	switch (option) {
	case 'p':
		return add_pid(config, optarg);
	case 'n':
		return add_repeat(config->names, &config->name_count, optarg);
	case 'l':
		if (listen_parse(optarg, &address))
			return bad("'%s' is no address: host:port, [v6]:port or unix:/path",
				   optarg);
		return add_repeat(config->listen, &config->listen_count, optarg);
	case 'a':
		config->all = true;
		return CONFIG_RUN;
	case OPTION_CHILDREN:
		config->children = true;
		return CONFIG_RUN;
	case OPTION_PATH_MAP:
		return add_path_map(config, optarg);
	case OPTION_DEBUGINFOD:
		config->debuginfod = true;
		return CONFIG_RUN;
	case OPTION_GO_MEMPROFILE:
		config->go_memprofile = true;
		return CONFIG_RUN;
	case OPTION_LOCK_LABELS:
		config->lock_labels = true;
		return CONFIG_RUN;
	case OPTION_INJECT:
		config->inject = true;
		return CONFIG_RUN;
	case OPTION_ALLOC_INTERVAL:
	case OPTION_CPU_HZ:
		return set_rate(config, option, optarg);
	case OPTION_BUDGET:
		return set_budget(config, optarg);
	case OPTION_SOURCE:
		return parse_names(sources, "source", optarg, &config->sources);
	case OPTION_ENABLE:
	case OPTION_DISABLE:
		return switch_collectors(config, optarg, option == OPTION_ENABLE);
	case OPTION_RECORD:
		config->record = optarg;
		return CONFIG_RUN;
	case OPTION_REPLAY:
		config->replay = optarg;
		return CONFIG_RUN;
	case OPTION_LOG_LEVEL:
	case OPTION_LOG_FORMAT:
		return set_log(config, option, optarg);
	case OPTION_VERSION:
		puts("pprofd " PPROFD_VERSION);
		return CONFIG_DONE;
	case 'h':
		fputs(help, stdout);
		return CONFIG_DONE;
	default:
		return bad("'%s' is not an option or lacks its value", name);
	}
}

static bool is_in_host_namespace(void)
{
	struct stat ns;

	return stat("/proc/self/ns/pid", &ns) != 0 || ns.st_ino == CONFIG_HOST_PID_NAMESPACE;
}

static enum config_result settle(struct config *config)
{
	bool is_chosen = config->pid_count > 0 || config->name_count > 0 || config->all ||
			 config->command != NULL;

	if (config->listen_count == 0)
		config->listen[config->listen_count++] = CONFIG_DEFAULT_LISTEN;
	if (config->replay) {
		if (is_chosen || config->record)
			return bad("--replay goes with neither targets nor --record");
		return CONFIG_RUN;
	}
	if (config->children && config->pid_count == 0 && !config->command)
		return bad("--children goes with --pid or COMMAND");
	if (!is_chosen && is_in_host_namespace())
		return bad("no target: choose with --pid PID, --name GLOB, --all or -- COMMAND");
	config->all |= !is_chosen;
	return CONFIG_RUN;
}

enum config_result config_parse(int argc, char **argv, struct config *out)
{
	enum config_result result = CONFIG_RUN;
	int option;

	*out = (struct config){
		.alloc_interval = CONFIG_DEFAULT_INTERVAL,
		.cpu_hz = CONFIG_DEFAULT_HZ,
		.budget_percent = -1,
		.sources = SOURCE_ALL,
		.collect = EVENT_COLLECT_ALLOC | EVENT_COLLECT_CPU | EVENT_COLLECT_THREADS |
			   EVENT_COLLECT_STALLS,
		.log_level = LOG_INFO,
	};
	opterr = 0;
	while (result == CONFIG_RUN &&
	       (option = getopt_long(argc, argv, "+p:n:al:h", options, NULL)) != -1)
		result = take_option(out, option, argv[optind - 1]);
	if (result != CONFIG_RUN)
		return result;
	/* Who asks for all allocations has chosen what to pay. */
	if (out->budget_percent < 0)
		out->budget_percent =
			out->alloc_interval == 1 ? CONFIG_NO_BUDGET : CONFIG_DEFAULT_BUDGET;
	if (optind < argc) {
		if (strcmp(argv[optind - 1], "--") != 0)
			return bad("'%s' is no option; a command stands behind --", argv[optind]);
		out->command = argv + optind;
	}
	return settle(out);
}
