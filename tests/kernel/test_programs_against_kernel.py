"""The live sets of every process against the kernel's own tables, while ordinary programs work.

tests/soak has the same for servers and for CPython's own tests.
"""

import os

import leftopen
from ordinary import GIT
from quiet_points import work


def test_git(watch, group, tmp_path):
    """Two thousand objects, cloned through a pack, read, and packed again."""
    names = work(watch, group, """
git init -q origin
for folder in linux asm-generic c++ x86_64-linux-gnu; do
    git -C origin --work-tree=/usr/include add "$folder"
    git -C origin commit -q -m "$folder"
done
for copy in one two; do
    git clone -q --no-local origin $copy
    git -C $copy log -p --stat > /dev/null
    git -C $copy gc -q --prune=now
    git -C $copy fsck --full
    git -C $copy log -p --stat > /dev/null
done
test "$(git -C two rev-list --all --objects | wc -l)" -gt 1000
""", tmp_path, 5, 0.2, {**os.environ, **GIT})
    assert "git" in names


def test_parallel_make(watch, group, tmp_path):
    """A part of leftopen itself."""
    names = work(watch, group, """
make -C %s -j4 BUILD="$PWD" "$PWD/leftopen.bpf.o"
make -C %s -j4 BUILD="$PWD" "$PWD"/src/base/{arena,clock,escape,fd}.o "$PWD"/src/report/{json,text,text_print,text_stack}.o
""" % (leftopen.SOURCE, leftopen.SOURCE), tmp_path, 6, 0.2)
    assert "make" in names and names & {"cc1", "clang-14"}


def test_sqlite(watch, group, tmp_path):
    """Three clients of a database with a write-ahead log, which is a mapping that all of them share."""
    (tmp_path / "client.sql").write_text("""
.timeout 60000
PRAGMA mmap_size = 1000000;
CREATE TEMP TABLE mine AS SELECT * FROM stock;
""" + """
BEGIN IMMEDIATE;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
    INSERT INTO stock (name, amount) SELECT hex(randomblob(20)), i FROM n;
COMMIT;
SELECT count(*) FROM (SELECT name, sum(amount) FROM stock GROUP BY substr(name, 3, 6) ORDER BY 2);
UPDATE stock SET amount = amount + 1 WHERE id % 7 = 0;
DELETE FROM stock WHERE id % 3 = 0;
PRAGMA wal_checkpoint;
""" * 100)
    names = work(watch, group, """
sqlite3 stock.db "PRAGMA journal_mode = WAL; CREATE TABLE stock (id INTEGER PRIMARY KEY, name TEXT, amount INTEGER);
    CREATE INDEX by_name ON stock (name);"
for client in 1 2 3; do
    sqlite3 -bail stock.db ".read client.sql" > "said-$client" & running="$running $!"
done
for client in $running; do wait "$client"; done
sqlite3 stock.db "VACUUM; PRAGMA integrity_check;" | grep -qx ok
""", tmp_path, 6, 0.2)
    assert "sqlite3" in names
