//! Which part of a patched call an instruction belongs to.

use super::{super::Problem, path::Path};
use alloc::format;
use klp::Convention;
use livepatch::variants::Variant;

/// A part of a patched call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Part {
    /// The two words at the start of the old function.
    Site,
    /// The settled stub, up to the hand-off.
    Trampoline,
    /// The hand-off.
    HandOff,
    /// What opens and closes the new function's frame, and its own site.
    Prologue,
    /// What gives the caller its r2 and its return address back: in the new function,
    /// or in the code that this returns to.
    ReturnConvention,
    /// The old function behind its site.
    Body,
}

impl Part {
    /// The parts of a settled call, in their order.
    pub const ALL: [Self; 5] = [
        Self::Site,
        Self::Trampoline,
        Self::HandOff,
        Self::Prologue,
        Self::ReturnConvention,
    ];

    /// What it is called as a measure.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Site => "site",
            Self::Trampoline => "trampoline",
            Self::HandOff => "handoff",
            Self::Prologue => "prologue",
            Self::ReturnConvention => "return_convention",
            Self::Body => "body",
        }
    }
}

/// Bytes of a site.
const SITE: u64 = 8;

/// Instructions of the return convention in a new function; `klp::epilogue!` writes
/// them.
fn convention(of: Convention) -> Option<[u32; 4]> {
    match of {
        Convention::Plain => None,
        Convention::AsPosted => Some(livepatch::restore(0)),
        Convention::Epilogue | Convention::Pcrel => Some(livepatch::restore(11)),
    }
}

/// Where the parts of a settled call lie.
#[derive(Debug)]
pub(super) struct Ground {
    function: u64,
    /// The settled stub, and where in it the hand-off begins.
    stub: (u64, u64),
    hand_off: u64,
    /// The return convention in the new function, if it has one.
    convention: (u64, u64),
}

impl Ground {
    /// That of `function` with a settled stub; its calls take a path.
    ///
    /// # Errors
    /// When the new function lacks its return convention.
    pub fn new(
        variant: &Variant,
        function: u64,
        stub: (u64, u64),
        path: &Path,
    ) -> Result<Self, Problem> {
        let hand_off = 4 * (variant.hand_off)().len() as u64;
        let mut ground = Self {
            function,
            stub,
            hand_off: stub.1 - hand_off,
            convention: (0, 0),
        };
        if let Some(words) = convention(variant.convention) {
            let mut windows = path.stops.windows(words.len());
            let found = windows.find(|stops| stops.iter().map(|stop| stop.word).eq(words));
            let found = found.ok_or_else(|| {
                format!(
                    "the new function does not follow the convention `{}`",
                    variant.convention.name()
                )
            })?;
            let start = found[0].address;
            ground.convention = (start, start + 4 * words.len() as u64);
        }
        Ok(ground)
    }

    /// That of an unpatched function.
    pub const fn unpatched(function: u64) -> Self {
        Self {
            function,
            stub: (0, 0),
            hand_off: 0,
            convention: (0, 0),
        }
    }

    /// The part that the instruction at an address belongs to.
    pub fn part(&self, address: u64) -> Part {
        let within = |(start, end)| start <= address && address < end;
        if within((self.function, self.function + SITE)) {
            Part::Site
        } else if within(self.stub) {
            if address < self.hand_off {
                Part::Trampoline
            } else {
                Part::HandOff
            }
        } else if within(self.convention) {
            Part::ReturnConvention
        } else if loader::is_code(address) {
            Part::Prologue
        } else if self.stub.0 == 0 {
            Part::Body
        } else {
            // In the kernel there is nothing else behind a settled call's site.
            Part::ReturnConvention
        }
    }

    /// How many instructions of a path belong to a part.
    pub fn count(&self, path: &Path, part: Part) -> u64 {
        let stops = path.stops.iter();
        stops.filter(|stop| self.part(stop.address) == part).count() as u64
    }

    /// Bytes of code that there are for each patched function alone.
    pub const fn code_bytes(&self) -> u64 {
        self.stub.1 - self.stub.0 + self.convention.1 - self.convention.0
    }
}
