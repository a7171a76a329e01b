//! The daemon under a service manager: its socket, what it is told, its units, and the package.

use crate::support::root::Root;
use crate::support::users::{OWNER, folder, user};
use crate::support::wait;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

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
    let connect = || std::os::unix::net::UnixStream::connect(&socket).is_ok();
    assert!(wait::until(connect), "it does not listen");
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
    let connect = || std::os::unix::net::UnixStream::connect(&elsewhere).is_ok();
    assert!(wait::until(connect), "it does not listen");
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
    ward(&["daemon", "stop"]);

    the_units_of_the_system_do_what_they_say(&root);
    an_ordinary_user_has_vaults_of_its_own();
    the_unit_of_a_user_serves_its_root();

    drop(installed);
    assert!(root.mounts().is_empty() && !Path::new("/usr/bin/ward").exists());
    assert!(root.path().join("ward.toml").exists());
}

/// A line of an installed unit, such as `ExecStart`, as the service manager would run it.
fn line_of(unit: &str, key: &str, replaced: &[(&str, &str)]) -> Vec<String> {
    let text = std::fs::read_to_string(unit).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    let line = line.unwrap_or_else(|| panic!("{unit} has no {key}")).to_owned();
    let line = replaced.iter().fold(line, |line, (from, to)| line.replace(from, to));
    assert!(!line.contains('%'), "{unit}: {line}");
    line.split(' ').map(str::to_owned).collect()
}

/// Runs such a line, with the environment that a service has; to its end.
fn run(line: &[String]) -> String {
    let mut command = service(line);
    let ended = command.output().unwrap();
    assert!(ended.status.success(), "{line:?}: {ended:?}");
    String::from_utf8(ended.stdout).unwrap()
}

fn service(line: &[String]) -> Command {
    let mut command = Command::new(&line[0]);
    command.args(&line[1..]).env_clear().env("PATH", "/usr/bin:/bin").current_dir("/");
    command
}

/// Starts the daemon of a unit (`Type=notify`), and waits until it says that it is ready.
fn serve(mut command: Command, folder: &Path) -> Child {
    let place = folder.join(format!("notify-{}", wait::seconds()));
    let said = UnixDatagram::bind(&place).unwrap();
    std::fs::set_permissions(&place, std::fs::Permissions::from_mode(0o666)).unwrap();
    said.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let child = command.env("NOTIFY_SOCKET", &place).stdout(Stdio::null()).spawn().unwrap();
    let mut bytes = [0; 512];
    let length = said.recv(&mut bytes).unwrap();
    assert_eq!(&bytes[..length], b"READY=1");
    child
}

