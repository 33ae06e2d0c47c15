//! Tracing, which live patching stands on: a site before, while and after it is
//! traced, and what the trace says.

use super::line::Line;
use crate::bank::{self, PAID_IN};
use alloc::{format, string::String};
use core::hint::black_box;
use ftrace::Site;
use machine::{symbols, text};
use tracing::ControlError;

/// The function whose site is looked at, and those in the trace.
const FUNCTION: &str = "demo::bank::balance";
const TRACED: &str = "demo::bank::balance bank_paid_in";

/// The two words of a site.
fn words(site: &Site) -> [u32; 2] {
    [text::read(site.address - 4), text::read(site.address)]
}

/// Traces a few calls in the bank.
pub fn check() -> Line {
    match trace() {
        Ok(right) => {
            let counts = ftrace::counts();
            let (sites, c) = (counts.traceable, counts.from_c);
            let (not, refused) = (counts.notrace, counts.refused);
            Line::new(
                "ftrace",
                format_args!(
                    "{sites} sites ({c} of C functions), {not} not to be traced, {refused} refused"
                ),
                right && refused == 0,
            )
        }
        Err(problem) => Line::new("ftrace", format_args!("{problem}"), false),
    }
}

#[inline(never)]
fn trace() -> Result<bool, String> {
    let text = |error: ControlError| format!("{error}");
    let symbol = symbols::find(FUNCTION).map_err(|error| format!("{error}"))?;
    let site = ftrace::find_site(symbol.address).ok_or("the function has no site")?;
    let before = words(&site);
    tracing::write("set_ftrace_filter", TRACED).map_err(text)?;
    tracing::write("current_tracer", "function").map_err(text)?;
    let during = words(&site);
    let paid_in = black_box(bank::balance(0, 0));
    tracing::write("current_tracer", "nop").map_err(text)?;
    let after = words(&site);
    let mut trace = String::new();
    tracing::read("trace", &mut trace).map_err(text)?;
    tracing::write("trace", "").map_err(text)?;
    tracing::write("set_ftrace_filter", "").map_err(text)?;
    let calls = trace.lines().filter(|line| !line.starts_with('#')).count();
    Ok(before == after
        && before[0] == during[0]
        && before[1] != during[1]
        && calls == 2
        && paid_in == PAID_IN)
}
