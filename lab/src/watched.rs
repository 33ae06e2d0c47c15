//! Calls that the ABI sanitiser makes, in a trial.

use super::fixtures::{Finding, ensure, trial};
use crate::instruments::sanitiser::{Deviation, SanitisedCall, What, kernel_toc};
use alloc::{string::String, vec::Vec};
use core::fmt::Write;

/// How the caller reaches the function.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum By {
    /// Locally: it minds its r2 neither before nor after.
    Local,
    /// Through a pointer: it has saved its r2 at 24(r1), and takes it back from there.
    Pointer,
}

/// A call to be made.
#[derive(Clone, Debug)]
pub struct Call {
    function: u64,
    toc: u64,
    by: By,
    arguments: Vec<u64>,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// r3 and r4.
    pub results: [u64; 2],
    /// The caller's r2 when it goes on.
    toc: u64,
    expected_toc: u64,
    deviations: Vec<Deviation>,
}

impl Call {
    /// A local call of a function of the kernel's, by its global entry.
    pub fn new(function: u64, arguments: &[u64]) -> Self {
        Self {
            function,
            toc: kernel_toc(),
            by: By::Local,
            arguments: arguments.into(),
        }
    }

    /// By another way.
    pub fn by(mut self, by: By) -> Self {
        self.by = by;
        self
    }

    /// By a caller with another TOC.
    pub fn with_toc(mut self, toc: u64) -> Self {
        self.toc = toc;
        self
    }

    /// Makes it, in the running thread.
    pub fn make(&self) -> Seen {
        let new = match self.by {
            By::Local => SanitisedCall::local,
            By::Pointer => SanitisedCall::through_pointer,
        };
        let mut call = new(self.function, self.toc, &self.arguments);
        // SAFETY: the cases pass what their functions take, with a TOC that the
        // function has or does not need.
        unsafe { call.make() };
        let mut deviations = Vec::new();
        call.deviations(|one| deviations.push(one));
        Seen {
            results: call.results(),
            toc: match self.by {
                By::Local => call.toc_after(),
                By::Pointer => call.toc_saved(),
            },
            expected_toc: self.toc,
            deviations,
        }
    }

    /// Makes it in a trial.
    ///
    /// # Errors
    /// When it does not return.
    pub fn run(&self) -> Result<Seen, Finding> {
        let call = self.clone();
        Ok(trial(move || call.make())?)
    }
}

impl Seen {
    /// Whether r3 is this.
    ///
    /// # Errors
    /// What it is instead.
    pub fn returned(&self, expected: u64) -> Result<(), Finding> {
        let found = self.results[0];
        ensure!(found == expected, "returned {found} instead of {expected}");
        Ok(())
    }

    /// Whether the caller goes on with its own r2.
    ///
    /// # Errors
    /// What it has instead.
    pub fn kept_toc(&self) -> Result<(), Finding> {
        let (found, expected) = (self.toc, self.expected_toc);
        ensure!(
            found == expected,
            "r2 is {found:#x} instead of {expected:#x}"
        );
        Ok(())
    }

    /// Whether nothing of this kind deviates.
    ///
    /// # Errors
    /// What does.
    pub fn kept(&self, is_asked: impl Fn(What) -> bool) -> Result<(), Finding> {
        let mut text = String::new();
        for one in self.deviations.iter().filter(|one| is_asked(one.what)) {
            let comma = if text.is_empty() { "" } else { ", " };
            // Text grows as it must.
            let _ = write!(text, "{comma}{one}");
        }
        ensure!(text.is_empty(), "{text}");
        Ok(())
    }
}
