/*
 * Where the seldom run part of a function is, which GCC places away from the rest of it (NAME.cold), in files
 * without the symbol. Inputs: a file's .eh_frame and the function's code, which anybody may have written.
 * @source GCC's -freorder-blocks-and-partition
 */
#ifndef LEFTOPEN_UNWIND_COLD_PART_H
#define LEFTOPEN_UNWIND_COLD_PART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct eh_frame;

/* Chosen by: 378 go to that of Debian 12's interpreter; of eight without one, bytes that only look like jumps
 * into such code are none. */
#define COLD_PART_JUMPS_MIN 8

/**
 * Finds the code with an own FDE that begins with a frame already made, and that the function jumps into
 * most. Time n log n in the code's size, and linear in the functions of the file; memory 8 times the code.
 * @param code the function's, `bytes` long, of which the first is at the address vaddr
 * @param ret_start, ret_bytes its address and size, if there is one
 * @return 0; -ENOENT: none that at least COLD_PART_JUMPS_MIN jumps go to; -ENOMEM
 */
int cold_part_find(const struct eh_frame *frame, const uint8_t *code, size_t bytes, uint64_t vaddr,
                   uint64_t *ret_start, uint64_t *ret_bytes);

#endif
