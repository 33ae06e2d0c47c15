//! Changes of sites that take force together.

use super::{FtraceError, Ops, Site, registry, retired};
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
    /// Attaches `ops` to one site.
    ///
    /// # Errors
    /// [`FtraceError`]. On error, nothing has changed.
    pub fn attach(&mut self, ops: &'static Ops, site: &Site) -> Result<(), FtraceError> {
        registry::attach_at(self, ops, site)
    }

    /// Detaches `ops`, which is attached to one site. Until everything
    /// [retired](retired::retire) is gone, its callback may still run or be called.
    ///
    /// # Errors
    /// [`FtraceError`]. On error, nothing has changed.
    pub fn detach(&mut self, ops: &'static Ops, site: &Site) -> Result<(), FtraceError> {
        registry::detach_at(self, ops, site)
    }

    /// Lets the site of `ops`, if it has this ops alone, call `code` and not the
    /// trampoline; or the trampoline again. Threads already executing the old target
    /// finish in it.
    ///
    /// # Errors
    /// [`FtraceError`]. On error, nothing has changed.
    ///
    /// # Safety
    /// `ops` is attached to this site and no other. `code` does what the trampoline with this
    /// ops's callback would do, and stays until no thread can be in it after another
    /// `redirect` or a `detach`: it is [left](Self::leave) to the batch of that.
    pub unsafe fn redirect(
        &mut self,
        ops: &'static Ops,
        site: &Site,
        code: Option<u64>,
    ) -> Result<(), FtraceError> {
        registry::redirect_at(self, ops, site, code)
    }

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
