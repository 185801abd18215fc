/*
 * Descriptors made by requests to io_uring: each in a function named for it that leaves what it made open.
 * What makes none and what releases is in uring_none.c. Usage: uring FOLDER. Outputs: for each maker a line
 * of its numbers, for the process the truth.
 */
#include <linux/openat2.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "uring_ring.h"

#define SAME_NAME 3

static struct ring ring;

/* @return the path of a file that is there */
static const char *present(const char *name)
{
	int fd = open(path(name), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	MUST(fd >= 0 && !close(fd));
	return path(name);
}

LEAVES leave_openat(void)
{
	int fd;

	ring_openat(&ring, present("openat"), 1);
	MUST(RING_ENTER(&ring, 1, 1) == 1);
	fd = ring_result(&ring);
	made_one(__func__, "io_uring", "file", fd);
	KEEP_FRAME();
}

/* That creates the file, which a worker does. */
LEAVES leave_openat2(void)
{
	static struct open_how how = {.flags = O_RDWR | O_CREAT, .mode = 0600};

	ring_next(&ring, IORING_OP_OPENAT2, AT_FDCWD, path("openat2"), sizeof(how), 1)->off = (uintptr_t)&how;
	MUST(RING_ENTER(&ring, 1, 1) == 1);
	made_one(__func__, "io_uring", "file", ring_result(&ring));
	KEEP_FRAME();
}

/* In one call, and all of one name. */
LEAVES leave_several(void)
{
	int fds[SAME_NAME];

	for (int i = 0; i < SAME_NAME; i++)
		ring_openat(&ring, present("several"), 0);
	MUST(RING_ENTER(&ring, SAME_NAME, SAME_NAME) == SAME_NAME);
	for (int i = 0; i < SAME_NAME; i++)
		fds[i] = ring_result(&ring);
	made_many(__func__, "io_uring", "file", fds, SAME_NAME);
	KEEP_FRAME();
}

LEAVES leave_by_worker(void)
{
	ring_openat(&ring, present("by_worker"), 1)->flags = IOSQE_ASYNC;
	MUST(RING_ENTER(&ring, 1, 1) == 1);
	made_one(__func__, "io_uring", "file", ring_result(&ring));
	KEEP_FRAME();
}

LEAVES leave_linked(void)
{
	int fds[2];

	ring_openat(&ring, present("linked"), 1)->flags = IOSQE_IO_LINK;
	ring_openat(&ring, present("linked"), 2);
	MUST(RING_ENTER(&ring, 2, 2) == 2);
	fds[0] = ring_result(&ring);
	fds[1] = ring_result(&ring);
	made_many(__func__, "io_uring", "file", fds, 2);
	KEEP_FRAME();
}

LEAVES leave_socket(void)
{
	ring_next(&ring, IORING_OP_SOCKET, AF_INET, NULL, 0, 1)->off = SOCK_DGRAM;
	MUST(RING_ENTER(&ring, 1, 1) == 1);
	made_one(__func__, "io_uring", "socket", ring_result(&ring));
	KEEP_FRAME();
}

/* @return a socket that listens at a name of its own */
static int listening(const char *name, struct sockaddr_un *ret_address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), length;

	*ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
	length = snprintf(ret_address->sun_path, sizeof(ret_address->sun_path), "%s/%s", folder, name);
	MUST(length > 0 && length < (int)sizeof(ret_address->sun_path));
	MUST(fd >= 0 && !bind(fd, (struct sockaddr *)ret_address, sizeof(*ret_address)) && !listen(fd, 8));
	return fd;
}

static int connected(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	MUST(fd >= 0 && !connect(fd, (const struct sockaddr *)address, sizeof(*address)));
	return fd;
}

