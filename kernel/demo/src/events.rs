//! What the demonstration sees of transitions: who switches, when and how, and
//! which rate of interest each side has. All of it goes into the report.

use alloc::vec::Vec;
use arrayvec::ArrayString;
use consistency::Direction;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use livepatch::{Event, How};
use machine::{arch, console, sync::IrqLock};
use report::Record;
use thread::NAME_BYTES;

/// A thread switched, or back.
#[derive(Clone, Copy, Debug)]
pub struct Switch {
    /// The thread's number.
    pub thread: u32,
    /// Its name.
    pub name: ArrayString<NAME_BYTES>,
    /// The CPU that it runs on, or ran on last.
    pub cpu: u32,
    /// How.
    pub how: How,
    /// Whether it went back.
    pub back: bool,
    /// When, in timebase ticks since the transition's start.
    pub after: u64,
}

/// The transition that runs, or the last one.
#[derive(Debug)]
struct Seen {
    number: u64,
    start: u64,
    running: bool,
    reversed: bool,
    switches: Vec<Switch>,
    /// Events that came at a time when they should not.
    stray: u64,
}

static SEEN: IrqLock<Seen> = IrqLock::named(
    "demo::SEEN",
    Seen {
        number: 0,
        start: 0,
        running: false,
        reversed: false,
        switches: Vec::new(),
        stray: 0,
    },
);

/// The sides of the transition that runs, or of the last one: its number, and the
/// rates of the threads that have not switched, and that have. In one word, since
/// threads read it while it changes.
static SIDES: AtomicU64 = AtomicU64::new(pack(0, 1, 1));

/// The rate that the next transition leads to.
static GOAL: AtomicUsize = AtomicUsize::new(1);

const fn pack(number: u64, old: usize, new: usize) -> u64 {
    number << 16 | (old as u64) << 8 | new as u64
}

/// Number, rate of the old side, rate of the new one.
const fn unpack(sides: u64) -> (u64, usize, usize) {
    (
        sides >> 16,
        (sides >> 8 & 0xff) as usize,
        (sides & 0xff) as usize,
    )
}

/// The rate for a thread with this patch state.
pub fn rate_of(patch_state: u64) -> usize {
    let (number, old, new) = unpack(SIDES.load(Ordering::Relaxed));
    if patch_state == number { new } else { old }
}

/// Says which rate the next transition leads to.
pub fn lead_to(rate: usize) {
    GOAL.store(rate, Ordering::Relaxed);
}

/// Writes events down.
pub fn observer(event: &Event<'_>) {
    let time = arch::timebase();
    let running = livepatch::running().map_or(0, |running| running.number);
    let mut seen = SEEN.lock();
    match *event {
        Event::Started { patch, direction } => {
            // The rate that all threads have now is that of whichever side they were on
            // when the last transition ended.
            let (_, old, new) = unpack(SIDES.load(Ordering::Relaxed));
            let now = if seen.reversed { old } else { new };
            let goal = GOAL.load(Ordering::Relaxed);
            SIDES.store(pack(running, now, goal), Ordering::Relaxed);
            seen.stray += u64::from(seen.running);
            seen.number = running;
            seen.start = time;
            seen.running = true;
            seen.reversed = false;
            seen.switches.clear();
            report_transition(running, patch, Some(direction), false, time);
        }
        Event::Switched { thread, how } => {
            seen.stray += u64::from(!seen.running);
            let (back, after) = (seen.reversed, time - seen.start);
            let mut name = ArrayString::new();
            // Both are of one length.
            let _ = name.try_push_str(thread.name());
            let (thread, cpu) = (thread.id(), thread.cpu());
            seen.switches.push(Switch {
                thread,
                name,
                cpu,
                how,
                back,
                after,
            });
            console::report(&Record::Switch {
                number: seen.number,
                thread,
                name: &name,
                cpu,
                how: word(how),
                time,
            });
        }
        Event::Reversed { patch } => {
            seen.stray += u64::from(!seen.running);
            seen.reversed = !seen.reversed;
            report_transition(seen.number, patch, None, seen.reversed, time);
        }
        Event::Ended { patch, enabled } => {
            seen.stray += u64::from(!seen.running);
            seen.running = false;
            console::report(&Record::TransitionEnd {
                number: seen.number,
                patch,
                enabled,
                time,
            });
        }
    }
}

fn report_transition(
    number: u64,
    patch: &str,
    direction: Option<Direction>,
    reversed: bool,
    time: u64,
) {
    let direction = direction.or_else(|| Some(livepatch::running()?.direction));
    console::report(&Record::Transition {
        number,
        patch,
        direction: match direction {
            Some(Direction::Enable) | None => "enable",
            Some(Direction::Disable) => "disable",
        },
        reversed,
        time,
    });
}

/// A way of switching, as the report has it.
const fn word(how: How) -> &'static str {
    match how {
        How::SafePoint => "safe_point",
        How::Asleep => "asleep",
        How::Itself => "itself",
        How::Forced => "forced",
    }
}

/// Makes room for what is to be seen, so that an observer need not ask for it.
pub fn reserve() {
    SEEN.lock().switches.reserve(64);
}

/// The running or last transition's number.
pub fn number() -> u64 {
    SEEN.lock().number
}

/// Events that came at a time when they should not.
pub fn stray() -> u64 {
    SEEN.lock().stray
}

/// Who has switched in the running or last transition, or in it has gone back, by
/// number.
pub fn switches(back: bool) -> Vec<Switch> {
    let mut switches = SEEN.lock().switches.clone();
    switches.retain(|switch| switch.back == back);
    switches.sort_by_key(|switch| switch.thread);
    switches
}

/// Whether a thread has switched in the running or last transition, or back.
pub fn has_switched(thread: u32, back: bool) -> bool {
    let seen = SEEN.lock();
    let mut switches = seen.switches.iter();
    switches.any(|switch| switch.thread == thread && switch.back == back)
}

/// Whether each of these threads switched exactly once, and no other did.
pub fn each_once(switches: &[Switch], threads: &[u32]) -> bool {
    let times = |id: u32| switches.iter().filter(|switch| switch.thread == id).count();
    switches.len() == threads.len() && threads.iter().all(|&id| times(id) == 1)
}
