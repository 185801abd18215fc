"""Kernels of Debian's packages, downloaded by apt and unpacked, never installed.

Inputs: the registry that this machine's apt uses. Outputs: a folder a kernel below build/kernels, kept: whoever has
it needs no network.
Trust: apt checks the packages against Debian's keys. apt's own state is a folder here, so that this machine's lists
and sources stay as they are.
"""

import glob
import os
import re
import shutil
import subprocess

# What a kernel is asked for by, and the release of Debian whose kernel it is.
SUITES = {"6.1": "bookworm", "6.12": "trixie", "newest": "sid"}
META_PACKAGE = "linux-image-amd64"
# A kernel is one package or, since 7.2, the image and the modules in two that the first depends on.
PARTS = re.compile(r"\b(linux-(?:image|binary|modules)-\d[^ ,]*)")
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


class PackagesError(Exception):
    """What could not be had of the registry, and why."""


def _run(command, **options):
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, check=False, **options)
    except OSError as error:
        raise PackagesError("%s: %s (tests/packages kernels installs it)" % (command[0], error.strerror)) from error
    if done.returncode:
        raise PackagesError("%s failed: %s" % (" ".join(command[:2]), done.stderr.strip()))
    return done.stdout


def _registry():
    """Return the address of Debian's main archive, as this machine's apt has it."""
    found = _run(["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Label: Debian",
                  "Component: main"]).split()
    if not found:
        raise PackagesError("apt has no lists of Debian's: run apt-get update")
    return found[0]


class Apt:
    """apt with one release of Debian, and its state in a folder of its own."""

    def __init__(self, folder, suite):
        os.makedirs(os.path.join(folder, "lists", "partial"), exist_ok=True)
        os.makedirs(os.path.join(folder, "archives", "partial"), exist_ok=True)
        with open(os.path.join(folder, "sources.list"), "w", encoding="utf-8") as sources:
            sources.write("deb [arch=amd64 signed-by=%s] %s %s main\n" % (KEYRING, _registry(), suite))
        # Nothing is installed, so that every package can be had whatever this machine has.
        with open(os.path.join(folder, "status"), "w", encoding="utf-8"):
            pass
        self._options = []
        for option in ("Dir::State=" + folder, "Dir::Cache=" + folder, "Dir::State::status=" + folder + "/status",
                       "Dir::Etc::SourceList=" + folder + "/sources.list", "Dir::Etc::SourceParts=/dev/null",
                       "Dir::Etc::Preferences=/dev/null", "Dir::Etc::PreferencesParts=/dev/null",
                       # Root's folders are closed to the user that apt downloads as.
                       "APT::Sandbox::User=", "Acquire::Languages=none"):
            self._options += ["-o", option]
        _run(["apt-get", *self._options, "update"])

    def parts_of(self, package):
        """Return the packages of a kernel that a package depends on."""
        shown = _run(["apt-cache", *self._options, "show", "--no-all-versions", package])
        depends = next((line for line in shown.splitlines() if line.startswith("Depends:")), "")
        return [part for part in PARTS.findall(depends) if part != package]

    def download(self, package, folder):
        """Download a package into a folder."""
        _run(["apt-get", *self._options, "download", package], cwd=folder)


def _unpack(name, folder):
    apt = Apt(os.path.join(folder, "apt"), SUITES[name])
    wanted = apt.parts_of(META_PACKAGE)
    for package in wanted:
        wanted += [part for part in apt.parts_of(package) if part not in wanted]
    tree = os.path.join(folder, "tree")
    for package in wanted:
        apt.download(package, folder)
    for archive in glob.glob(os.path.join(folder, "*.deb")):
        _run(["dpkg-deb", "--extract", archive, tree])
        os.remove(archive)
    # depmod looks into lib/, and Debian puts modules below usr/lib/ since trixie.
    if not os.path.exists(os.path.join(tree, "lib")):
        os.symlink("usr/lib", os.path.join(tree, "lib"))
    version, = os.listdir(os.path.join(tree, "lib", "modules"))
    _run(["/sbin/depmod", "--basedir", tree, version])
    shutil.rmtree(os.path.join(folder, "apt"))


def fetch(name, cache):
    """Return (tree, version) of the kernel of that name in SUITES; downloads it where the cache lacks it."""
    folder = os.path.join(cache, name)
    if not os.path.isdir(folder):
        unfinished = folder + ".new"
        shutil.rmtree(unfinished, ignore_errors=True)
        os.makedirs(unfinished)
        _unpack(name, unfinished)
        os.rename(unfinished, folder)
    tree = os.path.join(folder, "tree")
    version, = os.listdir(os.path.join(tree, "lib", "modules"))
    return tree, version


def image(tree, version):
    """Return the path of the kernel itself: among its modules since 7.2."""
    places = (os.path.join(tree, "boot", "vmlinuz-" + version),
              os.path.join(tree, "lib", "modules", version, "vmlinuz"))
    return next(place for place in places if os.path.exists(place))
