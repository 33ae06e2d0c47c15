//! `bench`: what things cost, in instructions, what each variant costs, and whether calls on two
//! CPUs get in each other's way; in a table and in a file.

mod mca;
mod table;

pub use table::{LINUX, table};

use crate::image::Image;
use crate::kernel;
use crate::machine::Machine;
use crate::modules::Conventions;
use crate::outcome::Outcome;
use crate::progress::Progress;
use crate::qemu::Qemu;
use crate::{records, tool, variants};
use anyhow::Result;
use klp::Convention;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Where time counts instructions.
pub const MACHINE: &str = "icount";
/// The same with a processor that can do every variant.
pub const NEWER: &str = "icount-power10";
/// Where two CPUs run at the same time: a machine, which can do every variant, and its CPUs.
pub const PARALLEL: (&str, &str) = ("power10", "2");

/// The unit of a ratio, as guests report it.
const HUNDREDTHS: &str = "hundredths";

/// Options of `bench`.
#[derive(Clone, Debug, clap::Args)]
pub struct BenchArgs {
    /// Only what this variant costs
    #[arg(long, value_name = "NAME")]
    pub variant: Option<String>,
}

/// What something costs with a variant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Row {
    /// The variant.
    pub variant: String,
    /// What was measured.
    pub measure: String,
    /// In which unit.
    pub unit: String,
    /// How much.
    pub value: u64,
    /// The most that it may be, if it has a limit.
    pub limit: Option<u64>,
}

impl Row {
    /// Whether it is within its limit.
    #[must_use]
    pub fn fits(&self) -> bool {
        self.limit.is_none_or(|limit| self.value <= limit)
    }

    /// The value for a reader: of a ratio, with its two decimals.
    #[must_use]
    pub fn shown(&self) -> String {
        if self.unit == HUNDREDTHS {
            format!("{}.{:02}", self.value / 100, self.value % 100)
        } else {
            self.value.to_string()
        }
    }
}

/// The file with the costs of the last run.
#[must_use]
pub fn path() -> PathBuf {
    records::kept("bench.json")
}

/// A boot that measures something.
struct Boot {
    machine: &'static str,
    /// Other CPUs than the machine's. They run at the same time, each on a core of the host's.
    cpus: Option<&'static str>,
    append: String,
}

/// The boots that a run takes, for all variants or one of them.
fn boots(variant: Option<&str>, all: &[(String, Convention)]) -> Result<Vec<Boot>> {
    let is_newer = |convention| convention == Convention::Pcrel;
    let of = |name: &str, convention| Boot {
        machine: if is_newer(convention) { NEWER } else { MACHINE },
        cpus: None,
        append: format!("mode=bench variant={name}"),
    };
    let parallel = |append| Boot {
        machine: PARALLEL.0,
        cpus: Some(PARALLEL.1),
        append,
    };
    if let Some(name) = variant {
        let counts = of(name, variants::convention_of(name, all)?);
        let ratio = parallel(format!("mode=throughput variant={name}"));
        return Ok(vec![counts, ratio]);
    }
    let newer = all.iter().filter(|(_, convention)| is_newer(*convention));
    let newer = newer.map(|(name, convention)| of(name, *convention));
    let most = Boot {
        machine: MACHINE,
        cpus: None,
        append: "mode=bench".into(),
    };
    let ratios = parallel("mode=throughput".into());
    Ok([most].into_iter().chain(newer).chain([ratios]).collect())
}

