/*
 * load/loader.c against the running kernel: reading the ring while events come faster than they are consumed.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include "load/loader.h"
#include "load/tracefs.h"

/* Each event that is consumed is followed by two more. */
static int open_and_close(void *context, const void *data, size_t bytes)
{
	uint64_t *consumed_bytes = context;
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)data;
	*consumed_bytes += bytes;
	return fd < 0 || close(fd) ? -1 : 0;
}

Test(loader, a_storm_does_not_keep_the_reader, .timeout = 30)
{
	const struct loader_options options = {.stacks = STACKS_MODE_NONE,
	                                       .ring_bytes = LOADER_RING_BYTES_MIN};
	struct loader_error error = {""};
	uint64_t consumed_bytes = 0;
	struct loader *loader;
	int tracefs_fd;

	cr_assert_eq(tracefs_open(&tracefs_fd), 0);
	cr_assert_eq(loader_open(&options, &loader, &error), 0, "%s", error.text);
	cr_assert_eq(loader_attach(loader, tracefs_fd, &error), 0, "%s", error.text);
	/* Or the test would wait for all to be detached. */
	cr_assert_eq(loader_hand_over(loader), 0);
	cr_assert_eq(loader_set_consumer(loader, open_and_close, &consumed_bytes), 0);
	cr_assert_eq(loader_follow(loader, (uint32_t)getpid(), 0), 0);
	loader_switch(loader, true);
	cr_assert_eq(open_and_close(&consumed_bytes, NULL, 0), 0);
	cr_assert_eq(loader_consume(loader), 0);
	cr_assert_geq(consumed_bytes, LOADER_RING_BYTES_MIN);
	loader_switch(loader, false);
	/* What waits then is handed over whole. */
	cr_assert_eq(loader_consume(loader), 0);
	consumed_bytes = 0;
	cr_assert_eq(loader_consume(loader), 0);
	cr_assert_eq(consumed_bytes, 0);
	loader_free(loader);
	(void)close(tracefs_fd);
}
