//! What `llvm-mca` makes of a settled call: cycles, by LLVM's model of a processor. An
//! estimate: all loads hit, all branches are foreseen, nothing else runs.

use super::Row;
use crate::{records, tool};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// Disassembles, for `llvm-mca` takes text.
const MC: &str = "llvm-mc";
const MCA: &str = "llvm-mca";

const TRIPLE: &str = "powerpc64le-unknown-linux-gnu";

/// LLVM's names of processors, and what is measured by them.
pub const PROCESSORS: [(&str, &str); 2] = [("pwr9", "mca_pwr9"), ("pwr10", "mca_pwr10")];

/// So many calls, one after the other.
const CALLS: u64 = 100;

/// Checks that the tools are there.
///
/// # Errors
/// When one is not installed.
pub fn require() -> Result<()> {
    let installed = |tool| tool::require(tool).is_ok();
    for tool in [MCA, MC] {
        ensure!(installed(tool), "`{tool}` is not installed");
    }
    Ok(())
}

/// Estimates the cycles of a settled call, from the records of its instructions.
///
/// # Errors
/// When a tool fails, or says something else than expected.
pub fn estimate(records: &[Value], variant: &str) -> Result<Vec<Row>> {
    let path = words(records, variant);
    ensure!(
        !path.is_empty(),
        "{variant}: the settled call is not in the report"
    );
    let folder = tool::target_dir().join("klplab");
    let (words, text) = (
        folder.join(format!("path-{variant}.hex")),
        folder.join(format!("path-{variant}.s")),
    );
    tool::replace_file(&words, as_bytes(&path).as_bytes())?;
    let mut disassemble = Command::new(MC);
    disassemble.args(["--disassemble", "--triple", TRIPLE, "--mcpu=pwr10"]);
    let listing = output(disassemble.arg(&words))?;
    tool::replace_file(&text, listing.as_bytes())?;
    let row = |(processor, measure): (&str, &str)| {
        Ok(Row {
            variant: variant.to_owned(),
            measure: measure.to_owned(),
            unit: "cycles (estimate)".to_owned(),
            value: cycles(&text, processor)?,
            limit: None,
        })
    };
    PROCESSORS.into_iter().map(row).collect()
}

/// The instructions of a settled call. A branch that links is one that does not: for a
/// call, LLVM would add what it takes a called function to cost.
fn words(records: &[Value], variant: &str) -> Vec<u32> {
    const OPCODE: u32 = 0x3f << 26;
    const BRANCH: u32 = 18 << 26;
    let own = records::of(records, "path").filter(|record| record["variant"] == variant);
    let words = own.filter_map(|record| record["word"].as_u64()?.try_into().ok());
    let unlinked = |word: u32| {
        if word & OPCODE == BRANCH {
            word & !1
        } else {
            word
        }
    };
    words.map(unlinked).collect()
}

/// Words as the disassembler reads them: bytes, the lowest first.
fn as_bytes(words: &[u32]) -> String {
    let line = |word: &u32| {
        let bytes = word.to_le_bytes().map(|byte| format!("{byte:#04x}"));
        bytes.join(" ") + "\n"
    };
    words.iter().map(line).collect()
}

/// Cycles of one call among many, rounded.
fn cycles(text: &Path, processor: &str) -> Result<u64> {
    let mut command = Command::new(MCA);
    command.arg(format!("--mcpu={processor}"));
    command.arg(format!("--iterations={CALLS}"));
    let said = output(command.args(["--mtriple", TRIPLE]).arg(text))?;
    let total = total(&said).with_context(|| format!("{MCA} names no cycles: {said}"))?;
    Ok((total + CALLS / 2) / CALLS)
}

fn total(said: &str) -> Option<u64> {
    let mut lines = said.lines();
    let total = lines.find_map(|line| line.strip_prefix("Total Cycles:"))?;
    total.trim().parse().ok()
}

/// What a tool prints.
fn output(command: &mut Command) -> Result<String> {
    let output = tool::output(command)?;
    let name = command.get_program().to_string_lossy().into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{name} failed: {complaint}");
    // It goes on without an instruction, or a processor, that it does not know.
    let is_lost = ["invalid", "not a recognized"].map(|what| complaint.contains(what));
    ensure!(is_lost == [false; 2], "{name}: {complaint}");
    String::from_utf8(output.stdout).with_context(|| format!("{name} prints no text"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_path_is_the_variants_own_and_links_nowhere() {
        let path =
            |variant: &str, word: u32| json!({"event": "path", "variant": variant, "word": word});
        let records = [
            path("a", 0x7c08_02a6),
            path("b", 0x6000_0000),
            json!({"event": "cost", "variant": "a", "word": 1}),
            path("a", 0x4800_0009),
            path("a", 0x3800_0001),
        ];
        let words = words(&records, "a");
        assert_eq!(words, [0x7c08_02a6, 0x4800_0008, 0x3800_0001]);
        assert_eq!(as_bytes(&words[..1]), "0xa6 0x02 0x08 0x7c\n");
    }

    #[test]
    fn the_total_is_found() {
        let said = "Iterations:        100\nTotal Cycles:      1308\nTotal uOps: 5\n";
        assert_eq!(total(said), Some(1308));
        assert_eq!(total("Iterations: 100\n"), None);
    }
}
