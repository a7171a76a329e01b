//! `ward policy fmt`: lays a policy out, and keeps its comments.

use crate::command::PolicyFmtArguments;
use crate::exit_code::ExitCode;
use crate::output::{Report, escaped};
use crate::policy_layout::laid_out;
use crate::settings::Settings;
use crate::trouble::Trouble;
use crate::{policy_text, replaced};
use serde::Serialize;
use ward_mountd::control::message::FailureCode;
use ward_policy::Digest;

/// What became of the file.
#[derive(Debug, Serialize)]
pub(crate) struct Formatted {
    /// The file.
    file: String,
    /// Whether it was, or with `--check` is, in another form.
    differs: bool,
}

/// Lays it out, or says whether it is.
pub(crate) fn run(
    arguments: &PolicyFmtArguments,
    settings: &Settings,
) -> Result<Report<Formatted>, Trouble> {
    let of_root = || settings.root.join("policy.toml");
    let file = arguments.file.clone().unwrap_or_else(of_root);
    let old = policy_text::load(&file)?;
    let text = policy_text::read(&file, "policy")?;
    let shown = file.display().to_string();
    let new = laid_out(&text).map_err(|error| Trouble::bad_input(format!("{shown}: {error}")))?;
    // Whatever the form, the meaning must be the same.
    let is_same = ward_policy::Rules::load(&new, Digest::from_bytes([0; 32]))
        .is_ok_and(|new| old.changes_to(&new).is_empty());
    if !is_same {
        let message =
            format!("{shown} would mean something else in another form; nothing was written");
        return Err(Trouble::new(FailureCode::Failed, message));
    }
    let differs = new != text;
    let (word, exit) = match (differs, arguments.check) {
        (false, _) => ("is laid out", ExitCode::Done),
        (true, true) => ("is not laid out", ExitCode::Failed),
        (true, false) => {
            replaced::replace(&file, &new)?;
            ("was laid out", ExitCode::Done)
        }
    };
    let text = format!("{} {word}\n", escaped(&shown));
    Ok(Report::new(Formatted { file: shown, differs }, text).ending(exit))
}
