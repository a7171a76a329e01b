//! The daemon under a service manager: its socket, what it is told, its units, and the package.

use crate::support::root::Root;
use crate::support::wait;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A daemon that `systemd-socket-activate` starts when somebody connects; and what it says.
struct Activated {
    child: Child,
    said: UnixDatagram,
}

impl Activated {
    fn listening(root: &Root, socket: &Path) -> Option<Self> {
        if !has("systemd-socket-activate") {
            eprintln!("skipped: there is no systemd-socket-activate (Debian: systemd)");
            return None;
        }
        let place = root.directory().join("notify");
        let said = UnixDatagram::bind(&place).unwrap();
        said.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let child = Command::new("systemd-socket-activate")
            .arg(format!("--listen={}", socket.display()))
            .arg(format!("--setenv=NOTIFY_SOCKET={}", place.display()))
            .arg("--setenv=WATCHDOG_USEC=4000000")
            .arg(env!("CARGO_BIN_EXE_ward-mountd"))
            .arg("--root")
            .arg(root.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        assert!(wait::until(|| socket.exists()), "it does not listen");
        Some(Self { child, said })
    }

    /// Waits until it says something that begins so.
    fn says(&self, beginning: &str) -> String {
        let mut bytes = [0; 512];
        loop {
            let length = self.said.recv(&mut bytes).unwrap();
            let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
            if text.starts_with(beginning) {
                return text;
            }
        }
    }
}

#[test]
fn a_service_manager_listens_for_the_daemon_and_is_told_how_it_is() {
    let root = Root::private();
    let socket = root.path().join("control.sock");
    let Some(mut activated) = Activated::listening(&root, &socket) else { return };
    // Whoever connects first starts it. A command would, too, under our unit: what starts it here has no
    // `PassCredentials=`, without which nobody is known who connected before the daemon was there.
    drop(std::os::unix::net::UnixStream::connect(&socket).unwrap());
    assert_eq!(activated.says("READY"), "READY=1");
    root.ward(&["set", "db/password", "--value", "hunter2"]).succeed();
    assert_eq!(root.running(), Some(activated.child.id()));
    let path = root.directory().join("mount");
    root.ward(&["vault", "mount", "default", path.to_str().unwrap()]).succeed();
    // Its mounts are everybody's.
    assert_eq!(std::fs::read_to_string(path.join("db/password")).unwrap(), "hunter2");
    assert_eq!(activated.says("STATUS=mounts: 1"), "STATUS=mounts: 1, requests that wait: 0");
    assert_eq!(activated.says("WATCHDOG"), "WATCHDOG=1");
    root.ward(&["daemon", "stop"]).succeed();
    assert!(activated.says("STOPPING").contains("ending every mount"));
    assert!(activated.child.wait().unwrap().success());
    assert!(root.mounts().is_empty());
    // The socket is not the daemon's to remove.
    assert!(socket.exists());
}

#[test]
fn a_daemon_takes_no_other_socket_than_that_of_its_root() {
    let root = Root::private();
    let elsewhere = root.directory().join("other.sock");
    let Some(mut activated) = Activated::listening(&root, &elsewhere) else { return };
    let _connection = std::os::unix::net::UnixStream::connect(&elsewhere).unwrap();
    assert!(!activated.child.wait().unwrap().success());
    let mut said = String::new();
    std::io::Read::read_to_string(activated.child.stderr.as_mut().unwrap(), &mut said).unwrap();
    assert!(said.contains("hands over something else than the control socket"), "{said}");
    assert!(
        said.contains(&format!("ListenStream={}/control.sock", root.path().display())),
        "{said}"
    );
}

#[test]
fn the_units_are_valid_and_the_service_is_exposed_no_more_than_it_must_be() {
    if !has("systemd-analyze") {
        eprintln!("skipped: there is no systemd-analyze (Debian: systemd)");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let units = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/systemd");
    let programs = Path::new(env!("CARGO_BIN_EXE_ward")).parent().unwrap();
    let mut paths = Vec::new();
    for unit in ["ward.socket", "ward.service", "ward-user.service", "ward-mount@.service"] {
        let text = std::fs::read_to_string(units.join(unit)).unwrap();
        let text = text.replace("/usr/bin/ward", &format!("{}/ward", programs.display()));
        let path = folder.path().join(unit);
        std::fs::File::create(&path)
            .and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()))
            .unwrap();
        paths.push(path);
    }
    let verified =
        Command::new("systemd-analyze").args(["verify", "--man=no"]).args(&paths).output().unwrap();
    let said = String::from_utf8_lossy(&verified.stderr);
    assert!(verified.status.success() && said.is_empty(), "{said}");
    let exposed = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--threshold=45", "--no-pager"])
        .arg(&paths[1])
        .output()
        .unwrap();
    assert!(exposed.status.success(), "{}", String::from_utf8_lossy(&exposed.stdout));
}

