//! I2: the number in a request is that of a thread.

use crate::support::person::Person;
use crate::support::stage::Stage;
use crate::support::users::OWNER;

/// Does a step in another thread: its value, or the name of its errno.
const THREADED: &str = "
import threading
def threaded(step):
    found = []
    def work():
        try:
            found.append(eval(step, scope))
        except OSError as error:
            found.append(errno.errorcode[error.errno])
    thread = threading.Thread(target=work)
    thread.start(), thread.join()
    return found[0]
";

/// A child whose first thread ends while another goes on with a step, and says what came of it.
const HEADLESS: &str = "
said, says = os.pipe()
if os.fork() == 0:
    def work():
        # Until the first thread is a zombie.
        while 'Z' not in open(f'/proc/self/task/{os.getpid()}/stat').read().rsplit(')')[1][:2]:
            pass
        try:
            os.write(says, STEP)
        except OSError as error:
            os.write(says, errno.errorcode[error.errno].encode())
        os._exit(0)
    threading.Thread(target=work).start()
    libc.syscall(60, 0)
";

#[test]
fn another_thread_of_a_process_is_the_same_process() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("read/token", "s3cret");
    let mut person = Person::of(OWNER);
    person.must(THREADED);
    assert_eq!(person.must(&format!("threaded('read({path:?})')")), "s3cret");
    person.must(&format!("file = os.open({path:?}, 0)"));
    assert_eq!(person.must("threaded('os.pread(file, 9, 0)')"), "s3cret");
    for event in ["file.open", "file.read"] {
        let last = stage.log_of(event, "read/token").pop().unwrap();
        assert_eq!(last["actor"]["pid"], person.pid(), "{event}");
    }
}

#[test]
fn another_thread_gets_no_more_than_its_process() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("cat/token", "s3cret");
    let mut person = Person::of(OWNER);
    person.must(THREADED);
    // The name of a thread is what the thread says.
    person.must("call('prctl', 15, b'cat')");
    assert_eq!(person.must(&format!("threaded('read({path:?})')")), "EACCES");
    let refusal = stage.log_of("refused", "cat/token").pop().unwrap();
    assert_eq!(refusal["actor"]["pid"], person.pid());
}

#[test]
fn a_yes_to_a_process_serves_all_its_threads() {
    let rules = "[[rule]]\nname = \"scoped\"\nclients = [\"owner\"]\nops = [\"file.list\", \"file.read\"]\n\
                 path = [\"scoped/**\"]\nscope = \"process\"\ndecide = \"approve\"\n\
                 approve = { require = \"first_use\", by = [\"admin\"] }\n";
    let Some(stage) = Stage::with("10s", rules) else { return };
    let path = stage.secret("scoped/token", "s3cret");
    let mut person = Person::of(OWNER);
    person.must(THREADED);
    person.begin(&format!("threaded('read({path:?})')"));
    let request = stage.held("scoped/token");
    assert_eq!(stage.approve(&request).status, Some(0));
    assert_eq!(person.end(), Ok("s3cret".into()));
    assert_eq!(person.must(&format!("threaded('read({path:?}, os.O_NONBLOCK)')")), "s3cret");
    assert_eq!(person.must(&format!("read({path:?}, os.O_NONBLOCK)")), "s3cret");
    // A child is another process.
    assert_eq!(person.must(&format!("child('read({path:?}, os.O_NONBLOCK)')")), 42);
}

#[test]
fn a_thread_that_outlives_the_first_one_is_still_who_it_is() {
    let Some(stage) = Stage::set() else { return };
    let (read, cat) = (stage.secret("read/token", "s3cret"), stage.secret("cat/token", "s3cret"));
    let mut person = Person::of(OWNER);
    person.must("import threading");
    for (path, expected) in [(read, "s3cret"), (cat, "EACCES")] {
        person.must(&HEADLESS.replace("STEP", &format!("read({path:?})")));
        assert_eq!(person.must("os.read(said, 9)"), expected, "{path}");
    }
}
