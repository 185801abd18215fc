/*
 * CPython's own frames, walked beside the innermost native one, in the current thread (facts: python frames).
 * All addresses come from the process's memory, which it may fill as it likes: each read is checked, each
 * loop bounded, and what comes out is data that the daemon validates. Inputs: the pending handle,
 * python_layouts. Outputs: EVENT_PYTHON_CODE where new, EVENT_STACK, the handle.
 */
#include "python_code.bpf.h"

/* sysdeps/x86_64/nptl/tls.h and nptl/descr.h of glibc: struct pthread.specific_1stblock, 32 pairs {seq,
 * data}. */
#define GLIBC_TSS_FIRST_BLOCK 0x310
#define GLIBC_TSS_FIRST_COUNT 32
/* Chosen by: more threads than this without a thread-specific slot give a stack without Python's frames. */
#define PYTHON_THREADS_MAX        512
#define PYTHON_FRAME_BYTES        80
#define PYTHON_FRAME_OBJECT_BYTES 128

/* Frames of 3.11 and later lie behind each other: they are copied together, as one larger read costs little
 * more than a small one. A power of two. */
#define FRAME_BLOCK_BYTES 2048

/* A power of two. Chosen by: a test suite's stacks have some twenty functions, several of them twice or more.
 */
#define WALK_CODES 64

/* What was found of a code object in a walk: it stays while a frame of it is there. */
struct walk_code {
	u64 walk;
	u64 code; /* its address */
	u64 id;
	u32 first_traceable; /* instruction's offset, in bytes */
	u32 reserved;
};

/* Memory that has frames, and what is known of those that were seen in this walk. */
struct frame_block {
	u64 walk; /* its number */
	struct walk_code codes[WALK_CODES];
	u64 start; /* address of the memory */
	u32 bytes;
	u32 frame; /* where the frame is */
	u8 memory[FRAME_BLOCK_BYTES + PYTHON_FRAME_OBJECT_BYTES];
};

/* One for each of capture_scratch, which has no room for it. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, CAPTURE_SCRATCHES_PREEMPTIBLE);
	__type(key, u32);
	__type(value, struct frame_block);
} frame_blocks SEC(".maps");

/* Reads what is there: a page that the kernel moves just then cannot be read.
 * @param ret_unsure set where it could not */
static __always_inline u64 read_user_there(u64 address, bool *ret_unsure)
{
	u64 value = 0;

	if (bpf_probe_read_user(&value, sizeof(value), (void *)address))
		*ret_unsure = true;
	return value;
}

/* Reads a frame object, or where frames lie behind each other those too that called it: they are before it.
 * One that is elsewhere begins another block, which begins in the same page, as the one before may not be
 * there.
 * @return 0, or -1: it cannot be read */
static __always_inline int frame_read(struct frame_block *block, u64 address, bool objects)
{
	u32 bytes = objects ? PYTHON_FRAME_OBJECT_BYTES : PYTHON_FRAME_BYTES;
	u64 at = address - block->start, start, page = address & ~0xfffULL;

	block->frame = at;
	if (at < block->bytes && bytes <= block->bytes - at)
		return 0;
	start = objects ? address : address + bytes - FRAME_BLOCK_BYTES;
	if (start < page)
		start = page;
	bytes = bounded_bytes(address + bytes - start, FRAME_BLOCK_BYTES);
	block->start = start;
	block->frame = address - start;
	block->bytes = 0;
	if (bpf_probe_read_user(block->memory, bytes, (void *)start))
		return -1;
	block->bytes = bytes;
	return 0;
}

/* Members of a copied structure; the masks keep the verifier's bounds. */
static __always_inline const void *frame_at(const struct frame_block *block, u32 offset)
{
	return block->memory + (block->frame & (FRAME_BLOCK_BYTES - 1)) +
	       (offset & (PYTHON_FRAME_OBJECT_BYTES - 1));
}

static __always_inline u64 frame_u64(const struct frame_block *block, u32 offset)
{
	return *(const u64 *)frame_at(block, offset & ~7U);
}

static __always_inline u8 frame_u8(const struct frame_block *block, u32 offset)
{
	return *(const u8 *)frame_at(block, offset);
}

struct thread_search {
	const struct python_layout *layout;
	u64 thread;
	u64 interpreter;
	u64 wanted;
	u64 found;
};

