//! The daemon's log on stderr, one line per event, as text or JSON. Types that hold keys do not print
//! them.

use super::config::Level;
use super::config::Log;
use super::config::LogFormat;
use crate::format::words::escaped;
use std::fmt;
use tracing::field::Field;
use tracing::field::Visit;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::Registry;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::Writer;
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
    let lines = || tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    let text = || lines().fmt_fields(Fields);
    let started = match (log.format, timed) {
        (LogFormat::Json, _) => registry.with(lines().json().flatten_event(true)).try_init(),
        (LogFormat::Text, true) => registry.with(text()).try_init(),
        (LogFormat::Text, false) => registry.with(text().without_time()).try_init(),
    };
    // This is the only place in the process that starts a log.
    debug_assert!(started.is_ok());
    Handle(handle)
}

/// Writes the message and the fields of a line of text: `message name=value name="a longer value"`.
///
/// Much of it comes from clients. So that none of it passes for another line or another field, control characters are escaped,
/// and values that are more than one word are quoted.
struct Fields;

impl<'writer> FormatFields<'writer> for Fields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut line = Line { writer, result: Ok(()), is_first: true };
        fields.record(&mut line);
        line.result
    }
}

struct Line<'writer> {
    writer: Writer<'writer>,
    result: fmt::Result,
    is_first: bool,
}

impl Line<'_> {
    fn write(&mut self, text: fmt::Arguments<'_>) {
        let space = if std::mem::take(&mut self.is_first) { "" } else { " " };
        if self.result.is_ok() {
            self.result = write!(self.writer, "{space}{text}");
        }
    }
}

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        match field.name() {
            "message" => self.write(format_args!("{}", escaped(&text))),
            name if is_word(&text) => self.write(format_args!("{name}={text}")),
            name => self.write(format_args!("{name}={}", quoted(&text))),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.write(format_args!("{}", escaped(value))),
            name => self.write(format_args!("{name}={}", quoted(value))),
        }
    }
}

/// Returns whether a value needs no quotes.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '"' | '=' | '\\'))
}

fn quoted(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", escaped(&text))
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::Mutex;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().map(|mut kept| kept.extend_from_slice(bytes)).ok();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// What comes from others stays within its own value.
    #[test]
    fn nothing_passes_for_another_line_or_field() {
        let kept = Kept::default();
        let writer = kept.clone();
        let layer = tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .without_time()
            .with_target(false)
            .with_writer(move || writer.clone())
            .fmt_fields(Fields);
        let forged = "x\n2026-01-01T00:00:00Z  INFO openwfp::audit: outcome=\"ok\" \x1b[2J\u{202e}\\";
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            tracing::info!(by_display = %forged, by_text = forged, number = 7, word = %"192.0.2.1:500", empty = %"", "said {forged}");
        });
        let bytes = kept.0.lock().unwrap().clone();
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(!text.contains('\x1b') && !text.contains('\u{202e}'), "{text}");
        let value = r#""x\n2026-01-01T00:00:00Z  INFO openwfp::audit: outcome=\"ok\" \u{1b}[2J\u{202e}\\""#;
        assert!(
            text.contains(&format!(
                "by_display={value} by_text={value} number=7 word=192.0.2.1:500 empty=\"\""
            )),
            "{text}"
        );
    }
}
