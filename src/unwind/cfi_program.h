/*
 * The programs of call frame information: how, at each address of a function, its caller's registers are
 * found. Inputs: programs that anybody may have written. Outputs: the rules of the registers that unwinding
 * on x86-64 needs.
 * @source DWARF 5, 6.4; Linux Standard Base Core 5.0, 10.5
 */
#ifndef LEFTOPEN_UNWIND_CFI_PROGRAM_H
#define LEFTOPEN_UNWIND_CFI_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "unwind/byte_reader.h"

/* Numbers of registers: System V ABI, AMD64 supplement 1.0, figure 3.36. */
enum {
	CFI_RBX = 3,
	CFI_RBP = 6,
	CFI_RSP = 7,
	CFI_RETURN_ADDRESS = 16,
};

/* Chosen by: compilers nest one, hand-written assembler few. More makes the program invalid. */
#define CFI_REMEMBERED_MAX 32

enum cfi_cfa_kind {
	CFI_CFA_NONE = 0,
	CFI_CFA_REGISTER, /* register + offset */
	CFI_CFA_EXPRESSION,
};

enum cfi_rule_kind {
	CFI_SAME = 0,      /* nothing changed it */
	CFI_UNDEFINED,     /* it is lost */
	CFI_AT_CFA,        /* at CFA + offset */
	CFI_AT_EXPRESSION, /* where the expression says */
	CFI_CFA_VALUE,     /* it is CFA + offset */
	CFI_OTHER,         /* what else DWARF has */
};

/* The canonical frame address. */
struct cfi_cfa {
	enum cfi_cfa_kind kind;
	uint32_t register_number; /* UINT32_MAX: any that does not exist */
	int64_t offset;
	struct byte_reader expression;
};

/* A register of the caller. */
struct cfi_rule {
	enum cfi_rule_kind kind;
	int64_t offset;
	struct byte_reader expression;
};

struct cfi_state {
	struct cfi_cfa cfa;
	struct cfi_rule rbx;
	struct cfi_rule rbp;
	struct cfi_rule rsp; /* CFI_SAME: it is the CFA, as the ABI has it */
	struct cfi_rule return_address;
};

/* What of a CIE its programs depend on. */
struct cfi_factors {
	uint64_t code;
	uint64_t data;            /* signed; products wrap */
	uint8_t address_encoding; /* DW_EH_PE_* */
};

/**
 * Told of each address at which the state changes, ascending, the function's first one included.
 * @param state NULL: the program is invalid, and nothing is known from that address on
 * @return 0, or an error that ends the program
 */
typedef int (*cfi_row_fn)(void *context, uint64_t vaddr, const struct cfi_state *state);

/**
 * Runs the initial instructions of a CIE. Linear in their size.
 * @return whether they are valid; ret_state is filled in if so
 */
bool cfi_program_begin(const struct cfi_factors *factors, struct byte_reader program,
                       struct cfi_state *ret_state);

/**
 * Runs the instructions of an FDE. Linear in their size; calls `row` at most once for each and once more.
 * @param initial what cfi_program_begin() gave
 * @param start, end the addresses of the function: end exclusive, above start
 * @return 0, or what `row` returned
 */
int cfi_program_run(const struct cfi_factors *factors, struct byte_reader program,
                    const struct cfi_state *initial, uint64_t start, uint64_t end, cfi_row_fn row,
                    void *context);

#endif