fn end(mut daemon: Child) {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(daemon.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    assert!(daemon.wait().unwrap().success());
}

fn the_units_of_the_system_do_what_they_say(root: &Root) {
    let (daemon, template) =
        ("/lib/systemd/system/ward.service", "/lib/systemd/system/ward-mount@.service");
    // A name of its own: its mount is where everybody's are.
    let vault = format!("unit{}", std::process::id());
    let here = [("/var/lib/ward", root.path().to_str().unwrap()), ("%i", vault.as_str())];
    let running = serve(service(&line_of(daemon, "ExecStart", &here)), root.directory());
    run(&["/usr/bin/ward", "--root", here[0].1, "vault", "init", &vault].map(str::to_owned));
    let name = format!("{vault}:a");
    let set = ["/usr/bin/ward", "--root", here[0].1, "set", &name, "--value", "kept"];
    run(&set.map(str::to_owned));
    let start = line_of(template, "ExecStart", &here);
    run(&start);
    let place = PathBuf::from(format!("/run/ward/{vault}"));
    assert_eq!(std::fs::read_to_string(place.join("a")).unwrap(), "kept");
    let pid = running.id().to_string();
    run(&line_of(daemon, "ExecReload", &[("$MAINPID", &pid), ("kill", "/bin/kill")]));
    run(&line_of(template, "ExecStop", &here));
    assert!(!place.exists());
    // The end of the daemon ends it as well.
    run(&start);
    end(running);
    assert!(!place.exists());
}

/// `ward` as an ordinary user runs it, whose home and runtime directory are in `home`.
fn of_user(home: &Path, program: &str) -> Command {
    let user = user(OWNER);
    let mut command = Command::new(program);
    command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", home).current_dir(home);
    command.env("XDG_RUNTIME_DIR", home.join("run"));
    command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    command
}

fn home_of_a_user() -> TempDir {
    let home = folder(OWNER);
    let run = home.path().join("run");
    std::fs::create_dir(&run).unwrap();
    let user = user(OWNER);
    std::os::unix::fs::chown(&run, Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
    home
}

/// What came of a command of such a user.
fn said(home: &Path, program: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let ended = of_user(home, program).args(arguments).output().unwrap();
    let text = [ended.stdout, ended.stderr].concat();
    (ended.status.code(), String::from_utf8_lossy(&text).into_owned())
}

fn is_mounted(place: &Path) -> bool {
    let table = std::fs::read_to_string("/proc/self/mounts").unwrap();
    table.contains(place.to_str().unwrap())
}

/// What an ordinary user does with the installed package, through fusermount3.
fn an_ordinary_user_has_vaults_of_its_own() {
    let home = home_of_a_user();
    let ward = |arguments: &[&str]| {
        let (code, text) = said(home.path(), "/usr/bin/ward", arguments);
        assert_eq!(code, Some(0), "{arguments:?}: {text}");
        text
    };
    ward(&["init"]);
    ward(&["set", "db/password", "--value", "hunter2"]);
    let told = ward(&["vault", "mount", "default"]);
    let place = home.path().join("run/ward/default");
    assert!(told.contains(place.to_str().unwrap()) && is_mounted(&place), "{told}");
    let secret = place.join("db/password");
    let secret = secret.to_str().unwrap();
    assert_eq!(said(home.path(), "/usr/bin/cat", &[secret]), (Some(0), "hunter2".to_owned()));
    // The kernel keeps all others out, root too.
    assert_eq!(std::fs::read(secret).unwrap_err().kind(), std::io::ErrorKind::PermissionDenied);
    ward(&["vault", "unmount", "default"]);
    assert!(!is_mounted(&place) && !place.exists());
    ward(&["vault", "mount", "default", "--ttl", "1s"]);
    assert!(wait::until(|| !is_mounted(&place) && !place.exists()), "its time is over");
    assert!(ward(&["vault", "status", "default"]).contains("its time was over"));
    ward(&["vault", "mount", "default"]);
    ward(&["daemon", "stop"]);
    assert!(!is_mounted(&place));
}

fn the_unit_of_a_user_serves_its_root() {
    let home = home_of_a_user();
    let unit = "/usr/lib/systemd/user/ward.service";
    let home_text = home.path().to_str().unwrap();
    let condition = line_of(unit, "ConditionPathExists", &[("%h", home_text)]);
    assert!(!Path::new(&condition[0]).exists());
    assert_eq!(said(home.path(), "/usr/bin/ward", &["init"]).0, Some(0));
    assert!(Path::new(&condition[0]).exists(), "the unit is for another root: {condition:?}");
    let line = line_of(unit, "ExecStart", &[("%h", home_text)]);
    let mut command = of_user(home.path(), &line[0]);
    command.args(&line[1..]);
    let running = serve(command, home.path());
    let (code, text) = said(home.path(), "/usr/bin/ward", &["vault", "mount", "default"]);
    assert_eq!(code, Some(0), "{text}");
    let place = home.path().join("run/ward/default");
    assert!(is_mounted(&place));
    end(running);
    assert!(!is_mounted(&place) && !place.exists());
}

fn has(program: &str) -> bool {
    let found = Command::new("/bin/sh").args(["-c", &format!("command -v {program}")]).output();
    found.is_ok_and(|output| output.status.success())
}
