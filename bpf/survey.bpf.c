/*
 * The kernel's own tables of processes that are running: the baseline of what is followed from now on, and
 * what the model is compared with. Run by reading the iterators' descriptors; what they find goes into the
 * same ring, so that its order with the events is defined. One survey runs at a time. Outputs:
 * EVENT_PROCESS_FOUND, EVENT_TABLE_NUMBERS, EVENT_SPACE_RANGES, EVENT_FILE.
 */
#include "maps.bpf.h"
#include <bpf/bpf_core_read.h>
#include "core_compat.bpf.h"
#include "found.bpf.h"
#include "path.bpf.h"
#include "table_holders.bpf.h"

/* include/linux/sched.h */
#define PF_KTHREAD 0x00200000
/* include/linux/mm.h */
#define VM_EXEC    4
#define VM_PFNMAP  0x400
#define VM_IO      0x4000
#define PAGE_SHIFT 12

/* The space that is being told of has lost a part; of which reading, as one may be broken off. */
__u32 survey_cut = 0;
__u64 survey_ranges_session = 0;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct event_space_ranges);
} survey_ranges __weak SEC(".maps");

/* The table that is being told of. */
struct survey_table {
	u64 session; /* the reading's; what one that was broken off left is not gone on with */
	u64 files;   /* struct files_struct *; 0: none */
	u64 time_ns;
	u64 lost_fds;
	u64 lost_ns;
	u32 process_id;
	u32 word; /* that comes next */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct survey_table);
} survey_table __weak SEC(".maps");

/* Of a table's numbers, so many chunks and one more are sent at most before the ring can be emptied. */
#define SURVEY_CHUNKS 1

/* A byte for each event that was sent: the reader asks for a few at a time, and empties the ring in between.
 */
static __always_inline void survey_pace(struct bpf_iter_meta *meta)
{
	u8 one = 0;

	bpf_seq_write(meta->seq, &one, sizeof(one));
}

/* @return whether there is more of the table to tell of: the same one is to come again */
static __always_inline bool survey_send_numbers(struct survey_table *survey, struct followed_process *process,
                                                struct files_struct *files)
{
	struct walk_scratch *scratch = walk_scratch_borrow();
	struct table_walk walk = {.scratch = scratch, .chunks_left = compat_loop_zero() + SURVEY_CHUNKS};
	bool is_whole;

	if (!scratch) {
		__sync_fetch_and_or(&process->lost_fds, survey->lost_fds);
		survey->files = 0;
		return false;
	}
	table_look_at(&walk, files);
	walk.word = survey->word;
	fill_header(&scratch->numbers.header, EVENT_TABLE_NUMBERS, 0, process->start_ns);
	scratch->numbers.header.time_ns = survey->time_ns;
	scratch->numbers.header.process_id = survey->process_id;
	scratch->numbers.table = (u64)files;
	scratch->numbers.copied_from = 0;
	scratch->numbers.cause = TABLE_SURVEYED;
	scratch->numbers.lost_ns = survey->lost_ns;
	scratch->numbers.lost_fds = survey->lost_fds;
	scratch->numbers.first = !survey->word;
	scratch->numbers.count = 0;
	bpf_loop(TABLE_WORDS_MAX, table_step_word, &walk, 0);
	is_whole = walk.chunks_left;
	if (walk.failed || table_send_chunk(scratch, is_whole)) {
		__sync_fetch_and_or(&process->lost_fds, survey->lost_fds);
		is_whole = true;
	}
	walk_scratch_return(scratch);
	survey->word = walk.word;
	if (is_whole)
		survey->files = 0;
	return !is_whole;
}

struct speaker_walk {
	struct list_head *head;
	struct list_head *at;
	struct files_struct *files; /* NULL: whichever */
	u64 found;                  /* struct task_struct * */
};

static long speaker_step(u32 index, struct speaker_walk *walk)
{
	struct list_head *at = walk->at;
	struct task_struct *task = (void *)at - bpf_core_field_offset(struct task_struct, thread_node);

	if (!at || at == walk->head)
		return 1;
	if (BPF_CORE_READ(task, mm) && (!walk->files || BPF_CORE_READ(task, files) == walk->files)) {
		walk->found = (u64)task;
		return 1;
	}
	walk->at = BPF_CORE_READ(at, next);
	return 0;
}

