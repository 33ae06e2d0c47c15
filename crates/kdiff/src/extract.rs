//! From functions of a build to what a module of them consists of.
//!
//! Starting at the functions that are to be replaced, each reference is followed. What the
//! running kernel has keeps the address that it has there, private functions and statics too.
//! What has no name and is only read is copied. What the running kernel does not have is
//! carried along. A replaced function is referred to by its old address, from its own copy as
//! well: a call then passes the site, and the thread's patch state decides which one runs.

use crate::compare::{Comparison, Id};
use crate::hooks::Hook;
use crate::image;
use crate::meaning::{self, Place};
use crate::names::Names;
use crate::own_toc::{self, Returns};
use crate::parts::{Outside, Part, Parts, Piece, Replaced, Target, Tie};
use crate::unit::{Kind, Link, Symbol, Unit};
use crate::{Build, Image, Named, Refusal};
use object::elf;
use std::collections::{HashMap, HashSet};

/// What the module's code has in r2.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// The kernel's TOC pointer, as the functions that it replaces: nothing is rewritten, and
    /// the module fits every variant.
    KernelsToc,
    /// A TOC pointer of its own. Returns are rewritten to what the variant asks for.
    OwnToc(Returns),
}

/// What goes along with the replaced functions.
#[derive(Clone, Debug, Default)]
pub struct Carried {
    /// Functions that the running kernel does not have, by the linker's names.
    pub functions: Vec<String>,
    /// Statics that it does not have: they live in the module, and are gone with it.
    pub statics: Vec<String>,
    /// Bytes of constants.
    pub constants: u64,
}

/// What a piece is made of.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Source {
    /// A function or static: unit and symbol.
    Symbol(usize, usize),
    /// All of a section.
    Section(usize, usize),
    /// A constant in a section of many.
    Entry(usize, usize, i64),
    /// A slot of the TOC that holds this.
    Slot(Target, i64),
    /// A stub for calls of a function of the running kernel.
    Stub(usize),
}

pub(crate) struct Extraction<'a, 'd> {
    new: &'a Build<'d>,
    names: &'a Names,
    image: &'a Image<'d>,
    form: Form,
    roots: HashSet<(usize, usize)>,
    pub(crate) parts: Parts,
    pub(crate) carried: Carried,
    pub(crate) refused: Vec<Refusal>,
    known: HashMap<Source, usize>,
    outside: HashMap<u64, usize>,
    todo: Vec<(usize, Source)>,
}

/// Takes the functions `roots` of the new build out of it. A root that the running kernel does
/// not have is left out: there is nothing to replace.
pub(crate) fn extract<'a, 'd>(
    new: &'a Build<'d>,
    comparison: &'a Comparison,
    image: &'a Image<'d>,
    form: Form,
    roots: &[Id],
    hooks: &[Hook],
) -> Extraction<'a, 'd> {
    let mut extraction = Extraction {
        new,
        names: &comparison.names,
        image,
        form,
        roots: roots.iter().map(|id| (id.unit, id.symbol)).collect(),
        parts: Parts::default(),
        carried: Carried::default(),
        refused: Vec::new(),
        known: HashMap::new(),
        outside: HashMap::new(),
        todo: Vec::new(),
    };
    for id in roots {
        extraction.root(*id);
    }
    for &(field, unit, symbol) in hooks.iter().flat_map(|hook| &hook.callbacks) {
        if extraction
            .parts
            .callbacks
            .iter()
            .any(|(other, _)| *other == field)
        {
            extraction.refused.push(Refusal::Hooks);
        }
        let piece = extraction.piece(Source::Symbol(unit, symbol));
        extraction.parts.callbacks.push((field, piece));
    }
    while let Some((piece, source)) = extraction.todo.pop() {
        extraction.fill(piece, source);
    }
    extraction
}