static long thread_step(u32 index, struct thread_search *search)
{
	const struct python_layout *layout = search->layout;
	u64 frame;

	if (!search->thread) {
		if (!search->interpreter)
			return 1;
		search->thread = read_user_u64(search->interpreter + layout->interpreter_threads);
		search->interpreter = read_user_u64(search->interpreter + layout->interpreter_next);
		return 0;
	}
	if (read_user_u64(search->thread + layout->thread_id) == search->wanted) {
		/* A state just made for a new thread carries its creator's id and has no frame: keep looking.
		 */
		frame = read_user_u64(search->thread + layout->thread_frame);
		if (frame && layout->shape == PYTHON_FRAME_CFRAME)
			frame = read_user_u64(frame + layout->cframe_current);
		if (frame) {
			search->found = search->thread;
			return 1;
		}
	}
	search->thread = read_user_u64(search->thread + layout->thread_next);
	return 0;
}

/* @param ret_unsure set where there were more threads than are looked at, or memory could not be read
 * @return the address of the current thread's PyThreadState, 0: not found */
static __always_inline u64 find_thread(const struct python_layout *layout, u64 runtime, bool *ret_unsure)
{
	u64 fsbase = bpf_get_current_task_btf()->thread.fsbase, thread;
	struct thread_search search = {.layout = layout, .thread = compat_loop_zero(), .wanted = fsbase};
	u64 tss;
	u32 key;

	/* Each read of the process's memory costs as much as half a frame. */
	if (layout->runtime_tss != PYTHON_NO_TSS) {
		tss = read_user_there(runtime + layout->runtime_tss, ret_unsure);
		key = tss >> 32;
		if ((u32)tss == 1 && key < GLIBC_TSS_FIRST_COUNT) {
			thread = read_user_there(fsbase + GLIBC_TSS_FIRST_BLOCK + key * 16 + 8, ret_unsure);
			if (thread)
				return thread;
		}
	}
	search.interpreter = read_user_u64(runtime + layout->runtime_interpreters_head);
	bpf_loop(PYTHON_THREADS_MAX, thread_step, &search, 0);
	if (!search.found && (search.thread || search.interpreter))
		*ret_unsure = true;
	return search.found;
}

struct frame_walk {
	struct capture_scratch *scratch;
	struct frame_block *block;
	const struct python_layout *layout;
	u64 frame;
	u64 salt;
	u32 evaluations; /* that were left so far */
	u32 reserved;
};

/* @return what is known of a code object, which is then in codes_sent, or NULL: it cannot be read */
static __always_inline const struct walk_code *code_find(const struct frame_walk *walk, u64 code)
{
	const struct python_layout *layout = walk->layout;
	struct capture_scratch *scratch = walk->scratch;
	struct frame_block *block = walk->block;
	struct walk_code *known = &block->codes[(code >> 4 ^ code >> 10) & (WALK_CODES - 1)];
	bool objects = layout->shape == PYTHON_FRAME_OBJECTS;
	struct sent_place *sent;

	if (known->walk == block->walk && known->code == code)
		return known;
	if (bpf_probe_read_user(scratch->code, objects ? PYTHON_OLD_CODE_BYTES : PYTHON_CODE_BYTES,
	                        (void *)code))
		return NULL;
	known->walk = block->walk;
	known->code = code;
	known->id = code_identity(code, walk->salt);
	known->first_traceable = objects ? 0 : code_u32(scratch, layout->code_first_traceable) * 2;
	sent = sent_place_find(&codes_sent, known->id);
	if (!sent_before(sent, known->id) && !send_code(known->id))
		sent_note(sent, known->id);
	return known;
}