/// Builds the kernel with all modules, measures, prints what was found, and writes the
/// variants' costs to [`path`]. Of several boots that end differently, the first that
/// does not pass counts.
///
/// # Errors
/// When something can't be built, started or written, or there is no such variant.
pub fn bench(args: &BenchArgs) -> Result<Outcome> {
    let kernel = kernel::build(Image::Lab, &Conventions::all())?;
    let all = variants::of(&kernel)?;
    let boots = boots(args.variant.as_deref(), &all)?;
    let progress = Progress::new(boots.len());
    let mut outcome = Outcome::Guest(0);
    let mut records = Vec::new();
    for boot in &boots {
        let (ended, found) = measure(&progress, &kernel, boot, &all)?;
        records.extend(found);
        if outcome.passed() {
            outcome = ended;
        }
    }
    let mut rows = rows(&records);
    if rows.is_empty() {
        progress.say("klplab: no variant was measured");
        return Ok(outcome);
    }
    match estimates(&rows, &records) {
        Ok(estimates) => rows.extend(estimates),
        Err(error) => progress.say(&format!("klplab: no estimate of cycles: {error:#}")),
    }
    let mut text = table(&rows);
    let many = among_many(&records);
    if !many.is_empty() {
        text = text + "\n" + &table::among_many(&many);
    }
    progress.print(&text);
    records::keep(&path(), &file(&rows))?;
    progress.say(&format!("klplab: the costs are in {}", path().display()));
    Ok(outcome)
}

/// Boots a guest that measures. Prints what there is beside the costs of variants, and
/// all that was said if it did not end well.
fn measure(
    progress: &Progress,
    kernel: &Path,
    boot: &Boot,
    all: &[(String, Convention)],
) -> Result<(Outcome, Vec<Value>)> {
    let machine = Machine::find(boot.machine)?.with_cpus(boot.cpus);
    let report = records::path("bench");
    let mut qemu = Qemu::new(machine, kernel, &boot.append).with_modules(&Conventions::all());
    qemu.report = Some(report.clone());
    qemu.spread = boot.cpus.is_some();
    progress.say(&tool::shell_line(&qemu.command()));
    let finished = progress.watch(boot.machine, &qemu, |_| ())?;
    let passed = finished.outcome.passed();
    let shown = if passed {
        general(&finished.transcript, all)
    } else {
        &finished.transcript
    };
    progress.print(shown);
    progress.tell_end(&finished);
    Ok((finished.outcome, records::read(&report)?))
}

/// What a guest prints before the first variant's costs, if that is more than a
/// heading.
fn general<'a>(transcript: &'a str, all: &[(String, Convention)]) -> &'a str {
    let is_variant = |line: &str| all.iter().any(|(name, _)| name == line.trim_end());
    let mut lines = transcript.split_inclusive('\n');
    let end: usize = lines
        .by_ref()
        .take_while(|line| !is_variant(line))
        .map(str::len)
        .sum();
    match transcript[..end].lines().count() {
        0 | 1 => "",
        _ => &transcript[..end],
    }
}

/// The costs among a report's records.
#[must_use]
pub fn rows(records: &[Value]) -> Vec<Row> {
    let row = |record: &Value| {
        Some(Row {
            variant: record["variant"].as_str()?.to_owned(),
            measure: record["measure"].as_str()?.to_owned(),
            unit: record["unit"].as_str()?.to_owned(),
            value: record["value"].as_u64()?,
            limit: record["limit"].as_u64(),
        })
    };
    records::of(records, "cost").filter_map(row).collect()
}

/// What `llvm-mca` says of each variant that was measured.
fn estimates(rows: &[Row], records: &[Value]) -> Result<Vec<Row>> {
    mca::require()?;
    let variants = measured(rows);
    let estimates = variants
        .iter()
        .map(|variant| mca::estimate(records, variant));
    let estimates: Vec<Vec<Row>> = estimates.collect::<Result<_>>()?;
    Ok(estimates.into_iter().flatten().collect())
}

/// The variants that were measured.
fn measured(rows: &[Row]) -> Vec<String> {
    // Cycles are estimated of what was counted.
    let counted = rows.iter().filter(|row| row.measure == "settled");
    counted.map(|row| row.variant.clone()).collect()
}

