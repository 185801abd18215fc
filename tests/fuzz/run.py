#!/usr/bin/python3
"""Runs a fuzzer from its corpus for some time.

Usage: run.py BUILD NAME SECONDS. Inputs: BUILD/fuzz/NAME, and tests/fuzz/corpus/NAME/*.hex: bytes in
hexadecimal, as text, so that a change of them can be read. Outputs: a line; what libFuzzer found new in
BUILD/fuzz/NAME.found, which the next run goes on from; what it said in BUILD/fuzz/NAME.log. Status 1 where an
input ends the program: the log is shown, and the input, in hexadecimal, to become part of the corpus once that is
mended.
"""

import glob
import os
import re
import subprocess
import sys


def main():
    """Run it; return the exit status."""
    build, name, seconds = sys.argv[1:]
    here = os.path.dirname(os.path.abspath(__file__))
    found = os.path.join(build, "fuzz", name + ".found")
    failed = os.path.join(build, "fuzz", name + ".failed-")
    os.makedirs(found, exist_ok=True)
    for path in glob.glob(failed + "*"):
        os.unlink(path)
    seeds = glob.glob(os.path.join(here, "corpus", name, "*.hex"))
    if not seeds:
        sys.exit("tests/fuzz/run.py: no corpus for %s" % name)
    for path in seeds:
        with open(path, encoding="ascii") as text, \
                open(os.path.join(found, os.path.basename(path)), "wb") as seed:
            seed.write(bytes.fromhex(text.read()))
    with open(os.path.join(build, "fuzz", name + ".log"), "w+", encoding="utf-8", errors="replace") as log:
        status = subprocess.run([os.path.join(build, "fuzz", name), "-max_total_time=" + seconds, "-max_len=8192",
                                 "-timeout=5", "-print_final_stats=1", "-artifact_prefix=" + failed, found],
                                stdout=log, stderr=log, check=False).returncode
        log.seek(0)
        said = log.read()
    if status:
        print(said)
    else:
        print("  FUZZ     %s: %s inputs, none of which broke it" %
              (name, re.search(r"number_of_executed_units:\s*(\d+)", said).group(1)))
    for path in glob.glob(failed + "*"):
        with open(path, "rb") as file:
            print("%s:\n%s" % (path, file.read().hex()))
    return 1 if status else 0


if __name__ == "__main__":
    sys.exit(main())
