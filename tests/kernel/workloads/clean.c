/*
 * A program that does what programs do and cleans up behind itself: files, streams, folders, sockets, pipes,
 * mappings, threads, children. Nothing is to be found. Usage: clean FOLDER
 */
#include <netinet/in.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "scenario.h"

#define ROUNDS 50

static void use_files(const char *folder)
{
	char path[512], line[64];
	DIR *entries;
	FILE *stream;

	(void)snprintf(path, sizeof(path), "%s/file", folder);
	MUST((stream = fopen(path, "w+")));
	MUST(fprintf(stream, "a line\n") > 0 && !fseek(stream, 0, SEEK_SET));
	MUST(fgets(line, sizeof(line), stream) && !fclose(stream));
	MUST((entries = opendir(folder)));
	while (readdir(entries))
		;
	MUST(!closedir(entries));
}

static void use_a_mapping(const char *folder)
{
	char path[512];
	void *address;
	int fd;

	(void)snprintf(path, sizeof(path), "%s/file", folder);
	MUST((fd = open(path, O_RDWR | O_CLOEXEC)) >= 0 && !ftruncate(fd, 65536));
	address = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	MUST(address != MAP_FAILED && !close(fd));
	memset(address, 'x', 65536);
	MUST(!munmap(address, 65536));
}

static void use_sockets(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), client, server;
	socklen_t bytes = sizeof(address);
	struct epoll_event event = {.events = EPOLLIN};
	int poller = epoll_create1(EPOLL_CLOEXEC);

	MUST(listener >= 0 && poller >= 0);
	MUST(!bind(listener, (struct sockaddr *)&address, bytes) && !listen(listener, 1));
	MUST(!getsockname(listener, (struct sockaddr *)&address, &bytes));
	MUST((client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) >= 0);
	MUST(!connect(client, (struct sockaddr *)&address, bytes));
	MUST(!epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event) && epoll_wait(poller, &event, 1, -1) == 1);
	MUST((server = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0);
	MUST(!close(server) && !close(client) && !close(listener) && !close(poller));
}

static void use_a_child(void)
{
	FILE *output = popen("echo from a child", "re");
	char line[64];

	MUST(output && fgets(line, sizeof(line), output) && !pclose(output));
}

static void *work(void *folder)
{
	use_files(folder);
	use_sockets();
	return malloc(300000);
}

static void use_a_thread(const char *folder)
{
	pthread_t thread;
	void *result;

	MUST(!pthread_create(&thread, NULL, work, (void *)folder) && !pthread_join(thread, &result));
	free(result);
}

int main(int argc, char **argv)
{
	char *lines[ROUNDS];

	MUST(argc == 2);
	for (int i = 0; i < ROUNDS; i++) {
		use_files(argv[1]);
		use_a_mapping(argv[1]);
		use_sockets();
		use_a_thread(argv[1]);
		if (i % 10 == 0)
			use_a_child();
		/* Memory that is kept to the end is libc's affair. */
		lines[i] = malloc(200000);
		MUST(lines[i]);
	}
	printf("done\n");
	return 3;
}
