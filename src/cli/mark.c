/*
 * See mark.h.
 */
#include "cli/mark.h"

#include <stdio.h>
#include <string.h>

#include "cli/launch.h"
#include "cli/message.h"

__attribute__((noinline)) void leftopen_mark_test(const char *name)
{
	__asm__ volatile("" ::"r"(name) : "memory");
}

static void print_help(void)
{
	(void)puts("Says which test begins, for suites that leftopen does not know the tests of.\n"
	           "\n"
	           "usage: leftopen mark NAME\n"
	           "\n"
	           "From then on, what the followed processes open belongs to that test, but for those\n"
	           "that have a test of their own: of pytest, or of LEFTOPEN_TEST in their environment.\n"
	           "An empty NAME ends the test. Call it from a process that leftopen follows; it needs\n"
	           "no privileges, and does nothing where nobody follows it. A name is cut after 511\n"
	           "bytes.\n"
	           "\n"
	           "example:\n"
	           "  leftopen mark upload && ./client --upload big.bin");
}

int mark_main(int argc, char **argv)
{
	if (argc == 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
		print_help();
		return message_is_written() ? 0 : LAUNCH_STATUS_FAILED;
	}
	if (argc > 1 && !strcmp(argv[1], "--")) {
		argc--;
		argv++;
	} else if (argc > 1 && argv[1][0] == '-') {
		message_error("%s is no option of mark; see leftopen mark --help", argv[1]);
		return LAUNCH_STATUS_FAILED;
	}
	if (argc != 2) {
		message_error("mark takes one name, not %d; see leftopen mark --help", argc - 1);
		return LAUNCH_STATUS_FAILED;
	}
	leftopen_mark_test(argv[1]);
	return 0;
}
