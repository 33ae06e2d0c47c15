//! 64-bit little-endian Power in a pseries partition.
//!
//! What the rest of the kernel needs of it:
//! - [`interrupts_off`], which returns a guard, and [`interrupts_on`];
//! - this CPU's data, through r13: [`InterruptsOff::cpu`], and [`current`] and others of one word;
//! - [`timebase`], [`set_decrementer`];
//! - [`hypervisor_call`], the only way out of the partition;
//! - [`install_vectors`], with the handler that every interrupt is given to;
//! - [`capture`], the registers as they are now, and [`walk`], a stack's frames;
//! - [`store_instruction`], which changes a word of code, and [`load_instruction`];
//! - [`call_on_stack`], [`prepare_stack`] and [`switch_context`]: from stack to stack;
//! - [`translate`], and what processors are told of tables of pages;
//! - [`cede`], which lets the hypervisor have the CPU until an interrupt.

mod call;
mod capture;
mod code;
mod cpu;
mod frame;
mod hcall;
mod ipi;
mod registers;
mod switch;
mod translation;
mod vectors;
mod walk;

pub use call::{Stack, call_on_stack};
pub use capture::capture;
pub use code::{flush_code, load_instruction, store_instruction, store_instruction_words};
pub use cpu::{
    CPUS, Cpu, MOST_CPUS, REQUESTS, current, in_interrupt, kernel_toc, livepatch_stack, number,
    set_in_interrupt, set_livepatch_stack, set_tracing, stack_bottom, stack_floor, stack_top,
    start_cpu, tracing,
};
pub use frame::{close_frame_and_return, open_frame};
pub use hcall::{
    cede, hypervisor_call, take_interrupts_in_little_endian, take_interrupts_translated,
};
pub use ipi::{accept_ipis, send_ipi, take_ipi};
pub use registers::{
    InterruptsOff, compiler_barrier, interrupts_are_on, interrupts_off, interrupts_on,
    machine_state, processor_version, set_decrementer, spin, stack_pointer, step_from_here,
    synchronise_fetch, timebase, wait,
};
pub use switch::{LEAST_STACK, prepare_stack, switch_context};
pub use translation::{
    forget_page_here, forget_pages_everywhere, forget_segment, forget_segments,
    forget_translations, see_new_pages, translate, use_segment, use_tree,
};
pub use vectors::{Handler, install_vectors, trap_return_words};
pub use walk::{Frame, Walk, walk};
