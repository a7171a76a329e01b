//! The daemon: starts everything in order, serves, and ends it in order.

use crate::agent_table::AgentTable;
use crate::approval_queue::ApprovalQueue;
use crate::calendar::Calendar;
use crate::caller::Callers;
use crate::clock;
use crate::confinement::{Confinement, confine_core};
use crate::control::{self, Connection, ConnectionTable, Sidecar};
use crate::cpu_latency::CpuLatency;
use crate::factor::ApprovalPassphrase;
use crate::grant_table::GrantTable;
use crate::guard_table::GuardTable;
use crate::handle_table::HandleTable;
use crate::handoff_table::HandoffTable;
use crate::hardening::{self, Memory};
use crate::helper::Notifier;
use crate::journal::Journal;
use crate::lease_table::LeaseTable;
use crate::lifecycle::{MountTable, Why};
use crate::log_keeper::{self, LogFinding};
use crate::log_state::LogState;
use crate::meter::Meter;
use crate::metrics;
use crate::missed::MissedTable;
use crate::monitor::{Monitor, Started, follow_reports, knows_threads};
use crate::pipeline::Pipeline;
use crate::policy_in_force::{self, PolicyInForce};
use crate::read_table::ReadTable;
use crate::refusals::RefusalTable;
use crate::root::{AUDIT, Layout, MARK, POLICY, Root};
use crate::service_manager::{ServiceManager, inherited_socket};
use crate::settings::Settings as RootSettings;
use crate::shipping::Shipping;
use crate::signer::{SignerVariables, Signers, SignersSettings};
use crate::source::Sources;
use crate::start::{Announcement, Bound, Lock, StartError, complete, listen};
use crate::vault_table::{Keeper, VaultTable};
use crossbeam_channel::{Receiver, Sender, bounded, select, tick};
use jiff::Timestamp;
use nix::sys::signal::{SigSet, Signal};
use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Child;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use ward_audit::{BootId, EventType, Log, Record, Recovered, Settings};
use ward_memory::Guard;

/// How often waiting changes of vaults are written, idle vaults locked, and callers that have ended
/// forgotten.
const VAULT_PERIOD: Duration = Duration::from_secs(1);

/// How often it is tried to hear of sleep, where nobody tells of it.
const SLEEP_PERIOD: Duration = Duration::from_secs(60);

/// The running daemon, as commands see it.
#[derive(Debug)]
pub(crate) struct Daemon {
    pub(crate) root: Arc<Root>,
    pub(crate) layout: Layout,
    pub(crate) instance: String,
    pub(crate) since: Timestamp,
    pub(crate) memory: Memory,
    pub(crate) confinement: Confinement,
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) vaults: Arc<VaultTable>,
    pub(crate) mounts: Arc<MountTable>,
    /// Those of `ward.toml` that count now; for a moment.
    settings: RwLock<Arc<RootSettings>>,
    stopping: AtomicBool,
    /// One policy is taken at a time.
    pub(crate) reloading: Mutex<()>,
    events: Sender<Event>,
    pub(crate) connections: ConnectionTable,
    /// How many connections sidecars serve at present.
    pub(crate) at_sidecars: Arc<AtomicUsize>,
    service_manager: ServiceManager,
}

/// What can happen to a daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    /// A command or a signal ends it.
    Stop,
    /// SIGHUP.
    Reload,
    /// The privileged half is gone.
    MonitorGone,
}

impl Daemon {
    /// Takes no more commands; [`Self::leave`] ends it once the one that asked is answered.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// Has it end every mount and itself.
    pub(crate) fn leave(&self) {
        // Full or closed: it is leaving.
        let _leaving_already = self.events.try_send(Event::Stop);
    }

    /// The settings as they are now.
    pub(crate) fn settings(&self) -> Arc<RootSettings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes other settings, for what begins from now on.
    pub(crate) fn take_settings(&self, settings: RootSettings) {
        take(&self.pipeline, &settings);
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
    }

