//! Mounts of workspaces: one file for each part of what docs/semantics.md says of them.

mod attributes;
mod content;
mod durability;
mod end;
mod extended_attributes;
mod leases;
mod listing;
mod names;
mod policy;
mod private_root;
mod programs;
