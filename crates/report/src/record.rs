//! The records of the report channel: one JSON object a line.

use core::fmt;
use serde::Serialize;

/// How a self-test ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It ran and every check in it held.
    Pass,
    /// It ran and a check in it did not hold.
    Fail,
    /// It does not apply to this machine.
    Skip,
}

/// How a variant does in a conformance case.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Judgement {
    /// What the case asks for was found.
    Pass,
    /// Something else was found.
    Fail,
    /// The kernel did not let it come to that.
    Refused,
    /// The case asks for something that makes no sense here, or that this machine
    /// does not have.
    NotApplicable,
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Refused => "refused",
            Self::NotApplicable => "n/a",
        })
    }
}

/// What an instruction has changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct StepChange<'a> {
    /// A register, or a place in the save area of the caller's frame: `r11`, `LR`,
    /// `12(r1) of A`.
    pub place: &'a str,
    /// What it held before, in hexadecimal.
    pub before: &'a str,
    /// What it holds now.
    pub after: &'a str,
}

/// One line of the report channel. `event` names the variant, in snake case.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Record<'a> {
    /// What the kernel found out about the machine.
    Boot {
        /// Name of the processor node in the device tree.
        cpu: &'a str,
        /// How the kernel was entered: `open-firmware` or `flat-tree`.
        entry: &'a str,
        /// Endianness at the entry point: `big` or `little`.
        endian: &'a str,
        /// All memory of the machine, in bytes.
        memory_bytes: u64,
        /// Timebase frequency in hertz.
        timebase_hz: u64,
        /// Number of processors that the tree lists.
        cpus: u32,
        /// How many of them run the kernel.
        cpus_up: u32,
        /// Number of symbols in the kernel's table.
        symbols: u32,
        /// What translates addresses: `radix`, `hash` or `off`.
        mmu: &'a str,
    },
    /// Memory that is used for one thing.
    Area {
        /// For what.
        name: &'a str,
        /// Its first address.
        start: u64,
        /// The first one behind it.
        end: u64,
        /// What its pages allow: `R-X`, `R--` or `RW-`; `---` where they come and go.
        access: &'a str,
    },
    /// One self-test has ended.
    Test {
        /// The test's path.
        name: &'a str,
        /// How it ended.
        outcome: Outcome,
        /// Why, where it did not pass; else empty.
        message: &'a str,
        /// How long it took, in timebase ticks.
        ticks: u64,
    },
    /// Something was measured.
    Measure {
        /// What.
        name: &'a str,
        /// In which unit.
        unit: &'a str,
        /// How much.
        value: u64,
    },
    /// A long run has come so far. The runner takes it for a sign of life.
    Progress {
        /// What is done now.
        what: &'a str,
        /// How much is done.
        done: u32,
        /// Of how much in all; 0 if that is not known.
        of: u32,
    },
    /// What something costs with a variant.
    Cost {
        /// The variant.
        variant: &'a str,
        /// What was measured.
        measure: &'a str,
        /// In which unit.
        unit: &'a str,
        /// How much.
        value: u64,
        /// The most that it may be, if there is a limit.
        limit: Option<u64>,
    },
    /// An instruction of a patched call, in the order in which they are executed.
    Path {
        /// The variant.
        variant: &'a str,
        /// To which part of the call it belongs.
        part: &'a str,
        /// Where it is.
        address: u64,
        /// What it is.
        word: u32,
    },
    /// A transition of a live patch has begun, or goes the other way round from
    /// now on.
    Transition {
        /// The transition's number.
        number: u64,
        /// The patch.
        patch: &'a str,
        /// What it was started for: `enable` or `disable`.
        direction: &'a str,
        /// Whether threads go back.
        reversed: bool,
        /// When, in timebase ticks.
        time: u64,
    },
    /// A thread has switched.
    Switch {
        /// The transition's number.
        number: u64,
        /// The thread's number.
        thread: u32,
        /// Its name.
        name: &'a str,
        /// The CPU that it runs on, or ran on last.
        cpu: u32,
        /// How: `safe_point`, `asleep`, `itself` or `forced`.
        how: &'a str,
        /// When, in timebase ticks.
        time: u64,
    },
    /// A thread was seen to block the transition.
    Blocked {
        /// The thread's number.
        thread: u32,
        /// Its name.
        name: &'a str,
        /// Why it can't switch, in words.
        reason: &'a str,
        /// The function that it is inside of, if that is why; else empty.
        function: &'a str,
        /// When, in timebase ticks.
        time: u64,
    },
    /// A transition has ended: all threads have switched, or back.
    TransitionEnd {
        /// The transition's number.
        number: u64,
        /// The patch.
        patch: &'a str,
        /// Whether it is enabled now.
        enabled: bool,
        /// When, in timebase ticks.
        time: u64,
    },
    /// A variant was judged by a conformance case.
    Cell {
        /// The variant.
        variant: &'a str,
        /// The case.
        case: &'a str,
        /// What the variant declares about itself.
        expected: Judgement,
        /// What was found.
        observed: Judgement,
        /// Why it is expected, if it is not a pass, and what was found.
        reason: &'a str,
    },
    /// A patched call was disturbed at all its instructions, in one situation.
    Explored {
        /// The variant, or the control.
        variant: &'a str,
        /// The situation.
        situation: &'a str,
        /// Instructions from the call to its return.
        stops: u32,
        /// Those of them where interrupts are off.
        masked: u32,
        /// How many different things happened at each.
        disturbances: u32,
        /// How many calls that makes.
        runs: u32,
        /// In how many of them what another CPU did had to wait for the call to go on.
        waited: u32,
        /// What was wrong.
        findings: u32,
    },
    /// An instruction of a stepped call.
    Step {
        /// The variant.
        variant: &'a str,
        /// The function that was called.
        function: &'a str,
        /// How calls of it go: `settled`, `transition`, `traced`, `rest`, `as-is`.
        way: &'a str,
        /// Which line of the call it is, from 1.
        number: u32,
        /// Which part of the way: `caller`, `site`, `stub`, `trampoline`, `callback`,
        /// `hand-off`, `function` (the old one), `replacement`, `callee` (of either),
        /// `return convention`, `home`.
        part: &'a str,
        /// How many instructions the line stands for: 1, or all of a callback or a
        /// callee. None for `home`, which is not executed any more.
        count: u32,
        /// Where it is, or where the first of them is.
        address: u64,
        /// The same as symbol and offset, or as part and offset.
        symbol: &'a str,
        /// The instruction in words, or what was folded.
        text: &'a str,
        /// What it has changed.
        changes: &'a [StepChange<'a>],
        /// What that means.
        meaning: &'a str,
        /// This is where it goes wrong.
        wrong: bool,
    },
    /// A stepped call has ended. Its steps came before.
    Stepped {
        /// The variant.
        variant: &'a str,
        /// The function that was called.
        function: &'a str,
        /// How calls of it go.
        way: &'a str,
        /// Instructions from the call to its return.
        instructions: u32,
        /// What it returned, r3, in hexadecimal.
        result: &'a str,
        /// What the caller may rely on and does not find; empty if all is in order.
        findings: &'a str,
    },
    /// All self-tests have ended.
    Summary {
        /// How many passed.
        passed: u32,
        /// How many failed.
        failed: u32,
        /// How many do not apply here.
        skipped: u32,
    },
    /// The last record: the same number as on the console.
    Exit {
        /// The status of the verdict.
        status: u8,
    },
}

