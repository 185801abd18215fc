/*
 * What crosses the kernel boundary: the events of the ring buffer, the values of shared maps, the counters.
 * Included by BPF programs and by the daemon; every struct has fixed-width fields, explicit padding and an
 * asserted size. The daemon trusts none of the sizes and counts in here: consume/decode.c validates them.
 */
#ifndef LEFTOPEN_EVENT_ABI_H
#define LEFTOPEN_EVENT_ABI_H

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif

#define EVENT_ASSERT_SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), #type " changed size")

/* Chosen by: the deepest pytest + SQLAlchemy stacks seen have about 150 Python frames. */
#define STACK_FRAMES_MAX 256
/* As they are sent: native ones, then Python's. */
#define STACK_FRAMES_SENT_MAX (2 * STACK_FRAMES_MAX)
/* Frame-pointer stacks asked of the kernel (PERF_MAX_STACK_DEPTH is 127). */
#define STACK_NATIVE_MAX 64
/* A path is sent as names, innermost first; PATH_MAX of them in bytes, NAME_MAX + 1 each. */
#define PATH_NAMES_BYTES 4096
#define PATH_NAME_MAX    256
#define PATH_DEPTH_MAX   40
/* A table's numbers are sent in chunks. */
#define TABLE_CHUNK_MAX 128
/* What is shown of a command line. */
#define ARGUMENTS_BYTES 4096
/* CPython: 2 of 93,000 standard library code objects have a larger line table (facts: python frames). */
#define PYTHON_FILENAME_BYTES   512
#define PYTHON_QUALNAME_BYTES   256
#define PYTHON_LINE_TABLE_BYTES 16384
#define TEST_NAME_BYTES         512
#define COMM_BYTES              16

enum event_type {
	EVENT_FD_MADE = 1,
	EVENT_FD_CLOSED,
	EVENT_FD_RANGE_CLOSED,
	EVENT_FD_TARGET,
	EVENT_TABLE_NUMBERS,
	EVENT_TABLE_LEFT,
	EVENT_MAP_MADE,
	EVENT_MAP_RELEASED,
	EVENT_MAP_RELEASE_FAILED,
	EVENT_MAP_MOVE_BEGUN,
	EVENT_MAP_MOVED,
	EVENT_MAP_DONTFORK,
	EVENT_MAP_DOFORK,
	EVENT_PROCESS_FORKED,
	EVENT_PROCESS_EXECED,
	EVENT_PROCESS_ARGUMENTS,
	EVENT_PROCESS_EXITED,
	EVENT_MARK,
	EVENT_STACK,
	EVENT_STACK_COPY,
	EVENT_PYTHON_CODE,
	EVENT_FILE,
	EVENT_TEST,
	EVENT_PROCESS_FOUND,
	EVENT_SPACE_RANGES,
	EVENT_TYPE_COUNT
};

/* What "begins to shut down" means; a table on the daemon's side says which file and symbol gives which. */
enum shutdown_mark {
	SHUTDOWN_NONE = 0,
	SHUTDOWN_FINALIZE,
	SHUTDOWN_EXIT,
	SHUTDOWN_EXIT_GROUP,
	SHUTDOWN_LAST_THREAD,
	SHUTDOWN_COUNT
};

struct event_header {
	__u16 type;
	__u16 untimed;    /* 1: time_ns is its order in several shards only */
	__u32 size_bytes; /* of the whole event, this header included */
	__u64 time_ns;    /* CLOCK_BOOTTIME; 0: a release, of which nobody asks when, as reading the
	                     clock costs as much as the rest */
	__u32 process_id; /* tgid in leftopen's pid namespace */
	__u32 thread_id;
	__u64 process_start_ns; /* the leader's start_boottime */
};
EVENT_ASSERT_SIZE(struct event_header, 32);

