//! Handing files out: between users, between agents of one user, and to nobody else.

mod attacks;
mod files;
mod sessions;

use crate::support::person::Person;
use crate::support::stage::{HOLD, Stage};
use crate::support::users::{OWNER, STRANGER};
use crate::support::wait;

/// The owner may hand out what is below `read`; who may not read it asks for it.
const RULES: &str = r#"
[[rule]]
name = "owner-hands-out"
clients = ["owner"]
ops = ["handoff.grant"]
path = ["read/**", "ask/**", "hidden/**"]
decide = "allow"

[[rule]]
name = "never-for-the-stranger"
clients = ["stranger"]
ops = ["file.read"]
path = ["read/never"]
decide = "deny"
"#;

/// What the stranger writes to be handed `read/token`.
const DOCUMENT: &str =
    "path = 'read/token'\\noperation = 'handoff.grant'\\nreason = 'for tests'\\n";

/// A giver and a receiver of different users in a mount that has `read/token`.
fn two_users() -> Option<(Stage, Person, Person)> {
    let stage = Stage::with(HOLD, RULES)?;
    stage.secret("read/token", "s3cret");
    let (giver, receiver) = (at(&stage, OWNER), at(&stage, STRANGER));
    Some((stage, giver, receiver))
}

fn at(stage: &Stage, user: &str) -> Person {
    let mut person = Person::of(user);
    person.must(&format!("os.chdir({:?})", stage.mountpoint()));
    person
}

/// Asks by a request file of that name, with more lines of it; gives the id.
fn ask(receiver: &mut Person, name: &str, more: &str) -> String {
    receiver.must(&format!("write('.ward/requests/{name}', \"{DOCUMENT}{more}\")"));
    field(receiver, name, "request")
}

/// What a request file says.
fn field(person: &mut Person, name: &str, field: &str) -> String {
    let read = format!(
        "__import__('tomllib').loads(open('.ward/requests/{name}').read()).get({field:?}, '')"
    );
    person.must(&read).as_str().unwrap().to_owned()
}

/// The requests in a person's inbox.
fn inbox(person: &mut Person) -> Vec<String> {
    let listed = person.must("os.listdir('.ward/inbox')");
    let names = listed.as_array().unwrap().iter();
    names.map(|name| name.as_str().unwrap().to_owned()).collect()
}

fn answer(giver: &mut Person, id: &str, words: &str) {
    let words = serde_json::to_string(words).unwrap();
    giver.must(&format!("write('.ward/inbox/{id}', {words})"));
}

/// Has the giver say yes; gives the path of what was handed out.
fn handed(stage: &Stage, giver: &mut Person, id: &str) -> String {
    assert_eq!(inbox(giver), [id]);
    answer(giver, id, "approve\n");
    stage.path(&format!(".ward/handoff/{id}/token"))
}

/// Entries of one kind about one request.
fn log_of(stage: &Stage, event: &str, id: &str) -> Vec<serde_json::Value> {
    let is_meant = |it: &serde_json::Value| it["eventType"] == event && it["request"] == id;
    stage.log().into_iter().filter(is_meant).collect()
}

fn becomes(claim: impl FnMut() -> bool) {
    assert!(wait::until(claim), "it did not happen in time");
}
