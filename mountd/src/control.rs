//! The control socket: who connects, is attested like a reader of a file, and policy decides what
//! it may do.

mod agents;
mod answers;
mod audit;
mod checks;
mod connection;
mod connection_table;
mod explain;
mod failure;
mod handoffs;
mod history;
mod keys;
pub mod message;
mod mounts;
mod peer;
mod reload;
mod requests;
mod secrets;
mod session;
mod sidecar;
mod signers;
mod state;
mod subscription;
mod upkeep;
mod vaults;

pub use connection::{Connection, Line, ReceiveError, Sender};
pub(crate) use connection_table::ConnectionTable;
pub(crate) use session::serve;
pub(crate) use sidecar::{Sidecar, SidecarSettings};
