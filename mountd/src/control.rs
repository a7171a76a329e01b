//! The control socket: who connects, is attested like a reader of a file, and policy decides what
//! it may do.

mod acting;
mod agents;
mod answers;
mod audit;
mod checks;
mod connection;
mod connection_table;
mod explain;
mod failure;
mod generated;
mod grants;
mod handoffs;
mod history;
mod keys;
pub mod message;
mod mounts;
mod peer;
mod reload;
mod requests;
mod secret_state;
mod secrets;
mod session;
mod sidecar;
mod signers;
mod state;
mod subscription;
mod upkeep;
mod vaults;
mod verify;

pub use connection::{Connection, Line, ReceiveError, Sender};
pub(crate) use connection_table::ConnectionTable;
pub(crate) use session::serve;
pub(crate) use sidecar::{Sidecar, SidecarSettings};
