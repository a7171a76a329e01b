//! A passphrase, and how much work it costs to try one.

use crate::key::{KEY_LENGTH, SlotKey};
use argon2::{Algorithm, Argon2, Params, Version};
use std::fmt;
use std::time::Duration;
use zeroize::Zeroizing;

const MIB: u32 = 1024;
/// Never less memory or fewer passes than this, however slow the machine.
const LEAST_MEMORY: u32 = 64 * MIB;
const PASSES: u32 = 3;
const LANES: u32 = 4;
const USUAL_MEMORY: u32 = 256 * MIB;
/// More than this is no cost but an attack on the machine that unlocks.
const MOST_MEMORY: u32 = 4096 * MIB;
const MOST_PASSES: u32 = 64;
const MOST_LANES: u32 = 64;

/// Words that a human knows.
pub struct Passphrase(Zeroizing<Vec<u8>>);

/// The cost of one try: Argon2id (RFC 9106) with so much memory, passes and lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PassphraseCost {
    memory: u32,
    passes: u32,
    lanes: u32,
}

/// Why a passphrase gives no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CostError {
    /// The slot asks for more than any honest one.
    TooMuch,
    /// The machine has not that much memory now.
    NoMemory,
}

impl Passphrase {
    /// The passphrase of these bytes, exactly as they were typed.
    pub const fn new(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }
}

impl PassphraseCost {
    /// 256 MiB, 3 passes, 4 lanes; a quarter of `available` bytes on a smaller machine, but 64 MiB at least.
    pub fn standard(available: u64) -> Self {
        let quarter = u32::try_from(available / 4 / 1024).unwrap_or(u32::MAX);
        Self { memory: quarter.clamp(LEAST_MEMORY, USUAL_MEMORY), passes: PASSES, lanes: LANES }
    }

    /// The cost that takes about `target` on this machine, within a quarter of `available` bytes.
    ///
    /// `clock` says the time since any fixed moment.
    pub fn calibrated(available: u64, target: Duration, clock: &dyn Fn() -> Duration) -> Self {
        let mut cost = Self { memory: LEAST_MEMORY, ..Self::standard(available) };
        let begun = clock();
        if cost.slot_key(&Passphrase(Zeroizing::new(b"calibration".to_vec())), &[0; 32]).is_err() {
            return cost;
        }
        let taken = clock().saturating_sub(begun).as_nanos().max(1);
        let factor = u32::try_from(target.as_nanos() / taken).unwrap_or(u32::MAX).max(1);
        let quarter = u32::try_from(available / 4 / 1024).unwrap_or(u32::MAX);
        let most = quarter.clamp(LEAST_MEMORY, MOST_MEMORY / 4);
        cost.memory = LEAST_MEMORY.saturating_mul(factor).min(most);
        let more = factor / (cost.memory / LEAST_MEMORY).max(1);
        cost.passes = PASSES.saturating_mul(more).clamp(PASSES, MOST_PASSES);
        cost
    }

    /// The cost that a slot on disk states; its ceilings are checked before it is paid.
    pub const fn from_disk(memory: u32, passes: u32, lanes: u32) -> Self {
        Self { memory, passes, lanes }
    }

    /// Memory in KiB, passes and lanes.
    pub const fn numbers(self) -> [u32; 3] {
        [self.memory, self.passes, self.lanes]
    }

    /// As little as Argon2 allows, for tests of what lies behind it.
    #[cfg(test)]
    pub(crate) const fn nearly_nothing() -> Self {
        Self { memory: 8, passes: 1, lanes: 1 }
    }

    /// Pays the cost: Argon2id(passphrase, salt).
    pub(crate) fn slot_key(
        self,
        passphrase: &Passphrase,
        salt: &[u8],
    ) -> Result<SlotKey, CostError> {
        SlotKey::filled(|key| self.pay(passphrase, salt, key))
    }

    /// The same for another use than a slot; `None` when the cost cannot be paid.
    pub fn stretch(self, passphrase: &Passphrase, salt: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
        let mut key = Zeroizing::new([0; KEY_LENGTH]);
        self.pay(passphrase, salt, &mut key).ok()?;
        Some(key)
    }

