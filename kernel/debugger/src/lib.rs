//! The kernel's tables as text, for a debugger that has halted it anywhere.
//!
//! The debugger calls `view` on a stack of the view's own, with interrupts off, r13
//! set to a CPU's data, all registers saved, and the other CPUs halted: so wherever the
//! kernel was, it goes on there afterwards as if nothing had happened. What was halted may have
//! been changing one of the tables. Then the view says so and looks at nothing.
#![no_std]

extern crate alloc;

use arrayvec::ArrayString;
use core::{
    cell::UnsafeCell,
    fmt::{self, Write as _},
    sync::atomic::{AtomicU64, Ordering},
};
use machine::{arch, symbols, text};
use ppc64::insn;
use thread::{
    Activity, Thread,
    backtrace::{self, Step},
};

/// Bytes of text at a time.
const ROOM: usize = 16 * 1024;
/// Bytes of the stack.
const STACK: usize = 32 * 1024;
/// Callers that are shown of a thread that does not run.
const CALLERS: usize = 4;
/// How threads begin and give way: what is on all stacks, and so left out unless there
/// is nothing else.
const COMMON: [&str; 5] = [
    "thread::",
    "machine::arch::",
    "thread::interrupt::",
    "trap_entry",
    "thread_begin",
];
/// A path is no longer than this here; the rest is cut off.
const PATH: usize = 160;

/// What can be looked at, by the number that the debugger asks with.
const THREADS: u64 = 0;
const SITES: u64 = 1;
const PATCHES: u64 = 2;

/// Memory that only the debugger, and the view on its behalf, use.
#[repr(C, align(16))]
struct Shared<const N: usize>(UnsafeCell<[u8; N]>);

// SAFETY: `view` alone uses it, and is called by a debugger that has halted
// everything else.
unsafe impl<const N: usize> Sync for Shared<N> {}

static TEXT: Shared<ROOM> = Shared(UnsafeCell::new([0; ROOM]));
static STACK_OF_VIEW: Shared<STACK> = Shared(UnsafeCell::new([0; STACK]));

/// The first CPU's data, for r13 of a CPU that does not run the kernel. Zero until the view
/// may be called.
#[unsafe(no_mangle)]
static KLP_DEBUGGER_CPU: AtomicU64 = AtomicU64::new(0);
/// Behind the last CPU's data: an r13 up to here is that of a CPU in the kernel.
#[unsafe(no_mangle)]
static KLP_DEBUGGER_CPUS_END: AtomicU64 = AtomicU64::new(0);
/// The global entry of [`view`].
#[unsafe(no_mangle)]
static KLP_DEBUGGER_VIEW: AtomicU64 = AtomicU64::new(0);
/// r1 to call it with.
#[unsafe(no_mangle)]
static KLP_DEBUGGER_STACK: AtomicU64 = AtomicU64::new(0);
/// Where the text is: a pattern going in, lines coming out, a zero behind each.
#[unsafe(no_mangle)]
static KLP_DEBUGGER_TEXT: AtomicU64 = AtomicU64::new(0);

/// Lets the debugger call the view from here on: tells it what it needs to know for that.
pub fn start() {
    let cpus = arch::CPUS.as_ptr_range();
    let top = STACK_OF_VIEW.0.get() as u64 + STACK as u64;
    let entry = view as extern "C" fn(u64, u64) -> u64;
    KLP_DEBUGGER_VIEW.store(entry as usize as u64, Ordering::Relaxed);
    // Room for the frame header of a caller that there is not.
    let header = size_of::<layout::FrameHeader>() as u64;
    KLP_DEBUGGER_STACK.store(top - header, Ordering::Relaxed);
    KLP_DEBUGGER_TEXT.store(TEXT.0.get() as u64, Ordering::Relaxed);
    KLP_DEBUGGER_CPUS_END.store(cpus.end.addr() as u64, Ordering::Relaxed);
    KLP_DEBUGGER_CPU.store(cpus.start.addr() as u64, Ordering::Relaxed);
}

/// Lines that are written one behind the other. One that does not fit is left out.
struct Lines<'a> {
    bytes: &'a mut [u8],
    used: usize,
}

impl fmt::Write for Lines<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // The last byte stays for the zero.
        let end = self.used + text.len();
        let room = self.bytes.len() - 1;
        let place = self.bytes[..room].get_mut(self.used..end);
        place.ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.used = end;
        Ok(())
    }
}

impl Lines<'_> {
    /// Writes a line by `write`. Says whether it fits.
    fn line(&mut self, write: impl FnOnce(&mut Self) -> fmt::Result) -> bool {
        let before = self.used;
        let fits = write(self).and_then(|()| self.write_str("\n")).is_ok();
        if !fits {
            self.used = before;
        }
        fits
    }
}

