// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"
#include "config.h"
#include "session.h"

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
	return session_run(&config);
}
