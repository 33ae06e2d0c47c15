//! The guided step: one call of a patched function, instruction by instruction, from
//! its caller's call to the instruction behind it.
//!
//! Each line says where the instruction is, what it is, which registers it has
//! changed, and, where that matters on this way, what they now mean: r1, r2, LR, and
//! the save area of the caller's frame above all. Parts of the way have the same
//! headings for all variants, so that two can be laid side by side.
//!
//! An instruction that goes wrong for a reason that can be seen in itself is marked:
//! one that takes r0 for a base register, which means the number 0 there.
//!
//! - `known`: which functions, called with what;
//! - `situation`: how calls of them go; `map`: where the code on the way is;
//! - `stepper`: at every instruction, in the interrupt handler;
//! - `stop`: what is written down there; `parts`: what is told of it afterwards;
//! - `words`: what numbers mean; `operand`: what an instruction loads or stores;
//! - `paths`: paths of functions, and their last parts;
//! - `line`: an instruction, explained; `print`: all of them, printed and reported.

pub mod command;
mod known;
mod line;
mod map;
mod operand;
mod parts;
mod paths;
mod print;
mod situation;
mod stepper;
mod stop;
mod words;

pub use known::{is_related, names as functions};
pub use situation::Way;

use crate::instruments::sanitiser::{SanitisedCall, What, kernel_toc, sanitised_home};
use alloc::{format, string::String, vec::Vec};
use core::fmt::{self, Write};
use disasm::Line as Disassembled;
use ftrace::Site;
use klp::Convention;
use known::Known;
use line::Line;
use livepatch::variants::{self, Variant};
use machine::{console, log, symbols};
use map::Map;
use report::{Record, Verdict};
use situation::Situation;
use stepper::Stepped;
use stop::Part;
use words::Words;

/// What is said of a call.
struct Call {
    variant: &'static Variant,
    /// Path of the old function.
    old: &'static str,
    /// Path of the new one, and its module.
    new: Option<(String, String)>,
    way: String,
}

/// Why a function can't be stepped: a sentence.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum StepError {
    /// Its arguments are not known.
    Unknown(String),
    /// Something else is in the way.
    Impossible(String),
}

impl fmt::Display for StepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(text) | Self::Impossible(text) => f.write_str(text),
        }
    }
}

impl From<String> for StepError {
    fn from(text: String) -> Self {
        Self::Impossible(text)
    }
}

/// What a stepped call came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// r3.
    pub result: u64,
    /// What it should be, if it is something else.
    pub expected: Option<u64>,
    /// What the caller may rely on and does not find.
    pub findings: Vec<String>,
}

impl Outcome {
    /// Whether the caller has all back that it may rely on, and the right result.
    fn is_good(&self) -> bool {
        self.findings.is_empty() && self.expected.is_none()
    }
}

/// The console, to write to.
struct Console;

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        console::print(format_args!("{text}"));
        Ok(())
    }
}

/// What `mode=step` does: steps a call of a function, or of the default one.
#[must_use]
pub fn run(function: Option<&str>, way: Way) -> Verdict {
    log::set_max_level(log::LevelFilter::Error);
    let name = function.unwrap_or(known::KNOWN[0].path);
    match step(name, way, &mut Console) {
        Ok(outcome) if outcome.is_good() => Verdict::Passed,
        // It says so itself.
        Ok(_) if variants::current().has_a_price() => Verdict::Passed,
        Ok(_) => Verdict::ChecksFailed,
        Err(StepError::Unknown(text)) => {
            println!("boot argument `function={name}`: {text}");
            Verdict::BadArgument
        }
        Err(StepError::Impossible(text)) => {
            println!("can't step {name}: {text}");
            Verdict::ChecksFailed
        }
    }
}

/// Steps a call of a function in the running thread, and writes what it sees to `out`.
/// With [`Way::AsIs`] calls go as they now do; otherwise what is needed is enabled
/// first, and disabled afterwards.
///
/// # Errors
/// When the function is not known, or a module, a patch or a tracer is refused. On error,
/// nothing has changed.
pub fn step(function: &str, way: Way, out: &mut dyn Write) -> Result<Outcome, StepError> {
    let known = known::find(function).ok_or_else(|| {
        let names = known::names().join(", ");
        StepError::Unknown(format!("no function that can be stepped; allowed: {names}"))
    })?;
    let symbol = symbols::find(known.path).map_err(|error| format!("{error}"))?;
    let site = ftrace::find_site(symbol.address).filter(|site| site.function() == symbol.address);
    let site = site.ok_or_else(|| format!("{} has no site", known.path))?;
    let situation = Situation::new(known, &site, way)?;
    let outcome = stepped(known, &site, symbol.size, way, out);
    drop(situation);
    outcome
}