static long frame_step(u32 index, struct frame_walk *walk)
{
	const struct python_layout *layout = walk->layout;
	struct capture_scratch *scratch = walk->scratch;
	struct frame_block *block = walk->block;
	bool objects = layout->shape == PYTHON_FRAME_OBJECTS, is_entry;
	const struct walk_code *known;
	struct stack_frame *frame;
	u32 evaluation = walk->evaluations;
	u64 code;
	u32 owner;
	s32 offset;

	if (!walk->frame)
		return 1;
	if (frame_read(block, walk->frame, objects)) {
		scratch->stack.end = STACK_END_FAULT;
		return 1;
	}
	walk->frame = frame_u64(block, layout->frame_previous);
	code = frame_u64(block, layout->frame_code);
	owner = frame_u8(block, layout->frame_owner);
	/* Where C calls Python another evaluation begins. 3.12 puts a shim there, which is no frame of the
	 * program; before 3.11 each call of Python is made by C. */
	is_entry = objects || (layout->frame_is_entry && frame_u8(block, layout->frame_is_entry)) ||
	           (!objects && owner == layout->owner_cstack);
	walk->evaluations += is_entry;
	if (!code || (!objects && owner == layout->owner_cstack))
		return 0;
	known = code_find(walk, code);
	if (!known) {
		scratch->stack.end = STACK_END_FAULT;
		return 1;
	}
	if (objects) {
		offset = *(const s32 *)frame_at(block, layout->frame_instruction & ~3U);
	} else {
		offset = (s32)(frame_u64(block, layout->frame_instruction) - (code + layout->code_adaptive));
		/* Python/ceval: a frame before its first traceable instruction is not there for traceback
		 * either. */
		if (owner != layout->owner_generator && offset < (s32)known->first_traceable)
			return 0;
	}
	frame = stack_next(scratch);
	if (!frame)
		return 1;
	frame->kind = FRAME_PYTHON;
	frame->flags = evaluation << FRAME_EVALUATION_SHIFT;
	frame->file.inode = 0;
	frame->file.device = 0;
	frame->file.generation = 0;
	frame->position = (u64)(s64)offset;
	frame->code = known->id;
	scratch->stack.id = stack_hash_python(scratch->stack.id, known->id, (u32)offset);
	return 0;
}

/* @return the address of the current thread's innermost frame, 0: it runs no Python, or that is not known */
static __always_inline u64 find_frame(const struct python_layout *layout, u64 runtime, bool *ret_unsure)
{
	u64 thread = find_thread(layout, runtime, ret_unsure), frame;

	if (!thread)
		return 0;
	frame = read_user_there(thread + layout->thread_frame, ret_unsure);
	if (frame && layout->shape == PYTHON_FRAME_CFRAME)
		frame = read_user_there(frame + layout->cframe_current, ret_unsure);
	return frame;
}

static __always_inline int capture_python_by(void *ctx, void *programs)
{
	struct capture_scratch *scratch = capture_scratch_get();
	struct task_struct *task = bpf_get_current_task_btf();
	struct frame_walk walk = {.scratch = scratch, .evaluations = compat_loop_zero()};
	struct pt_regs *registers = (struct pt_regs *)bpf_task_pt_regs(task);
	bool unsure = false;
	u32 index;

	if (!scratch)
		return 0;
	index = scratch->index;
	walk.block = bpf_map_lookup_elem(&frame_blocks, &index);
	if (!walk.block)
		return 0;
	walk.layout = layout_of(scratch);
	if (walk.layout)
		walk.frame = find_frame(walk.layout, scratch->python_runtime, &unsure);
	if (config_stacks == STACKS_MODE_FULL) {
		scratch->stack_part = scratch->stack.count;
	} else {
		/* A program that embeds Python and is outside of it, or a thread that Python does not know.
		 */
		if (!walk.frame && !unsure) {
			bpf_tail_call(ctx, programs, CAPTURE_NATIVE);
			count_loss(LOSS_TAIL_CALL);
		}
		stack_begin(scratch);
		/* Frame pointers are right for 2.6 % of such a process's native frames: only the innermost is
		 * kept. */
		(void)stack_push_native(scratch, registers->ip);
	}
	if (!walk.frame && unsure)
		scratch->stack.end = STACK_END_PYTHON_UNKNOWN;
	walk.block->walk++;
	walk.block->bytes = 0;
	walk.salt = hash_mix(scratch->process_start_ns, bpf_get_current_pid_tgid() >> 32);
	bpf_loop(STACK_FRAMES_MAX * 2, frame_step, &walk, 0);
	/* A program can link its frames as it likes, in a circle too. */
	if (walk.frame && scratch->stack.end == STACK_END_COMPLETE)
		scratch->stack.end = STACK_END_DEPTH;
	stack_finish(ctx, scratch, programs);
	return 0;
}

SEC("tracepoint")
int capture_python(void *ctx)
{
	return capture_python_by(ctx, &capture_programs);
}

SEC("?fexit/fd_install")
int installed_python(void *ctx)
{
	return capture_python_by(ctx, &installed_capture_programs);
}