    fn pay(
        self,
        passphrase: &Passphrase,
        salt: &[u8],
        key: &mut [u8; KEY_LENGTH],
    ) -> Result<(), CostError> {
        let Self { memory, passes, lanes } = self;
        if memory > MOST_MEMORY || passes > MOST_PASSES || lanes > MOST_LANES {
            return Err(CostError::TooMuch);
        }
        let params = Params::new(memory, passes, lanes, Some(KEY_LENGTH));
        let params = params.map_err(|_| CostError::TooMuch)?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        argon2.hash_password_into(&passphrase.0, salt, key).map_err(|_| CostError::NoMemory)
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Passphrase(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn the_cost_never_falls_below_its_floor_and_fits_the_machine() {
        let numbers = |available| PassphraseCost::standard(available).numbers();
        assert_eq!(numbers(64 << 30), [256 * 1024, 3, 4]);
        assert_eq!(numbers(512 << 20), [128 * 1024, 3, 4]);
        assert_eq!(numbers(0), [64 * 1024, 3, 4]);
    }

    #[test]
    fn a_fast_machine_pays_more_and_a_slow_one_the_floor() {
        let calibrated = |milliseconds: u64| {
            let time = Cell::new(Duration::ZERO);
            let clock = || {
                let now = time.get();
                time.set(now + Duration::from_millis(milliseconds));
                now
            };
            PassphraseCost::calibrated(2 << 30, Duration::from_secs(1), &clock).numbers()
        };
        assert_eq!(calibrated(5_000), [64 * 1024, 3, 4]);
        assert_eq!(calibrated(250), [256 * 1024, 3, 4]);
        assert_eq!(calibrated(50), [512 * 1024, 6, 4]);
    }

    #[test]
    fn calibration_stays_under_the_ceilings_of_a_slot_and_of_the_machine() {
        let calibrated = |available, nanoseconds: u64| {
            let time = Cell::new(Duration::ZERO);
            let clock = || {
                let now = time.get();
                time.set(now + Duration::from_nanos(nanoseconds));
                now
            };
            PassphraseCost::calibrated(available, Duration::from_secs(1), &clock).numbers()
        };
        // A clock that stands still looks like a machine without end.
        assert_eq!(calibrated(u64::MAX, 0), [1024 * 1024, 64, 4]);
        assert_eq!(calibrated(u64::MAX, 1), [1024 * 1024, 64, 4]);
        assert_eq!(calibrated(0, 1), [64 * 1024, 64, 4]);
        assert_eq!(calibrated(u64::MAX, u64::MAX / 2), [64 * 1024, 3, 4]);
        let [memory, passes, lanes] = calibrated(u64::MAX, 0);
        assert!(memory <= MOST_MEMORY && passes <= MOST_PASSES && lanes <= MOST_LANES);
    }

    #[test]
    fn a_key_is_what_another_argon2id_makes_with_as_many_lanes() {
        // argon2.low_level.hash_secret_raw(b"words", bytes(range(32)), 2, 256, lanes, 32, Type.ID)
        let passphrase = Passphrase::new(Zeroizing::new(b"words".to_vec()));
        let salt: Vec<u8> = (0..32).collect();
        for (lanes, tag) in [
            (1, "d47ff599185c8bb8df3f3fb4d51ab806cf4dab7b1fd48da98ef249cd80c8aea8"),
            (4, "f81bd070c512cdb6171afa3ec5254f5e32b9bb745e78ebd01f7dc834e8499368"),
        ] {
            let key = PassphraseCost::from_disk(256, 2, lanes).slot_key(&passphrase, &salt);
            let sealed = key.unwrap().show();
            assert_eq!(sealed, tag, "{lanes} lanes");
        }
    }

    #[test]
    fn a_cost_at_the_ceiling_is_tried_and_one_that_argon2_does_not_know_is_refused() {
        let passphrase = Passphrase::new(Zeroizing::new(b"x".to_vec()));
        let tried = |memory, passes, lanes| {
            let cost = PassphraseCost::from_disk(memory, passes, lanes);
            cost.slot_key(&passphrase, &[0; 32]).err()
        };
        assert_eq!(tried(512, 64, 1), None);
        assert_eq!(tried(512, 1, 64), None);
        for (memory, passes, lanes) in [(0, 0, 0), (8, 0, 1), (8, 1, 0), (7, 1, 1), (8, 1, 2)] {
            assert_eq!(tried(memory, passes, lanes), Some(CostError::TooMuch));
        }
        assert_eq!(tried(MOST_MEMORY + 1, 1, 1), Some(CostError::TooMuch));
        assert_eq!(tried(8, 65, 1), Some(CostError::TooMuch));
    }

    #[test]
    fn a_cost_beyond_the_ceiling_is_refused_before_it_is_paid() {
        let passphrase = Passphrase::new(Zeroizing::new(b"x".to_vec()));
        for (memory, passes, lanes) in [(u32::MAX, 1, 1), (8, u32::MAX, 1), (1024, 1, 65)] {
            let cost = PassphraseCost::from_disk(memory, passes, lanes);
            assert_eq!(cost.slot_key(&passphrase, &[0; 32]).err(), Some(CostError::TooMuch));
        }
    }
}
