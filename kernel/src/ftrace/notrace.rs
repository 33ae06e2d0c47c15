//! What must not be traced, and why. This is the one list.

/// Globs over paths, each with its reason. A function that one of them names
/// keeps the compiler's nops for good.
pub const NOTRACE: &[(&str, &str)] = &[
    ("boot*", "runs before there is a trampoline"),
    ("kernel_main", "runs before there is a trampoline"),
    ("kernel::start*", "runs before there is a trampoline"),
    (
        "kernel::arch::*",
        "is called with half of the state saved, or by every callback",
    ),
    (
        "<kernel::arch::*",
        "is called with half of the state saved, or by every callback",
    ),
    (
        "kernel::interrupt::*",
        "runs before the guard of what it interrupted is put aside",
    ),
    (
        "kernel::stack::*",
        "checks r1 before anything else of an interrupt is looked at",
    ),
    (
        "*kernel::backtrace::*",
        "reads the stacks that a traced call would change",
    ),
    ("*kernel::fault::*", "must work when nothing else does"),
    ("*kernel::isolation::*", "must work when nothing else does"),
    ("*kernel::instruments::*", "measures and watches calls"),
    (
        "kernel::symbols::*",
        "names what is being traced, from inside a report",
    ),
    ("kernel::bench::*", "would measure itself"),
    ("__rustc::*", "is the way into a panic"),
    ("kernel::text::*", "writes the code"),
    ("<kernel::text::*", "writes the code"),
    ("textplan::*", "checks what is about to be written"),
    (
        "ppc64::insn::*",
        "makes the words that are about to be written",
    ),
    ("kernel::ftrace::*", "is the tracer"),
    ("<kernel::ftrace::*", "is the tracer"),
    ("<ring::*", "is the tracer's store"),
    ("ring::*", "is the tracer's store"),
    ("kernel::tracing::*", "is the tracer"),
    ("*kernel::tracing::*", "is the tracer"),
];

/// Whether the list names a function.
#[must_use]
pub fn names(path: &str) -> bool {
    NOTRACE
        .iter()
        .any(|(pattern, _)| glob::matches(pattern, path))
}
