//! A7: a signature is used again, for another request, or for more than was signed.

use crate::factors::{allow, reader, stage};
use crate::support::person::Person;
use crate::support::stage::Stage;
use crate::support::users::STRANGER;
use serde_json::{Value, json};

/// Says one command on the control socket.
fn says(stage: &Stage, person: &mut Person, command: &Value) -> Value {
    let socket = stage.root().path().join("control.sock");
    person.must("control = socket.socket(socket.AF_UNIX)");
    person.must(&format!("control.connect({:?})", socket.to_str().unwrap()));
    let line = json!({"version": 1, "command": command}).to_string() + "\n";
    person.must(&format!("control.send({line:?}.encode())"));
    let answer = person.must("control.recv(1 << 16)");
    serde_json::from_str(answer.as_str().unwrap()).unwrap()
}

#[test]
fn a_signature_serves_exactly_the_request_and_the_terms_it_was_made_for() {
    let Some((stage, keys)) = stage() else { return };
    keys.make("key", "ed25519");
    allow(stage.root(), &[keys.line("stranger", "key")]);
    let (mut first, request) = reader(&stage, "signed/token");
    let (_second, other) = reader(&stage, "signed/other");
    let mut approver = Person::of(STRANGER);
    let terms = json!({"uses": 1, "seconds": 60});
    let ask = json!({"name": "approval-binding", "request": request, "terms": terms});
    let answer = says(&stage, &mut approver, &ask);
    let binding = answer["result"]["binding"].as_str().unwrap();
    assert_eq!(answer["result"]["keys"].as_array().unwrap().len(), 1, "{answer}");
    let signature = keys.sign("key", "ward-approval@v1", binding);
    let foreign = keys.sign("key", "git", binding);
    let mut approve = |request: &str, terms: &Value, signature: &str| {
        let evidence = json!({"signature": signature});
        let command =
            json!({"name": "approve", "request": request, "terms": terms, "evidence": evidence});
        says(&stage, &mut approver, &command)
    };
    let wrong = "the signature is not one over what this approval grants";
    for (request, terms, signature, why) in [
        (&other, &terms, &signature, wrong),
        (&request, &json!({}), &signature, wrong),
        (&request, &json!({"uses": 2, "seconds": 60}), &signature, wrong),
        (&request, &terms, &foreign, "is for \"git\""),
        (&request, &terms, &signature.replace("U1NIU0lH", "U1NIU0lI"), "no signature"),
        (&request, &terms, &"-----BEGIN SSH SIGNATURE-----".to_owned(), "no signature"),
    ] {
        let answer = approve(request, terms, signature);
        assert!(answer["error"]["message"].as_str().unwrap().contains(why), "{why}: {answer}");
    }
    assert_eq!(approve(&request, &terms, &signature)["result"]["missing"], 0);
    assert_eq!(first.end().unwrap()[1], "s3cret");
    // Not a second time either: neither for the request nor for the next one about the same.
    assert_eq!(approve(&request, &terms, &signature)["error"]["code"], "not-found");
    let (_again, next) = {
        let path = stage.path("signed/token");
        let mut again = Person::of(crate::support::users::OWNER);
        again.begin(&format!("run('cat', {path:?})"));
        (again, stage.held("signed/token"))
    };
    let answer = approve(&next, &terms, &signature);
    assert!(answer["error"]["message"].as_str().unwrap().contains(wrong), "{answer}");
    // Each attempt is in the log.
    let refused = stage.log().into_iter().filter(|entry| {
        entry["eventType"] == "refused" && entry["operations"] == json!(["request.approve"])
    });
    assert_eq!(refused.count(), 7);
}
