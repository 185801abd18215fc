/*
 * Requests to io_uring that release descriptors, that make none, and those of which nobody hears: each case
 * in a process of its own that tells the truth of itself. Usage: uring_none FOLDER.
 */
#include <pthread.h>
#include <sys/socket.h>

#include "uring_ring.h"

static struct ring ring;

/* A request of which the result is known, and no stack is looked for. */
static int submit(struct ring *to)
{
	MUST(RING_ENTER(to, 1, 1) == 1);
	return ring_result(to);
}

static int open_null(void)
{
	ring_openat(&ring, "/dev/null", 1);
	return submit(&ring);
}

static void release_by_close_request(void)
{
	int fd;

	ring_open(&ring, 8, 0);
	fd = open_null();
	MUST(fd >= 0 && open("/dev/null", O_RDONLY | O_CLOEXEC) == fd + 1);
	for (int i = 0; i < 2; i++) {
		ring_next(&ring, IORING_OP_CLOSE, fd + i, NULL, 0, 1);
		MUST(!submit(&ring));
	}
}

/* Nobody hears that it is done, alone and at the end of others. */
static void release_in_silence(void)
{
	int alone, last;

	ring_open(&ring, 8, 0);
	alone = open_null();
	last = open_null();
	MUST(alone >= 0 && last >= 0);
	ring_next(&ring, IORING_OP_CLOSE, alone, NULL, 0, 1)->flags = IOSQE_CQE_SKIP_SUCCESS;
	MUST(RING_ENTER(&ring, 1, 0) == 1);
	ring_next(&ring, IORING_OP_NOP, -1, NULL, 0, 1)->flags = IOSQE_IO_LINK;
	ring_next(&ring, IORING_OP_CLOSE, last, NULL, 0, 2)->flags = IOSQE_CQE_SKIP_SUCCESS;
	MUST(RING_ENTER(&ring, 2, 1) == 2);
	MUST(!ring_result(&ring) && !ring_has(&ring));
}

/* It is refused, and told: what should have been closed is still there. */
static void release_in_silence_fails(void)
{
	int fd;

	ring_open(&ring, 8, 0);
	fd = open_null();
	ring_next(&ring, IORING_OP_OPENAT, AT_FDCWD, "/nowhere/at/all", 0, 1)->flags = IOSQE_IO_LINK;
	ring_next(&ring, IORING_OP_CLOSE, fd, NULL, 0, 2)->flags = IOSQE_CQE_SKIP_SUCCESS;
	MUST(RING_ENTER(&ring, 2, 2) == 2);
	MUST(ring_result(&ring) == -ENOENT && ring_result(&ring) == -ECANCELED);
}

/* The number is another's when the completion comes. */
static void close_and_open_at_once(void)
{
	int fd;

	ring_open(&ring, 8, 0);
	fd = open_null();
	ring_next(&ring, IORING_OP_CLOSE, fd, NULL, 0, 1)->flags = IOSQE_IO_LINK;
	ring_openat(&ring, "/dev/zero", 2);
	MUST(RING_ENTER(&ring, 2, 2) == 2);
	MUST(!ring_result(&ring) && ring_result(&ring) == fd);
}

static void released_by_system_calls(void)
{
	int fds[3];

	ring_open(&ring, 8, 0);
	for (int i = 0; i < 3; i++)
		fds[i] = open_null();
	MUST(!close(fds[0]) && !syscall(SYS_close_range, fds[1], fds[1], 0) &&
	     dup2(ring.fd, fds[2]) == fds[2]);
}

static void requests_that_fail(void)
{
	ring_open(&ring, 8, 0);
	ring_next(&ring, IORING_OP_OPENAT, AT_FDCWD, "/nowhere/at/all", 0, 1);
	MUST(submit(&ring) == -ENOENT);
	ring_next(&ring, IORING_OP_SOCKET, 12345, NULL, 0, 1)->off = SOCK_DGRAM;
	MUST(submit(&ring) < 0);
	ring_next(&ring, IORING_OP_CLOSE, 999, NULL, 0, 1);
	MUST(submit(&ring) == -EBADF);
	/* A ring is not closed by itself. */
	ring_next(&ring, IORING_OP_CLOSE, ring.fd, NULL, 0, 1);
	MUST(submit(&ring) == -EBADF);
}

/* They are in the ring's own table, and their results are slots of it. */
static void direct_descriptors(void)
{
	struct io_uring_sqe *socket;

	ring_open(&ring, 8, 0);
	ring_add_slots(&ring, 8);
	ring_openat_direct(&ring, "/dev/null", 1);
	MUST(!submit(&ring));
	/* Where the kernel chooses it tells which: a number that a descriptor might have. */
	for (int i = 0; i < 5; i++) {
		ring_openat_direct(&ring, "/dev/null", IORING_FILE_INDEX_ALLOC);
		MUST(submit(&ring) == i + 1);
	}
	socket = ring_next(&ring, IORING_OP_SOCKET, AF_INET, NULL, 0, 1);
	socket->off = SOCK_DGRAM;
	socket->file_index = 8;
	MUST(!submit(&ring));
	ring_next(&ring, IORING_OP_CLOSE, 0, NULL, 0, 1)->file_index = 4;
	MUST(!submit(&ring));
}

