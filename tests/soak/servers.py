"""Scripts that start, use and stop servers, each in a folder of its own, as the user whom the folder belongs to.

Purpose: tests follow the shell that runs them. Inputs: the folder, in which the script is run; ports of this machine
that are free. Outputs: scripts for a POSIX shell.
"""

import contextlib
import os
import pwd
import shutil
import socket
import tempfile

POSTGRES = """
PATH="$PATH:$(ls -d /usr/lib/postgresql/*/bin | tail -n 1)"
export PGHOST="$PWD" PGUSER=postgres
trap 'test ! -e data/postmaster.pid || pg_ctl -D data -m immediate stop' EXIT
initdb -D data -A trust -U postgres --no-sync > initdb.txt
cat >> data/postgresql.conf <<END
listen_addresses = ''
unix_socket_directories = '$PWD'
autovacuum_naptime = 1s
max_parallel_workers_per_gather = 2
parallel_setup_cost = 0
parallel_tuple_cost = 0
min_parallel_table_scan_size = 0
END
pg_ctl -D data -w -l server.txt start
createdb bench
pgbench -i -q -s 2 bench
psql -q -c 'CREATE TABLE wide AS SELECT i, repeat(md5(i::text), 10) AS text FROM generate_series(1, 50000) i' bench
pgbench -c 6 -j 2 -T @SECONDS@ bench > bench.txt & writers=$!
pgbench -C -c 2 -T @SECONDS@ -S bench > connects.txt & readers=$!
for round in 1 2 3; do
    psql -q -c 'SELECT count(DISTINCT text), max(length(text)) FROM wide WHERE i % 3 = 0' \\
        -c 'CREATE INDEX ON wide (text)' -c 'VACUUM FULL wide' bench > queries.txt
done
pg_dump bench > dump.sql
wait $writers
wait $readers
grep -q 'number of failed transactions: 0 ' bench.txt
pg_ctl -D data -w -m fast stop
"""

NGINX = """
mkdir -p site cache temporary
trap 'test ! -e nginx.pid || kill "$(cat nginx.pid)"' EXIT
seq 1 200000 > site/large.txt
echo hello > site/small.txt
cat > nginx.conf <<END
pid nginx.pid;
error_log error.txt;
worker_processes 2;
events { worker_connections 256; }
http {
    access_log access.txt;
    sendfile on;
    gzip on;
    gzip_types *;
    client_body_temp_path temporary/body;
    fastcgi_temp_path temporary/fastcgi;
    uwsgi_temp_path temporary/uwsgi;
    scgi_temp_path temporary/scgi;
    proxy_temp_path temporary/proxy;
    proxy_cache_path cache keys_zone=kept:1m;
    open_file_cache max=20 inactive=1s;
    server { listen 127.0.0.1:@PORT@; root site; location /again/ { proxy_pass http://unix:inner.sock:/; proxy_cache kept;
        proxy_cache_valid 1s; } }
    server { listen unix:inner.sock; root site; }
}
END
sed -i "s|unix:inner|unix:$PWD/inner|" nginx.conf
PATH="$PATH:/usr/sbin"
nginx -p "$PWD" -c "$PWD/nginx.conf" -e "$PWD/error.txt"
for round in $(seq @ROUNDS@); do
    for path in small.txt large.txt again/small.txt again/large.txt missing.txt; do
        # A worker that a reload ends may reset what it had not read.
        ab -q -r -k -c 8 -n 400 "http://127.0.0.1:@PORT@/$path" > ab.txt
        ab -q -r -c 8 -n 100 -H 'Accept-Encoding: gzip' "http://127.0.0.1:@PORT@/$path" >> ab.txt
    done
    nginx -p "$PWD" -c "$PWD/nginx.conf" -e "$PWD/error.txt" -s reload
done
nginx -p "$PWD" -c "$PWD/nginx.conf" -e "$PWD/error.txt" -s quit
while test -e nginx.pid; do sleep 0.05; done
test "$(grep -c 'again/large.txt.* 200 ' access.txt)" -ge 500
"""


def free_port():
    """Return a port of the loopback interface on which nothing listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextlib.contextmanager
def folder_of(user):
    """A folder that a user may write to, of which all parents are for everyone; it is removed in the end."""
    path = tempfile.mkdtemp(prefix="leftopen-soak.", dir="/tmp")
    try:
        os.chown(path, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
        yield path
    finally:
        shutil.rmtree(path)


def command_as(user, script):
    """Return the command that runs a script as a user; the servers refuse to be root's, or change the user."""
    return ["setpriv", "--reuid=" + user, "--regid=" + user, "--clear-groups", "/bin/bash", "-c", "set -e\n" + script]


def postgres(seconds):
    """Return the script of postgres; its clients work for so many seconds."""
    return POSTGRES.replace("@SECONDS@", str(seconds))


def nginx(rounds):
    """Return the script of nginx; each round takes a second or more, and then nginx takes its configuration anew."""
    return NGINX.replace("@PORT@", str(free_port())).replace("@ROUNDS@", str(rounds))
