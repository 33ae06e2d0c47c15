//! The machine: CPU, memory, clock, console, and the kernel's own code as words and names.
//!
//! # Why it is as it is
//! Addresses are translated ([`mmu`]), and an effective address is the real one: an address means
//! the same to the processor, the hypervisor and the reader, which keeps the subject, patched calls,
//! in sight. What a page adds is what may be done there. Code is executed and never written where
//! it runs, so [`text`] is its one writer. Constants are read. A stack's guard is a page that is not
//! there ([`stack`]), and neither is address 0.
//!
//! Until there are tables, and with the boot argument `mmu=off` for good, the kernel runs in *real mode*
//! (`MSR[IR]` = `MSR[DR]` = 0, ISA Book III 6.7). There no page protects anything: a guard is a
//! pattern that is looked at, and [`text`] is the one writer by agreement alone.
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
//! - [`platform`]: what the device tree says; [`console`], [`log`]; [`time`];
//! - [`mm`]: what memory is for; [`mmu`]: what its pages allow;
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
pub mod log;
pub mod mm;
pub mod mmu;
pub mod platform;
pub mod stack;
pub mod symbols;
pub mod sync;
pub mod text;
pub mod time;

/// What kernel and patches agree on; here so that every crate above has `klp::hook!`.
pub use klp;
