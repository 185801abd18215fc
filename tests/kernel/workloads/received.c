/*
 * Descriptors that arrive in messages: each way in a function named for it that leaves what came open; and
 * what brings none. Usage: received FOLDER. Outputs: for each maker a line of its numbers, for each process
 * the truth.
 */
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "makers.h"

/* include/linux/socket.h, since 6.5 */
#ifndef SO_PASSPIDFD
#define SO_PASSPIDFD 76
#endif
#ifndef SCM_PIDFD
#define SCM_PIDFD 4
#endif

/* include/net/scm.h, SCM_MAX_FD */
#define MESSAGE_FDS_MAX 253
#define CONTROL_BYTES   CMSG_SPACE((MESSAGE_FDS_MAX + 1) * sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))
#define SLOTS           4

/* A message of one byte, and room for what comes with it. */
struct letter {
	struct msghdr head;
	struct iovec vector;
	char byte;
	char control[CONTROL_BYTES] __attribute__((aligned(8)));
};

static int line[2];
static struct letter letters[SLOTS];
static struct mmsghdr slots[SLOTS];
static int numbers[MESSAGE_FDS_MAX];

static void letter_begin(struct letter *letter, size_t control_bytes)
{
	memset(letter, 0, sizeof(*letter));
	letter->vector = (struct iovec){.iov_base = &letter->byte, .iov_len = 1};
	letter->head = (struct msghdr){.msg_iov = &letter->vector,
	                               .msg_iovlen = 1,
	                               .msg_control = letter->control,
	                               .msg_controllen = control_bytes};
}

static void put_control(struct letter *letter, int type, const void *data, size_t bytes)
{
	struct cmsghdr *control = CMSG_FIRSTHDR(&letter->head);

	control->cmsg_level = SOL_SOCKET;
	control->cmsg_type = type;
	control->cmsg_len = CMSG_LEN(bytes);
	memcpy(CMSG_DATA(control), data, bytes);
}

static void send_fds(const int *fds, size_t count)
{
	static struct letter letter;

	letter_begin(&letter, CMSG_SPACE(count * sizeof(int)));
	put_control(&letter, SCM_RIGHTS, fds, count * sizeof(int));
	MUST(sendmsg(line[1], &letter.head, 0) == 1);
}

/* What is sent is closed again: it is in the message alone. */
static void send_eventfds(size_t count)
{
	int fds[MESSAGE_FDS_MAX] = {0};

	for (size_t i = 0; i < count; i++) {
		fds[i] = (int)syscall(SYS_eventfd2, 0, 0);
		MUST(fds[i] >= 0);
	}
	send_fds(fds, count);
	for (size_t i = 0; i < count; i++)
		MUST(!close(fds[i]));
}

/* @return how many descriptors came with it */
static size_t take_numbers(struct msghdr *head, int type, int *to)
{
	size_t count = 0;

	for (struct cmsghdr *control = CMSG_FIRSTHDR(head); control; control = CMSG_NXTHDR(head, control)) {
		size_t bytes = control->cmsg_len - CMSG_LEN(0);

		if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != type)
			continue;
		memcpy(to + count, CMSG_DATA(control), bytes);
		count += bytes / sizeof(int);
	}
	return count;
}

LEAVES leave_recvmsg(void)
{
	size_t count;

	send_eventfds(1);
	letter_begin(&letters[0], CONTROL_BYTES);
	MUST(KERNEL_CALL4(SYS_recvmsg, line[0], &letters[0].head, 0, 0) == 1);
	count = take_numbers(&letters[0].head, SCM_RIGHTS, numbers);
	MUST(count == 1);
	made_many(__func__, "recvmsg", "eventfd", numbers, count);
	KEEP_FRAME();
}

LEAVES leave_recvmsg_several(void)
{
	size_t count;

	send_eventfds(3);
	letter_begin(&letters[0], CONTROL_BYTES);
	MUST(KERNEL_CALL4(SYS_recvmsg, line[0], &letters[0].head, MSG_CMSG_CLOEXEC, 0) == 1);
	count = take_numbers(&letters[0].head, SCM_RIGHTS, numbers);
	MUST(count == 3);
	made_many(__func__, "recvmsg", "eventfd", numbers, count);
	KEEP_FRAME();
}

LEAVES leave_recvmsg_full(void)
{
	size_t count;

	send_eventfds(MESSAGE_FDS_MAX);
	letter_begin(&letters[0], CONTROL_BYTES);
	MUST(KERNEL_CALL4(SYS_recvmsg, line[0], &letters[0].head, 0, 0) == 1);
	count = take_numbers(&letters[0].head, SCM_RIGHTS, numbers);
	MUST(count == MESSAGE_FDS_MAX);
	made_many(__func__, "recvmsg", "eventfd", numbers, count);
	KEEP_FRAME();
}

