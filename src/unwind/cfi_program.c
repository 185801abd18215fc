/*
 * The interpreter of call frame information.
 * Inputs: programs that anybody may have written: an instruction that is not known, is cut, or makes no sense
 * where it stands makes the program invalid from there on. Outputs: rules. libdw has an interpreter too, and
 * runs a function's program anew for each address that is asked for: 15 times slower for a whole file.
 */
#include "unwind/cfi_program.h"

#include <dwarf.h>

#define CFI_PRIMARY_MASK 0xc0
#define CFI_OPERAND_MASK 0x3f

struct cfi_machine {
	const struct cfi_factors *factors;
	const struct cfi_state *initial; /* NULL while the CIE's instructions run */
	struct byte_reader program;
	uint64_t vaddr;
	struct cfi_state state;
	struct cfi_rule ignored; /* of a register that nobody asks for */
	struct cfi_state remembered[CFI_REMEMBERED_MAX];
	unsigned remembered_count;
};

static struct cfi_rule *machine_rule(struct cfi_machine *machine, uint64_t register_number)
{
	switch (register_number) {
	case CFI_RBX:
		return &machine->state.rbx;
	case CFI_RBP:
		return &machine->state.rbp;
	case CFI_RSP:
		return &machine->state.rsp;
	case CFI_RETURN_ADDRESS:
		return &machine->state.return_address;
	default:
		return &machine->ignored;
	}
}

static void machine_set(struct cfi_machine *machine, uint64_t register_number, enum cfi_rule_kind kind,
                        uint64_t offset)
{
	*machine_rule(machine, register_number) = (struct cfi_rule){.kind = kind, .offset = (int64_t)offset};
}

static uint64_t machine_number(struct cfi_machine *machine)
{
	return byte_reader_leb128(&machine->program, false);
}

/* An offset in units of the data factor. */
static uint64_t machine_offset(struct cfi_machine *machine, bool is_signed)
{
	return byte_reader_leb128(&machine->program, is_signed) * machine->factors->data;
}

static struct byte_reader machine_block(struct cfi_machine *machine)
{
	return byte_reader_cut(&machine->program, machine_number(machine));
}

static bool machine_restore(struct cfi_machine *machine, uint64_t register_number)
{
	if (!machine->initial)
		return false;
	switch (register_number) {
	case CFI_RBX:
		machine->state.rbx = machine->initial->rbx;
		break;
	case CFI_RBP:
		machine->state.rbp = machine->initial->rbp;
		break;
	case CFI_RSP:
		machine->state.rsp = machine->initial->rsp;
		break;
	case CFI_RETURN_ADDRESS:
		machine->state.return_address = machine->initial->return_address;
		break;
	default:
		break;
	}
	return true;
}

/* Sets the CFA to a register and an offset, or one of them: only where it is such a sum already. */
static bool machine_set_cfa(struct cfi_machine *machine, const uint64_t *register_number,
                            const uint64_t *offset)
{
	struct cfi_cfa *cfa = &machine->state.cfa;

	if ((!register_number || !offset) && cfa->kind != CFI_CFA_REGISTER)
		return false;
	cfa->kind = CFI_CFA_REGISTER;
	if (register_number)
		cfa->register_number =
		        *register_number < UINT32_MAX ? (uint32_t)*register_number : UINT32_MAX;
	if (offset)
		cfa->offset = (int64_t)*offset;
	return true;
}