/* A file as the kernel's inode says: never from stat() (overlayfs and btrfs show another device there). */
struct file_key {
	__u64 inode;
	__u32 device; /* s_dev: major << 20 | minor */
	__u32 generation;
};
EVENT_ASSERT_SIZE(struct file_key, 16);

/* The key of the kernel's own code in each 64-bit process, which is from no file: no inode is of device 0
 * (fs/super.c, get_anon_bdev: "always return at least 1"). */
#define FILE_KEY_VDSO_INODE 1

/* Two events with equal thread_id and time_ns come of one call (pipe, socketpair). */
struct event_fd_made {
	struct event_header header;
	__u64 table; /* struct files_struct * */
	__u64 file;  /* struct file * */
	__u64 stack; /* id of an EVENT_STACK sent before (where the ring has shards it may come
	                just after), 0: none */
	__u64 inode;
	__s32 fd;
	__s32 source_fd; /* that was copied, or -1 */
	__u16 origin;    /* enum handle_origin */
	__u16 mode;      /* i_mode */
	__u32 late; /* 1: told when the number had been there for a while: others' events may have told of it
	               first; header.time_ns is when the table was read */
};
EVENT_ASSERT_SIZE(struct event_fd_made, 80);

/* With a time: the number was found to be free then, so what was made later is not meant. */
struct event_fd_closed {
	struct event_header header;
	__u64 table;
	__s32 fd;
	__u32 reserved;
};
EVENT_ASSERT_SIZE(struct event_fd_closed, 48);

struct event_fd_range_closed {
	struct event_header header;
	__u64 table;
	__u32 first;
	__u32 last; /* inclusive */
};
EVENT_ASSERT_SIZE(struct event_fd_range_closed, 48);

struct event_socket {
	__u16 family; /* AF_*, 0: not a socket */
	__u16 type;   /* SOCK_* */
	__u16 protocol;
	__u8 state; /* TCP_* of the kernel */
	__u8 reserved;
	__u16 local_port; /* host order */
	__u16 remote_port;
	__u32 reserved2;
	__u8 local_address[16]; /* 4 or 16 bytes, network order */
	__u8 remote_address[16];
};
EVENT_ASSERT_SIZE(struct event_socket, 48);

enum path_state {
	PATH_COMPLETE = 0,
	PATH_TRUNCATED, /* the outermost names are missing */
	PATH_BARE,      /* one name in no folder: a pipe, a socket, an anonymous inode, a memfd */
	PATH_DETACHED,  /* in a mount that hangs nowhere: the outermost name is its filesystem's type */
	PATH_STATE_COUNT
};

struct event_path {
	__u32 bytes; /* of names that follow, each with its NUL, innermost first */
	__u32 state; /* enum path_state */
};

/* include/uapi/linux/magic.h: filesystems of which an inode says more than its name */
#define FILESYSTEM_ANONYMOUS 0x09041934U
#define FILESYSTEM_NSFS      0x6e736673U
#define FILESYSTEM_PIDFS     0x50494446U
#define FILESYSTEM_MQUEUE    0x19800202U

/* What a descriptor refers to, read as its process begins to shut down. */
struct event_fd_target {
	struct event_header header;
	__u64 table;
	__u64 file;
	__s32 fd;
	__u32 mode;
	__u32 filesystem;       /* its s_magic */
	__u32 pidfd_process_id; /* that it refers to, in leftopen's pid namespace; 0: it is no pidfd */
	struct event_socket socket;
	struct event_path path;
	char names[PATH_NAMES_BYTES];
};

enum table_cause {
	TABLE_FORKED = 0,
	TABLE_EXECED,
	TABLE_EXITED,
	TABLE_UNSHARED,
	TABLE_SURVEYED,
	TABLE_CAUSE_COUNT
};

struct table_entry {
	__u64 file;
	__s32 fd;
	__u32 mode;
};
EVENT_ASSERT_SIZE(struct table_entry, 16);

