//! `wfp serve`: the daemon.

mod config;
mod log;

use crate::args::ServeArgs;
use crate::failure::Failure;
use config::Access;
use config::Config;
use openwfp::Engine;
use openwfp::EngineOptions;
use openwfp::EngineUrl;
use openwfp::Engines;
use openwfp::Flushed;
use openwfp::NamedUrl;
use openwfp::NftablesUse;
use openwfp::RedbStore;
use openwfp::SessionOptions;
use openwfp::Unenforced;
use openwfp::api::Ace;
use openwfp::api::Code;
use openwfp::api::Error;
use openwfp::api::Securable;
use openwfp::api::SecurityDescriptor;
use openwfp::api::SecurityInformation;
use openwfp::api::object::store::ObjectStore;
use openwfp::rpc::Server;
use openwfp::rpc::UnixSocket;
use sd_notify::NotifyState;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;

/// Runs the daemon until a signal stops it.
pub(crate) fn serve(engines: &[NamedUrl], args: &ServeArgs) -> Result<(), Failure> {
    let config = read(engines, args).map_err(|error| Failure::Configuration(error.to_string()))?;
    if args.check_config {
        if let Some(tls) = config.tls() {
            tls.check()?;
        }
        for warning in config.warnings() {
            eprintln!("warning: {warning}");
        }
        println!("the configuration is valid");
        return Ok(());
    }
    let log = log::start(&config.log);
    raise_file_limit();
    let served: Vec<String> = config.engine.0.iter().map(NamedUrl::to_string).collect();
    let daemon = Daemon::start(config)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
        Error::new(Code::RPC_E_OUT_OF_RESOURCES, format!("cannot handle signals: {error}"))
    })?;
    let ready = || {
        tracing::info!(engine = served.join(" "), version = env!("CARGO_PKG_VERSION"), "ready");
        tell(&[NotifyState::Ready]);
    };
    let stop = runtime.block_on(daemon.watch(engines, args, &log, ready))?;
    tracing::info!("stopping");
    tell(&[NotifyState::Stopping]);
    let bound = stop.timeouts.stop.0;
    let Daemon { config, engines, server } = daemon;
    if server.stop(bound) {
        tracing::info!("stopped");
    } else {
        tracing::warn!(
            "stopped; calls that did not finish within {} were cut off",
            humantime::format_duration(bound)
        );
    }
    drop(engines);
    if stop.state.flush_on_exit {
        flush(&config)?;
    }
    Ok(())
}

/// Removes what the daemon's engines had in their kernels.
fn flush(config: &Config) -> Result<(), Failure> {
    for named in &config.engine.0 {
        if !matches!(named.url, EngineUrl::Xfrm(_)) {
            continue;
        }
        let Flushed { sas, policies, tables } = openwfp::flush(&named.url, config.state.runtime.clone())?;
        tracing::info!(engine = %named.url, sas, policies, tables, "removed from the kernel");
    }
    Ok(())
}

/// Reads the configuration and applies all overrides.
fn read(engines: &[NamedUrl], args: &ServeArgs) -> Result<Config, Error> {
    let bad = |what: String| Error::new(Code::FWP_E_INVALID_PARAMETER, what);
    let mut flags = args.set.clone();
    if args.flush_on_exit {
        flags.push("state.flush_on_exit=true".to_owned());
    }
    for (key, value) in
        [("listen.unix", &args.unix), ("listen.tls", &args.tls), ("listen.plaintext", &args.plaintext)]
    {
        flags.extend(value.iter().map(|value| format!("{key}={value}")));
    }
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let file = args.config.clone().or_else(|| crate::client::variable("CONFIG").map(|(_, file)| file.into()));
    let mut config = Config::read(file.as_deref(), environment, &flags).map_err(bad)?;
    for named in engines {
        config::check_engine(&named.url).map_err(bad)?;
    }
    if !engines.is_empty() {
        config.engine.0 = engines.to_vec();
    }
    if args.adopt {
        for named in &mut config.engine.0 {
            named.url = crate::client::adopting(named.url.clone())?;
        }
    }
    Ok(config)
}

