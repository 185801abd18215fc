"""Ordinary software that is large cleans up, or is about to end: no finding of it is a leak.

tests/kernel/test_ordinary.py has the small ones. Suites are those that Debian's packages bring along.
"""

import os
import re

import leftopen
import pytest
import servers
from ordinary import GIT, assert_clean, program, write

# Tests that cannot pass here: classes that are made for others to inherit from, what needs files of the source
# package, and what fails where a machine is slow.
SUITES = {
    "jsonschema": (["--ignore=/usr/lib/python3/dist-packages/jsonschema/tests/test_jsonschema_test_suite.py"], 400),
    "pyflakes": (["-k", "not IntegrationTests"], 700),
    "tornado": (["-k", "not Mixin and not UnixSocketTest and not timeout and not performance"], 1000),
}

JAVA = """
import java.io.*; import java.net.*; import java.nio.*; import java.nio.channels.*; import java.nio.file.*;
import java.util.*; import java.util.concurrent.*; import java.util.stream.*; import java.util.zip.*;

public class Work {
    static void serve(ServerSocket listener, int clients) {
        try {
            for (int i = 0; i < clients; i++)
                try (Socket socket = listener.accept()) { socket.getOutputStream().write(("hello " + i).getBytes()); }
        } catch (IOException error) { throw new UncheckedIOException(error); }
    }

    public static void main(String[] arguments) throws Exception {
        Path folder = Paths.get(arguments[0]);
        ExecutorService threads = Executors.newFixedThreadPool(4);
        for (int i = 0; i < 40; i++) {
            Path path = folder.resolve("java-" + i);
            try (PrintWriter writer = new PrintWriter(Files.newBufferedWriter(path))) { writer.println("line " + i); }
            try (Stream<String> lines = Files.lines(path)) { lines.count(); }
            try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
                channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size()).get(0);
            }
            try (GZIPOutputStream packed = new GZIPOutputStream(Files.newOutputStream(folder.resolve("packed-" + i)))) {
                packed.write(new byte[10000]);
            }
        }
        try (ServerSocket listener = new ServerSocket(0, 50, InetAddress.getLoopbackAddress())) {
            Future<?> server = threads.submit(() -> serve(listener, 30));
            for (int i = 0; i < 30; i++)
                try (Socket socket = new Socket(listener.getInetAddress(), listener.getLocalPort())) {
                    socket.getInputStream().readAllBytes();
                }
            server.get();
        }
        for (int i = 0; i < 5; i++) new ProcessBuilder("/bin/true").start().waitFor();
        try (Selector selector = Selector.open()) { selector.selectNow(); }
        List<Future<Integer>> sums = new ArrayList<>();
        for (int i = 0; i < 50; i++) sums.add(threads.submit(() -> new Random(1).ints(100000).sum()));
        for (Future<Integer> sum : sums) sum.get();
        threads.shutdown();
        System.out.println("done");
        System.exit(6);
    }
}
"""

GO = """
package main

import ("bufio"; "fmt"; "io"; "net/http"; "net/http/httptest"; "os"; "os/exec"; "path/filepath"; "sync")

func check(err error) { if err != nil { panic(err) } }

func main() {
    folder := os.Args[1]
    var all sync.WaitGroup
    for i := 0; i < 40; i++ {
        all.Add(1)
        go func(i int) {
            defer all.Done()
            path := filepath.Join(folder, fmt.Sprintf("go-%d", i))
            check(os.WriteFile(path, []byte("line\\n"), 0o644))
            file, err := os.Open(path)
            check(err)
            defer file.Close()
            bufio.NewScanner(file).Scan()
        }(i)
    }
    all.Wait()
    server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "hello") }))
    for i := 0; i < 50; i++ {
        answer, err := http.Get(server.URL)
        check(err)
        _, err = io.ReadAll(answer.Body)
        check(err)
        answer.Body.Close()
    }
    server.Close()
    for i := 0; i < 5; i++ { check(exec.Command("/bin/true").Run()) }
    fmt.Println("done")
    os.Exit(7)
}
"""


def test_git_of_many_objects(tmp_path):
    script = write(tmp_path, "git.sh", """
set -e
cd "$1"
git init -q origin
for folder in linux asm-generic c++ x86_64-linux-gnu; do
    git -C origin --work-tree=/usr/include add "$folder"
    git -C origin commit -q -m "$folder"
done
for copy in one two three four; do
    git clone -q --no-local origin $copy
    git -C $copy log -p --stat > /dev/null
    git -C $copy gc -q --aggressive --prune=now
    git -C $copy log -p --stat > /dev/null
done
""")
    assert_clean(leftopen.run("/bin/sh", script, str(tmp_path), env=GIT, timeout=600), least_processes=40)


def test_java(tmp_path):
    source = write(tmp_path, "Work.java", JAVA)
    assert_clean(leftopen.run(program("javac"), "-d", str(tmp_path), source, timeout=300))
    result = leftopen.run(program("java"), "-cp", str(tmp_path), "Work", str(tmp_path), timeout=300)
    assert_clean(result, status=6, least_processes=6)
    assert result.stdout == b"done\n"


def test_go(tmp_path):
    write(tmp_path, "go.mod", "module work\n")
    write(tmp_path, "main.go", GO)
    places = {"GOPATH": str(tmp_path / "path"), "GOCACHE": str(tmp_path / "cache"), "GOFLAGS": "-mod=mod",
              "GOPROXY": "off", "GOTOOLCHAIN": "local", "HOME": str(tmp_path)}
    result = leftopen.run(program("go"), "build", "-o", "work", ".", cwd=str(tmp_path), env=places, timeout=600)
    assert_clean(result, least_processes=5)
    result = leftopen.run(str(tmp_path / "work"), str(tmp_path))
    assert_clean(result, status=7, least_processes=6)
    assert result.stdout == b"done\n"


@pytest.mark.parametrize("user, script, least", [("postgres", servers.postgres(15), 200), ("www-data", servers.nginx(8), 80)],
                         ids=["postgres", "nginx"])
def test_server(user, script, least):
    """Started, used by several clients, and stopped."""
    with servers.folder_of(user) as folder:
        result = leftopen.run(*servers.command_as(user, script), cwd=folder, timeout=300)
    assert_clean(result, least_processes=least)


@pytest.mark.parametrize("name", SUITES)
def test_pytest_suite(name, tmp_path):
    """The tests pass, are announced, and none of them leaks."""
    options, least = SUITES[name]
    result = leftopen.run(leftopen.PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--pyargs", name, *options,
                          cwd=str(tmp_path), timeout=600)
    assert_clean(result)
    assert int(re.search(rb"(\d+) passed", result.stdout).group(1)) >= least
    assert os.path.basename(result.report["processes"][0]["exe"]).startswith("python3")
