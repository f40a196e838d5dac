// SPDX-License-Identifier: Apache-2.0
#include "profile/builder.h"
#include "sample/pauselog.h"

static int add_pause(struct builder *build, const struct pauselog_item *pause)
{
	struct profile_pause to = {
		.ended_ns = pause->ended_ns,
		.duration_ns = pause->duration_ns,
		.pid = build->now->pid,
		.weight = pause->weight,
	};
	uint32_t frame_count;
	int err;

	err = builder_add_frames(build, pause->stack, &frame_count);
	if (err)
		return err;
	to.location = build->frames[0];
	err = profile_add_string(build->profile, pause->cause, &to.cause);
	return err ?: profile_add_pause(build->profile, &to);
}

int buildpause_add_all(struct builder *build)
{
	int err = 0;

	if (!build->options->lists_pauses)
		return 0;
	for (uint32_t i = 0; i < build->now->pause_count && !err; i++)
		err = add_pause(build, &build->now->pauses[i]);
	return err;
}
