//! The conformance matrix: cases down, variants across, and why a cell is no pass.

use super::text::count;
use crate::report::cells::{Cell, Judgement, Matrix};
use maud::{Markup, html};

/// The table, and below it the reasons.
pub fn section(matrix: &Matrix) -> Markup {
    let surprises = matrix.surprises();
    html! {
        p {
            "A case is a question about a patched call. A variant’s source declares where it expects to be anything "
            "but a pass; a cell that is not as declared is framed and marked with “!”. "
            "Refused is what the kernel did not let happen, and n/a what can’t be asked of a variant. "
            @for one in Judgement::ALL {
                @let (word, sign) = one.shown();
                (matrix.count(one)) " " span aria-hidden="true" { (sign) " " } (word) ", "
            }
            (count(surprises, "cell", "cells")) " not as declared."
        }
        div.wide {
            table.matrix aria-labelledby="matrix-title" {
                thead {
                    tr {
                        th scope="col" { "Case" }
                        @for variant in &matrix.variants {
                            th scope="col" { span { (hyphens(variant)) } }
                        }
                    }
                }
                tbody {
                    @for case in &matrix.cases {
                        tr {
                            th scope="row" { (case) }
                            @for variant in &matrix.variants {
                                (cell(matrix, variant, case))
                            }
                        }
                    }
                }
                tfoot {
                    tr {
                        th scope="row" { "passes" }
                        @for variant in &matrix.variants {
                            td { (passes(matrix, variant)) span.of { " of " (matrix.cases.len()) } }
                        }
                    }
                }
            }
        }
        h3 { "Why cells are no passes" }
        p { "First what the variant’s source says, then in parentheses what was found." }
        @for variant in &matrix.variants {
            @let cells: Vec<&Cell> = matrix.explained(variant).collect();
            @if !cells.is_empty() { (reasons(variant, &cells)) }
        }
    }
}

fn passes(matrix: &Matrix, variant: &str) -> usize {
    let cells = matrix
        .cases
        .iter()
        .filter_map(|case| matrix.cell(variant, case));
    cells
        .filter(|cell| cell.observed == Judgement::Pass)
        .count()
}

fn cell(matrix: &Matrix, variant: &str, case: &str) -> Markup {
    let Some(cell) = matrix.cell(variant, case) else {
        return html! { td.na { span.hidden { "not asked" } } };
    };
    let (word, sign) = cell.observed.shown();
    let class = cell.observed.class();
    let surprise = !cell.as_declared();
    let shown = html! {
        span aria-hidden="true" { (sign) @if surprise { "!" } }
        span.word { " " (word) }
        @if surprise { span.hidden { ", not as declared" } }
    };
    html! {
        td.(class).surprise[surprise] data-variant=(cell.variant) data-case=(cell.case)
            data-observed=(class) {
            @if cell.observed == Judgement::Pass && !surprise {
                (shown)
            } @else {
                a href={"#" (anchor(cell))} { (shown) }
            }
        }
    }
}

fn anchor(cell: &Cell) -> String {
    format!("why-{}-{}", cell.variant, cell.case)
}

/// Why cells of a variant are no passes. Cases that follow each other with the same
/// reason keep their own rows: each has found something of its own.
fn reasons(variant: &str, cells: &[&Cell]) -> Markup {
    html! {
        table.reasons {
            caption { code { (variant) } }
            colgroup { col.case; col.found; col; }
            thead.hidden {
                tr { th scope="col" { "Case" } th scope="col" { "Found" } th scope="col" { "Why" } }
            }
            tbody {
                @for cell in cells {
                    @let (word, sign) = cell.observed.shown();
                    tr id=(anchor(cell)) {
                        th scope="row" { (cell.case) }
                        td.(cell.observed.class()).surprise[!cell.as_declared()] {
                            span aria-hidden="true" { (sign) } " " (word)
                            @if !cell.as_declared() { ", declared: " (cell.expected.shown().0) }
                        }
                        td { (cell.reason) }
                    }
                }
            }
        }
    }
}

/// A name that may be broken behind its hyphens.
fn hyphens(name: &str) -> Markup {
    html! {
        @for (index, word) in name.split('-').enumerate() {
            @if index > 0 { "-" wbr; }
            (word)
        }
    }
}
