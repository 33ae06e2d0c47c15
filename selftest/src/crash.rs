//! Crashes on purpose, by the boot argument `crash=`: the tests look at what the
//! kernel then prints.

use alloc::vec::Vec;
use core::{arch::asm, fmt, hint::black_box, time::Duration};
use machine::{arch, console, cpus, stack, sync::IrqLock, time};
use report::Verdict;
use thread::Mutex;

/// The kinds of crash, with what each does.
const KINDS: &[(&str, fn())] = &[
    ("panic", || panic!("on purpose")),
    ("bounds", || {
        let words = black_box([1, 2, 3]);
        black_box(words[black_box(3)]);
    }),
    ("heap-exhausted", || {
        let _ = black_box(Vec::<u8>::with_capacity(1 << 40));
    }),
    ("illegal", illegal),
    ("trap", trap),
    ("guards", guards),
    ("alignment", alignment),
    ("jump", jump),
    ("float", float),
    ("system-call", system_call),
    ("trace", trace),
    ("fault-in-report", || panic!("{}", Bomb)),
    ("recursion", || {
        black_box(recurse(black_box(1 << 40)));
    }),
    ("guard", guard),
    ("overrun", overrun),
    ("stack-pointer", stack_pointer),
    ("stack-pointer-high", stack_pointer_high),
    ("thread-panic", || in_thread(|| panic!("on purpose"))),
    ("thread-overflow", || {
        in_thread(|| {
            black_box(recurse(black_box(1 << 40)));
        });
    }),
    ("thread-overrun", || in_thread(overrun)),
    ("low-yield", || in_thread(|| low(thread::yield_now))),
    ("low-sleep", || in_thread(|| low(sleep))),
    ("table", table),
    ("lock-order", lock_order),
    ("lock-cycle", lock_cycle),
    ("lock-sleep", lock_sleep),
    ("lock-wait", lock_wait),
];

// What a backtrace is to show is not inlined: golden output names it.

/// Provokes a crash of the given kind. Returns only if it can't.
#[inline(never)]
pub fn provoke(kind: &str) -> Verdict {
    let Some((_, crash)) = KINDS.iter().find(|(name, _)| *name == kind) else {
        print!("boot argument `crash={kind}`: unknown kind; allowed:");
        for (index, (name, _)) in KINDS.iter().enumerate() {
            print!("{} {name}", if index == 0 { "" } else { "," });
        }
        println!();
        return Verdict::BadArgument;
    };
    println!("crashing on purpose: {kind}");
    crash();
    println!("still alive after `crash={kind}`");
    Verdict::ChecksFailed
}

#[inline(never)]
fn illegal() {
    // SAFETY: traps, and the kernel ends.
    unsafe { asm!(".long 0") }
}

#[inline(never)]
fn trap() {
    // SAFETY: traps, and the kernel ends.
    unsafe { asm!("trap") }
}

/// Turns interrupts on under a guard.
#[inline(never)]
fn guards() {
    let older = arch::interrupts_off();
    let younger = arch::interrupts_off();
    drop(older);
    drop(younger);
}

#[inline(never)]
fn alignment() {
    let words = black_box([0_u64; 2]);
    // SAFETY: reads inside `words`; a reservation on an address that is not
    // aligned interrupts (ISA Book II, 4.6.2), and the kernel ends.
    unsafe {
        asm!("lwarx {0}, 0, {1}", out(reg) _, in(reg_nonzero) words.as_ptr().byte_add(1));
    }
}

#[inline(never)]
fn jump() {
    let nowhere = black_box(0x0100_0000_0000_0000_usize);
    // SAFETY: no memory is there: the fetch interrupts, or yields zeros (as under
    // QEMU in real mode), which are an illegal instruction; the kernel ends.
    unsafe { asm!("mtctr {0}", "bctrl", in(reg) nowhere, out("ctr") _, out("lr") _) }
}

#[inline(never)]
fn float() {
    // SAFETY: MSR[FP] is off: this interrupts, and the kernel ends.
    unsafe { asm!("fmr 1, 1") }
}

#[inline(never)]
fn system_call() {
    // SAFETY: interrupts, and the kernel ends.
    unsafe { asm!("sc") }
}

#[inline(never)]
fn trace() {
    let msr = arch::machine_state() | ppc64::msr::SE;
    // SAFETY: single-stepping interrupts after the next instruction.
    unsafe { asm!("mtmsrd {}", in(reg) msr) }
}

