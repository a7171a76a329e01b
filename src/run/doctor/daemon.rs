//! What the daemon says of itself, and what of that weakens the protection.

use super::{Finding, Grade};
use crate::output::{time, user};
use crate::run::status::protection;
use serde::Deserialize;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use ward_audit::SIGNERS_FILE;
use ward_mountd::Layout;
use ward_mountd::control::message::{Guards, SignerState, SinkState, SourceState, Status};

/// That the daemon tells nothing.
pub(super) fn unknown(found: String, next: String) -> Finding {
    Finding {
        name: "daemon",
        grade: Grade::Note,
        found,
        means: "how the daemon guards itself is not known",
        next,
    }
}

/// What its state says.
pub(super) fn of_daemon(status: &Status, root: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    if status.layout == Layout::Private.name() {
        findings.push(Finding {
            name: "layout",
            grade: Grade::Note,
            found: protection(&status.layout),
            means: "a program of your uid can read the key file, change the policy and answer for you",
            next: "for protection from agents: sudo ward init --for USER".to_owned(),
        });
    }
    findings.extend(of_agents(status));
    findings.extend(of_log(status));
    if !status.damage.is_empty() {
        findings.push(Finding {
            name: "damage",
            grade: Grade::Bad,
            found: format!("{} vaults are damaged", status.damage.len()),
            means: "what is damaged yields no bytes",
            next: "ward audit show --event vault.damaged".to_owned(),
        });
    }
    findings.extend(status.log.signer.iter().flat_map(|it| of_signer(it, &distrusted(root))));
    findings.extend(status.sinks.iter().filter_map(of_sink));
    findings.extend(status.sources.iter().filter_map(of_source));
    let limit = locked_memory_of(status.pid);
    findings.extend(status.guards.iter().flat_map(|guards| of_guards(guards, limit.as_deref())));
    findings
}

/// A source of which not everything is shown.
fn of_source(source: &SourceState) -> Option<Finding> {
    let name = &source.source;
    let (grade, found, next) = match (&source.trouble, source.left_out) {
        (Some(trouble), _) => (
            Grade::Bad,
            format!("{name}: {trouble}"),
            "see store, user and gnupg_home of its table in ward.toml",
        ),
        (None, 0) => return None,
        (None, left_out) => (
            Grade::Note,
            format!("{name}: {left_out} entries are not shown"),
            "give them names that secrets can have, and no folder the name of an entry",
        ),
    };
    let means = "entries of a password store that should be files of a vault are not";
    Some(Finding { name: "source", grade, found, means, next: next.to_owned() })
}

/// An agent that can do what the daemon can.
fn of_agents(status: &Status) -> Option<Finding> {
    let owner = std::fs::metadata(&status.root).ok()?.uid();
    let agent = status.agents.iter().find(|agent| agent.uid == owner)?;
    let is_system = status.layout == Layout::System.name();
    is_system.then(|| Finding {
        name: "agent-uid",
        grade: Grade::Bad,
        found: format!("the agent {} runs as {}, as the daemon does", agent.agent, user(owner)),
        means: "it can read the key file, end the daemon and change the policy, whatever that says",
        next: "run it as another user: sudo -u USER ward run --agent NAME".to_owned(),
    })
}

fn of_log(status: &Status) -> Vec<Finding> {
    let mut findings = Vec::new();
    if status.log.state != "healthy" {
        findings.push(Finding {
            name: "log",
            grade: Grade::Bad,
            found: format!("the log takes no records: {}", status.log.state),
            means: "every open is refused",
            next: "make room or mend the disk, then start the daemon again".to_owned(),
        });
    }
    if let Some(found) = &status.log.damage {
        findings.push(Finding {
            name: "log-damage",
            grade: Grade::Bad,
            found: found.clone(),
            means: "what was recorded there is lost, or somebody changed it",
            next: "compare the log with a backup; ward audit accept-break goes on without it"
                .to_owned(),
        });
    }
    if status.log.clock_behind > 0 {
        findings.push(Finding {
            name: "clock-behind",
            grade: Grade::Bad,
            found: format!(
                "the clock is {} behind the newest entry of the log: it was set back, or was wrong then",
                time(status.log.clock_behind)
            ),
            means: "entries have times that are later than now, and hours of the policy are judged by a wrong clock; deadlines are not",
            next: "set the clock right (sudo timedatectl set-ntp true); ward audit show --event clock.jump says when it moved"
                .to_owned(),
        });
    }
    findings
}

/// Names of keys that were said to be stolen, where the log may be read.
fn distrusted(root: &Path) -> Vec<String> {
    #[derive(Deserialize)]
    struct Signers {
        signers: Vec<Signer>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Signer {
        kid: String,
        compromised_from: Option<String>,
    }
    let text = std::fs::read_to_string(root.join("audit").join(SIGNERS_FILE)).unwrap_or_default();
    let signers =
        serde_json::from_str::<Signers>(&text).map_or_else(|_| Vec::new(), |it| it.signers);
    let stolen = signers.into_iter().filter(|it| it.compromised_from.is_some());
    stolen.map(|it| it.kid).collect()
}

fn of_signer(signer: &SignerState, distrusted: &[String]) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(why) = &signer.trouble {
        let is_replaced = signer.standby;
        findings.push(Finding {
            name: "signer",
            grade: if is_replaced { Grade::Note } else { Grade::Bad },
            found: format!("the signer {} ({}) does not sign: {why}", signer.kid, signer.source),
            means: if is_replaced {
                "the key in the root signs in its place, which is as safe as the root"
            } else {
                "once entries that wait for a signature are too many, every open is refused"
            },
            next: "bring the token or proxy of [audit.signer] back, or: ward audit rotate-key"
                .to_owned(),
        });
    }
    if distrusted.contains(&signer.kid) {
        findings.push(Finding {
            name: "signer-compromised",
            grade: Grade::Bad,
            found: format!("{} signs the log, and was said to be stolen", signer.kid),
            means: "nothing that it signs is believed: ward audit verify ends with 4",
            next: "have another key sign: ward audit rotate-key".to_owned(),
        });
    }
    findings
}

