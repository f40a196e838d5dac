// SPDX-License-Identifier: Apache-2.0
/*
 * deep-churn DEPTH: allocates and frees as fast as it can below so many functions, each its own,
 * until stdin ends.
 */
#include "target.h"

#include <pthread.h>

/* Its caller keeps a frame: the call is not the last thing that it does. */
#define LEVEL(number, deeper)                                                                      \
	static __attribute__((noinline, aligned(256))) void level_##number(void)                   \
	{                                                                                          \
		deeper();                                                                          \
		__asm__ volatile("");                                                              \
	}

static __attribute__((noinline)) void churn(void)
{
	for (;;)
		free(target_must(malloc(64)));
}

LEVEL(1, churn)
LEVEL(2, level_1)
LEVEL(3, level_2)
LEVEL(4, level_3)
LEVEL(5, level_4)
LEVEL(6, level_5)
LEVEL(7, level_6)
LEVEL(8, level_7)
LEVEL(9, level_8)
LEVEL(10, level_9)
LEVEL(11, level_10)
LEVEL(12, level_11)
LEVEL(13, level_12)
LEVEL(14, level_13)
LEVEL(15, level_14)
LEVEL(16, level_15)
LEVEL(17, level_16)
LEVEL(18, level_17)
LEVEL(19, level_18)
LEVEL(20, level_19)
LEVEL(21, level_20)
LEVEL(22, level_21)
LEVEL(23, level_22)
LEVEL(24, level_23)
LEVEL(25, level_24)
LEVEL(26, level_25)
LEVEL(27, level_26)
LEVEL(28, level_27)
LEVEL(29, level_28)
LEVEL(30, level_29)
LEVEL(31, level_30)
LEVEL(32, level_31)
LEVEL(33, level_32)
LEVEL(34, level_33)
LEVEL(35, level_34)
LEVEL(36, level_35)
LEVEL(37, level_36)
LEVEL(38, level_37)
LEVEL(39, level_38)
LEVEL(40, level_39)
LEVEL(41, level_40)
LEVEL(42, level_41)
LEVEL(43, level_42)
LEVEL(44, level_43)
LEVEL(45, level_44)
LEVEL(46, level_45)
LEVEL(47, level_46)
LEVEL(48, level_47)

static void (*const levels[])(void) = {
	churn,	  level_1,  level_2,  level_3,	level_4,  level_5,  level_6,  level_7,	level_8,
	level_9,  level_10, level_11, level_12, level_13, level_14, level_15, level_16, level_17,
	level_18, level_19, level_20, level_21, level_22, level_23, level_24, level_25, level_26,
	level_27, level_28, level_29, level_30, level_31, level_32, level_33, level_34, level_35,
	level_36, level_37, level_38, level_39, level_40, level_41, level_42, level_43, level_44,
	level_45, level_46, level_47, level_48
};

static void *run(void *arg)
{
	levels[*(const uint64_t *)arg]();
	return NULL;
}

int main(int argc, char **argv)
{
	uint64_t depth = target_number(argc, argv, 1, 0);
	pthread_t thread;

	if (depth >= sizeof(levels) / sizeof(levels[0]) ||
	    pthread_create(&thread, NULL, run, &depth))
		return 1;
	target_say("ready");
	target_wait_end();
	return 0;
}
