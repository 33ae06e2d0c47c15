//! The console, and the report channel beside it.
//!
//! Both are virtual terminals of the hypervisor (PAPR 16.6). Before the device
//! tree is read, output goes to terminal 0, which QEMU takes for "the first".

mod logger;
mod shared;
mod terminal;

use crate::{arch, log, sync::IrqLock, time};
use anstyle::{AnsiColor, Style};
use core::{
    fmt,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};
use report::Record;
use shared::Shared;
pub use terminal::{CHUNK, Terminal};

pub use logger::{recent as recent_log, start as start_log, to_console as log_to_console};

static CONSOLE: IrqLock<Shared> = IrqLock::named("machine::CONSOLE", Shared::new(Terminal::new(0)));
static REPORT: IrqLock<Option<Terminal>> = IrqLock::named("machine::REPORT", None);
static COLOR: AtomicBool = AtomicBool::new(false);
static SILENT: AtomicBool = AtomicBool::new(false);
static PRINTS: AtomicU64 = AtomicU64::new(0);

/// Longest record of the report channel, in bytes.
const RECORD_BYTES: usize = 1024;

/// Uses these terminals from now on.
pub fn use_terminals(console: u32, report: Option<u32>) {
    terminal::set_number_of_console(console);
    CONSOLE.lock().terminal = Terminal::new(console);
    *REPORT.lock() = report.map(Terminal::new);
}

/// Turns colours on or off.
pub fn set_color(on: bool) {
    COLOR.store(on, Ordering::Relaxed);
}

/// Whether colours are on.
#[must_use]
pub fn has_color() -> bool {
    COLOR.load(Ordering::Relaxed)
}

/// While it lives, what other threads print waits, a second at most: what the owner prints
/// meanwhile, such as a table, stays in one piece. Nothing ever waits for the owner.
#[derive(Debug)]
pub struct Piece {
    began: bool,
}

/// Begins a piece.
#[must_use]
pub fn piece() -> Piece {
    Piece {
        began: CONSOLE.lock().begin(),
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        if self.began {
            CONSOLE.lock().end();
        }
    }
}

/// Prints to the console, whole calls at a time.
pub fn print(arguments: fmt::Arguments<'_>) {
    PRINTS.fetch_add(1, Ordering::Relaxed);
    if SILENT.load(Ordering::Relaxed) {
        return;
    }
    CONSOLE.lock().print(arguments);
}

/// Prints to the console.
#[macro_export]
macro_rules! print {
    ($($argument:tt)*) => { $crate::console::print(format_args!($($argument)*)) };
}

/// Prints a line to the console.
#[macro_export]
macro_rules! println {
    () => { $crate::console::print(format_args!("\n")) };
    ($($argument:tt)*) => {
        $crate::console::print(format_args!("{}\n", format_args!($($argument)*)))
    };
}

/// Writes a record to the report channel, if there is one.
pub fn report(record: &Record<'_>) {
    if REPORT.lock().is_none() {
        return;
    }
    let mut line = [0; RECORD_BYTES];
    match record.write(&mut line) {
        Ok(line) => {
            let mut channel = REPORT.lock();
            if let Some(terminal) = channel.as_mut() {
                terminal.write(line);
                terminal.flush();
            }
        }
        // Not under the lock: it goes to the console.
        Err(error) => log::error!("{error}"),
    }
}

/// Reports that work goes on, five records a second at most. The runner ends a guest that
/// gives no sign of life for a minute, so whatever takes longer than half a second, which a
/// busy host makes a hundred times as long, calls this.
///
/// It must be called by the thread that works, after a piece of the work. A timer, or a
/// thread that only waits for another one, would vouch for work that does not go on.
pub fn progress(what: &str, done: u32, of: u32) {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let now = arch::timebase();
    let due = LAST.load(Ordering::Relaxed) + time::timebase_ticks(Duration::from_millis(200));
    if now >= due {
        LAST.store(now, Ordering::Relaxed);
        report(&Record::Progress { what, done, of });
    }
}

/// The next byte that was typed, if any. Unread input stays with the hypervisor, which
/// lets the sender wait.
#[must_use]
pub fn read_byte() -> Option<u8> {
    CONSOLE.lock().terminal.read()
}

/// How often something was printed since boot. A shell compares it to see whether its
/// prompt must be shown again.
#[must_use]
pub fn prints() -> u64 {
    PRINTS.load(Ordering::Relaxed)
}

/// Prints nothing from now on, or again. A verdict and a fault's report are printed
/// whatever was said here.
pub fn be_silent(silent: bool) {
    SILENT.store(silent, Ordering::Relaxed);
}

/// Reads one line from the console, without its line break, and echoes what is
/// typed. Backspace works; what does not fit `line` is not taken.
pub fn read_line(line: &mut [u8]) -> &[u8] {
    let mut used = 0;
    loop {
        // Not a lock over the wait: handlers may print meanwhile.
        let Some(byte) = CONSOLE.lock().terminal.read() else {
            arch::wait();
            continue;
        };
        match byte {
            b'\r' | b'\n' => {
                print!("\n");
                return &line[..used];
            }
            // Backspace and delete.
            0x08 | 0x7f if used > 0 => {
                used -= 1;
                print!("\x08 \x08");
            }
            b' '..=b'~' if used < line.len() => {
                line[used] = byte;
                used += 1;
                print!("{}", char::from(byte));
            }
            _ => {}
        }
    }
}

/// Takes the console from its owner by force.
///
/// # Safety
/// Only for a CPU that never returns to what it was doing.
pub unsafe fn take_over() {
    be_silent(false);
    // SAFETY: the owner is interrupted code, and the caller guarantees that it never
    // runs again. A terminal is usable whatever state it was left in.
    unsafe {
        CONSOLE.break_open();
        REPORT.break_open();
    }
    CONSOLE.lock().release();
}

/// Writes text with neither locks nor formatting, for when both have failed.
pub fn write_raw(text: &[u8]) {
    let mut terminal = Terminal::new(terminal::number_of_console());
    terminal.write(text);
    terminal.flush();
}

/// What text is about, for colours.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tone {
    /// A check that held.
    Good,
    /// A check that did not.
    Bad,
    /// A heading.
    Heading,
    /// What belongs to the old side of a transition.
    Old,
    /// What belongs to its new side.
    New,
}

/// Text in a tone: coloured where colours are on, else plain.
#[derive(Clone, Copy, Debug)]
pub struct Painted<T>(pub Tone, pub T);

impl<T: fmt::Display> fmt::Display for Painted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !has_color() {
            return self.1.fmt(f);
        }
        let style = match self.0 {
            Tone::Good => Style::new().fg_color(Some(AnsiColor::Green.into())),
            Tone::Bad => Style::new().bold().fg_color(Some(AnsiColor::Red.into())),
            Tone::Heading => Style::new().bold(),
            Tone::Old => Style::new().fg_color(Some(AnsiColor::Yellow.into())),
            Tone::New => Style::new().fg_color(Some(AnsiColor::Cyan.into())),
        };
        write!(f, "{style}")?;
        self.1.fmt(f)?;
        write!(f, "{style:#}")
    }
}
