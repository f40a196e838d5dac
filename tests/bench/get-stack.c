// SPDX-License-Identifier: Apache-2.0
/*
 * get-stack OBJECT PID FILE FUNCTION: runs get-stack.bpf.c at the function. For every line on
 * stdin it prints, since the start: the runs, their nanoseconds, and the frames that they found.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t total_frames(const struct bpf_object *object)
{
	const struct bpf_map *map = bpf_object__find_map_by_name(object, ".bss");
	uint32_t key = 0;
	uint64_t bytes = 0;

	if (!map || bpf_map_lookup_elem(bpf_map__fd(map), &key, &bytes))
		return 0;
	return bytes / sizeof(uint64_t);
}

static int print_sums(const struct bpf_object *object, int program_fd)
{
	struct bpf_prog_info info = { 0 };
	uint32_t len = sizeof(info);

	if (bpf_obj_get_info_by_fd(program_fd, &info, &len))
		return 1;
	printf("%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", (uint64_t)info.run_cnt,
	       (uint64_t)info.run_time_ns, total_frames(object));
	fflush(stdout);
	return 0;
}

int main(int argc, char **argv)
{
	LIBBPF_OPTS(bpf_uprobe_opts, options);
	struct bpf_program *program;
	struct bpf_object *object;
	char line[16];

	if (argc != 5)
		return 2;
	object = bpf_object__open_file(argv[1], NULL);
	if (!object || bpf_object__load(object))
		return 1;
	program = bpf_object__find_program_by_name(object, "get_stack");
	options.func_name = argv[4];
	if (!program ||
	    !bpf_program__attach_uprobe_opts(program, atoi(argv[2]), argv[3], 0, &options))
		return 1;
	while (fgets(line, sizeof(line), stdin))
		if (print_sums(object, bpf_program__fd(program)))
			return 1;
	bpf_object__close(object);
	return 0;
}