LEAVES leave_accept(void)
{
	struct sockaddr_un address;
	int listener = listening("accept", &address), client = connected(&address), fd;

	ring_next(&ring, IORING_OP_ACCEPT, listener, NULL, 0, 1);
	MUST(RING_ENTER(&ring, 1, 1) == 1);
	fd = ring_result(&ring);
	MUST(!close(listener) && !close(client));
	made_one(__func__, "io_uring", "socket", fd);
	KEEP_FRAME();
}

/* Who connects comes when the request waits already. */
LEAVES leave_accept_multishot(void)
{
	struct sockaddr_un address;
	int listener = listening("multishot", &address), clients[3], fds[3];
	struct ring_done done;

	ring_next(&ring, IORING_OP_ACCEPT, listener, NULL, 0, 0)->ioprio = IORING_ACCEPT_MULTISHOT;
	MUST(RING_ENTER(&ring, 1, 0) == 1);
	/* Others of that name come and go meanwhile. */
	ring_next(&ring, IORING_OP_NOP, -1, NULL, 0, 0);
	ring_next(&ring, IORING_OP_OPENAT, AT_FDCWD, "/nowhere/at/all", 0, 0);
	MUST(RING_ENTER(&ring, 2, 2) == 2);
	(void)ring_result(&ring);
	(void)ring_result(&ring);
	for (int i = 0; i < 3; i++) {
		clients[i] = connected(&address);
		MUST(RING_ENTER(&ring, 0, 1) == 0);
		done = ring_take(&ring);
		MUST(done.flags & IORING_CQE_F_MORE);
		fds[i] = done.result;
	}
	ring_next(&ring, IORING_OP_ASYNC_CANCEL, -1, NULL, 0, 9)->addr = 0;
	MUST(RING_ENTER(&ring, 1, 2) == 1);
	(void)ring_take(&ring);
	(void)ring_take(&ring);
	MUST(!close(listener));
	for (int i = 0; i < 3; i++)
		MUST(!close(clients[i]));
	made_many(__func__, "io_uring", "socket", fds, 3);
	KEEP_FRAME();
}

/* Two files, sent and closed. */
static void send_files(int line)
{
	struct iovec byte = {.iov_base = "x", .iov_len = 1};
	char control[CMSG_SPACE(2 * sizeof(int))] __attribute__((aligned(8))) = {0};
	struct msghdr head = {
	        .msg_iov = &byte, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
	int fds[2];

	for (int i = 0; i < 2; i++) {
		fds[i] = open(path("sent"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		MUST(fds[i] >= 0);
	}
	CMSG_FIRSTHDR(&head)->cmsg_level = SOL_SOCKET;
	CMSG_FIRSTHDR(&head)->cmsg_type = SCM_RIGHTS;
	CMSG_FIRSTHDR(&head)->cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(CMSG_FIRSTHDR(&head)), fds, sizeof(fds));
	MUST(sendmsg(line, &head, 0) == 1 && !close(fds[0]) && !close(fds[1]));
}

LEAVES leave_recvmsg(void)
{
	char control[256] __attribute__((aligned(8))), byte;
	struct iovec vector = {.iov_base = &byte, .iov_len = 1};
	struct msghdr head = {.msg_iov = &vector,
	                      .msg_iovlen = 1,
	                      .msg_control = control,
	                      .msg_controllen = sizeof(control)};
	int line[2], fds[2];

	MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, line));
	ring_next(&ring, IORING_OP_RECVMSG, line[0], &head, 1, 1);
	MUST(RING_ENTER(&ring, 1, 0) == 1);
	send_files(line[1]);
	MUST(RING_ENTER(&ring, 0, 1) == 0);
	MUST(ring_result(&ring) == 1);
	memcpy(fds, CMSG_DATA(CMSG_FIRSTHDR(&head)), sizeof(fds));
	MUST(!close(line[0]) && !close(line[1]));
	made_many(__func__, "io_uring", "file", fds, 2);
	KEEP_FRAME();
}

