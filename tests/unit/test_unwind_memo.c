/*
 * unwind_memo.h over stacks of a small machine of its own: what is recorded of one tells another exactly
 * where unwinding that one gives the same frames.
 */
#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "random_numbers.h"
#include "unwind_memo.h"

#define WORDS        256
#define FRAMES_MAX   40
#define MODULES      3
#define MODULE_BYTES 0x1000ULL
#define PROCESSES    4000

/* A process: where its stack and its files' code are. */
struct process {
	uint64_t top;
	uint64_t deltas[MODULES];
	uint64_t words[WORDS];
	struct unwind_registers registers;
};

static const struct file_key files[MODULES] = {{.inode = 10}, {.inode = 11}, {.inode = 11, .device = 1}};

/* What unwinding gives. */
struct trace {
	struct unwind_recording recording;
	uint64_t frames[FRAMES_MAX];
	size_t count;
	bool is_complete;
};

struct reader {
	const struct process *process;
	struct trace *trace;
};

static int read_words(void *memory, __u64 address, __u64 *to, __u32 words, enum unwind_part part)
{
	const struct reader *reader = memory;
	uint64_t at = (address - reader->process->top) / sizeof(uint64_t);

	if (address % sizeof(uint64_t) || at >= WORDS || words > WORDS - at)
		return -1;
	memcpy(to, reader->process->words + at, words * sizeof(*to));
	unwind_memo_note_part(&reader->trace->recording, address, to, part);
	return 0;
}

/* Each offset in a file has a rule of its own: sizes of frames, and what rbp is there, follow from it. */
static struct unwind_row row_at(uint64_t position)
{
	static const uint8_t rules[] = {UNWIND_RSP, UNWIND_RSP, UNWIND_RSP,       UNWIND_RBP,
	                                UNWIND_PLT, UNWIND_END, UNWIND_DEREF_RSP, UNWIND_SIGNAL};
	uint64_t state = position, random = random_next(&state);
	uint8_t rule = rules[random % sizeof(rules)];

	int16_t cfa = (int16_t)(2 + (random >> 8) % 3);

	if (rule == UNWIND_PLT)
		cfa = 8;
	else if (rule == UNWIND_DEREF_RSP)
		cfa = UNWIND_DEREF_CFA(cfa - 2, (int)((random >> 24) % 3));
	return (struct unwind_row){
	        .rule = rule, .cfa = cfa, .rbp = (int8_t)((random >> 16) % 2 ? -2 : UNWIND_RBP_SAME)};
}

static int module_of(const struct process *process, uint64_t address)
{
	for (int i = 0; i < MODULES; i++)
		if (address - process->deltas[i] < MODULE_BYTES)
			return i;
	return -1;
}

static void unwind(const struct process *process, struct trace *ret_trace)
{
	struct trace *trace = ret_trace;
	struct reader reader = {.process = process, .trace = trace};
	struct unwind_registers registers = process->registers;
	int outcome = UNWIND_STEPPED;

	trace->count = 0;
	unwind_memo_begin(&trace->recording, &registers);
	while (outcome == UNWIND_STEPPED && trace->count < FRAMES_MAX) {
		int module = module_of(process, registers.ip - registers.is_return);
		struct unwind_row row;

		if (module < 0)
			break;
		trace->frames[trace->count++] =
		        (uint64_t)module << 32 | (registers.ip - process->deltas[module]);
		unwind_memo_note_frame(&trace->recording, &registers, process->deltas[module],
		                       process->deltas[module], &files[module]);
		row = row_at(registers.ip - registers.is_return - process->deltas[module]);
		if (unwind_row_uses_bp(&row))
			unwind_memo_note_bp(&trace->recording, &registers);
		outcome = unwind_step(read_words, &reader, &registers, &row);
	}
	trace->is_complete = outcome == UNWIND_ENDED;
}

/* As bpf/unwind_memo.bpf.h does with the kernel's mappings. */
static bool is_told(const struct unwind_memo *memo, const struct process *process)
{
	__u64 words[UNWIND_MEMO_STACK_WORDS] = {0}, bases[UNWIND_MEMO_BASES] = {0};

	if (memo->uses_bp && process->registers.bp - process->registers.sp != memo->bp)
		return false;
	memcpy(words, process->words, sizeof(process->words));
	for (uint32_t i = 0; i < memo->module_count; i++) {
		uint64_t address = process->registers.ip;
		int module;

		if (memo->modules[i].anchor != UNWIND_MEMO_NO_SLOT)
			address = words[memo->slots[memo->modules[i].anchor].word] - 1;
		module = module_of(process, address);
		if (module < 0 || !unwind_memo_is_same(&files[module], &memo->modules[i].file) ||
		    memo->modules[i].last >= MODULE_BYTES)
			return false;
		bases[i] = process->deltas[module];
	}
	bases[UNWIND_MEMO_STACK] = process->registers.sp;
	return bases[0] + memo->position == process->registers.ip && unwind_memo_is_of(memo, words, bases);
}

static uint64_t state;

/* A word that may lead somewhere: into code, or up the stack. */
static uint64_t random_word(const struct process *process)
{
	switch (random_below(&state, 8)) {
	case 0:
		return random_next(&state);
	case 1:
		return 0;
	case 2:
	case 3:
		return process->top + random_below(&state, WORDS) * sizeof(uint64_t);
	default:
		return process->deltas[random_below(&state, MODULES)] + 1 +
		       random_below(&state, MODULE_BYTES - 1);
	}
}

static void place(struct process *process)
{
	process->top = 0x7ff000000000ULL + random_below(&state, 1 << 20) * 16;
	for (uint64_t i = 0; i < MODULES; i++)
		process->deltas[i] =
		        0x550000000000ULL + (random_below(&state, 1 << 16) * MODULES + i) * MODULE_BYTES;
}

