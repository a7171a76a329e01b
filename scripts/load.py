"""A mixed load of which every file's content is known, and what a crash may leave of it.

A content is the beginning of an endless stream of bytes drawn from a seed, so that "a valid prefix"
can be told from anything else. Each worker has a directory of its own and keeps a journal on another
filesystem: what it is about to do, and when an fsync of it has returned.
"""
import contextlib, functools, json, mmap, multiprocessing, os, random, time, traceback

LARGEST = 256 << 10
NAMES = [f"file-{number}" for number in range(12)]
PAGE = 4096


@functools.lru_cache(32)
def stream(seed):
    """The first bytes of the stream of a seed."""
    return random.Random(seed).randbytes(LARGEST)


class Worker:
    """Changes and reads files in one directory; knows what each holds."""

    def __init__(self, folder, journal, state, kind, beat, is_over):
        self.folder, self.state, self.kind, self.beat, self.is_over = folder, dict(state), kind, beat, is_over
        self.journal = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        self.drawn = random.Random()
        self.directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)

    def tell(self, *words):
        os.write(self.journal, (json.dumps(words) + "\n").encode())

    def run(self):
        steps = [self.append] * 3 + [self.replace] * 3 + [self.rewrite] * 2 + [self.overwrite] * 2
        steps += [self.truncate, self.remove, self.list] + [self.read] * 4
        if self.kind != "secrets":
            steps.append(self.map)
        following = time.monotonic()
        while not self.is_over.is_set():
            name = self.drawn.choice(NAMES)
            self.drawn.choice(steps)(name, self.state.get(name))
            following = max(following + self.beat, time.monotonic() - 1)
            time.sleep(max(0, following - time.monotonic()))

    def begin(self, name, after, least):
        """Says that `name` may from now on hold the stream `after[0]`, of `least` to `after[1]` bytes."""
        self.tell("begin", name, after and [after[0], least, after[1]])

    def done(self, name, after, is_synced=True):
        if after is None:
            del self.state[name]
        else:
            self.state[name] = after
        self.tell("synced" if is_synced else "written", name, after)

    def new(self):
        length = self.drawn.choice([self.drawn.randrange(1, PAGE), self.drawn.randrange(PAGE, LARGEST)])
        return [self.drawn.getrandbits(48), length]

    def write(self, name, flags, content, is_synced=True):
        descriptor = os.open(f"{self.folder}/{name}", os.O_WRONLY | os.O_CREAT | flags, 0o600)
        try:
            while content:
                content = content[os.write(descriptor, content):]
            if is_synced:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def append(self, name, before):
        seed, length = before or [self.new()[0], 0]
        after = [seed, min(LARGEST, length + self.drawn.randrange(1, 20000))]
        is_synced = self.drawn.random() < 0.7
        self.begin(name, after, length)
        self.write(name, os.O_APPEND, stream(seed)[length:after[1]], is_synced)
        if is_synced and before is None:
            os.fsync(self.directory)
        self.done(name, after, is_synced)

    def replace(self, name, _before):
        after = self.new()
        self.begin(name, after, after[1])
        self.write(f"{name}.new", os.O_TRUNC, stream(after[0])[:after[1]])
        os.rename(f"{self.folder}/{name}.new", f"{self.folder}/{name}")
        os.fsync(self.directory)
        self.done(name, after)

    def rewrite(self, name, before):
        after = self.new()
        self.begin(name, after, after[1] if before and self.kind == "secrets" else 0)
        self.write(name, os.O_TRUNC, stream(after[0])[:after[1]])
        os.fsync(self.directory)
        self.done(name, after)

    def overwrite(self, name, before):
        if before and 0 < before[1] <= PAGE:
            after = [self.new()[0], before[1]]
            self.begin(name, after, after[1])
            self.write(name, 0, stream(after[0])[:after[1]])
            self.done(name, after)

    def map(self, name, before):
        if before and 0 < before[1] <= PAGE:
            after = [self.new()[0], before[1]]
            self.begin(name, after, after[1])
            with open(f"{self.folder}/{name}", "r+b") as file, mmap.mmap(file.fileno(), after[1]) as mapped:
                mapped[:] = stream(after[0])[:after[1]]
                mapped.flush()
                os.fsync(file.fileno())
            self.done(name, after)

    def truncate(self, name, before):
        if before and before[1] > 1:
            after = [before[0], self.drawn.randrange(1, before[1])]
            self.begin(name, after, after[1])
            os.truncate(f"{self.folder}/{name}", after[1])
            self.write(name, 0, b"")
            self.done(name, after)

    def remove(self, name, before):
        if before:
            self.begin(name, None, 0)
            os.unlink(f"{self.folder}/{name}")
            os.fsync(self.directory)
            self.done(name, None)

    def read(self, name, before):
        if before:
            with open(f"{self.folder}/{name}", "rb") as file:
                content = file.read()
            assert content == stream(before[0])[:before[1]], f"{name} reads other bytes: {compare(content, before)}"

    def list(self, _name, _before):
        names = sorted(os.listdir(self.folder))
        assert names == sorted(self.state), f"listed {names}, there are {sorted(self.state)}"