LEAVES leave_fixed_fd_install(void)
{
	int fd;

	ring_add_slots(&ring, 2);
	ring_openat_direct(&ring, present("installed"), 1);
	MUST(RING_ENTER(&ring, 1, 1) == 1);
	MUST(!ring_result(&ring));
	ring_next(&ring, OP_FIXED_FD_INSTALL, 0, NULL, 0, 1)->flags = IOSQE_FIXED_FILE;
	MUST(RING_ENTER(&ring, 1, 1) == 1);
	fd = ring_result(&ring);
	made_if_there(__func__, "io_uring", "file", fd == -EINVAL ? -ENOSYS : fd);
	KEEP_FRAME();
}

LEAVES leave_pipe(void)
{
	static int fds[2];
	int result;

	ring_next(&ring, OP_PIPE, 0, fds, 0, 1);
	MUST(RING_ENTER(&ring, 1, 1) == 1);
	result = ring_result(&ring);
	if (result == -EINVAL)
		made_if_there(__func__, "io_uring", "pipe", -ENOSYS);
	else
		made_many(__func__, "io_uring", "pipe", fds, 2);
	KEEP_FRAME();
}

static struct ring shared;
static pthread_mutex_t shared_lock = PTHREAD_MUTEX_INITIALIZER;

#define SHARED_COUNT 8

struct sharer {
	pthread_t thread;
	int thread_id;
	int fds[SHARED_COUNT];
};

/* Each takes what it submitted itself, as programs do that share a ring. */
#define OPEN_IN_SHARED_RING(sharer)                                                     \
	for (int i_ = 0; i_ < SHARED_COUNT; i_++) {                                     \
		MUST(!pthread_mutex_lock(&shared_lock));                                \
		ring_openat(&shared, "/dev/null", 5)->flags = i_ & 1 ? IOSQE_ASYNC : 0; \
		MUST(RING_ENTER(&shared, 1, 1) == 1);                                   \
		(sharer)->fds[i_] = ring_result(&shared);                               \
		MUST(!pthread_mutex_unlock(&shared_lock));                              \
	}                                                                               \
	(sharer)->thread_id = gettid()

__attribute__((noinline)) static void *leave_by_one_thread(void *sharer)
{
	OPEN_IN_SHARED_RING((struct sharer *)sharer);
	KEEP_FRAME();
	return NULL;
}

__attribute__((noinline)) static void *leave_by_another_thread(void *sharer)
{
	OPEN_IN_SHARED_RING((struct sharer *)sharer);
	KEEP_FRAME();
	return NULL;
}

static void tell_sharer(const char *maker, struct sharer *sharer)
{
	MUST(!pthread_join(sharer->thread, NULL));
	truth_begin_line(maker);
	truth_add(&truth_line, ", \"tid\": %d, \"shared\": [", sharer->thread_id);
	for (int i = 0; i < SHARED_COUNT; i++)
		truth_add(&truth_line, "%s%d", i ? ", " : "", sharer->fds[i]);
	truth_add(&truth_line, "]");
	truth_write();
}

static void leave_by_threads(void)
{
	static struct sharer one, another;

	ring_open(&shared, 8, 0);
	MUST(!pthread_create(&one.thread, NULL, leave_by_one_thread, &one));
	MUST(!pthread_create(&another.thread, NULL, leave_by_another_thread, &another));
	tell_sharer("leave_by_one_thread", &one);
	tell_sharer("leave_by_another_thread", &another);
}

int main(int argc, char **argv)
{
	MUST(argc == 2);
	folder = argv[1];
	truth_begin_alone();
	ring_open(&ring, 8, 0);
	leave_openat();
	leave_openat2();
	leave_several();
	leave_by_worker();
	leave_linked();
	leave_socket();
	leave_accept();
	leave_accept_multishot();
	leave_recvmsg();
	leave_fixed_fd_install();
	leave_pipe();
	leave_by_threads();
	truth_tell("makers");
	return 0;
}
