//! A root for one test: made, its daemon remembered, and everything ended when the test does.

use super::users;
use super::wait;
use super::ward::{Ended, Ward};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::ffi::OsStr;
use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A root of the test's own. Dropping it ends its daemon, and fails the test when a mount or a
/// descriptor is left.
pub(crate) struct Root {
    directory: TempDir,
    path: PathBuf,
    daemon: Option<Daemon>,
}

/// A daemon, and how many descriptors it has when it rests.
#[derive(Clone, Copy)]
struct Daemon {
    pid: u32,
    descriptors: usize,
}

impl Root {
    /// A place for a root, and nothing there.
    pub(crate) fn absent() -> Self {
        let directory = tempfile::tempdir().unwrap();
        // Other users must reach what the test shows them.
        std::fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
        let path = directory.path().join("root");
        Self { directory, path, daemon: None }
    }

    /// A place for a root at `path`, and nothing there.
    pub(crate) fn at(path: PathBuf) -> Self {
        Self { directory: tempfile::tempdir().unwrap(), path, daemon: None }
    }

    /// A private root; no daemon runs yet.
    pub(crate) fn private() -> Self {
        let root = Self::absent();
        root.ward(&["init"]).succeed();
        root.write_anywhere();
        root
    }

    /// The same with the settings of a new root: raw bytes go to a terminal only.
    pub(crate) fn guarded() -> Self {
        let root = Self::absent();
        root.ward(&["init"]).succeed();
        root
    }

    /// A system root for the first user of the tests; no daemon runs yet.
    pub(crate) fn system() -> Self {
        let root = Self::absent();
        users::user(users::OWNER);
        root.ward(&["init", "--for", users::OWNER]).succeed();
        root.write_anywhere();
        root
    }

    /// Lets `ward get --raw` write to tests, which are no terminal.
    pub(crate) fn write_anywhere(&self) {
        self.configure("[pipe]\nraw = \"anywhere\"\n");
    }

    /// Starts the daemon and remembers it.
    pub(crate) fn serving(mut self) -> Self {
        self.ward(&["daemon", "start"]).succeed();
        let pid = self.running().unwrap();
        self.daemon = Some(Daemon { pid, descriptors: self.resting_descriptors(pid) });
        self
    }

    /// Adds `text` to its settings.
    pub(crate) fn configure(&self, text: &str) {
        let file = std::fs::File::options().append(true).open(self.path.join("ward.toml"));
        file.unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// The newest segment of its log.
    pub(crate) fn newest_segment(&self) -> PathBuf {
        let folder = std::fs::read_dir(self.path().join("audit")).unwrap();
        let paths = folder.map(|entry| entry.unwrap().path());
        paths.filter(|path| path.extension().is_some_and(|it| it == "jsonl")).max().unwrap()
    }

    /// Where the root is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the test may put files and mounts.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A run of `ward` for this root, in its directory.
    pub(crate) fn ward(&self, arguments: &[impl AsRef<OsStr>]) -> Ward {
        Ward::of(&self.path, arguments).within(self.directory())
    }

    /// Runs `ward` to its end.
    pub(crate) fn run(&self, arguments: &[impl AsRef<OsStr>]) -> Ended {
        self.ward(arguments).run()
    }

    /// The process number of the daemon, when one runs.
    pub(crate) fn running(&self) -> Option<u32> {
        let ended = self.run(&["--json", "daemon", "status"]);
        let pid = ended.json()["result"]["pid"].as_u64()?;
        Some(u32::try_from(pid).unwrap())
    }

    /// Lines of the mount table below the test's directory.
    pub(crate) fn mounts(&self) -> Vec<String> {
        let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let below = self.directory().to_str().unwrap();
        table.lines().filter(|line| line.contains(below)).map(str::to_owned).collect()
    }

    /// What the process has open beside its own root and what it remembers of callers (a pidfd and
    /// the identity of their memory, bounded and looked up again).
    pub(crate) fn held(&self, pid: u32) -> Vec<PathBuf> {
        let listing = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten();
        let paths = listing.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
        let is_remembered = |path: &Path| {
            path == Path::new("anon_inode:[pidfd]")
                || path.ends_with("pagemap")
                || path.ends_with("status")
        };
        paths.filter(|path| !path.starts_with(&self.path) && !is_remembered(path)).collect()
    }

    /// The number of descriptors once the connection that asked is closed on both sides.
    fn resting_descriptors(&self, pid: u32) -> usize {
        let mut last = usize::MAX;
        wait::until(|| {
            let now = self.held(pid).len();
            std::mem::replace(&mut last, now) == now
        });
        last
    }

    fn end(&self, pid: u32) {
        let number = Pid::from_raw(i32::try_from(pid).unwrap());
        // It may have ended meanwhile.
        let _ended = kill(number, Signal::SIGTERM);
        if !wait::has_ended(pid) {
            let _ended = kill(number, Signal::SIGKILL);
            assert!(std::thread::panicking(), "the daemon {pid} did not end on SIGTERM");
        }
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let Some(pid) = self.path.exists().then(|| self.running()).flatten() else { return };
        let known = self.daemon.filter(|daemon| daemon.pid == pid && !std::thread::panicking());
        let is_clean =
            known.is_none_or(|daemon| wait::until(|| self.held(pid).len() <= daemon.descriptors));
        let held = self.held(pid);
        self.end(pid);
        // A test that failed has said why already.
        if !std::thread::panicking() {
            assert!(is_clean, "the daemon kept descriptors open: {held:?}");
            assert_eq!(self.mounts(), Vec::<String>::new(), "mounts are left");
        }
    }
}
