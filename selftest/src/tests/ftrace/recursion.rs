//! Whether callbacks that promise not to recurse keep that.

use crate::check;
use alloc::{collections::BTreeSet, format, string::String, vec, vec::Vec};
use machine::{
    symbols::{self, Path},
    text,
};
use ppc64::insn;

/// What runs without a guard against being called for its own calls
/// ([`ftrace::Flags::RECURSION_SAFE`]): the callbacks of such ops, and what the graph
/// tracer's hook calls.
const UNGUARDED: [&str; 4] = [
    "livepatch::patched::divert",
    "tracing::function::callback",
    "tracing::graph::enter",
    "tracing::graph::leave",
];

/// Where a panic begins. What comes after it may be traced: no call returns from there.
const PANICS: [&str; 2] = ["core::panicking::", "core::option::expect_failed"];

/// Which functions that can be traced a function calls, or goes on to, directly or
/// through others. Calls through a pointer are not followed.
fn traced_callees(function: u64) -> Vec<String> {
    let mut traced = Vec::new();
    let (mut seen, mut left) = (BTreeSet::new(), vec![function]);
    while let Some(function) = left.pop() {
        if !seen.insert(function) {
            continue;
        }
        let path = format!("{}", Path(function));
        if PANICS.iter().any(|panic| path.starts_with(panic)) {
            continue;
        }
        if ftrace::find_site(function).is_some_and(|site| site.function() == function) {
            traced.push(path);
        }
        let size = symbols::size_at(function).unwrap_or(0);
        for at in (function..function + size).step_by(4) {
            let target = insn::branch_target(at, text::read(at)).map(|branch| branch.target);
            left.extend(
                target
                    .and_then(symbols::function_at)
                    .map(|callee| callee.address),
            );
        }
    }
    traced
}

crate::selftest! {
    /// Nothing that they call can be traced. What the compiler inlines in one build it
    /// may call in the next.
    fn unguarded_callbacks_call_nothing_traced() {
        for path in UNGUARDED {
            let callback = symbols::find(path).map_err(|error| format!("{error}"))?;
            let traced = traced_callees(callback.address);
            check!(traced.is_empty(), "{path} calls {traced:?}");
        }
        Ok(())
    }

    /// The same look finds what can be traced where something can.
    fn other_functions_call_what_is_traced() {
        let relay = symbols::find("lab::targets::workload").map_err(|error| format!("{error}"))?;
        let traced = traced_callees(relay.address);
        check!(traced.len() > 1, "only {traced:?}");
        Ok(())
    }
}
