//! How long a decision takes, by the number of rules and their shape; loading; and listing a folder.
//!
//! `cargo bench -p ward-policy`. Not a test: nothing fails when a number is bad.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "it measures and prints, and stops where it cannot"
)]

mod shapes;

use nix::time::{ClockId, clock_gettime};
use shapes::{Asked, Shape, policy};
use std::hint::black_box;
use std::time::Duration;
use ward_policy::{
    Caller, Cgroup, Decision, Digest, Executable, GroupId, LocalTime, Operation, OperationSet,
    ProcessId, Question, Rules, SecretPath, Session, ThreadId, UserId, VaultName, Weekday,
};

const SIZES: [u32; 4] = [10, 100, 1_000, 10_000];
/// Different questions of one policy.
const QUESTIONS: u32 = 1_000;
/// Times each is measured, and decisions in one measurement.
const TIMES: usize = 31;
const TURNS: u32 = 64;
const NOON: LocalTime = LocalTime { weekday: Weekday::Wednesday, minute: 720 };

fn main() {
    println!("| rules | shape | median | worst question |\n|---|---|---|---|");
    for size in SIZES {
        for shape in Shape::ALL {
            let rules = rules_of(&policy(&shape.lines(size)));
            let mut times: Vec<Duration> = shape
                .questions(size, QUESTIONS)
                .iter()
                .map(|asked| time_of(&rules, asked))
                .collect();
            times.sort_unstable();
            let (median, worst) = (times[times.len() / 2], times[times.len() - 1]);
            println!("| {size} | {} | {} | {} |", shape.name(), micro(median), micro(worst));
        }
    }
    println!("\n| rules | shape | load | 10 000 names of a folder |\n|---|---|---|---|");
    for size in [1_000, 10_000] {
        for shape in Shape::ALL {
            let text = policy(&shape.lines(size));
            let load = median_of(9, || drop(black_box(rules_of(&text))));
            let rules = rules_of(&text);
            let list = list(&rules, shape);
            println!("| {size} | {} | {} | {} |", shape.name(), milli(load), milli(list));
        }
    }
}

/// The median time of one decision.
fn time_of(rules: &Rules, asked: &Asked) -> Duration {
    let caller = caller(asked.uid);
    let (vault, path) = (vault(), SecretPath::try_from(asked.path.as_str()).unwrap());
    let question = Question {
        operations: OperationSet::of(Operation::FileRead),
        vault: Some(&vault),
        path: Some(&path),
        ..Question::default()
    };
    let all = median_of(TIMES, || {
        for _ in 0..TURNS {
            let decision = rules.evaluate(black_box(&caller), black_box(&question), NOON);
            let _not_spent: &Decision = black_box(&decision);
        }
    });
    all / TURNS
}

/// The filter of a listing: which of 10,000 names of one folder the caller may see.
fn list(rules: &Rules, shape: Shape) -> Duration {
    let asked = shape.questions(100, 1).remove(0);
    let folder = asked.path.rsplit_once('/').map_or("a", |(folder, _)| folder);
    let (caller, vault) = (caller(asked.uid), vault());
    let name = |number| SecretPath::try_from(format!("{folder}/name-{number}").as_str()).unwrap();
    let names: Vec<SecretPath> = (0..10_000).map(name).collect();
    median_of(9, || {
        let seen = names.iter().filter(|name| rules.is_visible(&caller, &vault, name, NOON));
        black_box(seen.count());
    })
}

fn median_of(times: usize, mut work: impl FnMut()) -> Duration {
    let mut time = || {
        let began = processor_time();
        work();
        processor_time().saturating_sub(began)
    };
    let mut taken: Vec<Duration> = (0..times).map(|_| time()).collect();
    taken.sort_unstable();
    taken[taken.len() / 2]
}

/// The work of this thread's processor: what runs beside it does not count.
fn processor_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap().into()
}

fn rules_of(text: &str) -> Rules {
    Rules::load(text, Digest::from_bytes([1; 32])).unwrap()
}

fn vault() -> VaultName {
    VaultName::try_from("work").unwrap()
}

/// A verified caller of that uid.
fn caller(uid: u32) -> Caller {
    let process = ProcessId { number: 41, start_ticks: 7 };
    let sha256 = Some(Digest::from_bytes([2; 32]));
    let path = Some(b"/usr/bin/claude".as_slice().into());
    Caller {
        thread: ThreadId(42),
        process,
        uid: UserId(uid),
        gid: GroupId(uid),
        groups: [].into(),
        login_uid: Some(UserId(uid)),
        executable: Some(Executable { path, device: 1, inode: 2, sha256 }.into()),
        session: Some(Session { leader: process, cgroup: Cgroup::default() }),
        script: None,
        acting: None,
        invocation: None,
        terminal: None,
        namespaces: None,
        tracer: None,
        agent: None,
        parents: [].into(),
        doubts: [].into(),
    }
}

fn micro(time: Duration) -> String {
    format!("{:.2} µs", time.as_secs_f64() * 1e6)
}

fn milli(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}
