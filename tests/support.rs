//! What tests stand on: a root that cleans up, commands, users, and waiting for events.

pub(crate) mod agent;
pub(crate) mod case;
pub(crate) mod desk;
pub(crate) mod gocryptfs;
pub(crate) mod house;
pub(crate) mod http_server;
pub(crate) mod keys;
pub(crate) mod pass_store;
pub(crate) mod person;
pub(crate) mod process;
pub(crate) mod program;
pub(crate) mod root;
pub(crate) mod screen;
pub(crate) mod session;
pub(crate) mod stage;
pub(crate) mod terminal;
pub(crate) mod users;
pub(crate) mod wait;
pub(crate) mod ward;
pub(crate) mod watch;
