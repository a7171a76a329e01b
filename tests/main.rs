//! The whole program, as its users meet it: the table of contents.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that cannot be set up has failed, and one that is skipped says why"
)]

mod agents;
mod anchors;
mod answers;
mod asking;
mod attacks;
mod audit_show;
mod commands;
mod contract;
mod copies;
mod daemon;
mod doctor;
mod endurance;
mod evidence;
mod exports;
mod factors;
mod front_ends;
mod gloves;
mod gpg;
mod guide;
mod handoffs;
mod imports;
mod independent_reader;
mod keeping;
mod keys;
mod lifecycle;
mod log;
mod mounts;
mod mounts_of_copies;
mod names;
mod notify;
mod ownership;
mod passphrases;
mod past;
mod pipe;
mod policy;
mod readme;
mod repository;
mod restart;
mod rollback;
mod secrets;
mod semantics;
mod service;
mod shipping;
mod sidecar;
mod signers;
mod sources;
mod support;
mod templates;
mod way_of_a_read;
mod webhook;
mod who_asks;
mod workspace;
