/*
 * What the model is made of, for the files of this room only.
 */
#ifndef LEFTOPEN_MODEL_INTERNAL_H
#define LEFTOPEN_MODEL_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

#include "event_abi.h"
#include "handle_kinds.h"
#include "model/model.h"
#include "model/snapshot.h"

/* A process's life in equal slices, for occasions where no tests are announced. */
#define LIFE_SLICES 5

/* In a function that compares for qsort(3): goes on only where a and b are equal. */
#define COMPARE(a, b)                              \
	do {                                       \
		if ((a) != (b))                    \
			return (a) < (b) ? -1 : 1; \
	} while (0)

/* An announced test, 0: none. */
struct test_id {
	uint32_t v;
};

struct model_test {
	char *name;
	struct test_id id;
	UT_hash_handle hh; /* by name */
};

/* Where, when and by whom a handle was made. Two of equal thread and time come of one call. */
struct maker {
	uint64_t stack; /* 0: none */
	uint64_t made_ns;
	uint32_t thread_id;
	struct test_id test;
	uint32_t test_serial : 31; /* how many tests had begun: more by the end means that it outlived its own
	                            */
	uint32_t test_marked : 1;  /* these are the marked ones, else those of its process */
	uint16_t origin;           /* enum handle_origin */
	uint8_t type;              /* enum handle_type */
	uint8_t category;          /* enum handle_category */
};
_Static_assert(HANDLE_TYPE_COUNT <= UINT8_MAX && CATEGORY_COUNT <= UINT8_MAX,
               "a maker's fields are too small");

/* One handle of a left-open set. It outlives its handle, which shutdown may release. */
struct left_open {
	struct maker maker;
	struct handle *handle; /* descriptors: a reference; NULL for mappings */
	int fd;                /* -1: a mapping */
	bool withdrawn;        /* it was none */
	uint64_t address;
	uint64_t bytes;    /* of a mapping, 0 of a descriptor */
	uint64_t released; /* bytes of a mapping, 1 of a descriptor */
	struct file_key file;
	uint64_t file_offset;
};

struct group_test {
	struct test_id test;
	uint64_t made, outlived;
};

struct group_sample {
	int fd;
	char *target; /* NULL: unknown */
	uint64_t address, bytes;
	uint32_t thread_id;
	uint64_t made_ns;
	struct test_id test;
};

/* Left-open handles of one process, of one stack and type: what remains of them when the process is gone. */
struct model_group {
	enum handle_kind kind;
	enum handle_type type;
	enum handle_origin origin;
	enum handle_category category;
	bool inherited; /* nobody's to blame, and in no finding */
	uint64_t stack;
	uint64_t count, instances, bytes;
	uint64_t never, at_shutdown;
	uint64_t oldest_ns, newest_ns; /* when made */
	uint32_t slices;               /* bit i: made in the i-th of LIFE_SLICES */
	uint64_t of_one_file;          /* at most, of any stack; 0: they are of no named files */
	bool announced;                /* its process announces tests itself */
	struct group_test *tests;      /* in the order in which they first ran */
	size_t test_count, test_capacity;
	struct group_sample *samples;
	size_t sample_count, sample_capacity;
};

struct group_list {
	struct model_group *items;
	size_t count, capacity;
};

struct process {
	uint32_t process_id;
	uint32_t parent_id;
	uint64_t start_ns;
	uint64_t image_ns; /* of its last exec, else its start */
	uint64_t ended_ns; /* 0: lives */
	char comm[COMM_BYTES];
	struct file_key exe;
	char *arguments; /* each with its NUL; NULL: unknown */
	size_t argument_bytes;
	char *cgroup;
	struct process *parent;          /* NULL: not followed */
	size_t child_count;              /* that live and have it for their parent */
	struct fd_table *table;          /* its main one */
	struct fd_table **thread_tables; /* further ones, of threads that took themselves their own */
	size_t thread_table_count, thread_table_capacity;
	uint64_t closed_with_threads; /* descriptors that were opened in such a table and went with it */
	struct address_space *space;
	struct test_id test;
	struct test_id inherited_test; /* of the environment that its program, or an ancestor's, began with */
	uint32_t test_serial;
	bool announces_tests;
	bool root; /* following began with it, and it has not run a program yet */
	bool is_command;
	bool status_known; /* its end was seen */
	enum shutdown_mark mark;
	uint64_t mark_ns;
	uint64_t fd_limit;
	uint32_t survey; /* the last that came by it, or that ran when it began */
	uint32_t vmas;
	int status; /* as wait(2) gives it */
	struct left_open **left_open;
	size_t left_open_count, left_open_capacity;
	struct group_list groups; /* of its left-open set, once it is gone */
	size_t left_open_kept;    /* that these are made of */
	/* Taken from its table and space when it lets go of them. */
	uint64_t fds_live, fds_peak, fds_opened, fds_closed;
	uint64_t maps_live, maps_bytes, maps_peak;
	struct process *next;
	UT_hash_handle hh; /* living processes, by id */
};

struct model_stack {
	uint64_t id;
	uint32_t end; /* enum stack_end */
	uint32_t count;
	UT_hash_handle hh;
	struct stack_frame frames[];
};

/* A stack that was sent under an id of its own before its frames were known. */
struct stack_alias {
	uint64_t id, same_as;
	UT_hash_handle hh;
};

struct model_file {
	struct file_key key;
	char *path;
	UT_hash_handle hh;
};

struct model {
	struct process *living; /* by id */
	struct process *first, **last;
	size_t process_count, gone_count; /* of these, gone */
	struct fd_table *tables;
	struct address_space *spaces;
	struct model_stack *stacks;
	struct stack_alias *stack_aliases;
	struct model_file *files;
	struct model_test *tests_by_name;
	struct model_test **tests;  /* by id - 1 */
	struct test_id marked_test; /* that runs wherever no process has one of its own */
	uint32_t marked_serial;     /* how many of them have begun or ended */
	size_t test_count, test_capacity;
	uint64_t next_generation;
	uint32_t survey; /* the one that runs, or comes next */
	uint64_t live_handles;
	size_t group_count;     /* of processes that are gone */
	size_t left_open_count; /* of these, as MODEL_LEFT_OPEN_MAX counts them */
	struct model_counters counters;
};

/** Puts entries of tests in the order in which they first ran; one remains of each. @return how many */
size_t group_tests_merge(struct group_test *tests, size_t count);

#endif