    /// What it does, in a line.
    fn in_short(&self) -> String {
        let (mounts, pending) =
            (self.mounts.views().len(), self.pipeline.approvals.pending().len());
        format!("mounts: {mounts}, requests that wait: {pending}")
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }
}

/// Serves the root at `path` until it is told to stop; prints `ready` once it can be reached.
pub(crate) fn serve(path: &Path) -> Result<(), StartError> {
    if !knows_threads() {
        return Err(StartError::OldKernel);
    }
    hardening::harden().map_err(|errno| StartError::Machine("hardening", errno.into()))?;
    ward_memory::give_large_blocks_back();
    let signals = block_signals()?;
    let service_manager = ServiceManager::of_environment();
    let root =
        Arc::new(Root::open(path).map_err(|error| StartError::Root(path.to_owned(), error))?);
    // Before anything is started that could get it, too.
    let inherited = inherited_socket(&root)?;
    let settings = RootSettings::read(&root)?;
    let signers = settings.audit.resolve(&SignerVariables::of_this_process());
    let signers = signers.map_err(|error| StartError::Signer(path.to_owned(), error))?;
    let mut helpers =
        settings.helpers().map_err(|error| StartError::Helper(path.to_owned(), error))?;
    signers.add_to(&mut helpers);
    let _lock = Lock::take(&root)?;
    complete(&root)?;
    let Started { monitor, process, first, reports } = Monitor::start(&helpers)
        .map_err(|error| StartError::Machine("the monitor process", error))?;
    let memory = hardening::lock_memory();
    let announcement = Announcement::prepare();
    let metrics = metrics::bind(&settings.metrics)?;
    let sidecar = Sidecar::bind(&settings.sidecar)?;
    let (listener, bound) = listen(&root, &settings, inherited)?;
    let journal = Journal::open(&settings.audit.journal, &settings.audit.syslog);
    // From here on nothing new can be reached, and no key has been read yet.
    let confinement = confine(&root)?;
    let (events, happened) = bounded(8);
    let managers = (monitor, service_manager);
    let begun = begin(&root, (settings, &signers), managers, events, (memory, confinement));
    let daemon = begun?;
    let (stop, stopped) = bounded::<()>(0);
    let half = (process, reports, journal);
    start_threads(&daemon, (listener, metrics), signals, half, &stopped)
        .map_err(|error| StartError::Machine("a thread", error))?;
    if let Some(sidecar) = sidecar {
        let served = Arc::clone(&daemon);
        let work = move || sidecar.serve(&served, None, || served.is_stopping());
        let started = std::thread::Builder::new().name("sidecar".to_owned()).spawn(work);
        started.map_err(|error| StartError::Machine("a thread", error))?;
    }
    announcement.make();
    daemon.service_manager.ready();
    while let Ok(event) = happened.recv() {
        match event {
            Event::Reload => {
                // The log says why not; one that has stopped refuses every open already.
                let _refused_and_recorded = daemon.reload();
            }
            Event::Stop | Event::MonitorGone => break,
        }
    }
    daemon.stopping.store(true, Ordering::Release);
    drop(stop);
    daemon.service_manager.stopping();
    finish(&daemon, bound, first)
}

/// Confines this process, and sees that it still reaches its root.
fn confine(root: &Root) -> Result<Confinement, StartError> {
    let confinement =
        confine_core(root).map_err(|error| StartError::Machine("to confine the daemon", error))?;
    let reached = rustix::fs::access(root.join(MARK), rustix::fs::Access::READ_OK);
    reached.map_err(|_| StartError::Unreachable(root.path().to_owned()))?;
    Ok(confinement)
}

fn begin(
    root: &Arc<Root>,
    settings: (RootSettings, &SignersSettings),
    managers: (Monitor, ServiceManager),
    events: Sender<Event>,
    guards: (Memory, Confinement),
) -> Result<Arc<Daemon>, StartError> {
    let daemon = assemble(root, settings, managers, events, guards)?;
    let stale = daemon.pipeline.monitor.clean_up(&daemon.instance).unwrap_or_default();
    record_start(&daemon, &stale)?;
    daemon.pipeline.take_up(None);
    // Before anybody is served: the next start looks for it in this segment.
    daemon.pipeline.record_counts(&mut None);
    Ok(daemon)
}

