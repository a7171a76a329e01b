//! Attacks: one file for each part of docs/threats.md. The attacker is an unprivileged user.

mod connections;
mod descriptors;
mod identity;
mod mountpoints;
mod root;
