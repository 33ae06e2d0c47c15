//! The `log` crate's sink: lines on the console with the time since boot.

use crate::{arch, platform, println, time};
use log::{Level, LevelFilter, Log, Metadata, Record};

struct Logger;

impl Log for Logger {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let now = match platform::try_get() {
            Some(_) => time::duration(arch::timebase()),
            None => core::time::Duration::ZERO,
        };
        println!(
            "[{:5}.{:06}] {}: {}",
            now.as_secs(),
            now.subsec_micros(),
            name(record.level()),
            record.args()
        );
    }

    fn flush(&self) {}
}

fn name(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warn => "warning",
        Level::Info => "info",
        Level::Debug => "debug",
        Level::Trace => "trace",
    }
}

/// Sends log lines of `level` and above to the console from now on.
pub fn start(level: LevelFilter) {
    static LOGGER: Logger = Logger;
    // Only a second call fails, and then the logger is there already.
    let _ = log::set_logger(&LOGGER);
    log::set_max_level(level);
}
