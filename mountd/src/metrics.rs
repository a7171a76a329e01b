//! Metrics: counts and states as Prometheus takes them (its text format 0.0.4), on the control socket
//! and, when `ward.toml` asks for it, on loopback.

use crate::clock;
use crate::daemon::Daemon;
use crate::meter::{Step, Verdict};
use crate::start::StartError;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// How long somebody who asks on loopback may take to do so.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long nobody is taken after one could not be.
const PAUSE: Duration = Duration::from_millis(100);
/// The longest request there.
const LONGEST: usize = 4096;

/// The table `[metrics]`: who may ask beside the control socket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct MetricsSettings {
    /// An address of loopback, where every process of the machine can ask.
    #[serde(skip_serializing_if = "Option::is_none")]
    listen: Option<Loopback>,
}

/// An address that only this machine reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Loopback(SocketAddr);

/// A text is no such address.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no address of loopback with a port; write it such as \"127.0.0.1:9464\"")]
pub(crate) struct LoopbackError(String);

impl Loopback {
    pub(crate) const fn address(self) -> SocketAddr {
        self.0
    }
}

impl TryFrom<String> for Loopback {
    type Error = LoopbackError;

    fn try_from(text: String) -> Result<Self, LoopbackError> {
        let address: Option<SocketAddr> = text.parse().ok();
        let address = address.filter(|address| address.ip().is_loopback());
        address.map(Self).ok_or(LoopbackError(text))
    }
}

impl From<Loopback> for String {
    fn from(Loopback(address): Loopback) -> Self {
        address.to_string()
    }
}

/// Listens where the settings say, while that can be done: the daemon makes no socket later.
pub(crate) fn bind(settings: &MetricsSettings) -> Result<Option<TcpListener>, StartError> {
    let bound = settings.listen.map(|Loopback(address)| TcpListener::bind(address)).transpose();
    bound.map_err(|error| StartError::Machine("the address of [metrics]", error))
}

/// Answers one after the other; who is slow is left.
pub(crate) fn serve(daemon: &Daemon, listener: &TcpListener) {
    for stream in listener.incoming() {
        match stream {
            // Nobody but the one who asked has to know.
            Ok(stream) => drop(answer(daemon, stream)),
            // One that went away again, or no descriptor was left: that passes.
            Err(_) => drop(crossbeam_channel::after(PAUSE).recv()),
        }
    }
}

fn answer(daemon: &Daemon, mut stream: TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let until = clock::now().after(PATIENCE);
    let mut asked = Vec::new();
    while !asked.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut chunk = [0; 512];
        let count = stream.read(&mut chunk)?;
        asked.extend_from_slice(chunk.get(..count).unwrap_or_default());
        if count == 0 || asked.len() > LONGEST || clock::now() >= until {
            return Ok(());
        }
    }
    let (status, body) = if asked.starts_with(b"GET /metrics ") {
        ("200 OK", text(daemon))
    } else {
        ("404 Not Found", "ask for /metrics\n".to_owned())
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())
}

/// All of it.
pub(crate) fn text(daemon: &Daemon) -> String {
    let mut text = Text(String::new());
    let pipeline = &daemon.pipeline;
    of_the_way(daemon, &mut text);
    let pending = pipeline.approvals.pending();
    let held = pending.iter().filter(|view| view.is_held).count();
    text.family("ward_requests_waiting", "gauge", "Requests that wait for a human.");
    text.sample("ward_requests_waiting", &[], pending.len());
    text.family("ward_requests_held", "gauge", "Those of them behind which an open waits.");
    text.sample("ward_requests_held", &[], held);
    text.family("ward_leases", "gauge", "Live leases of approvals.");
    text.sample("ward_leases", &[], pipeline.leases.approved().len());
    of_the_log(daemon, &mut text);
    of_vaults(daemon, &mut text);
    of_mounts(daemon, &mut text);
    text.0
}

