/*
 * The functions that .eh_frame describes, and the rules at each of their addresses.
 * Inputs: an ELF image that anybody may have written. Outputs: functions, and rows of rules.
 * @source Linux Standard Base Core 5.0, 10.6
 */
#ifndef LEFTOPEN_UNWIND_EH_FRAME_H
#define LEFTOPEN_UNWIND_EH_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "unwind/byte_reader.h"
#include "unwind/cfi_program.h"

struct elf_image;

/* Chosen by: 26 times those of Debian 12's librustc_driver, the most that was found in /usr; 128 MiB. */
#define EH_FRAME_FUNCTIONS_MAX ((size_t)4 << 20)
/* Chosen by: linkers merge equal ones, and 199 are the most that were found; 15 MiB. */
#define EH_FRAME_CIES_MAX ((size_t)64 << 10)

/* Of an FDE. */
struct eh_function {
	uint64_t start;
	uint64_t end;     /* exclusive, above start */
	uint32_t program; /* where its instructions begin in the section */
	uint32_t program_bytes;
	uint32_t cie;
};

/* Points into the image's bytes. */
struct eh_frame {
	struct byte_reader section;
	struct eh_function *functions; /* in the order of the file; they may overlap */
	size_t function_count;
	size_t unreadable_count; /* FDEs left out: where their function is could not be understood */
	struct eh_cie *cies;
	size_t cie_count;
};

/**
 * Reads all entries of .eh_frame. Time n log n in their number, memory as the maxima above say.
 * @return 0; -ENOENT: there is no .eh_frame; -EINVAL: it is not in the file, or an entry's length is not;
 *	-E2BIG: more of them than the maxima; -ENOMEM
 */
int eh_frame_new(const struct elf_image *image, struct eh_frame **ret_frame);

/** Frees. NULL-safe. */
void eh_frame_free(struct eh_frame *frame);

/**
 * Tells the rules of a function, address by address.
 * @return 0, or what `row` returned
 */
int eh_frame_run(const struct eh_frame *frame, const struct eh_function *function, cfi_row_fn row,
                 void *context);

/** Is this function what the kernel returns to from a signal's handler, by its CIE's word ('S')? */
bool eh_frame_is_signal(const struct eh_frame *frame, const struct eh_function *function);

#endif