fn assemble(
    root: &Arc<Root>,
    (settings, signers): (RootSettings, &SignersSettings),
    (monitor, service_manager): (Monitor, ServiceManager),
    events: Sender<Event>,
    (memory, confinement): (Memory, Confinement),
) -> Result<Arc<Daemon>, StartError> {
    let rules = policy_in_force::load(root, POLICY)?;
    let boot = clock::boot_id().map_err(|error| StartError::Log(error.to_string()))?;
    let monitor = Arc::new(monitor);
    let signers = Signers::new(root, signers, &monitor);
    let (log, mut recovered) = open_log(root, &signers, (boot.clone(), &rules))?;
    let (counts, counted) = (recovered.counts.take(), std::mem::take(&mut recovered.counted));
    let mounts = std::mem::take(&mut recovered.mounts);
    let notifier = Notifier::start(settings.notify.as_ref(), &monitor, Arc::clone(&log))
        .map_err(|error| StartError::Machine("a thread", error))?;
    // Only the superuser may; without, all is as well, and slower.
    let cpu_latency = Arc::new(CpuLatency::new(monitor.limit_cpu_latency().ok()));
    let agents = Arc::new(AgentTable::default());
    let pipeline = Arc::new(Pipeline {
        callers: Callers::new(Arc::clone(&monitor), Arc::clone(&agents)),
        agents,
        sources: Sources::new(&settings.sources, &monitor),
        monitor,
        policy: PolicyInForce::new(rules, settings.sources.human_owned()),
        guards: GuardTable::default(),
        approvals: ApprovalQueue::new(settings.layout, &settings.limits),
        passphrase: ApprovalPassphrase::default(),
        refusals: RefusalTable::default(),
        leases: LeaseTable::new(Arc::clone(&log)),
        handoffs: HandoffTable::default(),
        grants: GrantTable::recall(&recovered.granted),
        missed: MissedTable::default(),
        reads: ReadTable::default(),
        calendar: Calendar::new(recovered.time, clock::stamp()),
        shipping: Shipping::new(&settings.audit, &recovered.cursors),
        left: LogState::new(recovered, boot),
        log_finding: LogFinding::default(),
        signers,
        handles: HandleTable::default(),
        log,
        cpu_latency,
        meter: Meter::default(),
        notifier,
    });
    pipeline.recall_guards(counts.as_ref(), counted);
    pipeline.callers.look_at_ancestors(pipeline.policy.rules().asks_for_ancestors());
    let vaults = Arc::new(VaultTable::new(Arc::clone(root), Arc::clone(&pipeline)));
    let mounts = Arc::new(MountTable::new(Arc::clone(&pipeline), Arc::clone(&vaults), mounts));
    take(&pipeline, &settings);
    Ok(Arc::new(Daemon {
        root: Arc::clone(root),
        layout: settings.layout,
        instance: settings.instance.clone(),
        settings: RwLock::new(Arc::new(settings)),
        since: clock::wall(),
        memory,
        confinement,
        pipeline,
        vaults,
        mounts,
        stopping: AtomicBool::new(false),
        reloading: Mutex::default(),
        events,
        connections: ConnectionTable::default(),
        at_sidecars: Arc::default(),
        service_manager,
    }))
}

/// Has what a running daemon takes count from now on.
fn take(pipeline: &Pipeline, settings: &RootSettings) {
    pipeline.handles.limit(&settings.limits);
    pipeline.approvals.limit(&settings.limits);
    pipeline.calendar.take(&settings.secrets);
}

