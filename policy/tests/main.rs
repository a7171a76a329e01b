//! The policy as its users meet it: text in, decisions out.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a case that cannot be made should stop its test"
)]

mod acting;
mod allocation;
mod bad_rule_files;
mod changes;
mod decisions;
mod default_policy;
mod explanation;
mod fingerprints;
mod guards;
mod handle_terms;
mod handoffs;
mod human_owned;
mod leases;
mod lint;
mod reference;
mod roles;
mod secret_grants;
mod support;
mod visibility;
