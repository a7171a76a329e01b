//! Who carries a name, who may take it, and where it shows.

use crate::support::agent::{agent, daemon_reads, sessions, stage, words};
use crate::support::person::Person;
use crate::support::session::Session;
use crate::support::stage::Stage;
use crate::support::users::{OWNER, STRANGER};
use crate::support::wait;

#[test]
fn two_agents_of_one_user_see_different_files_and_whoever_is_none_sees_neither() {
    let Some((stage, claudes, codexs)) = stage() else { return };
    let mut claude = agent(stage.root(), "claude");
    let mut codex = agent(stage.root(), "codex");
    let mut nobody = Person::of(OWNER);
    assert_eq!(claude.reads(&claudes), Ok("one".to_owned()));
    assert_eq!(claude.reads(&codexs), Err("ENOENT".to_owned()));
    assert_eq!(codex.reads(&codexs), Ok("two".to_owned()));
    assert_eq!(codex.reads(&claudes), Err("ENOENT".to_owned()));
    assert_eq!(nobody.reads(&claudes), Err("ENOENT".to_owned()));
    let read = stage.log_of("file.read", "claude/token").pop().unwrap();
    assert_eq!(read["actor"]["agent"], "claude");
    let session = &sessions(stage.root())[0];
    assert_eq!(read["actor"]["agentSession"], session["session"]);
    assert_eq!((&session["agent"], &session["pid"]), (&"claude".into(), &claude.pid().into()));
    assert_eq!(session["processes"], 1);
}

#[test]
fn a_thousand_short_lived_children_keep_the_name() {
    let Some((stage, path, _)) = stage() else { return };
    let mut claude = agent(stage.root(), "claude");
    for _ in 0..20 {
        let fifty = format!("sum(child({:?}) == 0 for _ in range(50))", format!("read({path:?})"));
        assert_eq!(claude.must(&fifty), 50);
    }
}

#[test]
fn what_forks_twice_and_leaves_its_session_keeps_the_name() {
    let Some((stage, path, _)) = stage() else { return };
    let mut claude = agent(stage.root(), "claude");
    claude.must(&daemon_reads(&path));
    assert_eq!(claude.must("daemon_reads()"), "one");
    // The same without the name, so that it is the name that makes it so.
    let mut nobody = Person::of(OWNER);
    nobody.must(&daemon_reads(&path));
    assert_eq!(nobody.must("daemon_reads()"), "ENOENT");
}

#[test]
fn a_program_keeps_the_name_through_exec() {
    let Some((stage, path, _)) = stage() else { return };
    let mut claude = agent(stage.root(), "claude");
    assert_eq!(claude.must(&format!("run('cat', {path:?})"))[1], "one");
    let again = format!("run('sh', '-c', 'exec setsid --wait env -i /bin/cat $0', {path:?})");
    assert_eq!(claude.must(&again)[1], "one");
}

#[test]
fn policy_decides_who_takes_which_name_and_the_log_tells() {
    let Some((stage, ..)) = stage() else { return };
    let run = |user, name| {
        stage
            .root()
            .ward(&[&words(stage.root(), name)[3..], &["echo", "ran"]].concat())
            .by(user)
            .run()
    };
    assert_eq!(run(OWNER, "claude").stdout, "ran\n");
    for (user, name) in [(OWNER, "other"), (STRANGER, "claude")] {
        let refused = run(user, name);
        assert_eq!((refused.status, refused.stdout.as_str()), (Some(3), ""), "{refused:?}");
        let record = stage.log_of("refused", name).pop().unwrap();
        assert_eq!(
            (&record["operations"][0], &record["decision"]),
            (&"agent.run".into(), &"denied".into())
        );
    }
    let bad = run(OWNER, "claude/../x");
    assert_eq!(bad.status, Some(7), "{bad:?}");
    let begun: Vec<_> =
        stage.log().into_iter().filter(|entry| entry["eventType"] == "agent.begun").collect();
    assert_eq!(begun.len(), 1);
    assert_eq!(begun[0]["actor"]["agent"], "claude");
}

#[test]
fn an_agent_starts_after_a_yes_where_the_policy_wants_one() {
    let Some((stage, ..)) = stage() else { return };
    let run = "$0 run --agent asked -- echo ran 2>/dev/null; echo $?";
    let mut person = Session::begin(stage.root(), OWNER, &format!("{run}; read go; {run}; {run}"));
    assert_eq!(person.line(), "4");
    let request = &stage.pending()[0];
    assert_eq!((&request["vault"], &request["path"]), (&"".into(), &"asked".into()));
    let shown = stage.root().run(&["list", "--pending"]).stdout;
    assert!(shown.starts_with("agent    asked\n"), "{shown}");
    assert_eq!(stage.approve(request["request"].as_str().unwrap()).status, Some(0));
    person.go();
    assert_eq!(person.end().0, "ran\n0\n4\n");
}

#[test]
fn within_a_session_the_same_name_is_kept_and_another_is_refused() {
    let Some((stage, path, _)) = stage() else { return };
    let mut claude = agent(stage.root(), "claude");
    let run = |name| {
        let words = words(stage.root(), name).map(|word| format!("{word:?}")).join(", ");
        format!("run({words}, 'cat', {path:?})")
    };
    assert_eq!(claude.must(&run("claude"))[1], "one");
    assert_eq!(sessions(stage.root()).len(), 1);
    let refused = claude.must(&run("codex"));
    assert_eq!((&refused[0], &refused[1]), (&3.into(), &"".into()));
    assert!(refused[2].as_str().unwrap().contains("a session of the agent claude"), "{refused}");
    let record = stage.log_of("refused", "codex").pop().unwrap();
    assert_eq!(record["actor"]["agent"], "claude");
}

#[test]
fn a_yes_to_an_agent_serves_its_session_alone_and_ends_with_it() {
    let Some((stage, ..)) = stage() else { return };
    let path = stage.secret("ask/token", "three");
    let mut claude = agent(stage.root(), "claude");
    let asks = format!("read({path:?}, os.O_NONBLOCK)");
    assert_eq!(claude.fails(&asks), "EAGAIN");
    let request = stage.pending().remove(0);
    assert_eq!(request["asker"]["agent"], "claude");
    assert_eq!(stage.approve(request["request"].as_str().unwrap()).status, Some(0));
    assert_eq!(claude.must(&asks), "three");
    // A child in a session of its own has the same program and the same agent session.
    assert_eq!(claude.must(&format!("child({:?})", format!("os.setsid(); {asks}"))), 0);
    for other in [&mut agent(stage.root(), "claude"), &mut Person::of(OWNER)] {
        assert_eq!(other.fails(&asks), "EAGAIN");
    }
    assert_eq!(leases(&stage), 1);
    drop(claude);
    assert!(wait::until(|| leases(&stage) == 0));
}

fn leases(stage: &Stage) -> usize {
    let status = stage.root().run(&["--json", "status"]).json();
    status["result"]["leases"].as_array().unwrap().len()
}