/// Raises the limit of open files: many connections need many, and the default limit is low.
fn raise_file_limit() {
    use nix::sys::resource::Resource;
    use nix::sys::resource::getrlimit;
    use nix::sys::resource::setrlimit;
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        tracing::warn!("cannot raise the limit of open files: {error}");
    }
}

/// Notifies systemd, if it started the daemon.
fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!("cannot notify systemd: {error}");
    }
}

struct Daemon {
    config: Config,
    engines: Engines,
    server: Server,
}

impl Daemon {
    fn start(config: Config) -> Result<Daemon, Error> {
        if config.engine.0.iter().any(|named| matches!(named.url, EngineUrl::Xfrm(_))) {
            check_directory(config.state.runtime.as_deref().unwrap_or(Path::new(RUNTIME_DIRECTORY)))?;
        }
        let mut engines = Vec::new();
        for (place, named) in config.engine.0.iter().enumerate() {
            let mut options = EngineOptions::default();
            options.store = open_store(&config.state, if place == 0 { "" } else { &named.name })?;
            options.runtime.clone_from(&config.state.runtime);
            options.runtime_group = config.listen.group.as_ref().and_then(|group| group.gid);
            options.recover = true;
            options.nftables = match config.policy.nftables {
                config::OfNftables::Auto => NftablesUse::Auto,
                config::OfNftables::Off => NftablesUse::Off,
                config::OfNftables::Require => NftablesUse::Require,
            };
            options.unenforced = match config.policy.unenforced {
                config::OfUnenforced::Accept => Unenforced::Accept,
                config::OfUnenforced::Refuse => Unenforced::Refuse,
            };
            engines.push((named.name.clone(), Engine::here(&named.url, options)?));
        }
        let engines = Engines::new(engines)?;
        config.warnings().iter().for_each(|warning| tracing::warn!("{warning}"));
        let server = Server::start(Arc::new(engines.clone()), config.server_options())?;
        let daemon = Daemon { config, engines, server };
        if daemon.config.access != Access::default() {
            daemon.set_access(&daemon.config)?;
        }
        daemon.listen()?;
        Ok(daemon)
    }

    fn listen(&self) -> Result<(), Error> {
        let (listen, server) = (&self.config.listen, &self.server);
        let tls = self.config.tls();
        if let Some(tls) = &tls {
            server.set_tls(tls)?;
        }
        let (unix, tcp) = self.inherit()?;
        if !unix && !listen.unix.as_os_str().is_empty() {
            if let Some(directory) = listen.unix.parent() {
                make_directory(directory)?;
            }
            let group = listen.group.as_ref().and_then(|group| group.gid);
            let socket = UnixSocket { path: listen.unix.clone(), mode: listen.mode.0, group };
            server.listen_unix(&socket)?;
            tracing::info!(path = %listen.unix.display(), "listening");
        }
        if let (Some(address), Some(tls), false) = (listen.tls, &tls, tcp) {
            let address = server.listen_tls(address, tls)?;
            tracing::info!(%address, "listening for mutual TLS");
        }
        if let Some(address) = listen.plaintext {
            let principal = openwfp::api::Principal::user(listen.plaintext_user.0);
            let address = server.listen_plain(address, &principal)?;
            tracing::warn!(%address, user = %principal.user, "listening without encryption");
        }
        Ok(())
    }

    /// Listens on the sockets that systemd passed. Returns whether a Unix socket and a TCP socket were
    /// among them.
    fn inherit(&self) -> Result<(bool, bool), Error> {
        let mut inherited = listenfd::ListenFd::from_env();
        let (mut unix, mut tcp) = (false, false);
        for place in 0..inherited.len() {
            if let Ok(Some(listener)) = inherited.take_unix_listener(place) {
                self.server.serve_unix(listener)?;
                tracing::info!("listening on systemd's Unix socket");
                unix = true;
            } else if let Ok(Some(listener)) = inherited.take_tcp_listener(place) {
                if self.config.tls.is_none() {
                    let what = "systemd passed a TCP socket, but the configuration has no [tls] section";
                    return Err(Error::new(Code::FWP_E_INVALID_PARAMETER, what));
                }
                let address = self.server.serve_tls(listener)?;
                tracing::info!(%address, "listening for mutual TLS on systemd's socket");
                tcp = true;
            } else {
                let what = format!("socket {place} from systemd is neither a Unix nor a TCP socket");
                return Err(Error::new(Code::FWP_E_INVALID_PARAMETER, what));
            }
        }
        Ok((unix, tcp))
    }

