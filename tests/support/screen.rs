//! A screen: a program in a terminal that keeps what it shows as rows (tmux).

use super::root::Root;
use super::wait;
use super::ward::WARD;
use std::process::{Command, Output};

/// A program on a screen of 90 columns and 30 rows. Ends with it.
pub(crate) struct Screen {
    /// The socket of a server of its own.
    socket: String,
}

impl Screen {
    /// Runs `ward` for `root`.
    pub(crate) fn begin(root: &Root, arguments: &[&str]) -> Self {
        let socket = root.directory().join("tmux").to_str().unwrap().to_owned();
        let screen = Self { socket };
        let size = ["-f", "/dev/null", "new-session", "-d", "-x", "90", "-y", "30", "--"];
        let variable = format!("WARD_ROOT={}", root.path().display());
        // What it said last stays, with its exit code.
        let shell = ["sh", "-c", "\"$@\"; echo \"ended with $?\"; exec cat", "sh"];
        let program = ["env", "-i", "TERM=screen", variable.as_str(), WARD];
        screen.tmux(&[&size[..], &shell, &program, arguments].concat());
        screen
    }

    /// Waits until a row has `text`; gives all rows.
    pub(crate) fn expect(&self, text: &str) -> Vec<String> {
        let mut rows = Vec::new();
        let is_shown = wait::until(|| {
            rows = self.rows();
            rows.iter().any(|row| row.contains(text))
        });
        assert!(is_shown, "{text:?} is not on the screen:\n{}", rows.join("\n"));
        rows
    }

    /// Types keys, by their names (tmux(1), `send-keys`).
    pub(crate) fn press(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    /// What is on it now.
    pub(crate) fn rows(&self) -> Vec<String> {
        let output = self.tmux(&["capture-pane", "-p"]);
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|row| row.trim_end().to_owned()).collect()
    }

    fn tmux(&self, words: &[&str]) -> Output {
        let output = Command::new("tmux").args(["-S", &self.socket]).args(words).output().unwrap();
        assert!(output.status.success(), "tmux {words:?}: {output:?}");
        output
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let kill = ["-S", &self.socket, "kill-server"];
        // It may have ended by itself.
        let _ended = Command::new("tmux").args(kill).output();
    }
}
