//! Code: symbols, disassembly, sites.

use super::{Command, Kind};
use crate::{
    error::{CommandError, Outcome},
    interpret::Session,
    names::{self, Function},
    output::Out,
};
use alloc::{format, string::String, vec::Vec};
use core::{fmt::Write, ops::ControlFlow};
use disasm::Line;
use machine::{
    console::{Painted, Tone},
    symbols::{self, Place},
    text,
};
use ppc64::insn;
use symtab::Kind as SymbolKind;

/// The family.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "sym",
        arguments: "NAME|ADDRESS",
        count: (1, 1),
        about: "finds symbols by a part of their name, or what lies at an address",
        more: "An address begins with 0x.",
        example: "sym bank::balance",
        kinds: &[Kind::Function],
        run: sym,
        is_table: true,
        ..Command::BASIC
    },
    Command {
        name: "dis",
        arguments: "FUNCTION",
        count: (1, 1),
        about: "shows a function's code as it is now, and what of it has changed",
        more: "A function is a path, the end of one behind `::`, or an address in it. The word of its site, which toggles, is marked; a word that is not as at boot has a `*`, and what it was. Calls that take the short way to a replacement go through a stub, which is shown too.",
        example: "enable two_percent; dis balance",
        kinds: &[Kind::Function],
        run: dis,
        is_table: true,
        ..Command::BASIC
    },
    Command {
        name: "sites",
        arguments: "[PATTERN]",
        count: (0, 1),
        about: "lists the functions that can be traced and replaced, and what is attached",
        more: "Without a pattern, those alone that something is attached to. `*` stands for anything.",
        example: "sites demo::bank::*",
        kinds: &[Kind::Site],
        run: sites,
        is_table: true,
        ..Command::BASIC
    },
];

/// The kernel's code when the shell began: every site at rest, and nothing attached.
static AT_BOOT: spin::Once<Vec<u32>> = spin::Once::new();

/// Keeps a copy of the kernel's code.
pub fn remember_text() {
    AT_BOOT.call_once(|| {
        let range = text::kernel_text();
        (range.start..range.end)
            .step_by(4)
            .map(text::read)
            .collect()
    });
}

/// Whether the kernel's code is as it was, and if not, where it differs first.
pub fn compare_text() -> Result<(), String> {
    let range = text::kernel_text();
    let all = AT_BOOT.get().into_iter().flatten();
    let differs = all
        .zip((range.start..range.end).step_by(4))
        .find(|&(&then, address)| text::read(address) != then);
    match differs {
        None => Ok(()),
        Some((then, address)) => Err(format!(
            "{} is {:#010x} and was {then:#010x}",
            Place(address),
            text::read(address)
        )),
    }
}

/// The word at an address when nothing was attached to anything.
fn word_at_boot(address: u64, site: Option<u64>) -> u32 {
    let start = text::kernel_text().start;
    let index = address
        .checked_sub(start)
        .map(|offset| (offset / 4) as usize);
    let kept = index.and_then(|index| AT_BOOT.get()?.get(index));
    match kept {
        Some(&word) => word,
        // Of a module nothing is kept, and nothing but sites is ever written.
        None if site == Some(address) => insn::NOP,
        None => text::read(address),
    }
}

/// Rows of symbols that are shown.
const SYMBOLS: usize = 40;

