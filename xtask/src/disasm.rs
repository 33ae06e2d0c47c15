//! `disasm`: the kernel's code, as objdump prints it.

use crate::{symbols, tool};
use anyhow::{Result, bail, ensure};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use symtab::{Kind, SymbolSpec};

/// Prints the disassembly of a kernel, or of those functions that have `part` in their
/// name, mangled or not.
///
/// # Errors
/// When there is no such function, or objdump fails.
pub fn disasm(kernel: &Path, part: Option<&str>) -> Result<()> {
    let Some(part) = part else {
        return objdump(kernel, &[]);
    };
    let symbols = symbols::read(&tool::read_file(kernel)?)?;
    let mut functions: Vec<&SymbolSpec> = symbols.iter().filter(|s| matches(s, part)).collect();
    ensure!(
        !functions.is_empty(),
        "the kernel has no function with `{part}` in its name"
    );
    // One function may have several names.
    functions.sort_by_key(|function| function.address);
    functions.dedup_by_key(|function| function.address);
    for function in functions {
        // A function from assembly may have no size; its first words are shown.
        let stop = function.address.saturating_add(function.size.max(16));
        objdump(
            kernel,
            &[
                format!("--start-address={:#x}", function.address),
                format!("--stop-address={stop:#x}"),
            ],
        )?;
    }
    Ok(())
}

fn matches(symbol: &SymbolSpec, part: &str) -> bool {
    let readable = format!("{:#}", rustc_demangle::demangle(&symbol.name));
    symbol.kind == Kind::Function && (symbol.name.contains(part) || readable.contains(part))
}

fn objdump(kernel: &Path, range: &[String]) -> Result<()> {
    /// Number of the signal that ends a program when its reader has gone.
    const SIGPIPE: i32 = 13;
    let program = tool::cross("objdump");
    let mut command = Command::new(&program);
    command
        .args(["--disassemble", "--demangle", "--no-show-raw-insn"])
        .args(range)
        .arg(kernel);
    let status = tool::status(&mut command)?;
    if !status.success() && status.signal() != Some(SIGPIPE) {
        bail!("`{program}` failed ({status})");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_found_by_either_name() {
        let mut symbol = SymbolSpec {
            name: "_RNvC6kernel4main".into(),
            address: 0,
            size: 4,
            kind: Kind::Function,
            local_entry: 0,
            global: true,
        };
        assert!(matches(&symbol, "kernel::main"));
        assert!(matches(&symbol, "C6kernel"));
        assert!(!matches(&symbol, "kernel::other"));
        symbol.kind = Kind::Object;
        assert!(!matches(&symbol, "kernel::main"));
    }
}
