/*
 * The model: processes, their descriptor tables and address spaces, the handles in them, interned stacks;
 * what each process held as it began to shut down. It knows no output and does no I/O. Inputs: validated
 * events, in ring order. Outputs: snapshots (model/snapshot.h).
 */
#ifndef LEFTOPEN_MODEL_MODEL_H
#define LEFTOPEN_MODEL_MODEL_H

#include <stddef.h>
#include <stdint.h>

#include "event_abi.h"

struct model;

/* Stated maxima. Beyond each the model goes on, counts what it left out, and the report is not complete. */
#define MODEL_PROCESSES_MAX 200000  /* processes that are remembered, living and gone */
#define MODEL_HANDLES_MAX   4000000 /* live descriptors and mappings */
#define MODEL_STACKS_MAX    1000000
#define MODEL_FILES_MAX     262144
#define MODEL_TESTS_MAX     1000000
/* Of processes that are gone; one more of them is kept while there are fewer. */
#define MODEL_GROUPS_MAX    1000000
#define MODEL_LEFT_OPEN_MAX 4000000 /* handles, each with its sample */

struct model_counters {
	uint64_t events;
	uint64_t reconciled;   /* handles learnt from the kernel's own tables, their maker unseen */
	uint64_t drift;        /* handles that the model had and the kernel did not */
	uint64_t over_maximum; /* what was left out because of a maximum above */
};

/** @return 0, or -ENOMEM */
int model_new(struct model **ret_model);

/** Frees the model and all in it; snapshots live on. NULL-safe. */
void model_free(struct model *model);

/**
 * Adds a process from which following begins; what it holds by its next exec is inherited, and nobody's to
 * blame.
 * @param start_ns the leader's start time, CLOCK_BOOTTIME
 * @return 0; -ENOMEM; -ENOSPC: MODEL_PROCESSES_MAX are remembered
 */
int model_follow(struct model *model, uint32_t process_id, uint32_t parent_id, uint64_t start_ns,
                 const char *comm);

/**
 * Takes an event in. Events of processes that are not known are counted and left out.
 * @param event validated by decode_event()
 * @return 0, or -ENOMEM: the event is lost, the model is whole
 */
int model_apply(struct model *model, const struct event_header *event);

/**
 * Makes a stack's id stand for another's, whose frames are the same: its handles are of that one.
 * @return 0, also where MODEL_STACKS_MAX are kept (counted); -ENOMEM
 */
int model_alias_stack(struct model *model, uint64_t id, uint64_t same_as);

/** Sets where a process runs (its cgroup's path), once; later calls change nothing. @return 0, or -ENOMEM */
int model_set_cgroup(struct model *model, uint32_t process_id, const char *cgroup);

/** Sets a process's command line, where no exec of it was seen. @return 0, or -ENOMEM */
int model_set_arguments(struct model *model, uint32_t process_id, const char *arguments, size_t bytes);

/** @return how many processes that are gone are remembered */
size_t model_gone(const struct model *model);

/** Forgets processes that are gone, and what they left open. */
void model_forget_gone(struct model *model);

/**
 * A survey of the running processes is complete, and all of its events are applied.
 * @param now_ns CLOCK_BOOTTIME
 * @return 0, or -ENOMEM
 */
int model_survey_end(struct model *model, uint64_t now_ns);

/** @return what was counted so far; the model's, valid as long as it is */
const struct model_counters *model_counters_get(const struct model *model);

#endif
