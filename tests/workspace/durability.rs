//! What was synced is there, whatever happens to the daemon.

use crate::support::desk::Desk;
use crate::support::users::OWNER;
use crate::support::wait;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

#[test]
fn what_was_fsynced_is_there_after_the_daemon_was_killed() {
    let Some(desk) = Desk::set() else { return };
    let path = desk.free("free", "file");
    let mut owner = desk.person_of(OWNER);
    owner.must("text = os.urandom(3 << 20)");
    owner.must(&format!("file = os.open({path:?}, os.O_RDWR | os.O_CREAT)"));
    owner.must("os.write(file, text); os.fsync(file)");
    owner.must("os.rename('free/file', 'free/renamed')");
    owner.must("os.mkdir('free/folder')");
    owner.must("os.fsync(os.open('free', os.O_RDONLY))");
    owner.must("os.unlink('free/renamed'); os.fsync(file)");
    owner.must("kept = os.open('free/kept', os.O_RDWR | os.O_CREAT)");
    owner.must("os.write(kept, text); os.utime('free/kept', ns=(7, 7)); os.fsync(kept)");
    let daemon = desk.stage().root().running().unwrap();
    kill(Pid::from_raw(i32::try_from(daemon).unwrap()), Signal::SIGKILL).unwrap();
    assert!(wait::has_ended(daemon));
    assert!(wait::until(|| desk.stage().root().mounts().is_empty()));
    desk.stage().root().ward(&["daemon", "start"]).succeed();
    desk.mount(&[]);
    owner.must(&format!("os.chdir({:?})", desk.stage().mountpoint()));
    assert_eq!(owner.must("sorted(os.listdir('free'))").to_string(), r#"["folder","kept"]"#);
    assert_eq!(owner.must("open('free/kept', 'rb').read() == text"), true);
    assert_eq!(owner.must("os.stat('free/kept').st_mtime_ns"), 7);
}
