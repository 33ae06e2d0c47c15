//! Code for the reader: words, instructions, and what they are for.

use crate::{
    console::{Painted, Tone},
    ftrace::{self, Site},
    livepatch::{self, variants},
    symbols::Place,
    text,
};
use alloc::format;

/// What the words of a site are for, from the global entry on.
const ENTRY: [&str; 4] = [
    "global entry: makes r2 its TOC pointer",
    "",
    "local entry: r0 = the way back",
    "",
];

/// What the words of the settled stub are for, before the variant's own.
const STUB: [&str; 4] = [
    "the way back is in LR again",
    "the new function's address",
    "",
    "",
];

/// The same for the words of a variant's hand-off, where the demonstration knows it.
fn hand_off_notes() -> &'static [&'static str] {
    match variants::current().name {
        "epilogue" => &[
            "the caller's TOC minus the way back",
            "goes into an unused word of its frame",
            "to the new function, which restores r2",
        ],
        _ => &[],
    }
}

fn print_word(address: u64, note: &str) {
    let word = text::read(address);
    let line = disasm::Line::new(address, word);
    let named = line.named(|target, f| match ftrace::trampoline_of(target) {
        Some(ops) => write!(f, "{target:#x} (trampoline: {ops})"),
        None => write!(f, "{}", Place(target)),
    });
    let line = format!(
        "    {address:#x}  {word:08x}  {:<35} {note}",
        format!("{named}")
    );
    println!("{}", line.trim_end());
}

/// Prints a function's first words, up to its site.
pub fn entry(site: &Site, note: &str) {
    let words = (site.address - site.function) / 4 + 1;
    // Without a TOC set-up, global and local entry are one.
    let notes = &ENTRY[ENTRY.len() - words.min(4) as usize..];
    for (index, entry) in (0..).zip(notes) {
        let address = site.function + 4 * index;
        print_word(address, if address == site.address { note } else { entry });
    }
}

/// Prints a site's word that toggles.
pub fn toggled(site: &Site, note: &str) {
    print_word(site.address, note);
}

/// Prints the settled stub of a patched function. Says whether it has one.
pub fn stub(function: u64) -> bool {
    let Some((start, _)) = livepatch::way_of(function) else {
        return false;
    };
    let words = STUB.len() + (variants::current().hand_off)().len();
    let notes = STUB.iter().chain(hand_off_notes()).chain([""; 32].iter());
    for (address, note) in (start..).step_by(4).take(words).zip(notes) {
        print_word(address, note);
    }
    true
}

/// Prints a heading.
pub fn heading(text: &str) {
    println!("{}", Painted(Tone::Heading, text));
}
