//! Proof: tests that need a whole vault and a disk that fails, fills up or crashes.

mod basics;
mod compaction;
mod crash;
mod crash_disk;
mod damage;
mod decoding;
mod faults;
mod images;
mod imprints;
mod model;
mod patrolling;
mod pinned;
mod rekeying;
mod reserve;
mod restoring;
mod shredding;
mod sums;
mod support;
mod torn;
mod workspace;
mod workspace_crash;
mod workspace_damage;
mod workspace_model;
mod workspace_rekeying;
mod workspace_steps;