/* The numbers that a table holds; header.process_id is its owner. Chunks follow each other, the last is
 * marked. */
struct event_table_numbers {
	struct event_header header;
	__u64 table;
	__u64 copied_from; /* forked, unshared: the table that was copied; itself: none was */
	__u64 lost_fds;    /* bit n: events of numbers with these lowest six bits were lost, since the last
	                      survey */
	__u64 lost_ns;     /* the last of them; CLOCK_BOOTTIME */
	__u32 cause;       /* enum table_cause */
	__u32 first;       /* 1: first chunk */
	__u32 last;        /* 1: last chunk */
	__u32 count;
	struct table_entry entries[TABLE_CHUNK_MAX];
};

/* No thread of the process holds the table any more; others of its threads hold others. */
struct event_table_left {
	struct event_header header;
	__u64 table;
};
EVENT_ASSERT_SIZE(struct event_table_left, 40);

struct event_map_made {
	struct event_header header;
	__u64 space; /* struct mm_struct * */
	__u64 address;
	__u64 length_bytes; /* whole pages */
	__u64 stack;
	__u64 file_offset;
	struct file_key key; /* inode 0: anonymous */
	__u32 protection;
	__u32 flags; /* MAP_* */
	__u16 origin;
	__u16 mode;
	__u32 reserved;
};
EVENT_ASSERT_SIZE(struct event_map_made, 104);

/* Also EVENT_MAP_RELEASE_FAILED and EVENT_MAP_MOVE_BEGUN: of this thread, this range; and what madvise(2)
 * says of children: EVENT_MAP_DONTFORK, EVENT_MAP_DOFORK. */
struct event_map_released {
	struct event_header header;
	__u64 space;
	__u64 address;
	__u64 length_bytes;
};
EVENT_ASSERT_SIZE(struct event_map_released, 56);

struct event_map_moved {
	struct event_header header;
	__u64 space;
	__s64 result; /* the new address, or -errno */
	__u64 old_address;
	__u64 old_length_bytes;
	__u64 new_length_bytes;
	__u64 flags; /* MREMAP_* */
	__u64 stack;
	/* Of a call that failed with MREMAP_FIXED, else 0. Of several mappings the first may have moved by
	 * then: so much from old_address on is not mapped there any more. */
	__u64 new_address;
	__u64 moved_bytes;
};
EVENT_ASSERT_SIZE(struct event_map_moved, 104);

struct event_process_forked {
	struct event_header header; /* the parent's */
	__u64 parent_table;
	__u64 parent_space;
	__u64 table;
	__u64 space;
	__u64 start_ns;
	__u32 process_id;
	__u32 reserved;
	__u64 fd_limit; /* RLIMIT_NOFILE, soft */
	char comm[COMM_BYTES];
};
EVENT_ASSERT_SIZE(struct event_process_forked, 104);

struct event_process_execed {
	struct event_header header;
	__u64 table;
	__u64 space;
	__u64 fd_limit;
	struct file_key exe;
	__u32 parent_id;
	__u32 reserved;
	char comm[COMM_BYTES];
};
EVENT_ASSERT_SIZE(struct event_process_execed, 96);

/* A survey came by a process. header.time_ns: when, before its tables were read. */
struct event_process_found {
	struct event_header header; /* the found process's own */
	__u64 table;
	__u64 space;
	__u64 fd_limit;
	struct file_key exe;
	__u32 parent_id;
	__u32 vmas;
	__u32 begins; /* 1: it is followed from now on */
	__u32 reserved;
	char comm[COMM_BYTES];
};
EVENT_ASSERT_SIZE(struct event_process_found, 104);

/* Chosen by: what is sent at once stays below a page. */
#define SPACE_CHUNK_MAX 64

/* What the kernel made or makes grow; the heap is what brk(2) made. */
enum space_role {
	SPACE_ROLE_NONE = 0,
	SPACE_ROLE_STACK,
	SPACE_ROLE_HEAP,
	SPACE_ROLE_KERNEL,
	SPACE_ROLE_COUNT
};

