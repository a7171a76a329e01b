//! The clock: the one file that reads it.

use jiff::Timestamp;
use nix::time::{ClockId, clock_gettime};
use ulid::Ulid;
use ward_audit::{BootId, BootIdError, Stamp};
use ward_policy::{LocalTime, Moment, Rules};
use ward_store::WallTime;

/// The moment it is, on the boot clock.
pub(crate) fn now() -> Moment {
    let time = clock_gettime(ClockId::CLOCK_BOOTTIME);
    // The clock is there since Linux 2.6.39; without it nothing could be given an end: all is over.
    let nanoseconds = time.map_or(u64::MAX, |time| {
        let seconds = u64::try_from(time.tv_sec()).unwrap_or(u64::MAX);
        let fraction = u64::try_from(time.tv_nsec()).unwrap_or(0);
        seconds.saturating_mul(1_000_000_000).saturating_add(fraction)
    });
    Moment::from_nanoseconds(nanoseconds)
}

/// Both clocks at once, for the log.
pub(crate) fn stamp() -> Stamp {
    Stamp { wall: microseconds(wall()), boot: now() }
}

/// The wall clock, for people, files' times and the log; never for the end of anything.
pub(crate) fn wall() -> Timestamp {
    Timestamp::now()
}

/// The wall clock at `moment`, as text (RFC 3339, whole seconds).
pub(crate) fn wall_text(moment: Moment) -> String {
    let span = jiff::SignedDuration::try_from(moment.remaining(now())).unwrap_or_default();
    let past = jiff::SignedDuration::try_from(now().remaining(moment)).unwrap_or_default();
    let at = wall().checked_add(span).and_then(|at| at.checked_sub(past));
    text(at.unwrap_or(Timestamp::MAX))
}

/// A wall time as text (RFC 3339, whole seconds).
pub(crate) fn text(wall: Timestamp) -> String {
    wall.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The minute of the week in the time zone of a policy.
pub(crate) fn local(rules: &Rules) -> LocalTime {
    rules.local_time(wall().as_second())
}

/// A new id, unguessable, that sorts by time. `None` when the kernel gives no random bytes.
pub(crate) fn new_id() -> Option<Ulid> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).ok()?;
    let milliseconds = u64::try_from(wall().as_millisecond()).unwrap_or(0);
    Some(Ulid::from_parts(milliseconds, u128::from_be_bytes(random) >> 48))
}

/// The id of this boot (`random(4)`).
pub(crate) fn boot_id() -> Result<BootId, BootIdError> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    BootId::try_from(text.as_str())
}

/// The wall clock as times of files are kept.
pub(crate) fn file_time() -> WallTime {
    WallTime::from_nanoseconds(i64::try_from(wall().as_nanosecond()).unwrap_or(i64::MAX))
}

/// A file's time as a wall time.
pub(crate) fn wall_of(time: WallTime) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(time.nanoseconds())).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Whether the kernel knows its wall clock to be synchronised with another (`adjtimex(2)`); `None`
/// where it does not tell.
///
/// JUSTIFICATION: no crate that is kept has `adjtimex(2)`.
#[expect(unsafe_code, reason = "adjtimex has no wrapper")]
pub fn is_synchronised() -> Option<bool> {
    // SAFETY: the structure is numbers alone, for which zero is a value.
    let mut state: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel reads and writes this structure only; a mode of 0 changes nothing.
    let told = unsafe { libc::adjtimex(&raw mut state) };
    (told >= 0).then_some(state.status & libc::STA_UNSYNC == 0)
}

fn microseconds(wall: Timestamp) -> u64 {
    u64::try_from(wall.as_microsecond()).unwrap_or(0)
}
