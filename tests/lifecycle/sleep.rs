//! Before the machine sleeps nobody is held any more, or it would not sleep.

use crate::support::person::{PYTHON, Person};
use crate::support::stage::{HOLD, Stage, replace};
use crate::support::users::OWNER;
use crate::support::wait;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// What stands in for systemd-logind.
const LOGIND: &str = include_str!("../support/logind.py");
/// Everybody may do everything on this bus.
const BUS: &str = r#"<busconfig><type>system</type><listen>unix:path=SOCKET</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*"/>
<allow receive_sender="*"/></policy></busconfig>"#;

/// A bus of our own with a stand-in for logind; both end with it.
struct Logind {
    bus: Child,
    stand_in: Child,
    orders: Option<ChildStdin>,
    said: BufReader<ChildStdout>,
    address: String,
}

impl Logind {
    fn on_a_bus_in(folder: &Path) -> Option<Self> {
        let knows_dbus = Command::new(PYTHON).args(["-c", "import dbus, gi"]).output();
        let has_bus = Path::new("/usr/bin/dbus-daemon").exists();
        if !has_bus || !knows_dbus.is_ok_and(|it| it.status.success()) {
            eprintln!("skipped: there is no dbus-daemon, or no python3-dbus with python3-gi");
            return None;
        }
        let socket = folder.join("bus");
        let settings = folder.join("bus.conf");
        replace(&settings, &BUS.replace("SOCKET", socket.to_str().unwrap()));
        let bus = Command::new("/usr/bin/dbus-daemon")
            .arg(format!("--config-file={}", settings.display()))
            .args(["--nofork", "--nopidfile"])
            .spawn()
            .unwrap();
        assert!(wait::until(|| socket.exists()), "there is no bus");
        let address = format!("unix:path={}", socket.display());
        let mut stand_in = Command::new(PYTHON)
            .args(["-c", LOGIND, &address])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let orders = stand_in.stdin.take();
        let said = BufReader::new(stand_in.stdout.take().unwrap());
        let mut logind = Self { bus, stand_in, orders, said, address };
        logind.says("ready");
        Some(logind)
    }

    fn order(&mut self, word: &str) {
        writeln!(self.orders.as_mut().unwrap(), "{word}").unwrap();
    }

    fn says(&mut self, words: &str) {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        assert_eq!(line.trim(), words);
    }

    /// A daemon that finds this bus.
    fn serve(&self, stage: &Stage) -> Child {
        let mut daemon = Command::new(env!("CARGO_BIN_EXE_ward-mountd"))
            .arg("--root")
            .arg(stage.root().path())
            .env("DBUS_SYSTEM_BUS_ADDRESS", &self.address)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = String::new();
        BufReader::new(daemon.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        assert_eq!(ready, "ready\n");
        daemon
    }
}

impl Drop for Logind {
    fn drop(&mut self) {
        drop(self.orders.take());
        for process in [&mut self.stand_in, &mut self.bus] {
            let _ended = process.kill();
            let _status = process.wait();
        }
    }
}

/// A cgroup whose processes are frozen as all are when the machine sleeps.
struct Freezer(PathBuf);

impl Freezer {
    fn of(person: &Person) -> Option<Self> {
        let folder = PathBuf::from(format!("/sys/fs/cgroup/freezer/wardtest{}", person.pid()));
        if std::fs::create_dir(&folder).is_err() {
            eprintln!("not looked at: there is no freezer of cgroup v1");
            return None;
        }
        let freezer = Self(folder);
        freezer.write("cgroup.procs", &person.pid().to_string());
        Some(freezer)
    }

    fn write(&self, file: &str, text: &str) {
        replace(&self.0.join(file), text);
    }

