//! What should not have happened: panics and unexpected interrupts.
//!
//! Each ends the run with a report and a failing verdict: cause, registers,
//! backtrace, `EXIT: STATUS=n`. Only where the fault is a patch's and the kernel is
//! whole, it ends the thread instead. Threads and their backtraces are a layer above,
//! which says so with [`set_threads`]. A fault inside the report gets a shorter one
//! that uses neither locks nor formatting, on a stack of its own; a fault inside
//! that leaves the run without a verdict, which is a failure too.

use crate::{
    arch, console, cpus,
    mmu::Refused,
    platform,
    stack::{self, Damage},
    symbols::Place,
};
use core::{
    panic::PanicInfo,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
};
use layout::TrapFrame;
use ppc64::{insn, msr, vector};
use report::{Record, Verdict};

/// What the layer of the threads adds to a report.
#[derive(Clone, Copy, Debug)]
pub struct Threads {
    /// Prints which thread ran, and its backtrace.
    pub print_backtrace: fn(&TrapFrame),
    /// Whether the thread that ran can be ended alone, and the others go on.
    pub can_end_alone: fn(&TrapFrame) -> bool,
    /// Ends it, after [`end_report`].
    pub end_alone: fn() -> !,
}

static THREADS: spin::Once<Threads> = spin::Once::new();

/// Sets what is asked of threads in a report. Once; before that a report has no backtrace.
pub fn set_threads(threads: Threads) {
    THREADS.call_once(|| threads);
}

/// Ends the run.
pub fn exit(verdict: Verdict) -> ! {
    // The verdict must be the last line, so no handler and no other CPU may print behind it.
    let off = arch::interrupts_off();
    cpus::pause_others(&off);
    off.for_good();
    console::report(&Record::Exit {
        status: verdict.status(),
    });
    println!("{verdict}");
    platform::power_off()
}

/// How many faults are being reported, one inside the other: by one CPU, while the others
/// pause.
static DEPTH: AtomicU32 = AtomicU32::new(0);

/// Starts a report. With a second fault, ends the run there and then.
fn begin() {
    let off = arch::interrupts_off();
    cpus::pause_others(&off);
    off.for_good();
    let depth = DEPTH.fetch_add(1, Ordering::Relaxed);
    if depth == 0 {
        stack::use_last_resort();
        // SAFETY: interrupts are off, and the other CPUs pause, with interrupts on or
        // waiting for a lock: the console's lock is not theirs, for nothing waits under
        // it. So its holder is the code that was running. It never goes on: every path
        // from here ends the run, or the thread ([`Threads::end_alone`]). The latter takes
        // that interrupts were on, so it held no lock: an `IrqLock` keeps them off.
        unsafe { console::take_over() };
        return;
    }
    if depth == 1 {
        console::write_raw(b"\nfault while reporting a fault\n");
        console::write_raw(LAST_LINE);
    }
    platform::power_off()
}

/// [`Verdict::FaultInFault`], formatted by hand.
const LAST_LINE: &[u8] = b"EXIT: STATUS=6\n";
const _: () = assert!(LAST_LINE[13] == b'0' + Verdict::FaultInFault.status());

/// The kernel, or a module by way of it, has panicked.
#[panic_handler]
fn panicked(info: &PanicInfo<'_>) -> ! {
    let interrupts = arch::interrupts_are_on();
    begin();
    let mut frame = TrapFrame::default();
    arch::capture(&mut frame);
    if interrupts {
        frame.msr |= msr::EE;
    }
    println!();
    match info.location() {
        Some(place) => println!("PANIC: {} at {place}", info.message()),
        None => println!("PANIC: {}", info.message()),
    }
    finish(&mut frame, Verdict::Panicked)
}

/// An interrupt that nothing asked for.
pub fn unexpected(frame: &mut TrapFrame) -> ! {
    begin();
    println!();
    let name = vector::name(frame.vector);
    match frame.vector {
        vector::PROGRAM => {
            let cause = vector::program_cause(frame.msr);
            println!("UNEXPECTED INTERRUPT {:#x}: {name} ({cause})", frame.vector);
            if vector::is_trap(frame.msr)
                // SAFETY: the CPU has executed the word, so it is there.
                && insn::is_trap_if_higher(unsafe { arch::load_instruction(frame.nip) })
            {
                println!("interrupts came on while a guard, which is dropped here, kept them off");
                // They say nothing about locks.
                end_run(frame, Verdict::UnexpectedTrap)
            }
        }
        _ => {
            print!("UNEXPECTED INTERRUPT {:#x}: {name}", frame.vector);
            match Refused::of(frame) {
                Some(refused) => println!(": {refused}"),
                None => println!(),
            }
        }
    }
    finish(frame, Verdict::UnexpectedTrap)
}

