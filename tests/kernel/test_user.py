"""Whom the command runs as, and whose the reports are: under sudo, simulated and real, --as-root, --user."""

import contextlib
import grp
import json
import os
import pwd
import stat
import subprocess

import pytest

import leftopen
import processes

USER = "leftopen-test"
# A group of its own besides the account's: setgroups() has to have been called.
GROUP = "audio"
WHO = "id -u; id -g; id -G | tr ' ' '\\n' | sort -n | xargs; echo $HOME $USER $LOGNAME; pwd"


@pytest.fixture(scope="module")
def user():
    """An account that exists for these tests only."""
    remove = ["userdel", "--remove", USER]
    subprocess.run(remove, stderr=subprocess.DEVNULL, check=False)  # left over from a run that was killed
    subprocess.run(["useradd", "--create-home", "--groups", GROUP, "--shell", "/bin/sh", USER], check=True)
    account = pwd.getpwnam(USER)
    os.chmod(account.pw_dir, 0o700)
    yield account
    subprocess.run(remove, stderr=subprocess.DEVNULL, check=True)


def sudo_environment(account):
    return {**os.environ, "SUDO_USER": account.pw_name, "SUDO_UID": str(account.pw_uid),
            "SUDO_GID": str(account.pw_gid), "HOME": "/root", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}


def who(done):
    """Return what the shell program WHO printed."""
    assert done.returncode == 0, done.stderr
    uid, gid, groups, names, folder = done.stdout.decode().splitlines()
    return {"uid": int(uid), "gid": int(gid), "groups": sorted(map(int, groups.split())), "names": names.split(),
            "folder": folder}


def groups_of(account):
    return sorted({account.pw_gid, grp.getgrnam(GROUP).gr_gid})


def is_the_user(found, account):
    assert (found["uid"], found["gid"]) == (account.pw_uid, account.pw_gid)
    assert found["groups"] == groups_of(account)
    assert found["names"] == [account.pw_dir, account.pw_name, account.pw_name]


def test_under_sudo_the_command_is_the_callers(user, tmp_path):
    done = processes.leftopen_raw("run", "--", "sh", "-c", WHO, env=sudo_environment(user), cwd="/tmp")
    found = who(done)
    is_the_user(found, user)
    assert found["folder"] == "/tmp"


def test_under_sudo_nothing_of_roots_rights_is_left(user):
    done = processes.leftopen_raw("run", "--", "grep", "-E", "^(Uid|Gid|Cap[IPEA]..|Groups):", "/proc/self/status",
                                  env=sudo_environment(user))
    status = dict(line.split(":\t") for line in done.stdout.decode().splitlines())
    assert status["Uid"].split() == [str(user.pw_uid)] * 4
    assert status["Gid"].split() == [str(user.pw_gid)] * 4
    for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(status[name], 16) == 0, name


def test_under_sudo_reports_are_the_callers_files(user):
    old = os.path.join(user.pw_dir, "old.txt")
    with open(old, "w", encoding="ascii") as file:
        file.write("old")
    os.chown(old, user.pw_uid, user.pw_gid)
    os.chmod(old, 0o600)
    done = processes.leftopen_raw("run", "--json=report.json", "--log-file=old.txt", "--", "true",
                                  env=sudo_environment(user), cwd=user.pw_dir, umask=0o022)
    assert done.returncode == 0, done.stderr
    for name, mode in (("report.json", 0o644), ("old.txt", 0o600)):
        status = os.stat(os.path.join(user.pw_dir, name))
        assert (status.st_uid, status.st_gid) == (user.pw_uid, user.pw_gid)
        assert stat.S_IMODE(status.st_mode) == mode
    with open(os.path.join(user.pw_dir, "report.json"), encoding="utf-8") as file:
        leftopen.validate(json.load(file))
    assert not [name for name in os.listdir(user.pw_dir) if ".leftopen-" in name]


@pytest.mark.parametrize("option", ["--json", "--log-file"])
def test_under_sudo_a_report_is_written_with_the_callers_rights_only(user, tmp_path, option):
    """Root could write there; who called sudo cannot."""
    os.chmod(tmp_path, 0o755)
    done = processes.leftopen_raw("run", option, str(tmp_path / "report"), "--", "touch", "/tmp/leftopen-test-ran",
                                  env=sudo_environment(user))
    assert done.returncode == 125
    assert b"cannot be written: you may not write it" in done.stderr
    assert os.listdir(tmp_path) == []
    assert not os.path.exists("/tmp/leftopen-test-ran")


def test_as_root(user):
    found = who(processes.leftopen_raw("run", "--as-root", "--", "sh", "-c", WHO, env=sudo_environment(user)))
    assert (found["uid"], found["gid"]) == (0, 0)
    assert found["names"][0] == "/root"


@pytest.mark.parametrize("by", ["name", "number"])
def test_user_by_name_or_number(user, by):
    done = processes.leftopen_raw("run", "--user", user.pw_name if by == "name" else str(user.pw_uid), "--", "sh",
                                  "-c", WHO)
    is_the_user(who(done), user)