/* Four are sent, and there is room for two. */
LEAVES leave_recvmsg_truncated(void)
{
	size_t count;

	send_eventfds(4);
	letter_begin(&letters[0], CMSG_LEN(2 * sizeof(int)));
	MUST(KERNEL_CALL4(SYS_recvmsg, line[0], &letters[0].head, 0, 0) == 1);
	MUST(letters[0].head.msg_flags & MSG_CTRUNC);
	count = take_numbers(&letters[0].head, SCM_RIGHTS, numbers);
	MUST(count == 2);
	made_many(__func__, "recvmsg", "eventfd", numbers, count);
	KEEP_FRAME();
}

/* Credentials come first, as the socket asks for them. */
LEAVES leave_recvmsg_with_credentials(void)
{
	int yes = 1, no = 0;
	size_t count;

	MUST(!setsockopt(line[0], SOL_SOCKET, SO_PASSCRED, &yes, sizeof(yes)));
	send_eventfds(2);
	letter_begin(&letters[0], CONTROL_BYTES);
	MUST(KERNEL_CALL4(SYS_recvmsg, line[0], &letters[0].head, 0, 0) == 1);
	MUST(CMSG_FIRSTHDR(&letters[0].head)->cmsg_type == SCM_CREDENTIALS);
	MUST(!setsockopt(line[0], SOL_SOCKET, SO_PASSCRED, &no, sizeof(no)));
	count = take_numbers(&letters[0].head, SCM_RIGHTS, numbers);
	MUST(count == 2);
	made_many(__func__, "recvmsg", "eventfd", numbers, count);
	KEEP_FRAME();
}

/* Looking at a message gives descriptors, too; taking it without asking for them drops those. */
LEAVES leave_recvmsg_peek(void)
{
	size_t count;

	send_eventfds(1);
	letter_begin(&letters[0], CONTROL_BYTES);
	MUST(KERNEL_CALL4(SYS_recvmsg, line[0], &letters[0].head, MSG_PEEK, 0) == 1);
	MUST(recv(line[0], &letters[1].byte, 1, 0) == 1);
	count = take_numbers(&letters[0].head, SCM_RIGHTS, numbers);
	MUST(count == 1);
	made_many(__func__, "recvmsg", "eventfd", numbers, count);
	KEEP_FRAME();
}

/* The sender's pidfd, which nobody sent: this process's own. */
LEAVES leave_recvmsg_pidfd(void)
{
	int yes = 1, no = 0;
	size_t count;

	if (setsockopt(line[0], SOL_SOCKET, SO_PASSPIDFD, &yes, sizeof(yes))) {
		MUST(errno == ENOPROTOOPT);
		made_if_there(__func__, "SO_PASSPIDFD", "pidfd", -ENOSYS);
		return;
	}
	MUST(send(line[1], "", 1, 0) == 1);
	letter_begin(&letters[0], CONTROL_BYTES);
	MUST(KERNEL_CALL4(SYS_recvmsg, line[0], &letters[0].head, 0, 0) == 1);
	MUST(!setsockopt(line[0], SOL_SOCKET, SO_PASSPIDFD, &no, sizeof(no)));
	count = take_numbers(&letters[0].head, SCM_PIDFD, numbers);
	MUST(count == 1);
	made_many(__func__, "recvmsg", "pidfd", numbers, count);
	KEEP_FRAME();
}

/* Each type by what the file itself tells: one function each, as a group has one type. */
#define LEAVES_RECEIVED(what, type, make)                                              \
	LEAVES leave_received_##what(void)                                             \
	{                                                                              \
		int sent = (int)(make);                                                \
                                                                                       \
		MUST(sent >= 0);                                                       \
		send_fds(&sent, 1);                                                    \
		MUST(!close(sent));                                                    \
		letter_begin(&letters[0], CONTROL_BYTES);                              \
		MUST(KERNEL_CALL4(SYS_recvmsg, line[0], &letters[0].head, 0, 0) == 1); \
		MUST(take_numbers(&letters[0].head, SCM_RIGHTS, numbers) == 1);        \
		made_many(__func__, "recvmsg", type, numbers, 1);                      \
		KEEP_FRAME();                                                          \
	}

