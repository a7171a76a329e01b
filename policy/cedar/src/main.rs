//! cedar-policy at the questions of `policy/benches/shapes.rs`: one policy for each rule, the client in
//! its scope, the pattern as `like`, where `*` crosses slashes. Requests are made beforehand.

#[path = "../../benches/shapes.rs"]
mod shapes;

use cedar_policy::{
    Authorizer, Context, Entities, EntityUid, PolicySet, Request, RestrictedExpression,
};
use nix::time::{ClockId, clock_gettime};
use shapes::{Asked, Line, Shape, policy};
use std::fmt::Write as _;
use std::hint::black_box;
use std::str::FromStr;
use std::time::Duration;

fn main() {
    println!("| rules | shape | median | worst question | load |\n|---|---|---|---|---|");
    for (size, questions, times) in [(10, 200, 21), (100, 200, 9), (1_000, 50, 5), (10_000, 10, 3)]
    {
        for shape in Shape::ALL {
            let lines = shape.lines(size);
            assert!(policy(&lines).len() > lines.len());
            let text = text_of(&lines);
            let began = processor_time();
            let policies = PolicySet::from_str(&text).unwrap();
            let load = processor_time() - began;
            let asked = shape.questions(size, questions);
            let mut all: Vec<Duration> =
                asked.iter().map(|asked| time_of(&policies, asked, times)).collect();
            all.sort_unstable();
            let micro = |time: Duration| format!("{:.1} µs", time.as_secs_f64() * 1e6);
            let (median, worst) = (micro(all[all.len() / 2]), micro(all[all.len() - 1]));
            println!("| {size} | {} | {median} | {worst} | {load:.1?} |", shape.name());
        }
    }
}

fn time_of(policies: &PolicySet, asked: &Asked, times: usize) -> Duration {
    let name =
        |kind: &str, name: &str| EntityUid::from_str(&format!("{kind}::\"{name}\"")).unwrap();
    let path = RestrictedExpression::new_string(asked.path.clone());
    let request = Request::new(
        name("Client", &format!("c{}", asked.uid)),
        name("Action", "file.read"),
        name("Vault", "work"),
        Context::from_pairs([("path".to_owned(), path)]).unwrap(),
        None,
    )
    .unwrap();
    let (authorizer, entities) = (Authorizer::new(), Entities::empty());
    let mut taken: Vec<Duration> = (0..times)
        .map(|_| {
            let began = processor_time();
            black_box(authorizer.is_authorized(black_box(&request), policies, &entities));
            processor_time() - began
        })
        .collect();
    taken.sort_unstable();
    taken[taken.len() / 2]
}

fn text_of(lines: &[Line]) -> String {
    let mut text = String::new();
    for Line { uid, pattern } in lines {
        let pattern = pattern.replace("**/", "*").replace("**", "*").replace('?', "*");
        writeln!(
            text,
            "permit(principal == Client::\"c{uid}\", action in [Action::\"file.list\", \
             Action::\"file.read\"], resource) when {{ context.path like \"{pattern}\" }};"
        )
        .unwrap();
    }
    text
}

/// The work of this thread's processor: what runs beside it does not count.
fn processor_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap().into()
}
