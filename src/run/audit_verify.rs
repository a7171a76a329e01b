//! `ward audit verify`: whether the log is whole. Reads the log itself, with or without a daemon;
//! who may not read it asks the daemon.

use crate::client::{Client, no_root};
use crate::exit_code::ExitCode;
use crate::output::{Report, escaped};
use crate::settings::Settings;
use crate::trouble::Trouble;
use std::io;
use std::path::Path;
use ward_audit::{Verdict, VerifyError, verify};
use ward_mountd::control::message::{AuditVerdict, Command, FailureCode};
use ward_mountd::root::{AUDIT, MARK};

const WHOLE: &str = "whole";
const TORN: &str = "torn";
const BROKEN: &str = "broken";
const MISSING: &str = "missing";

/// Verifies it.
pub(crate) fn run(settings: &Settings) -> Result<Report<AuditVerdict>, Trouble> {
    let root = &settings.root;
    std::fs::symlink_metadata(root.join(MARK)).map_err(|error| no_root(root, &error))?;
    let verdict = match read(&root.join(AUDIT)) {
        Reading::Verdict(verdict) => verdict,
        Reading::Failed(trouble) => return Err(trouble),
        Reading::Forbidden => Client::connect(settings)?.ask(Command::AuditVerify {})?,
    };
    let exit = exit_code(&verdict.verdict)?;
    let text = format!("{}\n", escaped(&verdict.finding));
    Ok(Report::new(verdict, text).ending(exit))
}

/// What came of reading the log ourselves.
enum Reading {
    Verdict(AuditVerdict),
    Forbidden,
    Failed(Trouble),
}

fn read(folder: &Path) -> Reading {
    let error = match verify(folder, None) {
        Ok(report) => {
            return Reading::Verdict(AuditVerdict {
                verdict: word(&report.verdict).to_owned(),
                entries: report.good.head.map_or(0, |head| head.seq),
                finding: report.to_string(),
            });
        }
        Err(error) => error,
    };
    let kind = match &error {
        VerifyError::Directory { source, .. } | VerifyError::File { source, .. } => source.kind(),
    };
    match kind {
        io::ErrorKind::PermissionDenied => Reading::Forbidden,
        io::ErrorKind::NotFound => Reading::Verdict(AuditVerdict {
            verdict: MISSING.to_owned(),
            entries: 0,
            finding: format!(
                "The log {} is not there. Look for a backup.",
                folder.display()
            ),
        }),
        _ => Reading::Failed(Trouble::new(FailureCode::Failed, error)),
    }
}

/// The word of the protocol.
const fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Whole => WHOLE,
        Verdict::Torn { .. } => TORN,
        Verdict::Broken { .. } | Verdict::Rewritten { .. } => BROKEN,
        Verdict::MissingSegment { .. } | Verdict::MissingEntries { .. } => MISSING,
    }
}

fn exit_code(verdict: &str) -> Result<ExitCode, Trouble> {
    match verdict {
        WHOLE => Ok(ExitCode::Done),
        TORN => Ok(ExitCode::LogTorn),
        BROKEN => Ok(ExitCode::LogBroken),
        MISSING => Ok(ExitCode::LogMissing),
        other => Err(Trouble::new(
            FailureCode::Failed,
            format!("unknown verdict {other:?}"),
        )),
    }
}
