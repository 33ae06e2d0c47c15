//! The order.

/// Locks of one rank. None of them is taken while another of them is held, or one of a row
/// below.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// What they are called: a crate and a lock of it.
    pub locks: &'static [&'static str],
    /// What they order.
    pub orders: &'static str,
    /// Whether two of one class may be held at once.
    pub nests: bool,
}

const fn row(locks: &'static [&'static str], orders: &'static str) -> Row {
    Row {
        locks,
        orders,
        nests: false,
    }
}

/// All locks of the kernel, those first that are taken first.
///
/// The first four are for threads, which hold them over waits; the others keep interrupts off.
pub const ORDER: &[Row] = &[
    row(&["loader::CHANGE"], "modules that come and go"),
    row(&["livepatch::Lock"], "changes of patches"),
    row(&["tracing::STATE"], "changes of tracers"),
    row(&["machine::CALLER"], "calls that one CPU makes for another"),
    row(
        &[
            "shell::BYTES",
            "shell::MEMBERS",
            "shell::Call",
            "demo::SEEN",
        ],
        "what they hold",
    ),
    row(
        &["livepatch::PENDING"],
        "what a transition wants, and each switch by it",
    ),
    row(&["livepatch::REGISTRY"], "patches and patched functions"),
    row(
        &[
            "livepatch::Registered",
            "livepatch::CURRENT",
            "livepatch::WORKER",
            "livepatch::VARIABLES",
            "livepatch::FAULTED",
        ],
        "a settled stub, the variant, the worker, shadow variables, faults",
    ),
    row(&["loader::LOADED", "tracing::GONE"], "lists of modules"),
    row(&["ftrace::REGISTRY"], "ops, and the sets of all sites"),
    row(
        &["ftrace::SITES", "ftrace::RETIRED"],
        "the table of sites, code that waits to be freed",
    ),
    row(
        &["thread::WaitQueue", "thread::found"],
        "threads that wait, what another CPU has found",
    ),
    Row {
        nests: true,
        ..row(
            &["thread::Place"],
            "a thread's place in a queue, under that queue's lock",
        )
    },
    row(
        &["thread::SCHEDULER"],
        "which thread is in which state, and where",
    ),
    row(&["machine::WRITER"], "words of code"),
    row(&["machine::SYMBOLS"], "symbols of modules"),
    row(
        &[
            "machine::HEAP",
            "machine::STACKS",
            "machine::CODE",
            "machine::MODULES",
            "machine::FAR_CODE",
        ],
        "free memory",
    ),
    row(&["machine::LOG"], "lines that were logged"),
    row(&["machine::CONSOLE", "machine::REPORT"], "the terminals"),
];

/// How many classes have a name.
pub const NAMED: usize = {
    let (mut count, mut row) = (0, 0);
    while row < ORDER.len() {
        count += ORDER[row].locks.len();
        row += 1;
    }
    count
};

/// All classes with a name: their rows and names, by number.
fn named() -> impl Iterator<Item = (usize, &'static str)> {
    let rows = ORDER.iter().enumerate();
    rows.flat_map(|(row, of)| of.locks.iter().map(move |name| (row, *name)))
}

/// The number of the class with a name.
#[must_use]
pub fn number_of(name: &str) -> Option<u8> {
    let place = named().position(|(_, one)| one == name)?;
    u8::try_from(place).ok()
}

/// The name of the class with a number, if it has one.
#[must_use]
pub fn name_of(number: u8) -> Option<&'static str> {
    named().nth(number.into()).map(|(_, name)| name)
}

/// The row of the class with a number.
pub(crate) fn row_of(number: u8) -> Option<usize> {
    named().nth(number.into()).map(|(row, _)| row)
}
