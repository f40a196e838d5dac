/* SPDX-License-Identifier: Apache-2.0 */
/*
 * target: what the test programs share. Lines on stdin steer them, and the end of stdin ends them,
 * so that none outlives the test that started it.
 */
#ifndef PPROFD_TESTS_TARGET_H
#define PPROFD_TESTS_TARGET_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* Writes one line that the test waits for. */
static inline void target_say(const char *line)
{
	printf("%s\n", line);
	fflush(stdout);
}

/* Reads one line, unbuffered so that nothing is lost over an exec. False at the end of stdin. */
static inline bool target_read_line(void)
{
	char byte;

	while (read(STDIN_FILENO, &byte, 1) == 1)
		if (byte == '\n')
			return true;
	return false;
}

/* Waits for a line; ends the program at the end of stdin. */
static inline void target_wait_line(void)
{
	if (!target_read_line())
		exit(0);
}

static inline void target_wait_end(void)
{
	while (target_read_line())
		;
}

static inline uint64_t target_clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

/* Sleeps until this moment of CLOCK_MONOTONIC. */
static inline void target_sleep_until(uint64_t when_ns)
{
	struct timespec when = { .tv_sec = (time_t)(when_ns / 1000000000U),
				 .tv_nsec = (long)(when_ns % 1000000000U) };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL);
}

/* A block, or the end of the program: no test wants to count failures. */
static inline void *target_must(void *block)
{
	if (!block)
		abort();
	return block;
}

/* The whole number argv[i], or the default where it is missing. */
static inline uint64_t target_number(int argc, char **argv, int i, uint64_t otherwise)
{
	return i < argc ? strtoull(argv[i], NULL, 10) : otherwise;
}

#endif
