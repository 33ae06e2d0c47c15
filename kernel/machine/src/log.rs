//! What the kernel logs: the `log` crate's levels and sink, and macros of the kernel's own.
//!
//! The crate's macros put the number of their line into the code of the function that logs, though
//! no line is shown here. Each function below an edit would then differ from the running kernel's.

pub use crate::{debug, error, info, warn};
pub use ::log::{Level, LevelFilter, Record, max_level, set_max_level};
use core::fmt;

/// Gives a line to the log. The macros call it, for a level that is wanted.
#[inline(never)]
pub fn put(level: Level, line: fmt::Arguments<'_>) {
    let record = Record::builder().level(level).args(line).build();
    ::log::logger().log(&record);
}

/// Logs a line, if lines of its level are wanted.
#[doc(hidden)]
#[macro_export]
macro_rules! log_at {
    ($level:ident, $($line:tt)+) => {
        if $crate::log::Level::$level <= $crate::log::max_level() {
            $crate::log::put($crate::log::Level::$level, format_args!($($line)+));
        }
    };
}

/// Logs what has failed.
#[macro_export]
macro_rules! error {
    ($($line:tt)+) => { $crate::log_at!(Error, $($line)+) };
}

/// Logs what should be looked at.
#[macro_export]
macro_rules! warn {
    ($($line:tt)+) => { $crate::log_at!(Warn, $($line)+) };
}

/// Logs what is done.
#[macro_export]
macro_rules! info {
    ($($line:tt)+) => { $crate::log_at!(Info, $($line)+) };
}

/// Logs what helps to find a fault.
#[macro_export]
macro_rules! debug {
    ($($line:tt)+) => { $crate::log_at!(Debug, $($line)+) };
}
