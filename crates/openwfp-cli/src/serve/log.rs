//! The daemon's log on stderr, one line per event, as text or JSON. Types that hold keys do not print
//! them.

use super::config::Level;
use super::config::Log;
use super::config::LogFormat;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

/// Handle that changes the log level while the daemon runs.
pub(crate) struct Handle(reload::Handle<EnvFilter, Registry>);

/// Starts the log.
pub(crate) fn start(log: &Log) -> Handle {
    let (filter, handle) = reload::Layer::new(filter(&log.level));
    let registry = tracing_subscriber::registry().with(filter);
    // journald adds the time itself.
    let timed = std::env::var_os("JOURNAL_STREAM").is_none();
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    let started = match (log.format, timed) {
        (LogFormat::Json, _) => registry.with(lines.json().flatten_event(true)).try_init(),
        (LogFormat::Text, true) => registry.with(lines).try_init(),
        (LogFormat::Text, false) => registry.with(lines.without_time()).try_init(),
    };
    // This is the only place in the process that starts a log.
    debug_assert!(started.is_ok());
    Handle(handle)
}

fn filter(level: &Level) -> EnvFilter {
    // It was checked when the configuration was read.
    EnvFilter::new(&level.0)
}

impl Handle {
    pub(crate) fn set_level(&self, level: &Level) {
        if let Err(error) = self.0.reload(filter(level)) {
            tracing::error!("cannot change the log level: {error}");
        }
    }
}
