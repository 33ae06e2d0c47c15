//! What calls cost, as bars with their numbers.

use super::text::percent;
use crate::report::costs::{Costs, Row};
use maud::{Markup, html};

/// Measures of a whole call, and what they are.
const CALLS: [(&str, &str); 5] = [
    ("settled", "Settled: all threads have switched"),
    (
        "transition",
        "In transition: the thread’s side is looked up",
    ),
    ("traced", "Traced, not patched"),
    ("traced_regs", "Traced, not patched, with all registers"),
    ("rest", "At rest: neither patched nor traced"),
];

/// The parts of a settled call, and their signs in the style sheet.
const PARTS: [(&str, &str, &str); 5] = [
    ("site", "site", "p1"),
    ("trampoline", "trampoline", "p2"),
    ("handoff", "hand-off", "p3"),
    ("prologue", "prologue", "p4"),
    ("return_convention", "return convention", "p5"),
];

/// Measures of memory.
const MEMORY: [(&str, &str); 2] = [
    ("stack_bytes", "Stack of a nested patched call"),
    ("code_bytes", "Code of each patched function"),
];

/// How calls on two CPUs get on beside each other.
const PARALLEL: [(&str, &str); 2] = [
    ("cpus_2_ratio", "Settled"),
    ("cpus_2_ratio_transition", "In transition"),
];

/// Estimates by a simulator, which depend on its version.
const ESTIMATES: [(&str, &str); 2] = [
    ("mca_pwr9", "The settled path on POWER9, estimated"),
    ("mca_pwr10", "The settled path on POWER10, estimated"),
];

/// All measurements.
pub fn section(costs: &Costs) -> Markup {
    let in_a_group = |row: &Row| {
        let named = [&CALLS[..], &MEMORY[..], &PARALLEL[..], &ESTIMATES[..]].concat();
        let measures = named.iter().map(|(measure, _)| *measure);
        let mut measures = measures.chain(PARTS.map(|(measure, ..)| measure));
        !row.variant().is_empty() && measures.any(|measure| measure == row.measure)
    };
    let others: Vec<&Row> = costs.rows.iter().filter(|row| !in_a_group(row)).collect();
    html! {
        p {
            "Instructions are counted under " code { "-icount shift=0" }
            ", where an instruction takes a nanosecond: the counts are exact, and the same in every run. "
            "The bars of one table are to one scale."
        }
        (group("Instructions added to an unpatched call", costs, &CALLS))
        (parts(costs))
        (group("Memory", costs, &MEMORY))
        (group("Calls of two CPUs, by those of one in the same time", costs, &PARALLEL))
        (group("Cycles, estimated by llvm-mca", costs, &ESTIMATES))
        @if !others.is_empty() {
            h3 id="rest-title" { "Everything else that was measured" }
            (rest(&others))
        }
    }
}

/// A heading and a table for each of these measures.
fn group(title: &str, costs: &Costs, measures: &[(&str, &str)]) -> Markup {
    let shown = |measure: &&(&str, &str)| costs.measured(measure.0).next().is_some();
    let shown: Vec<_> = measures.iter().filter(shown).collect();
    html! {
        @if !shown.is_empty() {
            h3 { (title) }
            div.bars {
                @for (measure, about) in shown { (bars(about, costs, measure)) }
            }
        }
    }
}

fn largest<'a>(rows: impl Iterator<Item = &'a Row>) -> f64 {
    rows.map(Row::amount).fold(0.0, f64::max)
}

fn share(row: &Row, whole: f64) -> String {
    percent(if whole > 0.0 {
        row.amount() / whole * 100.0
    } else {
        0.0
    })
}

/// A measure of all variants.
fn bars(about: &str, costs: &Costs, measure: &str) -> Markup {
    let rows = costs.measured(measure);
    let whole = largest(rows.clone());
    html! {
        table.bar {
            caption { (about) }
            colgroup { col.name; col; col.number; }
            thead.hidden {
                tr { th scope="col" { "Variant" } th scope="col" { "Bar" } th scope="col" { "Value" } }
            }
            tbody { @for row in rows { (bar(row, row.variant(), whole)) } }
        }
    }
}

fn bar(row: &Row, name: &str, whole: f64) -> Markup {
    html! {
        tr {
            th scope="row" { (name) }
            td.drawn aria-hidden="true" { span style={"width:" (share(row, whole))} {} }
            (value(row, true))
        }
    }
}

/// The cell of a number.
fn value(row: &Row, with_unit: bool) -> Markup {
    html! {
        td.value data-variant=(row.variant()) data-measure=(row.measure) data-unit=(row.unit) {
            b { (row.value) } @if with_unit { " " (row.unit) }
        }
    }
}

/// Where the instructions of a settled call are.
fn parts(costs: &Costs) -> Markup {
    let measures = PARTS.map(|(measure, ..)| measure);
    let variants = costs.variants(&measures);
    let of = |variant: &str| -> Vec<(&Row, &str)> {
        let found = PARTS
            .iter()
            .map(|(measure, _, sign)| (costs.of(variant, measure), *sign));
        found.filter_map(|(row, sign)| Some((row?, sign))).collect()
    };
    let sum = |variant: &str| -> f64 { of(variant).iter().map(|(row, _)| row.amount()).sum() };
    let whole = variants
        .iter()
        .map(|variant| sum(variant))
        .fold(0.0, f64::max);
    html! {
        @if !variants.is_empty() {
            h3 id="parts-title" { "Where the instructions of a settled call are" }
            table.bar.parts aria-labelledby="parts-title" {
                thead {
                    tr {
                        th scope="col" { "Variant" }
                        th.drawn scope="col" aria-hidden="true" {}
                        @for (_, name, sign) in &PARTS {
                            th scope="col" { span.key.(sign) {} span { (name) } }
                        }
                    }
                }
                tbody {
                    @for variant in &variants {
                        tr {
                            th scope="row" { (variant) }
                            td.drawn aria-hidden="true" {
                                @for (row, sign) in of(variant).into_iter().filter(|(row, _)| row.amount() > 0.0) {
                                    span class=(sign) style={"width:" (share(row, whole))} {}
                                }
                            }
                            @for (measure, ..) in &PARTS {
                                @match costs.of(variant, measure) {
                                    Some(row) => (value(row, false)),
                                    None => td.value { "–" },
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Rows that belong to none of the groups.
fn rest(rows: &[&Row]) -> Markup {
    html! {
        table.rest aria-labelledby="rest-title" {
            thead.hidden {
                tr { th scope="col" { "Measure" } th scope="col" { "Variant" } th scope="col" { "Value" } }
            }
            tbody {
                @for row in rows {
                    tr { th scope="row" { (row.measure) } td { (row.variant()) } (value(row, true)) }
                }
            }
        }
    }
}
