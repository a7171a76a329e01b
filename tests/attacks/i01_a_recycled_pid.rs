//! I1: a process number that comes again.

use crate::support::house::House;
use crate::support::person::Person;
use crate::support::users::OWNER;

/// So few that a forker meets every one of them soon.
const NUMBERS: u32 = 400;

/// Forks past the first 300 numbers, which do not come again; later until a child has the number of
/// `victim`, which then does the step.
const RECYCLED: &str = "
for number in range(300):
    if os.fork() == 0:
        os._exit(0)
    os.wait()
def recycled(step):
    for _ in range(10000):
        number = os.fork()
        if number == 0 and os.getpid() != victim:
            os._exit(0)
        if number == 0:
            try:
                exec(step, scope)
            except OSError as error:
                os._exit(error.errno)
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])
        if number == victim:
            return errno.errorcode.get(code, code)
";

/// A child that reads the path, says so, and waits to be killed.
const VICTIM: &str = "
said, says = os.pipe()
victim = os.fork()
if victim == 0:
    os.write(says, (BEFORE, read(PATH))[1])
    signal.pause()
";

fn set(rules: &str) -> Option<(House, Person)> {
    let mut house = House::with(rules)?;
    if !house.has_few_numbers(NUMBERS) {
        return None;
    }
    let mut person = house.person(OWNER);
    person.must(RECYCLED);
    Some((house, person))
}

#[test]
fn the_number_of_an_allowed_program_gives_its_next_owner_nothing() {
    let Some((mut house, mut person)) = set("") else { return };
    let path = house.secret("cat/token", "s3cret");
    // cat goes on with its standard input, and stays.
    person.must(&format!(
        "it = subprocess.Popen(['cat', {path:?}, '-'], \
         stdin=subprocess.PIPE, stdout=subprocess.PIPE); victim = it.pid"
    ));
    assert_eq!(person.must("os.read(it.stdout.fileno(), 9)"), "s3cret");
    person.must("it.kill(), it.wait()");
    let read = format!("read({path:?})");
    assert_eq!(person.must(&format!("recycled({read:?})")), "EACCES");
    let refusal = house.stage().log_of("refused", "cat/token").pop().unwrap();
    assert_eq!(refusal["actor"]["pid"], person.must("victim"), "the number did not come again");
}

#[test]
fn the_number_of_a_process_with_a_lease_gives_its_next_owner_no_lease() {
    next_owner_is_asked_anew("process", "0");
}

#[test]
fn the_number_of_a_session_with_a_lease_gives_the_next_session_no_lease() {
    next_owner_is_asked_anew("session", "os.setsid()");
}

/// The next owner of the number has the same user and program: only its start differs.
fn next_owner_is_asked_anew(scope: &str, before: &str) {
    let rules = format!(
        "[[rule]]\nname = \"scoped\"\nclients = [\"owner\"]\nops = [\"file.list\", \"file.read\"]\n\
         path = [\"scoped/**\"]\nscope = \"{scope}\"\ndecide = \"approve\"\n\
         approve = {{ require = \"first_use\", by = [\"admin\"] }}\n"
    );
    let Some((mut house, mut person)) = set(&rules) else { return };
    let path = house.secret("scoped/token", "s3cret");
    person.must(&VICTIM.replace("BEFORE", before).replace("PATH", &format!("{path:?}")));
    house.approve("scoped/token");
    assert_eq!(person.must("os.read(said, 9)"), "s3cret");
    person.must("os.kill(victim, signal.SIGKILL), os.waitpid(victim, 0)");
    let step = format!("{before}; read({path:?}, os.O_NONBLOCK)");
    assert_eq!(person.must(&format!("recycled({step:?})")), "EAGAIN");
    let asked = house.stage().log_of("request.made", "scoped/token");
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[0]["actor"]["pid"], asked[1]["actor"]["pid"]);
}