static void fill(struct process *process)
{
	place(process);
	for (size_t i = 0; i < WORDS; i++)
		process->words[i] = random_word(process);
	process->registers = (struct unwind_registers){
	        .ip = process->deltas[0] + 1 + random_below(&state, MODULE_BYTES - 1),
	        .sp = process->top,
	        .bp = random_word(process),
	        .bx = random_word(process),
	};
}

/* The same where a process is placed elsewhere: what points into code or the stack points there again. */
static uint64_t moved(uint64_t word, const struct process *from, const struct process *to)
{
	int module = module_of(from, word);

	if (module >= 0)
		return word - from->deltas[module] + to->deltas[module];
	return word - from->top < WORDS * sizeof(uint64_t) ? word - from->top + to->top : word;
}

static void move(const struct process *from, struct process *to)
{
	place(to);
	for (size_t i = 0; i < WORDS; i++)
		to->words[i] = moved(from->words[i], from, to);
	to->registers = from->registers;
	to->registers.ip = moved(from->registers.ip, from, to);
	to->registers.sp = to->top;
	to->registers.bp = moved(from->registers.bp, from, to);
}

static void change(struct process *process)
{
	uint64_t at = random_below(&state, WORDS + 2);

	if (at < WORDS)
		process->words[at] = random_word(process);
	else if (at == WORDS)
		process->registers.bp = random_word(process);
	else
		process->registers.ip = process->deltas[random_below(&state, MODULES)] + 1 +
		                        random_below(&state, MODULE_BYTES - 1);
}

static bool is_same_trace(const struct trace *a, const struct trace *b)
{
	return b->is_complete && a->count == b->count &&
	       !memcmp(a->frames, b->frames, a->count * sizeof(a->frames[0]));
}

/* Anything a memo tells is so; and what only lies elsewhere is told. */
Test(unwind_memo, random_stacks)
{
	struct process process, other;
	struct trace trace, of_other;
	size_t memos = 0, told = 0, differing = 0;

	state = 7;
	for (size_t i = 0; i < PROCESSES; i++) {
		fill(&process);
		unwind(&process, &trace);
		if (!trace.is_complete || trace.recording.unfit)
			continue;
		memos++;
		move(&process, &other);
		cr_expect(is_told(&trace.recording.memo, &other), "process %zu, moved", i);
		for (size_t changes = 0; changes < 60; changes++) {
			change(&other);
			unwind(&other, &of_other);
			if (is_told(&trace.recording.memo, &other)) {
				told++;
				cr_expect(is_same_trace(&trace, &of_other), "process %zu, change %zu", i,
				          changes);
			} else if (!is_same_trace(&trace, &of_other)) {
				differing++;
			}
		}
	}
	cr_assert_gt(memos, PROCESSES / 20);
	cr_assert_gt(told, memos);
	cr_assert_gt(differing, memos);
}

/* What is more than a memo holds is not kept, and nothing is written outside of it. */
Test(unwind_memo, too_much)
{
	struct unwind_registers registers = {.ip = 0x1010, .sp = 0x7000};
	struct unwind_recording recording;
	__u64 word = 0;

	unwind_memo_begin(&recording, &registers);
	for (uint64_t i = 0; i < UNWIND_MEMO_SLOTS; i++)
		unwind_memo_note_part(&recording, registers.sp + i * 8, &word, UNWIND_PART_RETURN);
	cr_expect_not(recording.unfit);
	unwind_memo_note_part(&recording, registers.sp + 8, &word, UNWIND_PART_RETURN);
	cr_expect(recording.unfit);
	cr_expect_eq(recording.memo.slot_count, UNWIND_MEMO_SLOTS);
	unwind_memo_begin(&recording, &registers);
	for (uint64_t i = 0; i <= UNWIND_MEMO_MODULES; i++) {
		cr_expect_not(recording.unfit);
		unwind_memo_note_frame(&recording, &registers, 0x1000 * i, 0x1000, &files[0]);
	}
	cr_expect(recording.unfit);
	cr_expect_eq(recording.memo.module_count, UNWIND_MEMO_MODULES);
}

Test(unwind_memo, what_a_memo_cannot_have)
{
	static const __u64 words[UNWIND_SIGNAL_WORDS] = {0};
	const struct {
		__u64 address, word;
		enum unwind_part part;
	} cases[] = {
	        {0x7000 + UNWIND_MEMO_STACK_BYTES, 0x7100, UNWIND_PART_CFA},
	        {0x6ff8, 0x7100, UNWIND_PART_CFA},
	        {0x7001, 0x7100, UNWIND_PART_CFA},
	        {0x7000, 0x6000, UNWIND_PART_CFA},
	        {0x7000, 0x100007000ULL + 0x7000, UNWIND_PART_CFA},
	        {0x7000, 0, UNWIND_PART_FRAME},
	};
	struct unwind_registers registers = {.ip = 0x1010, .sp = 0x7000};
	struct unwind_recording recording;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unwind_memo_begin(&recording, &registers);
		unwind_memo_note_part(&recording, cases[i].address, &cases[i].word, cases[i].part);
		cr_expect(recording.unfit, "case %zu", i);
	}
	unwind_memo_begin(&recording, &registers);
	unwind_memo_note_part(&recording, 0x7000, words, UNWIND_PART_SIGNAL);
	cr_expect(recording.unfit, "a signal's frame whose stack is elsewhere");
	unwind_memo_begin(&recording, &registers);
	unwind_memo_note_frame(&recording, &registers, 0x1000, 0x1000, &(struct file_key){0});
	cr_expect(recording.unfit, "code of no file");
}
