//! `ward check`: what the policy would decide of this very process, without doing anything.

use crate::client::Client;
use crate::command::CheckArguments;
use crate::exit_code::ExitCode;
use crate::output::{Report, count, escaped, time};
use crate::secret_reference::{SecretReference, vault_name};
use crate::settings::Settings;
use crate::trouble::Trouble;
use ward_mountd::control::message::{Ask, CheckVerdict, Command, Demands};

/// Asks.
pub(crate) fn run(
    arguments: &CheckArguments,
    settings: &Settings,
) -> Result<Report<CheckVerdict>, Trouble> {
    let operations: Vec<String> = arguments.operation.split('+').map(str::to_owned).collect();
    let (vault, path) = target(&operations, arguments.target.as_deref())?;
    let ask = Ask { operations, vault, path, ticket: arguments.ticket.clone() };
    let verdict: CheckVerdict = Client::connect(settings)?.ask(Command::Check(ask))?;
    let (word, exit) = word(&verdict.decision);
    let text = told(word, &verdict);
    Ok(Report::new(verdict, text).ending(exit))
}

/// A decision in the word of a policy, and as an exit code.
pub(super) fn word(decision: &str) -> (&'static str, ExitCode) {
    match decision {
        "permitted" => ("allow", ExitCode::Done),
        "needs-approval" => ("approve", ExitCode::ApprovalNeeded),
        _ => ("deny", ExitCode::Denied),
    }
}

/// The vault and the path that a target names, by what would be done to it.
pub(super) fn target(
    operations: &[String],
    target: Option<&str>,
) -> Result<(Option<String>, Option<String>), Trouble> {
    let Some(target) = target else {
        return Ok((None, None));
    };
    let is_about = |prefix: &str| operations.iter().all(|each| each.starts_with(prefix));
    if is_about("vault.") {
        return Ok((Some(vault_name(target)?), None));
    }
    if is_about("agent.") {
        return Ok((None, Some(target.to_owned())));
    }
    let SecretReference { vault, path } = SecretReference::parse(target)?;
    Ok((Some(vault), Some(path)))
}

fn told(word: &str, verdict: &CheckVerdict) -> String {
    let mut text = format!("{word}\n");
    let mut row = |name: &str, value: String| text.push_str(&format!("  {name:<8} {value}\n"));
    if let Some(rules) = verdict.rules.as_ref().filter(|rules| !rules.is_empty()) {
        row("by", escaped(&rules.join(", ")).to_string());
    }
    if let Some(why) = &verdict.why {
        row("because", escaped(why).to_string());
    }
    if let (Some(risk), Some(sensitivity)) = (&verdict.risk, &verdict.sensitivity) {
        row("risk", escaped(&format!("{risk} ({sensitivity} target)")).to_string());
    }
    if let Some(demands) = &verdict.demands {
        row("takes", escaped(&taken(demands)).to_string());
    }
    text
}

/// `first_use, local and (signed or hardware), from 1 of ops, for 15m (session)`.
fn taken(demands: &Demands) -> String {
    let factor = |any: &Vec<String>| match any.as_slice() {
        [only] => only.clone(),
        several => format!("({})", several.join(" or ")),
    };
    let factors: Vec<String> = demands.factors.iter().map(factor).collect();
    let who = demands.approvers.as_ref().map_or_else(
        || count(demands.quorum.into(), "approver"),
        |clients| format!("{} of {}", demands.quorum, clients.join(", ")),
    );
    format!(
        "{}, {}, from {who}, for {} ({})",
        demands.require,
        factors.join(" and "),
        time(demands.lease_seconds),
        demands.scope
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_what_the_operation_is_about() {
        let read = |operation: &str, text: &str| target(&[operation.to_owned()], Some(text)).ok();
        let pair = |vault: Option<&str>, path: Option<&str>| {
            Some((vault.map(str::to_owned), path.map(str::to_owned)))
        };
        assert_eq!(read("file.read", "work:db/x"), pair(Some("work"), Some("db/x")));
        assert_eq!(read("file.read", "db/x"), pair(Some("default"), Some("db/x")));
        assert_eq!(read("vault.mount", "work"), pair(Some("work"), None));
        assert_eq!(read("agent.run", "claude"), pair(None, Some("claude")));
        assert_eq!(read("file.read", "/x"), None);
        assert_eq!(target(&["status.show".to_owned()], None).ok(), pair(None, None));
    }
}
