//! The page of a run, in a real browser: what it shows is what the guests have
//! reported, and every reader can read it.

mod looks;
mod shown;

use crate::browser::Browser;
use crate::harness::{Boot, trial};
use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use xtask::machine::SHOWN;
use xtask::outcome::Outcome;
use xtask::report::cells::Matrix;
use xtask::report::costs::Costs;
use xtask::report::steps::Trace;
use xtask::report::transitions::Demonstration;
use xtask::report::{Report, page};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("report::page", whole),
        trial("report::missing", missing),
    ]
}

/// What a page is made of.
struct Sources {
    demonstration: Vec<Value>,
    matrix: Value,
    costs: Value,
    steps: Value,
}

impl Sources {
    /// A demonstration, and as much of the matrix as has all four judgements. What the
    /// meter and the step write stands here as a form with numbers of its own: their
    /// own tests see to it that the numbers are right.
    fn new() -> Result<Sources> {
        let demonstration = Boot::new("report::demonstration", "icount", "")?
            .cpus(SHOWN)
            .run()?;
        demonstration.expect(&Outcome::Guest(0))?;
        let matrix = Boot::new("report::matrix", "large", "mode=matrix case=*ar*")?.run()?;
        matrix.expect(&Outcome::Guest(0))?;
        Ok(Sources {
            demonstration: demonstration.records,
            matrix: xtask::matrix::cells(&matrix.records),
            costs: costs(),
            steps: steps(),
        })
    }

    fn report(&self) -> Report {
        let lines: Vec<String> = self.demonstration.iter().map(Value::to_string).collect();
        Report {
            variant: "epilogue".into(),
            demonstration: Demonstration::read(&lines.join("\n")).into(),
            matrix: Matrix::read(&self.matrix).into(),
            costs: Costs::read(&self.costs).into(),
            steps: Trace::read(&self.steps).into(),
        }
    }
}

/// Each measure that is documented, of two variants, with a number that is in no other;
/// and rows that belong to no variant, or have an unknown name.
fn costs() -> Value {
    let measures = [
        "rest",
        "traced",
        "traced_regs",
        "transition",
        "settled",
        "site",
        "trampoline",
        "handoff",
        "prologue",
        "return_convention",
        "stack_bytes",
        "code_bytes",
        "cpus_2_ratio",
        "cpus_2_ratio_transition",
        "mca_pwr9",
        "mca_pwr10",
        "unheard_of",
    ];
    let row = |variant, measure, value| json!({"variant": variant, "measure": measure, "unit": "instructions", "value": value});
    let mut rows = vec![
        row(json!(null), "load_1", json!(99_001)),
        row(json!(""), "gap", json!(99_002)),
    ];
    for (number, measure) in (0..).zip(measures) {
        rows.push(row(json!("epilogue"), measure, json!(1000 + number)));
        rows.push(row(
            json!("<b>&amp;"),
            measure,
            json!(2000.5 + f64::from(number)),
        ));
    }
    json!({"schema": 1, "rows": rows})
}

fn steps() -> Value {
    let parts = [
        "caller",
        "site",
        "stub",
        "hand-off",
        "replacement",
        "return convention",
        "home",
    ];
    let step = |(number, part): (u32, &&str)| {
        json!({"variant": "epilogue", "function": "demo::bank::balance", "way": "settled",
            "number": number, "part": part, "count": 1, "address": 0x49_0000 + 4 * number,
            "symbol": format!("place+{number:#x}"), "text": format!("ld r{number}, 8(r1)"),
            "changes": [{"place": format!("r{number}"), "before": "0x0", "after": "0x7f"}],
            "meaning": format!("</td><script>bad({number})</script>"), "wrong": number == 6})
    };
    let steps: Vec<Value> = (1..).zip(&parts).map(step).collect();
    let call = json!({"variant": "epilogue", "function": "demo::bank::balance", "way": "settled",
        "instructions": 4711, "result": "0x815", "findings": "r2 is <lost>"});
    json!({"schema": 1, "steps": steps, "calls": [call]})
}

/// Opens a page.
fn open(report: &Report, label: &str) -> Result<(Browser, PathBuf)> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let file = folder.join(format!("{label}.html"));
    std::fs::write(&file, page::html(report)).with_context(|| file.display().to_string())?;
    let mut browser = Browser::start(&folder.join(format!("{label}.browser")))?;
    browser.open(&file)?;
    Ok((browser, file))
}

/// No error, and nothing asked of a network: the page itself is all that is loaded.
fn quiet(browser: &Browser, file: &Path) -> Result<()> {
    for kind in [
        "Log.entryAdded",
        "Runtime.exceptionThrown",
        "Runtime.consoleAPICalled",
    ] {
        let said = browser.happened(kind).next();
        ensure!(said.is_none(), "{kind}: {said:?}");
    }
    let asked = browser.happened("Network.requestWillBeSent");
    let asked: Vec<&str> = asked
        .filter_map(|event| event["request"]["url"].as_str())
        .collect();
    ensure!(
        asked == [format!("file://{}", file.display())],
        "it asks for {asked:?}"
    );
    Ok(())
}

fn whole() -> Result<()> {
    let sources = Sources::new()?;
    let report = sources.report();
    let problems: Vec<&str> = report.problems().collect();
    ensure!(problems.is_empty(), "{problems:?}");
    let (mut browser, file) = open(&report, "report-page")?;
    quiet(&browser, &file)?;
    shown::every_switch(&mut browser, &sources.demonstration)?;
    shown::every_block(&mut browser, &sources.demonstration)?;
    shown::every_cell(&mut browser, &sources.matrix)?;
    shown::every_number(&mut browser, &sources.costs)?;
    shown::every_step(&mut browser, &sources.steps)?;
    looks::named(&mut browser)?;
    looks::fits(&mut browser)?;
    looks::light_and_dark(&mut browser)?;
    looks::printed(&mut browser)?;
    quiet(&browser, &file)
}

/// What could not be made is said on the page, and what there is can still be read.
fn missing() -> Result<()> {
    let nothing = json!({});
    let report = Report {
        variant: "epilogue".into(),
        demonstration: Demonstration::read("").into(),
        matrix: Matrix::read(&nothing).into(),
        costs: Costs::read(&costs()).into(),
        steps: Trace::read(&nothing).into(),
    };
    let (mut browser, file) = open(&report, "report-missing")?;
    quiet(&browser, &file)?;
    let said = shown::each(
        &mut browser,
        "section > .problem",
        "[e.parentElement.id, e.innerText]",
    )?;
    let sections: Vec<&Value> = said.iter().map(|said| &said[0]).collect();
    ensure!(sections == ["transitions", "matrix", "steps"], "{said:?}");
    let is_told = |said: &Value| {
        said[1]
            .as_str()
            .is_some_and(|text| text.contains("This part is missing."))
    };
    ensure!(said.iter().all(is_told), "{said:?}");
    shown::every_number(&mut browser, &costs())
}
