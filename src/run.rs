//! One command per file: each asks for something and says what came of it.

mod access_paths;
mod agent;
mod approval_passphrase;
mod approve;
mod audit_accept_break;
mod audit_export;
mod audit_head;
mod audit_prove;
mod audit_ship;
mod audit_show;
mod audit_signers;
mod audit_verify;
mod check;
mod config;
mod daemon;
mod deny;
mod doctor;
mod env;
mod evidence;
mod generate;
mod get;
mod gpg;
mod grants;
mod help;
mod history;
mod import;
mod import_gloves;
mod init;
mod list;
mod pending;
mod pipe;
mod plan;
mod policy_check;
mod policy_diff;
mod policy_explain;
mod policy_fmt;
mod policy_import;
mod policy_learn;
mod policy_replay;
mod policy_risk;
mod policy_template;
mod policy_test;
mod request;
mod requests_review;
mod restore;
mod revoke;
mod secret_grant;
mod secret_status;
mod set;
mod sidecar;
mod status;
mod vault_accept_restore;
mod vault_ask_file;
mod vault_compact;
mod vault_exec;
mod vault_export;
mod vault_extend;
mod vault_fsck;
mod vault_header;
mod vault_import;
mod vault_info;
mod vault_init;
mod vault_key;
mod vault_list;
mod vault_mount;
mod vault_rekey;
mod vault_status;
mod vault_unmount;
mod verify;
mod watch;
mod whoami;

use crate::agent_command;
use crate::command::{
    AccessCommand, AuditArguments, AuditCommand, Command, ConfigCommand, DaemonArguments,
    DaemonCommand, ExplainArguments, GenerateCommand, GpgCommand, GrantsCommand, HeaderCommand,
    KeyCommand, Late, ListArguments, PolicyCommand, RequestsCommand, SecretsCommand,
    StatusArguments, VaultCommand, VaultStatusArguments,
};
use crate::error_code::ErrorCode;
use crate::exit_code::ExitCode;
use crate::output::print;
use crate::settings::Settings;
use crate::trouble::Trouble;

/// Runs the command and prints what it says.
pub(crate) fn run(command: Command, settings: &Settings) -> Result<ExitCode, Trouble> {
    let form = settings.form;
    match command {
        Command::Init(arguments) => print(form, init::run(&arguments, settings)?),
        Command::Daemon(DaemonArguments { command: Some(command), .. }) => {
            run_daemon(&command, settings)
        }
        Command::Daemon(arguments) => sidecar::run(&arguments.sidecar, settings),
        Command::Set(arguments) => print(form, set::run(arguments, settings)?),
        Command::Get(arguments) => get::run(arguments, settings),
        Command::List(ListArguments { pending: true, .. }) => print(form, pending::run(settings)?),
        Command::List(arguments) => print(form, list::run(&arguments, settings)?),
        Command::Revoke(arguments) => print(form, revoke::run(&arguments, settings)?),
        Command::History(arguments) => print(form, history::run(&arguments, settings)?),
        Command::Restore(arguments) => print(form, restore::run(&arguments, settings)?),
        Command::Request(arguments) => print(form, request::run(arguments, settings)?),
        Command::Approve(arguments) => print(form, approve::run(arguments, settings)?),
        Command::Deny(arguments) => print(form, deny::run(arguments, settings)?),
        Command::ApprovalPassphrase(arguments) => {
            print(form, approval_passphrase::run(&arguments, settings)?)
        }
        Command::Watch(arguments) => watch::run(&arguments, settings),
        Command::Secrets(Late(SecretsCommand::Grant(arguments))) => {
            print(form, secret_grant::run(arguments, settings)?)
        }
        Command::Secrets(Late(command)) => run(command.into(), settings),
        Command::Requests(Late(command)) => run_requests(command, settings),
        Command::Grants(Late(command)) => run_grants(command, settings),
        Command::Env(arguments) => print(form, env::run(&arguments, settings)?),
        Command::Access(Late(AccessCommand::Paths(arguments))) => {
            print(form, access_paths::run(&arguments, settings)?)
        }
        Command::Verify => print(form, verify::run(settings)?),
        Command::Import(Late(command)) => print(form, import::run(&command, settings)?),
        Command::Gpg(Late(command)) => run_gpg(&command, settings),
        Command::Check(arguments) => print(form, check::run(&arguments, settings)?),
        Command::Run(arguments) => agent::run(&arguments, settings),
        Command::Held(arguments) => Err(agent_command::hold(&arguments.command)),
        Command::Status(arguments) => run_status(arguments, settings),
        Command::Whoami => print(form, whoami::run(settings)?),
        Command::Doctor => print(form, doctor::run(settings)?),
        Command::Vault(Late(command)) => run_vault(command, settings),
        Command::Audit(arguments) => run_audit(*arguments, settings),
        Command::Plan(arguments) => print(form, plan::run(&arguments, settings)?),
        Command::Explain(ExplainArguments { subject }) => match ErrorCode::named(&subject) {
            Some(code) => print(form, help::explain(code)),
            None => print(form, policy_explain::record(&subject, settings)?),
        },
        Command::Help(arguments) => print(form, help::run(&arguments)?),
        Command::Generate(Late(GenerateCommand::Man(arguments))) => {
            print(form, generate::man(&arguments)?)
        }
        Command::Generate(Late(GenerateCommand::Completions(arguments))) => {
            print(form, generate::completions(&arguments))
        }
        Command::Policy(Late(command)) => run_policy(command, settings),
        Command::Config(Late(command)) => run_config(&command, settings),
    }
}