impl<'d> Extraction<'_, 'd> {
    fn root(&mut self, id: Id) {
        let unit = &self.new.units[id.unit];
        let symbol = &unit.symbols[id.symbol];
        let name = self.names.common(symbol.name);
        let Some(found) = self.image.find(name, unit.name, symbol.local) else {
            return;
        };
        if !self.image.has_site(found) {
            let function = name.to_owned();
            let why = None;
            self.refused.push(Refusal::NoSite { function, why });
            return;
        }
        let (old, position) = (found.name.to_owned(), found.position);
        let piece = self.piece(Source::Symbol(id.unit, id.symbol));
        self.parts.replaced.push(Replaced {
            old,
            position,
            piece,
        });
    }

    /// The piece that is made of this.
    fn piece(&mut self, source: Source) -> usize {
        if let Some(&piece) = self.known.get(&source) {
            return piece;
        }
        let piece = self.parts.pieces.len();
        self.known.insert(source, piece);
        self.parts
            .pieces
            .push(Piece::new(Part::Constants, 1, Vec::new()));
        self.todo.push((piece, source));
        piece
    }

    fn fill(&mut self, piece: usize, source: Source) {
        let made = match source {
            Source::Symbol(unit, symbol) => self.symbol(unit, symbol),
            Source::Section(unit, section) => self.section(unit, section),
            Source::Entry(unit, section, offset) => {
                let section = &self.new.units[unit].sections[section];
                let bytes = match section.strings {
                    true => meaning::text(section.bytes, offset),
                    false => meaning::entry(section.name, section.bytes, offset).unwrap_or(&[]),
                };
                self.carried.constants += bytes.len() as u64;
                Piece::new(Part::Constants, section.align, bytes.to_owned())
            }
            Source::Slot(target, addend) => {
                let mut slot = Piece::new(Part::Toc, 8, vec![0; 8]);
                let kind = elf::R_PPC64_ADDR64.0;
                slot.ties.push(Tie {
                    offset: 0,
                    kind,
                    target,
                    addend,
                });
                slot
            }
            Source::Stub(outside) => own_toc::stub(&self.parts.outside[outside]),
        };
        self.parts.pieces[piece] = made;
    }

    /// A function or static of the module's own.
    fn symbol(&mut self, unit: usize, index: usize) -> Piece {
        let owner = &self.new.units[unit];
        let symbol = owner.symbols[index];
        let section = &owner.sections[symbol.section];
        let part = match section.kind {
            Kind::Code => Part::Text,
            Kind::Written => Part::Written,
            Kind::Zeroed => Part::Zeroed,
            _ if owner.links(symbol.section).is_empty() => Part::Constants,
            _ => Part::Relocated,
        };
        let mut piece = Piece::new(part, section.align, owner.bytes_of(&symbol).to_owned());
        piece.size = symbol.size;
        piece.name = Some(symbol.name.to_owned());
        piece.function = symbol.named == Named::Function;
        piece.local = symbol.local;
        piece.other = symbol.other;
        piece.ties = self.ties(unit, &symbol, symbol.section);
        let is_root = self.roots.contains(&(unit, index));
        if !piece.function {
            self.carried.statics.push(symbol.name.to_owned());
            return piece;
        }
        if !is_root {
            self.carried.functions.push(symbol.name.to_owned());
        }
        if let Form::OwnToc(returns) = self.form {
            let mut stub = |function: usize| {
                let is_profile = self.parts.outside[function].name == image::PROFILE;
                (!is_profile).then(|| self.piece(Source::Stub(function)))
            };
            let rewritten = own_toc::rewrite(&mut piece, returns, is_root, &mut stub);
            if let Err(why) = rewritten {
                let function = symbol.name.to_owned();
                self.refused.push(Refusal::OwnToc { function, why });
            }
        }
        self.records(unit, &symbol, Source::Symbol(unit, index));
        piece
    }

    /// The compiler's records of where the function's nops are.
    fn records(&mut self, unit: usize, symbol: &Symbol<'d>, source: Source) {
        let owner = &self.new.units[unit];
        let target = Target::Piece(self.known[&source]);
        for (index, section) in owner.sections.iter().enumerate() {
            if section.kind != Kind::Records || section.link != symbol.section {
                continue;
            }
            for link in owner.links(index) {
                let Place::Named {
                    symbol: one,
                    offset,
                } = meaning::place(owner, link)
                else {
                    continue;
                };
                if one.name != symbol.name || one.section != symbol.section {
                    continue;
                }
                let mut record = Piece::new(Part::Records, 8, vec![0; 8]);
                record.ties.push(Tie {
                    offset: 0,
                    kind: link.kind,
                    target,
                    addend: offset,
                });
                self.parts.pieces.push(record);
            }
        }
    }

    /// A constant without a name.
    fn section(&mut self, unit: usize, index: usize) -> Piece {
        let owner = &self.new.units[unit];
        let section = &owner.sections[index];
        let part = match owner.links(index).is_empty() {
            true => Part::Constants,
            false => Part::Relocated,
        };
        let mut piece = Piece::new(part, section.align, section.bytes.to_owned());
        self.carried.constants += piece.size;
        let links = owner.links(index);
        piece.ties = links
            .iter()
            .filter_map(|link| self.tie(unit, 0, link))
            .collect();
        piece
    }

    fn ties(&mut self, unit: usize, symbol: &Symbol<'d>, section: usize) -> Vec<Tie> {
        let owner = &self.new.units[unit];
        let links = owner.links_in(section, symbol.value, symbol.size);
        links
            .iter()
            .filter_map(|link| self.tie(unit, symbol.value, link))
            .collect()
    }

    /// A link of the new build's, in the module.
    fn tie(&mut self, unit: usize, start: u64, link: &Link) -> Option<Tie> {
        let (target, addend) = self.target(unit, link)?;
        Some(Tie {
            offset: link.offset - start,
            kind: link.kind,
            target,
            addend,
        })
    }

    fn target(&mut self, unit: usize, link: &Link) -> Option<(Target, i64)> {
        let owner = &self.new.units[unit];
        match meaning::place(owner, link) {
            Place::Named { symbol, offset } if symbol.name == ".TOC." => {
                Some((Target::Toc, offset))
            }
            Place::Named { symbol, offset } => {
                // A place within a function, as in a table of jumps, is one of the same code.
                let own = symbol.named == Named::Function && symbol.section != 0 && offset != 0;
                if own {
                    let index = symbol.number;
                    return Some((
                        Target::Piece(self.piece(Source::Symbol(unit, index))),
                        offset,
                    ));
                }
                Some((self.named(unit, symbol)?, offset))
            }
            Place::Slot(slot) => {
                // What a slot holds is no slot.
                let held =
                    slot.filter(|slot| !matches!(meaning::place(owner, slot), Place::Slot(_)));
                let Some(held) = held else {
                    self.refuse_data(owner, ".toc");
                    return None;
                };
                let (target, addend) = self.target(unit, held)?;
                Some((Target::Piece(self.piece(Source::Slot(target, addend))), 0))
            }
            Place::In { section, offset } => {
                let found = &owner.sections[section];
                if found.strings || meaning::entry(found.name, found.bytes, offset).is_some() {
                    let piece = self.piece(Source::Entry(unit, section, offset));
                    return Some((Target::Piece(piece), 0));
                }
                if found.kind != Kind::Constant {
                    self.refuse_data(owner, found.name);
                    return None;
                }
                let piece = self.piece(Source::Section(unit, section));
                Some((Target::Piece(piece), offset))
            }
        }
    }

    fn refuse_data(&mut self, unit: &Unit<'_>, section: &str) {
        self.refused.push(Refusal::Unnamed {
            unit: unit.archive.clone(),
            section: section.to_owned(),
        });
    }

    /// A function or static by its name: that of the running kernel, if it has it.
    fn named(&mut self, unit: usize, symbol: &Symbol<'d>) -> Option<Target> {
        let name = self.names.common(symbol.name);
        let owner = &self.new.units[unit];
        if let Some(found) = self.image.find(name, owner.name, symbol.local) {
            let next = self.parts.outside.len();
            let number = *self.outside.entry(found.address).or_insert(next);
            if number == next {
                self.parts.outside.push(Outside {
                    name: found.name.to_owned(),
                    address: found.address,
                    other: found.other,
                    function: found.named == Named::Function,
                });
            }
            return Some(Target::Kernel(number));
        }
        let defined = match symbol.section {
            0 => self.new.global(symbol.name),
            _ => Some((unit, symbol)),
        };
        let Some((unit, symbol)) = defined else {
            let name = symbol.name.to_owned();
            self.refused.push(Refusal::Nowhere { name });
            return None;
        };
        // Of a piece of assembler's without a type, the end is not known.
        if symbol.named == Named::Nothing {
            let owner = &self.new.units[unit];
            self.refuse_data(owner, owner.sections[symbol.section].name);
            return None;
        }
        let index = symbol.number;
        Some(Target::Piece(self.piece(Source::Symbol(unit, index))))
    }
}