/// Makes the package of the programs under test, and says where it is.
fn package(folder: &Path, version: &str) -> PathBuf {
    let programs = Path::new(env!("CARGO_BIN_EXE_ward")).parent().unwrap();
    let made = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/package"))
        .args(["--version", version, "--binaries"])
        .arg(programs)
        .arg("--output")
        .arg(folder)
        .env("WARD_PACKAGE_COMPRESSION", "none")
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    PathBuf::from(String::from_utf8(made.stdout).unwrap().trim())
}

fn dpkg(arguments: &[&str]) -> String {
    let done = Command::new("dpkg").args(arguments).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

/// Takes the package away again, however the test ends.
struct Installed;

impl Drop for Installed {
    fn drop(&mut self) {
        let removed = Command::new("dpkg").args(["--purge", "wardfs"]).output();
        assert!(std::thread::panicking() || removed.unwrap().status.success());
    }
}

#[test]
fn the_package_installs_upgrades_under_living_mounts_and_removes_itself_and_no_root() {
    let is_root = nix::unistd::Uid::effective().is_root();
    if !is_root || !has("dpkg-deb") || Path::new("/usr/bin/ward").exists() {
        eprintln!("skipped: no superuser, no Debian, or a package is installed already");
        return;
    }
    let root = Root::absent();
    let mount = root.directory().join("mount");
    let ward = |arguments: &[&str]| {
        let ended = Command::new("/usr/bin/ward")
            .arg("--root")
            .arg(root.path())
            .args(arguments)
            .output()
            .unwrap();
        assert!(ended.status.success(), "{arguments:?}: {ended:?}");
    };
    let installed = Installed;
    dpkg(&["--install", package(root.directory(), "0.1.0").to_str().unwrap()]);
    ward(&["init"]);
    ward(&["set", "a", "--value", "kept"]);
    ward(&["vault", "mount", "default", mount.to_str().unwrap()]);
    let page = Command::new("man").arg("-w").arg("ward-vault-mount").output();
    assert!(page.is_err() || page.unwrap().status.success() || !has("man"));

    let said = dpkg(&["--install", package(root.directory(), "0.1.1").to_str().unwrap()]);
    assert!(said.contains(&format!("the daemon of {} has ended", root.path().display())), "{said}");
    assert!(said.contains(&format!("the mount at {} has ended", mount.display())), "{said}");
    assert!(root.mounts().is_empty());
    ward(&["vault", "mount", "default", mount.to_str().unwrap()]);
    assert_eq!(std::fs::read_to_string(mount.join("a")).unwrap(), "kept");

    drop(installed);
    assert!(root.mounts().is_empty() && !Path::new("/usr/bin/ward").exists());
    assert!(root.path().join("ward.toml").exists());
}

fn has(program: &str) -> bool {
    let found = Command::new("/bin/sh").args(["-c", &format!("command -v {program}")]).output();
    found.is_ok_and(|output| output.status.success())
}
