//! All cases. A new one is a function in one of the modules below, and a row here.

mod arguments;
mod kernels_toc;
mod nesting;
mod places;
mod stacks;
mod switching;
mod toc;

use super::fixtures::Outcome;
use machine::{mm::code, mmu};

/// A question about a patched call.
pub struct Case {
    /// What it is called.
    pub name: &'static str,
    /// The question.
    pub about: &'static str,
    /// Finds the answer.
    pub run: fn() -> Outcome,
    /// Whether compiled code goes on behind a patched local call, in the kernel: a
    /// variant is not asked if its calls don't come back as they should.
    pub rests_on_toc: bool,
    /// Whether an interrupt's handler makes the call: a fault in it ends the run.
    pub by_handler: bool,
    /// Whether this machine can tell, and if not, why.
    pub needs: fn() -> Result<(), &'static str>,
}

const fn case(name: &'static str, about: &'static str, run: fn() -> Outcome) -> Case {
    Case {
        name,
        about,
        run,
        rests_on_toc: false,
        by_handler: false,
        needs: || Ok(()),
    }
}

impl Case {
    const fn by_handler(mut self) -> Self {
        self.by_handler = true;
        self
    }

    const fn resting_on_toc(mut self) -> Self {
        self.rests_on_toc = true;
        self
    }

    const fn needing(mut self, needs: fn() -> Result<(), &'static str>) -> Self {
        self.needs = needs;
        self
    }
}

/// All cases, in the order in which they run.
#[rustfmt::skip]
pub static CASES: &[Case] = &[
    case("r2-local-rust", "A has its r2 back after a local call; B is in Rust, with nops", toc::local_rust),
    case("r2-local-c", "A has its r2 back after a local call; B is in C, with -mprofile-kernel", toc::local_c),
    case("r2-pointer", "A finds its r2 at 24(r1) after a call through a pointer", toc::pointer),
    case("registers", "r1, r13 to r31, CR2 to CR4 and A's frame are as they were", toc::registers),
    case("reserved-word", "12(r1) of A's frame, which the ABI reserves, is as it was", toc::reserved_word),
    case("toc-save-word", "24(r1) of A's frame, where A may have saved its r2, is as it was", toc::toc_save_word),
    case("module-local", "A, in a module, calls its own B locally, and goes on with its r2", places::module_local),
    case("module-to-kernel", "A, in a module, calls a function of the kernel's", places::module_to_kernel),
    case("caller-stays", "A's module can't be unloaded while a thread is in C, which A has called", places::caller_stays),
    case("far-module", "C lies more than 2 GiB from the kernel's TOC", places::far_module).needing(has_far_memory),
    case("leaf", "B is a leaf that sets up no TOC", toc::leaf),
    case("leaf-foreign-r2", "B is a leaf, and its caller has another TOC than the kernel's", toc::leaf_foreign),
    case("kernels-toc", "C is in a module that keeps the kernel's TOC in r2, by every variant", kernels_toc::alone),
    case("kernels-toc-stack", "such a patch lies on one of the variant's own form, and below it", kernels_toc::stacked),
    case("arguments-8", "as many arguments as fit in registers arrive", arguments::eight),
    case("arguments-9", "nine arguments arrive, one of them on the stack", arguments::nine),
    case("arguments-10", "ten arguments arrive, two of them on the stack", arguments::ten),
    case("arguments-20", "twenty arguments arrive, twelve of them on the stack", arguments::twenty),
    case("variadic-fixed", "A passes variable arguments, C takes fixed ones", arguments::variadic_fixed),
    case("variadic-list", "A passes variable arguments, C takes them as such", arguments::variadic_list),
    case("struct-16", "a struct of 16 bytes arrives by value", arguments::struct_16),
    case("struct-24", "a struct of 24 bytes arrives by value", arguments::struct_24),
    case("struct-72", "a struct of 72 bytes arrives by value, partly on the stack", arguments::struct_72),
    case("struct-hidden", "a struct is returned through a hidden pointer", arguments::struct_hidden),
    case("pair", "two values are returned in two registers", arguments::pair),
    case("tail-called", "A calls X, which ends in a tail call of B", nesting::tail_called),
    case("calls-kernel", "C calls a function of the kernel's", nesting::calls_kernel),
    case("calls-patched", "C calls functions of the kernel's that are replaced too", nesting::calls_patched),
    case("tail-call-out", "C ends in a tail call out of its module", nesting::tail_call_out),
    case("tail-call-foreign", "C ends in a tail call out of its module, and A has another TOC than the kernel's", nesting::tail_call_foreign),
    case("interrupt", "an interrupt handler calls B", nesting::interrupt).by_handler(),
    case("tracer-function", "the function tracer is attached to B too", nesting::tracer_function),
    case("tracer-graph", "the function graph tracer is attached to B too", nesting::tracer_graph),
    case("tracer-graph-new", "the function graph tracer is attached to C, and to both B and C", nesting::tracer_graph_new),
    case("recursion-all-old", "a thread that is 25 calls deep goes on old, the next begins new", switching::recursion_all_old).resting_on_toc(),
    case("recursion-forced", "a thread is switched by force 25 calls deep, goes on new, and comes home", switching::recursion_forced).resting_on_toc(),
    case("both-patch-states", "one thread calls B while another calls C, each in the middle of its own", switching::both_patch_states).resting_on_toc(),
    case("unpatch-inside", "the patch is disabled while a thread is in C", switching::unpatch_inside),
    case("stack-walk", "a stack walk from within C is reliable and names who called whom", stacks::walk),
    case("stack-overflow", "C recurses until there is no stack left, and only its thread ends", stacks::overflow).resting_on_toc().needing(has_guards),
];

fn has_far_memory() -> Result<(), &'static str> {
    if code::has_far() {
        Ok(())
    } else {
        Err("this machine has no memory more than 2 GiB from the kernel's TOC")
    }
}

fn has_guards() -> Result<(), &'static str> {
    if mmu::is_on() {
        Ok(())
    } else {
        Err("in real mode nothing stops what recurses without end")
    }
}
