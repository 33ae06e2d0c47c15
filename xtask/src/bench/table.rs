//! The costs as a table, and as bars.

use super::Row;
use std::fmt::Write as _;

/// What a terminal has at least.
pub const COLUMNS: usize = 100;

/// What a call of a patched function costs more in Linux 6.1, for as long as it is
/// patched; and each further patched function adds to it. Cited, not measured.
pub const LINUX: u64 = 265;
const LINUX_EACH: u64 = 62;

/// The parts of a settled call, and the character that stands for an instruction of
/// each.
const PARTS: [(&str, char); 5] = [
    ("site", '·'),
    ("trampoline", '░'),
    ("handoff", '▒'),
    ("prologue", '▓'),
    ("return_convention", '█'),
];

/// What marks an estimate.
const ESTIMATE: char = '~';

/// Characters of the longest bar.
const BAR: usize = 64;

/// Characters of a name in front of a bar.
const NAME: usize = 20;

/// All of it.
#[must_use]
pub fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "instructions added to the same call unpatched, and bytes; (≤n) is the limit; cpus_2_ratio:\n\
         calls of two CPUs in the time in which one makes one, settled and in a transition\n",
    );
    let variants = names(rows, |row| &row.variant);
    let measures = names(rows, |row| &row.measure);
    let first = { measures.iter() }
        .map(|name| label(rows, name).len())
        .max();
    let first = first.unwrap_or(0);
    let mut rest = &variants[..];
    while !rest.is_empty() {
        // As many as fit.
        let mut width = first;
        let fits = |variant: &&&str| {
            width += 2 + width_of(rows, variant, &measures);
            width <= COLUMNS
        };
        let count = rest.iter().take_while(fits).count().max(1);
        block(&mut text, rows, &rest[..count], &measures, first);
        rest = &rest[count..];
    }
    if rows.iter().any(|row| row.unit.contains("estimate")) {
        let _ = writeln!(
            text,
            "{ESTIMATE} cycles of a settled call from the site to its return, estimated by llvm-mca"
        );
    }
    for measure in ["settled", "transition"] {
        bars(&mut text, rows, &variants, measure);
    }
    parts(&mut text, rows, &variants);
    text
}

/// Says whether a call costs the same however many functions are patched, going by the
/// records of the guest that has measured that.
#[must_use]
pub fn among_many(costs: &[(u64, u64)]) -> String {
    let list: Vec<String> = costs
        .iter()
        .map(|(functions, cost)| format!("{cost} with {functions}"))
        .collect();
    format!(
        "a settled call by how many functions are patched: {}\n\
         Linux 6.1 (cited): {LINUX}, and {LINUX_EACH} more for each further function\n",
        list.join(", ")
    )
}

/// What the rows have under a heading, each once, in the order in which they come.
fn names<'a>(rows: &'a [Row], of: impl Fn(&'a Row) -> &'a String) -> Vec<&'a str> {
    let mut names: Vec<&str> = Vec::new();
    for row in rows {
        if !names.contains(&of(row).as_str()) {
            names.push(of(row));
        }
    }
    names
}

fn find<'a>(rows: &'a [Row], variant: &str, measure: &str) -> Option<&'a Row> {
    rows.iter()
        .find(|row| row.variant == variant && row.measure == measure)
}

/// A measure's name, with a mark if it is estimated.
fn label(rows: &[Row], measure: &str) -> String {
    let mut rows = rows.iter();
    match rows.find(|row| row.measure == measure) {
        Some(row) if row.unit.contains("estimate") => format!("{measure} {ESTIMATE}"),
        _ => measure.to_owned(),
    }
}

/// A value with its limit, and a mark if it is beyond.
fn cell(rows: &[Row], variant: &str, measure: &str) -> String {
    match find(rows, variant, measure) {
        None => "-".into(),
        Some(row) => match row.limit {
            None => row.shown(),
            Some(limit) => {
                let mark = if row.fits() { "" } else { "!" };
                format!("{} (≤{limit}){mark}", row.shown())
            }
        },
    }
}

fn width_of(rows: &[Row], variant: &str, measures: &[&str]) -> usize {
    let cells = measures
        .iter()
        .map(|measure| cell(rows, variant, measure).chars().count());
    cells.max().unwrap_or(0).max(variant.len())
}

