//! `ward audit verify`: whether the log is whole. Reads the log itself, with or without a daemon;
//! who may not read it asks the daemon.

use crate::client::{Client, no_root};
use crate::command::AuditVerifyArguments;
use crate::exit_code::ExitCode;
use crate::output::{Report, count, escaped};
use crate::progress::Progress;
use crate::settings::Settings;
use crate::trouble::Trouble;
use std::fs::File;
use std::io::{self, Read as _};
use std::ops::ControlFlow;
use std::path::Path;
use ward_audit::{Filter, HeadNote, verify, verify_against};
use ward_mountd::Root;
use ward_mountd::control::message::{
    AuditVerdict, Command, EvidenceVerdict, FailedEvidence, FailureCode,
};
use ward_mountd::factor::Recheck;
use ward_mountd::root::{AUDIT, MARK};

/// No head and no proof is longer.
const LONGEST: u64 = 1 << 20;

/// Verifies it.
pub(crate) fn run(
    arguments: &AuditVerifyArguments,
    settings: &Settings,
) -> Result<Report<AuditVerdict>, Trouble> {
    let (verdict, text, exit) = judge(arguments, settings)?;
    Ok(Report::new(verdict, text).ending(exit))
}

/// What becomes of the log alone, told.
pub(super) fn of_log(settings: &Settings) -> Result<(AuditVerdict, String, ExitCode), Trouble> {
    judge(&AuditVerifyArguments { head: None, evidence: false }, settings)
}

fn judge(
    arguments: &AuditVerifyArguments,
    settings: &Settings,
) -> Result<(AuditVerdict, String, ExitCode), Trouble> {
    let root = &settings.root;
    std::fs::symlink_metadata(root.join(MARK)).map_err(|error| no_root(root, &error))?;
    let head = arguments.head.as_deref().map(read_head).transpose()?;
    let folder = root.join(AUDIT);
    let progress = Progress::of(settings.form, "reading the log");
    let report = match &head {
        None => verify(&folder, None),
        Some(head) => verify_against(&folder, head),
    };
    let verdict = match report {
        Ok(report) => {
            let evidence = arguments.evidence.then(|| recheck(settings, &folder)).transpose()?;
            AuditVerdict { evidence, ..AuditVerdict::from(&report) }
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let head = head.map(|head| head.to_string());
            let evidence = arguments.evidence;
            Client::connect(settings)?.ask(Command::AuditVerify { head, evidence })?
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => AuditVerdict {
            verdict: "missing".to_owned(),
            entries: 0,
            finding: format!("The log {} is not there. Look for a backup.", folder.display()),
            distrusted: Vec::new(),
            evidence: None,
        },
        Err(error) => return Err(Trouble::new(FailureCode::Failed, error)),
    };
    drop(progress);
    let mut exit = exit_code(&verdict.verdict)?;
    if !verdict.distrusted.is_empty() && exit != ExitCode::LogMissing {
        exit = ExitCode::LogBroken;
    }
    let mut text = format!("{}\n", escaped(&verdict.finding));
    if let Some(evidence) = &verdict.evidence {
        text.push_str(&in_words(evidence));
        if !evidence.failed.is_empty() && exit != ExitCode::LogMissing {
            exit = ExitCode::LogBroken;
        }
    }
    Ok((verdict, text, exit))
}

/// The evidence of answers, from the log and the keys as they are on disk.
fn recheck(settings: &Settings, folder: &Path) -> Result<EvidenceVerdict, Trouble> {
    let failed = |error: &dyn std::fmt::Display| Trouble::new(FailureCode::Failed, error);
    let root = Root::open(&settings.root).map_err(|error| failed(&error))?;
    let mut recheck = Recheck::of(&root).map_err(|error| failed(&error))?;
    let all = ward_audit::read(folder, &Filter::default(), |shown| {
        recheck.look_at(&shown.entry);
        ControlFlow::Continue(())
    });
    all.map_err(|error| failed(&error))?;
    Ok(recheck.verdict())
}

fn in_words(evidence: &EvidenceVerdict) -> String {
    let EvidenceVerdict { signed, touched, sealed, attested, failed } = evidence;
    let mut text = format!(
        "Of {}, {signed} signed ({touched} with a touch), {attested} on the daemon's word.\n",
        count(signed + attested + u64::try_from(failed.len()).unwrap_or(0), "approval")
    );
    if *sealed > 0 {
        text.push_str(&format!(
            "Of {sealed} signed, what was signed is sealed: the digest was checked.\n"
        ));
    }
    for FailedEvidence { seq, why } in failed {
        text.push_str(&format!("Entry {seq} is not carried by its evidence: {}.\n", escaped(why)));
    }
    text
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
