//! The machine: CPU, memory, clock, console, and the kernel's own code as words and names.
//!
//! # Why it is as it is
//! The kernel runs in *real mode* (`MSR[IR]` = `MSR[DR]` = 0, ISA Book III 6.7): an effective
//! address is a physical one. So code can be written where it runs and nothing has to be
//! mapped, which keeps the subject, patched calls, in sight. The price: no page protects
//! anything. A stack's guard is a pattern that is looked at ([`stack`]), and [`text`] is the
//! one writer of code by agreement alone.
//!
//! An interrupt finds every register in use by the code that it interrupts, and has none of its
//! own. `SPRG1` keeps the address of this CPU's data and `SPRG2` takes r13 away, so that r13
//! can point there; four *scratch words* behind it take r9 to r12. From then on there is room
//! to look at r1. Interrupts go on the stack that they find, below the *red zone*, which a
//! compiled function may use under its r1 without a frame (ELFv2 2.2.2.4; gcc and LLVM use
//! 288 bytes of it), but only if r1 lies between the running stack's floor and its top.
//! Otherwise r1 is not to be trusted, and the *fallback stack* takes the report. Nothing else
//! may be assumed of r1: an interrupt comes between any two instructions, also where a
//! function has no frame yet, or none any more.
//!
//! `SRR0` and `SRR1` say where to go on, and the next interrupt overwrites them. `MSR[RI]` is
//! off as long as they hold what is not saved yet; an interrupt in that time can't be
//! returned from. No traced or patched function may run then, so what runs before the frame
//! is whole, or after it is taken apart, is never a site.
//!
//! Interrupt handlers do not nest. A handler may preempt the thread that it interrupted; the
//! thread's frame then stays on its stack until it has the CPU again. A pair of `larx` and
//! `stcx.` that an interrupt comes between must fail, so the return from an interrupt ends
//! every reservation.
//!
//! - [`arch`]: registers, vectors, contexts, stores of code: most of the assembly;
//! - [`cpus`]: the other CPUs, and what one asks of another;
//! - [`sync`]: locks, which keep interrupts off, and in which order: [`lock_order`];
//! - [`platform`]: what the device tree says; [`console`]; [`time`]; [`mm`];
//! - [`symbols`]: names of code; [`text`]: its one writer;
//! - [`stack`], [`fault`]: stacks, their guards, and the report when all is lost;
//! - [`debugger`]: functions that a debugger has breakpoints at.
#![no_std]
#![feature(allocator_api, fn_ptr_trait, patchable_function_entry)]

extern crate alloc;

pub mod arch;
#[macro_use]
pub mod console;
pub mod cpus;
pub mod debugger;
pub mod fault;
pub mod lock_order;
pub mod mm;
pub mod platform;
pub mod stack;
pub mod symbols;
pub mod sync;
pub mod text;
pub mod time;
