//! Functions that the conformance cases replace. Their replacements are in
//! `patches/cases*`, and return something else, so that it shows which has run.

use super::gate::Gate;
use alloc::{string::String, vec::Vec};
use core::{
    ffi::{c_int, c_long},
    hint::black_box,
    mem,
    sync::atomic::{AtomicU64, Ordering},
};
use klp::Pair;
use loader::export;
use machine::sync::IrqLock;
use thread::backtrace::{self, Step, What};

export! {
    lab_leaf,
    "lab_inside" => inside,
    "lab_second" => second,
    "lab_twice" => twice,
    "lab_recursive" => recursive,
    "lab_endless" => endless,
    "lab_note_depth" => note_depth,
    "lab_pause" => pause,
    "lab_look_here" => look_here,
    "lab_wait_for" => wait_for,
}

/// Nine doublewords: more than fit in the registers for arguments.
pub type Large = [c_long; 9];

unsafe extern "C" {
    /// A value, and one. Sets up its TOC.
    pub safe fn lab_counted(value: c_long) -> c_long;
    /// A value, and one. A leaf without TOC set-up.
    pub safe fn lab_leaf(value: c_long) -> c_long;
    /// `lab_leaf` of a value and ten, by a tail call.
    pub safe fn lab_tail(value: c_long) -> c_long;
    /// A weighted sum of `count` values.
    ///
    /// # Safety
    /// `count` values of type `long` follow.
    pub fn lab_variadic(count: c_int, ...) -> c_long;
    /// The same.
    ///
    /// # Safety
    /// `count` values of type `long` follow.
    pub fn lab_variadic_list(count: c_int, ...) -> c_long;
    /// A weighted sum of two doublewords in a struct.
    pub fn lab_small();
    /// A weighted sum of three doublewords in a struct.
    pub fn lab_medium();
    /// A weighted sum of a value and a [`Large`].
    pub fn lab_large();
    /// A [`Large`] with two numbers' arithmetic progression.
    pub fn lab_hidden();
}

/// How often [`counted`] was called: what it needs its TOC for.
static CALLS: AtomicU64 = AtomicU64::new(0);

/// A value, and one.
#[inline(never)]
pub extern "C" fn counted(value: u64) -> u64 {
    CALLS.fetch_add(1, Ordering::Relaxed);
    black_box(value) + 1
}