fn of_the_way(daemon: &Daemon, text: &mut Text) {
    let meter = &daemon.pipeline.meter;
    text.family("ward_opens_total", "counter", "Opens by how they were decided.");
    for verdict in Verdict::ALL {
        let labels = [("decision", verdict.name())];
        text.sample("ward_opens_total", &labels, meter.counted(verdict));
    }
    let (reads, bytes) = meter.reads();
    text.family("ward_reads_total", "counter", "Reads that yielded bytes, cached ones left out.");
    text.sample("ward_reads_total", &[], reads);
    text.family("ward_read_bytes_total", "counter", "Bytes of these reads.");
    text.sample("ward_read_bytes_total", &[], bytes);
    text.family("ward_step_seconds", "histogram", "How long each step of an open or a read took.");
    for step in Step::ALL {
        let Some(histogram) = meter.timed(step) else { continue };
        let (buckets, all) = histogram.cumulated();
        for (microseconds, count) in buckets {
            let most = Duration::from_micros(microseconds).as_secs_f64().to_string();
            let labels = [("step", step.name()), ("le", &most)];
            text.sample("ward_step_seconds_bucket", &labels, count);
        }
        text.sample("ward_step_seconds_bucket", &[("step", step.name()), ("le", "+Inf")], all);
        let total = histogram.total().as_secs_f64();
        text.sample("ward_step_seconds_sum", &[("step", step.name())], total);
        text.sample("ward_step_seconds_count", &[("step", step.name())], all);
    }
}

fn of_the_log(daemon: &Daemon, text: &mut Text) {
    let log = &daemon.pipeline.log;
    text.family("ward_log_takes_records", "gauge", "1 while the log takes records.");
    text.sample("ward_log_takes_records", &[], u8::from(log.stopped().is_none()));
    text.family("ward_log_entries", "counter", "The number of the last entry.");
    let last = log.head().ok().flatten().map_or(0, |head| head.seq);
    text.sample("ward_log_entries", &[], last);
    let now = clock::now();
    let since = log.unsynced_since().ok().flatten();
    let lag = since.map_or(Duration::ZERO, |since| now.remaining(since));
    text.family("ward_log_lag_seconds", "gauge", "How long the oldest entry waits for a sync.");
    text.sample("ward_log_lag_seconds", &[], lag.as_secs_f64());
}

fn of_vaults(daemon: &Daemon, text: &mut Text) {
    let open = daemon.vaults.names().unwrap_or_default();
    let open = open.iter().filter_map(|name| daemon.vaults.unlocked(name));
    let used: Vec<_> =
        open.filter_map(|open| Some((open.name.to_string(), open.vault.usage().ok()?))).collect();
    text.family("ward_vault_disk_bytes", "gauge", "Room that an unlocked vault takes on disk.");
    for (name, usage) in &used {
        text.sample("ward_vault_disk_bytes", &[("vault", name)], usage.disk_bytes);
    }
    text.family("ward_vault_bytes", "gauge", "Bytes of the current versions of its files.");
    for (name, usage) in &used {
        text.sample("ward_vault_bytes", &[("vault", name)], usage.current_bytes);
    }
    text.family("ward_vault_files", "gauge", "Files of an unlocked vault.");
    for (name, usage) in &used {
        text.sample("ward_vault_files", &[("vault", name)], usage.files);
    }
    text.family("ward_vault_damaged_places", "gauge", "Places found damaged since the start.");
    for (name, places) in daemon.vaults.damage() {
        text.sample("ward_vault_damaged_places", &[("vault", name.as_str())], places);
    }
}

fn of_mounts(daemon: &Daemon, text: &mut Text) {
    let now = clock::now();
    let views = daemon.mounts.views();
    text.family("ward_mounts", "gauge", "Mounts.");
    text.sample("ward_mounts", &[], views.len());
    text.family("ward_mount_seconds_left", "gauge", "Seconds until the end of a mount.");
    for view in &views {
        let left = view.ends.remaining(now).as_secs();
        text.sample("ward_mount_seconds_left", &[("vault", view.vault.as_str())], left);
    }
    text.family("ward_mount_open_files", "gauge", "Open files in a mount.");
    for view in &views {
        let open = daemon.pipeline.handles.count(&view.vault);
        text.sample("ward_mount_open_files", &[("vault", view.vault.as_str())], open);
    }
}

/// The text so far.
struct Text(String);

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing into a string cannot fail.
        let _written = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// Names of vaults and our own words need no escape.
    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let labels: Vec<String> =
            labels.iter().map(|(key, value)| format!("{key}=\"{value}\"")).collect();
        let labels =
            if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _written = writeln!(self.0, "{name}{labels} {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_address_of_this_machine_is_listened_on() {
        let read = |text: &str| Loopback::try_from(text.to_owned());
        for text in ["127.0.0.1:9464", "[::1]:9464"] {
            assert_eq!(String::from(read(text).unwrap()), text);
        }
        for text in ["0.0.0.0:9464", "192.168.1.1:9464", "127.0.0.1", "localhost:9464", ""] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
