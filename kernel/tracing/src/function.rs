//! The function tracer: which function was called from where, and when.

use super::{
    graph,
    record::{self, Event},
};
use ftrace::{Flags, Ops};
use layout::CallFrame;

/// The tracer. Everything that its callback calls is listed as not to be
/// traced, or inlined.
pub static OPS: Ops = Ops::new("function", callback, Flags::RECURSION_SAFE);

#[patchable_function_entry(prefix_nops = 0, entry_nops = 0)]
extern "C" fn callback(ip: u64, parent: u64, _: &Ops, _: &mut CallFrame) {
    record::push(Event::Call {
        ip,
        parent: graph::real_parent(parent),
    });
}