static long make_queue(void)
{
	long fd = syscall(SYS_mq_open, "leftopen-sent", O_RDWR | O_CREAT, 0600, NULL);

	MUST(!syscall(SYS_mq_unlink, "leftopen-sent"));
	return fd;
}

static long make_pipe_end(void)
{
	int pair[2];

	MUST(!pipe(pair) && !close(pair[1]));
	return pair[0];
}

LEAVES_RECEIVED(file, "file", open(path("sent"), O_RDWR | O_CREAT, 0600))
LEAVES_RECEIVED(memfd, "memfd", memfd_create("sent", 0))
LEAVES_RECEIVED(socket, "socket", socket(AF_INET, SOCK_DGRAM, 0))
LEAVES_RECEIVED(pipe, "pipe", make_pipe_end())
LEAVES_RECEIVED(pidfd, "pidfd", syscall(SYS_pidfd_open, getpid(), 0))
LEAVES_RECEIVED(queue, "mqueue", make_queue())
LEAVES_RECEIVED(epoll, "epoll", syscall(SYS_epoll_create1, 0))

static void slots_begin(size_t control_bytes)
{
	for (size_t i = 0; i < SLOTS; i++) {
		letter_begin(&letters[i], control_bytes);
		slots[i] = (struct mmsghdr){.msg_hdr = letters[i].head};
	}
}

LEAVES leave_recvmmsg(void)
{
	size_t count;

	send_eventfds(1);
	slots_begin(CONTROL_BYTES);
	MUST(KERNEL_CALL(SYS_recvmmsg, line[0], slots, 1, 0, NULL, 0) == 1);
	count = take_numbers(&slots[0].msg_hdr, SCM_RIGHTS, numbers);
	MUST(count == 1);
	made_many(__func__, "recvmmsg", "eventfd", numbers, count);
	KEEP_FRAME();
}

/* The first of three messages has none, the last slot gets none. */
LEAVES leave_recvmmsg_several(void)
{
	size_t count = 0;

	MUST(send(line[1], "", 1, 0) == 1);
	send_eventfds(2);
	send_eventfds(3);
	slots_begin(CONTROL_BYTES);
	MUST(KERNEL_CALL(SYS_recvmmsg, line[0], slots, SLOTS, MSG_DONTWAIT, NULL, 0) == 3);
	for (int i = 0; i < 3; i++)
		count += take_numbers(&slots[i].msg_hdr, SCM_RIGHTS, numbers + count);
	MUST(count == 5);
	made_many(__func__, "recvmmsg", "eventfd", numbers, count);
	KEEP_FRAME();
}

LEAVES leave_recvmmsg_truncated(void)
{
	size_t count = 0;

	send_eventfds(2);
	send_eventfds(2);
	slots_begin(CMSG_LEN(sizeof(int)));
	MUST(KERNEL_CALL(SYS_recvmmsg, line[0], slots, 2, 0, NULL, 0) == 2);
	for (int i = 0; i < 2; i++) {
		MUST(slots[i].msg_hdr.msg_flags & MSG_CTRUNC);
		count += take_numbers(&slots[i].msg_hdr, SCM_RIGHTS, numbers + count);
	}
	MUST(count == 2);
	made_many(__func__, "recvmmsg", "eventfd", numbers, count);
	KEEP_FRAME();
}

static void makers(void)
{
	MUST(!socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, line));
	leave_recvmsg();
	leave_recvmsg_several();
	leave_recvmsg_full();
	leave_recvmsg_truncated();
	leave_recvmsg_with_credentials();
	leave_recvmsg_peek();
	leave_recvmsg_pidfd();
	leave_received_file();
	leave_received_memfd();
	leave_received_socket();
	leave_received_pipe();
	leave_received_pidfd();
	leave_received_queue();
	leave_received_epoll();
	leave_recvmmsg();
	leave_recvmmsg_several();
	leave_recvmmsg_truncated();
	MUST(!close(line[0]) && !close(line[1]));
}

/* The cases below leave nothing, but for what they say. */
static void with_a_line(void (*run)(void))
{
	MUST(!socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, line));
	run();
	MUST(!close(line[0]) && !close(line[1]));
}

static size_t receive(int flags)
{
	letter_begin(&letters[0], CONTROL_BYTES);
	MUST(recvmsg(line[0], &letters[0].head, flags) == 1);
	return take_numbers(&letters[0].head, SCM_RIGHTS, numbers);
}

static void receive_and_close(void)
{
	send_eventfds(3);
	MUST(receive(0) == 3);
	for (int i = 0; i < 3; i++)
		MUST(!close(numbers[i]));
}

static void release_by_close(void)
{
	with_a_line(receive_and_close);
}

