//! Cumulative risk: how much of what is sensitive a client has had of late.

use super::tally::StakedFile;
use super::{Instant, Stake};
use crate::{FileId, Risk};
use std::collections::BTreeMap;
use std::time::Duration;

/// `risk = { window = "1h", escalate = 30, deny = 75 }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RiskSettings {
    /// How long a path counts.
    pub window: Duration,
    /// From how many points on a human is asked where a rule allows.
    pub escalate: u32,
    /// From how many points on nothing is given.
    pub deny: u32,
}

/// What the sum makes of a yes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// It stays one.
    Light,
    /// It takes a human's, too.
    Heavy,
    /// It becomes a no for this long at least.
    TooHeavy(Duration),
}

/// The paths that count for one client, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CumulativeRisk {
    /// By vault and file: since when, and the points.
    paths: BTreeMap<(String, Vec<u8>), (Instant, u32)>,
}

impl Risk {
    /// What it adds to the sum.
    pub const fn points(self) -> u32 {
        match self {
            Self::Low => 1,
            Self::Medium => 5,
            Self::High => 15,
            Self::Critical => 50,
        }
    }
}

impl CumulativeRisk {
    pub(super) fn weigh(&self, settings: &RiskSettings, stake: Stake<'_>, now: Instant) -> Weight {
        let counted = self.counted(settings, now, &key(stake));
        let points = stake.risk.points().max(counted);
        let others = self.points(settings, now) - counted;
        let sum = others.saturating_add(points);
        if sum >= settings.deny {
            // One path alone that is over the limit is never let in: it says so after each window.
            let wait = self.until_at_most(settings, now, settings.deny.saturating_sub(points + 1));
            return Weight::TooHeavy(wait);
        }
        if sum >= settings.escalate { Weight::Heavy } else { Weight::Light }
    }

    pub(super) fn count(&mut self, settings: &RiskSettings, stake: Stake<'_>, now: Instant) {
        let oldest = now.before(settings.window);
        self.paths.retain(|_, (since, _)| *since > oldest);
        let points = stake.risk.points();
        let counted = self.paths.entry(key(stake)).or_insert((now, points));
        counted.1 = counted.1.max(points);
    }

    /// Counts a file again, as the log has it.
    pub(super) fn recall(&mut self, staked: &StakedFile) {
        let key = (staked.vault.clone(), of_file(staked.file));
        let counted = self.paths.entry(key).or_insert((Instant(staked.since), staked.points));
        counted.1 = counted.1.max(staked.points);
    }

    /// What is counted, file by file.
    pub(super) fn files(&self) -> Vec<StakedFile> {
        let staked = self.paths.iter().filter_map(|((vault, key), (since, points))| {
            let (vault, file) = (vault.clone(), file_of(key)?);
            Some(StakedFile { vault, file, since: since.0, points: *points })
        });
        staked.collect()
    }

    pub(super) fn points(&self, settings: &RiskSettings, now: Instant) -> u32 {
        let oldest = now.before(settings.window);
        let live = self.paths.values().filter(|(since, _)| *since > oldest);
        live.fold(0, |sum, (_, points)| sum.saturating_add(*points))
    }

    fn counted(&self, settings: &RiskSettings, now: Instant, key: &(String, Vec<u8>)) -> u32 {
        let oldest = now.before(settings.window);
        self.paths.get(key).filter(|(since, _)| *since > oldest).map_or(0, |(_, points)| *points)
    }

    /// How long it is until at most `points` are left.
    fn until_at_most(&self, settings: &RiskSettings, now: Instant, points: u32) -> Duration {
        let mut live: Vec<_> = self.paths.values().copied().collect();
        live.sort_unstable();
        let mut left = self.points(settings, now);
        for (since, own) in live {
            if left <= points {
                break;
            }
            let end = since.after(settings.window);
            if end > now {
                left = left.saturating_sub(own);
                if left <= points {
                    return end.remaining(now);
                }
            }
        }
        settings.window
    }
}

fn key(stake: Stake<'_>) -> (String, Vec<u8>) {
    let within = match stake.file {
        Some(file) => of_file(file),
        None => stake.path.as_bytes().to_vec(),
    };
    (stake.vault.as_str().to_owned(), within)
}

/// No path has a zero byte.
fn of_file(file: FileId) -> Vec<u8> {
    [&[0][..], &file.0.to_be_bytes()].concat()
}

fn file_of(key: &[u8]) -> Option<FileId> {
    let number = key.strip_prefix(&[0])?.try_into().ok()?;
    Some(FileId(u64::from_be_bytes(number)))
}
