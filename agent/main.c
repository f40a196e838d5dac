// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"
#include "config.h"
#include "session.h"

#include <signal.h>
#include <sys/resource.h>

/* Every file of a target stays open while it is mapped. */
static void raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

int main(int argc, char **argv)
{
	struct config config;

	switch (config_parse(argc, argv, &config)) {
	case CONFIG_DONE:
		return 0;
	case CONFIG_BAD:
		return 2;
	case CONFIG_RUN:
		break;
	}
	log_setup(config.log_level, config.log_json);
	raise_file_limit();
	signal(SIGPIPE, SIG_IGN);
	return session_run(&config);
}
