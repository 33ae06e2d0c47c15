//! The matrix: each variant, each case, and what differs from what was declared.

use super::{
    cases::{CASES, Case},
    fixtures::{Finding, TRIAL},
};
use alloc::{format, string::String, vec::Vec};
use core::sync::atomic::{AtomicUsize, Ordering};
use livepatch::variants::{self, VARIANTS, Variant};
use machine::{
    console::{self, Painted, Tone},
    fault,
    log::{self, LevelFilter},
};
use report::{Judgement, Record, Verdict};
use thread::isolation;

/// A variant's answer to a case.
struct Cell {
    variant: &'static Variant,
    case: &'static Case,
    expected: Judgement,
    /// What was declared, if it is more than a pass.
    why: &'static str,
    observed: Judgement,
    /// What was found.
    found: String,
}

impl Cell {
    fn differs(&self) -> bool {
        self.expected != self.observed
    }

    fn reason(&self) -> String {
        match (self.why, self.found.as_str()) {
            ("", found) => found.into(),
            (why, "") => why.into(),
            (why, found) => format!("{why} ({found})"),
        }
    }
}

/// The judge of faults before the matrix.
static JUDGE: AtomicUsize = AtomicUsize::new(0);

/// Every fault of a trial is a trial's own.
fn judge(code: &mut dyn Iterator<Item = u64>) -> bool {
    let before = JUDGE.load(Ordering::Relaxed);
    let is_patch = before != 0 && {
        // SAFETY: `run` alone writes here, and it writes a `isolation::Judge`.
        let before = unsafe { core::mem::transmute::<usize, isolation::Judge>(before) };
        before(code)
    };
    is_patch || thread::with_current(|thread| thread.name() == TRIAL).unwrap_or(false)
}

/// Runs the chosen cases of the chosen variants: a variant's name, a case's name or a
/// pattern; all of them if there is none.
pub fn run(variant: Option<&str>, case: Option<&str>) -> Verdict {
    let level = log::max_level();
    let chosen: Vec<_> = (VARIANTS.iter().copied())
        .filter(|one| variant.is_none_or(|name| name == one.name))
        .collect();
    let cases: Vec<_> = (CASES.iter())
        .filter(|one| case.is_none_or(|pattern| bootargs::matches(pattern, one.name)))
        .collect();
    if chosen.is_empty() {
        println!(
            "boot argument `variant={}`: {}",
            variant.unwrap_or(""),
            variants::ChooseError::Unknown
        );
        return Verdict::BadArgument;
    }
    if cases.is_empty() {
        let names: Vec<_> = CASES.iter().map(|case| case.name).collect();
        println!(
            "boot argument `case={}`: names no case; allowed: a pattern with `*`, or one of {}",
            case.unwrap_or(""),
            names.join(", ")
        );
        return Verdict::BadArgument;
    }
    // What patches say of themselves is noise here, unless the log level asks for it.
    if level < LevelFilter::Debug {
        log::set_max_level(LevelFilter::Off);
    }
    fault::set_brief(true);
    let before = isolation::judged_by(judge);
    JUDGE.store(before.map_or(0, |judge| judge as usize), Ordering::Relaxed);

    let mut cells = Vec::new();
    let all = chosen.len() * cases.len();
    for variant in &chosen {
        let start = cells.len();
        judge_variant(variant, &cases, &mut cells, all);
        progress(variant, &cells[start..]);
    }

    if let Some(before) = before {
        let _ = isolation::judged_by(before);
    }
    fault::set_brief(false);
    log::set_max_level(level);
    if let Some(first) = VARIANTS.first() {
        let _ = variants::choose(first.name);
    }
    print_table(&chosen, &cases, &cells);
    print_reasons(&cells);
    if cells.iter().any(Cell::differs) {
        Verdict::ChecksFailed
    } else {
        Verdict::Passed
    }
}