fn sym(session: &mut Session, arguments: &[&str]) -> Outcome {
    let (out, wanted) = (&mut session.out, arguments[0]);
    if let Some(address) = names::address(wanted) {
        if !symbols::is_inside(address) {
            return Err(CommandError::expected("an address inside a symbol", wanted));
        }
        writeln!(out, "{address:#x} is {}", Place(address))?;
        return Ok(());
    }
    if wanted.starts_with("0x") {
        return Err(CommandError::expected(
            "0x and at most 16 hexadecimal digits, or a name",
            wanted,
        ));
    }
    let mut count = 0;
    let mut result = Ok(());
    symbols::for_each(|symbol| {
        let Some(path) = names::path_of(symbol) else {
            return ControlFlow::Continue(());
        };
        if !path.contains(wanted) && symbol.name != wanted {
            return ControlFlow::Continue(());
        }
        count += 1;
        if count > SYMBOLS {
            return ControlFlow::Continue(());
        }
        let kind = match symbol.kind {
            SymbolKind::Function => "function",
            SymbolKind::Object => "object",
        };
        result = writeln!(
            out,
            "{:#10x} {:>7} bytes  {kind:<8}  {path}",
            symbol.address, symbol.size
        );
        match result {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    });
    result?;
    match count {
        0 => Err(CommandError::expected("a part of a symbol's path", wanted)),
        1..=SYMBOLS => Ok(()),
        _ => Ok(writeln!(out, "and {} more", count - SYMBOLS)?),
    }
}

/// Longest code that is shown, in bytes.
const LONGEST: u64 = 64 * 1024;

fn dis(session: &mut Session, arguments: &[&str]) -> Outcome {
    let out = &mut session.out;
    let function = names::function(arguments[0])?;
    let Function {
        address,
        size,
        path,
        ..
    } = &function;
    if *size == 0 || !text::is_code(*address) {
        return Err(CommandError::refused(format!(
            "`{path}` has no code that its symbol knows of"
        )));
    }
    let site = ftrace::find_site(*address).filter(|site| site.function() == *address);
    let attached = site.map(|site| ftrace::attached(&site).join(", "));
    let what = match attached.as_deref() {
        None => "; it has no site: it can't be traced or replaced".into(),
        Some("") => String::new(),
        Some(names) => format!("; attached: {names}"),
    };
    let title = format!("{path} at {address:#x}, {size} bytes{what}");
    writeln!(out, "{}", Painted(Tone::Heading, title))?;
    let site = site.map(|site| site.address);
    for address in (*address..*address + (*size).min(LONGEST)).step_by(4) {
        word(out, address, site, &function)?;
    }
    if let Some((start, end)) = livepatch::way_of(*address) {
        let title = "the stub that all its calls take now";
        writeln!(out, "{}", Painted(Tone::Heading, title))?;
        for address in (start..end).step_by(4) {
            let line = shown(address, text::read(address));
            writeln!(out, "  {address:#8x}  {:08x}  {line}", text::read(address))?;
        }
    }
    Ok(())
}

/// A word of a function.
fn word(out: &mut Out, address: u64, site: Option<u64>, function: &Function) -> Outcome {
    let (now, then) = (text::read(address), word_at_boot(address, site));
    let local = function.address + function.local_entry;
    let mut note = String::new();
    if site == Some(address) {
        note.push_str("site");
    } else if address == local && function.local_entry > 0 {
        note.push_str("local entry");
    }
    if now != then {
        let separator = if note.is_empty() { "" } else { "; " };
        let _ = write!(note, "{separator}at boot: {}", Line::new(address, then));
    }
    let mark = if now == then { ' ' } else { '*' };
    let line = shown(address, now);
    let text = format!("{mark} {address:#8x}  {now:08x}  {line:<44} {note}");
    let text = text.trim_end();
    if now == then {
        writeln!(out, "{text}")?;
    } else {
        writeln!(out, "{}", Painted(Tone::New, text))?;
    }
    Ok(())
}

/// An instruction, with the names of what it branches to.
fn shown(address: u64, word: u32) -> String {
    let named = Line::new(address, word).named(|target, f| {
        if let Some(ops) = ftrace::trampoline_of(target) {
            write!(f, "{target:#x} (trampoline: {ops})")
        } else if is_stub(target) {
            write!(f, "{target:#x} (stub, see below)")
        } else {
            write!(f, "{}", Place(target))
        }
    });
    format!("{named}")
}

/// Whether an address is the start of a patched function's stub.
fn is_stub(address: u64) -> bool {
    livepatch::patches().iter().any(|(patch, _)| {
        let mut functions = patch.descriptor.replacements.iter();
        functions.any(|one| livepatch::way_of(one.old).is_some_and(|(start, _)| start == address))
    })
}

fn sites(session: &mut Session, arguments: &[&str]) -> Outcome {
    let out = &mut session.out;
    let all = ftrace::sites();
    let mut shown = 0;
    let mut taken = 0;
    for site in all.iter() {
        let attached = ftrace::attached(site).join(", ");
        taken += usize::from(!attached.is_empty());
        let path = format!("{}", site.path());
        let wanted = match arguments.first() {
            Some(pattern) => glob::matches(pattern, &path) || names::is_named(&path, pattern),
            None => !attached.is_empty(),
        };
        if wanted {
            shown += 1;
            let note = if attached.is_empty() {
                "nothing attached"
            } else {
                &attached
            };
            writeln!(out, "{:#8x}  {path:<50} {note}", site.address)?;
        }
    }
    writeln!(
        out,
        "{shown} shown of {} sites, {taken} of them with something attached",
        all.len()
    )?;
    match arguments.first() {
        Some(pattern) if shown == 0 => Err(CommandError::expected(
            "the path of a function with a site, the end of one, or a pattern with `*`",
            pattern,
        )),
        _ => Ok(()),
    }
}
