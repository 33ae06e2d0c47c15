//! What must not be traced, and why. This is the one list.

/// Globs over paths, each with its reason. A function that one of them names
/// keeps the compiler's nops for good.
pub const NOTRACE: &[(&str, &str)] = &[
    ("boot*", "runs before there is a trampoline"),
    ("kernel_main", "runs before there is a trampoline"),
    ("init::*", "runs before there is a trampoline"),
    (
        "machine::arch::*",
        "is called with half of the state saved, or by every callback",
    ),
    (
        "<machine::arch::*",
        "is called with half of the state saved, or by every callback",
    ),
    (
        "thread::interrupt::*",
        "runs before the guard of what it interrupted is put aside",
    ),
    (
        "machine::stack::*",
        "checks r1 before anything else of an interrupt is looked at",
    ),
    (
        "*thread::backtrace::*",
        "reads the stacks that a traced call would change",
    ),
    ("*machine::fault::*", "must work when nothing else does"),
    ("*thread::isolation::*", "must work when nothing else does"),
    ("*lab::instruments::*", "measures and watches calls"),
    (
        "machine::symbols::*",
        "names what is being traced, from inside a report",
    ),
    ("lab::bench::*", "would measure itself"),
    ("__rustc::*", "is the way into a panic"),
    ("machine::text::*", "writes the code"),
    ("<machine::text::*", "writes the code"),
    ("textplan::*", "checks what is about to be written"),
    (
        "ppc64::insn::*",
        "makes the words that are about to be written",
    ),
    ("ftrace::*", "is the tracer"),
    ("<ftrace::*", "is the tracer"),
    ("<ring::*", "is the tracer's store"),
    ("ring::*", "is the tracer's store"),
    ("tracing::*", "is the tracer"),
    ("*<tracing::*", "is the tracer"),
];

/// Why a function must not be traced; none if it may be.
#[must_use]
pub fn reason(path: &str) -> Option<&'static str> {
    let mut list = NOTRACE.iter();
    let named = list.find(|(pattern, _)| glob::matches(pattern, path));
    named.map(|(_, reason)| *reason)
}

/// Whether the list names a function.
#[must_use]
pub fn names(path: &str) -> bool {
    reason(path).is_some()
}
