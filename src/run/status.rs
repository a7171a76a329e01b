//! `ward status`: the daemon and all it holds, on one screen.

use crate::client::Client;
use crate::exit_code::ExitCode;
use crate::output::{Report, count, escaped, short, table, time, user};
use crate::run::audit_ship::words;
use crate::settings::Settings;
use crate::trouble::Trouble;
use ward_mountd::Layout;
use ward_mountd::control::message::{
    AgentState, Command, Damage, FileHolder, LastEnd, LeaseState, LimitedClient, LogState, Metrics,
    MountState, PendingRequest, Process, Refused, SignerState, SourceState, Status,
};

/// Shows it.
pub(crate) fn run(settings: &Settings) -> Result<Report<Status>, Trouble> {
    let status: Status = Client::connect(settings)?.ask_promptly(Command::Status {})?;
    let text = show(&status, &settings.program);
    let exit = health(&status);
    Ok(Report::new(status, text).ending(exit))
}

/// Shows counts and states.
pub(crate) fn metrics(settings: &Settings) -> Result<Report<Metrics>, Trouble> {
    let metrics: Metrics = Client::connect(settings)?.ask_promptly(Command::Metrics {})?;
    let text = metrics.text.clone();
    Ok(Report::new(metrics, text))
}

/// What scripts are told.
fn health(status: &Status) -> ExitCode {
    if status.log.state != "healthy" {
        ExitCode::LogFailed
    } else if status.log.damage.is_some() || !status.damage.is_empty() {
        ExitCode::Damaged
    } else {
        ExitCode::Done
    }
}

/// What a layout protects against, in the same words everywhere.
pub(crate) fn protection(layout: &str) -> String {
    if layout == Layout::Private.name() {
        "private root: protects against mistakes, not against a hostile program of your uid".into()
    } else if layout == Layout::System.name() {
        "system root: protects against programs of every uid but root".into()
    } else {
        format!("{} root", escaped(layout))
    }
}

fn show(status: &Status, program: &str) -> String {
    let daemon = format!(
        "pid {}, version {}, since {}",
        status.pid,
        escaped(&status.version),
        escaped(&status.since)
    );
    let mut rows = vec![
        row("root", escaped(&status.root).to_string()),
        row("", protection(&status.layout)),
        row("daemon", daemon),
        row("policy", format!("sha256 {}", short(&status.policy))),
        row("log", log(&status.log)),
        row("pending", pending(status.pending, program)),
    ];
    rows.extend(status.requests.iter().map(|request| row("", waiting(request))));
    if let Some(elsewhere) = status.log.signer.as_ref().filter(|it| it.source != "software") {
        rows.push(row("signer", signer(elsewhere)));
    }
    if !status.damage.is_empty() {
        let damage = status.damage.iter().map(|damage| damaged(damage, program));
        labelled("damage", damage, &mut rows);
    }
    let mounts =
        status.mounts.iter().flat_map(|it| std::iter::once(mount(it)).chain(holders(&it.holders)));
    labelled("mounts", mounts, &mut rows);
    if !status.ended.is_empty() {
        labelled("ended", status.ended.iter().map(|(vault, end)| ended(vault, end)), &mut rows);
    }
    if !status.agents.is_empty() {
        labelled("agents", status.agents.iter().map(agent), &mut rows);
    }
    if !status.limited.is_empty() {
        labelled("limited", status.limited.iter().map(limited), &mut rows);
    }
    if !status.sinks.is_empty() {
        let shipping =
            status.sinks.iter().map(|sink| format!("{} {}", escaped(&sink.sink), words(sink)));
        labelled("ships to", shipping, &mut rows);
    }
    if !status.sources.is_empty() {
        labelled("sources", status.sources.iter().map(source), &mut rows);
    }
    labelled("leases", status.leases.iter().map(lease), &mut rows);
    if !status.refusals.is_empty() {
        labelled("refused", status.refusals.iter().map(refused), &mut rows);
    }
    table(&rows)
}

fn source(it: &SourceState) -> String {
    let SourceState { source, vault, at, entries, left_out, trouble } = it;
    let left_out = match left_out {
        0 => String::new(),
        left_out => format!(", {left_out} left out"),
    };
    let trouble = trouble.as_deref().map(|trouble| format!("; {}", escaped(trouble)));
    let trouble = trouble.unwrap_or_default();
    let place = format!("{}:{}", escaped(vault), escaped(at));
    let entries = if *entries == 1 { "1 entry".to_owned() } else { format!("{entries} entries") };
    format!("{} at {place}, {entries}{left_out}{trouble}", escaped(source))
}

