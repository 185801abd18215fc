/*
 * Every call that makes, changes or releases a mapping, each case in an image of its own (posix_spawn of
 * itself), so that all that is mapped in it was mapped after its exec. Usage: mappings FOLDER [CASE]. FOLDER
 * takes the file that is mapped. Outputs: for each case a line of /proc's maps as it ends; lines of what a
 * case made, where the test asks for that.
 */
#include <limits.h>
#include <pthread.h>
#include <spawn.h>
#include <linux/aio_abi.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>

#include "failed_moves.h"
#include "pages.h"
#include "scenario.h"

extern char **environ;
static const char *folder;
static int file_fd;

static void anonymous(void)
{
	made("anonymous_made", map(3), 3, "anon", 0);
}

static void length_in_part_of_a_page(void)
{
	MUST(mmap(NULL, PAGE + 1, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
}

static void shared_anonymous(void)
{
	made("shared_anonymous_made", map_shared(5), 5, "shm", 0);
}

static void file(void)
{
	char *address = mmap(NULL, 2 * PAGE, PROT_READ, MAP_PRIVATE, file_fd, 3 * PAGE);

	MUST(address != MAP_FAILED);
	made("file_made", address, 2, "file-map", 3 * PAGE);
}

static void file_shared(void)
{
	char *address = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file_fd, PAGE);

	MUST(address != MAP_FAILED);
	made("file_shared_made", address, 4, "file-map", PAGE);
}

static void stack(void)
{
	char *address = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE,
	                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);

	MUST(address != MAP_FAILED);
	made("stack_made", address, 16, "anon", 0);
}

static void released_whole(void)
{
	MUST(!munmap(map(7), 7 * PAGE));
}

static void released_in_the_middle(void)
{
	MUST(!munmap(map(9) + 3 * PAGE, 2 * PAGE));
}

static void released_at_both_ends(void)
{
	char *address = map(9);

	MUST(!munmap(address, PAGE));
	MUST(!munmap(address + 7 * PAGE, 2 * PAGE));
}

