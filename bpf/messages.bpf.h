/*
 * Messages of sockets as the process has them in its memory, and the control data that brings descriptors
 * (unix(7), cmsg(3)).
 */
#ifndef LEFTOPEN_BPF_MESSAGES_H
#define LEFTOPEN_BPF_MESSAGES_H

#include "vmlinux.h"

#define SOL_SOCKET 1
#define SCM_RIGHTS 1
#define SCM_PIDFD  4
/* include/net/scm.h, SCM_MAX_FD is 253 */
#define MESSAGE_FDS_MAX 256
/* Chosen by: a message of a socket that passes credentials, a security label, a timestamp and a pidfd has
 * five. */
#define CONTROLS_MAX 8
/* include/linux/socket.h, as a 64-bit process has them */
struct user_message {
	u64 name;
	u64 name_bytes;
	u64 vectors;
	u64 vector_count;
	u64 control;
	u64 control_bytes;
	u64 flags;
};

struct user_control {
	u64 bytes; /* with this header */
	s32 level;
	s32 type;
};

static __always_inline bool control_brings_fds(const struct user_control *control)
{
	return control->level == SOL_SOCKET && (control->type == SCM_RIGHTS || control->type == SCM_PIDFD);
}

/* @return from one control's beginning to the next one's */
static __always_inline u64 control_step(const struct user_control *control)
{
	return (control->bytes + sizeof(u64) - 1) & ~(sizeof(u64) - 1);
}

#endif