/* The kernel's thread submits. */
static void leave_by_kernel_thread(void)
{
	ring_open(&ring, 8, IORING_SETUP_SQPOLL);
	ring_openat(&ring, "/dev/null", 1);
	ring_openat(&ring, "/dev/null", 2);
	ring_publish_to_thread(&ring, 2);
	SCENARIO_WAIT_UNTIL(__atomic_load_n(ring.cq_tail, __ATOMIC_ACQUIRE) == 2);
	MUST(ring_result(&ring) >= 0);
	ring_next(&ring, IORING_OP_CLOSE, ring_result(&ring), NULL, 0, 1);
	ring_publish_to_thread(&ring, 1);
	SCENARIO_WAIT_UNTIL(ring_has(&ring));
	MUST(!ring_result(&ring));
}

/* Completions wait for who submitted to ask for them. */
static void completions_on_demand(void)
{
	ring_open(&ring, 8, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
	ring_openat(&ring, "/dev/null", 1)->flags = IOSQE_ASYNC;
	MUST(submit(&ring) >= 0);
}

static void *submit_and_end(void *unused)
{
	(void)unused;
	for (int i = 0; i < 6; i++)
		ring_openat(&ring, "/dev/null", (unsigned int)i)->flags = IOSQE_ASYNC;
	MUST(RING_ENTER(&ring, 6, 0) == 6);
	return NULL;
}

/* Some are done, and the kernel cancels the rest. */
static void submitter_ends(void)
{
	pthread_t thread;

	ring_open(&ring, 8, 0);
	MUST(!pthread_create(&thread, NULL, submit_and_end, NULL) && !pthread_join(thread, NULL));
	SCENARIO_WAIT_UNTIL(__atomic_load_n(ring.cq_tail, __ATOMIC_ACQUIRE) == 6);
}

/* More are done than there is room for. */
static void completions_overflow(void)
{
	ring_open(&ring, 2, 0);
	MUST(ring.params.cq_entries == 4);
	for (unsigned int i = 0; i < 6; i++) {
		ring_openat(&ring, "/dev/null", i);
		MUST(RING_ENTER(&ring, 1, 0) == 1);
	}
	/* It may be left to a worker, as in 6.1. */
	for (int fd = ring.fd + 1; fd <= ring.fd + 6; fd++)
		SCENARIO_WAIT_UNTIL(fcntl(fd, F_GETFD) >= 0);
}

/* Each of them ends before its completion is looked at. */
static void closed_before_it_is_told(void)
{
	int fd;

	ring_open(&ring, 8, 0);
	fd = open_null();
	MUST(!close(fd));
	ring_openat(&ring, "/dev/null", 1)->flags = IOSQE_IO_LINK;
	ring_next(&ring, IORING_OP_CLOSE, fd, NULL, 0, 2);
	MUST(RING_ENTER(&ring, 2, 2) == 2);
	MUST(ring_result(&ring) == fd && !ring_result(&ring));
}

/* A child has the ring, too, and a table of its own. */
static void ring_of_the_parent(void)
{
	ring_openat(&ring, "/dev/null", 1);
	MUST(submit(&ring) >= 0);
}

static void shared_with_a_child(void)
{
	ring_open(&ring, 8, 0);
	MUST(open_null() >= 0);
	scenario_wait_for(scenario_fork("ring_of_the_parent", ring_of_the_parent));
}

int main(int argc, char **argv)
{
	static const struct scenario scenarios[] = {
	        {"release_by_close_request", release_by_close_request},
	        {"release_in_silence", release_in_silence},
	        {"release_in_silence_fails", release_in_silence_fails},
	        {"close_and_open_at_once", close_and_open_at_once},
	        {"released_by_system_calls", released_by_system_calls},
	        {"requests_that_fail", requests_that_fail},
	        {"direct_descriptors", direct_descriptors},
	        {"leave_by_kernel_thread", leave_by_kernel_thread},
	        {"completions_on_demand", completions_on_demand},
	        {"submitter_ends", submitter_ends},
	        {"completions_overflow", completions_overflow},
	        {"closed_before_it_is_told", closed_before_it_is_told},
	        {"shared_with_a_child", shared_with_a_child},
	};

	MUST(argc == 2);
	folder = argv[1];
	truth_begin_alone();
	scenario_run_all(scenarios, sizeof(scenarios) / sizeof(scenarios[0]));
	return 0;
}
