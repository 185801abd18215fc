/*
 * Reading the kernel's own tables of running processes: two iterators, whose programs write into the ring.
 */
#ifndef LEFTOPEN_LOAD_SURVEY_H
#define LEFTOPEN_LOAD_SURVEY_H

struct bpf_program;
struct survey;

/** Empties the ring, which the programs fill. @return negative: the survey ends with that */
typedef int (*survey_drain_fn)(void *context);

/**
 * @param tables a program of bpf_iter__task
 * @param ranges a program of bpf_iter__task_vma
 * @return 0; -ENOMEM; -EOPNOTSUPP: one was not loaded, as this kernel does not iterate; -errno of bpf(2)
 */
int survey_new(struct bpf_program *tables, struct bpf_program *ranges, struct survey **ret_survey);

/**
 * Comes by all tasks once: first their tables, then their mappings.
 * @param drain called after every few events
 * @return 0, what `drain` returned, or -errno of bpf(2) or read(2)
 */
int survey_read(const struct survey *survey, survey_drain_fn drain, void *context);

/** NULL-safe. */
void survey_free(struct survey *survey);

#endif
