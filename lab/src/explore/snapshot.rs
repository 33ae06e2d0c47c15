//! What must be as before when a run is over.

use core::{fmt, time::Duration};
use machine::{arch, mm, text, time};

/// How long giving back memory may take.
const SOON: Duration = Duration::from_millis(200);

/// Code and memory at one moment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Snapshot {
    /// Checksum of the kernel's own code.
    text: u64,
    /// Free bytes of the heap.
    heap: usize,
    /// Bytes of code memory in use.
    code: usize,
    /// Pieces of code that wait to be given back.
    retired: usize,
}

impl Snapshot {
    /// Now.
    pub fn now() -> Self {
        Self {
            text: checksum(),
            heap: mm::usage().free,
            code: mm::code::used(),
            retired: ftrace::retired(),
        }
    }

    /// As soon as it is as `before`, or when others have had the time to give back
    /// what they still had: the thread that ends a transition frees afterwards what the
    /// transition has left behind.
    pub fn after(before: &Self) -> Self {
        let deadline = arch::timebase() + time::timebase_ticks(SOON);
        loop {
            let now = Self::now();
            if now == *before || arch::timebase() > deadline {
                return now;
            }
            thread::yield_now();
        }
    }

    /// Whether nothing but memory differs: a table that has grown, perhaps.
    pub fn has_same_code(&self, other: &Self) -> bool {
        self.text == other.text && self.retired == other.retired
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            text,
            heap,
            code,
            retired,
        } = self;
        write!(
            f,
            "text {text:#018x}, {heap} bytes of heap free, {code} of code memory used, {retired} pieces retired"
        )
    }
}

/// A word more or less, or elsewhere, makes another sum.
fn checksum() -> u64 {
    let text = text::kernel_text();
    let words = (text.end - text.start) as usize / size_of::<u64>();
    let start = text.start as *const u64;
    // SAFETY: the kernel's own code, which the linker script aligns, and which no thread
    // writes to while this runs: all others wait. Volatile, for what was written came
    // past the compiler.
    let word = |place| unsafe { start.add(place).read_volatile() };
    (0..words).fold(0, |sum: u64, place| {
        sum.rotate_left(1).wrapping_add(word(place))
    })
}
