//! The lines of a call on the console, and as records.

use super::{
    Call, Outcome,
    known::Known,
    line::{Change, Line},
    paths::{self, short},
    stepper::Stepped,
    stop::Part,
    words::Words,
};
use alloc::{format, string::String, vec::Vec};
use core::fmt::{self, Write};
use machine::console::{self, Painted, Tone};
use report::{Record, StepChange};

/// Widths: of where an instruction is, and of the instruction.
const SYMBOL: usize = 24;
const TEXT: usize = 26;
/// Where meanings begin, and changes.
const INDENT: usize = 18;
const COLUMN: usize = INDENT + SYMBOL + 2 + TEXT + 2;
/// The whole line.
const WIDTH: usize = 100;

/// Prints text in lines that fit, broken at blanks where there are any. `begin` stands in
/// front of the first one, and as many blanks in front of the others.
fn fitted(out: &mut dyn Write, tone: Option<Tone>, begin: &str, text: &str) -> fmt::Result {
    let mut rest = text;
    let mut begin = String::from(begin);
    loop {
        let room = WIDTH - begin.len();
        let fits = if rest.len() <= room {
            rest.len()
        } else {
            let most = rest.floor_char_boundary(room);
            // The blank itself may stand where no room is left.
            let blank = rest[..rest.floor_char_boundary(room + 1)].rfind(' ');
            blank.filter(|&place| place > 0).unwrap_or(most)
        };
        let (line, more) = rest.split_at(fits);
        match tone {
            Some(tone) => writeln!(out, "{begin}{}", Painted(tone, line))?,
            None => writeln!(out, "{begin}{line}")?,
        }
        rest = more.trim_start();
        if rest.is_empty() {
            return Ok(());
        }
        begin = " ".repeat(begin.len());
    }
}

/// What a part's heading says besides its name.
fn heading(part: Part, call: &Call) -> String {
    let variant = call.variant;
    match part {
        Part::Caller => "A calls B, by its local entry".into(),
        Part::Site => "B's first two words".into(),
        Part::Stub => "all calls go to C: no question is asked".into(),
        Part::Trampoline => "saves what a call rests on, and asks".into(),
        Part::Callback => "may say where the call goes on".into(),
        Part::HandOff => format!("{}: {}", variant.name, variant.about),
        Part::Function => format!("B, {}", call.old),
        Part::Replacement => match &call.new {
            Some((path, module)) => format!("C, {path} of module {module}"),
            None => "C".into(),
        },
        Part::Callee => "what is called from here, in one line".into(),
        Part::Convention => format!("`{}`", variant.convention.name()),
        Part::Home => "A goes on here".into(),
    }
}

/// Prints all lines, with a heading for each part.
pub fn lines(out: &mut dyn Write, call: &Call, lines: &[Line]) -> fmt::Result {
    let mut last = None;
    let mut seen = Vec::new();
    let is_new = call.new.is_some();
    let restores = lines.iter().any(|line| line.part == Part::Convention);
    for (number, line) in (1..).zip(lines) {
        let part = line.part;
        if part == Part::Home && is_new && !restores {
            let name = call.variant.convention.name();
            let text = format!("-- {}: `{name}`, nothing to do", Part::Convention.name());
            fitted(out, Some(Tone::Heading), "", &text)?;
        }
        if last != Some(part) {
            let about = if seen.contains(&part) {
                "again".into()
            } else {
                heading(part, call)
            };
            let text = format!("-- {}: {about}", part.name());
            fitted(out, Some(Tone::Heading), "", &text)?;
        }
        last = Some(part);
        seen.push(part);
        one(out, number, line)?;
    }
    Ok(())
}

fn one(out: &mut dyn Write, number: u32, line: &Line) -> fmt::Result {
    let symbol = short(&line.symbol);
    let mark = if line.wrong { '!' } else { ' ' };
    let place = format!("{number:>4}{mark} {:#010x}  {symbol}", line.address);
    let column = INDENT + SYMBOL;
    let mut start = format!("{place:<column$}  {:<TEXT$}", line.text);
    if start.trim_end().len() > WIDTH {
        let tone = line.wrong.then_some(Tone::Bad);
        fitted(out, tone, "", &place)?;
        start = format!("{:INDENT$}{}", "", line.text);
    }
    let text = start.trim_end();
    if line.wrong {
        write!(out, "{}", Painted(Tone::Bad, text))?;
    } else {
        write!(out, "{text}")?;
    }
    let mut shown = text.len();
    for (index, change) in line.changes.iter().enumerate() {
        let comma = if index + 1 < line.changes.len() {
            ","
        } else {
            ""
        };
        let text = format!("{}{comma}", shown_change(change));
        // At the column, or further to the left where it would not fit.
        let column = COLUMN.min(WIDTH.saturating_sub(text.len()));
        let at = if index == 0 { COLUMN } else { shown + 1 };
        if shown >= at || at + text.len() > WIDTH {
            writeln!(out)?;
            write!(out, "{:column$}{text}", "")?;
            shown = column + text.len();
        } else {
            write!(out, "{:1$}{text}", "", at - shown)?;
            shown = at + text.len();
        }
    }
    writeln!(out)?;
    for meaning in &line.meaning {
        let tone = if line.wrong { Tone::Bad } else { Tone::New };
        fitted(out, Some(tone), &format!("{:INDENT$}; ", ""), meaning)?;
    }
    Ok(())
}

