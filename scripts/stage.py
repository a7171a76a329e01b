"""Where a script works: a directory of its own on a real disk, and in it a file tree of one kind.

The kinds: `disk` (a plain directory), `passthrough` (FUSE without a store), `gocryptfs`, and the two
kinds of vault, `secrets` and `workspace`, each with a root of its own. What a stage has begun, it
ends: mounts, daemons and files.
"""
import contextlib, json, os, shutil, signal, socket, subprocess, sys, tempfile, time

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
KINDS = ("disk", "passthrough", "gocryptfs", "secrets", "workspace")
# Everybody may do everything: what is tested is the filesystem, not who may use it.
POLICY = """version = 1

[ops]
"*" = "low"

[audit]
opens = "{opens}"

# Whoever runs the script counts as a human, who may mount a human's vault.
[clients.runner]
uid = 0
role = "approver"

[[rule]]
name = "everybody"
clients = ["*"]
ops = ["*"]
path = ["*"]
decide = "allow"
"""


class Failed(Exception):
    """A step that did not do what it must; the text says what it said."""


def fail(text):
    """Ends the script with a reason."""
    sys.exit(f"{os.path.basename(sys.argv[0])}: {text}")


def needs_root():
    """Ends the script unless it can mount."""
    if os.geteuid() != 0:
        fail("run it as root, for mounts and users")
    if not os.path.exists("/dev/fuse"):
        fail("there is no /dev/fuse: modprobe fuse")
    # So that what was begun is ended then, too.
    signal.signal(signal.SIGTERM, lambda *_: fail("stopped"))