/// Opens the log, with names recorded as `rules` say, and ends a change of what signs it that an
/// earlier daemon began.
fn open_log(
    root: &Root,
    signers: &Signers,
    (boot, rules): (BootId, &ward_policy::Rules),
) -> Result<(Arc<Log>, Recovered), StartError> {
    let fault = |error: &dyn std::fmt::Display| StartError::Log(error.to_string());
    let key = signers.key().map_err(|error| fault(&error))?;
    let opened = Log::open(&root.join(AUDIT), key, Settings::new(boot), clock::stamp());
    let (log, recovered) = opened.map_err(|error| fault(&error))?;
    signers.finish(&log, recovered.successor).map_err(|error| fault(&error))?;
    log.record_names(rules.record_names()).map_err(|error| fault(&error))?;
    Ok((Arc::new(log), recovered))
}

fn record_start(daemon: &Daemon, stale: &[String]) -> Result<(), StartError> {
    let mut reason = match daemon.memory.name() {
        "locked" => "memory is locked".to_owned(),
        "replies" => "replies are locked, other memory may be swapped out".to_owned(),
        _ => "memory is not locked and may be swapped out".to_owned(),
    };
    reason.push_str(match ward_memory::guard() {
        Guard::Secret => ", keys are in secret memory",
        Guard::Locked => ", keys are in locked memory, since this kernel has no secret one",
        Guard::Plain => ", and so may keys: the limit of locked memory is too small",
    });
    reason.push_str(&match daemon.confinement.landlock() {
        0 => "; confined without Landlock, which this kernel has not".to_owned(),
        version => format!("; confined, with Landlock {version}"),
    });
    if !stale.is_empty() {
        reason.push_str(&format!("; mounts of a daemon that died were ended: {}", stale.len()));
    }
    let digest = daemon.pipeline.policy.rules().digest();
    let started = Record::new(EventType::DaemonStarted).reason(&reason);
    daemon
        .append(started)
        .and_then(|()| daemon.append(Record::new(EventType::PolicyLoaded).policy(digest)))
        .map_err(|error| StartError::Log(error.to_string()))
}

/// The signals this daemon acts on, blocked in every thread, so that one thread can wait for them.
fn block_signals() -> Result<SigSet, StartError> {
    let mut signals = SigSet::empty();
    [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP].into_iter().for_each(|it| signals.add(it));
    signals.thread_block().map_err(|errno| StartError::Machine("signals", errno.into()))?;
    Ok(signals)
}

fn start_threads(
    daemon: &Arc<Daemon>,
    (listener, metrics): (UnixListener, Option<TcpListener>),
    signals: SigSet,
    (mut monitor, reports, journal): (Child, OwnedFd, Journal),
    stopped: &Receiver<()>,
) -> io::Result<()> {
    let spawn = |name: &str, work: Box<dyn FnOnce() + Send>| {
        std::thread::Builder::new().name(name.to_owned()).spawn(work).map(drop)
    };
    let signalled = Arc::clone(daemon);
    spawn("signals", Box::new(move || forward_signals(&signals, &signalled)))?;
    let events = daemon.events.clone();
    spawn(
        "monitor",
        Box::new(move || {
            // However it ended, nothing can be attested any more.
            let _status = monitor.wait();
            let _ending_already = events.try_send(Event::MonitorGone);
        }),
    )?;
    daemon.pipeline.cpu_latency.start()?;
    let Pipeline { shipping, log, monitor: privileged, .. } = &*daemon.pipeline;
    shipping.start(log, privileged, stopped)?;
    daemon.pipeline.callers.unread.start()?;
    let pipeline = Arc::clone(&daemon.pipeline);
    spawn(
        "reports",
        Box::new(move || {
            follow_reports(&reports, |token| pipeline.approvals.interrupt(token));
        }),
    )?;
    let (pipeline, stop) = (Arc::clone(&daemon.pipeline), stopped.clone());
    spawn(
        "approvals",
        Box::new(move || {
            pipeline.approvals.keep(&stop, |expired| pipeline.record_expiry(&expired));
        }),
    )?;
    let (pipeline, stop) = (Arc::clone(&daemon.pipeline), stopped.clone());
    spawn("sleep", Box::new(move || follow_sleep(&pipeline, &stop)))?;
    let (pipeline, stop) = (Arc::clone(&daemon.pipeline), stopped.clone());
    spawn("log-keeper", Box::new(move || log_keeper::keep(&pipeline, &stop)))?;
    let (pipeline, stop) = (Arc::clone(&daemon.pipeline), stopped.clone());
    let folder = daemon.root.join(AUDIT);
    spawn("log-tender", Box::new(move || log_keeper::tend(&pipeline, &folder, journal, &stop)))?;
    let (kept, stop) = (Arc::clone(daemon), stopped.clone());
    spawn("keeper", Box::new(move || keep_vaults(&kept, &stop)))?;
    if let Some(metrics) = metrics {
        let told = Arc::clone(daemon);
        spawn("metrics", Box::new(move || metrics::serve(&told, &metrics)))?;
    }
    let accepting = Arc::clone(daemon);
    spawn("accept", Box::new(move || accept(&accepting, &listener)))
}

