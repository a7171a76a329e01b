//! `ward status`: the daemon and all it holds, on one screen.

use crate::client::Client;
use crate::output::{Report, count, escaped, short, table, time, user};
use crate::settings::Settings;
use crate::trouble::Trouble;
use ward_mountd::Layout;
use ward_mountd::control::message::{
    AgentState, Command, Damage, LeaseState, LimitedClient, LogState, MountState, Status,
};

/// Shows it.
pub(crate) fn run(settings: &Settings) -> Result<Report<Status>, Trouble> {
    let status: Status = Client::connect(settings)?.ask(Command::Status {})?;
    let text = show(&status, &settings.program);
    Ok(Report::new(status, text))
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
    if !status.damage.is_empty() {
        let damage = status.damage.iter().map(|damage| damaged(damage, program));
        labelled("damage", damage, &mut rows);
    }
    labelled("mounts", status.mounts.iter().map(mount), &mut rows);
    if !status.agents.is_empty() {
        labelled("agents", status.agents.iter().map(agent), &mut rows);
    }
    if !status.limited.is_empty() {
        labelled("limited", status.limited.iter().map(limited), &mut rows);
    }
    labelled("leases", status.leases.iter().map(lease), &mut rows);
    table(&rows)
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
            },
            policy: "0123456789abcdef".to_owned(),
            layout: "private".to_owned(),
            mounts: vec![one_mount()],
            damage: vec![Damage { vault: "default".to_owned(), places: 2 }],
            agents: vec![AgentState {
                agent: "claude".to_owned(),
                session: "01J".to_owned(),
                since: "2026-01-01T00:10:00Z".to_owned(),
                uid: 0,
                pid: 8,
                processes: 3,
                kept_by: "cgroup v2".to_owned(),
            }],
            limited: vec![LimitedClient {
                uid: 0,
                program: None,
                agent: Some("claude".to_owned()),
                breaker: "half-open".to_owned(),
                points: 15,
            }],
            pending: 2,
            leases: vec![],
            guards: None,
        };
        let expected = "\
root     /r
         private root: protects against mistakes, not against a hostile program of your uid
daemon   pid 7, version 0.1.0, since 2026-01-01T00:00:00Z
policy   sha256 0123456789ab
log      healthy, last entry 42; opens are written, a power cut may lose their records
pending  2 requests wait: ward list --pending
damage   2 damaged places in default: ward audit show --event vault.damaged
mounts   default at /run/ward/default, by root, read-only, 44m 10s left, 10m if unused, 1 open file
agents   claude by root, since 2026-01-01T00:10:00Z, 3 processes, kept by cgroup v2, ends with pid 8
limited  root as claude: breaker half-open, 15 points of risk
leases   none
";
        assert_eq!(show(&status, "ward"), expected);
    }
}
