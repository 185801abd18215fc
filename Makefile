# leftopen. `make` builds, `make check` tests, `make demo` shows; `make help` lists the rest.
# Sources are found by folder; every object, BPF ones too, has its dependencies written by the compiler (-MMD -MP).

VERSION  := 0.1.0
PREFIX   ?= /usr/local
DESTDIR  ?=
BUILD    ?= build
CC       ?= gcc
CLANG    ?= clang-14
CLANG_FORMAT ?= clang-format-14
BPFTOOL  ?= $(firstword $(wildcard /usr/sbin/bpftool) bpftool)

ifeq ($(origin CC),default)
CC := gcc
endif

WARNINGS := -Wall -Wextra -Werror
CFLAGS   ?= -O2 -g
OWN_CPPFLAGS := -D_GNU_SOURCE -DLEFTOPEN_VERSION='"$(VERSION)"' -Iinclude -Isrc -I$(BUILD)
LIBS     := -lbpf -ldw -lelf -lz -ljansson -liberty -lm -lseccomp -lcap-ng
ALL_CFLAGS = -std=gnu11 $(WARNINGS) $(CFLAGS) $(OWN_CPPFLAGS) $(CPPFLAGS) -MMD -MP

BPF_CFLAGS := -g -O2 -mcpu=v3 -target bpf -D__TARGET_ARCH_x86 $(WARNINGS) -Wno-unused-parameter \
	-Wno-unused-function -Ivmlinux -Iinclude -Ibpf -idirafter /usr/include/$(shell uname -m)-linux-gnu -MMD -MP

