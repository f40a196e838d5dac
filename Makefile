# SPDX-License-Identifier: Apache-2.0
# pprofd: `make run` shows it at work, `make test` tests it. Everything built lies in build/.

BUILD := build
CC := gcc
CLANG := clang
BPFTOOL := $(firstword $(wildcard /usr/sbin/bpftool) bpftool)
PYTHON := /usr/bin/python3
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)
VERSION := 0.1.0
JOBS := $(shell nproc)

BUILD_PACKAGES := gcc make clang llvm bpftool linux-libc-dev libbpf-dev libelf-dev libdw-dev \
	zlib1g-dev liblzma-dev libprotobuf-c-dev protobuf-c-compiler libmicrohttpd-dev libzydis-dev \
	libiberty-dev systemtap-sdt-dev musl-tools
TEST_PACKAGES := libcmocka-dev clang-format cppcheck g++ rustc protobuf-compiler \
	python3-protobuf python3-pytest golang-go curl gdb redis-server redis-tools sqlite3 xz-utils \
	libjemalloc-dev libgoogle-perftools-dev libmimalloc-dev libclang-rt-14-dev elfutils \
	default-jdk-headless bpftrace binutils
BENCH_PACKAGES := elfutils llvm heaptrack
KERNEL_PACKAGES := qemu-system-x86 busybox-static

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wvla -Werror
CFLAGS := -std=gnu17 -O2 -g -fno-omit-frame-pointer -fstack-protector-strong -D_GNU_SOURCE \
	-D_FORTIFY_SOURCE=2 -DPPROFD_VERSION='"$(VERSION)"' -Iagent -I. -isystem $(BUILD) $(WARNINGS) $(EXTRA_CFLAGS)
LDLIBS := -lbpf -ldw -lelf -lz -llzma -lprotobuf-c -lmicrohttpd -lZydis -liberty -lpthread -lm
LDFLAGS := -Wl,-z,relro,-z,now -Wl,--as-needed $(EXTRA_LDFLAGS)
BPF_CFLAGS := -std=gnu17 -O2 -g -target bpf -mcpu=v3 -D__TARGET_ARCH_x86 -I. \
	-I/usr/include/x86_64-linux-gnu -Wall -Wextra -Werror -Wno-gnu-variable-sized-type-not-at-end -Wno-unused-parameter

