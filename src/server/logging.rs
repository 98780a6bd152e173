//! Log lines: to standard error, one a line, as text for people or JSON for machines.

use std::io::IsTerminal;

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Registry, reload};

use crate::server::config::LogFormat;

/// Writes the process's log lines of `level` and above to standard error from now on.
///
/// Standard output is left to what the program has to say itself. Colours are used only on a terminal.
///
/// # Errors
/// When something else in this process takes the log lines already.
pub fn start(format: LogFormat, level: LevelFilter) -> anyhow::Result<Level> {
    let colours = std::io::stderr().is_terminal();
    let (lines, level) = subscriber(format, level, colours, std::io::stderr);
    tracing::subscriber::set_global_default(lines)?;
    Ok(level)
}

/// Changes which lines are written while the program runs.
#[derive(Clone, Debug)]
pub struct Level(reload::Handle<LevelFilter, Registry>);

impl Level {
    /// Writes lines of `level` and above from now on.
    pub fn set(&self, level: LevelFilter) {
        // It fails only where the subscriber is gone, and with it all lines.
        let _ = self.0.reload(level);
    }
}

fn subscriber(
    format: LogFormat,
    level: LevelFilter,
    colours: bool,
    writer: impl for<'a> MakeWriter<'a> + Send + Sync + 'static,
) -> (Box<dyn Subscriber + Send + Sync>, Level) {
    let (level, handle) = reload::Layer::new(level);
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(colours)
        .with_target(false)
        .with_writer(writer);
    let above = Registry::default().with(level);
    let subscriber: Box<dyn Subscriber + Send + Sync> = match format {
        LogFormat::Text => Box::new(above.with(lines)),
        LogFormat::Json => Box::new(above.with(lines.json().flatten_event(true))),
    };
    (subscriber, Level(handle))
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines(format: LogFormat, level: LevelFilter) -> Vec<String> {
        let page = Page::default();
        let writer = page.clone();
        let (subscriber, _) = subscriber(format, level, false, move || writer.clone());
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(upload = "0a1b2c3d", length = 5_u64, "upload done");
            tracing::debug!("a detail");
        });
        let text = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn text_lines_hold_time_level_message_and_fields() {
        let lines = lines(LogFormat::Text, LevelFilter::INFO);
        assert_eq!(lines.len(), 1, "{lines:?}");
        let (time, rest) = lines[0].split_once(' ').unwrap();
        assert!(time.parse::<jiff::Timestamp>().is_ok(), "{time}");
        assert_eq!(
            rest.trim_start(),
            "INFO upload done upload=\"0a1b2c3d\" length=5"
        );
    }

    #[test]
    fn json_lines_are_flat_objects() {
        let lines = lines(LogFormat::Json, LevelFilter::DEBUG);
        assert_eq!(lines.len(), 2, "{lines:?}");
        let line: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["message"], "upload done");
        assert_eq!(line["upload"], "0a1b2c3d");
        assert_eq!(line["length"], 5);
    }
}
