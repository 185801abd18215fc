/*
 * A good event of each type, for tests to spoil.
 */
#ifndef LEFTOPEN_TESTS_EVENT_EXAMPLES_H
#define LEFTOPEN_TESTS_EVENT_EXAMPLES_H

#include <stddef.h>

#include "event_abi.h"
#include "unwind_abi.h"

union any_event {
	struct event_header header;
	struct event_fd_made fd_made;
	struct event_fd_closed fd_closed;
	struct event_fd_range_closed fd_range_closed;
	struct event_fd_target fd_target;
	struct event_table_numbers numbers;
	struct event_table_left table_left;
	struct event_map_made map_made;
	struct event_map_released map_released;
	struct event_map_moved map_moved;
	struct event_process_forked forked;
	struct event_process_execed execed;
	struct event_process_arguments arguments;
	struct event_process_exited exited;
	struct event_mark mark;
	struct event_stack stack;
	struct event_stack_copy copy;
	struct event_python_code code;
	struct event_file file;
	struct event_test test;
	struct event_process_found found;
	struct event_space_ranges ranges;
};

#define EVENT_EXAMPLE_NAMES_BYTES 16

/* Names of a path, innermost first: /srv/data/app.db */
extern const char event_example_names[EVENT_EXAMPLE_NAMES_BYTES];

/** Makes a good event of that type, of process 100. @return its size */
size_t event_example(enum event_type type, union any_event *event);

#endif