/* What threads share is told of once, as two surveys are to agree: by the leader, or where that is gone or
 * has another table by the first that has this one.
 * @param files NULL: what is told of is the space */
static __always_inline bool survey_speaks(struct task_struct *task, struct files_struct *files)
{
	struct task_struct *leader = BPF_CORE_READ(task, group_leader);
	struct signal_struct *signal = BPF_CORE_READ(task, signal);
	struct list_head *head = (void *)signal + bpf_core_field_offset(struct signal_struct, thread_head);
	struct speaker_walk walk = {.head = head, .files = files};

	if (task->pid == task->tgid)
		return true;
	if (BPF_CORE_READ(leader, mm) && (!files || BPF_CORE_READ(leader, files) == files))
		return false;
	walk.at = BPF_CORE_READ(head, next);
	bpf_loop(HOLDERS_THREADS_MAX, speaker_step, &walk, 0);
	return walk.found == (u64)task;
}

SEC("iter/task")
int survey_tables(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct task_struct *leader;
	struct files_struct *files;
	struct followed_process *process;
	struct survey_table *survey;
	u32 process_id, zero = 0;
	bool goes_on;

	survey = bpf_map_lookup_elem(&survey_table, &zero);
	if (!survey || !task || task->flags & PF_KTHREAD || !BPF_CORE_READ(task, mm))
		return 0;
	leader = BPF_CORE_READ(task, group_leader);
	files = BPF_CORE_READ(task, files);
	if (!files || !survey_speaks(task, files))
		return 0;
	process_id = ids_process(task);
	goes_on = survey->files == (u64)files && survey->process_id == process_id &&
	          survey->session == ctx->meta->session_id;
	if (!goes_on && !found_process(task, leader, files))
		return 0;
	process = bpf_map_lookup_elem(&followed, &process_id);
	if (!process)
		return 0;
	if (!goes_on) {
		survey->session = ctx->meta->session_id;
		survey->files = (u64)files;
		survey->process_id = process_id;
		survey->word = 0;
		survey->time_ns = bpf_ktime_get_boot_ns();
		survey->lost_ns = process->lost_fds_ns;
		survey->lost_fds = __sync_lock_test_and_set(&process->lost_fds, 0);
	}
	/* 1: the same once more (kernel/bpf/bpf_iter.c, bpf_iter_run_prog). */
	if (survey_send_numbers(survey, process, files))
		return 1;
	survey_pace(ctx->meta);
	return 0;
}

static __always_inline void survey_send_ranges(struct event_space_ranges *event, u32 last)
{
	u32 count = event->count, bytes = offsetof(struct event_space_ranges, entries);
	struct followed_process *process;

	if (!event->space)
		return;
	if (count > SPACE_CHUNK_MAX)
		count = SPACE_CHUNK_MAX;
	bytes += count * sizeof(struct space_entry);
	event->last = last;
	event->header.size_bytes = bytes;
	/* Ranges of which some are missing are no space: the rest is not sent either. */
	if (!survey_cut && bytes <= sizeof(*event) &&
	    send_process_event(event, bytes, LOSS_RING_FULL_PROCESSES)) {
		survey_cut = 1;
		process = bpf_map_lookup_elem(&followed, &event->header.process_id);
		if (process && !process->lost_maps_ns)
			process->lost_maps_ns = event->lost_ns;
	}
	event->first = 0;
	event->count = 0;
	if (last) {
		event->space = 0;
		survey_cut = 0;
	}
}

