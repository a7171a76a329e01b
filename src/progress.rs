//! Progress: that a long command goes on, on the terminal of standard error; nothing anywhere else.

use crate::output::Form;
use indicatif::{ProgressBar, ProgressStyle};
use std::time::Duration;

/// How often it moves.
const BEAT: Duration = Duration::from_millis(100);

/// A line that moves until this is dropped, and then goes.
#[derive(Debug)]
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Says what goes on, such as `reading work`; to people alone.
    pub(crate) fn of(form: Form, doing: &str) -> Self {
        let bar = match form {
            Form::Text => ProgressBar::new_spinner(),
            Form::Json => ProgressBar::hidden(),
        };
        bar.set_message(doing.to_owned());
        bar.enable_steady_tick(BEAT);
        Self(bar)
    }

    /// The same, counting what is done.
    pub(crate) fn counting(form: Form, doing: &str) -> Self {
        let progress = Self::of(form, doing);
        // A template of ours that is wrong leaves the plain one.
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}: {pos} files, {elapsed}") {
            progress.0.set_style(style);
        }
        progress
    }

    /// One more is done.
    pub(crate) fn step(&self) {
        self.0.inc(1);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
