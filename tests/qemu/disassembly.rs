//! The kernel's own disassembler against objdump, on the kernel's own code.
//!
//! Both texts of a word are brought to one form and compared. What the two may
//! spell differently is in [`canonical`] and [`base`], each with its reason,
//! and nothing else is.

use crate::harness::trial;
use anyhow::{Context, Result, ensure};
use disasm::Line;
use libtest_mimic::Trial;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use xtask::image::Image;
use xtask::modules::Conventions;
use xtask::tool;

/// Of this many words one may be shown as data.
const KNOWN: usize = 100;
/// Differences to print.
const SHOWN: usize = 20;

pub fn trials() -> Vec<Trial> {
    vec![trial("disassembly::matches_binutils", matches_binutils)]
}

fn matches_binutils() -> Result<()> {
    let mut words = objdump(&xtask::kernel::build(Image::Klplab, &Conventions::usual())?)?;
    // The linker's filling between functions, which both show as data.
    words.retain(|(line, theirs)| line.word != 0 || theirs != ".long 0x0");
    ensure!(words.len() > 10_000, "only {} words of code", words.len());
    let mut data = BTreeMap::<u32, usize>::new();
    let mut differences = Vec::new();
    for (line, theirs) in &words {
        let ours = line.to_string();
        if !line.is_known() {
            *data.entry(line.word >> 26).or_default() += 1;
        } else if !same(line.word, &ours, theirs) {
            let Line { address, word } = line;
            differences.push(format!("{address:#x}: {word:#010x}: {ours} | {theirs}"));
        }
    }
    ensure!(
        differences.is_empty(),
        "{} of {} words differ, such as (disasm | objdump):\n{}",
        differences.len(),
        words.len(),
        differences[..differences.len().min(SHOWN)].join("\n")
    );
    let count: usize = data.values().sum();
    let share = format!(
        "{count} of {} words shown as data; by opcode: {data:?}",
        words.len()
    );
    ensure!(count * KNOWN < words.len(), "{share}");
    println!("{share}");
    Ok(())
}

/// Every word of `.text`, with what objdump shows for it.
fn objdump(kernel: &Path) -> Result<Vec<(Line, String)>> {
    let program = tool::cross("objdump");
    tool::require(&program)?;
    let mut command = Command::new(&program);
    command.args(["--disassemble", "--disassemble-zeroes", "--section=.text"]);
    let output = tool::output(command.arg(kernel).env("LC_ALL", "C"))?;
    ensure!(
        output.status.success(),
        "`{program}` failed ({})",
        output.status
    );
    let mut words = Vec::<(Line, String)>::new();
    for text in String::from_utf8(output.stdout)?.lines() {
        // An instruction is `ADDRESS:\tBYTES\tTEXT`; headings have no tab.
        let Some((address, rest)) = text.split_once('\t') else {
            continue;
        };
        let (line, text) =
            instruction(address, rest).with_context(|| format!("objdump: {text:?}"))?;
        if let Some((before, _)) = words.last() {
            let expected = before.address + 4;
            ensure!(line.address == expected, "objdump leaves out {expected:#x}");
        }
        words.push((line, text));
    }
    Ok(words)
}

fn instruction(address: &str, rest: &str) -> Result<(Line, String)> {
    let (bytes, text) = rest.split_once('\t').context("no text")?;
    let address = u64::from_str_radix(address.trim().trim_end_matches(':'), 16)?;
    let bytes: Vec<u8> = bytes
        .split_whitespace()
        .map(|byte| u8::from_str_radix(byte, 16))
        .collect::<Result<_, _>>()?;
    let word = u32::from_le_bytes(bytes.as_slice().try_into().context("not one word")?);
    Ok((Line::new(address, word), text.to_owned()))
}

/// Whether the two texts of a word say the same.
fn same(word: u32, ours: &str, theirs: &str) -> bool {
    // The ISA calls a load with update invalid if its base is r0 or its target
    // (Book I, 3.3.2). objdump shows data then, and disasm what it would be.
    // It happens in the entry's code for big endian, which is data here.
    let (opcode, target, base) = (word >> 26, word >> 21 & 31, word >> 16 & 31);
    let invalid = matches!(opcode, 33 | 35 | 41 | 43) && (base == 0 || base == target);
    if invalid && theirs.starts_with(".long") {
        return true;
    }
    canonical(word, ours) == canonical(word, theirs)
}

/// Mnemonic and operands of a word's text, free of what is only spelling.
fn canonical(word: u32, text: &str) -> (String, Vec<String>) {
    let text = text.trim();
    let (mnemonic, operands) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    // `8(r1)` is two operands.
    let mut operands: Vec<&str> = operands
        .split([',', '('])
        .map(|operand| operand.trim().trim_end_matches(')'))
        .filter(|operand| !operand.is_empty())
        .collect();
    // objdump shows a branch's target without 0x and with a name behind it.
    let target = operands.pop_if(|_| matches!(word >> 26, 16 | 18));
    let target = target.and_then(|text| text.split_whitespace().next());
    let target = target.map(|hex| format!("to {}", hex.trim_start_matches("0x")));
    let operands = operands
        .into_iter()
        .map(operand_value)
        .chain(target)
        .collect();
    let (stem, record) = match mnemonic.strip_suffix('.') {
        Some(stem) => (stem, "."),
        None => (mnemonic, ""),
    };
    let (stem, operands) = base(stem, operands);
    (format!("{stem}{record}"), operands)
}