AGENT_SOURCES := $(filter-out agent/main.c,$(shell find agent -name '*.c' -not -path 'agent/sampler/*' | sort))
SAMPLER_SOURCES := $(wildcard agent/sampler/*.c)
SAMPLER_OBJECTS := $(SAMPLER_SOURCES:%.c=$(BUILD)/%.o)
AGENT_OBJECTS := $(AGENT_SOURCES:%.c=$(BUILD)/%.o)
GENERATED := $(BUILD)/proto/profile.pb-c.h $(BUILD)/bpf/pprofd.skel.h
BPF_OBJECTS := $(patsubst bpf/%.bpf.c,$(BUILD)/bpf/%.bpf.o,$(wildcard bpf/*.bpf.c))
WEB_OBJECTS := $(patsubst web/%,$(BUILD)/web/%.o,$(wildcard web/*.html web/*.css web/*.js))
UNIT_TESTS := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(wildcard tests/unit/test_*.c))
TARGETS := $(patsubst tests/targets/%.c,$(BUILD)/targets/%,$(wildcard tests/targets/*.c))
FORMATTED := $(shell find agent bpf tests -name '*.[ch]' | sort)

.PHONY: all go-matrix kernel-matrix deps test-deps run run-go test unit e2e go-targets lint asan sweep fuzz bench clean
.DELETE_ON_ERROR:
# make V=1 shows the commands.
$(V).SILENT:
all: $(BUILD)/pprofd $(BUILD)/libpprofd.so $(BUILD)/libpprofd-musl.so

# $(call install,PACKAGES): from Debian by name, and only what is missing.
define install
@missing=$$(for p in $(1); do dpkg-query -W -f='$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || \
	echo $$p; done); \
if [ -n "$$missing" ]; then echo "installing $$missing"; $(SUDO) apt-get update -qq && \
	DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 $(SUDO) apt-get install -y -qq --no-install-recommends \
	$$missing >/dev/null; fi
endef

deps:
	$(call install,$(BUILD_PACKAGES))
test-deps: deps
	$(call install,$(TEST_PACKAGES))

# The build steps run in a second make, so that a bare machine has the compilers when it starts.
run: deps
	@$(MAKE) --no-print-directory all $(BUILD)/targets/demo
	@$(SUDO) tests/run-demo $(BUILD)
# The same with a Go API server that leaks: goroutine and heap name the lines.
run-go: deps
	$(call install,golang-go)
	@$(MAKE) --no-print-directory all
	tests/go-versions $(BUILD) own
	@$(SUDO) tests/run-demo $(BUILD) "$$(tests/build-go $(BUILD) leak 1.19 default)"
test: test-deps
	@$(MAKE) --no-print-directory -j$(JOBS) -Orecurse go-targets unit lint asan sweep fuzz FUZZ_SECONDS=20 \
		GO_MINORS='$(GO_SOME)'
	@$(MAKE) --no-print-directory -j$(JOBS) e2e GO_MINORS='$(GO_SOME)'
# Go's tests again, with every release that Debian has: some minutes to build, and 3.5 GB.
go-matrix: test-deps
	@$(MAKE) --no-print-directory e2e E2E='$(wildcard tests/e2e/test_go*.py)'

# Kernels of other Debian suites, each in a virtual machine: some minutes.
kernel-matrix: test-deps
	$(call install,$(KERNEL_PACKAGES))
	@$(MAKE) --no-print-directory all $(TARGETS) $(BUILD)/tests/profile_pb2.py
	tests/kernels/images $(BUILD)
	PPROFD_BUILD=$(abspath $(BUILD)) $(PYTHON) -B -m pytest -q -p no:cacheprovider -rs tests/kernels

$(BUILD)/pprofd: $(BUILD)/agent/main.o $(BUILD)/libagent.a
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/libagent.a: $(AGENT_OBJECTS) $(BUILD)/proto/profile.pb-c.o $(WEB_OBJECTS)
	@rm -f $@
	ar rcs $@ $^

$(BUILD)/agent/%.o: agent/%.c $(GENERATED) Makefile
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<

# What lives in other programs: nothing below the stack pointer, no names that clash, no library but libc.
# musl loads no initial-exec TLS at run time; its headers come first, the probes' from behind them.
SAMPLER_FLAGS = -std=gnu17 -O2 -g -fPIC -shared -fvisibility=hidden -mno-red-zone -fomit-frame-pointer \
	-fexceptions -fno-builtin -DNDEBUG -D_GNU_SOURCE -Iagent -I. $(WARNINGS) \
	-Wl,-Bsymbolic,-z,nodelete,-z,relro,-z,now,-z,defs,-soname,$(@F)
$(BUILD)/libpprofd.so: $(SAMPLER_SOURCES) $(wildcard agent/sampler/*.h) Makefile
	@mkdir -p $(@D)
	$(CC) $(SAMPLER_FLAGS) -ftls-model=initial-exec -o $@ $(SAMPLER_SOURCES)
$(BUILD)/libpprofd-musl.so: $(SAMPLER_SOURCES) $(wildcard agent/sampler/*.h) Makefile
	@mkdir -p $(@D)
	musl-gcc $(SAMPLER_FLAGS) -mtls-dialect=gnu2 -idirafter /usr/include -idirafter \
		/usr/include/x86_64-linux-gnu -o $@ $(SAMPLER_SOURCES)

$(BUILD)/proto/profile.pb-c.c $(BUILD)/proto/profile.pb-c.h &: proto/profile.proto
	@mkdir -p $(BUILD)/proto
	protoc-c --c_out=$(BUILD) proto/profile.proto
$(BUILD)/proto/profile.pb-c.o: $(BUILD)/proto/profile.pb-c.c
	$(CC) -O2 -g -w -I$(BUILD) $(EXTRA_CFLAGS) -c -o $@ $<

$(BUILD)/bpf/%.bpf.o: bpf/%.bpf.c $(wildcard bpf/*.h) Makefile
	@mkdir -p $(@D)
	$(CLANG) $(BPF_CFLAGS) -c -o $@ $<
$(BUILD)/bpf/pprofd.skel.h: $(BPF_OBJECTS)
	$(BPFTOOL) gen object $(BUILD)/bpf/pprofd.o $^
	$(BPFTOOL) gen skeleton $(BUILD)/bpf/pprofd.o name pprofd_bpf > $@

# A page becomes the symbols _binary_web_NAME_EXT_start and _end.
$(BUILD)/web/%.o: web/%
	@mkdir -p $(@D)
	ld -r -b binary -z noexecstack -o $@ $<

# The tests of the sampler take of its parts what they do not bring themselves.
$(BUILD)/libsampler.a: $(filter-out %/wrap.o %/operators.o %/export.o %/probe.o,$(SAMPLER_OBJECTS))
	@rm -f $@
	ar rcs $@ $^
$(BUILD)/tests/unit/%: tests/unit/%.c $(BUILD)/libagent.a $(BUILD)/libsampler.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -MMD -MP $(LDFLAGS) -o $@ $< $(BUILD)/libsampler.a $(BUILD)/libagent.a $(LDLIBS) -lcmocka
unit: $(UNIT_TESTS)
	@tests/run-unit $(UNIT_TESTS)

# Targets keep frame pointers, have no lines in common with the agent, and are not hardened by flags.
$(BUILD)/targets/%: tests/targets/%.c
	@mkdir -p $(@D)
	$(CC) -std=gnu17 -O1 -g -fno-omit-frame-pointer -fno-optimize-sibling-calls -fno-inline \
		-fno-builtin -Wall -Wextra -Werror -D_GNU_SOURCE -Iagent -o $@ $< -lpthread -lm
# What only unwind tables can follow.
$(BUILD)/targets/bare-frames: tests/targets/bare-frames.c tests/targets/target.h
	@mkdir -p $(@D)
	$(CC) -std=gnu17 -O2 -g -fomit-frame-pointer -Wall -Wextra -Werror -D_GNU_SOURCE -o $@ $< -lpthread -ldl
$(BUILD)/targets/static-musl: tests/targets/known-counts.c
	@mkdir -p $(@D)
	musl-gcc -static -std=gnu17 -O1 -g -fno-omit-frame-pointer -fno-optimize-sibling-calls -fno-inline \
		-fno-builtin -D_GNU_SOURCE -o $@ $< -lpthread
$(BUILD)/tests/profile_pb2.py: proto/profile.proto
	@mkdir -p $(@D)
	protoc --python_out=$(@D) -Iproto proto/profile.proto

# Go's releases beside one another, and the service that the tests compare with, built by each. Other
# programs and single ones: tests/build-go BUILD PROGRAM VERSION FLAVOUR.
GO_FLAVOURS := default stripped pie bare
GO_ALL := 21 22 23 24 25 26 27
GO_SOME := 22 24 27
GO_MINORS := $(GO_ALL)
go-targets:
	GO_MINORS='$(GO_MINORS)' tests/go-versions $(BUILD)
	for minor in 19 $(GO_MINORS); do for flavour in $(GO_FLAVOURS); do [ ! -e $(BUILD)/go/go1.$$minor ] || \
		tests/build-go $(BUILD) service 1.$$minor $$flavour >/dev/null || exit; done; done

# The injector by itself, to be ended at any moment.
$(BUILD)/inject-driver: tests/e2e/inject-driver.c $(BUILD)/libagent.a
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# E2E: which tests.
E2E := tests/e2e
e2e: all go-targets $(BUILD)/inject-driver $(TARGETS) $(BUILD)/targets/static-musl $(BUILD)/tests/profile_pb2.py
	$(SUDO) env PPROFD_BUILD=$(abspath $(BUILD)) GO_MINORS='$(GO_MINORS)' \
		$(PYTHON) -B -m pytest -q -p no:cacheprovider -rs $(E2E)
bench: all go-targets $(TARGETS) $(BUILD)/tests/profile_pb2.py
	$(call install,$(BENCH_PACKAGES))
	@$(SUDO) tests/bench/run $(BUILD)
	@$(SUDO) tests/bench/threads $(BUILD)
	@$(SUDO) tests/bench/unwind $(BUILD)
	@$(SUDO) tests/bench/stalls $(BUILD)
	@$(SUDO) tests/bench/golang $(BUILD)
	@$(SUDO) tests/bench/sampler $(BUILD)
	@$(SUDO) tests/bench/budget $(BUILD)
	@$(SUDO) tests/bench/inject $(BUILD)

lint:
	clang-format --dry-run -Werror $(FORMATTED)
	cppcheck --quiet --std=c11 --enable=warning,portability --error-exitcode=1 --inline-suppr \
		--suppress=normalCheckLevelMaxBranches -D_GNU_SOURCE -Iagent -I. agent
	@unformatted=$$(gofmt -l tests/targets/go) && [ -z "$$unformatted" ] || \
		{ echo "gofmt would change $$unformatted"; exit 1; }
	@tests/check-style

# Every ELF file of the machine: its call frame information becomes a table, compared with libdw's here and there.
$(BUILD)/sweep-elf: tests/sweep/sweep-elf.c $(BUILD)/libagent.a
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)
sweep: $(BUILD)/sweep-elf
	$< -c 100 /usr/bin /usr/lib /usr/sbin

FUZZ_SECONDS := 600
FUZZ_FLAGS := -std=gnu17 -O1 -g -D_GNU_SOURCE -Iagent -I. -fsanitize=fuzzer,address,undefined \
	-fno-sanitize-recover=all
FUZZ_SOURCES := $(wildcard agent/object/*.c agent/base/*.c)
$(BUILD)/fuzz_%: tests/fuzz/fuzz_%.c $(FUZZ_SOURCES)
	@mkdir -p $(@D)
	$(CLANG) $(FUZZ_FLAGS) -o $@ $^ -ldw -lelf -lz -llzma -lZydis -liberty -lpthread
# Finds go to build/fuzz; the seeds stay as they are.
fuzz: $(BUILD)/fuzz_cfi $(BUILD)/fuzz_go
	@mkdir -p $(BUILD)/fuzz/cfi $(BUILD)/fuzz/go
	for what in cfi go; do $(BUILD)/fuzz_$$what -max_total_time=$(FUZZ_SECONDS) -max_len=4096 \
		-print_final_stats=1 -verbosity=0 -artifact_prefix=$(BUILD)/fuzz/$$what- \
		$(BUILD)/fuzz/$$what tests/fuzz/corpus/$$what || exit 1; done

# The unit tests again, under AddressSanitizer and UndefinedBehaviorSanitizer.
asan:
	@$(MAKE) --no-print-directory unit BUILD=$(BUILD)/asan \
		EXTRA_CFLAGS='-fsanitize=address,undefined -fno-sanitize-recover=all -U_FORTIFY_SOURCE' \
		EXTRA_LDFLAGS='-fsanitize=address,undefined'

clean:
	rm -rf $(BUILD)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