def compare(content, wanted):
    """Where a content leaves its stream."""
    expected = stream(wanted[0])[:wanted[1]]
    pairs = enumerate(zip(content, expected))
    differs = next((place for place, (left, right) in pairs if left != right), min(len(content), len(expected)))
    return f"{len(content)} bytes, not {len(expected)}, other from {differs} on"


class Load:
    """Workers on a tree, each with a step every `beat` seconds, and the state of their files across crashes."""

    def __init__(self, tree, kind, workers=4, beat=0):
        self.tree, self.kind, self.beat = tree, kind, beat
        self.states = [{} for _ in range(workers)]
        self.counts = {"synced": 0, "old": 0, "new": 0, "prefix": 0}
        for number in range(workers):
            os.mkdir(self.folder(number))
        self.processes, self.is_over = [], multiprocessing.Event()

    def folder(self, number):
        return f"{self.tree.path}/worker-{number}"

    def journal(self, number):
        return f"{self.tree.place}/journal-{number}"

    def start(self):
        """Lets them work."""
        for number, state in enumerate(self.states):
            process = multiprocessing.Process(target=self.work, args=(number, state))
            process.start()
            self.processes.append(process)

    def work(self, number, state):
        try:
            Worker(self.folder(number), self.journal(number), state, self.kind, self.beat, self.is_over).run()
        except BaseException:
            with open(f"{self.journal(number)}.fault", "w") as file:
                file.write(traceback.format_exc(limit=-3))

    def fault(self):
        """What a worker has met that is not as it must be, or None."""
        for number, process in enumerate(self.processes):
            if not process.is_alive():
                with open(f"{self.journal(number)}.fault") as file:
                    return f"worker {number}: {file.read()}"
        return None

    def finish(self):
        """Lets every worker end what it does; gives what one has met that is not as it must be."""
        fault = self.fault()
        self.is_over.set()
        for process in self.processes:
            process.join()
        self.processes = []
        return fault

    def stop(self):
        """Ends the workers wherever they are."""
        for process in self.processes:
            process.kill()
            process.join()
        self.processes = []

    def check(self):
        """Compares every file with what its journal allows, and goes on from what is there."""
        for number in range(len(self.states)):
            allowed = self.allowed(number)
            folder, found = self.folder(number), {}
            assert os.path.isdir(folder), f"{folder} is gone"
            for name in os.listdir(folder):
                with open(f"{folder}/{name}", "rb") as file:
                    content = file.read()
                if name.endswith(".new"):
                    os.unlink(f"{folder}/{name}")
                    continue
                assert name in allowed, f"{folder}/{name} was never made, or was removed"
                found[name] = self.judge(f"{folder}/{name}", content, allowed[name])
            for name, states in allowed.items():
                assert name in found or None in states, f"{folder}/{name} is gone"
            self.states[number] = found
            if os.path.exists(self.journal(number)):
                os.unlink(self.journal(number))

    def allowed(self, number):
        """What may be in each file: (seed, least, most) in the order of their writing, None for no file."""
        allowed = {name: [(seed, length, length)] for name, (seed, length) in self.states[number].items()}
        if os.path.exists(self.journal(number)):
            with open(self.journal(number)) as file:
                for event, name, state in map(json.loads, file):
                    if event == "begin":
                        allowed.setdefault(name, [None]).append(state and tuple(state))
                    elif event == "synced":
                        self.counts["synced"] += 1
                        allowed[name] = [state and (state[0], state[1], state[1])]
        return {name: states for name, states in allowed.items() if states != [None]}

    def judge(self, path, content, states):
        for place, state in enumerate(states):
            if state is None:
                continue
            seed, least, most = state
            if least <= len(content) <= most and content == stream(seed)[:len(content)]:
                if len(states) > 1:
                    is_new = place == len(states) - 1
                    whole = len(content) == most
                    self.counts["prefix" if not whole else "new" if is_new else "old"] += 1
                return [seed, len(content)]
        told = "; ".join(compare(content, (seed, most)) for seed, _, most in filter(None, states[-3:]))
        raise AssertionError(f"{path} is neither old, new nor a valid prefix: {told}")


def resources(pids):
    """Resident memory in KiB and the number of descriptors of processes."""
    memory = descriptors = 0
    for pid in pids:
        with open(f"/proc/{pid}/status") as file:
            memory += next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))
        descriptors += len(os.listdir(f"/proc/{pid}/fd"))
    return memory, descriptors


def disk(directory):
    """What a directory holds on its disk, in KiB."""
    total = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += os.lstat(f"{folder}/{name}").st_blocks // 2
    return total
