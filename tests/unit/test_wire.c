/*
 * wire.c: what is sent comes as it was, and what is no message is none.
 */
#include "symbols/wire.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "random_numbers.h"

static int pair[2];
static struct wire_message sent, received;

static void setup(void)
{
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
}

static void teardown(void)
{
	fd_close(&pair[0]);
	fd_close(&pair[1]);
}

TestSuite(wire, .init = setup, .fini = teardown, .timeout = 60);

static int receive(void)
{
	return wire_receive(pair[1], &received, MSG_DONTWAIT);
}

Test(wire, as_it_was_sent)
{
	struct wire_need need = {.place = DEBUG_PLACE_HIDDEN, .bytes = 4}, read;
	char *text = NULL;

	wire_begin(&sent, WIRE_NEED, -1);
	cr_assert_eq(wire_put(&sent, &need, sizeof(need)), 0);
	cr_assert_eq(wire_put(&sent, "name", 4), 0);
	cr_assert_eq(wire_send(pair[0], &sent, 0), 0);
	cr_assert_eq(receive(), 0);
	cr_expect_eq(received.type, WIRE_NEED);
	cr_expect_eq(received.fd, -1);
	cr_assert_eq(wire_take(&received, &read, sizeof(read)), 0);
	cr_expect_arr_eq(&read, &need, sizeof(need));
	cr_expect_eq(wire_end(&received), -EBADMSG, "the name is still there");
	cr_assert_eq(wire_take_text(&received, 4, 4, &text), 0);
	cr_expect_str_eq(text, "name");
	free(text);
	cr_expect_eq(wire_end(&received), 0);
}

Test(wire, with_a_descriptor)
{
	char *text = NULL;
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	wire_begin(&sent, WIRE_OPEN, fd);
	cr_assert_eq(wire_send(pair[0], &sent, 0), 0);
	close(fd);
	cr_assert_eq(receive(), 0);
	cr_assert_geq(received.fd, 0);
	cr_expect_eq(fcntl(received.fd, F_GETFD), FD_CLOEXEC);
	cr_expect_eq(wire_take_text(&received, 1, 1, &text), -EBADMSG);
	close(received.fd);
}

Test(wire, full_and_no_more)
{
	static uint8_t content[WIRE_BYTES_MAX];
	uint64_t seed = 1;

	random_fill(&seed, content, sizeof(content));
	wire_begin(&sent, WIRE_ANSWER, -1);
	cr_assert_eq(wire_put(&sent, content, sizeof(content)), 0);
	cr_expect_eq(wire_put(&sent, content, 1), -EMSGSIZE);
	cr_assert_eq(wire_send(pair[0], &sent, 0), 0);
	cr_assert_eq(receive(), 0);
	cr_assert_eq(received.bytes, WIRE_BYTES_MAX);
	cr_expect_arr_eq(received.content, content, sizeof(content));
}

Test(wire, taken_no_further_than_there_is)
{
	uint8_t bytes[8] = {0};
	char *text = NULL;

	wire_begin(&sent, WIRE_ANSWER, -1);
	cr_assert_eq(wire_put(&sent, "a\0bcdef", 7), 0);
	cr_expect_eq(wire_take(&sent, bytes, 8), -EBADMSG);
	cr_expect_eq(wire_take(&sent, bytes, SIZE_MAX), -EBADMSG);
	cr_expect_eq(wire_take_text(&sent, 2, 8, &text), -EBADMSG, "a NUL");
	cr_assert_eq(wire_take(&sent, bytes, 2), 0);
	cr_expect_eq(wire_take_text(&sent, 5, 4, &text), -EBADMSG, "more than wanted");
	cr_expect_eq(wire_take_text(&sent, 6, 8, &text), -EBADMSG, "more than there is");
	cr_expect_eq(wire_take_text(&sent, UINT32_MAX, UINT32_MAX, &text), -EBADMSG);
	cr_expect_null(text);
	cr_assert_eq(wire_take_text(&sent, 0, 8, &text), 0);
	cr_expect_str_empty(text);
	free(text);
	cr_assert_eq(wire_take(&sent, bytes, 5), 0);
	cr_expect_eq(wire_end(&sent), 0);
}

Test(wire, nobody_there)
{
	cr_expect_eq(receive(), -EAGAIN);
	fd_close(&pair[0]);
	cr_expect_eq(receive(), -EPIPE);
	wire_begin(&sent, WIRE_FORGET, -1);
	cr_expect_eq(wire_send(pair[1], &sent, 0), -EPIPE);
}

static size_t open_descriptors(void)
{
	size_t count = 0;

	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

Test(wire, two_descriptors)
{
	const int fds[] = {pair[0], pair[1]};
	size_t before = open_descriptors();
	uint32_t header[] = {WIRE_OPEN, 0};
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(fds))];
	} control = {0};
	struct iovec vector = {.iov_base = header, .iov_len = sizeof(header)};
	struct msghdr parts = {.msg_iov = &vector,
	                       .msg_iovlen = 1,
	                       .msg_control = control.bytes,
	                       .msg_controllen = sizeof(control.bytes)};
	struct cmsghdr *rights = CMSG_FIRSTHDR(&parts);

	rights->cmsg_level = SOL_SOCKET;
	rights->cmsg_type = SCM_RIGHTS;
	rights->cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(rights), fds, sizeof(fds));
	cr_assert_eq(sendmsg(pair[0], &parts, 0), (ssize_t)sizeof(header));
	cr_expect_eq(receive(), -EBADMSG);
	cr_expect_eq(received.fd, -1);
	cr_expect_eq(open_descriptors(), before, "what is not taken is closed");
}

static void send_raw(const void *bytes, size_t count)
{
	cr_assert_eq(send(pair[0], bytes, count, 0), (ssize_t)count);
}

Test(wire, what_is_no_message)
{
	static uint8_t bytes[WIRE_BYTES_MAX + 64];
	uint32_t header[3] = {WIRE_OPENED, 4, 0};
	uint64_t seed = 2;

	send_raw(header, sizeof(header));
	cr_expect_eq(receive(), 0, "as it should be");
	for (size_t length = 1; length < sizeof(header); length++) {
		send_raw(header, length);
		cr_expect_eq(receive(), -EBADMSG, "%zu bytes", length);
	}
	for (uint32_t type = 0; type < 2; type++) {
		header[0] = type ? WIRE_TYPE_END : 0;
		send_raw(header, sizeof(header));
		cr_expect_eq(receive(), -EBADMSG, "type %u", header[0]);
	}
	header[0] = WIRE_OPENED;
	header[1] = UINT32_MAX;
	send_raw(header, sizeof(header));
	cr_expect_eq(receive(), -EBADMSG, "another length");
	header[1] = WIRE_BYTES_MAX + 1;
	memcpy(bytes, header, 8);
	send_raw(bytes, 8 + WIRE_BYTES_MAX + 1);
	cr_expect_eq(receive(), -EBADMSG, "too long");
	for (int i = 0; i < 20000; i++) {
		size_t length = random_below(&seed, 64) + 1;

		random_fill(&seed, bytes, length);
		send_raw(bytes, length);
		cr_assert_eq(receive(), -EBADMSG);
	}
}