/// A record did not fit the line buffer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct WriteError {
    /// Size of the buffer, in bytes.
    pub capacity: usize,
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "report record is longer than {} bytes", self.capacity)
    }
}

impl Record<'_> {
    /// Writes the record and a line break to `line`, without allocating.
    ///
    /// # Errors
    /// [`WriteError`] when `line` is too short; its content is then undefined.
    pub fn write<'b>(&self, line: &'b mut [u8]) -> Result<&'b [u8], WriteError> {
        let error = WriteError {
            capacity: line.len(),
        };
        let used = serde_json_core::to_slice(self, line).map_err(|_| error)?;
        *line.get_mut(used).ok_or(error)? = b'\n';
        Ok(&line[..=used])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_one_line_of_json() {
        let record = Record::Test {
            name: "heap::torture",
            outcome: Outcome::Fail,
            message: "got \"1\"\n\\",
            ticks: 7,
        };
        let mut line = [0; 200];
        let written = record.write(&mut line).unwrap();
        assert_eq!(written.last(), Some(&b'\n'));
        assert_eq!(written.iter().filter(|&&b| b == b'\n').count(), 1);
        let value: serde_json::Value = serde_json::from_slice(written).unwrap();
        assert_eq!(value["event"], "test");
        assert_eq!(value["outcome"], "fail");
        assert_eq!(value["message"], "got \"1\"\n\\");
    }

    #[test]
    fn records_are_named_in_snake_case() {
        let record = Record::TransitionEnd {
            number: 3,
            patch: "fix",
            enabled: true,
            time: u64::MAX,
        };
        let mut line = [0; 200];
        let written = record.write(&mut line).unwrap();
        let value: serde_json::Value = serde_json::from_slice(written).unwrap();
        assert_eq!(value["event"], "transition_end");
        assert_eq!(value["time"], u64::MAX);
    }

    #[test]
    fn judgements_are_words() {
        let record = Record::Cell {
            variant: "epilogue",
            case: "r2-local-c",
            expected: Judgement::Pass,
            observed: Judgement::NotApplicable,
            reason: "",
        };
        let mut line = [0; 200];
        let written = record.write(&mut line).unwrap();
        let value: serde_json::Value = serde_json::from_slice(written).unwrap();
        assert_eq!(value["event"], "cell");
        assert_eq!(value["expected"], "pass");
        assert_eq!(value["observed"], "not_applicable");
    }

    #[test]
    fn steps_have_their_changes() {
        let record = Record::Step {
            variant: "epilogue",
            function: "leaf",
            way: "settled",
            number: 7,
            part: "hand-off",
            count: 1,
            address: 0x10_0000,
            symbol: "stub+0xc",
            text: "subf r11, r0, r2",
            changes: &[StepChange {
                place: "r11",
                before: "0x0",
                after: "0x7f",
            }],
            meaning: "r11 = TOC - LR of A",
            wrong: false,
        };
        let mut line = [0; 400];
        let written = record.write(&mut line).unwrap();
        let value: serde_json::Value = serde_json::from_slice(written).unwrap();
        assert_eq!(value["event"], "step");
        assert_eq!(value["changes"][0]["after"], "0x7f");
    }

    #[test]
    fn a_short_buffer_is_an_error() {
        let mut line = [0; 12];
        assert_eq!(
            Record::Exit { status: 0 }.write(&mut line),
            Err(WriteError { capacity: 12 })
        );
    }
}