/// Writes one of the tables as lines of text, from the entry with the number `from`
/// on; returns the number of the first that has found no room, or zero when all
/// have. Of sites, those that the text's pattern names, or with no pattern those that
/// are not at rest.
extern "C" fn view(what: u64, from: u64) -> u64 {
    // SAFETY: nothing else runs: see `Shared`.
    let bytes = unsafe { &mut *TEXT.0.get() };
    let mut pattern = ArrayString::<PATH>::new();
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(0);
    if let Ok(given) = core::str::from_utf8(&bytes[..end])
        && what == SITES
    {
        let _ = pattern.try_push_str(given);
    }
    // Tracers must not see what they would not without a debugger.
    let before = arch::tracing();
    arch::set_tracing(1);
    let mut lines = Lines { bytes, used: 0 };
    let from = usize::try_from(from).unwrap_or(usize::MAX);
    let next = if thread::is_busy() || ftrace::is_busy() || livepatch::is_busy() {
        lines.line(|out| {
            out.write_str(
                "The kernel was halted while it changes its tables. `klp-settle` steps on to where it does not.",
            )
        });
        0
    } else {
        match what {
            THREADS => all(&mut lines, from, thread::all(), |out, one| {
                thread_line(out, &one)
            }),
            SITES => sites(&mut lines, from, &pattern),
            PATCHES => patches(&mut lines),
            // No table: the debugger asks whether one is being changed.
            _ => 0,
        }
    };
    lines.bytes[lines.used] = 0;
    arch::set_tracing(before);
    next as u64
}

/// A line for each, from a number on; returns the number of the first without room.
fn all<T>(
    lines: &mut Lines<'_>,
    from: usize,
    entries: impl Iterator<Item = T>,
    write: impl Fn(&mut Lines<'_>, T) -> fmt::Result,
) -> usize {
    for (number, entry) in entries.enumerate().skip(from) {
        if !lines.line(|out| write(out, entry)) {
            return number;
        }
    }
    0
}

fn thread_line(out: &mut Lines<'_>, thread: &Thread) -> fmt::Result {
    let state = match thread.activity() {
        Activity::Running => "running",
        Activity::Preempted(_) => "preempted",
        Activity::Waiting(_) if thread.state() == thread::State::Ready => "ready",
        Activity::Waiting(_) => "asleep",
    };
    let (id, name, patch_state) = (thread.id(), thread.name(), thread.patch_state());
    write!(out, "{id:>4}  {name:<12} {state:<10} {patch_state:>8}  ")?;
    if thread.activity() == Activity::Running {
        return write!(out, "on CPU {}", thread.cpu());
    }
    // The scheduler's lock is free: see `view`.
    backtrace::steps_of(thread, |steps| callers(out, steps))
}

/// The innermost functions, but for those by which all threads give way.
fn callers(out: &mut Lines<'_>, steps: &mut dyn Iterator<Item = Step>) -> fmt::Result {
    let mut shown = 0;
    let mut last = ArrayString::<PATH>::new();
    for step in steps {
        let path = path_of(step.place());
        // How it gave way is the same for all.
        let begins = path.trim_start_matches('<');
        if COMMON.iter().any(|common| begins.starts_with(common)) {
            if path.as_str() != "thread_begin" {
                last = path;
            }
            continue;
        }
        let before = if shown == 0 { "" } else { " < " };
        write!(out, "{before}{path}")?;
        shown += 1;
        if shown == CALLERS {
            break;
        }
    }
    if shown == 0 {
        out.write_str(&last)?;
    }
    Ok(())
}

fn path_of(address: u64) -> ArrayString<PATH> {
    let mut path = ArrayString::new();
    let _ = write!(path, "{}", symbols::Path(address));
    path
}

fn sites(lines: &mut Lines<'_>, from: usize, pattern: &str) -> usize {
    let table = ftrace::sites();
    for (number, site) in table.iter().enumerate().skip(from) {
        let ops = ftrace::attached(site);
        let path = path_of(site.function());
        let wanted = if pattern.is_empty() {
            !ops.is_empty()
        } else {
            glob::matches(pattern, &path)
        };
        if !wanted {
            continue;
        }
        let state = match &ops[..] {
            [] => "at rest",
            ops if ops.contains(&"livepatch") => "patched",
            _ => "traced",
        };
        let fits = lines.line(|out| {
            write!(out, "{:#x}  {state:<8} {path}", site.address)?;
            let branch = insn::branch_target(site.address, text::read(site.address));
            if let Some(branch) = branch {
                write!(out, "  bl {:#x}", branch.target)?;
            }
            for (place, name) in ops.iter().enumerate() {
                write!(out, "{}{name}", if place == 0 { "  for " } else { ", " })?;
            }
            Ok(())
        });
        if !fits {
            return number;
        }
    }
    0
}

fn patches(lines: &mut Lines<'_>) -> usize {
    livepatch::each(|patch, status| {
        let state = match status {
            livepatch::Status::Enabling => "enabling",
            livepatch::Status::Enabled => "enabled",
            livepatch::Status::Disabling => "disabling",
        };
        let forced = if patch.is_pinned() { ", forced" } else { "" };
        lines.line(|out| write!(out, "{}: {state}{forced}", patch.name()));
        for one in &patch.descriptor.replacements {
            let (old, new) = (path_of(one.old), path_of(one.new));
            lines.line(|out| write!(out, "    {old} {:#x} -> {new} {:#x}", one.old, one.new));
        }
    });
    // Patches are few; what has no room is cut off.
    0
}
