/*
 * Requests to io_uring that may give descriptors, remembered from their submission (fd_uring.bpf.c) until
 * they are done (fd_uring_done.bpf.c): by then the current task may be a kernel's worker or somebody else who
 * looks for completions. The programs of requests are preemptible: they touch nothing that is one a CPU.
 */
#ifndef LEFTOPEN_BPF_URING_H
#define LEFTOPEN_BPF_URING_H

#include "maps.bpf.h"
#include <bpf/bpf_core_read.h>
#include "core_compat.bpf.h"
#include "messages.bpf.h"
#include "uring_closes.bpf.h"

/* include/uapi/linux/io_uring.h */
#define URING_RECVMSG          10
#define URING_ACCEPT           13
#define URING_OPENAT           18
#define URING_CLOSE            19
#define URING_OPENAT2          28
#define URING_SOCKET           45
#define URING_FIXED_FD_INSTALL 54
#define URING_PIPE             62
#define BIT(number)            (1ULL << (number))
#define URING_MAKERS                                                                       \
	(BIT(URING_RECVMSG) | BIT(URING_ACCEPT) | BIT(URING_OPENAT) | BIT(URING_OPENAT2) | \
	 BIT(URING_SOCKET) | BIT(URING_FIXED_FD_INSTALL) | BIT(URING_PIPE))

/* By its ring and what the program calls it by, as completions without their request tell no more (multishot,
 * overflow). A program may call several the same: the others are kept by their addresses. */
struct uring_key {
	u64 ring; /* struct io_ring_ctx *, or struct io_kiocb * */
	u64 user_data;
};

struct uring_request {
	u64 request; /* struct io_kiocb * */
	u64 table;
	u64 space;
	u64 start_ns;
	u64 stack;
	u64 memory;  /* of the process: where numbers will be: a pipe's two, or control data */
	u64 message; /* of the process: struct user_message */
	u32 memory_bytes;
	u32 process_id;
	u32 thread_id;
	u16 opcode;
	u8 multishot; /* 1: it may be done more than once */
	u8 shares;    /* 1: others of its ring bear its name */
};

/* Requests under way that may give descriptors. One more is counted as LOSS_URING_REQUESTS. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct uring_key);
	__type(value, struct uring_request);
} uring_requests __weak SEC(".maps");

static __always_inline bool uring_makes(u32 opcode)
{
	return opcode < 64 && URING_MAKERS >> opcode & 1;
}

#endif