fn run_grants(command: GrantsCommand, settings: &Settings) -> Result<ExitCode, Trouble> {
    let form = settings.form;
    match command {
        GrantsCommand::List => print(form, grants::list(settings)?),
        GrantsCommand::Revoke(arguments) => print(form, grants::revoke(arguments, settings)?),
    }
}

fn run_config(command: &ConfigCommand, settings: &Settings) -> Result<ExitCode, Trouble> {
    let form = settings.form;
    match command {
        ConfigCommand::Show(arguments) => print(form, config::show(arguments, settings)?),
        ConfigCommand::Validate(arguments) => print(form, config::validate(arguments, settings)?),
    }
}

fn run_status(arguments: StatusArguments, settings: &Settings) -> Result<ExitCode, Trouble> {
    let form = settings.form;
    match arguments {
        StatusArguments { metrics: true, .. } => print(form, status::metrics(settings)?),
        StatusArguments { name: Some(name), unlock, .. } => {
            print(form, secret_status::run(&name, &unlock, settings)?)
        }
        StatusArguments { name: None, .. } => print(form, status::run(settings)?),
    }
}

fn run_requests(command: RequestsCommand, settings: &Settings) -> Result<ExitCode, Trouble> {
    match command {
        RequestsCommand::List => print(settings.form, pending::run(settings)?),
        RequestsCommand::Approve(arguments) => run(Command::Approve(arguments), settings),
        RequestsCommand::Deny(arguments) => run(Command::Deny(arguments), settings),
        RequestsCommand::Review(arguments) => {
            print(settings.form, requests_review::run(&arguments, settings)?)
        }
    }
}

fn run_gpg(command: &GpgCommand, settings: &Settings) -> Result<ExitCode, Trouble> {
    let form = settings.form;
    match command {
        GpgCommand::Create(arguments) => print(form, gpg::create(arguments, settings)?),
        GpgCommand::Fingerprint(arguments) => print(form, gpg::fingerprint(arguments, settings)?),
    }
}

fn run_policy(command: PolicyCommand, settings: &Settings) -> Result<ExitCode, Trouble> {
    let form = settings.form;
    match command {
        PolicyCommand::Check(arguments) => print(form, policy_check::run(&arguments, settings)?),
        PolicyCommand::Test(arguments) => print(form, policy_test::run(&arguments, settings)?),
        PolicyCommand::Explain(arguments) => {
            print(form, policy_explain::run(&arguments, settings)?)
        }
        PolicyCommand::Diff(arguments) => print(form, policy_diff::run(&arguments)?),
        PolicyCommand::Fmt(arguments) => print(form, policy_fmt::run(&arguments, settings)?),
        PolicyCommand::Replay(arguments) => print(form, policy_replay::run(&arguments, settings)?),
        PolicyCommand::Learn(arguments) => print(form, policy_learn::run(&arguments, settings)?),
        PolicyCommand::Import(arguments) => print(form, policy_import::run(&arguments)?),
        PolicyCommand::Template(arguments) => print(form, policy_template::run(&arguments)?),
        PolicyCommand::Reload => print(form, policy_diff::reload(settings)?),
        PolicyCommand::Risk => print(form, policy_risk::run()),
    }
}