/* The instructions that define the CFA. @return false: none of those, or invalid */
static bool machine_step_cfa(struct cfi_machine *machine, uint8_t opcode)
{
	uint64_t number = 0;
	uint64_t offset = 0;

	switch (opcode) {
	case DW_CFA_def_cfa:
		number = machine_number(machine);
		offset = machine_number(machine);
		return machine_set_cfa(machine, &number, &offset);
	case DW_CFA_def_cfa_sf:
		number = machine_number(machine);
		offset = machine_offset(machine, true);
		return machine_set_cfa(machine, &number, &offset);
	case DW_CFA_def_cfa_register:
		number = machine_number(machine);
		return machine_set_cfa(machine, &number, NULL);
	case DW_CFA_def_cfa_offset:
		offset = machine_number(machine);
		return machine_set_cfa(machine, NULL, &offset);
	case DW_CFA_def_cfa_offset_sf:
		offset = machine_offset(machine, true);
		return machine_set_cfa(machine, NULL, &offset);
	case DW_CFA_def_cfa_expression:
		machine->state.cfa = (struct cfi_cfa){
		        .kind = CFI_CFA_EXPRESSION,
		        .expression = machine_block(machine),
		};
		return true;
	default:
		return false;
	}
}

/* The instructions that say where a register is. @return false: none of those, or invalid */
static bool machine_step_register(struct cfi_machine *machine, uint8_t opcode)
{
	uint64_t number = machine_number(machine);

	switch (opcode) {
	case DW_CFA_undefined:
		machine_set(machine, number, CFI_UNDEFINED, 0);
		return true;
	case DW_CFA_same_value:
		machine_set(machine, number, CFI_SAME, 0);
		return true;
	case DW_CFA_register:
		(void)machine_number(machine); /* a register that no rule of ours has */
		machine_set(machine, number, CFI_OTHER, 0);
		return true;
	case DW_CFA_offset_extended:
		machine_set(machine, number, CFI_AT_CFA, machine_offset(machine, false));
		return true;
	case DW_CFA_offset_extended_sf:
		machine_set(machine, number, CFI_AT_CFA, machine_offset(machine, true));
		return true;
	case DW_CFA_GNU_negative_offset_extended:
		machine_set(machine, number, CFI_AT_CFA, 0 - machine_offset(machine, false));
		return true;
	case DW_CFA_val_offset:
		machine_set(machine, number, CFI_CFA_VALUE, machine_offset(machine, false));
		return true;
	case DW_CFA_val_offset_sf:
		machine_set(machine, number, CFI_CFA_VALUE, machine_offset(machine, true));
		return true;
	case DW_CFA_expression:
		*machine_rule(machine, number) = (struct cfi_rule){
		        .kind = CFI_AT_EXPRESSION,
		        .expression = machine_block(machine),
		};
		return true;
	case DW_CFA_val_expression:
		(void)machine_block(machine);
		machine_set(machine, number, CFI_OTHER, 0);
		return true;
	case DW_CFA_restore_extended:
		return machine_restore(machine, number);
	default:
		return false;
	}
}

static bool machine_set_location(struct cfi_machine *machine, uint64_t *ret_advance)
{
	uint64_t vaddr = byte_reader_address(&machine->program, machine->factors->address_encoding);

	if (vaddr < machine->vaddr)
		return false;
	*ret_advance = vaddr - machine->vaddr;
	return true;
}

/* One that is too large to be told saturates: it is beyond any function. */
static uint64_t machine_scale(const struct cfi_machine *machine, uint64_t steps)
{
	uint64_t advance = 0;

	return __builtin_mul_overflow(steps, machine->factors->code, &advance) ? UINT64_MAX : advance;
}

static bool machine_remember(struct cfi_machine *machine)
{
	if (machine->remembered_count == CFI_REMEMBERED_MAX)
		return false;
	machine->remembered[machine->remembered_count++] = machine->state;
	return true;
}

/* The CFA comes back too, as compilers have it, DWARF's text or not. */
static bool machine_recall(struct cfi_machine *machine)
{
	if (!machine->remembered_count)
		return false;
	machine->state = machine->remembered[--machine->remembered_count];
	return true;
}

