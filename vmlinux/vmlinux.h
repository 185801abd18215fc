/*
 * The kernel's types as the BPF programs read them: only the members that are read, relocated against the
 * running kernel's BTF when a program is loaded (CO-RE). Not a dump: add a member when a program reads it.
 */
#ifndef __VMLINUX_H__
#define __VMLINUX_H__

#include <stddef.h>
#include <linux/bpf.h>
#include <linux/types.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s16 s16;
typedef __s32 s32;
typedef __s64 s64;
typedef _Bool bool;
typedef int pid_t;

#define true 1
#define false 0

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

/* include/linux/types.h */
typedef struct {
	int counter;
} atomic_t;

struct list_head {
	struct list_head *next;
};

/* arch/x86/include/asm/ptrace.h */
struct pt_regs {
	unsigned long bp;
	unsigned long bx;
	unsigned long r10;
	unsigned long r9;
	unsigned long r8;
	unsigned long ax;
	unsigned long cx;
	unsigned long dx;
	unsigned long si;
	unsigned long di;
	unsigned long orig_ax;
	unsigned long ip;
	u16 cs;
	unsigned long sp;
};

/* include/linux/dcache.h */
struct qstr {
	u32 len;
	const unsigned char *name;
};

struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
};

/* include/linux/mount.h, fs/mount.h */
struct super_block;

struct vfsmount {
	struct dentry *mnt_root;
	struct super_block *mnt_sb;
	int mnt_flags;
};

/* include/linux/proc_ns.h, include/linux/ns_common.h */
struct proc_ns_operations {
	const char *name;
};

struct ns_common {
	const struct proc_ns_operations *ops;
	unsigned int inum;
};

/* The same, from 6.18. */
struct ns_common___id {
	u64 ns_id;
};

struct mnt_namespace {
	struct ns_common ns;
};

/* The same, from 6.19. */
struct mnt_namespace___boolean {
	bool is_anon;
};

/* The same, before 6.18. */
struct mnt_namespace___sequence {
	u64 seq;
};

struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
	struct mnt_namespace *mnt_ns;
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

/* include/linux/fs.h */
struct file_system_type {
	const char *name;
};

struct super_block {
	u32 s_dev;
	unsigned long s_magic;
	struct file_system_type *s_type;
};

struct inode {
	u16 i_mode;
	u8 i_blkbits;
	struct super_block *i_sb;
	unsigned long i_ino;
	s64 i_size;
	u32 i_generation;
	void *i_private;
};

struct file {
	void *private_data;
	struct inode *f_inode;
	struct path f_path;
};

/* include/linux/fdtable.h */
struct fdtable {
	unsigned int max_fds;
	struct file **fd;
	unsigned long *open_fds;
};

struct files_struct {
	struct fdtable *fdt;
};

/* include/linux/pid.h */
struct pid_namespace;

struct upid {
	int nr;
	struct pid_namespace *ns;
};

struct pid {
	unsigned int level;
	struct upid numbers[1];
};

enum pid_type { PIDTYPE_PID = 0, PIDTYPE_TGID, PIDTYPE_COUNT };

/* include/linux/maple_tree.h, include/linux/mm_types.h */
struct maple_tree {
	void *ma_root;
};

struct mm_context {
	void *vdso;
};

struct mm_struct {
	struct maple_tree mm_mt;
	int map_count;
	unsigned long start_code;
	unsigned long start_brk;
	unsigned long brk;
	unsigned long start_stack;
	struct mm_context context;
	unsigned long arg_start;
	unsigned long arg_end;
	unsigned long env_start;
	unsigned long env_end;
	struct file *exe_file;
};

/* The same, from 6.13 and with CONFIG_PER_VMA_LOCK. */
struct mm_lock_sequence {
	unsigned int sequence;
};

struct mm_struct___sequence {
	struct mm_lock_sequence mm_lock_seq;
};

