//! `ward approve`: a human's yes to one request.

use crate::client::Client;
use crate::command::ApproveArguments;
use crate::output::{Report, count, escaped};
use crate::passphrase;
use crate::run::vault_mount::lifetime;
use crate::settings::Settings;
use crate::signing;
use crate::trouble::Trouble;
use ward_mountd::control::message::{
    Approved, Binding, Command, Passphrase, YesEvidence, YesScope, YesTerms,
};

/// Says yes.
pub(crate) fn run(
    arguments: ApproveArguments,
    settings: &Settings,
) -> Result<Report<Approved>, Trouble> {
    let terms = terms(&arguments)?;
    let mut client = Client::connect(settings)?;
    let request = arguments.request;
    let evidence = if arguments.sign {
        let ask = Command::ApprovalBinding { request: request.clone(), terms };
        let wanted: Binding = client.ask(ask)?;
        Some(YesEvidence::Signature(signing::sign(&wanted, arguments.key.as_deref())?))
    } else if arguments.passphrase || arguments.passphrase_file.is_some() {
        let typed = passphrase::for_approval(arguments.passphrase_file.as_deref())?;
        Some(YesEvidence::Passphrase(Passphrase(typed.to_string())))
    } else {
        None
    };
    let approved: Approved =
        client.ask(Command::Approve { request: request.clone(), terms, evidence })?;
    let text = match approved.missing {
        0 => format!("approved {}\n", escaped(&request)),
        missing => {
            let more = count(missing, "more approver");
            format!("said yes to {}; it takes {more}\n", escaped(&request))
        }
    };
    Ok(Report::new(approved, text))
}

fn terms(arguments: &ApproveArguments) -> Result<YesTerms, Trouble> {
    let scopes = [
        (arguments.process, YesScope::Process),
        (arguments.session, YesScope::Session),
        (arguments.program, YesScope::Program),
    ];
    Ok(YesTerms {
        uses: arguments.uses,
        seconds: arguments.time.as_deref().map(lifetime).transpose()?,
        until_unmount: arguments.until_unmount,
        scope: scopes.into_iter().find(|(is_said, _)| *is_said).map(|(_, scope)| scope),
    })
}