fn judge_variant(
    variant: &'static Variant,
    cases: &[&'static Case],
    cells: &mut Vec<Cell>,
    all: usize,
) {
    let chosen = variants::choose(variant.name);
    let mut ruined = None;
    for &case in cases {
        let cell = match (&chosen, &ruined) {
            (Err(variants::ChooseError::Impossible { reason, .. }), _) => {
                not_here(variant, case, reason)
            }
            (Err(error), _) => failed(variant, case, format!("{error}")),
            (_, Some(by)) => failed(
                variant,
                case,
                format!("not run, {by} has left something behind"),
            ),
            (Ok(_), None) => judge_case(variant, case),
        };
        if ruined.is_none() && chosen.is_ok() && !is_clean() {
            ruined = Some(case.name);
        }
        console::report(&Record::Cell {
            variant: variant.name,
            case: case.name,
            expected: cell.expected,
            observed: cell.observed,
            reason: &cell.reason(),
        });
        cells.push(cell);
        console::report(&Record::Progress {
            what: case.name,
            done: cells.len() as u32,
            of: all as u32,
        });
    }
}

/// Whether nothing of a case is left that others could stumble over.
fn is_clean() -> bool {
    let ours = |module: &loader::Module| {
        matches!(
            &*module.name,
            "cases" | "cases-target" | "cases-module" | "cases-tail"
        )
    };
    livepatch::patches().is_empty() && !loader::loaded().iter().any(|module| ours(module))
}

fn judge_case(variant: &'static Variant, case: &'static Case) -> Cell {
    if let Err(reason) = (case.needs)() {
        return not_here(variant, case, reason);
    }
    if case.by_handler && variant.faults() {
        return not_here(variant, case, "a handler would fault, and end the run");
    }
    let (expected, why) = variant.expectation(case.name);
    let (observed, found) = if case.rests_on_toc && !variant.gives_back_toc {
        (
            Judgement::NotApplicable,
            "compiled code would go on with a wrong r2".into(),
        )
    } else {
        match (case.run)() {
            Ok(found) => (Judgement::Pass, found),
            Err(Finding::Failed(found)) => (Judgement::Fail, found),
            Err(Finding::Refused(found)) => (Judgement::Refused, found),
        }
    };
    Cell {
        variant,
        case,
        expected,
        why,
        observed,
        found,
    }
}

/// A cell that this machine can't tell about.
fn not_here(variant: &'static Variant, case: &'static Case, reason: &'static str) -> Cell {
    Cell {
        variant,
        case,
        expected: Judgement::NotApplicable,
        why: reason,
        observed: Judgement::NotApplicable,
        found: String::new(),
    }
}

fn failed(variant: &'static Variant, case: &'static Case, found: String) -> Cell {
    let (expected, why) = variant.expectation(case.name);
    Cell {
        variant,
        case,
        expected,
        why,
        observed: Judgement::Fail,
        found,
    }
}

fn progress(variant: &Variant, cells: &[Cell]) {
    let count = |judgement| {
        cells
            .iter()
            .filter(|cell| cell.observed == judgement)
            .count()
    };
    let differ = cells.iter().filter(|cell| cell.differs()).count();
    println!(
        "{:<18} {:>2} cases: {:>2} passed, {:>2} failed, {:>2} refused, {:>2} not applicable; {}",
        variant.name,
        cells.len(),
        count(Judgement::Pass),
        count(Judgement::Fail),
        count(Judgement::Refused),
        count(Judgement::NotApplicable),
        match differ {
            0 => Painted(Tone::Good, String::from("all as declared")),
            _ => Painted(Tone::Bad, format!("{differ} not as declared")),
        }
    );
}

fn print_table(variants: &[&Variant], cases: &[&Case], cells: &[Cell]) {
    let _piece = console::piece();
    println!();
    print!("{}", Painted(Tone::Heading, format!("{:<18}", "")));
    for variant in variants {
        print!("  {}", Painted(Tone::Heading, variant.name));
    }
    println!();
    for case in cases {
        print!("{:<18}", case.name);
        for variant in variants {
            let mut row = cells.iter();
            let cell =
                row.find(|cell| cell.variant.name == variant.name && cell.case.name == case.name);
            let Some(cell) = cell else { continue };
            let mark = format!("{}{}", cell.observed, if cell.differs() { "!" } else { "" });
            let padded = format!("{mark:<width$}", width = variant.name.len());
            match (cell.differs(), cell.observed) {
                (true, _) => print!("  {}", Painted(Tone::Bad, padded)),
                (false, Judgement::Pass) => print!("  {}", Painted(Tone::Good, padded)),
                (false, _) => print!("  {padded}"),
            }
        }
        println!();
    }
}

/// Why cells are no passes, and what there is to tell of those that are.
fn print_reasons(cells: &[Cell]) {
    let mut last = "";
    for cell in cells {
        let reason = cell.reason();
        if reason.is_empty() && !cell.differs() {
            continue;
        }
        if cell.variant.name != last {
            last = cell.variant.name;
            println!();
            println!(
                "{}",
                Painted(
                    Tone::Heading,
                    format_args!("{last}: {}", cell.variant.about)
                )
            );
        }
        if cell.differs() {
            let text = format!("{} instead of {}", cell.observed, cell.expected);
            println!(
                "  {:<18} {}: {reason}; the case: {}",
                cell.case.name,
                Painted(Tone::Bad, text),
                cell.case.about
            );
        } else {
            println!("  {:<18} {}: {reason}", cell.case.name, cell.observed);
        }
    }
}