struct vm_area_struct {
	unsigned long vm_start;
	unsigned long vm_end;
	struct mm_struct *vm_mm;
	unsigned long vm_flags;
	unsigned long vm_pgoff;
	struct file *vm_file;
};

/* include/linux/sched/signal.h */
/* include/uapi/asm-generic/resource.h */
#define RLIMIT_NOFILE 7

struct rlimit {
	unsigned long rlim_cur;
};

struct signal_struct {
	atomic_t live;
	struct list_head thread_head;
	struct pid *pids[PIDTYPE_COUNT];
	int group_exit_code;
	unsigned int flags;
	struct rlimit rlim[16];
};

/* arch/x86/include/asm/processor.h */
struct thread_struct {
	unsigned long fsbase;
};

/* include/linux/cred.h, include/linux/uidgid_types.h, include/linux/nsproxy.h */
typedef struct {
	unsigned int val;
} kuid_t;

struct cred {
	kuid_t fsuid;
};

struct nsproxy {
	struct mnt_namespace *mnt_ns;
};

/* include/linux/sched.h */
struct io_uring_task;

struct task_struct {
	unsigned int flags;
	struct mm_struct *mm;
	u64 self_exec_id;
	int exit_code;
	pid_t pid;
	pid_t tgid;
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	struct pid *thread_pid;
	struct list_head thread_node;
	u64 start_boottime;
	char comm[16];
	struct files_struct *files;
	const struct cred *cred;
	struct nsproxy *nsproxy;
	struct signal_struct *signal;
	struct io_uring_task *io_uring;
	struct thread_struct thread;
};

/* include/linux/io_uring_types.h, io_uring/: openclose.h, net.c; the members of a request's own part begin
 * with its file, as the request does */
struct io_uring {
	u32 head;
	u32 tail;
};

struct io_rings {
	struct io_uring sq;
};

struct io_uring_sqe {
	u8 opcode;
};

struct io_ring_ctx {
	unsigned int flags;
	struct io_rings *rings;
	u32 *sq_array;
	struct io_uring_sqe *sq_sqes;
	unsigned int cached_sq_head;
	unsigned int sq_entries;
};

struct io_uring_task {
	struct task_struct *task;
	struct file *registered_rings[16];
};

struct io_cqe {
	u64 user_data;
};

struct io_kiocb {
	u8 opcode;
	unsigned int flags;
	struct io_cqe cqe;
	struct io_ring_ctx *ctx;
	struct io_uring_task *tctx;
};

struct io_kiocb___task {
	struct task_struct *task;
};

struct io_open {
	u32 file_slot;
};

struct io_accept {
	u32 file_slot;
};

struct io_socket {
	u32 file_slot;
};

struct io_close {
	int fd;
	u32 file_slot;
};

struct io_pipe {
	int *fds;
	int file_slot;
};

struct io_sr_msg {
	void *umsg;
	u16 flags;
};

struct io_uring_cqe {
	u64 user_data;
	s32 res;
	u32 flags;
};

struct linux_binprm;

/* include/net/sock.h, include/linux/net.h */
struct in6_addr {
	u8 bytes[16];
};

struct sock_common {
	u32 skc_daddr;
	u32 skc_rcv_saddr;
	u16 skc_dport;
	u16 skc_num;
	unsigned short skc_family;
	unsigned char skc_state;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
};

struct sock {
	struct sock_common __sk_common;
	u16 sk_protocol;
};

struct socket {
	short type;
	struct sock *sk;
};

/* include/linux/bpf.h, kernel/bpf/task_iter.c: what the iterators hand over */
struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
	u64 session_id;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

struct bpf_iter__task_vma {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	struct vm_area_struct *vma;
};

/* include/linux/trace_events.h: what the syscall tracepoints hand over */
struct trace_entry {
	int pid;
};

struct trace_event_raw_sys_enter {
	struct trace_entry ent;
	long id;
	unsigned long args[6];
};

struct trace_event_raw_sys_exit {
	struct trace_entry ent;
	long id;
	long ret;
};

#pragma clang attribute pop

#endif
