//! Proof: tests that need a whole vault and a disk that fails, fills up or crashes.

mod basics;
mod damage;
mod faults;
mod model;
mod shredding;
mod sums;
mod support;
mod torn;
