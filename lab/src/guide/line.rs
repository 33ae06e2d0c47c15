//! An instruction of the call, explained: what it has changed, and what that means.

use super::{
    operand::{self, Access},
    paths::short,
    stop::{Part, State, Stop},
    words::{Owner, Words},
};
use alloc::{format, string::String, vec::Vec};
use ppc64::{insn, opcode};

/// What an instruction has changed.
#[derive(Clone, Debug)]
pub struct Change {
    /// A register, or a place in A's save area.
    pub place: String,
    pub before: u64,
    pub after: u64,
}

/// An instruction, or many of them.
#[derive(Clone, Debug)]
pub struct Line {
    pub part: Part,
    pub count: u32,
    pub address: u64,
    /// Path or part, and offset.
    pub symbol: String,
    pub text: String,
    pub changes: Vec<Change>,
    /// Sentences.
    pub meaning: Vec<String>,
    /// This is where it goes wrong.
    pub wrong: bool,
}

/// `addis` and `oris`: half an address.
const HALVES: [u32; 2] = [opcode::ADDIS, opcode::ORIS];

/// The line of an instruction; `after` is the state behind it.
pub fn line(stop: &Stop, after: &State, words: &mut Words) -> Line {
    let mut changes = changes(&stop.state, after);
    let mut meaning = Vec::new();
    let mut wrong = false;
    let text = if stop.part.is_folded() {
        let is_callee = stop.part == Part::Callee;
        changes.retain(|change| is_kept(&change.place) || is_callee && change.place == "r3");
        match stop.count {
            1 => "(1 instruction)".into(),
            count => format!("({count} instructions)"),
        }
    } else {
        let name = |target: u64, f: &mut core::fmt::Formatter<'_>| {
            f.write_str(short(&words.address(target)))
        };
        operand::text(stop, name)
    };
    if let (Part::Callback, Some(before), Some(now)) = (stop.part, stop.state.nip, after.nip) {
        let place = words.value_or_number(now, 8);
        meaning.push(if before == now {
            format!("the call goes on {place}, as it was")
        } else {
            format!("the call is to go on at the {place}")
        });
    }
    let access = operand::access(stop).filter(|_| !stop.part.is_folded());
    if let Some(access) = access.filter(|access| access.no_base) {
        wrong = true;
        meaning.push(no_base(&access, stop, words));
    }
    if insn::atomic(stop.word).is_some_and(|one| one.stores) && !stop.part.is_folded() {
        meaning.push("done by the step itself: a trap takes the reservation away".into());
    }
    let from = stop.state.gpr[1];
    if from != after.gpr[1] {
        words.moved(after.gpr[1], owner(stop.part));
        meaning.push(moved(from, after.gpr[1], words));
    }
    if let Some(access) = access {
        meaning.extend(accessed(&access, stop, after, words));
    }
    // Half an address is none.
    let is_half = HALVES.contains(&opcode::primary(stop.word)) && !stop.part.is_folded();
    for change in &changes {
        let is_loaded = access.is_some_and(|access| {
            !access.stores
                && change.place == format!("r{}", access.register)
                && change.place != "r2"
        });
        if is_half || is_loaded {
            continue;
        }
        match &*change.place {
            // Said already.
            "r1" => {}
            "r2" => meaning.push(format!("r2 = {}", words.toc_in_words(change.after))),
            place if place.contains('(') => {
                // A store has said so; here is what others have done.
                if access.is_none() {
                    let bytes = if matches!(place, "8(r1) of A" | "12(r1) of A") {
                        4
                    } else {
                        8
                    };
                    let value = words.value_or_number(change.after, bytes);
                    meaning.push(format!("{place}'s frame = {value}"));
                }
            }
            place => {
                if let Some(value) = words.value(change.after, 8) {
                    meaning.push(format!("{place} = {value}"));
                }
            }
        }
    }
    Line {
        part: stop.part,
        count: stop.count,
        address: stop.address,
        symbol: words.address(stop.address),
        text,
        changes,
        meaning,
        wrong,
    }
}

/// The owner of a frame that is opened there.
fn owner(part: Part) -> Owner {
    match part {
        Part::Trampoline | Part::Stub | Part::Callback => Owner::Trampoline,
        Part::HandOff => Owner::HandOff,
        Part::Site | Part::Function => Owner::Function,
        Part::Caller | Part::Home | Part::Convention => Owner::Caller,
        Part::Replacement | Part::Callee => Owner::Replacement,
    }
}

