//! `ward generate`: pages for man(1) and completions of shells, from the words of the command line.

use crate::command::{CompletionsArguments, ManArguments};
use crate::help;
use crate::output::{Report, count};
use crate::trouble::Trouble;
use std::io::Write as _;
use ward_mountd::control::message::FailureCode;

/// What was made.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Generated {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    files: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

/// Writes `ward.1` and one page for each command below it.
pub(crate) fn man(arguments: &ManArguments) -> Result<Report<Generated>, Trouble> {
    let directory = &arguments.directory;
    let failed = |error: std::io::Error| {
        let message = format!("cannot write pages into {}: {error}", directory.display());
        Trouble::new(FailureCode::Failed, message)
    };
    std::fs::create_dir_all(directory).map_err(failed)?;
    let mut files = Vec::new();
    let mut command = help::command().disable_help_flag(true);
    command.build();
    write_pages(&command, directory, &mut files).map_err(failed)?;
    let pages = count(files.len().try_into().unwrap_or(u64::MAX), "page");
    let text = format!("{pages} in {}\n", directory.display());
    Ok(Report::new(Generated { files, text: None }, text))
}

fn write_pages(
    command: &clap::Command,
    directory: &std::path::Path,
    files: &mut Vec<String>,
) -> std::io::Result<()> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    let file = format!("{name}.1");
    std::fs::File::create(directory.join(&file))?.write_all(&page)?;
    files.push(file);
    for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set()) {
        write_pages(inner, directory, files)?;
    }
    Ok(())
}

/// Prints what the shell needs.
pub(crate) fn completions(arguments: &CompletionsArguments) -> Report<Generated> {
    let mut text = Vec::new();
    clap_complete::generate(arguments.shell, &mut help::command(), "ward", &mut text);
    let shown = String::from_utf8_lossy(&text).into_owned();
    Report::new(Generated { files: Vec::new(), text: Some(shown) }, text)
}
