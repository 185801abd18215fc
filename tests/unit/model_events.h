/*
 * A model that is told of made-up processes: each function sends one event, as the kernel's side would,
 * through the decoder. Time goes on by a microsecond an event. An event that is refused, or memory that runs
 * out, fails the test.
 */
#ifndef LEFTOPEN_TESTS_MODEL_EVENTS_H
#define LEFTOPEN_TESTS_MODEL_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "event_abi.h"
#include "handle_kinds.h"
#include "model/internal.h"

#define PAGE 4096ULL

struct world {
	struct model *model;
	uint64_t now_ns;
	uint64_t stack;      /* under which handles are made */
	uint64_t next_table; /* pointers that the kernel gives next */
	uint64_t next_space;
	uint64_t inode; /* of what is opened; 0: each file has its own */
	size_t chunk;   /* entries in a chunk of a table's numbers */
};

/* A process, and the thread of it that acts. */
struct actor {
	uint32_t process_id, thread_id;
	uint64_t start_ns;
	uint64_t table, space;
	uint64_t copied_from; /* the table that its own is a copy of */
};

void world_begin(struct world *world);
void world_end(struct world *world);

/** The process that following begins with, which has run its program: 0, 1 and 2 are inherited files 1 to 3.
 */
struct actor world_command(struct world *world);

/** Sends an event: its header's size, time and process are filled in. */
void events_send(struct world *world, const struct actor *actor, enum event_type type,
                 struct event_header *event, size_t bytes);

/** A descriptor of a regular file by openat. */
void events_open(struct world *world, const struct actor *actor, int fd, uint64_t file);

void events_made(struct world *world, const struct actor *actor, int fd, uint64_t file,
                 enum handle_origin origin, int source_fd, uint16_t mode);

/** Two descriptors of one call. */
void events_pair(struct world *world, const struct actor *actor, int fd, enum handle_origin origin,
                 uint16_t mode);

void events_close(struct world *world, const struct actor *actor, int fd);
void events_close_range(struct world *world, const struct actor *actor, uint32_t first, uint32_t last);

/** A table's own numbers, in chunks. */
void events_numbers(struct world *world, const struct actor *actor, enum table_cause cause,
                    const struct table_entry *entries, size_t count);

/** A thread of the actor takes itself a copy of its table, with those numbers. @return the thread */
struct actor events_unshare(struct world *world, const struct actor *actor, uint32_t thread_id,
                            const struct table_entry *entries, size_t count);

/** No thread of the actor's process holds the actor's table any more. */
void events_left(struct world *world, const struct actor *actor);

/** One chunk. */
void events_numbers_chunk(struct world *world, const struct actor *actor, enum table_cause cause,
                          const struct table_entry *entries, size_t count, bool first, bool last);

/** The numbers that the model has of the table, as if the kernel said the same. */
void events_numbers_same(struct world *world, const struct actor *actor, uint64_t table,
                         enum table_cause cause);

void events_target(struct world *world, const struct actor *actor, int fd, uint64_t file, uint32_t mode,
                   const char *name);

void events_map(struct world *world, const struct actor *actor, uint64_t page, uint64_t pages, uint32_t flags,
                uint64_t inode);
void events_unmap(struct world *world, const struct actor *actor, uint64_t page, uint64_t pages);
void events_unmap_failed(struct world *world, const struct actor *actor, uint64_t page, uint64_t pages);
void events_move_begin(struct world *world, const struct actor *actor, uint64_t page, uint64_t pages);

/** @param to page, or -errno */
void events_move_end(struct world *world, const struct actor *actor, uint64_t page, uint64_t pages,
                     int64_t to, uint64_t new_pages, uint64_t flags);

enum fork_sharing { FORK_COPIES = 0, FORK_SHARES_TABLE = 1, FORK_SHARES_SPACE = 2 };

/** Forks, and sends the numbers of a child's own table: those that the parent has. */
struct actor events_fork(struct world *world, const struct actor *parent, uint32_t process_id,
                         enum fork_sharing sharing);

/** Forks without a word of the child's numbers. */
struct actor events_fork_only(struct world *world, const struct actor *parent, uint32_t process_id,
                              enum fork_sharing sharing);

/** Runs a program in a new space; the table stays. No numbers are sent. */
void events_exec(struct world *world, struct actor *actor);

void events_mark(struct world *world, const struct actor *actor, enum shutdown_mark mark);

/** @param status as wait(2) gives it */
void events_exit(struct world *world, const struct actor *actor, int status);

void events_test(struct world *world, const struct actor *actor, const char *name);

void events_test_from(struct world *world, const struct actor *actor, enum test_source source,
                      const char *name);
void events_file(struct world *world, const struct actor *actor, uint64_t inode, const char *name);

/** A stack of frames whose positions are those. */
void events_stack(struct world *world, uint64_t id, const struct stack_frame *frames, size_t count);

/** @return the last process that had that id, or NULL */
const struct process *world_process(const struct world *world, uint32_t process_id);

/** @return the file that the model has under a number of a living process, 0: none */
uint64_t world_file(const struct world *world, const struct actor *actor, int fd);

/** @return how many descriptors the model has of a living process */
uint64_t world_live(const struct world *world, const struct actor *actor);

/** @return handles of that kind in the left-open set of a process that is gone */
uint64_t world_left_open(const struct world *world, uint32_t process_id, enum handle_kind kind);

/** @return of these, how many of descriptors were released by shutdown */
uint64_t world_released(const struct world *world, uint32_t process_id, enum handle_kind kind);

#endif
