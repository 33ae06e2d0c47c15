//! One function's site before, while and after it is traced, and a short trace.

use super::Line;
use crate::{
    console::{Painted, Tone},
    ftrace::{self, Site},
    symbols::Place,
    text,
    tracing::{self, ControlError},
    victims,
};
use alloc::{format, string::String, vec::Vec};
use core::hint::black_box;

/// The function that is shown, and those in the trace.
const FUNCTION: &str = "kernel::victims::outer";
const TRACED: &str = "kernel::victims::outer kernel::victims::inner c_tail c_leaf";

/// The two words of a site.
fn words(site: &Site) -> [u32; 2] {
    [text::read(site.address - 4), text::read(site.address)]
}

/// Prints a site's words and what they mean.
fn show(when: &str, site: &Site) {
    for (index, word) in words(site).into_iter().enumerate() {
        let address = site.address - 4 + 4 * index as u64;
        let line = disasm::Line::new(address, word);
        let named = line.named(|target, f| {
            let place = Place(target);
            match ftrace::trampoline_of(target) {
                Some(ops) => write!(f, "{target:#x} (trampoline: {ops})"),
                None => write!(f, "{place}"),
            }
        });
        println!(
            "    {:<8} {address:#x}  {word:08x}  {named}",
            if index == 0 { when } else { "" }
        );
    }
}

/// Traces a few calls of the victims, showing everything. Says what was checked.
pub fn run() -> Line {
    println!(
        "{}",
        Painted(Tone::Heading, "one function's site, and a trace")
    );
    let (found, right) = match trace() {
        Ok(outcome) => outcome,
        Err(problem) => (problem, false),
    };
    Line {
        what: "ftrace",
        found,
        right,
    }
}

#[inline(never)] // its name is in the trace that the README shows
fn trace() -> Result<(String, bool), String> {
    let text = |error: ControlError| format!("{error}");
    let symbol = crate::symbols::find(FUNCTION).map_err(|error| format!("{error}"))?;
    let site = ftrace::find_site(symbol.address).ok_or("the function has no site")?;
    println!("  {FUNCTION}");
    let before = words(&site);
    show("before", &site);
    tracing::write("set_ftrace_filter", TRACED).map_err(text)?;
    tracing::write("current_tracer", "function").map_err(text)?;
    let during = words(&site);
    show("while", &site);
    let results = (black_box(victims::outer(1)), black_box(victims::c_tail(1)));
    tracing::write("current_tracer", "nop").map_err(text)?;
    let after = words(&site);
    show("after", &site);

    let mut trace = String::new();
    tracing::read("trace", &mut trace).map_err(text)?;
    tracing::write("trace", "").map_err(text)?;
    tracing::write("set_ftrace_filter", "").map_err(text)?;
    let calls: Vec<&str> = trace
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    println!("  trace");
    for call in trace
        .lines()
        .filter(|line| !line.starts_with("# ") || line.contains("TASK"))
    {
        if call != "#" {
            println!("    {call}");
        }
    }
    let counts = ftrace::counts();
    let found = format!(
        "{} sites ({} of C functions), {} not to be traced, {} refused",
        counts.traceable, counts.from_c, counts.notrace, counts.refused
    );
    let right = before == after
        && before[0] == during[0]
        && before[1] != during[1]
        && calls.len() == 4
        && results == (10, 7)
        && counts.refused == 0;
    Ok((found, right))
}
