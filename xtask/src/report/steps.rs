//! A stepped call, from the file that `step` writes.

use super::schema;
use anyhow::{Result, ensure};
use serde::Deserialize;
use serde_json::Value;

/// A call, instruction by instruction.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// Its lines, in their order.
    pub steps: Vec<Step>,
    /// How calls in it have ended, as far as the file says so.
    pub ends: Vec<End>,
}

/// How a call has ended.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct End {
    /// The variant.
    pub variant: String,
    /// The function that was called.
    pub function: String,
    /// How calls of it go.
    pub way: String,
    /// Instructions from the call to its return.
    pub instructions: u32,
    /// What it returned, in hexadecimal.
    pub result: String,
    /// What the caller may rely on and does not find; empty if all is in order.
    pub findings: String,
}

/// A line: an instruction, or some that were folded.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Step {
    /// The variant.
    pub variant: String,
    /// The function that was called.
    pub function: String,
    /// How calls of it go.
    pub way: String,
    /// Which line it is, from 1.
    pub number: u32,
    /// Which part of the way.
    pub part: String,
    /// How many instructions it stands for.
    pub count: u32,
    /// Where it is.
    pub address: u64,
    /// The same as symbol and offset.
    pub symbol: String,
    /// The instruction, or what was folded.
    pub text: String,
    /// What it has changed.
    pub changes: Vec<Change>,
    /// What that means.
    pub meaning: String,
    /// This is where it goes wrong.
    #[serde(default)]
    pub wrong: bool,
}

/// What an instruction has changed.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Change {
    /// A register, or a place in the caller's frame.
    pub place: String,
    /// What it held before.
    pub before: String,
    /// What it holds now.
    pub after: String,
}

/// Lines of one part that follow each other.
#[derive(Clone, Debug, PartialEq)]
pub struct Stretch<'a> {
    /// The part.
    pub part: &'a str,
    /// Its lines.
    pub steps: &'a [Step],
}

impl Stretch<'_> {
    /// How many instructions it has.
    #[must_use]
    pub fn instructions(&self) -> u32 {
        self.steps.iter().map(|step| step.count).sum()
    }
}

impl Trace {
    /// Reads the file.
    ///
    /// # Errors
    /// When it has another form, or no step.
    pub fn read(file: &Value) -> Result<Trace> {
        let steps: Vec<Step> = schema(file, "steps")?;
        ensure!(!steps.is_empty(), "there is no step in it");
        let ends = match file.get("calls") {
            Some(_) => schema(file, "calls")?,
            None => Vec::new(),
        };
        Ok(Trace { steps, ends })
    }

    /// How a call has ended.
    #[must_use]
    pub fn end_of(&self, call: &[Step]) -> Option<&End> {
        let first = call.first()?;
        let mut ends = self.ends.iter();
        ends.find(|end| {
            (&end.variant, &end.function, &end.way) == (&first.variant, &first.function, &first.way)
        })
    }

    /// The calls in it: lines of one function, variant and way.
    pub fn calls(&self) -> impl Iterator<Item = &[Step]> {
        let is_same = |a: &Step, b: &Step| {
            (&a.variant, &a.function, &a.way) == (&b.variant, &b.function, &b.way)
                && a.number < b.number
        };
        self.steps.chunk_by(is_same)
    }

    /// How many instructions it has.
    #[must_use]
    pub fn instructions(&self) -> u32 {
        self.steps.iter().map(|step| step.count).sum()
    }
}

/// The parts of a call's way.
pub fn stretches(call: &[Step]) -> impl Iterator<Item = Stretch<'_>> {
    call.chunk_by(|a, b| a.part == b.part).map(|steps| Stretch {
        part: &steps[0].part,
        steps,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn step(way: &str, number: u32, part: &str, count: u32) -> Value {
        json!({"variant": "v", "function": "f", "way": way, "number": number, "part": part,
            "count": count, "address": 4096, "symbol": "f+0x0", "text": "nop", "changes": [],
            "meaning": ""})
    }

    #[test]
    fn steps_are_parted_by_call_and_part() {
        let steps = [
            step("settled", 1, "caller", 1),
            step("settled", 2, "stub", 1),
            step("settled", 3, "stub", 30),
            step("rest", 1, "caller", 1),
        ];
        let end = json!({"variant": "v", "function": "f", "way": "settled", "instructions": 32,
            "result": "0x7", "findings": ""});
        let file = json!({"schema": 1, "steps": steps, "calls": [end]});
        let trace = Trace::read(&file).unwrap();
        let calls: Vec<&[Step]> = trace.calls().collect();
        assert_eq!((calls.len(), calls[0].len()), (2, 3));
        let parts: Vec<_> = stretches(calls[0])
            .map(|one| (one.part, one.instructions()))
            .collect();
        assert_eq!(parts, [("caller", 1), ("stub", 31)]);
        assert_eq!(trace.instructions(), 33);
        let results = calls
            .iter()
            .map(|call| Some(trace.end_of(call)?.result.as_str()));
        assert_eq!(results.collect::<Vec<_>>(), [Some("0x7"), None]);
    }

    #[test]
    fn another_form_is_refused() {
        for file in [
            json!({"schema": 1, "steps": []}),
            json!({"schema": 1, "steps": [{"number": 1}]}),
        ] {
            assert!(Trace::read(&file).is_err(), "{file}");
        }
    }
}