static void released_across_several(void)
{
	char *address = reserve(30);

	for (int i = 0; i < 3; i++)
		MUST(mmap(address + i * 10 * PAGE, 8 * PAGE, PROT_READ,
		          MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED);
	MUST(!munmap(address + 4 * PAGE, 20 * PAGE));
}

static void released_twice(void)
{
	char *address = map(4);

	MUST(!munmap(address, 2 * PAGE));
	MUST(!munmap(address, 2 * PAGE));
}

static void unmap_that_fails(void)
{
	char *address = map(6), *released = map(4);

	/* What came through before does not come back. */
	MUST(!munmap(released, 4 * PAGE));
	MUST(munmap(address + 1, PAGE) < 0 && errno == EINVAL);
	MUST(munmap(address, 0) < 0 && errno == EINVAL);
	MUST(munmap(address + 2 * PAGE, 1UL << 62) < 0 && errno == EINVAL);
	MUST(munmap(address + 2 * PAGE, 0UL - PAGE) < 0 && errno == EINVAL);
}

static void map_that_fails(void)
{
	MUST(mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
	MUST(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, 777, 0) == MAP_FAILED);
	MUST(mmap(map(2), PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) ==
	     MAP_FAILED);
}

static void overlaid_in_the_middle(void)
{
	char *address = map(8);

	MUST(mmap(address + 2 * PAGE, 3 * PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, file_fd, 0) ==
	     address + 2 * PAGE);
	made("overlaid_made", address + 2 * PAGE, 3, "file-map", 0);
}

static void overlaid_across_several(void)
{
	char *address = reserve(20);

	for (int i = 0; i < 3; i++)
		MUST(mmap(address + i * 6 * PAGE, 4 * PAGE, PROT_READ,
		          MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED);
	MUST(mmap(address + 2 * PAGE, 12 * PAGE, PROT_READ, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0) !=
	     MAP_FAILED);
}

static void protected_in_the_middle(void)
{
	MUST(!mprotect(map(6) + 2 * PAGE, 2 * PAGE, PROT_READ));
}

static void grown_in_place(void)
{
	char *address = map(12);

	MUST(!munmap(address + 4 * PAGE, 8 * PAGE));
	MUST(resize(address, 4, 7, 0, NULL) == address);
}

static void grown_by_a_move(void)
{
	char *address = map(8);

	/* The next pages are taken, so it cannot grow where it is. */
	MUST(mmap(address + 4 * PAGE, PAGE, PROT_READ, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0) !=
	     MAP_FAILED);
	MUST(resize(address, 4, 64, MREMAP_MAYMOVE, NULL) != MAP_FAILED);
}

static void part_grown_by_a_move(void)
{
	MUST(resize(map(8) + 2 * PAGE, 3, 20, MREMAP_MAYMOVE, NULL) != MAP_FAILED);
}

static void moved_over_another(void)
{
	char *from = map(4), *to = map_shared(9);

	MUST(resize(from, 4, 4, MREMAP_MAYMOVE | MREMAP_FIXED, to + 2 * PAGE) == to + 2 * PAGE);
}

static void moved_and_shrunk(void)
{
	char *from = map(6), *to = reserve(10);

	MUST(resize(from, 6, 2, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
}

static void shrunk(void)
{
	char *address = map(9);

	MUST(resize(address, 9, 2, 0, NULL) == address);
}

static void file_grown_by_a_move(void)
{
	char *address = mmap(NULL, 3 * PAGE, PROT_READ, MAP_SHARED, file_fd, PAGE);

	MUST(address != MAP_FAILED);
	MUST(mmap(address + 2 * PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) !=
	     MAP_FAILED);
	MUST((address = resize(address, 2, 6, MREMAP_MAYMOVE, NULL)) != MAP_FAILED);
	made("file_grown_made", address, 6, "file-map", PAGE);
}

static void duplicated(void)
{
	char *address = map_shared(6), *copy = resize(address, 0, 6, MREMAP_MAYMOVE, NULL);

	MUST(copy != MAP_FAILED && copy != address);
	made("duplicated_made", copy, 6, "shm", 0);
}

static void duplicated_from_the_middle(void)
{
	char *address = map_shared(6), *copy = resize(address + 2 * PAGE, 0, 3, MREMAP_MAYMOVE, NULL);

	MUST(copy != MAP_FAILED && copy != address);
	/* What went wrong inside a model shows when the first range changes again. */
	MUST(!munmap(address + PAGE, 3 * PAGE));
}

static void old_range_kept(void)
{
	char *address = map(5), *moved = resize(address, 5, 5, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);

	MUST(moved != MAP_FAILED && moved != address);
	made("old_range_kept_made", moved, 5, "anon", 0);
}

static void shifted_many_times(void)
{
	char *address = map(2);

	for (size_t pages = 2; pages < 200; pages++) {
		address = resize(address, pages, pages + 1, MREMAP_MAYMOVE, NULL);
		MUST(address != MAP_FAILED);
		if (pages % 7 == 0)
			(void)map(1);
		if (pages % 11 == 0)
			MUST(!munmap(map(3) + PAGE, PAGE));
	}
}

static void *exit_at_once(void *unused)
{
	return unused;
}

/* Stacks that libc keeps for the next thread, arenas that it makes for one, large blocks of malloc. */
static void by_libc(void)
{
	static void *volatile kept[4];
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		MUST(!pthread_create(&threads[i], NULL, exit_at_once, NULL));
	for (int i = 0; i < 4; i++)
		MUST(!pthread_join(threads[i], NULL));
	for (int i = 0; i < 4; i++)
		kept[i] = malloc(i % 2 ? 3000000 : 1000);
	free(kept[1]);
	kept[3] = realloc(kept[3], 9000000);
	MUST(kept[3]);
}

static void *map_and_unmap(void *rounds)
{
	for (int i = 0; i < *(int *)rounds; i++) {
		char *address = map(4);

		MUST(!munmap(address + PAGE, 2 * PAGE) && !munmap(address, 4 * PAGE));
	}
	(void)map(1);
	return NULL;
}

/* What one thread releases the kernel gives to another at once. */
static void threads_at_once(void)
{
	static int rounds = 500;
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		MUST(!pthread_create(&threads[i], NULL, map_and_unmap, &rounds));
	for (int i = 0; i < 4; i++)
		MUST(!pthread_join(threads[i], NULL));
}

/* What a fork's child does to what it inherited changes nothing of its parent's, and the other way round. */
static void forked(void)
{
	char *private = map(10), *shared = map_shared(6);
	pid_t child = fork();

	MUST(child >= 0);
	if (!child) {
		MUST(!munmap(private + 2 * PAGE, 3 * PAGE));
		MUST(resize(shared, 6, 2, 0, NULL) == shared);
		made("child_made", map(4), 4, "anon", 0);
		MUST(mmap(private, PAGE, PROT_READ, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
		     private);
		made("child_overlaid", private, 1, "shm", 0);
		truth_tell_mappings("forked_child");
		exit(0);
	}
	MUST(!munmap(private, PAGE));
	(void)map(2);
	scenario_wait_for(child);
}

static void forked_and_left(void)
{
	char *address = map(10);
	pid_t child = fork();

	MUST(child >= 0);
	if (!child) {
		truth_tell_mappings("idle_child");
		_exit(0);
	}
	scenario_wait_for(child);
	/* The set was shared with the child until now. */
	MUST(!munmap(address + 4 * PAGE, PAGE));
}

/* What madvise(2) keeps from children, also where it was moved since; and what it gives back to them. */
static void kept_from_children(void)
{
	char *address = map(10), *to = map(4), *moved = map(4);
	pid_t child;

	MUST(!madvise(address + 2 * PAGE, 4 * PAGE, MADV_DONTFORK));
	MUST(!madvise(address + 3 * PAGE, PAGE, MADV_DOFORK));
	MUST(madvise(address + 1, PAGE, MADV_DONTFORK) == -1 && errno == EINVAL);
	MUST(!munmap(address + 8 * PAGE, PAGE));
	MUST(madvise(address + 7 * PAGE, 3 * PAGE, MADV_DONTFORK) == -1 && errno == ENOMEM);
	MUST(!madvise(moved, 4 * PAGE, MADV_DONTFORK));
	MUST(resize(moved, 4, 4, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
	child = fork();
	MUST(child >= 0);
	if (!child) {
		child = fork();
		MUST(child >= 0);
		truth_tell_mappings(child ? "child_kept_from" : "grandchild_kept_from");
		if (child)
			scenario_wait_for(child);
		exit(0);
	}
	scenario_wait_for(child);
}

static char *attach_segment(size_t pages)
{
	int id = shmget(IPC_PRIVATE, pages * PAGE, 0600);
	char *address = shmat(id, NULL, 0);

	MUST(id >= 0 && address != (void *)-1 && !shmctl(id, IPC_RMID, NULL));
	return address;
}

static void segment(void)
{
	made("segment_made", attach_segment(3), 3, "shm", 0);
}

/* In three pieces. */
static void segment_detached(void)
{
	char *address = attach_segment(4), *kept = map(2);

	MUST(shmdt(kept) < 0 && errno == EINVAL);
	MUST(shmdt(address + PAGE) < 0 && errno == EINVAL);
	MUST(!mprotect(address + PAGE, PAGE, PROT_READ) && !shmdt(address));
}

static void aio_ring(void)
{
	aio_context_t released = 0, kept = 0;

	MUST(!syscall(SYS_io_setup, 64, &released) && !syscall(SYS_io_setup, 256, &kept));
	MUST(!syscall(SYS_io_destroy, released));
	MUST(syscall(SYS_io_destroy, released) < 0);
}

static void huge_pages(void)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_NORESERVE;
	char *address = mmap(NULL, PAGE, PROT_READ, flags, -1, 0);

	MUST(address != MAP_FAILED);
	made("huge_pages_made", address, 512, "anon", 0);
	MUST(!munmap(mmap(NULL, PAGE, PROT_READ, flags, -1, 0), 512 * PAGE));
}

static void heap(void)
{
	MUST(sbrk(20 * PAGE + 5) != (void *)-1 && sbrk(3 * PAGE) != (void *)-1);
	MUST(sbrk(-7 * (intptr_t)PAGE) != (void *)-1);
	MUST(sbrk(1L << 46) == (void *)-1);
}

static const struct scenario scenarios[] = {
        {"segment", segment},
        {"segment_detached", segment_detached},
        {"aio_ring", aio_ring},
        {"huge_pages", huge_pages},
        {"heap", heap},
        {"anonymous", anonymous},
        {"length_in_part_of_a_page", length_in_part_of_a_page},
        {"shared_anonymous", shared_anonymous},
        {"file", file},
        {"file_shared", file_shared},
        {"stack", stack},
        {"released_whole", released_whole},
        {"released_in_the_middle", released_in_the_middle},
        {"released_at_both_ends", released_at_both_ends},
        {"released_across_several", released_across_several},
        {"released_twice", released_twice},
        {"unmap_that_fails", unmap_that_fails},
        {"map_that_fails", map_that_fails},
        {"overlaid_in_the_middle", overlaid_in_the_middle},
        {"overlaid_across_several", overlaid_across_several},
        {"protected_in_the_middle", protected_in_the_middle},
        {"grown_in_place", grown_in_place},
        {"grown_by_a_move", grown_by_a_move},
        {"part_grown_by_a_move", part_grown_by_a_move},
        {"moved_over_another", moved_over_another},
        {"moved_and_shrunk", moved_and_shrunk},
        {"shrunk", shrunk},
        {"file_grown_by_a_move", file_grown_by_a_move},
        {"duplicated", duplicated},
        {"duplicated_from_the_middle", duplicated_from_the_middle},
        {"old_range_kept", old_range_kept},
        {"resize_that_fails", resize_that_fails},
        {"move_of_several_that_fails", move_of_several_that_fails},
        {"move_that_is_interrupted", move_that_is_interrupted},
        {"shifted_many_times", shifted_many_times},
        {"by_libc", by_libc},
        {"threads_at_once", threads_at_once},
        {"forked", forked},
        {"forked_and_left", forked_and_left},
        {"kept_from_children", kept_from_children},
};

static void open_file(void)
{
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/mapped", folder);
	file_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	MUST(file_fd >= 0 && !ftruncate(file_fd, 16 * PAGE));
}

int main(int argc, char **argv)
{
	static char program[] = "/proc/self/exe";

	MUST(argc == 2 || argc == 3);
	folder = argv[1];
	truth_begin_alone();
	open_file();
	for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
		char *arguments[] = {argv[0], argv[1], (char *)scenarios[i].name, NULL};
		pid_t child;

		if (argc == 3 && !strcmp(argv[2], scenarios[i].name)) {
			scenarios[i].run();
			truth_tell_mappings(argv[2]);
		} else if (argc == 2) {
			MUST(!posix_spawn(&child, program, NULL, NULL, arguments, environ));
			scenario_wait_for(child);
		}
	}
	if (argc == 2)
		truth_tell_mappings("spawner");
	return 0;
}
