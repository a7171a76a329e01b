//! How a session ends, and what `ward run` ends with.

use crate::support::agent::{RULES, agent, sessions, stage, words};
use crate::support::root::Root;
use crate::support::session::Session;
use crate::support::stage::{HOLD, Stage};
use crate::support::terminal::Terminal;
use crate::support::users::{OWNER, can_act_as_others, user};
use crate::support::wait;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

#[test]
fn ward_run_ends_as_its_command_does() {
    let Some(stage) = Stage::served(HOLD, RULES) else { return };
    let run = |command: &[&str]| {
        let words = words(stage.root(), "claude");
        stage.root().ward(&[&words[3..], command].concat()).by(OWNER).run()
    };
    assert_eq!(run(&["sh", "-c", "cat; exit 7"]).status, Some(7));
    assert_eq!(run(&["sh", "-c", "kill -TERM $$"]).status, Some(143));
    assert_eq!(run(&["/nowhere/at-all"]).status, Some(127));
    let bad = run(&["/etc/passwd"]);
    assert_eq!(bad.status, Some(126), "{bad:?}");
    assert!(wait::until(|| sessions(stage.root()).is_empty()));
    let ended = || stage.log().iter().filter(|it| it["eventType"] == "agent.ended").count();
    assert!(wait::until(|| ended() == 4));
}

#[test]
fn ward_run_waits_for_what_its_command_left() {
    let Some(stage) = Stage::served(HOLD, RULES) else { return };
    let script = "$0 run --agent claude -- sh -c \
                  'exec 3<&0; (read go <&3; echo last) & echo first; exit 3'; echo ended $?";
    let mut session = Session::begin(stage.root(), OWNER, script);
    assert_eq!(session.line(), "first");
    session.go();
    assert_eq!(session.line(), "last");
    assert_eq!(session.line(), "ended 3");
    session.end();
}

#[test]
fn a_signal_that_is_sent_to_ward_run_goes_to_its_command() {
    let Some((stage, ..)) = stage() else { return };
    let mut claude = agent(stage.root(), "claude");
    claude.must("signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])");
    claude.must("signal.signal(signal.SIGTERM, lambda *_: os._exit(9))");
    claude.begin("int(signal.sigwait([signal.SIGUSR1]))");
    claude.signal(Signal::SIGUSR1);
    assert_eq!(claude.end(), Ok((Signal::SIGUSR1 as i32).into()));
    claude.signal(Signal::SIGTERM);
    assert_eq!(claude.wait_for_its_end().code(), Some(9));
}

#[test]
fn killing_ward_run_ends_everything_in_its_session() {
    let Some((stage, ..)) = stage() else { return };
    let mut claude = agent(stage.root(), "claude");
    claude.must("one = subprocess.Popen(['sleep', '1000'])");
    claude.must("two = subprocess.Popen(['sleep', '1000'], start_new_session=True)");
    let pids = claude.must("[os.getpid(), one.pid, two.pid]");
    assert_eq!(sessions(stage.root())[0]["processes"], 3);
    claude.signal(Signal::SIGKILL);
    for pid in pids.as_array().unwrap() {
        assert!(wait::has_ended(u32::try_from(pid.as_u64().unwrap()).unwrap()), "{pid}");
    }
    assert!(sessions(stage.root()).is_empty());
}

#[test]
fn when_the_daemon_ends_the_command_runs_on_without_the_name() {
    let Some((stage, path, _)) = stage() else { return };
    let mut claude = agent(stage.root(), "claude");
    let inner = claude.must("os.getpid()").as_u64().unwrap();
    assert_eq!(claude.reads(&path), Ok("one".to_owned()));
    let daemon = stage.root().running().unwrap();
    kill(Pid::from_raw(i32::try_from(daemon).unwrap()), Signal::SIGKILL).unwrap();
    assert!(wait::has_ended(daemon));
    assert!(wait::until(|| stage.root().mounts().is_empty()));
    stage.root().ward(&["daemon", "start"]).succeed();
    stage.mount(&[]);
    assert_eq!(claude.reads(&path), Err("ENOENT".to_owned()));
    assert_eq!(agent(stage.root(), "claude").reads(&path), Ok("one".to_owned()));
    drop(claude);
    assert!(wait::has_ended(u32::try_from(inner).unwrap()));
}

#[test]
fn a_daemon_that_ward_run_started_is_none_of_the_session() {
    if !can_act_as_others() {
        return;
    }
    // Without root's rights: sessions are told by descent.
    let owner = user(OWNER);
    let root = Root::absent();
    std::os::unix::fs::chown(root.directory(), Some(owner.uid.as_raw()), None).unwrap();
    root.ward(&["init"]).by(OWNER).succeed();
    let status = "$0 --json status";
    let script = format!("$0 run --agent claude -- sh -c '{status}' $0; echo $?");
    let mut session = Session::begin(&root, OWNER, &script);
    let told: serde_json::Value = serde_json::from_str(&session.line()).unwrap();
    let agent = &told["result"]["agents"][0];
    assert_eq!((&agent["agent"], &agent["kept_by"]), (&"claude".into(), &"descent".into()));
    assert_eq!(session.line(), "0");
    session.end();
    assert_eq!(root.running().map(u64::from), told["result"]["pid"].as_u64());
}

#[test]
fn a_command_at_a_terminal_is_stopped_and_goes_on_with_ward_run() {
    let Some(stage) = Stage::served(HOLD, RULES) else { return };
    // The shell has jobs; the terminal's own keys stop what is in front.
    let script = "set -m; $0 run --agent claude -- sh -c 'echo ready; read a; echo \"got $a\"; cat'; \
                  echo \"stopped $?\"; fg; echo \"ended $?\"";
    let mut terminal = Terminal::begin_shell(stage.root(), script);
    terminal.expect("ready");
    terminal.type_in("\x1a");
    terminal.expect("stopped 14");
    terminal.type_in("word\n");
    terminal.expect("got word");
    terminal.type_in("\x04");
    terminal.expect("ended 0");
    terminal.end();
}