static bool machine_step_extended(struct cfi_machine *machine, uint8_t opcode, uint64_t *ret_advance)
{
	switch (opcode) {
	case DW_CFA_nop:
		return true;
	case DW_CFA_set_loc:
		return machine_set_location(machine, ret_advance);
	case DW_CFA_advance_loc1:
		*ret_advance = machine_scale(machine, byte_reader_unsigned(&machine->program, 1));
		return true;
	case DW_CFA_advance_loc2:
		*ret_advance = machine_scale(machine, byte_reader_unsigned(&machine->program, 2));
		return true;
	case DW_CFA_advance_loc4:
		*ret_advance = machine_scale(machine, byte_reader_unsigned(&machine->program, 4));
		return true;
	case DW_CFA_MIPS_advance_loc8:
		*ret_advance = machine_scale(machine, byte_reader_unsigned(&machine->program, 8));
		return true;
	case DW_CFA_remember_state:
		return machine_remember(machine);
	case DW_CFA_restore_state:
		return machine_recall(machine);
	case DW_CFA_GNU_args_size:
		(void)machine_number(machine); /* for who lands in the function, not for who passes */
		return true;
	case DW_CFA_def_cfa:
	case DW_CFA_def_cfa_sf:
	case DW_CFA_def_cfa_register:
	case DW_CFA_def_cfa_offset:
	case DW_CFA_def_cfa_offset_sf:
	case DW_CFA_def_cfa_expression:
		return machine_step_cfa(machine, opcode);
	default:
		return machine_step_register(machine, opcode);
	}
}

/* Runs one instruction. @return whether it is valid */
static bool machine_step(struct cfi_machine *machine, uint64_t *ret_advance)
{
	uint8_t opcode = (uint8_t)byte_reader_unsigned(&machine->program, 1);
	uint8_t operand = opcode & CFI_OPERAND_MASK;
	bool valid = true;

	*ret_advance = 0;
	switch (opcode & CFI_PRIMARY_MASK) {
	case DW_CFA_advance_loc:
		*ret_advance = machine_scale(machine, operand);
		break;
	case DW_CFA_offset:
		machine_set(machine, operand, CFI_AT_CFA, machine_offset(machine, false));
		break;
	case DW_CFA_restore:
		valid = machine_restore(machine, operand);
		break;
	default:
		valid = machine_step_extended(machine, opcode, ret_advance);
	}
	return valid && !machine->program.failed;
}

/* What is remembered is left as it is: it takes kilobytes, and is read only where it was written. */
static void machine_begin(struct cfi_machine *machine, struct byte_reader program,
                          const struct cfi_factors *factors, const struct cfi_state *initial, uint64_t vaddr)
{
	machine->factors = factors;
	machine->initial = initial;
	machine->program = program;
	machine->vaddr = vaddr;
	machine->state = initial ? *initial : (struct cfi_state){0};
	machine->remembered_count = 0;
}

bool cfi_program_begin(const struct cfi_factors *factors, struct byte_reader program,
                       struct cfi_state *ret_state)
{
	struct cfi_machine machine;
	uint64_t advance = 0;

	machine_begin(&machine, program, factors, NULL, 0);
	while (byte_reader_left(&machine.program))
		if (!machine_step(&machine, &advance) || advance)
			return false;
	*ret_state = machine.state;
	return true;
}

int cfi_program_run(const struct cfi_factors *factors, struct byte_reader program,
                    const struct cfi_state *initial, uint64_t start, uint64_t end, cfi_row_fn row,
                    void *context)
{
	/* Not by an initializer: what may be remembered is large, and mostly nothing is. */
	struct cfi_machine machine;
	uint64_t advance = 0;
	int error = 0;

	machine_begin(&machine, program, factors, initial, start);
	while (byte_reader_left(&machine.program)) {
		if (!machine_step(&machine, &advance))
			return row(context, machine.vaddr, NULL);
		if (!advance)
			continue;
		error = row(context, machine.vaddr, &machine.state);
		if (error < 0 || advance >= end - machine.vaddr)
			return error;
		machine.vaddr += advance;
	}
	return row(context, machine.vaddr, &machine.state);
}
