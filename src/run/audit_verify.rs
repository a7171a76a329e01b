//! `ward audit verify`: whether the log is whole. Reads the log itself, with or without a daemon;
//! who may not read it asks the daemon.

use crate::client::{Client, no_root};
use crate::command::AuditVerifyArguments;
use crate::exit_code::ExitCode;
use crate::output::{Report, escaped};
use crate::settings::Settings;
use crate::trouble::Trouble;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use ward_audit::{HeadNote, verify, verify_against};
use ward_mountd::control::message::{AuditVerdict, Command, FailureCode};
use ward_mountd::root::{AUDIT, MARK};

/// No head and no proof is longer.
const LONGEST: u64 = 1 << 20;

/// Verifies it.
pub(crate) fn run(
    arguments: &AuditVerifyArguments,
    settings: &Settings,
) -> Result<Report<AuditVerdict>, Trouble> {
    let root = &settings.root;
    std::fs::symlink_metadata(root.join(MARK)).map_err(|error| no_root(root, &error))?;
    let head = arguments.head.as_deref().map(read_head).transpose()?;
    let folder = root.join(AUDIT);
    let report = match &head {
        None => verify(&folder, None),
        Some(head) => verify_against(&folder, head),
    };
    let verdict = match report {
        Ok(report) => AuditVerdict::from(&report),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let head = head.map(|head| head.to_string());
            Client::connect(settings)?.ask(Command::AuditVerify { head })?
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => AuditVerdict {
            verdict: "missing".to_owned(),
            entries: 0,
            finding: format!("The log {} is not there. Look for a backup.", folder.display()),
        },
        Err(error) => return Err(Trouble::new(FailureCode::Failed, error)),
    };
    let exit = exit_code(&verdict.verdict)?;
    let text = format!("{}\n", escaped(&verdict.finding));
    Ok(Report::new(verdict, text).ending(exit))
}

/// The head that somebody kept.
fn read_head(file: &Path) -> Result<HeadNote, Trouble> {
    let text = text_of(file)?;
    HeadNote::parse(&text)
        .map_err(|error| Trouble::bad_input(format!("{}: {error}", file.display())))
}

/// The text of a small file.
pub(super) fn text_of(file: &Path) -> Result<String, Trouble> {
    let mut text = String::new();
    let read = File::open(file).and_then(|file| file.take(LONGEST).read_to_string(&mut text));
    read.map_err(|error| {
        Trouble::bad_input(format!("cannot read {}: {error}", file.display()))
            .next("name a file that you can read")
    })?;
    Ok(text)
}

fn exit_code(verdict: &str) -> Result<ExitCode, Trouble> {
    match verdict {
        "whole" => Ok(ExitCode::Done),
        "torn" => Ok(ExitCode::LogTorn),
        "broken" => Ok(ExitCode::LogBroken),
        "missing" => Ok(ExitCode::LogMissing),
        other => Err(Trouble::new(FailureCode::Failed, format!("unknown verdict {other:?}"))),
    }
}
