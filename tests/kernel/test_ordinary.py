"""Ordinary software cleans up, or is about to end: no finding of it is a leak.

Each is followed completely, without drift, and its exit status is passed through.
"""

import os

import leftopen
import truth
from ordinary import GIT, assert_clean, program, write


def test_clean_program(tmp_path):
    result = leftopen.run(leftopen.workload("clean"), str(tmp_path), options=["--samples", "0"])
    assert_clean(result, status=3, least_processes=6)
    command = result.report["processes"][0]
    assert not [site for site in result.report["sites"] if site["verdict"] != "held"], result.stderr
    assert not truth.groups_of(result.report, "fd")
    assert command["fds"]["live"] == 3 and command["fds"]["opened"] >= 500
    # 50 rounds of mmap and munmap, and what libc and the loader keep.
    assert all(group["category"] != "application" for group in truth.groups_of(result.report, "map"))


def test_git(tmp_path):
    script = write(tmp_path, "git.sh", """
set -e
cd "$1"
git init -q origin && cd origin
for i in 1 2 3 4 5 6; do
    for j in 1 2 3 4 5 6 7 8; do echo "$i $j" > "file-$j"; done
    git add .
    git commit -q -m "commit $i"
    git checkout -q -b "branch-$i"
done
git gc -q --prune=now
git log --stat --all > /dev/null
cd ..
git clone -q origin copy
cd copy && git log -p > /dev/null && git fsck > /dev/null 2>&1
echo changed > file-1 && git diff > /dev/null && git stash -q && git stash pop -q
git commit -q -a -m changed && git push -q origin HEAD:refs/heads/pushed
cd ../origin && git merge -q pushed && git grep -q changed
git archive HEAD | tar -tf - | wc -l
""")
    program("git")
    result = leftopen.run("/bin/sh", script, str(tmp_path), env=GIT)
    assert_clean(result, least_processes=40)
    assert result.stdout.split() == [b"8"]


def test_make_and_gcc(tmp_path):
    for i in range(30):
        write(tmp_path, "part%d.c" % i, "#include <stdio.h>\nint part%d(void) { return printf(\"%d\\n\"); }\n" % (i, i))
    write(tmp_path, "main.c", "".join("int part%d(void);\n" % i for i in range(30)) + "int main(void) { return !(%s); }\n"
          % " + ".join("part%d()" % i for i in range(30)))
    write(tmp_path, "Makefile", """
OBJECTS := main.o $(patsubst %.c,%.o,$(wildcard part*.c))
all: program
	./program > output
program: $(OBJECTS)
	$(CC) -o $@ $^
%.o: %.c
	$(CC) -O2 -g -c -o $@ $<
""")
    program("gcc")
    result = leftopen.run(program("make"), "-s", "-j2", cwd=str(tmp_path))
    assert_clean(result, least_processes=90)
    assert len((tmp_path / "output").read_text().split()) == 30
    assert sum(process["comm"] == "cc1" for process in result.report["processes"]) == 31


def test_make_that_fails(tmp_path):
    write(tmp_path, "Makefile", "all:\n\tfalse\n")
    assert_clean(leftopen.run(program("make"), "-s", cwd=str(tmp_path)), status=2)


def test_bash(tmp_path):
    script = write(tmp_path, "script.bash", """
cd "$1"
total=0
for i in $(seq 20); do
    echo "$i" | sed s/1/2/ | tr 2 3 > "out-$i"
    total=$((total + $(wc -c < "out-$i")))
    ( exec 7> "sub-$i"; echo in a subshell >&7 )
    while read -r line; do :; done < "out-$i"
    diff <(sort "out-$i") <(sort -r "out-$i") > /dev/null
    { echo grouped; echo again >&2; } > grouped 2>&1
    exec 5< "out-$i" 6>&1 > /dev/null
    echo to nowhere
    exec 1>&6 6>&- 5<&-
done
coproc cat
echo through a coprocess >&"${COPROC[1]}"
read -r back <&"${COPROC[0]}"
exec {COPROC[1]}>&-
wait
sleep 0.05 & wait $!
cat <<< "$back" <<END
here $total
END
exit 7
""")
    result = leftopen.run(program("bash"), script, str(tmp_path))
    assert_clean(result, status=7, least_processes=150)
    assert result.stdout.split()[0] == b"here"


