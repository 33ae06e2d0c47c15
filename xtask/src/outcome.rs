//! How a run ended, and the exit code that says so.

use report::Verdict;
use std::fmt;
use std::time::Duration;

/// Exit code when QEMU was not even started.
pub const NOT_STARTED: u8 = 120;

/// The exit codes of `run` and `exec` and the environment, for `--help`.
pub const EXIT_CODES: &str = "Exit codes of run and exec:
  0    the guest did what was asked for, and every check held; or ^] ended it
  1    a check or self-test in the guest failed
  2    the guest did not accept a boot argument
  3    the guest panicked
  4    the guest met an unexpected trap
  5    a stack of the guest overflowed
  6    a fault struck the guest while it reported another
  7    the guest lacks something of the machine
  120  QEMU was not started: wrong options here, or the kernel did not build
  123  the guest gave its verdict, but the machine did not power off
  124  the guest was silent for too long, or took too long in all, without a verdict
  125  QEMU failed
  126  QEMU ended, or went on, without a verdict as the guest's last line

Environment: QEMU and GDB name other programs than qemu-system-ppc64 and
gdb-multiarch, CROSS_COMPILE the prefix of the cross tools.";

/// How a run of QEMU ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// The guest gave its verdict, with this status, and powered off.
    Guest(u8),
    /// The guest gave no sign of life for so long, and no verdict before.
    Silent {
        /// How long a silence may be.
        limit: Duration,
    },
    /// The time limit was reached before the guest gave a verdict.
    TimedOut {
        /// The limit.
        limit: Duration,
    },
    /// The user at the console ended QEMU.
    EndedByHand,
    /// QEMU ended well, but the guest's last line is no verdict.
    NoVerdict,
    /// QEMU ended with a failure of its own.
    Qemu {
        /// Its exit status or signal, in words.
        how: String,
        /// What it printed on standard error.
        stderr: String,
    },
    /// The guest gave its verdict, with this status, and QEMU went on running.
    DidNotPowerOff(u8),
}

impl Outcome {
    /// Whether the guest said that all is well, and nothing else went wrong.
    #[must_use]
    pub fn passed(&self) -> bool {
        *self == Outcome::Guest(Verdict::Passed.status())
    }

    /// The exit code for this outcome; see [`EXIT_CODES`].
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Outcome::Guest(status) => *status,
            Outcome::EndedByHand => 0,
            Outcome::DidNotPowerOff(_) => 123,
            Outcome::Silent { .. } | Outcome::TimedOut { .. } => 124,
            Outcome::Qemu { .. } => 125,
            Outcome::NoVerdict => 126,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Guest(status) => write!(f, "{} (status {status})", words(*status)),
            Outcome::Silent { limit } => {
                let seconds = limit.as_secs_f64();
                write!(
                    f,
                    "no verdict: the guest printed and reported nothing for {seconds} s"
                )
            }
            Outcome::TimedOut { limit } => {
                write!(
                    f,
                    "no verdict within the time limit of {} s",
                    limit.as_secs_f64()
                )
            }
            Outcome::EndedByHand => f.write_str("ended by ^]"),
            Outcome::NoVerdict => f.write_str("the guest's last line is not a verdict"),
            Outcome::Qemu { how, stderr } => {
                write!(f, "QEMU failed with {how}")?;
                match stderr.trim() {
                    "" => Ok(()),
                    said => write!(f, ": {said}"),
                }
            }
            Outcome::DidNotPowerOff(status) => {
                write!(
                    f,
                    "{} (status {status}), but the machine did not power off",
                    words(*status)
                )
            }
        }
    }
}

fn words(status: u8) -> &'static str {
    match status {
        s if s == Verdict::Passed.status() => "the guest passed",
        s if s == Verdict::ChecksFailed.status() => "a check in the guest failed",
        s if s == Verdict::BadArgument.status() => "the guest did not accept a boot argument",
        s if s == Verdict::Panicked.status() => "the guest panicked",
        s if s == Verdict::UnexpectedTrap.status() => "the guest met an unexpected trap",
        s if s == Verdict::StackOverflow.status() => "a stack of the guest overflowed",
        s if s == Verdict::FaultInFault.status() => "a fault struck the guest in a fault report",
        s if s == Verdict::BadPlatform.status() => "the guest lacks something of the machine",
        _ => "the guest gave an unknown verdict",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_are_the_documented_ones_and_differ() {
        let outcomes = [
            Outcome::Guest(0),
            Outcome::Guest(7),
            Outcome::DidNotPowerOff(0),
            Outcome::Silent {
                limit: Duration::from_secs(1),
            },
            Outcome::TimedOut {
                limit: Duration::from_secs(1),
            },
            Outcome::Qemu {
                how: String::new(),
                stderr: String::new(),
            },
            Outcome::NoVerdict,
            Outcome::EndedByHand,
        ];
        let codes = outcomes.map(|outcome| outcome.exit_code());
        assert_eq!(codes, [0, 7, 123, 124, 124, 125, 126, 0]);
        for code in codes.into_iter().chain([NOT_STARTED]) {
            assert!(
                EXIT_CODES.contains(&format!("\n  {code} ")),
                "{code} is not documented"
            );
        }
    }

    #[test]
    fn only_a_clean_pass_has_passed() {
        assert!(Outcome::Guest(0).passed());
        assert!(!Outcome::Guest(1).passed());
        assert!(!Outcome::DidNotPowerOff(0).passed());
        assert!(!Outcome::NoVerdict.passed());
        assert!(!Outcome::EndedByHand.passed());
    }

    #[test]
    fn a_failed_qemu_is_quoted() {
        let outcome = Outcome::Qemu {
            how: "exit status: 1".into(),
            stderr: "no memory\n".into(),
        };
        assert_eq!(
            outcome.to_string(),
            "QEMU failed with exit status: 1: no memory"
        );
    }
}
