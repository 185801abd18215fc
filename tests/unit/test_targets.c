/*
 * model/targets.c, model/kinds.c: what a descriptor refers to in words, and the type that it tells where its
 * maker did not.
 */
#include <criterion/criterion.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "model/kinds.h"
#include "model/targets.h"

#define MODE_ANONYMOUS 0600 /* an anonymous inode has no type bits (fs/anon_inodes.c) */

static struct event_fd_target event;

static void refer(uint32_t mode, uint32_t filesystem, enum path_state state, const char *name)
{
	memset(&event, 0, sizeof(event));
	event.mode = mode;
	event.filesystem = filesystem;
	event.path.state = state;
	event.path.bytes = (uint32_t)strlen(name) + 1;
	memcpy(event.names, name, event.path.bytes);
}

static void check(const char *expected, enum handle_type type)
{
	char *text = targets_describe(&event);

	cr_assert_str_eq(text, expected);
	cr_assert_eq(targets_type(&event), type, "%s: %s", expected, kinds_type_name(targets_type(&event)));
	free(text);
}

/* As 6.18 names them; see the callers of anon_inode_getfile(). */
Test(targets, anonymous_inodes)
{
	static const struct {
		const char *name;
		enum handle_type type;
	} names[] = {
	        {"[eventfd]", HANDLE_TYPE_EVENTFD},
	        {"[eventpoll]", HANDLE_TYPE_EPOLL},
	        {"[timerfd]", HANDLE_TYPE_TIMERFD},
	        {"[signalfd]", HANDLE_TYPE_SIGNALFD},
	        {"inotify", HANDLE_TYPE_INOTIFY},
	        {"[fanotify]", HANDLE_TYPE_FANOTIFY},
	        {"[pidfd]", HANDLE_TYPE_PIDFD}, /* before 6.9 */
	        {"[userfaultfd]", HANDLE_TYPE_USERFAULTFD},
	        {"[perf_event]", HANDLE_TYPE_PERF},
	        {"bpf-map", HANDLE_TYPE_BPF},
	        {"bpf-prog", HANDLE_TYPE_BPF},
	        {"bpf_link", HANDLE_TYPE_BPF},
	        {"bpf_iter", HANDLE_TYPE_BPF},
	        {"btf", HANDLE_TYPE_BPF},
	        {"[io_uring]", HANDLE_TYPE_IO_URING},
	        {"[fscontext]", HANDLE_TYPE_MOUNT},
	        {"[landlock-ruleset]", HANDLE_TYPE_LANDLOCK},
	        {"seccomp notify", HANDLE_TYPE_SECCOMP},
	        {"kvm-vcpu:0", HANDLE_TYPE_OTHER_FD},
	        {"", HANDLE_TYPE_OTHER_FD},
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		refer(MODE_ANONYMOUS, FILESYSTEM_ANONYMOUS, PATH_BARE, names[i].name);
		check(names[i].name, names[i].type);
	}
}

Test(targets, memory_files)
{
	refer(S_IFREG, 0, PATH_BARE, "memfd:cache");
	check("memfd:cache", HANDLE_TYPE_MEMFD);
	refer(S_IFREG, 0, PATH_BARE, "secretmem");
	check("secretmem", HANDLE_TYPE_MEMFD);
}

/* A file that somebody gave the name of another thing is a file. */
Test(targets, names_in_folders)
{
	refer(S_IFREG, 0, PATH_COMPLETE, "[eventfd]");
	check("/[eventfd]", HANDLE_TYPE_OTHER_FD);
	refer(S_IFREG, 0, PATH_COMPLETE, "memfd:cache");
	check("/memfd:cache", HANDLE_TYPE_OTHER_FD);
	refer(S_IFIFO, 0, PATH_COMPLETE, "fifo");
	check("/fifo", HANDLE_TYPE_OTHER_FD);
	refer(S_IFSOCK, 0, PATH_COMPLETE, "bound");
	check("/bound", HANDLE_TYPE_OTHER_FD);
	refer(S_IFDIR, 0, PATH_DETACHED, "tmpfs");
	check("[detached tmpfs]/", HANDLE_TYPE_OTHER_FD);
}

Test(targets, pidfds)
{
	refer(S_IFREG, FILESYSTEM_PIDFS, PATH_BARE, "/");
	event.pidfd_process_id = 4711;
	check("pidfd of 4711", HANDLE_TYPE_PIDFD);
	event.pidfd_process_id = 0;
	check("[pidfd]", HANDLE_TYPE_PIDFD);
	refer(MODE_ANONYMOUS, FILESYSTEM_ANONYMOUS, PATH_BARE, "[pidfd]");
	event.pidfd_process_id = 4294967295U;
	check("pidfd of 4294967295", HANDLE_TYPE_PIDFD);
}

Test(targets, namespaces_and_queues)
{
	refer(S_IFREG, FILESYSTEM_NSFS, PATH_BARE, "net");
	check("net namespace", HANDLE_TYPE_OTHER_FD);
	refer(S_IFREG, FILESYSTEM_NSFS, PATH_COMPLETE, "net");
	check("/net", HANDLE_TYPE_OTHER_FD);
	refer(S_IFREG, FILESYSTEM_MQUEUE, PATH_COMPLETE, "queue");
	check("/queue", HANDLE_TYPE_MQUEUE);
	refer(S_IFDIR, FILESYSTEM_MQUEUE, PATH_COMPLETE, "mqueue");
	check("/mqueue", HANDLE_TYPE_OTHER_FD);
}

Test(targets, pipes_and_sockets)
{
	refer(S_IFIFO, 0, PATH_BARE, "");
	check("pipe", HANDLE_TYPE_OTHER_FD);
	refer(S_IFSOCK, 0, PATH_BARE, "UNIX");
	event.socket.family = AF_UNIX;
	check("unix", HANDLE_TYPE_OTHER_FD);
	event.socket = (struct event_socket){
	        .family = AF_INET, .protocol = IPPROTO_TCP, .local_port = 80, .remote_port = 4711};
	cr_assert_eq(inet_pton(AF_INET, "127.0.0.1", event.socket.local_address), 1);
	cr_assert_eq(inet_pton(AF_INET, "10.0.0.2", event.socket.remote_address), 1);
	check("tcp 127.0.0.1:80 -> 10.0.0.2:4711", HANDLE_TYPE_OTHER_FD);
	event.socket = (struct event_socket){.family = 65000};
	check("socket", HANDLE_TYPE_OTHER_FD);
}