fn shown_change(change: &Change) -> String {
    format!(
        "{}: {:#x} -> {:#x}",
        change.place, change.before, change.after
    )
}

/// Reports a line.
pub fn report(call: &Call, number: u32, line: &Line) {
    let hex = |change: &Change| {
        (
            format!("{:#x}", change.before),
            format!("{:#x}", change.after),
        )
    };
    // More than a record has room for: no instruction changes so much.
    let values: Vec<_> = line.changes.iter().take(12).map(hex).collect();
    let changes: Vec<_> = (line.changes.iter().zip(&values))
        .map(|(change, (before, after))| StepChange {
            place: &change.place,
            before,
            after,
        })
        .collect();
    console::report(&Record::Step {
        variant: call.variant.name,
        function: call.old,
        way: &call.way,
        number,
        part: line.part.name(),
        count: line.count,
        address: line.address,
        symbol: &line.symbol,
        text: &line.text,
        changes: &changes,
        meaning: &line.meaning.join("; "),
        wrong: line.wrong,
    });
}

/// Prints what the call is.
pub fn introduce(out: &mut dyn Write, call: &Call, known: &Known, words: &Words) -> fmt::Result {
    let arguments: Vec<String> = known.arguments.iter().map(|n| format!("{n}")).collect();
    let (name, variant) = (paths::last(call.old), call.variant);
    let title = format!(
        "{name}({}), {}, handed over by {}",
        arguments.join(", "),
        call.way,
        variant.name
    );
    fitted(out, Some(Tone::Heading), "", &title)?;
    let old = call.old;
    match &call.new {
        Some((path, module)) => {
            fitted(out, None, "", &format!("A calls B, which is {old};"))?;
            let text = format!("the call comes to C, which is {path} of module {module}.");
            fitted(out, None, "", &text)?;
        }
        None => {
            let text = format!("A calls B, which is {old}; it is not replaced on this way.");
            fitted(out, None, "", &text)?;
        }
    }
    for (toc, of) in words.tocs() {
        if of == "the kernel"
            || call
                .new
                .as_ref()
                .is_some_and(|(_, module)| of.strip_prefix("module ") == Some(module))
        {
            writeln!(out, "TOC of {of}: {toc:#x}.")?;
        }
    }
    writeln!(
        out,
        "A line: number, address, place, instruction, what it changes; behind `;` what that means.\n\
         `!` marks what goes wrong."
    )
}

/// Prints what it came to.
pub fn conclude(
    out: &mut dyn Write,
    stepped: &Stepped,
    lines: &[Line],
    outcome: &Outcome,
) -> fmt::Result {
    let mut parts: Vec<(Part, u32)> = Vec::new();
    for line in lines.iter().filter(|line| line.part != Part::Home) {
        match parts.iter_mut().find(|(part, _)| *part == line.part) {
            Some((_, count)) => *count += line.count,
            None => parts.push((line.part, line.count)),
        }
    }
    let parts: Vec<String> = (parts.iter())
        .map(|(part, count)| format!("{} {count}", part.name()))
        .collect();
    writeln!(out, "{}", Painted(Tone::Heading, "-- in all"))?;
    writeln!(out, "{} instructions:", stepped.instructions)?;
    fitted(out, None, "", &parts.join(", "))?;
    let result = outcome.result;
    writeln!(out, "r3 = {result:#x} ({result})")?;
    if let Some(expected) = outcome.expected {
        let text = format!("and should be {expected:#x} ({expected}): a wrong result");
        fitted(out, Some(Tone::Bad), "", &text)?;
    }
    if outcome.findings.is_empty() {
        let good = "A has back all that it may rely on, says the ABI sanitiser";
        return writeln!(out, "{}", Painted(Tone::Good, good));
    }
    for finding in &outcome.findings {
        let text = format!("A does not have back what it may rely on: {finding}");
        fitted(out, Some(Tone::Bad), "", &text)?;
    }
    Ok(())
}