SOURCES      := $(sort $(wildcard src/*/*.c))
OBJECTS      := $(SOURCES:%.c=$(BUILD)/%.o)
BPF_SOURCES  := $(sort $(wildcard bpf/*.bpf.c))
BPF_OBJECTS  := $(BPF_SOURCES:%.c=$(BUILD)/%.o)
SKELETON     := $(BUILD)/leftopen.skel.h
UNIT_SOURCES := $(sort $(wildcard tests/unit/*.c))

ifeq ($(V),1)
say =
Q   =
else
say = @printf '  %-8s %s\n'
Q   = @
endif

.PHONY: all
all: $(BUILD)/leftopen

# The function of `leftopen mark` is found by its name, also in a stripped copy (load/marks.c).
$(BUILD)/leftopen: $(OBJECTS)
	$(say) LINK $@
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -Wl,--export-dynamic-symbol=leftopen_mark_test -o $@ $^ $(LIBS)

$(BUILD)/src/%.o: src/%.c | $(SKELETON)
	$(say) CC $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

$(BUILD)/bpf/%.o: bpf/%.c
	$(say) BPF $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -c -o $@ $<

$(BUILD)/leftopen.bpf.o: $(BPF_OBJECTS)
	$(say) BPFLINK $@
	$(Q)$(BPFTOOL) gen object $@ $^

$(SKELETON): $(BUILD)/leftopen.bpf.o
	$(say) SKEL $@
	$(Q)$(BPFTOOL) gen skeleton $< name leftopen_bpf > $@.new
	$(Q)mv $@.new $@

# Unit tests: one program of all of them, linked with all rooms but main.
UNIT_OBJECTS := $(UNIT_SOURCES:%.c=$(BUILD)/%.o)
LIBRARY_OBJECTS := $(filter-out $(BUILD)/src/cli/main.o,$(OBJECTS))

$(BUILD)/tests/%.o: tests/%.c | $(SKELETON)
	$(say) CC $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Itests/unit -DSOURCE_DIR='"$(CURDIR)"' -c -o $@ $<

$(BUILD)/unit-tests: $(UNIT_OBJECTS) $(LIBRARY_OBJECTS)
	$(say) LINK $@
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS) -lcriterion

# The programs that the kernel tests run, one a file.
WORKLOADS := $(patsubst tests/kernel/workloads/%.c,$(BUILD)/workloads/%,$(sort $(wildcard tests/kernel/workloads/*.c)))

$(BUILD)/workloads/%: tests/kernel/workloads/%.c
	$(say) CC $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE $(WARNINGS) -O1 -g -fno-omit-frame-pointer -pthread -MMD -MP -o $@ $<

.PHONY: check check-rules check-unit check-sanitizers check-kernel
check: packages
	+@$(MAKE) --no-print-directory -j$(shell nproc) all $(BUILD)/unit-tests $(WORKLOADS)
	+@$(MAKE) --no-print-directory -j$(shell nproc) $(SANITIZED) $(BUILD)/sanitized/unit-tests
	+@for part in rules unit; do $(MAKE) --no-print-directory check-$$part || exit; done
	+@$(MAKE) --no-print-directory -j3 check-sanitizers check-kernel

check-rules: all
	$(say) CHECK rules
	$(Q)/usr/bin/python3 tests/check/rules.py
	$(Q)LEFTOPEN_BUILD=$(abspath $(BUILD)) /usr/bin/python3 -m pytest -q -p no:cacheprovider tests/check

check-unit: $(BUILD)/unit-tests
	$(say) TEST unit
	$(Q)$(BUILD)/unit-tests -j2 --timeout 120

SANITIZED := BUILD=$(BUILD)/sanitized CFLAGS="-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer"

# One test at a time: with several, Criterion's own runner loses 48 bytes.
check-sanitizers:
	+$(Q)$(MAKE) --no-print-directory $(SANITIZED) $(BUILD)/sanitized/unit-tests
	$(say) TEST "unit, sanitizers"
	$(Q)$(BUILD)/sanitized/unit-tests -j1 --timeout 240

PYTEST := MAKEFLAGS= LEFTOPEN_BUILD=$(abspath $(BUILD)) /usr/bin/python3 -m pytest -q -p no:cacheprovider

# In three parts, as most of the time is waiting. valgrind dies of the breakpoints that another leftopen puts into
# what it runs. Of the others, one part runs commands, and one follows what runs anyway, or loads the machine.
KERNEL_ALONE    := test_valgrind.py
KERNEL_COMMANDS := $(patsubst %,test_%.py,command_line demo generated_code ordinary python_frames python_marks signals terminal user)
KERNEL_MACHINE   = $(filter-out $(KERNEL_ALONE) $(KERNEL_COMMANDS),$(notdir $(sort $(wildcard tests/kernel/test_*.py))))

.PHONY: check-kernel-alone check-kernel-commands check-kernel-machine
ifeq ($(KERNEL_TESTS),)
check-kernel: check-kernel-commands check-kernel-machine
else
check-kernel: all $(WORKLOADS)
	$(say) TEST "kernel, some"
	$(Q)cd tests/kernel && $(PYTEST) $(KERNEL_TESTS)
endif

check-kernel-alone: all $(WORKLOADS)
	$(say) TEST "kernel, alone"
	$(Q)cd tests/kernel && $(PYTEST) $(KERNEL_ALONE)

check-kernel-commands: check-kernel-alone
	$(say) TEST "kernel, commands"
	$(Q)cd tests/kernel && $(PYTEST) $(KERNEL_COMMANDS)

check-kernel-machine: check-kernel-alone
	$(say) TEST "kernel, machine"
	$(Q)cd tests/kernel && $(PYTEST) $(KERNEL_MACHINE)

.PHONY: demo
demo: packages
	+@$(MAKE) --no-print-directory all
	@LEFTOPEN_BUILD=$(BUILD) tests/demo/run

# What following costs, beside programs that are attached and do nothing.
BENCH_PROGRAMS := $(patsubst tests/bench/%.c,$(BUILD)/bench/%,$(filter-out %.bpf.c,$(wildcard tests/bench/*.c)))

$(BUILD)/bench/%: tests/bench/%.c
	$(say) CC $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $< $(filter %.o,$^) $(BENCH_LIBS)

$(BUILD)/bench/empty: BENCH_LIBS := -lbpf
$(BUILD)/bench/empty: $(BUILD)/src/load/tracefs.o $(BUILD)/src/base/fd.o

$(BUILD)/bench/%.bpf.o: tests/bench/%.bpf.c
	$(say) BPF $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -c -o $@ $<

.PHONY: bench
bench:
	@tests/packages bench
	+@$(MAKE) --no-print-directory bench-run

.PHONY: bench-run
bench-run: all $(BENCH_PROGRAMS) $(BUILD)/bench/empty.bpf.o
	@LEFTOPEN_BUILD=$(BUILD) /usr/bin/python3 tests/bench/bench.py

# The kernel tests on other kernels, emulated: KERNELS="6.1 6.12 newest".
.PHONY: kernels
kernels:
	@tests/packages kernels
	+@$(MAKE) --no-print-directory kernels-run

.PHONY: kernels-run
kernels-run: all $(WORKLOADS)
	$(say) TEST "other kernels"
	$(Q)LEFTOPEN_BUILD=$(abspath $(BUILD)) KERNEL_TESTS="$(KERNEL_TESTS)" /usr/bin/python3 tests/kernels/run.py $(KERNELS)

# What takes minutes, and programs that are large: servers, runtimes, other people's suites.
.PHONY: soak
soak:
	@tests/packages soak
	+@$(MAKE) --no-print-directory soak-run

.PHONY: soak-run
soak-run: all $(WORKLOADS) $(BUILD)/bench/storm
	$(say) TEST soak
	$(Q)cd tests/soak && $(PYTEST) $(SOAK_TESTS)

# What is invented until something breaks, from what is in tests/fuzz/corpus: FUZZ_SECONDS for each fuzzer.
FUZZ_SECONDS ?= 60
FUZZERS      := $(patsubst tests/fuzz/%.c,%,$(sort $(wildcard tests/fuzz/*.c)))
FUZZ_CFLAGS  := -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined

$(BUILD)/fuzz/%: tests/fuzz/%.c
	$(say) FUZZER $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) -std=gnu11 $(WARNINGS) $(OWN_CPPFLAGS) $(FUZZ_CFLAGS) -o $@ $(filter %.c,$^)

# All objects of one command would share one file of dependencies: its sources and headers are told here.
$(BUILD)/fuzz/unwind_table: $(patsubst %,src/unwind/%.c,elf_image cfi_program eh_frame unwind_row unwind_table) \
	src/base/array.c $(wildcard src/base/array.h src/unwind/*.h tests/fuzz/*.h include/unwind_abi.h)
$(BUILD)/fuzz/perf_map: $(patsubst %,src/symbols/%.c,jit_name perf_map) src/base/clock.c src/base/fd.c \
	$(wildcard src/base/clock.h src/base/fd.h src/symbols/jit_name.h src/symbols/perf_map.h tests/fuzz/*.h)

.PHONY: fuzz
fuzz:
	@tests/packages fuzz
	+@$(MAKE) --no-print-directory fuzz-run

.PHONY: fuzz-run
fuzz-run: $(FUZZERS:%=$(BUILD)/fuzz/%)
	@for fuzzer in $(FUZZERS); do tests/fuzz/run.py $(BUILD) $$fuzzer $(FUZZ_SECONDS) || exit; done

.PHONY: packages
packages:
	@tests/packages

.PHONY: format
format:
	$(Q)$(CLANG_FORMAT) -i $(wildcard bpf/*.[ch] include/*.h src/*/*.[ch] vmlinux/*.h tests/*/*.[ch] tests/*/*/*.[ch])

.PHONY: install uninstall
install: all
	install -D -m 0755 "$(BUILD)/leftopen" "$(DESTDIR)$(PREFIX)/bin/leftopen"
	install -D -m 0644 doc/report.schema.json "$(DESTDIR)$(PREFIX)/share/leftopen/report.schema.json"
	install -D -m 0644 README.md "$(DESTDIR)$(PREFIX)/share/doc/leftopen/README.md"
	install -D -m 0644 LICENSE "$(DESTDIR)$(PREFIX)/share/doc/leftopen/LICENSE"

uninstall:
	rm -f "$(DESTDIR)$(PREFIX)/bin/leftopen"
	rm -rf "$(DESTDIR)$(PREFIX)/share/leftopen" "$(DESTDIR)$(PREFIX)/share/doc/leftopen"

.PHONY: clean
clean:
	rm -rf $(BUILD)

.PHONY: help
help:
	@printf '%s\n' \
	'make            build $(BUILD)/leftopen (V=1: show commands)' \
	'make demo       install packages, build, run the main job on a suite that leaks and on the mended one' \
	'make check      install packages, build, run all tests, sanitizers included (as root)' \
	'make kernels    the kernel tests on other kernels, emulated (KERNELS="6.1 6.12 newest")' \
	'make soak       large programs against the kernel'"'"'s own tables, and what takes minutes (as root)' \
	'make bench      a table of what following costs (as root)' \
	'make fuzz       files that are invented to break what reads them (FUZZ_SECONDS=600)' \
	'make format     lay out the C sources' \
	'make install    into $$(DESTDIR)$$(PREFIX); make uninstall' \
	'make clean      remove $(BUILD)'

-include $(OBJECTS:.o=.d) $(BPF_OBJECTS:.o=.d) $(UNIT_OBJECTS:.o=.d) $(WORKLOADS:=.d) $(BENCH_PROGRAMS:=.d) $(BUILD)/bench/empty.bpf.d
