//! `ward audit export`: the log in the form of another system, whose own tools check it.

use super::audit_accept_break::trouble;
use crate::client::Client;
use crate::command::{AuditExportArguments, ExportForm};
use crate::output::{Report, escaped};
use crate::settings::Settings;
use crate::trouble::Trouble;
use serde::Serialize;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use ward_audit::{AgentSafe, Filter, ShownEntry, Verdict, csv_head, csv_row};
use ward_mountd::control::message::{AuditFilter, AuditPage, Command, FailureCode};
use ward_mountd::export_rows;
use ward_mountd::root::AUDIT;

/// What was written.
#[derive(Debug, Serialize)]
pub(crate) struct Exported {
    /// How many entries.
    entries: u64,
}

/// Writes it.
pub(crate) fn run(
    arguments: &AuditExportArguments,
    settings: &Settings,
) -> Result<Report<Exported>, Trouble> {
    let output = &arguments.output;
    refuse_damage(settings)?;
    let entries = write(BufWriter::new(new_file(output)?), arguments, settings);
    if entries.is_err() {
        // It is ours, and holds a part at best.
        let _nothing_left = std::fs::remove_file(output);
    }
    let entries = entries?;
    let text = format!("{entries} entries in {}\n", escaped(&output.display().to_string()));
    Ok(Report::new(Exported { entries }, text))
}

/// Refuses a log that is not whole: a chain made anew over what is left of it would hide that.
fn refuse_damage(settings: &Settings) -> Result<(), Trouble> {
    // Why it cannot be read is told by what reads it, unless that is the daemon.
    let Ok(report) = ward_audit::verify(&settings.root.join(AUDIT), None) else { return Ok(()) };
    let is_whole = matches!(report.verdict, Verdict::Whole | Verdict::Torn { .. });
    if is_whole { Ok(()) } else { Err(damaged(&report.to_string())) }
}

/// Writes all of it to the file; how many entries.
fn write(
    mut file: BufWriter<File>,
    arguments: &AuditExportArguments,
    settings: &Settings,
) -> Result<u64, Trouble> {
    let AuditExportArguments { form, output, signers, names: _ } = arguments;
    let entries = match form {
        ExportForm::Illuvrse => {
            let (count, text) =
                export_rows(&settings.root, &mut file).map_err(|error| trouble(&error))?;
            if let Some(path) = signers {
                new_file(path)?.write_all(text.as_bytes()).map_err(|error| failed(path, &error))?;
            }
            count
        }
        ExportForm::AgentSafe => {
            let mut chain = AgentSafe::default();
            each_entry(arguments, settings, &mut |shown| {
                file.write_all(chain.line(&shown.entry, shown.hash).as_bytes())
            })?
        }
        ExportForm::Csv => {
            file.write_all(csv_head().as_bytes()).map_err(|error| failed(output, &error))?;
            each_entry(arguments, settings, &mut |shown| {
                file.write_all(csv_row(&shown.entry, shown.hash).as_bytes())
            })?
        }
    };
    let synced = file.into_inner().map_err(io::IntoInnerError::into_error);
    synced.and_then(|file| file.sync_all()).map_err(|error| failed(output, &error))?;
    Ok(entries)
}

/// Gives each entry, with names opened where that is wanted; how many.
fn each_entry(
    arguments: &AuditExportArguments,
    settings: &Settings,
    write: &mut dyn FnMut(&ShownEntry) -> io::Result<()>,
) -> Result<u64, Trouble> {
    let mut count = 0;
    let mut each = |shown: &ShownEntry| {
        count += 1;
        write(shown)
    };
    let written = if arguments.names {
        from_the_daemon(settings, &mut each)?
    } else {
        from_the_files(settings, &mut each)?
    };
    written.map_err(|error| failed(&arguments.output, &error))?;
    Ok(count)
}

/// Each entry, in the form in which it lies there.
fn from_the_files(
    settings: &Settings,
    each: &mut dyn FnMut(&ShownEntry) -> io::Result<()>,
) -> Result<io::Result<()>, Trouble> {
    let mut written = Ok(());
    let folder = settings.root.join(AUDIT);
    let unread = ward_audit::read(&folder, &Filter::default(), |shown| {
        written = each(&shown);
        if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    let unread = unread.map_err(|error| {
        Trouble::new(FailureCode::Denied, error)
            .next("run it as the owner of the root, or with --names")
    })?;
    match unread.first() {
        Some(damage) => Err(damaged(&damage.to_string())),
        None => Ok(written),
    }
}

/// Each entry, with names opened where the vault is unlocked.
fn from_the_daemon(
    settings: &Settings,
    each: &mut dyn FnMut(&ShownEntry) -> io::Result<()>,
) -> Result<io::Result<()>, Trouble> {
    let mut client = Client::connect(settings)?;
    let mut after = Some(0);
    while after.is_some() {
        let filter = AuditFilter { after, limit: Some(500), ..AuditFilter::default() };
        let page: AuditPage = client.ask(Command::AuditShow { filter })?;
        if let Some(damage) = page.damaged.first() {
            return Err(damaged(damage));
        }
        for entry in page.entries {
            let shown: ShownEntry = serde_json::from_value(entry)
                .map_err(|error| Trouble::new(FailureCode::Failed, error))?;
            if let Err(error) = each(&shown) {
                return Ok(Err(error));
            }
        }
        after = page.next;
    }
    Ok(Ok(()))
}

fn damaged(words: &str) -> Trouble {
    Trouble::new(FailureCode::Damaged, words).next("see ward audit verify")
}

/// A file of the caller's alone; one that is there stays as it is.
fn new_file(path: &Path) -> Result<File, Trouble> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.map_err(|error| failed(path, &error))
}

fn failed(path: &Path, error: &io::Error) -> Trouble {
    let message = format!("cannot write {}: {error}", path.display());
    Trouble::bad_input(message).next("name a file that is not there yet")
}
