//! Helpers: a third kind of process, for what neither core nor monitor should do: to run foreign
//! programs. The monitor starts them, from a fixed list; they run as a configured user, with no
//! privilege, and are joined to the core by one socket. None ever sees a value.

mod notify;
mod settings;

pub(crate) use notify::{Notice, Notifier, serve};
pub(crate) use settings::{Notify, ResolveError, RunAs};
