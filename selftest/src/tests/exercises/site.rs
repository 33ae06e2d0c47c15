//! Exercise 2: which words of the kernel a patch changes. Measured here; the runner
//! compares that with the reader's answers.

use super::{EARLIER, enable, isolated, remove};
use crate::check;
use alloc::{format, string::ToString, vec::Vec};
use machine::{console, symbols, text};
use report::Record;

/// The function that [`EARLIER`] replaces.
const FUNCTION: &str = "demo::bank::balance";

/// All words of the kernel's text.
fn words() -> Vec<u32> {
    let range = text::kernel_text();
    (range.start..range.end)
        .step_by(4)
        .map(text::read)
        .collect()
}

fn tell(name: &str, unit: &str, value: u64) {
    console::report(&Record::Measure { name, unit, value });
}

crate::selftest! {
    control;

    /// Counts words.
    fn counts_words() {
        isolated(|| {
            let function = symbols::find(FUNCTION).map_err(|error| error.to_string())?;
            let before = words();
            enable(EARLIER)?;
            let after = words();
            let (start, end) = livepatch::way_of(function.address).ok_or("there is no settled stub")?;
            remove(EARLIER)?;
            check!(words() == before, "the kernel's text is not as before");
            let base = text::kernel_text().start;
            let changed: Vec<u64> = (0u64..)
                .zip(before.iter().zip(&after))
                .filter(|(_, (before, after))| before != after)
                .map(|(index, _)| base + 4 * index)
                .collect();
            let inside = |address: &&u64| (function.address..function.address + function.size).contains(*address);
            let first = changed.iter().find(inside).ok_or_else(|| format!("no word of {FUNCTION} has changed"))?;
            tell("site.word", "words", (first - function.address) / 4);
            tell("site.changed", "words", changed.len() as u64);
            tell("site.stub", "instructions", (end - start) / 4);
            Ok(())
        })
    }
}
