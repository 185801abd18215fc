/*
 * What the programs of an object have cost, as the kernel counts it.
 */
#ifndef LEFTOPEN_LOAD_COST_H
#define LEFTOPEN_LOAD_COST_H

struct leftopen_bpf;
struct loader_cost;

/** Adds up what all programs that are loaded have cost. @return 0; -ENOMEM; -errno of bpf(2) */
int cost_read(const struct leftopen_bpf *skeleton, struct loader_cost *ret_cost);

#endif