    /// Handles signals until one stops the daemon, and calls `ready` when it does. Returns the configuration in effect.
    async fn watch(
        &self,
        engines: &[NamedUrl],
        args: &ServeArgs,
        log: &log::Handle,
        ready: impl FnOnce(),
    ) -> Result<Config, Error> {
        let failed = |error: std::io::Error| {
            Error::new(Code::RPC_E_OUT_OF_RESOURCES, format!("cannot handle signals: {error}"))
        };
        let mut hangup = signal(SignalKind::hangup()).map_err(failed)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        // From here on a signal stops or reloads the daemon instead of killing it.
        ready();
        let watchdog = sd_notify::watchdog_enabled();
        let mut config = self.config.clone();
        loop {
            // Without a watchdog, no timer wakes the daemon.
            let alive = tokio::time::sleep(watchdog.map_or(Duration::from_secs(1 << 30), |time| time / 3));
            tokio::select! {
                _ = terminate.recv() => return Ok(config),
                _ = interrupt.recv() => return Ok(config),
                () = alive, if watchdog.is_some() => {
                    // The answer comes from where calls are served: a daemon that is stuck there is to be restarted.
                    let engines = self.engines.clone();
                    let check = self.server.work(move || engines.iter().for_each(|(_, engine)| engine.check()));
                    match tokio::time::timeout(watchdog.unwrap_or_default() / 2, check).await {
                        Ok(true) => tell(&[NotifyState::Watchdog]),
                        _ => tracing::error!("the daemon does not answer calls; systemd is not told that it is alive"),
                    }
                }
                _ = hangup.recv() => {
                    tell(&[NotifyState::Reloading, NotifyState::monotonic_usec_now().map_err(failed)?]);
                    match read(engines, args).and_then(|new| self.reload(new, log)) {
                        Ok(new) => {
                            tracing::info!("configuration reloaded");
                            config = new;
                        }
                        Err(error) => tracing::error!("cannot reload the configuration, keeping the old one: {error}"),
                    }
                    tell(&[NotifyState::Ready]);
                }
            }
        }
    }

    /// Gives each engine the access lists of the configuration and, where it has none, the usual ones. What clients have set in
    /// the meantime is replaced, as by a restart.
    fn set_access(&self, config: &Config) -> Result<(), Error> {
        for (_, engine) in self.engines.iter() {
            engine.set_administrators(config.administrators());
            let session = engine.open_session(SessionOptions::new().name("wfp serve").kernel_mode())?;
            // The engine comes first: the others inherit from it.
            for securable in Securable::all() {
                let Some(usual) = engine.usual_security(securable) else { continue };
                let wanted = config.security(securable, &usual);
                if own(session.security_info(securable, SecurityInformation::ALL)?) == own(wanted.clone()) {
                    continue;
                }
                session.set_security_info(securable, parts(&wanted), &wanted)?;
                tracing::info!(%securable, list = wanted.to_sddl(), "set an access list");
            }
        }
        Ok(())
    }

    /// Applies the keys that can change while the daemon runs: access lists, certificates, limits and the
    /// log level.
    fn reload(&self, new: Config, log: &log::Handle) -> Result<Config, Error> {
        if let Some(tls) = new.tls() {
            self.server.set_tls(&tls)?;
        }
        self.set_access(&new)?;
        self.server.set_limits(new.limits());
        log.set_level(&new.log.level);
        new.warnings().iter().for_each(|warning| tracing::warn!("{warning}"));
        let waiting = self.config.needs_restart(&new);
        if !waiting.is_empty() {
            tracing::warn!("restart the daemon to apply the changes of {}", waiting.join(", "));
        }
        Ok(new)
    }
}

/// The directory of the journal if the configuration names none.
const RUNTIME_DIRECTORY: &str = "/run/openwfp";

/// The directory of persistent objects if neither the configuration nor systemd names one.
const STATE_DIRECTORY: &str = "/var/lib/openwfp";

