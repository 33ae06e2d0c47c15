//! The page. Everything that comes from a file is escaped by the template language.
//! It has no script, and its policy forbids whatever would ask a network for something.
//!
//! A graphic is a column of a table, and the other columns say the same in words: so it
//! can be read aloud, and nothing has to be kept in step by hand.

mod costs;
mod matrix;
mod steps;
mod text;
mod timeline;

use super::transitions::{Demonstration, Machine};
use super::{Part, Report};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use text::count;

const STYLE: &str = include_str!("style.css");

/// Nothing but the style sheet in the page itself.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// The whole page.
#[must_use]
pub fn html(report: &Report) -> String {
    let title = format!("klplab: a run by variant {}", report.variant);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                a.skip href="#transitions" { "Skip to the transitions" }
                header { (top(report)) }
                main {
                    section id="transitions" aria-labelledby="transitions-title" {
                        h2 id="transitions-title" { "Threads switch, one by one" }
                        (part(&report.demonstration, timeline::section))
                    }
                    section id="matrix" aria-labelledby="matrix-title" {
                        h2 id="matrix-title" { "What each variant keeps" }
                        (part(&report.matrix, matrix::section))
                    }
                    section id="costs" aria-labelledby="costs-title" {
                        h2 id="costs-title" { "What a call costs" }
                        (part(&report.costs, costs::section))
                    }
                    section id="steps" aria-labelledby="steps-title" {
                        h2 id="steps-title" { "One call, step by step" }
                        (part(&report.steps, steps::section))
                    }
                }
                footer {
                    p {
                        "Made by " code { "make report" } " from one run of each part. "
                        "Every number on this page is that run’s own."
                    }
                }
            }
        }
    };
    page.into_string()
}

/// What is wrong with a part, and what there is of it.
fn part<T>(part: &Part<T>, section: impl Fn(&T) -> Markup) -> Markup {
    let Part { found, problem } = part;
    html! {
        @if let Some(problem) = problem {
            p.problem role="note" {
                strong {
                    @if found.is_some() { "Not as it should be. " } @else { "This part is missing. " }
                }
                (problem)
            }
        }
        @if let Some(found) = found { (section(found)) }
    }
}

/// What the page is about, and where to find what.
fn top(report: &Report) -> Markup {
    let missing = "missing".to_owned();
    let of = |found: Option<String>| found.unwrap_or_else(|| missing.clone());
    let transitions = report.demonstration.found.as_ref().map(said_of);
    let matrix = report.matrix.found.as_ref().map(|matrix| {
        let cells = matrix.variants.len() * matrix.cases.len();
        let cases = matrix.cases.len();
        format!(
            "{cells} cells: {} variants in {cases} cases",
            matrix.variants.len()
        )
    });
    let costs = report.costs.found.as_ref();
    let costs = costs.map(|costs| count(costs.rows.len(), "measurement", "measurements"));
    let steps = report.steps.found.as_ref();
    let steps = steps.map(|trace| count(trace.instructions(), "instruction", "instructions"));
    let links = [
        ("#transitions", "Transitions", of(transitions)),
        ("#matrix", "Conformance", of(matrix)),
        ("#costs", "Costs", of(costs)),
        ("#steps", "Steps", of(steps)),
    ];
    html! {
        p.kind { "klplab, a kernel that patches itself while it runs" }
        h1 { "A run by variant " code { (report.variant) } }
        @if let Some(demonstration) = &report.demonstration.found {
            p.machine { (machine(&demonstration.machine)) }
        }
        nav aria-label="Parts of this page" {
            ol {
                @for (to, name, said) in &links {
                    li { a href=(to) { (name) } span { (said) } }
                }
            }
        }
    }
}

fn said_of(demonstration: &Demonstration) -> String {
    let all = demonstration.transitions.len();
    format!(
        "{}, {}, {}",
        count(all, "transition", "transitions"),
        count(demonstration.switches(), "switch", "switches"),
        count(
            demonstration.blocked(),
            "blocked stretch",
            "blocked stretches"
        )
    )
}

fn machine(machine: &Machine) -> String {
    format!(
        "Demonstrated on {} x {}, {} MiB, timebase {} MHz, entered by {}; {} symbols.",
        machine.cpus,
        machine.cpu,
        machine.memory_bytes >> 20,
        machine.timebase_hz / 1_000_000,
        machine.entry,
        machine.symbols
    )
}
