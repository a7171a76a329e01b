//! The daemon: mounts vaults and decides each open. Start reading at `pipeline.rs`.

mod agent_table;
mod approval_queue;
mod calendar;
mod caller;
mod clock;
mod confinement;
pub mod control;
mod cpu_latency;
mod daemon;
mod descriptor;
mod draft;
mod errno;
pub mod factor;
mod fair_queue;
mod filesystem;
mod grant_table;
mod guard_counts;
mod guard_table;
mod handle_table;
mod handoff_table;
mod hardening;
mod helper;
mod initialise;
mod journal;
mod lease_table;
mod lifecycle;
mod log_keeper;
mod log_owner;
mod log_state;
mod maker;
#[cfg(feature = "measure")]
pub mod measure;
mod meter;
mod metrics;
mod missed;
mod monitor;
mod newer;
mod owned_file;
mod owner;
pub mod pipe;
mod pipeline;
mod place;
mod policy_in_force;
mod read_table;
mod recorded;
mod refusals;
mod reload;
mod request_file;
pub mod root;
mod service_manager;
mod session_key;
mod settings;
mod shipping;
mod signer;
mod source;
mod start;
mod term;
mod tree;
mod vault_table;
mod whoami;

pub use clock::is_synchronised as clock_is_synchronised;
pub use initialise::{FIRST_VAULT, InitError, InitSettings, Initialised, initialise};
pub use log_owner::{OwnerError, accept_break, export_rows};
pub use monitor::{dead_mounts, takes_script};
pub use owned_file::OwnedFileError;
pub use policy_in_force::digest as policy_digest;
pub use recorded::{NotRecorded, Recorded};
pub use root::{Layout, Root};
pub use settings::{Setting, SettingsError, TEMPLATE, check_settings, parse_period, settings_of};

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// The program `ward-mountd`: `ward-mountd --root PATH` is the core, `ward-mountd monitor` the
/// privileged half that the core starts, `ward-mountd watchman INSTANCE` ends what that leaves behind,
/// `ward-mountd helper NAME` is a helper.
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let outcome = match arguments.as_slice() {
        [flag, root] if flag == "--root" => {
            daemon::serve(Path::new(root)).map_err(|error| error.to_string())
        }
        [word] if word == "monitor" => run_monitor().map_err(|error| error.to_string()),
        [word, _name] if word == "helper" => run_helper().map_err(|error| error.to_string()),
        [word, instance] if word == "watchman" => {
            run_watchman(&instance.to_string_lossy()).map_err(|error| error.to_string())
        }
        _ => Err("usage: ward-mountd --root PATH (ward daemon start does it for you)".to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            // Nobody may listen; the exit code says it too.
            let _nobody_listens = writeln!(std::io::stderr(), "ward-mountd: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run_monitor() -> std::io::Result<()> {
    hardening::harden()?;
    confinement::confine_monitor()?;
    monitor::serve(rustix::io::dup(rustix::stdio::stdin())?)
}

fn run_watchman(instance: &str) -> std::io::Result<()> {
    hardening::harden()?;
    confinement::confine_watchman()?;
    monitor::keep_watch(instance)
}

fn run_helper() -> std::io::Result<()> {
    hardening::harden()?;
    confinement::confine_helper()?;
    helper::serve()
}