/// Opens the store of persistent objects; none if it is disabled, or if the usual directory cannot be
/// used. Each engine has a file of its own; that of the first one has no name in it.
fn open_store(state: &config::State, engine: &str) -> Result<Option<Arc<dyn ObjectStore>>, Error> {
    let file = if engine.is_empty() { "objects.redb".to_owned() } else { format!("objects-{engine}.redb") };
    let prepare = |directory: &Path| {
        make_directory(directory)?;
        check_directory(directory)
    };
    let opened = |store: RedbStore, directory: &Path| -> Option<Arc<dyn ObjectStore>> {
        tracing::info!(directory = %directory.display(), "opened the store of persistent objects");
        Some(Arc::new(store))
    };
    match &state.directory {
        Some(none) if none.as_os_str().is_empty() => Ok(None),
        Some(directory) => {
            prepare(directory)?;
            Ok(opened(RedbStore::open(&directory.join(&file))?, directory))
        }
        None => {
            let of_systemd = std::env::var_os("STATE_DIRECTORY").map(PathBuf::from);
            let usual = of_systemd.unwrap_or_else(|| STATE_DIRECTORY.into());
            match prepare(&usual).and_then(|()| RedbStore::open_or_replace(&usual.join(&file))) {
                Ok((store, damaged)) => {
                    if let Some((aside, error)) = damaged {
                        tracing::error!(
                            damaged = %aside.display(),
                            "the store of persistent objects is damaged and was moved aside; the daemon starts with an empty one, so filters and policies that were kept in it have no effect: {error}"
                        );
                    }
                    Ok(opened(store, &usual))
                }
                Err(error) => {
                    tracing::warn!(
                        "cannot open the store, so persistent objects are lost when the daemon ends; set state.directory to a writable directory: {error}"
                    );
                    Ok(None)
                }
            }
        }
    }
}

/// Returns a descriptor without what it has inherited.
fn own(mut descriptor: SecurityDescriptor) -> SecurityDescriptor {
    if let Some(dacl) = &mut descriptor.dacl {
        dacl.aces.retain(|ace| ace.flags & Ace::INHERITED == 0);
    }
    descriptor.auto_inherited = false;
    descriptor
}

fn parts(descriptor: &SecurityDescriptor) -> SecurityInformation {
    let mut parts = SecurityInformation::DACL;
    if descriptor.owner.is_some() {
        parts = parts.and(SecurityInformation::OWNER);
    }
    if descriptor.group.is_some() {
        parts = parts.and(SecurityInformation::GROUP);
    }
    parts
}

/// Checks that nobody else can replace the files in a directory. One that does not exist is created later, for this user to write.
fn check_directory(directory: &Path) -> Result<(), Error> {
    use std::os::unix::fs::MetadataExt;
    let denied = |what: String, remedy: &str| {
        let what = format!("cannot keep files in {}: {what}", directory.display());
        Err(Error::new(Code::ERROR_ACCESS_DENIED, what).with_remedy(remedy))
    };
    let Ok(found) = std::fs::metadata(directory) else { return Ok(()) };
    let me = nix::unistd::geteuid().as_raw();
    if found.uid() != me && found.uid() != 0 {
        return denied(
            format!("it belongs to user {}", found.uid()),
            "Give it to root or to the daemon's user, or choose another one.",
        );
    }
    // In a sticky directory, only the owner of a file can replace it.
    if found.mode() & 0o022 != 0 && found.mode() & 0o1000 == 0 {
        return denied(
            format!("other users can write it (mode {:04o})", found.mode() & 0o7777),
            "Run chmod go-w on it, or choose another one.",
        );
    }
    Ok(())
}

/// Creates a directory such as the socket's; `/run` is empty after each boot.
fn make_directory(directory: &Path) -> Result<(), Error> {
    if directory.as_os_str().is_empty() || directory.exists() {
        return Ok(());
    }
    // Whatever the umask is, nobody else may put files there.
    std::fs::DirBuilder::new().mode(0o755).create(directory).map_err(|error| {
        Error::new(Code::FWP_E_INVALID_PARAMETER, format!("cannot create {}: {error}", directory.display()))
    })
}
