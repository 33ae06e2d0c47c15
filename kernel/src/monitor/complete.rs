//! What the Tab key offers.

use super::{
    commands::{self, Kind, calls::CALLABLE},
    crew, names,
};
use crate::{
    ftrace,
    livepatch::{self, variants},
    module, symbols, thread,
};
use alloc::format;
use core::ops::ControlFlow;
use lineedit::Offer;
use symtab::Kind as SymbolKind;

/// Offers what the word before the cursor may become.
pub fn offer(offer: &mut Offer<'_>) {
    let command = offer.before.rsplit(';').next().unwrap_or("");
    let mut words = command.split_ascii_whitespace();
    let Some(name) = words.next() else {
        return commands::all().for_each(|command| offer.add(command.name));
    };
    if let Some(kind) = commands::find(name).and_then(|command| command.kind(words.count())) {
        offer_kind(kind, offer);
    }
}

fn offer_kind(kind: Kind, offer: &mut Offer<'_>) {
    match kind {
        Kind::Words(words) => words.iter().for_each(|word| offer.add(word)),
        Kind::Command => commands::all().for_each(|command| offer.add(command.name)),
        Kind::Function => functions(offer),
        Kind::Site => {
            let word = offer.word;
            ftrace::sites().iter().for_each(|site| {
                offer_path(&format!("{}", site.path()), word, offer);
            });
        }
        Kind::Callable => CALLABLE.iter().for_each(|one| offer.add(one.name)),
        Kind::Thread => thread::all().for_each(|one| add_thread(&one, offer)),
        Kind::Crew => {
            crew::members()
                .iter()
                .for_each(|one| add_thread(one, offer));
            offer.add("all");
        }
        Kind::File => module::files_for_current()
            .iter()
            .for_each(|file| offer.add(file.name)),
        Kind::Module => module::loaded()
            .iter()
            .for_each(|module| offer.add(&module.name)),
        Kind::Patch => livepatch::patches()
            .iter()
            .for_each(|(patch, _)| offer.add(patch.name())),
        Kind::Variant => variants::VARIANTS
            .iter()
            .for_each(|variant| offer.add(variant.name)),
    }
}

fn add_thread(thread: &thread::Thread, offer: &mut Offer<'_>) {
    offer.add(&format!("{}-{}", thread.name(), thread.id()));
}

/// A path as it is, and from where the word may begin in it: behind a `::`.
fn offer_path(path: &str, word: &str, offer: &mut Offer<'_>) {
    if path.starts_with(word) {
        return offer.add(path);
    }
    let mut ends = path
        .match_indices("::")
        .map(|(place, _)| &path[place + 2..]);
    if let Some(end) = ends.find(|end| end.starts_with(word)) {
        offer.add(end);
    }
}

fn functions(offer: &mut Offer<'_>) {
    let word = offer.word;
    symbols::for_each(|symbol| {
        if symbol.kind == SymbolKind::Function
            && let Some(path) = names::path_of(symbol)
        {
            offer_path(&path, word, offer);
        }
        ControlFlow::Continue(())
    });
}
