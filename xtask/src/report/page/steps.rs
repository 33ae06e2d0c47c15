//! A call, step by step: from the caller's branch to the instruction after it.

use super::text::count;
use crate::report::steps::{Change, End, Step, Stretch, Trace, stretches};
use maud::{Markup, html};

/// The parts that make a variant what it is, and their signs in the style sheet.
const MARKED: [(&str, &str); 2] = [("hand-off", "hand-off"), ("return convention", "return")];

/// All calls of the trace.
pub fn section(trace: &Trace) -> Markup {
    html! {
        p {
            "Every instruction of a patched call, with what it changed and what that means. What makes a variant is "
            strong.marked.hand-off { "the hand-off" } ", its last instructions before the new function, and "
            strong.marked.return { "the return convention" } ", which gives the caller its TOC pointer back after the new "
            "function’s body."
        }
        @for call in trace.calls() { (one(call, trace.end_of(call))) }
    }
}

fn one(call: &[Step], end: Option<&End>) -> Markup {
    let first = &call[0];
    let title = format!("step-{}-{}-{}", first.function, first.variant, first.way);
    html! {
        h3 id=(title) {
            code { (first.function) } ", " (first.way) ", by variant " code { (first.variant) }
        }
        @if let Some(end) = end { (ended(end)) }
        table.steps role="table" aria-labelledby=(title) {
            thead role="rowgroup" {
                tr role="row" {
                    @for name in ["No.", "Where", "Instruction", "What it changed", "What that means"] {
                        th role="columnheader" scope="col" { (name) }
                    }
                }
            }
            @for stretch in stretches(call) { (part(&stretch)) }
        }
    }
}

/// How the call has ended.
fn ended(end: &End) -> Markup {
    html! {
        p.said.wrong[!end.findings.is_empty()] {
            (count(end.instructions, "instruction", "instructions")) " from the call to its return, which brings "
            code { (end.result) } ". "
            @if end.findings.is_empty() {
                "The caller finds all that it may rely on."
            } @else {
                strong { "✗ What the caller does not find: " } (end.findings)
            }
        }
    }
}

fn part(stretch: &Stretch<'_>) -> Markup {
    let marked = MARKED.iter().find(|(part, _)| *part == stretch.part);
    let class = marked.map_or("", |(_, sign)| sign);
    let instructions = stretch.instructions();
    html! {
        tbody role="rowgroup" class=(class) data-part=(stretch.part) {
            tr.part role="row" {
                th role="rowheader" scope="rowgroup" colspan="5" {
                    (stretch.part)
                    @if instructions > 0 {
                        span.of { " " (count(instructions, "instruction", "instructions")) }
                    }
                }
            }
            @for step in stretch.steps { (line(step)) }
        }
    }
}

fn line(step: &Step) -> Markup {
    html! {
        tr.wrong[step.wrong] role="row" data-step=(step.number) {
            td.number role="cell" { (step.number) }
            td.where role="cell" {
                code { (format!("{:#x}", step.address)) } " " span.symbol { (step.symbol) }
            }
            th.text role="rowheader" scope="row" { code { (step.text) } }
            td.changes role="cell" { @for change in &step.changes { (changed(change)) } }
            td.meaning role="cell" {
                @if step.wrong { strong { "✗ Here it goes wrong. " } }
                (step.meaning)
            }
        }
    }
}

fn changed(change: &Change) -> Markup {
    html! {
        span.change {
            b { (change.place) } " "
            span.before { (change.before) } " " span aria-label="becomes" role="img" { "→" } " "
            span.after { (change.after) }
        }
    }
}