/// A's r2: a local caller has that of the function's own module.
fn toc_of(function: u64) -> u64 {
    loader::at(function).map_or_else(kernel_toc, |module| module.toc)
}

fn stepped(
    known: &'static Known,
    site: &Site,
    size: u64,
    way: Way,
    out: &mut dyn Write,
) -> Result<Outcome, StepError> {
    let old = site.function();
    let toc = toc_of(old);
    let mut call = SanitisedCall::local(old, toc, &[]);
    let mut room = [0_u64; 16];
    let first = usize::from(known.hidden);
    if known.hidden {
        call.arguments[0] = room.as_mut_ptr().expose_provenance() as u64;
    }
    for (place, argument) in call.arguments[first..].iter_mut().zip(known.arguments) {
        *place = *argument;
    }
    let map = Map {
        old: old..old + size,
        site: site.address,
        modules: map::modules(),
    };
    let stub = livepatch::way_of(old).map(|(start, end)| start..end);
    let target = Disassembled::new(site.address, machine::text::read(site.address)).target();
    // SAFETY: the table has what the function takes, and its replacements take the
    // same; r2 is what a local caller has.
    let mut stepped = unsafe { stepper::step(&mut call, map) };
    core::hint::black_box(&room);
    stepped.name_parts(stub.clone());

    let frame = stepped.stops.first().map_or(0, |stop| stop.state.gpr[1]);
    let mut words = Words::new(sanitised_home(), toc, frame, old);
    if let Some(target) = target {
        match stub.filter(|stub| stub.contains(&target)) {
            Some(stub) => words.name_code(stub, "stub"),
            None => {
                let range = ftrace::trampoline_at(target);
                let end = range.map_or(target, |range| range.end);
                words.name_code(target..end, "trampoline");
            }
        }
    }
    let new = loader::at(stepped.new.start).map(|module| {
        let path = format!("{}", symbols::Path(stepped.new.start));
        (path, module.name.clone())
    });
    words.behind_site = site.ip();
    words.new = new.as_ref().map(|_| stepped.new.start);
    let described = Call {
        variant: variants::current(),
        old: known.path,
        new,
        way: format!("{way}"),
    };
    let answer = known.answers.and_then(|answers| way.answer(answers));
    let outcome = judge(&call, &stepped, &described, answer);
    let lines = explain(&stepped, &mut words, &outcome);
    let written = print::introduce(out, &described, known, &words)
        .and_then(|()| print::lines(out, &described, &lines))
        .and_then(|()| print::conclude(out, &stepped, &lines, &outcome));
    written.map_err(|_| String::from("it could not be written"))?;
    for (number, line) in (1..).zip(&lines) {
        print::report(&described, number, line);
    }
    console::report(&Record::Stepped {
        variant: described.variant.name,
        function: described.old,
        way: &described.way,
        instructions: stepped.instructions,
        result: &format!("{:#x}", outcome.result),
        findings: &outcome.findings.join("; "),
    });
    Ok(outcome)
}

/// What A does not find as it should. What the hand-off writes into the reserved word is
/// the variant's idea.
fn judge(
    call: &SanitisedCall,
    stepped: &Stepped,
    described: &Call,
    answer: Option<u64>,
) -> Outcome {
    let mut findings = Vec::new();
    if let Some(fault) = stepped.fault {
        let place = symbols::Place(fault.address);
        findings.push(format!("the call is lost: {fault}, at {place}"));
        return Outcome {
            result: 0,
            expected: None,
            findings,
        };
    }
    let by_mail = described.variant.convention != Convention::Plain && described.new.is_some();
    call.deviations(|one| {
        if !(by_mail && one.what == What::Reserved) {
            findings.push(format!("{one}"));
        }
    });
    if !stepped.livepatch_stack_is_back {
        findings.push("the livepatch stack's top is not where it was".into());
    }
    let result = call.results()[0];
    Outcome {
        result,
        expected: answer.filter(|&answer| answer != result),
        findings,
    }
}

fn explain(stepped: &Stepped, words: &mut Words, outcome: &Outcome) -> Vec<Line> {
    let stops = &stepped.stops;
    let mut lines = Vec::with_capacity(stops.len());
    for pair in stops.windows(2) {
        lines.push(line::line(&pair[0], &pair[1].state, words));
    }
    if let Some(last) = stops.last() {
        if last.part == Part::Home {
            let mut home = line::home(last, words);
            home.wrong = !outcome.is_good();
            lines.push(home);
        } else {
            // What this one has done is not known.
            lines.push(line::line(last, &last.state, words));
        }
    }
    lines
}
