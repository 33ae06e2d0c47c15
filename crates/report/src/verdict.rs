//! The verdict and its line on the console.

use core::fmt;

/// How a run of the kernel ended. The discriminant is the `n` of
/// `EXIT: STATUS=n`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Verdict {
    /// Everything that was asked for was done, and every check held.
    Passed = 0,
    /// At least one check or self-test failed.
    ChecksFailed = 1,
    /// A boot argument was unknown or malformed; nothing was run.
    BadArgument = 2,
    /// The kernel panicked.
    Panicked = 3,
    /// An interrupt arrived that nothing had asked for.
    UnexpectedTrap = 4,
    /// A stack has run into its guard, or r1 pointed outside its stack.
    StackOverflow = 5,
    /// A fault struck while another one was being reported.
    FaultInFault = 6,
    /// The firmware or the device tree lacks something the kernel needs.
    BadPlatform = 7,
}

impl Verdict {
    /// The number behind `STATUS=`.
    #[must_use]
    pub const fn status(self) -> u8 {
        self as u8
    }
}

impl fmt::Display for Verdict {
    /// Writes the verdict line, without its line break.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EXIT: STATUS={}", self.status())
    }
}

/// The status that a console transcript ends with.
///
/// Only the last line that is not blank counts: a kernel that goes on printing
/// after its verdict has not ended the way it should have.
#[must_use]
pub fn find_status(transcript: &str) -> Option<u8> {
    let last = transcript
        .lines()
        .rev()
        .find(|line| !line.trim().is_empty())?;
    last.trim_end().strip_prefix("EXIT: STATUS=")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    #[test]
    fn a_verdict_reads_back_as_its_status() {
        let line = format!("hello\n{}\r\n\r\n", Verdict::UnexpectedTrap);
        assert_eq!(find_status(&line), Some(4));
    }

    #[test]
    fn only_the_last_line_is_a_verdict() {
        assert_eq!(find_status("EXIT: STATUS=0\nand on it goes\n"), None);
        assert_eq!(find_status("  EXIT: STATUS=0\n"), None);
        assert_eq!(find_status("EXIT: STATUS=0x1\n"), None);
        assert_eq!(find_status("EXIT: STATUS=256\n"), None);
        assert_eq!(find_status(""), None);
    }
}
