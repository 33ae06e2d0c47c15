//! What the Tab key offers.

use super::{
    commands::{self, Kind, calls},
    names, workload,
};
use alloc::{format, string::String, sync::Arc, vec::Vec};
use core::ops::ControlFlow;
use lineedit::Offer;
use livepatch::variants;
use machine::symbols;
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
        Kind::Function => functions(offer),
        Kind::Site => {
            let word = offer.word;
            ftrace::sites().iter().for_each(|site| {
                offer_path(&format!("{}", site.path()), word, offer);
            });
        }
        other => candidates(other).iter().for_each(|one| offer.add(one)),
    }
}

/// What an argument of a kind may be, where that are not too many to keep.
pub fn candidates(kind: Kind) -> Vec<String> {
    let names = |thread: Arc<thread::Thread>| format!("{}-{}", thread.name(), thread.id());
    match kind {
        Kind::Function | Kind::Site => Vec::new(),
        Kind::Words(words) => words.iter().copied().map(String::from).collect(),
        Kind::Command => commands::all().map(|command| command.name.into()).collect(),
        Kind::Callable => calls::callables().map(|one| one.name.into()).collect(),
        Kind::Listed(list) => list().into_iter().map(String::from).collect(),
        Kind::Thread => thread::all().map(names).collect(),
        Kind::Workload => {
            let members = workload::members().into_iter().map(names);
            members.chain([String::from("all")]).collect()
        }
        Kind::File => {
            let files = loader::files_for_current();
            files.iter().map(|file| file.name.into()).collect()
        }
        Kind::Module => loader::loaded()
            .iter()
            .map(|one| one.name.clone())
            .collect(),
        Kind::Patch => {
            let patches = livepatch::patches();
            patches
                .iter()
                .map(|(patch, _)| patch.name().into())
                .collect()
        }
        Kind::Variant => variants::VARIANTS
            .iter()
            .map(|one| one.name.into())
            .collect(),
    }
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
