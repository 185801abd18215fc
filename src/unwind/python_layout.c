/*
 * Where the structures of each version of CPython keep what the walker in bpf/unwind_python.bpf.c reads.
 * Inputs: none. Outputs: offsets as a C compiler gives them for each version's own headers on x86-64
 * (3.6.15, 3.7.16, 3.8.18, 3.9.18, 3.10.13, 3.11.7, 3.12.1, 3.13.0); releases of one minor version keep them,
 * as their ABI for extensions that look inside does.
 */
#include "unwind/python_layout.h"

#define PYTHON_MINOR_MIN 6
#define PYTHON_MINOR_MAX 13

/* What 3.7 to 3.10 have in common, and 3.6 but for the frame. */
#define LAYOUT_FRAME_OBJECTS                                                                              \
	.shape = PYTHON_FRAME_OBJECTS, .interpreter_next = 0, .interpreter_threads = 8, .thread_next = 8, \
	.thread_frame = 24, .frame_previous = 24, .frame_code = 32, .owner_cstack = PYTHON_NO_OWNER,      \
	.owner_generator = PYTHON_NO_OWNER, .string_length = 16, .string_state = 32,                      \
	.string_ascii_data = 48, .string_compact_data = 72, .bytes_size = 16, .bytes_data = 32

static const struct python_layout python_layouts[] = {
        /* No _PyRuntime yet: the address is interp_head's, the thread's state is found in its list. */
        {
                LAYOUT_FRAME_OBJECTS,
                .minor_version = 6,
                .runtime_interpreters_head = 0,
                .runtime_tss = PYTHON_NO_TSS,
                .thread_id = 152,
                .frame_instruction = 120,
                .code_first_line = 36,
                .code_filename = 96,
                .code_name = 104,
                .code_line_table = 112,
        },
        {
                LAYOUT_FRAME_OBJECTS,
                .minor_version = 7,
                .runtime_interpreters_head = 24,
                .runtime_tss = 1504,
                .thread_id = 176,
                .frame_instruction = 104,
                .code_first_line = 36,
                .code_filename = 96,
                .code_name = 104,
                .code_line_table = 112,
        },
        {
                LAYOUT_FRAME_OBJECTS,
                .minor_version = 8,
                .runtime_interpreters_head = 32,
                .runtime_tss = 1392,
                .thread_id = 176,
                .frame_instruction = 104,
                .code_first_line = 40,
                .code_filename = 104,
                .code_name = 112,
                .code_line_table = 120,
        },
        {
                LAYOUT_FRAME_OBJECTS,
                .minor_version = 9,
                .runtime_interpreters_head = 32,
                .runtime_tss = 584,
                .thread_id = 176,
                .frame_instruction = 104,
                .code_first_line = 40,
                .code_filename = 104,
                .code_name = 112,
                .code_line_table = 120,
        },
        {
                LAYOUT_FRAME_OBJECTS,
                .minor_version = 10,
                .runtime_interpreters_head = 32,
                .runtime_tss = 584,
                .thread_id = 176,
                .frame_instruction = 96,
                .code_first_line = 40,
                .code_filename = 104,
                .code_name = 112,
                .code_line_table = 120,
        },
        {
                .shape = PYTHON_FRAME_CFRAME,
                .minor_version = 11,
                .runtime_interpreters_head = 40,
                .runtime_tss = 592,
                .interpreter_next = 0,
                .interpreter_threads = 16,
                .thread_next = 8,
                .thread_id = 152,
                .thread_frame = 56,
                .cframe_current = 8,
                .frame_previous = 48,
                .frame_code = 32,
                .frame_instruction = 56,
                .frame_owner = 69,
                .frame_is_entry = 68,
                .owner_cstack = PYTHON_NO_OWNER,
                .owner_generator = 1,
                .code_first_line = 72,
                .code_filename = 112,
                .code_name = 128,
                .code_line_table = 136,
                .code_adaptive = 184,
                .code_first_traceable = 168,
                .string_length = 16,
                .string_state = 32,
                .string_ascii_data = 48,
                .string_compact_data = 72,
                .bytes_size = 16,
                .bytes_data = 32,
        },
        {
                .shape = PYTHON_FRAME_CFRAME,
                .minor_version = 12,
                .runtime_interpreters_head = 40,
                .runtime_tss = 1544,
                .interpreter_next = 0,
                .interpreter_threads = 72,
                .thread_next = 8,
                .thread_id = 136,
                .thread_frame = 56,
                .cframe_current = 0,
                .frame_previous = 8,
                .frame_code = 0,
                .frame_instruction = 56,
                .frame_owner = 70,
                .owner_cstack = 3,
                .owner_generator = 1,
                .code_first_line = 68,
                .code_filename = 112,
                .code_name = 128,
                .code_line_table = 136,
                .code_adaptive = 192,
                .code_first_traceable = 176,
                .code_version = 92,
                .string_length = 16,
                .string_state = 32,
                .string_ascii_data = 40,
                .string_compact_data = 56,
                .bytes_size = 16,
                .bytes_data = 32,
        },
        {
                .shape = PYTHON_FRAME_CURRENT,
                .minor_version = 13,
                .runtime_interpreters_head = 632,
                .runtime_tss = 2160,
                .interpreter_next = 7264,
                .interpreter_threads = 7344,
                .thread_next = 8,
                .thread_id = 152,
                .thread_frame = 72,
                .frame_previous = 8,
                .frame_code = 0,
                .frame_instruction = 56,
                .frame_owner = 70,
                .owner_cstack = 3,
                .owner_generator = 1,
                .code_first_line = 68,
                .code_filename = 112,
                .code_name = 128,
                .code_line_table = 136,
                .code_adaptive = 200,
                .code_first_traceable = 184,
                .code_version = 92,
                .string_length = 16,
                .string_state = 32,
                .string_ascii_data = 40,
                .string_compact_data = 56,
                .bytes_size = 16,
                .bytes_data = 32,
        },
};
_Static_assert(sizeof(python_layouts) / sizeof(python_layouts[0]) == PYTHON_MINOR_MAX - PYTHON_MINOR_MIN + 1,
               "a layout for each version");

const struct python_layout *python_layout_find(uint32_t minor)
{
	if (minor < PYTHON_MINOR_MIN || minor > PYTHON_MINOR_MAX)
		return NULL;
	return &python_layouts[minor - PYTHON_MINOR_MIN];
}