/// The label stands before the first line only.
fn labelled(label: &str, lines: impl Iterator<Item = String>, rows: &mut Vec<Vec<String>>) {
    let before = rows.len();
    let labels = std::iter::once(label).chain(std::iter::repeat(""));
    rows.extend(labels.zip(lines).map(|(label, line)| row(label, line)));
    if rows.len() == before {
        rows.push(row(label, "none".to_owned()));
    }
}

fn row(label: &str, words: String) -> Vec<String> {
    vec![label.to_owned(), words]
}

fn log(log: &LogState) -> String {
    let relaxed = if log.opens == "durable" {
        String::new()
    } else {
        format!("; opens are {}, a power cut may lose their records", escaped(&log.opens))
    };
    let damage = log.damage.as_deref().map(|found| format!("; DAMAGED: {}", escaped(found)));
    let damage = damage.unwrap_or_default();
    format!("{}, last entry {}{relaxed}{damage}", escaped(&log.state), log.last)
}

fn signer(signer: &SignerState) -> String {
    let SignerState { kid, source, trouble, standby } = signer;
    let named = format!("{}, {}", escaped(kid), escaped(source));
    match trouble {
        None => named,
        Some(why) if *standby => {
            format!("{named}; AWAY: {}; the key in the root signs in its place", escaped(why))
        }
        Some(why) => format!("{named}; AWAY: {}", escaped(why)),
    }
}

fn pending(number: u64, program: &str) -> String {
    match number {
        0 => "none".to_owned(),
        1 => format!("1 request waits: {program} list --pending"),
        number => format!("{number} requests wait: {program} list --pending"),
    }
}

fn damaged(damage: &Damage, program: &str) -> String {
    let (places, vault) = (count(damage.places, "damaged place"), escaped(&damage.vault));
    format!("{places} in {vault}: {program} audit show --event vault.damaged")
}

/// One mount in a line.
pub(crate) fn mount(mount: &MountState) -> String {
    let read_only = if mount.read_only { ", read-only" } else { "" };
    let for_copy = if mount.for_copy { ", for an export or import" } else { "" };
    let commands = match mount.commands {
        0 => String::new(),
        number => format!(", for {}", count(number, "command")),
    };
    let idle = mount.idle_ends_in.map(|left| format!(", {} if unused", time(left)));
    let idle = idle.unwrap_or_default();
    format!(
        "{} at {}, by {}{read_only}{for_copy}{commands}, {} left{idle}, {}",
        escaped(&mount.vault),
        escaped(&mount.path),
        user(mount.owner),
        time(mount.ends_in),
        count(mount.handles, "open file")
    )
}

/// A line for each process that has files of it open.
pub(crate) fn holders(holders: &[FileHolder]) -> impl Iterator<Item = String> {
    holders.iter().map(|FileHolder { process, files }| {
        format!("  {} by {}", count(*files, "open file"), program_of(process))
    })
}

fn program_of(process: &Process) -> String {
    let program = process.program.as_deref().unwrap_or("an unknown program");
    let agent = process.agent.as_ref().map(|agent| format!(" as {}", escaped(agent)));
    let agent = agent.unwrap_or_default();
    format!("{} ({}, pid {}){agent}", escaped(program), user(process.uid), process.pid)
}

fn waiting(request: &PendingRequest) -> String {
    let held = if request.is_held { ", which waits" } else { "" };
    format!(
        "{} for {}:{}, {} left, {}{held}",
        escaped(&request.request),
        escaped(&request.vault),
        escaped(&request.path),
        time(request.expires_in),
        program_of(&request.asker)
    )
}

fn refused(refused: &Refused) -> String {
    format!(
        "{} {} {}:{} for {}, {}",
        escaped(&refused.at),
        escaped(&refused.operations.join(" and ")),
        escaped(&refused.vault),
        escaped(&refused.path),
        program_of(&refused.process),
        escaped(&refused.errno)
    )
}

fn ended(vault: &str, end: &LastEnd) -> String {
    format!("{} at {}: {}", escaped(vault), escaped(&end.at), escaped(&end.why))
}

fn limited(client: &LimitedClient) -> String {
    let program = client.program.as_ref().map(|program| format!(" running {}", short(program)));
    let agent = client.agent.as_ref().map(|agent| format!(" as {}", escaped(agent)));
    format!(
        "{}{}{}: breaker {}, {} of risk",
        user(client.uid),
        program.unwrap_or_default(),
        agent.unwrap_or_default(),
        escaped(&client.breaker),
        count(client.points.into(), "point")
    )
}

fn agent(agent: &AgentState) -> String {
    let processes = match agent.processes {
        1 => "1 process".to_owned(),
        number => format!("{number} processes"),
    };
    format!(
        "{} by {}, since {}, {}, kept by {}, ends with pid {}",
        escaped(&agent.agent),
        user(agent.uid),
        escaped(&agent.since),
        processes,
        escaped(&agent.kept_by),
        agent.pid
    )
}

