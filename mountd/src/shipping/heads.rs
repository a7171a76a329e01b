//! Heads of the log for sinks that want no lines: a file elsewhere, or a witness who signs each head
//! that continues the one before. Whoever cuts the log then must reach those too.

use super::Shipper;
use crate::clock;
use crate::helper::{IsUsable, Seen, deliver_head};
use std::time::Duration;
use ward_audit::{Follower, HeadNote, WitnessKey};

impl Shipper<'_> {
    /// Brings the newest head to the sink, unless that has it.
    pub(super) fn ship_head(&mut self, key: Option<&str>) -> Result<(), String> {
        // What was written a moment ago is in the next head: it is signed now.
        self.log.keep(Duration::ZERO, clock::stamp()).map_err(|error| error.to_string())?;
        let note = self.log.head_note().map_err(|error| error.to_string())?;
        let shipped = self.sink.lock().shipped;
        if note.head.size <= shipped {
            return Ok(());
        }
        match key {
            None => self.hand_over(&note, &note.to_string()).map(drop)?,
            Some(key) => self.have_signed(&note, shipped, key)?,
        }
        self.follower = Follower::after(note.head.size);
        let mut state = self.sink.lock();
        (state.shipped, state.waits_since) = (note.head.size, None);
        Ok(())
    }

    /// Has the witness sign `note`, which it believes to know up to `shipped`; keeps what it signed.
    fn have_signed(&mut self, note: &HeadNote, shipped: u64, key: &str) -> Result<(), String> {
        let size = note.head.size;
        let mut seen = self.ask_witness(note, shipped)?;
        // Another signature than the one that was kept last: after a restart, or a lost answer.
        if let Some(Seen::At(known)) = seen
            && known <= size
        {
            seen = self.ask_witness(note, known)?;
        }
        let lines = match seen {
            Some(Seen::Signed(lines)) => lines,
            Some(Seen::At(known)) => {
                return Err(format!(
                    "it signed a head of {known} entries, and the log has {size}: \
                     the log was cut, or an older copy of it put back"
                ));
            }
            None => return Err("the helper said nothing of a signature".to_owned()),
        };
        let witness = WitnessKey::parse(key).ok_or("its key is none")?;
        let signed = note.cosigned(&lines, &witness);
        let signed = signed.ok_or("what it answers is not its signature of this head")?;
        let kept = self.log.keep_witnessed(&self.sink.settings.name, &signed);
        kept.map_err(|error| error.to_string())
    }

    fn ask_witness(&mut self, note: &HeadNote, old: u64) -> Result<Option<Seen>, String> {
        let hashes = self.log.consistency(old, note.head.size);
        let hashes = hashes.map_err(|error| error.to_string())?;
        let hashes: String = hashes.iter().map(|hash| hash.to_base64() + "\n").collect();
        self.hand_over(note, &format!("old {old}\n{hashes}\n{note}"))
    }

    fn hand_over(&mut self, note: &HeadNote, text: &str) -> Result<Option<Seen>, String> {
        let helper = self.helper()?;
        match deliver_head(&helper, note, text) {
            Ok(seen) => {
                self.helper = Some(helper);
                Ok(seen)
            }
            Err((failure, is_usable)) => {
                self.helper = Some(helper).filter(|_| is_usable == IsUsable::Yes);
                Err(failure)
            }
        }
    }
}