fn of_sink(sink: &SinkState) -> Option<Finding> {
    let why = sink.failure.as_ref()?;
    let behind = match &sink.since {
        Some(since) => format!("{} entries behind since {since}", sink.behind),
        None => format!("{} entries behind", sink.behind),
    };
    Some(Finding {
        name: "sink",
        grade: Grade::Bad,
        found: format!("the log does not reach {}: {why}; it is {behind}", sink.sink),
        means: "what happens now is kept on this machine alone",
        next: format!(
            "see [[audit.ship]] of ward.toml and whether {} takes it, then: ward audit ship",
            sink.sink
        ),
    })
}

/// How much a process may lock, in words (`proc_pid_limits(5)`).
fn locked_memory_of(pid: u32) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Max locked memory"))?;
    Some(line.split_whitespace().next()?.to_owned())
}

fn of_guards(guards: &Guards, limit: Option<&str>) -> Vec<Finding> {
    let mut findings = Vec::new();
    if guards.memory != "locked" {
        let only_others = guards.memory == "replies";
        findings.push(Finding {
            name: "memory",
            grade: if only_others { Grade::Note } else { Grade::Bad },
            found: match limit {
                Some(limit) => format!("the memory of the daemon is not locked: it may lock {limit} bytes"),
                None => "the memory of the daemon is not locked".to_owned(),
            },
            means: if only_others {
                "a value that is being written may be swapped to disk; keys and replies are locked"
            } else {
                "plaintext on its way to a reader may be swapped to disk"
            },
            next: "start it without a limit of locked memory (ulimit -l unlimited, or LimitMEMLOCK=infinity in its unit), or encrypt the swap"
                .to_owned(),
        });
    }
    if guards.keys != "secret" {
        findings.push(Finding {
            name: "keys",
            grade: if guards.keys == "locked" { Grade::Note } else { Grade::Bad },
            found: "keys are not in secret memory (memfd_secret)".to_owned(),
            means: if guards.keys == "locked" {
                "they are never swapped, but a fault of the kernel may show them"
            } else {
                "keys may be swapped to disk"
            },
            next: "start with the kernel option secretmem.enable=1, and raise the limit of locked memory"
                .to_owned(),
        });
    }
    if guards.landlock == 0 {
        findings.push(Finding {
            name: "landlock",
            grade: Grade::Bad,
            found: "this kernel has no Landlock, or it is turned off".to_owned(),
            means: "an attacker's code in the daemon would reach every file that its user may",
            next: "put landlock into the kernel option lsm=, or take a kernel with CONFIG_SECURITY_LANDLOCK"
                .to_owned(),
        });
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guards() -> Guards {
        Guards { memory: "locked".into(), keys: "secret".into(), landlock: 7 }
    }

    #[test]
    fn a_daemon_that_is_guarded_as_it_should_be_is_no_finding() {
        assert_eq!(of_guards(&guards(), None), vec![]);
    }

    #[test]
    fn each_guard_that_is_missing_is_a_finding_with_its_name() {
        let named = |guards: Guards| {
            let findings = of_guards(&guards, Some("8388608"));
            findings.iter().map(|it| (it.name, it.grade)).collect::<Vec<_>>()
        };
        let swappable = Guards { memory: "swappable".into(), ..guards() };
        assert_eq!(named(swappable), [("memory", Grade::Bad)]);
        let replies = Guards { memory: "replies".into(), ..guards() };
        assert_eq!(named(replies), [("memory", Grade::Note)]);
        let locked = Guards { keys: "locked".into(), ..guards() };
        assert_eq!(named(locked), [("keys", Grade::Note)]);
        let plain = Guards { keys: "plain".into(), ..guards() };
        assert_eq!(named(plain), [("keys", Grade::Bad)]);
        assert_eq!(named(Guards { landlock: 0, ..guards() }), [("landlock", Grade::Bad)]);
    }

    #[test]
    fn a_signer_that_is_away_or_was_stolen_is_a_finding() {
        let named = |signer: &SignerState, stolen: &[String]| {
            let findings = of_signer(signer, stolen);
            findings.iter().map(|it| (it.name, it.grade)).collect::<Vec<_>>()
        };
        let (kid, source) = ("audit-1".to_owned(), "pkcs11".to_owned());
        let mut signer = SignerState { kid, source, trouble: None, standby: false };
        assert_eq!(named(&signer, &["audit-0".to_owned()]), []);
        assert_eq!(named(&signer, &["audit-1".to_owned()]), [("signer-compromised", Grade::Bad)]);
        signer.trouble = Some("the token is gone".to_owned());
        assert_eq!(named(&signer, &[]), [("signer", Grade::Bad)]);
        signer.standby = true;
        assert_eq!(named(&signer, &[]), [("signer", Grade::Note)]);
    }

    #[test]
    fn a_sink_that_fails_is_a_finding_that_says_how_far_behind_it_is() {
        let mut sink = SinkState {
            sink: "archive".to_owned(),
            kind: "s3".to_owned(),
            shipped: 40,
            behind: 2,
            since: None,
            failure: None,
        };
        assert_eq!(of_sink(&sink), None, "it is on its way");
        sink.failure = Some("status 503".to_owned());
        let found = of_sink(&sink).unwrap().found;
        assert_eq!(found, "the log does not reach archive: status 503; it is 2 entries behind");
    }
}
