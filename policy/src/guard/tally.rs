//! A tally: what guards have counted for a client, as the log keeps it.

use super::{Ending, GuardSettings, Guards, Instant};
use crate::{FileId, Moment};
use std::time::Duration;

/// What was counted. Instants are nanoseconds on the boot clock, below zero in an earlier boot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// When how many opens were admitted.
    pub opens: Vec<(i64, u32)>,
    /// When how many were denied.
    pub denials: Vec<(i64, u32)>,
    /// Until when the breaker is open.
    pub open_until: Option<i64>,
    /// Until when its trial lasts.
    pub trial_until: Option<i64>,
    /// What was opened of what is sensitive.
    pub files: Vec<StakedFile>,
}

/// Something sensitive that was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StakedFile {
    /// The vault.
    pub vault: String,
    /// The file.
    pub file: FileId,
    /// When it was opened first.
    pub since: i64,
    /// The points it counts.
    pub points: u32,
}

/// An open that was admitted, as the log has it.
#[derive(Clone, Debug)]
pub struct CountedOpen {
    /// How it ended.
    pub ending: Ending,
    /// What was at stake, by vault and file, and how many points that is.
    pub stake: Option<(String, FileId, u32)>,
}

impl Tally {
    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Guards {
    /// What they have counted.
    pub fn tally(&self, settings: &GuardSettings) -> Tally {
        let breaker = settings.breaker.map(|breaker| self.breaker.tally(&breaker));
        let (denials, [open_until, trial_until]) = breaker.unwrap_or_default();
        Tally {
            opens: settings.rate.map(|rate| self.rate.opens(&rate)).unwrap_or_default(),
            denials,
            open_until,
            trial_until,
            files: self.risk.files(),
        }
    }

    /// Guards that have counted so much.
    pub fn of_tally(settings: &GuardSettings, tally: &Tally) -> Self {
        let mut guards = Self::default();
        if let Some(rate) = &settings.rate {
            for (then, count) in &tally.opens {
                guards.rate.recall(rate, Instant(*then), *count);
            }
        }
        if let Some(breaker) = &settings.breaker {
            let until = [tally.open_until, tally.trial_until];
            guards.breaker.recall(breaker, &tally.denials, until);
        }
        tally.files.iter().for_each(|file| guards.risk.recall(file));
        guards
    }

    /// Counts again what was `ago`.
    pub fn recall(
        &mut self,
        settings: &GuardSettings,
        open: &CountedOpen,
        (now, ago): (Moment, Duration),
    ) {
        let then = Instant::from(now).before(ago);
        if let Some(rate) = &settings.rate {
            self.rate.recall(rate, then, 1);
        }
        if let Some(breaker) = &settings.breaker {
            self.breaker.begin(breaker, then);
            self.breaker.settle(breaker, open.ending, then);
        }
        if let (Some(_), Some((vault, file, points))) = (&settings.risk, open.stake.clone()) {
            self.risk.recall(&StakedFile { vault, file, since: then.0, points });
        }
    }
}
