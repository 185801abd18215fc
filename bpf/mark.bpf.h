/*
 * Taking a shutdown mark: what the process's descriptors refer to is read now, as shutdown may close them.
 * Outputs: EVENT_FD_TARGET for each number (at most MARK_TARGETS_MAX), then EVENT_MARK.
 */
#ifndef LEFTOPEN_BPF_MARK_H
#define LEFTOPEN_BPF_MARK_H

#include "maps.bpf.h"
#include "core_compat.bpf.h"
#include "path.bpf.h"
#include "uring_closes.bpf.h"

/* Chosen by: a report shows 20 samples of each group; about a microsecond each at the exit of a process. */
#define MARK_TARGETS_MAX 4096
/* include/uapi/linux/stat.h, include/linux/socket.h */
#define MODE_TYPE_MASK 0170000
#define MODE_SOCKET    0140000
#define ADDRESS_INET   2
#define ADDRESS_INET6  10

static __always_inline void mark_read_socket(struct file *file, struct event_socket *ret_socket)
{
	struct socket *socket = BPF_CORE_READ(file, private_data);
	struct sock *sock = BPF_CORE_READ(socket, sk);

	ret_socket->type = BPF_CORE_READ(socket, type);
	if (!sock)
		return;
	ret_socket->protocol = BPF_CORE_READ(sock, sk_protocol);
	ret_socket->family = BPF_CORE_READ(sock, __sk_common.skc_family);
	ret_socket->state = BPF_CORE_READ(sock, __sk_common.skc_state);
	if (ret_socket->family != ADDRESS_INET && ret_socket->family != ADDRESS_INET6)
		return;
	ret_socket->local_port = BPF_CORE_READ(sock, __sk_common.skc_num);
	ret_socket->remote_port = __builtin_bswap16(BPF_CORE_READ(sock, __sk_common.skc_dport));
	if (ret_socket->family == ADDRESS_INET) {
		u32 local = BPF_CORE_READ(sock, __sk_common.skc_rcv_saddr);
		u32 remote = BPF_CORE_READ(sock, __sk_common.skc_daddr);

		__builtin_memcpy(ret_socket->local_address, &local, sizeof(local));
		__builtin_memcpy(ret_socket->remote_address, &remote, sizeof(remote));
	} else {
		BPF_CORE_READ_INTO((struct in6_addr *)ret_socket->local_address, sock,
		                   __sk_common.skc_v6_rcv_saddr);
		BPF_CORE_READ_INTO((struct in6_addr *)ret_socket->remote_address, sock,
		                   __sk_common.skc_v6_daddr);
	}
}

/* A namespace's file has no name but "/": what sort it is of stands instead (fs/nsfs.c). */
static __always_inline void mark_name_namespace(struct file *file, struct event_fd_target *event)
{
	struct ns_common *common = BPF_CORE_READ(file, f_inode, i_private);
	long length =
	        bpf_probe_read_kernel_str(event->names, PATH_NAME_MAX, BPF_CORE_READ(common, ops, name));

	if (length > 0)
		event->path.bytes = length;
}

struct mark_walk {
	struct walk_scratch *scratch;
	struct file **array;
	u32 numbers;
	u32 sent;
};

static long mark_step(u32 fd, struct mark_walk *walk)
{
	struct event_fd_target *event = &walk->scratch->target;
	struct file *file = NULL;
	u32 bytes;

	if (fd >= walk->numbers || walk->sent >= MARK_TARGETS_MAX)
		return 1;
	if (bpf_probe_read_kernel(&file, sizeof(file), walk->array + fd) || !file)
		return 0;
	event->file = (u64)file;
	event->fd = fd;
	event->mode = BPF_CORE_READ(file, f_inode, i_mode);
	__builtin_memset(&event->socket, 0, sizeof(event->socket));
	if ((event->mode & MODE_TYPE_MASK) == MODE_SOCKET)
		mark_read_socket(file, &event->socket);
	event->filesystem = BPF_CORE_READ(file, f_inode, i_sb, s_magic);
	path_read(file, event->names, true, &event->path);
	event->pidfd_process_id = compat_pidfd_process_id(file, event->filesystem, event->names);
	if (event->filesystem == FILESYSTEM_NSFS)
		mark_name_namespace(file, event);
	bytes = bounded_bytes(event->path.bytes, PATH_NAMES_BYTES) + offsetof(struct event_fd_target, names);
	event->header.size_bytes = bytes;
	send_bulk_event(event, bytes, LOSS_RING_FULL_HANDLES);
	walk->sent++;
	return 0;
}

/* Chosen by: fs.nr_open's default. Numbers are sparse at most up to the table's size. */
#define MARK_NUMBERS_MAX 1048576

/* Says of each of a table's numbers what it refers to.
 * @param files struct files_struct * of a thread of the current process
 * @param start_ns of the process */
__weak __noinline int mark_send_targets(u64 files, u64 start_ns)
{
	struct walk_scratch *scratch = walk_scratch_borrow();

	if (scratch && files) {
		struct fdtable *table = BPF_CORE_READ((struct files_struct *)files, fdt);
		struct mark_walk walk = {
		        .scratch = scratch,
		        .array = BPF_CORE_READ(table, fd),
		        .numbers = BPF_CORE_READ(table, max_fds),
		        .sent = compat_loop_zero(),
		};

		fill_header(&scratch->target.header, EVENT_FD_TARGET, 0, start_ns);
		scratch->target.table = files;
		bpf_loop(MARK_NUMBERS_MAX, mark_step, &walk, 0);
	}
	if (scratch)
		walk_scratch_return(scratch);
	return 0;
}

/* The first mark wins. */
static __always_inline void mark_take(struct followed_process *process, enum shutdown_mark mark)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct event_mark event = {};
	struct mm_struct *mm;

	if (__sync_val_compare_and_swap(&process->marked, SHUTDOWN_NONE, mark) != SHUTDOWN_NONE)
		return;
	uring_closes_settle();
	mark_send_targets((u64)compat_own_files(), process->start_ns);
	fill_header(&event.header, EVENT_MARK, sizeof(event), process->start_ns);
	mm = BPF_CORE_READ(task, mm);
	event.table = (u64)compat_own_files();
	event.space = (u64)mm;
	event.mark = mark;
	BPF_CORE_READ_STR_INTO(&event.comm, task, group_leader, comm);
	event.vmas = BPF_CORE_READ(mm, map_count);
	event.fd_limit = BPF_CORE_READ(task, signal, rlim[RLIMIT_NOFILE].rlim_cur);
	send_process_event(&event, sizeof(event), LOSS_RING_FULL_PROCESSES);
}

#endif