/// An operand's value: numbers in decimal, registers as bare numbers, as
/// objdump writes `0` for an r0 that means the number 0; bits of the condition
/// register as `cr5so`, for disasm's `cr5un` and objdump's `4*cr5+so`.
fn operand_value(operand: &str) -> String {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    for register in ["cr", "r", "f"] {
        if let Some(number) = operand.strip_prefix(register)
            && is_number(number)
        {
            return number.to_owned();
        }
    }
    let (sign, digits) = match operand.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", operand),
    };
    if let Some(Ok(value)) = digits
        .strip_prefix("0x")
        .map(|hex| u64::from_str_radix(hex, 16))
    {
        return format!("{sign}{value}");
    }
    if operand == "PVR" {
        // The one register that disasm names and has no mnemonic for.
        return "287".into();
    }
    if let Some(bit) = operand.strip_suffix("un") {
        return format!("{bit}so");
    }
    operand.replace("4*", "").replace('+', "")
}

/// The basic form of an instruction that one of the two shows as that and the
/// other not, or that each simplifies in its own way. Others stay as they are.
fn base(mnemonic: &str, operands: Vec<String>) -> (String, Vec<String>) {
    let numbers: Vec<i64> = operands.iter().filter_map(|o| o.parse().ok()).collect();
    let (name, values) = match (mnemonic, &*numbers) {
        // disasm knows the rotations of doublewords only in their basic form.
        ("clrldi", &[a, s, n]) => ("rldicl", vec![a, s, 0, n]),
        ("srdi", &[a, s, n]) => ("rldicl", vec![a, s, 64 - n, n]),
        ("rotldi", &[a, s, n]) => ("rldicl", vec![a, s, n, 0]),
        ("sldi", &[a, s, n]) => ("rldicr", vec![a, s, n, 63 - n]),
        ("clrrdi", &[a, s, n]) => ("rldicr", vec![a, s, 0, 63 - n]),
        // Of words it has more simplified forms than objdump.
        ("extrwi", &[a, s, n, b]) => ("rlwinm", vec![a, s, (b + n) % 32, 32 - n, 31]),
        ("extlwi", &[a, s, n, b]) => ("rlwinm", vec![a, s, b, 0, n - 1]),
        ("clrlslwi", &[a, s, b, n]) => ("rlwinm", vec![a, s, n, b - n, 31 - n]),
        ("rotrwi", &[a, s, n]) => ("rlwinm", vec![a, s, 32 - n, 0, 31]),
        ("rotlwi", &[a, s, n]) => ("rlwinm", vec![a, s, n, 0, 31]),
        ("slwi", &[a, s, n]) => ("rlwinm", vec![a, s, n, 0, 31 - n]),
        ("srwi", &[a, s, n]) => ("rlwinm", vec![a, s, 32 - n, n, 31]),
        ("clrlwi", &[a, s, n]) => ("rlwinm", vec![a, s, 0, n, 31]),
        ("clrrwi", &[a, s, n]) => ("rlwinm", vec![a, s, 0, 0, 31 - n]),
        // It subtracts where objdump adds a negative number.
        ("subi", &[t, a, n]) => ("addi", vec![t, a, -n]),
        ("subis", &[t, a, n]) => ("addis", vec![t, a, -n]),
        ("subic", &[t, a, n]) => ("addic", vec![t, a, -n]),
        // It shows some upper halves as they are, objdump all with a sign.
        ("lis", &[t, n]) => ("lis", vec![t, i64::from(n as i16)]),
        ("addis", &[t, a, n]) => ("addis", vec![t, a, i64::from(n as i16)]),
        // Only objdump has these.
        ("not", &[a, s]) => ("nor", vec![a, s, s]),
        ("mtcr", &[s]) => ("mtcrf", vec![255, s]),
        ("mtmsrd", &[s]) => ("mtmsrd", vec![s, 0]),
        ("hwsync", _) => ("sync", vec![]),
        ("isellt" | "iselgt" | "iseleq", _) => {
            let (name, bit) = mnemonic.split_at(4);
            return (name.into(), [operands, vec![bit.into()]].concat());
        }
        (_, &[gpr]) if let Some((name, number)) = special(mnemonic) => match name {
            "mfspr" => (name, vec![gpr, number]),
            _ => (name, vec![number, gpr]),
        },
        _ => return (mnemonic.into(), operands),
    };
    (name.into(), values.iter().map(i64::to_string).collect())
}

/// The basic mnemonic for objdump's `mfNAME` or `mtNAME`, and the number of the
/// special-purpose register, where disasm shows that number.
fn special(mnemonic: &str) -> Option<(&'static str, i64)> {
    const NUMBERS: [(&str, i64); 6] = [
        ("dscr", 17),
        ("cfar", 28),
        ("fscr", 153),
        ("tb", 268),
        ("pvr", 287),
        ("tar", 815),
    ];
    let (moves, name) = mnemonic.split_at_checked(2)?;
    let basic = match moves {
        "mf" => "mfspr",
        "mt" => "mtspr",
        _ => return None,
    };
    let (_, number) = NUMBERS.iter().find(|(known, _)| *known == name)?;
    Some((basic, *number))
}
