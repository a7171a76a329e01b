//! Helpers: a third kind of process, for what neither core nor monitor should do: to run foreign
//! programs. The monitor starts them, from a fixed list; they run as a configured user, with no
//! privilege, and are joined to the core by one socket. None ever sees a value.

#[cfg_attr(not(test), expect(dead_code, reason = "helpers that use it are being added"))]
pub(crate) mod http;
mod notify;
mod settings;

pub(crate) use notify::{Notice, Notifier, serve};
pub(crate) use settings::{Notify, ResolveError, RunAs};

#[cfg(test)]
#[path = "../../tests/support/http_server.rs"]
mod http_server;
