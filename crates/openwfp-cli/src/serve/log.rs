//! The daemon's log, on standard error: text, or JSON, a line each. Keys are in no message, since nothing prints them.

use super::config::Level;
use super::config::Log;
use super::config::LogFormat;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

/// By what the level is changed while the daemon runs.
pub(crate) struct Handle(reload::Handle<EnvFilter, Registry>);

/// Starts the log.
pub(crate) fn start(log: &Log) -> Handle {
    let (filter, handle) = reload::Layer::new(filter(&log.level));
    let registry = tracing_subscriber::registry().with(filter);
    // The journal knows the time by itself.
    let timed = std::env::var_os("JOURNAL_STREAM").is_none();
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    let started = match (log.format, timed) {
        (LogFormat::Json, _) => registry.with(lines.json().flatten_event(true)).try_init(),
        (LogFormat::Text, true) => registry.with(lines).try_init(),
        (LogFormat::Text, false) => registry.with(lines.without_time()).try_init(),
    };
    // Nothing else in this process starts one.
    debug_assert!(started.is_ok());
    Handle(handle)
}

fn filter(level: &Level) -> EnvFilter {
    // It was parsed when the configuration was read.
    EnvFilter::new(&level.0)
}

impl Handle {
    pub(crate) fn set_level(&self, level: &Level) {
        if let Err(error) = self.0.reload(filter(level)) {
            tracing::error!("the log's level stays as it was: {error}");
        }
    }
}
