//! Guard counts: what guards have counted, as the log has it: by the wall clock, so that it counts on
//! after a restart and after a reboot.

use crate::clock;
use crate::pipeline::Pipeline;
use std::borrow::Cow;
use std::time::Duration;
use ward_audit::{
    ClientCounts, CountedEntry, Durability, Entry, FileCounts, Number, Record, SegmentName, Stamp,
    Timestamp,
};
use ward_policy::{
    AgentName, CountedOpen, Digest, Ending, FileId, GuardedClient, StakedFile, Tally, UserId,
};

impl Pipeline {
    /// Takes up what guards had counted: the last tallies of the log, and what came after them.
    pub(crate) fn recall_guards(&self, counts: Option<&Entry<'_>>, counted: Vec<CountedEntry>) {
        let (rules, now) = (self.policy.rules(), clock::stamp());
        for counts in counts.into_iter().flat_map(|entry| entry.guards.iter().flatten()) {
            if let Some(client) = client_of(counts) {
                self.guards.take_up(&rules, client, &tally_of(counts, now));
            }
        }
        for entry in counted {
            let CountedEntry { client, time, is_denied, stake, .. } = entry;
            let ago = Duration::from_micros(now.wall.saturating_sub(time.microseconds()));
            let ending = if is_denied { Ending::Denied } else { Ending::Permitted };
            self.guards.recall(&rules, client, (&CountedOpen { ending, stake }, ago));
        }
    }

    /// Writes down what they have counted, unless that was done in this segment of the log.
    pub(crate) fn record_counts(&self, done: &mut Option<SegmentName>) {
        let (Ok(segment), Ok(head)) = (self.log.segment(), self.log.head()) else { return };
        if *done == Some(segment) {
            return;
        }
        // Before the guards are looked at: an open that is counted meanwhile counts twice rather
        // than not at all.
        let since = head.map_or(0, |head| head.seq);
        let now = clock::stamp();
        let tallies = self.guards.tallies(&self.policy.rules());
        let clients: Vec<ClientCounts<'_>> =
            tallies.iter().map(|(client, tally)| counts_of(client, tally, now)).collect();
        let is_recorded = clients.is_empty() || {
            let record = Record::counts(&clients, since);
            self.log.append(record, Durability::Durable, now).is_ok()
        };
        *done = is_recorded.then_some(segment);
    }
}

fn counts_of<'a>(client: &'a GuardedClient, tally: &'a Tally, now: Stamp) -> ClientCounts<'a> {
    let times =
        |all: &[(i64, u32)]| all.iter().map(|(at, count)| (time(*at, now), *count)).collect();
    let file = |staked: &'a StakedFile| FileCounts {
        file: Number(staked.file.0),
        points: staked.points,
        since: time(staked.since, now),
        vault: Cow::Borrowed(&staked.vault),
    };
    ClientCounts {
        agent: client.agent().map(|agent| Cow::Borrowed(agent.as_str())),
        denials: times(&tally.denials),
        files: tally.files.iter().map(file).collect(),
        open_until: tally.open_until.map(|until| time(until, now)),
        opens: times(&tally.opens),
        program: client.program().map(|program| Cow::Owned(program.to_string())),
        trial_until: tally.trial_until.map(|until| time(until, now)),
        uid: client.uid().0,
    }
}

fn client_of(counts: &ClientCounts<'_>) -> Option<GuardedClient> {
    let program = counts.program.as_deref().map(|text| Digest::from_hex(text).ok_or(()));
    let agent = counts.agent.as_deref().map(AgentName::try_from);
    let (program, agent) = (program.transpose().ok()?, agent.transpose().ok()?);
    Some(GuardedClient::recalled(UserId(counts.uid), program, agent))
}

fn tally_of(counts: &ClientCounts<'_>, now: Stamp) -> Tally {
    let instants =
        |all: &[(Timestamp, u32)]| all.iter().map(|(at, count)| (past(*at, now), *count)).collect();
    let file = |file: &FileCounts<'_>| StakedFile {
        vault: file.vault.clone().into_owned(),
        file: FileId(file.file.0),
        since: past(file.since, now),
        points: file.points,
    };
    Tally {
        opens: instants(&counts.opens),
        denials: instants(&counts.denials),
        open_until: counts.open_until.map(|until| instant(until, now)),
        trial_until: counts.trial_until.map(|until| instant(until, now)),
        files: counts.files.iter().map(file).collect(),
    }
}

/// An instant of the boot clock by the wall clock.
fn time(instant: i64, now: Stamp) -> Timestamp {
    let wall = now.wall.saturating_add_signed((instant - nanoseconds(now)) / 1000);
    Timestamp::from_microseconds(wall)
}

/// A time of the wall clock by the boot clock; before zero, it was in an earlier boot.
fn instant(time: Timestamp, now: Stamp) -> i64 {
    let wall = i64::try_from(now.wall).unwrap_or(i64::MAX);
    let at = i64::try_from(time.microseconds()).unwrap_or(i64::MAX);
    nanoseconds(now).saturating_add((at - wall).saturating_mul(1000))
}

/// The same of what has happened: no later than now, also when the wall clock was set back.
fn past(time: Timestamp, now: Stamp) -> i64 {
    instant(time, now).min(nanoseconds(now))
}

fn nanoseconds(now: Stamp) -> i64 {
    i64::try_from(now.boot.nanoseconds()).unwrap_or(i64::MAX)
}
