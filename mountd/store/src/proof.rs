//! Proof: tests that need a whole vault and a disk that fails, fills up or crashes.

#![expect(clippy::unwrap_used, reason = "a fixture that does not come up is a failed test")]

mod basics;
mod damage;
mod faults;
mod model;
mod shredding;
mod support;
mod torn;
