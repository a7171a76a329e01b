//! How mounts and the daemon live and end, by which settings, and what an operator sees of it.

mod ends;
mod exec;
mod extension;
mod faults;
mod idle;
mod load;
mod metrics;
mod notices;
mod settings;
mod signals;
mod sleep;
mod status;