struct space_entry {
	__u64 start;
	__u64 end;
	__u64 file_offset;
	__u64 flags; /* VM_* */
	struct file_key key;
	__u16 mode;
	__u16 role; /* enum space_role */
	__u32 reserved;
};
EVENT_ASSERT_SIZE(struct space_entry, 56);

/* What a space maps, in order of address, in chunks as event_table_numbers; header.process_id is one of its
 * processes. */
struct event_space_ranges {
	struct event_header header;
	__u64 space;
	__u64 lost_ns; /* when the last event of its mappings was lost, since the last survey; 0: none was */
	__u32 first;
	__u32 last;
	__u32 count;
	__u32 reserved;
	struct space_entry entries[SPACE_CHUNK_MAX];
};

struct event_process_arguments {
	struct event_header header;
	__u32 bytes;
	__u32 truncated;
	char arguments[ARGUMENTS_BYTES]; /* each with its NUL */
};

struct event_process_exited {
	struct event_header header;
	__u64 table;
	__u64 space;  /* 0 where the kernel has let go of it before (before 6.16) */
	__s32 status; /* as wait(2) gives it */
	__u32 reserved;
	__u64 fd_limit;
};
EVENT_ASSERT_SIZE(struct event_process_exited, 64);

struct event_mark {
	struct event_header header;
	__u64 table;
	__u64 space;
	__u32 mark; /* enum shutdown_mark */
	__u32 vmas; /* mm->map_count */
	__u64 fd_limit;
	char comm[COMM_BYTES]; /* the leader's: a process may rename itself (prctl(2), PR_SET_NAME) */
};
EVENT_ASSERT_SIZE(struct event_mark, 80);

enum frame_kind { FRAME_NATIVE = 0, FRAME_PYTHON, FRAME_KIND_COUNT };

/* It or one below was found by a frame pointer, which the code need not keep. */
#define FRAME_GUESSED 1
/* Python: in which of the evaluations that are on the native stack it runs, the innermost being 0. */
#define FRAME_EVALUATION_SHIFT 8

struct stack_frame {
	__u32 kind;           /* enum frame_kind */
	__u32 flags;          /* FRAME_GUESSED, and of which evaluation (FRAME_EVALUATION_SHIFT) */
	struct file_key file; /* native: the mapped file, inode 0: none (vdso, JIT) */
	__u64 position; /* native: offset in the file, or address; Python: bytecode offset (may be -1) */
	__u64 code;     /* Python: id of an EVENT_PYTHON_CODE; native, of no file: event_stack.image */
};
EVENT_ASSERT_SIZE(struct stack_frame, 40);

/* Why a stack ends early. */
enum stack_end {
	STACK_END_COMPLETE = 0,
	STACK_END_FRAME_POINTERS, /* the native part was guessed by frame pointers */
	STACK_END_DEPTH,          /* more frames than are kept */
	STACK_END_FAULT,          /* user memory could not be read */
	STACK_END_PYTHON_UNKNOWN, /* the interpreter is there, its thread state was not found */
	STACK_END_KERNEL_THREAD,  /* a thread of the kernel took the request from a ring (SQPOLL) */
	STACK_END_NO_TABLE,       /* the unwind table of a frame's file was not there yet */
	STACK_END_NO_ROW,         /* code of which .eh_frame tells nothing, without frame pointers */
	STACK_END_NOT_KNOWN,      /* .eh_frame says what unwind tables cannot */
	STACK_END_NO_CODE,        /* a return address that is no code: the stack was overwritten */
	STACK_END_EVALUATIONS,    /* Python's frames are more than the evaluations on the native stack */
	STACK_END_BUSY,           /* the mappings changed all the time */
	STACK_END_COUNT
};