    fn state(&self) -> String {
        std::fs::read_to_string(self.0.join("freezer.state")).unwrap().trim().to_owned()
    }
}

impl Drop for Freezer {
    fn drop(&mut self) {
        self.write("freezer.state", "THAWED");
        let parent = self.0.parent().unwrap().join("cgroup.procs");
        for pid in std::fs::read_to_string(self.0.join("cgroup.procs")).unwrap().lines() {
            replace(&parent, pid);
        }
        std::fs::remove_dir(&self.0).unwrap();
    }
}

#[test]
fn who_waits_in_an_open_is_let_go_before_the_machine_sleeps_and_it_can_sleep() {
    let Some(stage) = Stage::still(HOLD, "") else { return };
    let Some(mut logind) = Logind::on_a_bus_in(stage.root().directory()) else { return };
    let mut daemon = logind.serve(&stage);
    logind.says("lock sleep wardfs delay");
    stage.mount(&[]);
    let path = stage.secret("ask/token", "s3cret");
    let (mut waiting, mut resting) = (Person::of(OWNER), Person::of(OWNER));
    assert_eq!(resting.must("1"), 1);
    waiting.begin(&format!("read({path:?})"));
    let request = stage.held("ask/token");
    let freezers = Freezer::of(&waiting).zip(Freezer::of(&resting));
    if let Some((freezer, other)) = &freezers {
        freezer.write("freezer.state", "FROZEN");
        other.write("freezer.state", "FROZEN");
        assert!(wait::until(|| other.state() == "FROZEN"));
        assert_eq!(freezer.state(), "FREEZING", "who waits in an open cannot be frozen");
    }
    logind.order("sleep");
    let begun = wait::seconds();
    logind.says("released");
    if let Some((freezer, _)) = &freezers {
        assert!(wait::until(|| freezer.state() == "FROZEN"), "the machine could not sleep");
        eprintln!("frozen {:.0} ms after the signal", (wait::seconds() - begun) * 1000.0);
    }
    drop(freezers);
    assert_eq!(waiting.end(), Err("EAGAIN".to_owned()));
    assert_eq!(resting.reads(&path), Err("EAGAIN".to_owned()), "nobody is held meanwhile");
    let refused = stage.log_of("refused", "ask/token").pop().unwrap();
    assert_eq!(refused["reason"], "the machine is about to sleep");
    logind.order("wake");
    logind.says("lock sleep wardfs delay");
    assert_eq!(stage.pending()[0]["request"], request.as_str(), "the question stays");
    waiting.begin(&format!("read({path:?})"));
    assert_eq!(stage.held("ask/token"), request);
    assert_eq!(stage.approve(&request).status, Some(0));
    assert_eq!(waiting.end(), Ok("s3cret".into()));
    drop((waiting, resting));
    assert_eq!(stage.unmount().status, Some(0));
    stage.root().ward(&["daemon", "stop"]).succeed();
    assert!(daemon.wait().unwrap().success());
}

#[test]
fn words_of_others_on_the_bus_let_nobody_go() {
    let Some(stage) = Stage::still(HOLD, "") else { return };
    let Some(mut logind) = Logind::on_a_bus_in(stage.root().directory()) else { return };
    let mut daemon = logind.serve(&stage);
    logind.says("lock sleep wardfs delay");
    stage.mount(&[]);
    let path = stage.secret("ask/token", "s3cret");
    let mut waiting = Person::of(OWNER);
    waiting.begin(&format!("read({path:?})"));
    let request = stage.held("ask/token");
    logind.order("forge");
    logind.says("forged");
    // The lock would be let go when the forged words counted, before it is let go for these.
    logind.order("wake");
    logind.says("released");
    logind.says("lock sleep wardfs delay");
    // What is held now is logind's lock, and not the descriptor that came with the forged words.
    logind.order("wake");
    logind.says("released");
    logind.says("lock sleep wardfs delay");
    assert_eq!(stage.held("ask/token"), request);
    assert_eq!(stage.approve(&request).status, Some(0));
    assert_eq!(waiting.end(), Ok("s3cret".into()));
    drop(waiting);
    assert_eq!(stage.unmount().status, Some(0));
    stage.root().ward(&["daemon", "stop"]).succeed();
    assert!(daemon.wait().unwrap().success());
}