def run(*command, check=True, **options):
    """Runs a command to its end; its output is in what is raised when it fails."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True} | options
    ended = subprocess.run([str(word) for word in command], **options)
    if check and ended.returncode != 0:
        words = " ".join(str(word) for word in command[:6])
        said = (ended.stdout or "") + (ended.stderr or "")
        raise Failed(f"{words} ended with {ended.returncode}: {said.strip()[-2000:]}")
    return ended


def install(packages, crates=()):
    """Installs Debian packages, and programs from crates.io below target/tools, that are missing."""
    state = ["dpkg-query", "-W", "-f", "${Status}"]
    missing = [name for name in packages if "ok installed" not in run(*state, name, check=False).stdout]
    if missing:
        print("installing Debian packages:", *missing, flush=True)
        run("apt-get", "update", "-qq")
        run("apt-get", "install", "-y", "-qq", *missing)
    for crate in crates:
        if not os.path.exists(tool(crate)):
            print("installing from crates.io:", crate, flush=True)
            run("cargo", "install", "--quiet", "--locked", "--root", f"{HERE}/target/tools", crate, cwd=HERE)


def tool(name):
    """The path of a program from crates.io."""
    return f"{HERE}/target/tools/bin/{name}"


def build(*examples):
    """Builds the programs as they are released, and examples; gives their directory."""
    run("cargo", "build", "--release", "--quiet", cwd=HERE)
    for package, example in examples:
        run("cargo", "build", "--release", "--quiet", "-p", package, "--example", example, cwd=HERE)
    told = run("cargo", "metadata", "--format-version", "1", "--no-deps", cwd=HERE, stderr=subprocess.PIPE)
    return json.loads(told.stdout)["target_directory"] + "/release"


def knows_workspace(programs):
    """Whether the program can make vaults of kind `workspace`."""
    return "--kind" in run(f"{programs}/ward", "vault", "init", "--help").stdout


def is_mounted(path):
    """Whether something is mounted at `path`, dead or alive."""
    with open("/proc/self/mounts") as table:
        return any(line.split(" ")[1] == path for line in table)


def pids(program, word):
    """The processes of a program that have a word in their command line, children first."""
    found = []
    for number in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            with open(f"/proc/{number}/cmdline", "rb") as file:
                words = file.read().decode(errors="replace").split("\0")
            if os.path.basename(words[0]) == program and word in words:
                found.append(int(number))
    return sorted(found, reverse=True)


def children(pid):
    """The children of a process, the eldest first."""
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children") as file:
            found += map(int, file.read().split())
    return sorted(found)


def end(processes):
    """Kills processes at once, and waits until none is left."""
    for pid in processes():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not processes(), "the end of a process")


def wait_until(claim, what, seconds=30):
    """Looks at `claim` until it holds, for states that the kernel announces to nobody."""
    end = time.monotonic() + seconds
    while not claim():
        if time.monotonic() > end:
            raise Failed(f"after {seconds} s not yet: {what}")
        time.sleep(0.005)


class Disk:
    """A plain directory, and what all kinds have in common."""

    def __init__(self, place, programs):
        self.place, self.programs = place, programs
        self.path = f"{place}/tree"
        os.mkdir(self.path)
        os.chmod(self.path, 0o777)

    def mount(self):
        """Shows the tree at `path`."""

    def unmount(self):
        """Hides it, with everything on the disk."""

    def kill(self):
        """Ends what serves it, as a crash would."""

    def check(self):
        """Reads the whole store; raises when something in it is not as it was written."""

    def pids(self):
        """The processes that serve it."""
        return []

    def close(self):
        """Ends everything that was begun."""
        self.unmount()


class Passthrough(Disk):
    """Our FUSE library without a store: the room there is."""

    def __init__(self, place, programs):
        super().__init__(place, programs)
        self.child, self.below = None, f"{place}/below"
        os.mkdir(self.below)

    def mount(self):
        command = [f"{self.programs}/examples/passthrough", self.below, self.path]
        self.child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        wait_until(lambda: is_mounted(self.path) or self.child.poll() is not None, "the mount")

    def unmount(self):
        if is_mounted(self.path):
            run("umount", self.path)
            self.child.wait(30)

    def kill(self):
        self.child.kill()
        self.child.wait()
        run("umount", "--lazy", self.path)

    def pids(self):
        return [self.child.pid]

    def close(self):
        if is_mounted(self.path):
            self.kill()


class Gocryptfs(Disk):
    """gocryptfs as it comes."""

    def __init__(self, place, programs):
        super().__init__(place, programs)
        self.cipher, self.password = f"{place}/cipher", f"{place}/password"
        os.mkdir(self.cipher)
        with open(self.password, "w") as file:
            file.write("of no value\n")
        run("gocryptfs", "-quiet", "-init", "-passfile", self.password, self.cipher)

    def mount(self):
        # It goes to the background when it is ready: a create before that would never end.
        options = ["-quiet", "-nosyslog", "-allow_other", "-suid", "-dev", "-passfile", self.password]
        run("gocryptfs", *options, self.cipher, self.path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def unmount(self):
        if is_mounted(self.path):
            run("umount", self.path)
            wait_until(lambda: not self.pids(), "the end of gocryptfs")

    def kill(self):
        end(self.pids)
        run("umount", "--lazy", self.path)

    def pids(self):
        return pids("gocryptfs", self.cipher)

    def close(self):
        if is_mounted(self.path):
            self.kill()


class Vault(Disk):
    """A vault in a root of its own."""

    kind, opens = "workspace", "written"

    def __init__(self, place, programs):
        super().__init__(place, programs)
        self.root = f"{place}/root"
        self.environment = {"WARD_ROOT": self.root, "PATH": "/usr/bin:/bin"}
        self.ward("init")
        with open(f"{self.root}/policy.toml", "w") as file:
            file.write(POLICY.format(opens=self.opens))
        # The vault that every root has is one of kind `secrets`.
        self.name = "default" if self.kind == "secrets" else "work"
        self.vault = f"{self.root}/vaults/{self.name}"
        self.ward("daemon", "start")
        if self.kind != "secrets":
            self.ward("vault", "init", self.name, "--kind", self.kind)

    def ward(self, *arguments):
        """Runs a command; it must succeed."""
        return run(f"{self.programs}/ward", *arguments, env=self.environment).stdout

    def mount(self):
        self.ward("daemon", "start")
        self.ward("vault", "mount", self.name, self.path, "--ttl", "24h")

    def unmount(self):
        if is_mounted(self.path):
            self.ward("vault", "unmount", self.name)

    def stop(self):
        """Ends the daemon in order."""
        self.ward("daemon", "stop")

    def kill(self):
        end(self.pids)

    def check(self):
        self.unmount()
        self.stop()
        self.ward("vault", "fsck", self.name)
        self.ward("audit", "verify")

    def pids(self):
        return pids("ward-mountd", self.root)

    def halves(self):
        """The process with the keys, its monitor, and the watchman of that."""
        core = self.pids()[0]
        monitor = children(core)[0]
        return {"core": core, "monitor": monitor, "watchman": children(monitor)[0]}

    def close(self):
        if self.pids():
            run(f"{self.programs}/ward", "daemon", "stop", env=self.environment, check=False)
        end(self.pids)
        if is_mounted(self.path):
            # Its monitor may be quicker.
            run("umount", "--lazy", self.path, check=False)


class Control:
    """A connection to the daemon of a vault (docs/protocol.md), for what a process each would be too slow for."""

    def __init__(self, vault):
        self.vault, self.socket = vault, socket.socket(socket.AF_UNIX)
        self.socket.connect(f"{vault.root}/control.sock")
        self.answers = self.socket.makefile("rb")

    def ask(self, name, *descriptors, **fields):
        """Has the daemon do a command on the vault; it must succeed."""
        command = {"name": name, "vault": self.vault.name, **fields}
        line = json.dumps({"version": 1, "command": command}) + "\n"
        socket.send_fds(self.socket, [line.encode()], descriptors)
        answer = json.loads(self.answers.readline())
        if "result" not in answer:
            raise Failed(f"{name}: {answer}")
        return answer["result"]

    def mount(self):
        directory = os.open(self.vault.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self.ask("vault-mount", directory, path=self.vault.path, ttl=86400, read_only=False,
                     made_directory=False, purpose="use")
        finally:
            os.close(directory)

    def unmount(self):
        self.ask("vault-unmount")


class Secrets(Vault):
    """A vault of kind `secrets`."""

    kind = "secrets"


class Durable(Secrets):
    """The same where each open is durable in the log before it succeeds, which is the default."""

    opens = "durable"


CLASSES = {
    "disk": Disk,
    "passthrough": Passthrough,
    "gocryptfs": Gocryptfs,
    "secrets": Secrets,
    "durable": Durable,
    "workspace": Vault,
}


@contextlib.contextmanager
def staged(kind, programs, beside=None):
    """A fresh tree of a kind, mounted; removed afterwards. `beside` is where temporary files go."""
    place = tempfile.mkdtemp(prefix="wardfs-", dir=beside or temporary())
    os.chmod(place, 0o711)
    tree = None
    try:
        tree = CLASSES[kind](place, programs)
        tree.mount()
        yield tree
    finally:
        if tree is not None:
            tree.close()
        shutil.rmtree(place, ignore_errors=True)
        if any(place in line for line in open("/proc/self/mounts")):
            fail(f"a mount was left behind in {place}")


def temporary():
    """A directory for temporary files that is on a disk: /tmp may be memory."""
    return os.environ.get("TMPDIR", "/var/tmp")
