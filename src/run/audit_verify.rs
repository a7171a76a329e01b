//! `ward audit verify`: whether the log is whole. Reads the log itself, with or without a daemon;
//! who may not read it asks the daemon.

use crate::client::{Client, no_root};
use crate::exit_code::ExitCode;
use crate::output::{Report, escaped};
use crate::settings::Settings;
use crate::trouble::Trouble;
use std::io;
use std::path::Path;
use ward_audit::{VerifyError, verify};
use ward_mountd::control::message::{AuditVerdict, Command, FailureCode};
use ward_mountd::root::{AUDIT, MARK};

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
                verdict: report.verdict.word().to_owned(),
                entries: report.good.head.map_or(0, |head| head.seq),
                finding: report.to_string(),
            });
        }
        Err(error) => error,
    };
    let kind = match &error {
        VerifyError::Directory { source, .. } | VerifyError::File { source, .. } => source.kind(),
    };
    if kind == io::ErrorKind::PermissionDenied {
        return Reading::Forbidden;
    }
    if kind == io::ErrorKind::NotFound {
        return Reading::Verdict(AuditVerdict {
            verdict: "missing".to_owned(),
            entries: 0,
            finding: format!("The log {} is not there. Look for a backup.", folder.display()),
        });
    }
    Reading::Failed(Trouble::new(FailureCode::Failed, error))
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
