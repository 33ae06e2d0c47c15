//! What can be told of the parts of the way only when the call is over.

use super::{stepper::Stepped, stop::Part};
use core::ops::Range;
use livepatch::variants;
use machine::text;

impl Stepped {
    /// Tells the stub from the trampoline, the hand-off from what is before it, and the
    /// return convention from the rest of C. `stub` is the settled stub, if there is one.
    pub fn name_parts(&mut self, stub: Option<Range<u64>>) {
        let is_stub = |address: u64| stub.as_ref().is_some_and(|stub| stub.contains(&address));
        let entered = self
            .stops
            .iter()
            .position(|stop| stop.part == Part::Replacement);
        let hand_off = entered.and_then(|index| self.stops.get(index.checked_sub(1)?));
        let hand_off = hand_off.map_or(0..0, |last| {
            let words = (variants::current().hand_off)().len() as u64;
            last.address + 4 - 4 * words..last.address + 4
        });
        for stop in &mut self.stops {
            stop.part = match stop.part {
                Part::Trampoline if hand_off.contains(&stop.address) => Part::HandOff,
                Part::Trampoline if is_stub(stop.address) => Part::Stub,
                Part::Replacement if restores(stop.address) => Part::Convention,
                other => other,
            };
        }
    }
}

/// Whether an address is in the four instructions of `klp::epilogue!`, whatever their
/// base is.
fn restores(address: u64) -> bool {
    (0..4).any(|index| {
        let start = address - 4 * index;
        let words = [0, 4, 8, 12].map(|offset| text::read(start + offset));
        let base = words[1] >> 16 & 31;
        words == livepatch::restore(base)
    })
}
