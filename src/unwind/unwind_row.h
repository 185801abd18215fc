/*
 * The row that tells a state of call frame information (include/unwind_abi.h).
 * Inputs: rules of programs that anybody may have written. Outputs: a row.
 */
#ifndef LEFTOPEN_UNWIND_UNWIND_ROW_H
#define LEFTOPEN_UNWIND_UNWIND_ROW_H

#include <stdbool.h>

#include "unwind_abi.h"

struct cfi_state;

/**
 * Makes the row of a state; what rows cannot tell is UNWIND_UNSUPPORTED, or UNWIND_RBP_UNSUPPORTED where it
 * is about rbp only.
 * @param state NULL: not known
 * @param is_signal the CIE says so: then the frame is checked to be the one that the kernel makes
 * @return the row, at file offset 0
 */
struct unwind_row unwind_row_make(const struct cfi_state *state, bool is_signal);

#endif
