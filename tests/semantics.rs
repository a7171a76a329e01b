//! What callers see: one file for each part of docs/semantics.md.

mod control_directory;
mod end_of_a_mount;
mod end_of_the_daemon;
mod errors;
mod invariants;
mod mapping;
mod names;
mod private_root;
mod saving;
mod writing;
