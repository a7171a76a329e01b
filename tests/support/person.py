"""A caller for tests: evaluates one Python expression or statement a line, and answers in JSON."""
import ctypes, errno, fcntl, json, mmap, os, resource, select, signal, socket, struct, subprocess, sys, time

libc = ctypes.CDLL(None, use_errno=True)


def call(name, *arguments):
    """A function of the C library: Python would try again after EINTR, this does not."""
    result = getattr(libc, name)(*arguments)
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def read(path, flags=0):
    descriptor = os.open(path, os.O_RDONLY | flags)
    try:
        return os.read(descriptor, 1 << 20)
    finally:
        os.close(descriptor)


def write(path, text, flags=os.O_CREAT | os.O_TRUNC):
    descriptor = os.open(path, os.O_WRONLY | flags, 0o600)
    try:
        return os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def shown(path):
    """What stat(2) shows: owner, group, mode, size, links."""
    status = os.lstat(path)
    return [status.st_uid, status.st_gid, oct(status.st_mode & 0o7777), status.st_size, status.st_nlink]


def run(*command, **options):
    """Exit code, standard output and standard error of a command."""
    ended = subprocess.run(command, capture_output=True, **options)
    return [ended.returncode, ended.stdout.decode(), ended.stderr.decode()]


def child(step):
    """Does a step in a forked child: the signal that ended it, or its exit code (42: OSError)."""
    number = os.fork()
    if number == 0:
        try:
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            exec(step, scope)
        except OSError:
            os._exit(42)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])


def dies(step):
    """Does a step again and again until it fails: the name of its errno, and the boot clock then."""
    while True:
        try:
            eval(step, scope)
        except OSError as error:
            return [errno.errorcode[error.errno], time.clock_gettime(time.CLOCK_BOOTTIME)]
        select.select([], [], [], 0.005)


def plain(value):
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


scope = globals()
if sys.argv[1:] == ["own-session"]:
    os.setsid()
# Standard output is for answers alone.
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
for line in sys.stdin:
    step = json.loads(line)
    try:
        try:
            code = compile(step, "step", "eval")
        except SyntaxError:
            code = compile(step, "step", "exec")
        answer = {"value": eval(code, scope)}
    except OSError as error:
        answer = {"errno": errno.errorcode.get(error.errno, str(error))}
    except Exception as error:
        answer = {"fault": repr(error)}
    answers.write(json.dumps(answer, default=plain) + "\n")
    answers.flush()
