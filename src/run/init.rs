//! `ward init`: makes a root with a vault, a policy and a log.

use crate::command::InitArguments;
use crate::output::{Report, escaped, user};
use crate::passphrase;
use crate::run::status::protection;
use crate::settings::Settings;
use crate::trouble::Trouble;
use nix::unistd::{Uid, User};
use serde::Serialize;
use ward_mountd::control::message::FailureCode;
use ward_mountd::root::MARK;
use ward_mountd::{InitError, InitSettings, Initialised, Layout, initialise};
use ward_policy::UserId;
use zeroize::Zeroizing;

/// A root, after the command.
#[derive(Debug, Serialize)]
pub(crate) struct RootState {
    /// Where it is.
    root: String,
    /// `false` when it was there already and nothing was done.
    made: bool,
    /// `private` or `system`; absent when it was there already.
    #[serde(skip_serializing_if = "Option::is_none")]
    layout: Option<&'static str>,
    /// Whose it is; absent when it was there already.
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<u32>,
}

/// Makes it.
pub(crate) fn run(
    arguments: &InitArguments,
    settings: &Settings,
) -> Result<Report<RootState>, Trouble> {
    let root = settings.root.display().to_string();
    // Nobody is asked for a passphrase that would not be used.
    if settings.root.join(MARK).exists() {
        return Ok(there_already(root));
    }
    let (layout, owner) = match &arguments.owner {
        Some(name) => (Layout::System, user_named(name)?),
        None => (Layout::Private, UserId(Uid::effective().as_raw())),
    };
    let passphrase = passphrase::for_new_vault(&arguments.slot)?
        .map(|passphrase| Zeroizing::new(passphrase.as_bytes().to_vec()));
    let approval = passphrase::for_new_root(
        arguments.approval_passphrase,
        arguments.approval_passphrase_file.as_deref(),
    )?;
    let approval = approval.map(|passphrase| Zeroizing::new(passphrase.as_bytes().to_vec()));
    let wanted = InitSettings { layout, owner, passphrase, approval };
    let initialised =
        initialise(&settings.root, &wanted).map_err(|error| Trouble::new(class(&error), error))?;
    match initialised {
        Initialised::AlreadyThere => Ok(there_already(root)),
        Initialised::Made => {
            let UserId(uid) = owner;
            let mut text = format!(
                "made {} for {}, with the vault default\n{}\n",
                escaped(&root),
                user(uid),
                protection(layout.name())
            );
            let config = settings.config.as_ref();
            if let Some(missing) = config.and_then(|file| file.missing_in(&settings.root)) {
                text.push_str(&format!("{}\n", escaped(&missing)));
            }
            let layout = Some(layout.name());
            Ok(Report::new(RootState { root, made: true, layout, owner: Some(uid) }, text))
        }
    }
}

fn there_already(root: String) -> Report<RootState> {
    let text = format!("{} is a root already; nothing was changed\n", escaped(&root));
    Report::new(RootState { root, made: false, layout: None, owner: None }, text)
}

const fn class(error: &InitError) -> FailureCode {
    match error {
        InitError::NotOurs(_) => FailureCode::Conflict,
        InitError::NotPrivileged | InitError::NoRandomness => FailureCode::Unsupported,
        InitError::EmptyPassphrase => FailureCode::BadInput,
        InitError::Log(_) => FailureCode::LogFailed,
        InitError::Disk { .. }
        | InitError::Vault(_)
        | InitError::Keyfile(_)
        | InitError::Approval(_) => FailureCode::Failed,
    }
}

/// The user of that name or number.
fn user_named(name: &str) -> Result<UserId, Trouble> {
    if let Ok(number) = name.parse() {
        return Ok(UserId(number));
    }
    match User::from_name(name) {
        Ok(Some(user)) => Ok(UserId(user.uid.as_raw())),
        Ok(None) => Err(Trouble::bad_input(format!("there is no user {name}"))
            .next("give the name or number of a user of this machine")),
        Err(errno) => Err(Trouble::bad_input(format!("cannot look up the user {name}: {errno}"))),
    }
}
