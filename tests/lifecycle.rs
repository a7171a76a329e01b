//! How mounts and the daemon live and end, and by which settings.

mod exec;
mod extension;
mod idle;
mod notices;
mod settings;
mod signals;