fn run_daemon(command: &DaemonCommand, settings: &Settings) -> Result<ExitCode, Trouble> {
    let report = match command {
        DaemonCommand::Start(arguments) => daemon::start(arguments, settings)?,
        DaemonCommand::Stop => daemon::stop(settings)?,
        DaemonCommand::Status => daemon::status(settings)?,
    };
    print(settings.form, report)
}

fn run_audit(arguments: AuditArguments, settings: &Settings) -> Result<ExitCode, Trouble> {
    let form = settings.form;
    match arguments.command.unwrap_or(AuditCommand::Show(arguments.show)) {
        AuditCommand::Show(arguments) => audit_show::run(arguments, settings),
        AuditCommand::Verify(arguments) => print(form, audit_verify::run(&arguments, settings)?),
        AuditCommand::RotateKey => print(form, audit_signers::rotate(settings)?),
        AuditCommand::Compromise(arguments) => {
            print(form, audit_signers::compromise(arguments, settings)?)
        }
        AuditCommand::AcceptBreak(arguments) => {
            print(form, audit_accept_break::run(&arguments, settings)?)
        }
        AuditCommand::Export(arguments) => print(form, audit_export::run(&arguments, settings)?),
        AuditCommand::Head(arguments) => print(form, audit_head::run(&arguments, settings)?),
        AuditCommand::Ship => print(form, audit_ship::run(settings)?),
        AuditCommand::Prove(arguments) => print(form, audit_prove::run(&arguments, settings)?),
        AuditCommand::CheckProof(arguments) => {
            print(form, audit_prove::check(&arguments, settings)?)
        }
    }
}

fn run_vault(command: VaultCommand, settings: &Settings) -> Result<ExitCode, Trouble> {
    let form = settings.form;
    match command {
        VaultCommand::Init(arguments) => print(form, vault_init::run(&arguments, settings)?),
        VaultCommand::Mount(arguments) => print(form, vault_mount::run(&arguments, settings)?),
        VaultCommand::Extend(arguments) => print(form, vault_extend::run(&arguments, settings)?),
        VaultCommand::Exec(arguments) => vault_exec::run(&arguments, settings),
        VaultCommand::Unmount(arguments) => print(form, vault_unmount::run(&arguments, settings)?),
        VaultCommand::List | VaultCommand::Status(VaultStatusArguments { vault: None }) => {
            print(form, vault_list::run(settings)?)
        }
        VaultCommand::Status(VaultStatusArguments { vault: Some(vault) }) => {
            print(form, vault_status::run(&vault, settings)?)
        }
        VaultCommand::AskFile(arguments) => print(form, vault_ask_file::run(arguments, settings)?),
        VaultCommand::Fsck(arguments) => print(form, vault_fsck::run(&arguments, settings)?),
        VaultCommand::Export(arguments) => print(form, vault_export::run(&arguments, settings)?),
        VaultCommand::Import(arguments) => print(form, vault_import::run(&arguments, settings)?),
        VaultCommand::AcceptRestore(arguments) => {
            print(form, vault_accept_restore::run(&arguments, settings)?)
        }
        VaultCommand::Info(arguments) => print(form, vault_info::run(&arguments, settings)?),
        VaultCommand::Compact(arguments) => print(form, vault_compact::run(&arguments, settings)?),
        VaultCommand::Key(KeyCommand::List(arguments)) => {
            print(form, vault_key::list(&arguments, settings)?)
        }
        VaultCommand::Key(KeyCommand::Add(arguments)) => {
            print(form, vault_key::add(&arguments, settings)?)
        }
        VaultCommand::Key(KeyCommand::Remove(arguments)) => {
            print(form, vault_key::remove(&arguments, settings)?)
        }
        VaultCommand::Rekey(arguments) => print(form, vault_rekey::run(&arguments, settings)?),
        VaultCommand::Header(HeaderCommand::Backup(arguments)) => {
            print(form, vault_header::backup(&arguments, settings)?)
        }
        VaultCommand::Header(HeaderCommand::Restore(arguments)) => {
            print(form, vault_header::restore(&arguments, settings)?)
        }
    }
}
