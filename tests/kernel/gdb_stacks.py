"""Run by gdb: writes down the stack of each call that makes a descriptor or a mapping, as gdb unwinds it.

Usage: gdb -batch -x gdb_stacks.py --args PROGRAM [ARG...]. Environment: GDB_STACKS, the file to write.
Outputs: a line of JSON for each call: {"call", "result", "frames": [[file, offset]], innermost first,
"all": false where gdb does not know the code of the last of them}; of frames that
are in no file the offset is the address, but of those in the kernel's own code it is counted from where that begins.
"""

import json
import os

import gdb

# Not brk: what it gives is no place by which the heap's parts could be told.
CALLS = ["openat", "open", "creat", "socket", "dup", "mmap", "memfd_create", "eventfd2", "epoll_create1"]
LIMIT = 4000


def mappings(pid):
    """Return [(start, end, offset, file)] of code."""
    found = []
    with open("/proc/%d/maps" % pid, encoding="utf-8", errors="replace") as file:
        for line in file:
            fields = line.rstrip("\n").split(None, 5)
            start, end = (int(part, 16) for part in fields[0].split("-"))
            if "x" not in fields[1]:
                continue
            found.append((start, end, int(fields[2], 16), fields[5] if len(fields) > 5 else ""))
    return found


def position(ranges, address):
    """Return [file, offset] of an address of code, None of another."""
    for start, end, offset, name in ranges:
        if start <= address < end:
            return [name, address - start + offset] if name.startswith("/") or name == "[vdso]" else ["", address]
    return None


def frames(ranges):
    """Return the current thread's frames, and whether they are all; those that are inlined, or have ended by calling
    the next, are none of their own.

    gdb does not know where a stack ends whose first function says nothing of it, as the loader's: there the code ends.
    Nor does it know of a library until the loader has told it, which it does after some of that has run.
    """
    own = os.path.realpath(gdb.current_progspace().filename or "")
    found, frame = [], gdb.newest_frame()
    while frame is not None:
        if frame.type() not in (gdb.INLINE_FRAME, gdb.TAILCALL_FRAME):
            at = position(ranges, frame.pc())
            if not at:
                break
            found.append(at)
            if at[0].startswith("/") and not gdb.solib_name(frame.pc()) and os.path.realpath(at[0]) != own:
                return found, False
        frame = frame.older()
    return found, True


def main():
    gdb.execute("set pagination off")
    gdb.execute("set confirm off")
    gdb.execute("set backtrace past-main on")
    gdb.execute("set backtrace past-entry off")
    gdb.execute("set breakpoint pending on")
    gdb.execute("handle all nostop noprint pass")
    gdb.execute("set inferior-tty /dev/null")
    gdb.execute("catch syscall " + " ".join(CALLS))
    before = set()
    with open(os.environ["GDB_STACKS"], "w", encoding="utf-8") as out:
        gdb.execute("run")
        for _ in range(LIMIT):
            thread = gdb.selected_thread()
            if thread is None:
                return
            # Each call stops twice, as it begins and as it ends.
            if thread.ptid not in before:
                before.add(thread.ptid)
            else:
                before.discard(thread.ptid)
                ranges = mappings(thread.ptid[0])
                result = int(gdb.parse_and_eval("$rax"))
                found, all_of_them = frames(ranges)
                out.write(json.dumps({"call": int(gdb.parse_and_eval("$orig_rax")), "result": result, "frames": found,
                                      "all": all_of_them}) + "\n")
            gdb.execute("continue")


main()