/// Has signals do what they should; a second one that ends the daemon has it wait for nobody.
fn forward_signals(signals: &SigSet, daemon: &Daemon) {
    while let Ok(signal) = signals.wait() {
        let event = if signal == Signal::SIGHUP { Event::Reload } else { Event::Stop };
        if event == Event::Stop && daemon.stopping.swap(true, Ordering::AcqRel) {
            daemon.mounts.hurry.begin();
        }
        // Full or closed: it is leaving.
        let _leaving_already = daemon.events.try_send(event);
    }
}

/// Holds nobody while the machine is about to sleep: who waits in an open cannot be frozen.
fn follow_sleep(pipeline: &Pipeline, stop: &Receiver<()>) {
    loop {
        if let Ok(is_soon) = pipeline.monitor.await_sleep() {
            pipeline.approvals.sleep(is_soon);
            continue;
        }
        pipeline.approvals.sleep(false);
        select! {
            recv(stop) -> _ => return,
            default(SLEEP_PERIOD) => {}
        }
    }
}

/// Keeps what vaults have changed, and lets go of what nobody uses.
fn keep_vaults(daemon: &Daemon, stop: &Receiver<()>) {
    let period = tick(VAULT_PERIOD);
    let mut keeper = Keeper::default();
    loop {
        select! {
            recv(stop) -> _ => return,
            recv(period) -> _ => {
                keeper.keep(&daemon.vaults);
                daemon.vaults.lock_idle();
                daemon.pipeline.callers.forget_ended();
                daemon.pipeline.end_agents();
                daemon.pipeline.leases.record_ends();
                daemon.service_manager.living(|| daemon.in_short());
                daemon.pipeline.end_late_handoffs();
                daemon.pipeline.end_late_grants();
            }
        }
    }
}

fn accept(daemon: &Arc<Daemon>, listener: &UnixListener) {
    for stream in listener.incoming() {
        if daemon.is_stopping() {
            return;
        }
        let Ok(stream) = stream else { continue };
        let Some(admitted) = daemon.connections.admit(&stream) else { continue };
        let serving = Arc::clone(daemon);
        let serve = move || {
            control::serve(&serving, Connection::over(stream.into()));
            serving.connections.leave(admitted);
        };
        let started = std::thread::Builder::new().name("control".to_owned()).spawn(serve);
        if started.is_err() {
            daemon.connections.leave(admitted);
        }
    }
}

fn finish(daemon: &Arc<Daemon>, bound: Bound, first: OwnedFd) -> Result<(), StartError> {
    daemon.mounts.end_all(Why::DaemonStops);
    daemon.vaults.lock_all();
    let stopped = daemon.append(Record::new(EventType::DaemonStopped));
    drop(bound);
    // Last, so that the monitor outlives every mount.
    drop(first);
    stopped
        .and_then(|()| daemon.pipeline.log.close(clock::stamp()))
        .map_err(|error| StartError::Log(error.to_string()))
}
