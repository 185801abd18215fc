"""A machine of qemu's that boots a kernel and runs one script on this machine's own root.

Inputs: a kernel as packages.py unpacks it, a script for the guest. Outputs: what the script wrote, the kernel's
console. Trust: the root and the sources are shared read-only; what the guest writes is memory of its own.
"""

import lzma
import os
import re
import subprocess
import tempfile
import time

import packages

MEMORY_MB = 3072
# What the root's folder is shared by; what a kernel has built in has no module.
MODULES = ("virtio_pci", "9pnet_virtio", "9p")
MOUNT_9P = "ro,trans=virtio,version=9p2000.L,msize=262144,cache=loose"
CONSOLE_LINES_SHOWN = 25
POLL_S = 0.2

# The first process. The sources or the build may lie below a folder that becomes the guest's own, such as /tmp: they
# are mounted afterwards.
INIT = """#!/bin/busybox sh
b=/bin/busybox
for module in {modules}; do $b insmod /modules/$module; done
$b mount -t 9p -o {options} root /root || $b poweroff -f
for folder in tmp run var/tmp; do $b mount -t tmpfs -o mode=1777 tmpfs /root/$folder; done
for share in {shares}; do
	$b mkdir -p /root${{share#*:}} && $b mount -t 9p -o {options} ${{share%%:*}} /root${{share#*:}} || $b poweroff -f
done
$b cp /prepare /script /root/run/
$b mkdir /root/run/busybox && $b cp /bin/busybox /root/run/busybox/busybox
exec $b switch_root /root /run/busybox/busybox sh /run/prepare
"""

# What comes before the script, once the root is the root: a chroot's processes would have paths with its folder.
PREPARE = """b=/run/busybox/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs devtmpfs /dev
$b mkdir -p /dev/pts /dev/shm
$b mount -t devpts -o ptmxmode=0666,mode=0620,gid=5 devpts /dev/pts
$b mount -t tmpfs -o mode=1777 tmpfs /dev/shm
$b mount -t bpf bpf /sys/fs/bpf
$b mount -t cgroup2 cgroup2 /sys/fs/cgroup
$b ln -s /proc/self/fd /dev/fd
$b ifconfig lo up
ulimit -Hn 524288
ulimit -Sn 1024
cd {folder} && /bin/sh /run/script </dev/null >/dev/ttyS1 2>&1
$b poweroff -f
"""


def _module_files(tree, version):
    """Return the paths of MODULES and of what they need, in the order to load them."""
    folder = os.path.join(tree, "lib", "modules", version)
    needs = {}
    with open(os.path.join(folder, "modules.dep"), encoding="utf-8") as file:
        for line in file:
            path, _, others = line.partition(":")
            needs[re.sub(r"\.ko.*", "", os.path.basename(path))] = [path, *others.split()]
    ordered = []
    for module in MODULES:
        # modules.dep has each before what it needs.
        ordered += [path for path in reversed(needs.get(module, [])) if path not in ordered]
    return [os.path.join(folder, path) for path in ordered]


def _initrd(tree, version, shares, script, folder):
    """Make the guest's first root in a folder; return the archive of it.

    shares is {tag: folder}; the script begins in the first of them."""
    root = os.path.join(folder, "root")
    for name in ("bin", "root", "modules"):
        os.makedirs(os.path.join(root, name))
    modules = []
    for path in _module_files(tree, version):
        modules.append(re.sub(r"\.xz$", "", os.path.basename(path)))
        with (lzma.open if path.endswith(".xz") else open)(path, "rb") as packed, \
                open(os.path.join(root, "modules", modules[-1]), "wb") as plain:
            plain.write(packed.read())
    with open("/bin/busybox", "rb") as busybox, open(os.path.join(root, "bin", "busybox"), "wb") as copy:
        copy.write(busybox.read())
    os.chmod(os.path.join(root, "bin", "busybox"), 0o755)
    init = INIT.format(modules=" ".join(modules), options=MOUNT_9P,
                       shares=" ".join("%s:%s" % share for share in shares.items()))
    prepare = PREPARE.format(folder=next(iter(shares.values())))
    for name, text in (("init", init), ("prepare", prepare), ("script", script)):
        with open(os.path.join(root, name), "w", encoding="utf-8") as file:
            file.write(text)
    os.chmod(os.path.join(root, "init"), 0o755)
    archive = os.path.join(folder, "initrd")
    subprocess.run("find . | cpio -o -H newc --quiet >%s" % archive, shell=True, cwd=root, check=True)
    return archive


class Machine:
    """Runs a script in a guest; `lines()` gives what it writes while it runs."""

    def __init__(self, tree, version, folders, script, parameters="", counts=False):
        """folders are at their places there too, below whatever they lie; the script begins in the first.

        parameters: for the kernel's command line. counts: it has one processor, whose clock goes by instructions,
        one a nanosecond, as a real machine's. By the host's clock there are but a few calls from one tick to the
        next, and with two processors each waits for the other in the middle of them: so that a kernel that can be
        preempted is in most of them."""
        self._folder = tempfile.TemporaryDirectory(prefix="leftopen-kernels.")
        folder = self._folder.name
        self._console = os.path.join(folder, "console")
        self._written = os.path.join(folder, "written")
        shares = {"share%d" % number: path for number, path in enumerate(folders)}
        initrd = _initrd(tree, version, shares, script, folder)
        devices = []
        for tag, path in {"root": "/", **shares}.items():
            devices += ["-fsdev", "local,id=%s,path=%s,security_model=none,readonly=on,multidevs=remap" % (tag, path),
                       "-device", "virtio-9p-pci,fsdev=%s,mount_tag=%s" % (tag, tag)]
        # One thread for both processors: with a thread each, one boot of 6.12 in ten crashes.
        self._qemu = subprocess.Popen(
            ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-M", "q35",
             "-accel", "tcg,thread=single", "-cpu", "max", "-m", str(MEMORY_MB),
             *(("-icount", "shift=0", "-smp", "1") if counts else ("-smp", "2")),
             "-kernel", packages.image(tree, version), "-initrd", initrd,
             "-append", "console=ttyS0 rdinit=/init panic=-1 quiet " + parameters,
             "-serial", "file:" + self._console, "-serial", "file:" + self._written, *devices],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def lines(self, boot_limit_s, limit_s):
        """Yield each line that the script writes, until the guest ends or a limit is over: to the first, of all."""
        began = time.monotonic()
        position, rest, over = 0, b"", False
        while not over:
            over = (self._qemu.poll() is not None or
                    time.monotonic() - began > (limit_s if position else boot_limit_s))
            if os.path.exists(self._written):
                with open(self._written, "rb") as file:
                    file.seek(position)
                    rest += file.read()
                    position = file.tell()
            *whole, rest = rest.split(b"\n")
            for line in whole:
                yield line.decode("utf-8", "replace").rstrip("\r")
            if not over:
                time.sleep(POLL_S)

    def console(self):
        """Return the last lines of the console, and what qemu itself said."""
        said = b""
        if self._qemu.poll() is not None:
            said = self._qemu.stderr.read()
        if os.path.exists(self._console):
            with open(self._console, "rb") as file:
                said = file.read() + said
        return said.decode("utf-8", "replace").replace("\r", "").splitlines()[-CONSOLE_LINES_SHOWN:]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._qemu.poll() is None:
            self._qemu.kill()
        self._qemu.wait()
        self._qemu.stderr.close()
        self._folder.cleanup()
