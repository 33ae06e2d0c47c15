//! Exercise 11: a variant that the matrix judges.

use super::Verdict;
use super::guest::{self, Seen};
use crate::image::Image;
use crate::modules::Conventions;
use crate::outcome::Outcome;
use crate::{kernel, matrix, records, tool};
use anyhow::Result;
use klp::Convention;
use serde_json::Value;

/// Cases that a variant must pass to be one, whatever it declares.
const MUST: [&str; 7] = [
    "r2-local-rust",
    "r2-local-c",
    "r2-pointer",
    "registers",
    "arguments-8",
    "calls-kernel",
    "interrupt",
];

/// Judges the new variants that a guest has told of.
///
/// # Errors
/// When a guest can't be started.
pub fn judge(seen: &Seen) -> Result<Verdict> {
    let mut found = String::new();
    let new = seen.events("measure").filter_map(|record| {
        let convention = Convention::from_name(record["unit"].as_str()?)?;
        Some((record["name"].as_str()?, convention))
    });
    for (name, convention) in new {
        let conventions: Conventions = [convention].into_iter().collect();
        let kernel = match kernel::build(Image::Lab, &conventions) {
            Ok(kernel) => kernel,
            Err(error) => {
                return Ok(Err(format!(
                    "expected: modules of the convention `{}`; found: {error:#}",
                    convention.name()
                )));
            }
        };
        let append = format!("mode=matrix variant={name} log=warn");
        let (outcome, records, printed) =
            guest::run(matrix::MACHINE, &kernel, &append, &conventions)?;
        tool::replace_file(&guest::transcript_path(), printed.as_bytes())?;
        match judge_cells(name, &outcome, &records) {
            Ok(line) => found += &line,
            Err(why) => return Ok(Err(why)),
        }
    }
    if found.is_empty() {
        return Ok(Err("the guest has told of no new variant".into()));
    }
    Ok(Ok(found))
}

/// Judges a variant's cells.
fn judge_cells(name: &str, outcome: &Outcome, records: &[Value]) -> Verdict {
    let cells: Vec<&Value> = records::of(records, "cell").collect();
    let text = |cell: &Value, field: &str| cell[field].as_str().unwrap_or_default().to_owned();
    let is_bad = |cell: &&&Value| {
        let must = MUST.contains(&text(cell, "case").as_str());
        cell["observed"] != cell["expected"] || (must && cell["observed"] != "pass")
    };
    if let Some(cell) = cells.iter().find(is_bad) {
        let (case, observed) = (text(cell, "case"), text(cell, "observed"));
        let (expected, reason) = (text(cell, "expected"), text(cell, "reason"));
        let asked = if observed == expected {
            "pass, as any variant must".to_owned()
        } else {
            format!("{expected}, as `{name}` declares")
        };
        let more = cells.iter().filter(is_bad).count() - 1;
        return Err(format!(
            "expected: in the case `{case}`, {asked}; found: {observed}: {reason}\n\
             {more} other cells are not as they should be: `make matrix VARIANT={name}` shows all"
        ));
    }
    let missing = MUST
        .iter()
        .find(|case| !cells.iter().any(|cell| cell["case"] == **case));
    if let (false, _) | (_, Some(_)) = (outcome.passed(), missing) {
        return Err(format!(
            "expected: the matrix judges `{name}`; found: {outcome}, after {} cells; \
             `make matrix VARIANT={name}` shows more",
            cells.len()
        ));
    }
    let passed = cells.iter().filter(|cell| cell["observed"] == "pass");
    let declared: Vec<String> = cells
        .iter()
        .filter(|cell| cell["observed"] != "pass")
        .map(|cell| text(cell, "case"))
        .collect();
    let others = match declared.as_slice() {
        [] => "no exceptions".into(),
        cases => format!("declared exceptions: {}", cases.join(", ")),
    };
    Ok(format!(
        "\n    {name}: {} of {} cases passed; {others}",
        passed.count(),
        cells.len()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn cell(case: &str, expected: &str, observed: &str) -> Value {
        json!({"event": "cell", "variant": "v", "case": case, "expected": expected,
            "observed": observed, "reason": "so it is"})
    }

    #[test]
    fn cells_must_be_as_declared_and_some_must_pass() {
        let all = || MUST.map(|case| cell(case, "pass", "pass")).to_vec();
        let passed = Outcome::Guest(0);
        let mut cells = all();
        cells.push(cell("tail-call-out", "fail", "fail"));
        let found = judge_cells("v", &passed, &cells).unwrap();
        assert_eq!(
            found,
            "\n    v: 7 of 8 cases passed; declared exceptions: tail-call-out"
        );

        cells.push(cell("leaf", "pass", "fail"));
        let why = judge_cells("v", &Outcome::Guest(1), &cells).unwrap_err();
        assert!(
            why.starts_with(
                "expected: in the case `leaf`, pass, as `v` declares; found: fail: so it is"
            ),
            "{why}"
        );

        let mut cells = all();
        cells[0] = cell(MUST[0], "fail", "fail");
        let why = judge_cells("v", &passed, &cells).unwrap_err();
        assert!(why.contains("pass, as any variant must"), "{why}");

        let why = judge_cells("v", &passed, &all()[1..]).unwrap_err();
        assert!(why.contains("after 6 cells"), "{why}");
        let why = judge_cells("v", &Outcome::NoVerdict, &all()).unwrap_err();
        assert!(why.contains("not a verdict"), "{why}");
    }
}
