/*
 * model/rooms.c: where code belongs.
 */
#include <criterion/criterion.h>

#include <stddef.h>

#include "model/rooms.h"

struct example {
	const char *path;
	enum frame_room room;
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const struct room_rules no_rules;

Test(rooms, native)
{
	static const struct example examples[] = {
	        {"/usr/lib/x86_64-linux-gnu/libc.so.6", ROOM_LIBC},
	        {"/lib/x86_64-linux-gnu/libc-2.31.so", ROOM_LIBC},
	        {"/lib/libc.musl-x86_64.so.1", ROOM_LIBC},
	        {"/lib/x86_64-linux-gnu/libpthread-2.31.so", ROOM_LIBC},
	        {"/lib/x86_64-linux-gnu/libpthread.so.0", ROOM_LIBC},
	        {"/usr/lib/x86_64-linux-gnu/libm.so.6", ROOM_LIBC},
	        {"/usr/lib/x86_64-linux-gnu/libdl.so.2", ROOM_LIBC},
	        {"/usr/lib/x86_64-linux-gnu/librt.so.1", ROOM_LIBC},
	        {"[vdso]", ROOM_LIBC},
	        {"/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", ROOM_LOADER},
	        {"/lib/x86_64-linux-gnu/ld-2.31.so", ROOM_LOADER},
	        {"/lib/ld-musl-x86_64.so.1", ROOM_LOADER},
	        {"/usr/bin/python3.11", ROOM_RUNTIME},
	        {"/root/.pyenv/versions/3.8.18/bin/python3.8", ROOM_RUNTIME},
	        {"/usr/lib/x86_64-linux-gnu/libpython3.11.so.1.0", ROOM_RUNTIME},
	        {"/usr/bin/perl", ROOM_RUNTIME},
	        {"/usr/bin/node", ROOM_RUNTIME},
	        {"/usr/lib/jvm/lib/server/libjvm.so", ROOM_RUNTIME},
	        {"/usr/lib/python3.11/lib-dynload/_ssl.cpython-311-x86_64-linux-gnu.so", ROOM_RUNTIME},
	        {"/usr/lib/x86_64-linux-gnu/libsqlite3.so.0.8.6", ROOM_LIBRARY},
	        {"/lib64/libz.so.1", ROOM_LIBRARY},
	        {"/opt/oracle/libclntsh.so", ROOM_LIBRARY},
	        {"/home/ada/venv/lib/python3.11/site-packages/numpy/core.so", ROOM_LIBRARY},
	        {"/home/ada/web/node_modules/sharp/sharp.so", ROOM_LIBRARY},
	        {"/home/ada/shop/libshop.so", ROOM_APPLICATION},
	        /* A program is its own application, wherever it is installed. */
	        {"/usr/bin/git", ROOM_APPLICATION},
	        {"/usr/sbin/nginx", ROOM_APPLICATION},
	        {"/home/ada/shop/a.out", ROOM_APPLICATION},
	        {"a.out", ROOM_APPLICATION},
	        {"", ROOM_APPLICATION},
	        /* Not libc, whatever it begins with. */
	        {"/usr/lib/x86_64-linux-gnu/libcurl.so.4", ROOM_LIBRARY},
	        {"/home/ada/libc.so.6/tool", ROOM_APPLICATION},
	        {"/home/ada/\xff\n[*]", ROOM_APPLICATION},
	};

	for (size_t i = 0; i < COUNT_OF(examples); i++)
		cr_assert_eq(rooms_of_native(&no_rules, examples[i].path), examples[i].room, "%s",
		             examples[i].path);
}

Test(rooms, python)
{
	static const struct example examples[] = {
	        {"<frozen importlib._bootstrap>", ROOM_RUNTIME},
	        {"<string>", ROOM_APPLICATION},
	        {"/usr/lib/python3.11/socket.py", ROOM_RUNTIME},
	        {"/usr/lib/python3.9/asyncio/base_events.py", ROOM_RUNTIME},
	        {"/root/.pyenv/versions/3.13.0/lib/python3.13/os.py", ROOM_RUNTIME},
	        {"/usr/lib64/python3.11/socket.py", ROOM_RUNTIME},
	        {"/usr/lib/python3/dist-packages/_pytest/main.py", ROOM_LIBRARY},
	        {"/home/ada/venv/lib/python3.11/site-packages/requests/api.py", ROOM_LIBRARY},
	        {"/root/.pyenv/versions/3.8.18/lib/python3.8/site-packages/x.py", ROOM_LIBRARY},
	        {"/home/ada/shop/.tox/py311/x.py", ROOM_LIBRARY},
	        {"/home/ada/shop/.venv/x.py", ROOM_LIBRARY},
	        {"/usr/share/reportbug/x.py", ROOM_LIBRARY},
	        {"/home/ada/shop/tests/test_shop.py", ROOM_APPLICATION},
	        {"tests/test_shop.py", ROOM_APPLICATION},
	        {"/usr/bin/tool", ROOM_APPLICATION},
	        {"", ROOM_APPLICATION},
	};

	for (size_t i = 0; i < COUNT_OF(examples); i++)
		cr_assert_eq(rooms_of_python(&no_rules, examples[i].path), examples[i].room, "%s",
		             examples[i].path);
}

/* The user's word comes before every pattern. */
Test(rooms, application_globs)
{
	static const char *const globs[] = {"*/site-packages/ours/*", "/usr/lib/*/libsqlite3.so*"};
	static const struct room_rules rules = {globs, 2};

	cr_assert_eq(rooms_of_python(&rules, "/v/lib/python3.11/site-packages/ours/db/x.py"),
	             ROOM_APPLICATION);
	cr_assert_eq(rooms_of_python(&rules, "/v/lib/python3.11/site-packages/theirs/x.py"), ROOM_LIBRARY);
	cr_assert_eq(rooms_of_native(&rules, "/usr/lib/x86_64-linux-gnu/libsqlite3.so.0"), ROOM_APPLICATION);
	cr_assert_eq(rooms_of_native(&rules, "/usr/lib/x86_64-linux-gnu/libz.so.1"), ROOM_LIBRARY);
}