struct event_stack {
	struct event_header header;
	__u64 id;
	__u32 count;
	__u32 end; /* enum stack_end */
	/* Of what made code that is from no file, 0: no frame is of such code. What the process is, from one
	 * exec to the next; only its own handles have the stack. */
	__u64 image;
	__u32 user_id;         /* fsuid */
	__u32 mount_namespace; /* its inode's number; 0: not known */
	__u32 own_process_id;  /* in its own pid namespace */
	__u32 copy;            /* number of the EVENT_STACK_COPY that its native frames go on in; 0: none */
	struct stack_frame frames[STACK_FRAMES_SENT_MAX]; /* innermost first */
};

/* A CPython code object, sent once. The strings are CPython's own storage: 1, 2 or 4 bytes a character. */
struct event_python_code {
	struct event_header header;
	__u64 id;
	__s32 first_line;
	__u32 minor_version;
	__u32 filename_length; /* characters, as the object says */
	__u32 filename_kind;   /* bytes a character: 1, 2, 4 */
	__u32 qualname_length;
	__u32 qualname_kind;
	__u32 line_table_bytes; /* as the object says: what follows is at most PYTHON_LINE_TABLE_BYTES of it
	                         */
	__u32 faults;           /* PYTHON_CODE_FAULT_* */
	char filename[PYTHON_FILENAME_BYTES];
	char qualname[PYTHON_QUALNAME_BYTES];
	__u8 line_table[PYTHON_LINE_TABLE_BYTES];
};
#define PYTHON_CODE_FAULT_FILENAME   1
#define PYTHON_CODE_FAULT_QUALNAME   2
#define PYTHON_CODE_FAULT_LINE_TABLE 4

enum file_cause {
	FILE_EXECED = 0,
	FILE_MAPPED,
	FILE_CALLED,
	FILE_CAUSE_COUNT
}; /* CALLED: found in a stack */

/* A file that was mapped, sent once a file: its path, and a range to open it by while the process lives. */
struct event_file {
	struct event_header header;
	struct file_key key;
	__u32 cause;
	__u32 executable; /* mapped with PROT_EXEC, so it may be a runtime */
	__u64 address;
	__u64 length_bytes;
	__u64 file_offset;
	__u64 file_size_bytes;
	struct event_path path;
	char names[PATH_NAMES_BYTES];
};

/* Who says which test runs. */
enum test_source {
	TEST_ANNOUNCED = 0, /* the process itself: its runner set a variable of its environment */
	TEST_INHERITED,     /* LEFTOPEN_TEST in the environment that its program began with */
	TEST_MARKED,        /* `leftopen mark`: for all that are followed and have no test of their own */
	TEST_SOURCE_COUNT
};

/* A test begins in this process, or enters its next phase. */
struct event_test {
	struct event_header header;
	__u32 bytes;
	__u32 source; /* enum test_source */
	char name[TEST_NAME_BYTES];
};

/* How native stacks are captured. */
enum stacks_mode { STACKS_MODE_NONE = 0, STACKS_MODE_FP, STACKS_MODE_NATIVE, STACKS_MODE_FULL };

/* Counters of what was lost and why, one a name; each is shown in every report. */
enum loss_cause {
	LOSS_RING_FULL_HANDLES = 0,
	LOSS_RING_FULL_PROCESSES,
	LOSS_RING_FULL_STACKS,
	LOSS_PROCESS_MAP_FULL,
	LOSS_SCRATCH_BUSY,
	LOSS_TABLE_FAULT,
	LOSS_TAIL_CALL,
	LOSS_NUMBERS,        /* calls that gave descriptors whose numbers could not be read */
	LOSS_COMPAT_CALLS,   /* programs whose calls the kernel does not trace, as they are 32-bit ones */
	LOSS_URING_REQUESTS, /* requests to io_uring that could not be remembered until they were done */
	LOSS_COUNT
};

#endif