/// How many functions are patched, and what a settled call of one costs then: `patched_N`
/// among a report's measurements.
#[must_use]
pub fn among_many(records: &[Value]) -> Vec<(u64, u64)> {
    let many = |record: &Value| {
        let functions = record["name"].as_str()?.strip_prefix("patched_")?;
        Some((functions.parse().ok()?, record["value"].as_u64()?))
    };
    records::of(records, "measure").filter_map(many).collect()
}

/// The rows in the form of the file:
/// `{"schema":1,"rows":[{"variant","measure","unit","value"}]}`.
#[must_use]
pub fn file(rows: &[Row]) -> Value {
    let row = |row: &Row| {
        let (unit, value) = if row.unit == HUNDREDTHS {
            ("ratio", json!(row.value as f64 / 100.0))
        } else {
            (row.unit.as_str(), json!(row.value))
        };
        json!({
            "variant": row.variant,
            "measure": row.measure,
            "unit": unit,
            "value": value,
        })
    };
    json!({"schema": 1, "rows": rows.iter().map(row).collect::<Vec<_>>()})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_taken_from_the_report() {
        let records = [
            json!({"event": "measure", "name": "patched_10", "unit": "u", "value": 20}),
            json!({"event": "measure", "name": "patched_10_moving", "unit": "u", "value": 74}),
            json!({"event": "cost", "variant": "v", "measure": "m", "unit": "u", "value": 5,
                "limit": 4}),
            json!({"event": "cost", "variant": "v", "measure": "n", "unit": "u", "value": 5,
                "limit": null}),
            json!({"event": "cost", "variant": "v", "measure": "settled", "unit": "u", "value": 5}),
            json!({"event": "cost", "variant": "v", "measure": "r", "unit": "hundredths",
                "value": 198}),
        ];
        let rows = rows(&records);
        assert_eq!(
            rows.iter().map(Row::fits).collect::<Vec<_>>(),
            [false, true, true, true]
        );
        assert_eq!(rows[3].shown(), "1.98");
        let expected = json!({"schema": 1, "rows": [
            {"variant": "v", "measure": "m", "unit": "u", "value": 5},
            {"variant": "v", "measure": "n", "unit": "u", "value": 5},
            {"variant": "v", "measure": "settled", "unit": "u", "value": 5},
            {"variant": "v", "measure": "r", "unit": "ratio", "value": 1.98},
        ]});
        assert_eq!(file(&rows), expected);
        assert_eq!(measured(&rows), ["v"]);
        assert_eq!(among_many(&records), [(10, 20)]);
    }

    fn known() -> Vec<(String, Convention)> {
        vec![
            ("epilogue".into(), Convention::Epilogue),
            ("pcrel".into(), Convention::Pcrel),
        ]
    }

    #[test]
    fn each_variant_is_measured_where_it_can_be() {
        let all = boots(None, &known()).unwrap();
        let lines: Vec<_> = (all.iter())
            .map(|boot| (boot.machine, boot.append.as_str()))
            .collect();
        assert_eq!(
            lines,
            [
                (MACHINE, "mode=bench"),
                (NEWER, "mode=bench variant=pcrel"),
                (PARALLEL.0, "mode=throughput")
            ]
        );
        assert_eq!(all[2].cpus, Some(PARALLEL.1));
        let one = boots(Some("epilogue"), &known()).unwrap();
        assert_eq!(one.len(), 2);
        assert_eq!(one[0].append, "mode=bench variant=epilogue");
        assert_eq!(one[1].append, "mode=throughput variant=epilogue");
        assert!(boots(Some("missing"), &known()).is_err());
    }

    #[test]
    fn only_what_comes_before_the_variants_is_shown() {
        let transcript = "heading\n  rest 2\nepilogue\n  rest 2\nEXIT: STATUS=0\n";
        assert_eq!(general(transcript, &known()), "heading\n  rest 2\n");
        assert_eq!(general("heading\npcrel\n  rest 2\n", &known()), "");
    }
}
