/*
 * The memory of a stack whose native frames end in a file of which no table has come yet, as it is run for
 * the first time: leftopen goes on with it when it has the table. Inputs: the pending handle, its frames so
 * far. Outputs: EVENT_STACK_COPY, and EVENT_FILE of each file that the stack leads into.
 */
#include "unwind.bpf.h"

#define COPY_PAGE_BYTES 4096
/* Chosen by: words that point to what is not mapped are looked up each time. */
#define COPY_LOOKUPS_MAX 128

struct copy_room {
	struct event_stack_copy event;
	u8 overrun[COPY_PAGE_BYTES]; /* the last page's copy may begin anywhere before */
};

/* One for each of capture_scratch. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, CAPTURE_SCRATCHES_PREEMPTIBLE);
	__type(key, u32);
	__type(value, struct copy_room);
} copy_scratch SEC(".maps");

struct copy_walk {
	struct event_stack_copy *event;
	u32 looked_up;
	u32 reserved;
};

/* Page by page, as the next one may not be there. */
static __always_inline void copy_words(struct event_stack_copy *event)
{
	u64 address = event->registers.sp;
	u32 copied = 0;

	for (u32 i = 0; i <= STACK_COPY_WORDS * sizeof(u64) / COPY_PAGE_BYTES; i++) {
		u32 bytes = COPY_PAGE_BYTES - (address & (COPY_PAGE_BYTES - 1));

		asm volatile("" : "+r"(copied));
		if (copied > sizeof(event->words) ||
		    bpf_probe_read_user((void *)event->words + copied, bounded_bytes(bytes, COPY_PAGE_BYTES),
		                        (void *)address))
			break;
		address += bytes;
		copied += bytes;
	}
	event->word_count = copied / sizeof(u64);
	if (event->word_count > STACK_COPY_WORDS)
		event->word_count = STACK_COPY_WORDS;
}

static __always_inline bool copy_knows(const struct event_stack_copy *event, u64 address)
{
	for (u32 i = 0; i < STACK_COPY_RANGES; i++) {
		if (i >= event->range_count)
			break;
		if (address >= event->ranges[i].start && address < event->ranges[i].end)
			return true;
	}
	return false;
}

/* Notes where an address is mapped.
 * @return 0, or -1: there are as many as are kept */
static __always_inline int copy_note(struct event_stack_copy *event, u64 address)
{
	struct capture_scratch *scratch = capture_scratch_get();
	struct stack_copy_range *range;
	u32 at = event->range_count;

	if (!scratch || at >= STACK_COPY_RANGES)
		return -1;
	(void)native_remember(address);
	if (!scratch->found.end)
		return 0;
	range = &event->ranges[at];
	range->start = scratch->found.start;
	range->end = scratch->found.end;
	range->file = scratch->found.file;
	range->is_code = scratch->found.is_code;
	if (range->is_code && !range->file.inode)
		scratch->stack.image = stack_image(scratch);
	range->delta = address - scratch->found.position;
	event->range_count = at + 1;
	return 0;
}

/* A word that is where a call returns to is looked up by the call, which is before it. */
static long copy_step(u32 index, struct copy_walk *walk)
{
	struct event_stack_copy *event = walk->event;
	u64 address;

	if (index >= event->word_count || walk->looked_up >= COPY_LOOKUPS_MAX)
		return 1;
	address = event->words[index & (STACK_COPY_WORDS - 1)] - 1;
	if (address < COPY_PAGE_BYTES || address >> 47 || copy_knows(event, address))
		return 0;
	walk->looked_up++;
	return copy_note(event, address) ? 1 : 0;
}

static __always_inline int copy_send(struct capture_scratch *scratch, struct event_stack_copy *event)
{
	struct copy_walk walk = {.event = event, .looked_up = compat_loop_zero()};
	struct unwind_registers *registers = &event->registers;
	u32 bytes;

	*registers = scratch->unwind.registers;
	/* Where it was saved is below what is copied. */
	if (registers->bx_is_saved &&
	    bpf_probe_read_user(&registers->bx, sizeof(registers->bx), (void *)registers->bx))
		registers->bx = 0;
	registers->bx_is_saved = 0;
	event->range_count = 0;
	event->reserved = 0;
	(void)copy_note(event, registers->ip - registers->is_return);
	copy_words(event);
	bpf_loop(STACK_COPY_WORDS, copy_step, &walk, 0);
	event->number = __sync_fetch_and_add(&copies_made, 1) + 1;
	bytes = offsetof(struct event_stack_copy, words) +
	        bounded_bytes(event->word_count * sizeof(u64), STACK_COPY_WORDS * sizeof(u64));
	fill_header(&event->header, EVENT_STACK_COPY, bytes, scratch->process_start_ns);
	return send_bulk_event(event, bytes, LOSS_RING_FULL_STACKS);
}

static __always_inline int capture_copy_by(void *ctx, void *programs)
{
	struct capture_scratch *scratch = capture_scratch_get();
	struct copy_room *room;
	u32 index;

	if (!scratch)
		return 0;
	index = scratch->index;
	room = bpf_map_lookup_elem(&copy_scratch, &index);
	if (room && !copy_send(scratch, &room->event)) {
		scratch->stack.copy = room->event.number;
		/* It is not the stack of any other handle. */
		scratch->stack.id = hash_mix(scratch->stack.id, 1ULL << 32 | room->event.number);
	}
	stack_go_on(ctx, scratch, programs);
	return 0;
}

SEC("tracepoint")
int capture_copy(void *ctx)
{
	return capture_copy_by(ctx, &capture_programs);
}

SEC("?fexit/fd_install")
int installed_copy(void *ctx)
{
	return capture_copy_by(ctx, &installed_capture_programs);
}
