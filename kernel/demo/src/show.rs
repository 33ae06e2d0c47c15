//! Code for the reader: words, instructions, and what they are for.

use alloc::format;
use ftrace::Site;
use livepatch::variants;
use machine::{
    console::{Painted, Tone},
    symbols::Place,
    text,
};

/// What the words of a site are for, from the global entry on.
const ENTRY: [&str; 4] = [
    "global entry: makes r2 its TOC pointer",
    "",
    "local entry: r0 = the way back",
    "",
];

/// What a word of the settled stub is for.
fn stub_note(index: usize, word: u32, is_last: bool) -> &'static str {
    match index {
        0 => "the way back is in LR again",
        1 => "the new function's address",
        _ if is_last => "to the new function",
        _ => hand_off_note(word),
    }
}

/// The same for a word of the hand-off, where the demonstration knows it.
fn hand_off_note(word: u32) -> &'static str {
    let variant = variants::current();
    let place = (variant.hand_off)().iter().position(|&one| one == word);
    match (variant.name, place) {
        ("epilogue", Some(0)) => "the caller's TOC minus the way back",
        ("epilogue", Some(1)) => "goes into an unused word of its frame",
        _ => "",
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
    let words = (site.address - site.function()) / 4 + 1;
    // Without a TOC set-up, global and local entry are one.
    let notes = &ENTRY[ENTRY.len() - words.min(4) as usize..];
    for (index, entry) in (0..).zip(notes) {
        let address = site.function() + 4 * index;
        print_word(address, if address == site.address { note } else { entry });
    }
}

/// Prints a site's word that toggles.
pub fn toggled(site: &Site, note: &str) {
    print_word(site.address, note);
}

/// Prints the settled stub of a patched function. Says whether it has one.
pub fn stub(function: u64) -> bool {
    let Some((start, end)) = livepatch::way_of(function) else {
        return false;
    };
    for (index, address) in (start..end).step_by(4).enumerate() {
        let is_last = address + 4 == end;
        print_word(address, stub_note(index, text::read(address), is_last));
    }
    true
}

/// Prints a heading.
pub fn heading(text: &str) {
    println!("{}", Painted(Tone::Heading, text));
}
