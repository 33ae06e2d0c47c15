//! Changes of sites that take force together. What can be changed is in `registry`.

use super::{FtraceError, retired};
use alloc::vec::Vec;
use machine::{
    arch, cpus,
    mm::code::CodeBlock,
    text::{self, Change},
};

/// Changes of sites, made one by one. Until it is [settled](Self::settle), or dropped, other CPUs may
/// run the sites as they were before, and the code that those have led to stays.
///
/// To wait for the other CPUs takes as long for one site as for all of them.
#[derive(Debug, Default)]
pub struct Batch {
    /// The addresses of the words that were written.
    words: Vec<u64>,
    /// Code to which no site leads any more.
    left: Vec<CodeBlock>,
}

impl Batch {
    /// Takes code to which a site of this batch has led, to be [retired](retired::retire).
    pub fn leave(&mut self, code: impl IntoIterator<Item = CodeBlock>) {
        self.left.extend(code);
    }

    /// Writes sites, by address.
    ///
    /// # Errors
    /// When a word can't be written, or there is no memory; nothing has changed then.
    ///
    /// # Safety
    /// As [`text::apply`].
    pub(super) unsafe fn write(&mut self, changes: &[Change]) -> Result<(), FtraceError> {
        let others = cpus::count() > 1;
        if others {
            self.words.try_reserve(changes.len())?;
        }
        // SAFETY: the caller's promise.
        unsafe { text::apply(changes) }.map_err(FtraceError::Text)?;
        if others {
            let words = changes.iter().map(|change| change.address);
            self.words.extend(words);
        }
        Ok(())
    }

    /// Waits until every CPU runs the sites as they are, and retires what they have led to.
    /// Where interrupts are off it can't wait: other CPUs see the change sooner or later then.
    pub fn settle(&mut self) {
        // What is left is retired when no CPU can enter it anew: the wait is long enough for that,
        // and where there is none, `reclaim` waits.
        let moment = cpus::now();
        if !self.words.is_empty() && arch::interrupts_are_on() {
            text::sync(&self.words);
        }
        self.words.clear();
        for code in self.left.drain(..) {
            retired::retire_since(code, moment);
        }
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.settle();
    }
}
