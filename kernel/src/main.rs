//! A kernel that patches itself while it runs, for QEMU's pseries machine.
//!
//! # Principles
//! - One file, one thought. What a reader must hold in the head to follow a
//!   patched call fits on a desk.
//! - Assembly lives in `machine::arch`, and where a traced or patched call needs its own: in
//!   `ftrace`, `tracing` and `livepatch::variants`. (`lab` has instruments, and `selftest` an
//!   instruction here and there that is meant to fault.) Each entry is under a contract:
//!   on entry, on exit, clobbers, stack. It takes every offset from a Rust struct.
//! - Logic that needs no machine is a crate of its own under `crates/`, without
//!   `unsafe`, and is tested on the host.
//! - What the machine is like comes from the device tree.
//! - A run ends with a verdict, `EXIT: STATUS=n`, whatever happens. No verdict
//!   is a failure too.
//!
//! # What it is not
//! There is no user mode: all code runs with the rights of a kernel, and pages keep it from what can
//! only be a mistake. Threads are preempted anywhere; interrupt handlers do not nest.
//!
//! # Who knows whom
//! The kernel is made of crates, each of which knows only those before it in this list, so
//! that rustc refuses an arrow the wrong way. What a lower one needs of a higher one, it is
//! given by a hook.
//!
//! - `machine`: CPU, console, memory and its pages, clock, symbols, and the one writer of code;
//! - `thread`: threads, interrupts, and what is on stacks;
//! - `ftrace`: sites, and the trampoline that calls what is attached to them;
//! - `tracing`: the tracers;
//! - `loader`: modules. What they may call is collected by the linker from the owners;
//! - `livepatch`: patches, transitions, variants;
//! - `debugger`, `demo`, `shell`, `live`: what gdb's scripts ask for, the demonstration, the
//!   monitor, the channel over which patches come from the host;
//! - `init`: the first steps, and the choice of what runs.
//!
//! # Images
//! This crate is the image `klplab`, which is all of these and no more. There are two more
//! images, each of which can do what those before it can:
//!
//! - `klplab-lab`, of the crate `lab`: what judges variants, and the functions that it
//!   patches;
//! - `klplab-test`, of the crate `selftest`: the tests in the kernel.
#![no_std]
#![no_main]

use init::Image;

/// Nothing beside what every image does.
static IMAGE: Image = Image {
    which: bootargs::Image::Klplab,
    extensions: &[],
    run: init::run,
};

/// Where the boot stage hands over.
#[unsafe(no_mangle)]
fn kernel_main(info: boot::BootInfo) -> ! {
    init::start(&info, &IMAGE)
}