def test_reports_are_the_callers_whoever_the_command_runs_as(user, tmp_path):
    """--user names whom the command is; the folder of another user is no hindrance to root's own report."""
    os.chmod(tmp_path, 0o700)
    done = processes.leftopen_raw("run", "--user", user.pw_name, "--json", str(tmp_path / "report.json"), "--",
                                  "id", "-u", cwd="/")
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == user.pw_uid
    assert os.stat(tmp_path / "report.json").st_uid == 0
    # Under sudo the caller is the one who called it: he may not write to a third one's folder.
    done = processes.leftopen_raw("run", "--user", "root", "--json", str(tmp_path / "other.json"), "--", "touch",
                                  str(tmp_path / "ran"), env=sudo_environment(user))
    assert done.returncode == 125
    assert b"cannot be written: you may not write it" in done.stderr
    assert sorted(os.listdir(tmp_path)) == ["report.json"]


def test_a_command_that_only_root_may_run(user, tmp_path):
    hidden = tmp_path / "hidden"
    hidden.write_text("#!/bin/sh\n")
    hidden.chmod(0o700)
    done = processes.leftopen_raw("run", "--", str(hidden), env=sudo_environment(user))
    assert done.returncode == 126
    assert b"permission denied: it, or its interpreter, is no file that may be executed" in done.stderr
    assert b"PATH" not in done.stderr
    assert processes.leftopen_raw("run", "--as-root", "--", str(hidden), env=sudo_environment(user)).returncode == 0


def test_a_folder_of_roots_path_that_the_caller_cannot_search(user, tmp_path):
    """What the caller has on his own PATH is then "denied" there: execvp(3), and the remedy is the same."""
    os.chmod(tmp_path, 0o700)
    env = {**sudo_environment(user), "PATH": "/usr/bin:%s" % tmp_path}
    done = processes.leftopen_raw("run", "--", "no-such-tool", env=env)
    assert done.returncode == 126
    assert b"in a folder that may not be searched" in done.stderr
    assert b'sudo env "PATH=$PATH" leftopen run -- CMD' in done.stderr


@pytest.mark.parametrize("variable, text", [
    ("SUDO_UID", b"SUDO_UID is '1x', which is no user id: say --user or --as-root"),
    ("SUDO_GID", b"SUDO_GID is '1x', which is no group id: say --user or --as-root")])
def test_sudo_variables_that_make_no_sense(user, variable, text):
    done = processes.leftopen_raw("run", "--", "true", env={**sudo_environment(user), variable: "1x"})
    assert done.returncode == 125
    assert text in done.stderr


# The real sudo: in a mount namespace of its own, where the account may use it.

SUDOERS = "%s ALL=(ALL) NOPASSWD: ALL\nDefaults secure_path=/usr/sbin:/usr/bin:/sbin:/bin\n" % USER


def as_user(account, script):
    """Run a shell script as the account, where sudo asks him for no password."""
    outer = ("set -e; mount -t tmpfs -o mode=0750 none /etc/sudoers.d; umask 0227; "
             "printf '%s' \"$SUDOERS\" > /etc/sudoers.d/test; umask 0022; cd \"$HOME\"; "
             "exec setpriv --reuid=\"$ACCOUNT\" --regid=\"$ACCOUNT\" --init-groups sh -c \"$SCRIPT\"")
    env = {"PATH": "%s/bin:/usr/bin:/bin:/usr/sbin" % account.pw_dir, "HOME": account.pw_dir,
           "USER": account.pw_name, "LOGNAME": account.pw_name, "SUDOERS": SUDOERS, "SCRIPT": script,
           "ACCOUNT": account.pw_name, "LEFTOPEN": leftopen.LEFTOPEN}
    return subprocess.run(["unshare", "--mount", "sh", "-c", outer], env=env, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120, check=False)


def test_real_sudo(user):
    done = as_user(user, "sudo -n \"$LEFTOPEN\" run --json=sudo.json -q -- sh -c '%s'" % WHO.replace("'", "'\\''"))
    found = who(done)
    is_the_user(found, user)
    assert found["folder"] == user.pw_dir
    path = os.path.join(user.pw_dir, "sudo.json")
    assert os.stat(path).st_uid == user.pw_uid
    with open(path, encoding="utf-8") as file:
        report = json.load(file)
    leftopen.validate(report)
    assert report["completeness"]["complete"]


def test_real_sudo_and_a_command_on_the_users_own_path(user):
    """sudo's PATH does not hold it: the error says what to do, and that works."""
    folder = os.path.join(user.pw_dir, "bin")
    with contextlib.suppress(FileExistsError):
        os.mkdir(folder, 0o755)
    own = os.path.join(folder, "own-tool")
    with open(own, "w", encoding="ascii") as file:
        file.write("#!/bin/sh\necho own tool of $USER\n")
    os.chmod(own, 0o755)
    done = as_user(user, "sudo -n \"$LEFTOPEN\" run -- own-tool")
    assert done.returncode == 127
    assert b'sudo env "PATH=$PATH" leftopen run -- CMD' in done.stderr
    done = as_user(user, "sudo -n env \"PATH=$PATH\" \"$LEFTOPEN\" run -q -- own-tool")
    assert done.returncode == 0, done.stderr
    assert done.stdout == b"own tool of %s\n" % USER.encode()


def test_sudo_run_by_root_stays_root():
    done = subprocess.run(["sudo", "-n", leftopen.LEFTOPEN, "run", "-q", "--", "id", "-u"], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout == b"0\n"