static void release_by_exec(void)
{
	MUST(!socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, line));
	send_eventfds(3);
	MUST(receive(MSG_CMSG_CLOEXEC) == 3);
	(void)execl("/proc/self/exe", "received", "--after-exec", scenario_name, NULL);
	MUST(false);
}

static void receive_without_room(void)
{
	send_eventfds(2);
	letter_begin(&letters[0], 0);
	MUST(recvmsg(line[0], &letters[0].head, 0) == 1 && letters[0].head.msg_flags & MSG_CTRUNC);
	send_eventfds(2);
	MUST(recv(line[0], &letters[0].byte, 1, 0) == 1);
}

static void no_room_for_any(void)
{
	with_a_line(receive_without_room);
}

/* Numbers that the process itself wrote where the kernel would have: it did not. */
static void put_stale_control(struct letter *letter)
{
	int standard[] = {0, 1, 2};

	letter_begin(letter, CMSG_SPACE(sizeof(standard)));
	put_control(letter, SCM_RIGHTS, standard, sizeof(standard));
}

static void receive_over_stale_control(void)
{
	MUST(send(line[1], "", 1, 0) == 1);
	put_stale_control(&letters[0]);
	MUST(recvmsg(line[0], &letters[0].head, 0) == 1 && !letters[0].head.msg_controllen);
	MUST(send(line[1], "", 1, 0) == 1);
	for (int i = 0; i < SLOTS; i++) {
		put_stale_control(&letters[i]);
		slots[i].msg_hdr = letters[i].head;
	}
	MUST(recvmmsg(line[0], slots, SLOTS, MSG_DONTWAIT, NULL) == 1);
	MUST(slots[1].msg_hdr.msg_controllen);
}

static void stale_control(void)
{
	with_a_line(receive_over_stale_control);
}

static void fail_to_receive(void)
{
	put_stale_control(&letters[0]);
	MUST(recvmsg(line[0], &letters[0].head, MSG_DONTWAIT) < 0 && errno == EAGAIN);
	MUST(recvmsg(777, &letters[0].head, 0) < 0 && errno == EBADF);
	slots[0].msg_hdr = letters[0].head;
	MUST(recvmmsg(line[0], slots, 1, MSG_DONTWAIT, NULL) < 0 && errno == EAGAIN);
	MUST(recvmmsg(777, slots, 1, 0, NULL) < 0 && errno == EBADF);
	MUST(syscall(SYS_recvmsg, line[0], 8, 0) < 0 && errno == EFAULT);
}

static void calls_that_fail(void)
{
	with_a_line(fail_to_receive);
}

static void receive_credentials(void)
{
	int yes = 1;

	MUST(!setsockopt(line[0], SOL_SOCKET, SO_PASSCRED, &yes, sizeof(yes)));
	MUST(send(line[1], "", 1, 0) == 1);
	MUST(!receive(0) && CMSG_FIRSTHDR(&letters[0].head)->cmsg_type == SCM_CREDENTIALS);
}

static void credentials_alone(void)
{
	with_a_line(receive_credentials);
}

/* Whoever receives answers for it, whoever sent does not. */
static void receive_in_a_child(void)
{
	MUST(receive(0) == 2);
	/* The copies of the line that it began with. */
	truth_inherited = (struct truth_numbers){.count = 5, .items = {0, 1, 2, line[0], line[1]}};
}

static void receiver_answers(void)
{
	pid_t child;

	MUST(!socketpair(AF_UNIX, SOCK_DGRAM, 0, line));
	child = scenario_fork("receiver", receive_in_a_child);
	send_eventfds(2);
	scenario_wait_for(child);
	MUST(!close(line[0]) && !close(line[1]));
}

static const struct scenario scenarios[] = {
        {"release_by_close", release_by_close}, {"release_by_exec", release_by_exec},
        {"no_room_for_any", no_room_for_any},   {"stale_control", stale_control},
        {"calls_that_fail", calls_that_fail},   {"credentials_alone", credentials_alone},
        {"receiver_answers", receiver_answers},
};

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "--after-exec")) {
		/* 0, 1 and 2 are all that it began with: what else is there it made before exec. */
		truth_inherited = (struct truth_numbers){.count = 3, .items = {0, 1, 2}};
		truth_tell(argv[2]);
		return 0;
	}
	MUST(argc == 2);
	folder = argv[1];
	truth_begin_alone();
	scenario_run_all(scenarios, sizeof(scenarios) / sizeof(scenarios[0]));
	makers();
	truth_tell("makers");
	return 0;
}