/// Faults when it is printed.
struct Bomb;

impl fmt::Display for Bomb {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        illegal();
        Ok(())
    }
}

/// Recurses until the stack is used up, and on.
#[allow(unconditional_recursion, reason = "that is the crash")]
#[inline(never)]
fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 16]);
    frame[0] + recurse(black_box(depth - 1))
}

/// Writes into the guard, which faults; in real mode, waits for a tick to notice.
#[inline(never)]
fn guard() {
    let word = (stack::running().0 - 8) as *mut u64;
    let start = arch::timebase();
    let limit = time::timebase_ticks(Duration::from_secs(5));
    // SAFETY: the guard belongs to the running stack and holds no data.
    unsafe { word.write_volatile(0x0bad) };
    // Calls nothing from here on, so that the tick finds this function.
    while arch::timebase() - start < limit {
        arch::wait();
    }
}

/// Points r1 at no stack, and interrupts.
#[inline(never)]
fn stack_pointer() {
    // SAFETY: r1 is of no use from here on; the trap ends the kernel.
    unsafe { asm!("li 1, 0x7770", "trap", options(noreturn)) }
}

/// The same, above all stacks.
#[inline(never)]
fn stack_pointer_high() {
    // SAFETY: as in `stack_pointer`.
    unsafe { asm!("li 1, -16", "trap", options(noreturn)) }
}

/// Runs a crash in a thread of its own.
#[inline(never)]
fn in_thread(crash: fn()) {
    match thread::spawn("doomed", crash) {
        Ok(thread) => drop(thread.join()),
        Err(error) => println!("{error}"),
    }
}

/// Uses up more stack than there is, and returns before a tick can notice.
#[inline(never)]
fn overrun() {
    arch::interrupts_off().for_good();
    let word = (stack::running().0 - 8) as *mut u64;
    // SAFETY: the guard belongs to the running stack and holds no data.
    unsafe { word.write_volatile(0x0bad) };
}

/// Gives way from below the part of the stack that may be used, before a tick can
/// notice.
#[inline(never)]
fn low(give_way: fn()) {
    arch::interrupts_off().for_good();
    descend(give_way);
}

#[inline(never)]
fn sleep() {
    thread::sleep(Duration::from_millis(1));
}

/// Panics in another thread, and has that thread print something first, while a table is
/// being printed: both have to wait, and neither gets lost.
#[inline(never)]
fn table() {
    let _piece = console::piece();
    println!("the table's first row");
    in_thread(|| {
        println!("what waits for its last");
        panic!("on purpose");
    });
}

/// Takes two locks of the kernel's in the other order than that of all.
#[inline(never)]
fn lock_order() {
    static OUTER: IrqLock<()> = IrqLock::named("livepatch::REGISTRY", ());
    static INNER: IrqLock<()> = IrqLock::named("machine::HEAP", ());
    let _inner = INNER.lock();
    let _outer = OUTER.lock();
}

/// Takes two others in one order and then in the other: no CPU waits, but two might.
#[inline(never)]
fn lock_cycle() {
    static ONE: IrqLock<()> = IrqLock::new(());
    static OTHER: IrqLock<()> = IrqLock::new(());
    for [outer, inner] in [[&ONE, &OTHER], [&OTHER, &ONE]] {
        let _outer = outer.lock();
        let _inner = inner.lock();
    }
}

/// Takes a lock of threads with interrupts off.
#[inline(never)]
fn lock_sleep() {
    static SPIN: IrqLock<()> = IrqLock::new(());
    static MUTEX: Mutex<()> = Mutex::named("tracing::STATE", ());
    let _spin = SPIN.lock();
    let _mutex = MUTEX.lock();
}

/// Waits for another CPU with a lock held.
#[inline(never)]
fn lock_wait() {
    static SPIN: IrqLock<()> = IrqLock::new(());
    let _spin = SPIN.lock();
    cpus::synchronise();
}

/// Recurses until r1 is below that part, and still above the guard.
#[inline(never)]
fn descend(give_way: fn()) {
    let frame = black_box([0_u64; 16]);
    if stack::is_running(arch::stack_pointer()) {
        descend(give_way);
    } else {
        give_way();
    }
    black_box(frame);
}