fn block(text: &mut String, rows: &[Row], variants: &[&str], measures: &[&str], first: usize) {
    let widths: Vec<usize> = (variants.iter())
        .map(|variant| width_of(rows, variant, measures))
        .collect();
    let line = |text: &mut String, name: &str, cells: Vec<String>| {
        let _ = write!(text, "{name:<first$}");
        for (cell, width) in cells.iter().zip(&widths) {
            let _ = write!(text, "  {cell:>width$}");
        }
        text.push('\n');
    };
    text.push('\n');
    let heading = variants.iter().map(|variant| (*variant).to_owned());
    line(text, "", heading.collect());
    for measure in measures {
        let cells = variants.iter().map(|variant| cell(rows, variant, measure));
        line(text, &label(rows, measure), cells.collect());
    }
}

/// A measure of all variants, with Linux's for comparison.
fn bars(text: &mut String, rows: &[Row], variants: &[&str], measure: &str) {
    let value = |variant: &str| find(rows, variant, measure).map(|row| row.value);
    let values = variants.iter().map(|variant| (*variant, value(variant)));
    let values = values.filter_map(|(variant, value)| Some((variant, value?)));
    let mut values: Vec<(&str, u64)> = values.collect();
    if values.is_empty() {
        return;
    }
    values.push(("Linux 6.1 (cited)", LINUX));
    let largest = values.iter().map(|(_, value)| *value).max().unwrap_or(0);
    let _ = writeln!(text, "\n{measure}");
    for (name, value) in values {
        let _ = writeln!(text, "  {name:<NAME$} {value:>4}  {}", bar(value, largest));
    }
}

/// A bar in eighths of a character.
fn bar(value: u64, largest: u64) -> String {
    const EIGHTHS: [char; 7] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    let eighths = (value * 8 * BAR as u64).div_ceil(largest.max(1)) as usize;
    let mut bar = "█".repeat(eighths / 8);
    bar.extend((eighths % 8).checked_sub(1).map(|index| EIGHTHS[index]));
    bar
}

/// What a settled call is made of.
fn parts(text: &mut String, rows: &[Row], variants: &[&str]) {
    let legend: Vec<String> = PARTS
        .iter()
        .filter(|(part, _)| rows.iter().any(|row| row.measure == *part && row.value > 0))
        .map(|(part, character)| format!("{character} {part}"))
        .collect();
    if legend.is_empty() {
        return;
    }
    let _ = writeln!(text, "\nsettled, by instruction: {}", legend.join("  "));
    for variant in variants {
        let count = |part| find(rows, variant, part).map_or(0, |row| row.value);
        let all: u64 = PARTS.iter().map(|(part, _)| count(part)).sum();
        let each = (all as usize).div_ceil(BAR).max(1);
        let bar: String = PARTS
            .iter()
            .flat_map(|&(part, character)| {
                std::iter::repeat_n(character, (count(part) as usize).div_ceil(each))
            })
            .collect();
        let _ = writeln!(text, "  {variant:<NAME$} {all:>4}  {bar}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(variant: &str, measure: &str, value: u64, limit: Option<u64>) -> Row {
        Row {
            variant: variant.into(),
            measure: measure.into(),
            unit: "instructions".into(),
            value,
            limit,
        }
    }

    #[test]
    fn values_stand_under_their_variants_with_their_limits() {
        let rows = [
            row("one", "settled", 20, Some(20)),
            row("one", "trampoline", 20, None),
            row("two", "settled", 36, Some(34)),
        ];
        let table = table(&rows);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines[3], "                 one        two");
        assert_eq!(lines[4], "settled     20 (≤20)  36 (≤34)!");
        assert_eq!(lines[5], "trampoline        20          -");
        assert!(
            table.contains("settled, by instruction: ░ trampoline\n"),
            "{table}"
        );
        assert!(
            table.contains(&format!(" 20  {}\n", "░".repeat(20))),
            "{table}"
        );
    }

    #[test]
    fn no_line_is_too_long_however_many_variants_there_are() {
        let variants: Vec<String> = (0..20).map(|n| format!("a-long-name-{n}")).collect();
        let rows: Vec<Row> = variants
            .iter()
            .flat_map(|variant| {
                ["settled", "transition", "prologue"].map(|measure| (variant, measure))
            })
            .map(|(variant, measure)| row(variant, measure, 12345, Some(12344)))
            .collect();
        let table = table(&rows);
        for line in table.lines() {
            assert!(line.chars().count() <= COLUMNS, "{line}");
        }
        for variant in &variants {
            assert!(table.contains(variant.as_str()), "{variant}");
        }
    }

    #[test]
    fn bars_are_in_proportion() {
        assert_eq!(bar(0, 10), "");
        assert_eq!(bar(10, 10), "█".repeat(BAR));
        assert_eq!(bar(5, 10), "█".repeat(BAR / 2));
        assert_eq!(bar(1, 8 * BAR as u64), "▏");
        assert_eq!(bar(15, 8 * BAR as u64), "█▉");
    }
}