def test_perl(tmp_path):
    script = write(tmp_path, "script.pl", """
use strict; use warnings; use IO::File; use File::Temp; use Socket; use File::Find;
for my $i (1 .. 40) {
    open(my $out, '>', "$ARGV[0]/perl-$i") or die; print $out "line $i\\n"; close($out) or die;
    my $in = IO::File->new("$ARGV[0]/perl-$i", 'r') or die; my @lines = <$in>; undef $in;
    my $temporary = File::Temp->new; print $temporary "x";
    socketpair(my $a, my $b, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die;
    find(sub { }, $ARGV[0]) if $i % 20 == 0;
    my $said = `echo $i` if $i % 10 == 0;
}
exit 5;
""")
    assert_clean(leftopen.run(program("perl"), script, str(tmp_path)), status=5, least_processes=5)


def test_node(tmp_path):
    script = write(tmp_path, "script.js", """
const fs = require('fs'), path = require('path'), http = require('http'), child = require('child_process');
const folder = process.argv[2];
async function round(i) {
    const name = path.join(folder, 'node-' + i);
    await fs.promises.writeFile(name, 'x'.repeat(1000));
    const handle = await fs.promises.open(name);
    await handle.read(Buffer.alloc(100), 0, 100, 0);
    await handle.close();
    const stream = fs.createReadStream(name);
    for await (const part of stream) part.length;
    fs.readdirSync(folder);
}
async function serve() {
    const server = http.createServer((request, response) => response.end('hello'));
    await new Promise(done => server.listen(0, '127.0.0.1', done));
    for (let i = 0; i < 10; i++) {
        const answer = await fetch('http://127.0.0.1:' + server.address().port + '/' + i);
        await answer.text();
    }
    server.closeAllConnections();
    await new Promise(done => server.close(done));
}
(async () => {
    for (let i = 0; i < 30; i++) await round(i);
    await serve();
    for (let i = 0; i < 4; i++) child.execFileSync('/bin/echo', [String(i)]);
    console.log('done');
    process.exitCode = 4;
})();
""")
    result = leftopen.run(program("node", "nodejs"), script, str(tmp_path))
    assert_clean(result, status=4, least_processes=5)
    assert result.stdout == b"done\n"


def test_sqlite(tmp_path):
    statements = write(tmp_path, "statements.sql", """
PRAGMA journal_mode = WAL;
CREATE TABLE stock (id INTEGER PRIMARY KEY, name TEXT, amount INTEGER);
CREATE INDEX by_name ON stock (name);
""" + "".join("BEGIN; INSERT INTO stock (name, amount) VALUES ('thing %d', %d); COMMIT;\n" % (i, i) for i in range(200)) + """
ATTACH DATABASE 'other.db' AS other;
CREATE TABLE other.copy AS SELECT * FROM stock;
DETACH DATABASE other;
VACUUM;
.output rows.txt
SELECT count(*) FROM stock;
.output stdout
.backup backup.db
""")
    result = leftopen.run(program("sqlite3"), "stock.db", ".read %s" % statements, cwd=str(tmp_path))
    assert_clean(result)
    assert (tmp_path / "rows.txt").read_text() == "200\n"


def test_fixed_pytest_suite():
    folder = os.path.join(leftopen.SOURCE, "tests", "demo", "fixed")
    result = leftopen.run(leftopen.PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", folder, cwd=folder)
    assert_clean(result)
    assert b" passed" in result.stdout and b"failed" not in result.stdout
