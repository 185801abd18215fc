/*
 * Descriptors that arrive over a socket: SCM_RIGHTS, and the pidfd of SO_PASSPIDFD (unix(7), cmsg(3)).
 * At exit the kernel has put the numbers into the control data, and how much of it is used into the header,
 * also where it was cut. Outputs: EVENT_FD_MADE.
 */
#include "maps.bpf.h"
#include <bpf/bpf_tracing.h>
#include "call_program.bpf.h"
#include "capture.bpf.h"
#include "fd_calls.bpf.h"
#include "messages.bpf.h"

/* include/linux/uio.h, UIO_MAXIOV: what recvmmsg receives at once. */
#define MESSAGES_MAX 1024

struct user_message_slot {
	struct user_message message;
	u64 received_bytes;
};

struct received {
	struct capture_scratch *scratch;
	const struct user_message_slot *slots;
	u32 slot_count;
	u32 count;
};

/* @return 0, or -1: no more numbers can be kept */
static __always_inline int take_numbers(struct received *received, u64 numbers, u32 bytes)
{
	u32 count = received->count;

	if (count > FD_NUMBERS_MAX - MESSAGE_FDS_MAX) {
		count_loss(LOSS_NUMBERS);
		return -1;
	}
	asm volatile("" : "+r"(count));
	count &= FD_NUMBERS_MAX - 1;
	if (count > FD_NUMBERS_MAX - MESSAGE_FDS_MAX)
		return -1;
	bytes = bounded_bytes(bytes, MESSAGE_FDS_MAX * sizeof(s32));
	if (bpf_probe_read_user(received->scratch->pending.numbers + count, bytes, (void *)numbers)) {
		count_loss(LOSS_NUMBERS);
		return 0;
	}
	received->count = count + bytes / sizeof(s32);
	return 0;
}

static long message_step(u32 index, struct received *received)
{
	struct user_message message;
	struct user_control control;

	if (index >= received->slot_count)
		return 1;
	if (bpf_probe_read_user(&message, sizeof(message), received->slots + index)) {
		count_loss(LOSS_NUMBERS);
		return 1;
	}
	for (u32 i = 0; i < CONTROLS_MAX && message.control_bytes >= sizeof(control); i++) {
		u64 step;

		if (bpf_probe_read_user(&control, sizeof(control), (void *)message.control)) {
			count_loss(LOSS_NUMBERS);
			return 0;
		}
		if (control.bytes < sizeof(control) || control.bytes > message.control_bytes)
			return 0;
		if (control_brings_fds(&control) && take_numbers(received, message.control + sizeof(control),
		                                                 control.bytes - sizeof(control)))
			return 1;
		step = control_step(&control);
		if (step > message.control_bytes)
			return 0;
		message.control += step;
		message.control_bytes -= step;
	}
	return 0;
}

static __always_inline int receive(struct trace_event_raw_sys_exit *ctx, u32 messages)
{
	struct followed_process *process = followed_current();
	struct capture_scratch *scratch = process ? capture_scratch_take() : NULL;
	struct received received = {.scratch = scratch, .slot_count = messages, .count = compat_loop_zero()};

	if (!scratch)
		return 0;
	received.slots = (void *)saved_registers()->si;
	bpf_loop(MESSAGES_MAX, message_step, &received, 0);
	if (!received.count) {
		capture_scratch_return(scratch);
		return 0;
	}
	fd_pending(scratch, process, fd_call_of(ctx), compat_own_files(), -1);
	scratch->pending.count = received.count;
	capture_and_send(ctx, process, scratch);
	return 0;
}

CALL_PROGRAM("tracepoint", fd_by_message, trace_event_raw_sys_exit)
{
	return ctx->ret < 0 ? 0 : receive(ctx, 1);
}

CALL_PROGRAM("tracepoint", fd_by_messages, trace_event_raw_sys_exit)
{
	return ctx->ret <= 0 ? 0 : receive(ctx, ctx->ret);
}