/// An interrupt found r1 outside the running stack, or is about its guard.
pub fn overflowed(frame: &mut TrapFrame) -> ! {
    begin();
    let (bottom, top) = stack::running();
    println!();
    if let Some(refused) = Refused::of(frame).filter(Refused::is_of_guard) {
        println!(
            "STACK OVERFLOW: {refused} from {bottom:#x} to {top:#x}, with r1 = {:#x}",
            frame.gpr[1]
        );
        finish(frame, Verdict::StackOverflow)
    }
    println!(
        "STACK OVERFLOW: {} interrupt {:#x} found r1 = {:#x} outside the usable part of the stack from {bottom:#x} to {top:#x}",
        vector::name(frame.vector),
        frame.vector,
        frame.gpr[1],
    );
    finish(frame, Verdict::StackOverflow)
}

/// A thread has returned, and the guard of its stack has been written to.
pub fn left_damage(damage: Damage) -> ! {
    begin();
    let mut frame = TrapFrame::default();
    arch::capture(&mut frame);
    println!();
    println!("STACK OVERFLOW: {damage}");
    finish(&mut frame, Verdict::StackOverflow)
}

/// A thread gives way with its r1 outside the usable part of its stack.
pub fn overrun(r1: u64) -> ! {
    begin();
    let mut frame = TrapFrame::default();
    arch::capture(&mut frame);
    let (bottom, top) = stack::running();
    println!();
    println!(
        "STACK OVERFLOW: gave way with r1 = {r1:#x} outside the usable part of the stack from {bottom:#x} to {top:#x}"
    );
    finish(&mut frame, Verdict::StackOverflow)
}

/// A stack's guard has been written to.
pub fn guard_damaged(frame: &mut TrapFrame, damage: Damage) -> ! {
    begin();
    println!();
    println!("STACK OVERFLOW: {damage}");
    finish(frame, Verdict::StackOverflow)
}

/// Whether a fault that only stops a thread is told in a line.
static BRIEF: AtomicBool = AtomicBool::new(false);

/// Sets whether a fault that only stops a thread is told in a line from now on, for
/// those that are provoked. One that ends the run is always told in full.
pub fn set_brief(brief: bool) {
    BRIEF.store(brief, Ordering::Relaxed);
}

/// Prints registers and backtrace, and ends the run; or the thread alone, where
/// the fault is a patch's and the rest is whole.
fn finish(frame: &mut TrapFrame, verdict: Verdict) -> ! {
    let ends_alone = |frame: &TrapFrame| THREADS.get().filter(|it| (it.can_end_alone)(frame));
    let brief = BRIEF.load(Ordering::Relaxed).then(|| ends_alone(frame));
    let alone = brief.flatten().or_else(|| {
        print_registers(frame);
        print_backtrace(frame);
        ends_alone(frame)
    });
    if let Some(threads) = alone {
        // The stack's next owner must not take it for an interrupt's.
        frame.marker = 0;
        (threads.end_alone)()
    }
    exit(verdict)
}

/// Prints registers and backtrace, and ends the run.
fn end_run(frame: &TrapFrame, verdict: Verdict) -> ! {
    print_registers(frame);
    print_backtrace(frame);
    exit(verdict)
}

/// Ends a report that is not the last.
pub fn end_report() {
    stack::use_fallback();
    DEPTH.fetch_sub(1, Ordering::Relaxed);
    cpus::resume_others();
}

fn print_registers(frame: &TrapFrame) {
    println!("nip  {:016x}  {}", frame.nip, Place(frame.nip));
    println!("lr   {:016x}  {}", frame.lr, Place(frame.lr));
    print!("msr  {:016x} ", frame.msr);
    for (mask, name) in msr::NAMES {
        if frame.msr & mask != 0 {
            print!(" {name}");
        }
    }
    println!();
    println!(
        "cr   {:08x}  xer {:08x}  ctr {:016x}  dar {:016x}  dsisr {:08x}",
        frame.cr, frame.xer, frame.ctr, frame.dar, frame.dsisr,
    );
    for (row, registers) in frame.gpr.chunks(4).enumerate() {
        print!("r{:<3}", 4 * row);
        for register in registers {
            print!(" {register:016x}");
        }
        println!();
    }
}

fn print_backtrace(frame: &TrapFrame) {
    // Before the platform is known, there is no stack but the boot stack.
    if platform::try_get().is_some()
        && let Some(threads) = THREADS.get()
    {
        (threads.print_backtrace)(frame);
    }
}