/// A register that callees keep, or a place in A's frame.
fn is_kept(place: &str) -> bool {
    let number = place.strip_prefix('r').and_then(|n| n.parse::<u32>().ok());
    number.is_some_and(|n| n == 1 || n == 2 || n >= 13) || place.contains('(')
}

fn changes(before: &State, after: &State) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut compare = |place: &dyn Fn() -> String, before: u64, after: u64| {
        if before != after {
            changes.push(Change {
                place: place(),
                before,
                after,
            });
        }
    };
    for (n, (before, after)) in before.gpr.iter().zip(after.gpr).enumerate() {
        compare(&|| format!("r{n}"), *before, after);
    }
    for (place, before, after) in [
        ("LR", before.lr, after.lr),
        ("CTR", before.ctr, after.ctr),
        ("CR", before.cr, after.cr),
        ("XER", before.xer, after.xer),
    ] {
        compare(&|| place.into(), before, after);
    }
    let (one, two) = (&before.header, &after.header);
    for (place, before, after) in [
        ("0(r1) of A", one.back_chain, two.back_chain),
        ("8(r1) of A", u64::from(one.cr_save), u64::from(two.cr_save)),
        (
            "12(r1) of A",
            u64::from(one.reserved),
            u64::from(two.reserved),
        ),
        ("16(r1) of A", one.lr_save, two.lr_save),
        ("24(r1) of A", one.toc_save, two.toc_save),
    ] {
        compare(&|| place.into(), before, after);
    }
    changes
}

/// An instruction with r0 as its base register.
fn no_base(access: &Access, stop: &Stop, words: &Words) -> String {
    let does = if access.stores { "writes" } else { "reads" };
    let held = words.value_or_number(stop.state.gpr[0], 8);
    format!(
        "r0 as a base register is the number 0, whatever it holds ({held}): this {does} address {}",
        access.address
    )
}

fn moved(from: u64, to: u64, words: &Words) -> String {
    let frame = words.value_or_number(to, 8);
    let bytes = from.abs_diff(to);
    if to < from {
        format!("r1 = {frame}, {bytes} bytes below")
    } else {
        format!("r1 = {frame} again")
    }
}

/// What a load or store has to do with the places that matter.
fn accessed(access: &Access, stop: &Stop, after: &State, words: &Words) -> Option<String> {
    let place = words.place(access.address)?;
    let n = access.register;
    if access.stores {
        let value = stop.state.gpr[n];
        // stdu has said what it does to r1.
        let is_update = opcode::primary(stop.word) == opcode::STD && stop.word & 3 == 1;
        let known = words.value(value, access.bytes);
        if is_update || known.is_none() && !words.is_kept(access.address) {
            return None;
        }
        let shown = if access.bytes == 4 {
            value & 0xffff_ffff
        } else {
            value
        };
        let value = known.unwrap_or_else(|| format!("{shown:#x}"));
        return Some(format!("{place} = {value}"));
    }
    let value = after.gpr[n];
    let known = words.value(value, 8);
    if n == 2 {
        return Some(format!("from {place}"));
    }
    if known.is_none() && !words.is_kept(access.address) {
        return None;
    }
    let value = known.unwrap_or_else(|| format!("{value:#x}"));
    Some(format!("r{n} = {value}, from {place}"))
}

/// The line for where A goes on, which is not executed any more.
pub fn home(stop: &Stop, words: &mut Words) -> Line {
    let state = &stop.state;
    words.moved(state.gpr[1], Owner::Caller);
    let header = &state.header;
    let meaning = Vec::from([
        format!("r1 = {}", words.value_or_number(state.gpr[1], 8)),
        if state.gpr[2] == words.toc {
            format!("r2 = {}", words.toc_in_words(state.gpr[2]))
        } else {
            format!(
                "r2 = {}; A's is {:#x}",
                words.toc_in_words(state.gpr[2]),
                words.toc
            )
        },
        format!("LR = {}", words.value_or_number(state.lr, 8)),
        format!(
            "12(r1) of A's frame = {}",
            words.value_or_number(u64::from(header.reserved), 4)
        ),
        format!(
            "16(r1) of A's frame = {}",
            words.value_or_number(header.lr_save, 8)
        ),
        format!(
            "24(r1) of A's frame = {}",
            words.value_or_number(header.toc_save, 8)
        ),
    ]);
    Line {
        part: Part::Home,
        count: 0,
        address: stop.address,
        symbol: words.address(stop.address),
        text: operand::text(stop, |target, f| write!(f, "{target:#x}")),
        changes: Vec::new(),
        meaning,
        wrong: false,
    }
}