fn lease(lease: &LeaseState) -> String {
    format!(
        "{}:{} for {}, {}, {} left, request {}",
        escaped(&lease.vault),
        escaped(&lease.path),
        user(lease.uid),
        escaped(&lease.operations.join(" and ")),
        time(lease.ends_in),
        escaped(&lease.request)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_mount() -> MountState {
        MountState {
            vault: "default".to_owned(),
            path: "/run/ward/default".to_owned(),
            owner: 0,
            read_only: true,
            ends: "2026-01-01T01:00:00Z".to_owned(),
            ends_in: 2650,
            handles: 1,
            for_copy: false,
            idle: Some(900),
            idle_ends_in: Some(600),
            commands: 0,
            hold: None,
            holders: vec![FileHolder { process: cat(), files: 1 }],
        }
    }

    fn cat() -> Process {
        Process {
            uid: 0,
            pid: 9,
            program: Some("/usr/bin/cat".to_owned()),
            sha256: None,
            grade: "verified".to_owned(),
            acting: None,
            agent: Some("claude".to_owned()),
        }
    }

    fn one_refusal() -> Refused {
        Refused {
            request: "01J".to_owned(),
            at: "2026-01-01T00:20:00Z".to_owned(),
            vault: "default".to_owned(),
            path: "db/password".to_owned(),
            operations: vec!["file.read".to_owned()],
            process: cat(),
            errno: "EACCES".to_owned(),
        }
    }

    fn one_end() -> (String, LastEnd) {
        let at = "2026-01-01T00:30:00Z".to_owned();
        ("work".to_owned(), LastEnd { path: "/w".to_owned(), at, why: "nobody used it".to_owned() })
    }

    fn signer_that_is_away() -> SignerState {
        SignerState {
            kid: "audit-1".to_owned(),
            source: "pkcs11".to_owned(),
            trouble: Some("the helper ended".to_owned()),
            standby: true,
        }
    }

    fn one_agent() -> AgentState {
        AgentState {
            agent: "claude".to_owned(),
            session: "01J".to_owned(),
            since: "2026-01-01T00:10:00Z".to_owned(),
            uid: 0,
            pid: 8,
            processes: 3,
            kept_by: "cgroup v2".to_owned(),
        }
    }

    #[test]
    fn a_status_is_one_screen_that_begins_with_what_the_root_protects_against() {
        let status = Status {
            root: "/r".to_owned(),
            pid: 7,
            version: "0.1.0".to_owned(),
            since: "2026-01-01T00:00:00Z".to_owned(),
            log: LogState {
                state: "healthy".into(),
                last: 42,
                damage: None,
                opens: "written".into(),
                clock_behind: 0,
                signer: Some(signer_that_is_away()),
            },
            policy: "0123456789abcdef".to_owned(),
            layout: "private".to_owned(),
            mounts: vec![one_mount()],
            damage: vec![Damage { vault: "default".to_owned(), places: 2 }],
            agents: vec![one_agent()],
            limited: vec![LimitedClient {
                uid: 0,
                program: None,
                agent: Some("claude".to_owned()),
                breaker: "half-open".to_owned(),
                points: 15,
            }],
            pending: 2,
            requests: vec![],
            refusals: vec![one_refusal()],
            ended: [one_end()].into(),
            leases: vec![],
            grants: vec![],
            sinks: vec![],
            sources: vec![],
            guards: None,
        };
        let expected = "\
root     /r
         private root: protects against mistakes, not against a hostile program of your uid
daemon   pid 7, version 0.1.0, since 2026-01-01T00:00:00Z
policy   sha256 0123456789ab
log      healthy, last entry 42; opens are written, a power cut may lose their records
pending  2 requests wait: ward list --pending
signer   audit-1, pkcs11; AWAY: the helper ended; the key in the root signs in its place
damage   2 damaged places in default: ward audit show --event vault.damaged
mounts   default at /run/ward/default, by root, read-only, 44m 10s left, 10m if unused, 1 open file
           1 open file by /usr/bin/cat (root, pid 9) as claude
ended    work at 2026-01-01T00:30:00Z: nobody used it
agents   claude by root, since 2026-01-01T00:10:00Z, 3 processes, kept by cgroup v2, ends with pid 8
limited  root as claude: breaker half-open, 15 points of risk
leases   none
refused  2026-01-01T00:20:00Z file.read default:db/password for /usr/bin/cat (root, pid 9) as claude, EACCES
";
        assert_eq!(show(&status, "ward"), expected);
    }
}
