//! `ward audit prove` and `check-proof`: that an entry is in the log, for whoever was not there.

use crate::client::Client;
use crate::command::{AuditProveArguments, CheckProofArguments};
use crate::exit_code::ExitCode;
use crate::output::{Report, escaped};
use crate::run::{audit_head, audit_verify};
use crate::settings::Settings;
use crate::trouble::Trouble;
use serde::Serialize;
use std::io;
use ward_audit::{CheckError, Proof, parse_verifier_key, prove, verifier_key};
use ward_mountd::control::message::{AuditProof, Command, FailureCode};
use ward_mountd::root::AUDIT;

/// Proves an entry.
pub(crate) fn run(
    arguments: &AuditProveArguments,
    settings: &Settings,
) -> Result<Report<AuditProof>, Trouble> {
    let seq = arguments.seq;
    let proof = match prove(&settings.root.join(AUDIT), seq) {
        Ok(proof) => AuditProof { seq, proof: proof.to_string() },
        Err(error) if error.kind() == Some(io::ErrorKind::PermissionDenied) => {
            Client::connect(settings)?.ask(Command::AuditProve { seq })?
        }
        Err(error) => return Err(Trouble::new(FailureCode::from(&error), error)),
    };
    let text = proof.proof.clone();
    Ok(Report::new(proof, text))
}

/// What a proof is worth.
#[derive(Debug, Serialize)]
pub(crate) struct Checked {
    /// `whole` or `broken`.
    verdict: &'static str,
    /// The number of the entry.
    seq: u64,
    /// The entry, when it is proved.
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<serde_json::Value>,
    /// What was found.
    finding: String,
}

/// Checks a proof, without the log where the key is given.
pub(crate) fn check(
    arguments: &CheckProofArguments,
    settings: &Settings,
) -> Result<Report<Checked>, Trouble> {
    let text = audit_verify::text_of(&arguments.file)?;
    let proof = Proof::parse(&text).map_err(Trouble::bad_input)?;
    let given = match &arguments.key {
        Some(key) => key.clone(),
        None => audit_head::read(settings)?.key,
    };
    let key = parse_verifier_key(&given).ok_or_else(|| {
        Trouble::bad_input("this is no key of a log's notes")
            .next("give what ward audit head --key prints")
    })?;
    let seq = proof.seq();
    // Logs of one root have one key for notes: what tells them apart is the name before it.
    let is_of_its_log = verifier_key(&proof.head.log, key) == given.trim_end();
    let checked = if is_of_its_log { proof.check(key) } else { Err(CheckError::Signature) };
    let report = match checked {
        Ok(()) => {
            let entry = serde_json::from_slice(&proof.entry).ok();
            let shown = String::from_utf8_lossy(&proof.entry).into_owned();
            let finding = format!("Entry {seq} is in the log {}.", proof.head.log);
            let text = format!("{finding}\n{}\n", escaped(&shown));
            Report::new(Checked { verdict: "whole", seq, entry, finding }, text)
        }
        Err(error @ (CheckError::NotInTree | CheckError::Signature | CheckError::Form)) => {
            let finding = format!("The proof of entry {seq} proves nothing: {error}.");
            let text = format!("{finding}\n");
            let checked = Checked { verdict: "broken", seq, entry: None, finding };
            Report::new(checked, text).ending(ExitCode::LogBroken)
        }
    };
    Ok(report)
}