macro_rules! sums {
    ($($(#[$doc:meta])* $name:ident($($argument:ident)+);)+) => {$(
        $(#[$doc])*
        #[allow(clippy::too_many_arguments, reason = "that is what it is for")]
        #[inline(never)]
        pub extern "C" fn $name($($argument: u64),+) -> u64 {
            let all = black_box([$($argument),+]);
            (1..).zip(all).map(|(weight, value)| weight * value).sum()
        }
    )+};
}

sums! {
    /// A weighted sum of as many values as fit in registers.
    sum8(a b c d e f g h);
    /// Of one more.
    sum9(a b c d e f g h i);
    /// Of two more.
    sum10(a b c d e f g h i j);
    /// Of twelve more.
    sum20(a b c d e f g h i j k l m n o p q r s t);
}

/// Sum and difference.
#[inline(never)]
pub extern "C" fn pair(a: u64, b: u64) -> Pair<u64, u64> {
    Pair {
        first: black_box(a) + b,
        second: a - b,
    }
}

/// A value, and one; the replacement calls back into the kernel.
#[inline(never)]
pub extern "C" fn calls_kernel(value: u64) -> u64 {
    black_box(value) + 1
}

/// A value, and one; the replacement calls [`second`].
#[inline(never)]
pub extern "C" fn calls_patched(value: u64) -> u64 {
    black_box(value) + 1
}

/// A value, and two.
#[inline(never)]
pub extern "C" fn second(value: u64) -> u64 {
    black_box(value) + 2
}

/// A value, and one; the replacement leaves by a tail call of [`twice`].
#[inline(never)]
pub extern "C" fn tail_out(value: u64) -> u64 {
    black_box(value) + 1
}

/// Twice a value. It is never replaced.
#[inline(never)]
pub extern "C" fn twice(value: u64) -> u64 {
    CALLS.fetch_add(1, Ordering::Relaxed);
    2 * black_box(value)
}

/// Where [`recursive`] waits.
pub static MIDDLE: Gate = Gate::new();

/// The depth that is left when it does.
pub const MIDDLE_DEPTH: u64 = 25;

/// Calls itself `depth` times, and counts that.
#[inline(never)]
pub extern "C" fn recursive(depth: u64) -> u64 {
    if depth == MIDDLE_DEPTH {
        MIDDLE.pass();
    }
    if depth == 0 {
        0
    } else {
        black_box(recursive(black_box(depth - 1))) + 1
    }
}

/// How deep the replacement of [`endless`] got.
pub static DEPTH: AtomicU64 = AtomicU64::new(0);

/// The depth; the replacement calls itself until there is no stack left.
#[inline(never)]
pub extern "C" fn endless(depth: u64) -> u64 {
    black_box(depth)
}

/// Called by the replacement of [`endless`].
pub extern "C" fn note_depth(depth: u64) {
    DEPTH.store(depth, Ordering::Relaxed);
}

/// A thread that is in here keeps a transition that replaces it going.
pub static HOLD: Gate = Gate::new();

/// Passes [`HOLD`], and calls a function a hundred times.
#[inline(never)]
pub extern "C" fn hold(what: extern "C" fn() -> u64) -> u64 {
    HOLD.pass();
    (0..100).map(|_| what()).sum()
}

/// Returns 1, and lets others run meanwhile; the replacement returns 1000.
#[inline(never)]
pub extern "C" fn patch_state() -> u64 {
    thread::yield_now();
    black_box(1)
}

/// Returns nothing worth knowing.
pub extern "C" fn idle() -> u64 {
    0
}

/// Where the replacement of [`inside`] waits.
pub static INSIDE: Gate = Gate::new();

/// A value, and one.
#[inline(never)]
pub extern "C" fn inside(value: u64) -> u64 {
    black_box(value) + 1
}

/// Called by the replacement of [`inside`].
pub extern "C" fn pause() {
    INSIDE.pass();
}

/// Waits until a flag is not zero. A leaf that opens no frame.
#[inline(never)]
pub extern "C" fn wait_for(flag: &AtomicU64) {
    while flag.load(Ordering::Relaxed) == 0 {
        core::hint::spin_loop();
    }
}

/// A value, and one; the replacement calls [`look_here`].
#[inline(never)]
pub extern "C" fn look(value: u64) -> u64 {
    black_box(value) + 1
}

/// What a stack walk has found.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// Whether it can be relied on, and the function found of those looked for.
    pub reliable: Option<Result<Option<u64>, String>>,
    /// The functions on the stack, from the innermost outwards.
    pub names: Vec<String>,
}

/// What [`look_here`] has seen, and which code it looks for.
pub static LOOK: IrqLock<(Look, core::ops::Range<u64>)> = IrqLock::new((
    Look {
        reliable: None,
        names: Vec::new(),
    },
    0..0,
));

/// Called by the replacement of [`look`]: walks the stack.
#[inline(never)]
pub extern "C" fn look_here() {
    let wanted = consistency::Ranges::new(Some(LOOK.lock().1.clone()));
    let reliable = thread::with_current(|thread| backtrace::check_running(thread, &wanted));
    let mut steps = [Step {
        code: 0,
        what: What::Call,
    }; 12];
    let count = backtrace::here(&mut steps);
    let name = |step: &Step| alloc::format!("{}", machine::symbols::Path(step.place()));
    let names = steps[..count].iter().map(name).collect();
    LOOK.lock().0 = Look {
        reliable: reliable.map(|found| found.map_err(|reason| alloc::format!("{reason}"))),
        names,
    };
}

/// What was seen since the last time.
pub fn take_look() -> Look {
    mem::take(&mut LOOK.lock().0)
}