/* A file that runs in the process may be a runtime. */
static __always_inline void survey_file(struct followed_process *process, u32 process_id,
                                        struct vm_area_struct *vma, struct file *file,
                                        const struct file_key *key)
{
	struct file_use use = {
	        .start_ns = process->start_ns,
	        .process_id = process_id,
	        .cause = FILE_MAPPED,
	        .executable = 1,
	        .address = vma->vm_start,
	        .length_bytes = vma->vm_end - vma->vm_start,
	        .file_offset = vma->vm_pgoff << PAGE_SHIFT,
	};
	struct known_file *known = bpf_map_lookup_elem(&known_files, key);
	u64 runtime;

	if (known && known->python_minor && !process->python_runtime) {
		runtime = known_file_runtime(known, FILE_MAPPED, use.address, use.file_offset);
		if (runtime) {
			process->python_minor = known->python_minor;
			process->python_runtime = runtime;
		}
	}
	file_send_once(file, key, &use);
}

/* What the kernel made or makes grow, and what brk(2) made. */
static __always_inline u16 survey_role(struct mm_struct *mm, struct vm_area_struct *vma)
{
	u64 start = vma->vm_start, end = vma->vm_end, vdso = (u64)BPF_CORE_READ(mm, context.vdso);

	if (BPF_CORE_READ(mm, start_stack) - start < end - start)
		return SPACE_ROLE_STACK;
	if (BPF_CORE_READ(mm, start_brk) < end && BPF_CORE_READ(mm, brk) > start)
		return SPACE_ROLE_HEAP;
	/* The vvar pages lie before the vdso. uprobes' page: kernel/events/uprobes.c, xol_add_vma. */
	if (vdso - start < end - start || vma->vm_flags & (VM_PFNMAP | VM_IO))
		return SPACE_ROLE_KERNEL;
	return SPACE_ROLE_NONE;
}

SEC("iter/task_vma")
int survey_ranges_of(struct bpf_iter__task_vma *ctx)
{
	struct task_struct *task = ctx->task;
	struct vm_area_struct *vma = ctx->vma;
	struct event_space_ranges *event;
	struct followed_process *process;
	struct space_entry *entry;
	struct file *file = NULL;
	u32 zero = 0, process_id, at;
	struct mm_struct *mm;
	u64 space;

	event = bpf_map_lookup_elem(&survey_ranges, &zero);
	if (!event)
		return 0;
	if (survey_ranges_session != ctx->meta->session_id) {
		survey_ranges_session = ctx->meta->session_id;
		survey_cut = 0;
		event->space = 0;
	}
	if (!task || !vma) {
		survey_send_ranges(event, 1);
		return 0;
	}
	if (!survey_speaks(task, NULL))
		return 0;
	process_id = ids_process(task);
	mm = BPF_CORE_READ(task, mm);
	space = (u64)mm;
	if (event->space && (event->space != space || event->header.process_id != process_id)) {
		survey_send_ranges(event, 1);
		survey_pace(ctx->meta);
	}
	process = bpf_map_lookup_elem(&followed, &process_id);
	if (!process)
		return 0;
	if (!event->space) {
		fill_header(&event->header, EVENT_SPACE_RANGES, 0, process->start_ns);
		event->header.process_id = process_id;
		event->space = space;
		event->lost_ns = process->lost_maps_ns;
		process->lost_maps_ns = 0;
		event->first = 1;
		event->count = 0;
	}
	if (event->count >= SPACE_CHUNK_MAX) {
		survey_send_ranges(event, 0);
		survey_pace(ctx->meta);
	}
	at = event->count;
	asm volatile("" : "+r"(at));
	at &= SPACE_CHUNK_MAX - 1;
	entry = &event->entries[at];
	entry->start = vma->vm_start;
	entry->end = vma->vm_end;
	entry->file_offset = vma->vm_pgoff << PAGE_SHIFT;
	entry->flags = vma->vm_flags;
	entry->mode = 0;
	entry->role = survey_role(mm, vma);
	entry->key.inode = 0;
	entry->key.device = 0;
	entry->key.generation = 0;
	bpf_core_read(&file, sizeof(file), &vma->vm_file);
	if (file) {
		compat_file_key(file, &entry->key);
		entry->mode = BPF_CORE_READ(file, f_inode, i_mode);
		if (entry->flags & VM_EXEC)
			survey_file(process, process_id, vma, file, &entry->key);
	}
	event->count = at + 1;
	return 0;
}
