//! A module as a file: the form that the kernel's loader takes (the crate `modload`), with the
//! descriptor that it reads (`klp::Info`).

use crate::extract::{Carried, Form, extract};
use crate::hooks::Hook;
use crate::image;
use crate::own_toc::Returns;
use crate::parts::{Part, Parts, Piece, Target, Tie};
use crate::{Build, Comparison, Id, Image, Refusal};
use klp::{Convention, Function, Info, Object as Patched, info};
use object::elf::{self, R_PPC64_ADDR64};
use object::write::{Object, Relocation, SectionId, Symbol, SymbolId, SymbolSection};
use object::{
    Architecture, BinaryFormat, Endianness, FileFlags, RelocationFlags, SectionKind, SymbolFlags,
    SymbolKind, SymbolScope,
};
use std::mem::offset_of;

/// A module to be made.
#[derive(Clone, Copy, Debug)]
pub struct Request<'r> {
    /// What it is called.
    pub name: &'r str,
    /// What its code has in r2.
    pub form: Form,
    /// Whether it takes the place of all patches before it.
    pub replace: bool,
    /// The functions of the new build to replace those of the running kernel with.
    pub functions: &'r [Id],
    /// What is called around the patch.
    pub hooks: &'r [Hook],
}

/// A module that was made.
#[derive(Debug)]
pub struct Module {
    /// The file.
    pub file: Vec<u8>,
    /// The functions that it replaces, by the linker's names.
    pub replaced: Vec<String>,
    /// What it brings along.
    pub carried: Carried,
}

/// The version of the ABI, in the file's flags: ELFv2.
const ABI: u32 = 2;

/// Makes a module of functions of a build.
///
/// # Errors
/// Everything that stands against it.
pub fn module<'d>(
    new: &Build<'d>,
    comparison: &Comparison,
    image: &Image<'d>,
    request: &Request<'_>,
) -> Result<Module, Vec<Refusal>> {
    let mut extraction = extract(
        new,
        comparison,
        image,
        request.form,
        request.functions,
        request.hooks,
    );
    if !extraction.refused.is_empty() {
        return Err(extraction.refused);
    }
    if extraction.parts.replaced.is_empty() && extraction.parts.callbacks.is_empty() {
        return Err(vec![Refusal::ReachesNothing]);
    }
    descriptor(&mut extraction.parts, request, &image.build_id);
    let file = file(&extraction.parts).map_err(|_| vec![Refusal::Write])?;
    let replaced = extraction.parts.replaced.into_iter();
    Ok(Module {
        replaced: replaced.map(|one| one.old).collect(),
        file,
        carried: extraction.carried,
    })
}

/// Adds a piece and returns its number.
fn add(parts: &mut Parts, piece: Piece) -> usize {
    parts.pieces.push(piece);
    parts.pieces.len() - 1
}

/// Writes a number into a piece.
fn put(piece: &mut Piece, offset: usize, bytes: &[u8]) {
    piece.bytes[offset..offset + bytes.len()].copy_from_slice(bytes);
}

/// Lets a doubleword of a piece be the address of another one.
fn point(piece: &mut Piece, offset: usize, to: usize) {
    piece.ties.push(Tie {
        offset: offset as u64,
        kind: R_PPC64_ADDR64.0,
        target: Target::Piece(to),
        addend: 0,
    });
}

/// Makes a text of the descriptor's: where it is, and its length.
fn text(parts: &mut Parts, piece: &mut Piece, offset: usize, text: &str) {
    let place = add(
        parts,
        Piece::new(Part::Constants, 1, text.as_bytes().to_owned()),
    );
    point(piece, offset, place);
    put(piece, offset + 8, &(text.len() as u64).to_le_bytes());
}

fn descriptor(parts: &mut Parts, request: &Request<'_>, build_id: &[u8; info::BUILD_ID_BYTES]) {
    let replaced = std::mem::take(&mut parts.replaced);
    let size = size_of::<Function>();
    let mut functions = Piece::new(Part::Relocated, 8, vec![0; size * replaced.len()]);
    for (index, one) in replaced.iter().enumerate() {
        let at = size * index;
        text(
            parts,
            &mut functions,
            at + offset_of!(Function, old),
            &one.old,
        );
        let position = at + offset_of!(Function, position);
        put(&mut functions, position, &one.position.to_le_bytes());
        point(&mut functions, at + offset_of!(Function, new), one.piece);
    }
    let count = replaced.len() as u64;
    parts.replaced = replaced;
    let functions = add(parts, functions);
    let mut kernel = Piece::new(Part::Relocated, 8, vec![0; size_of::<Patched>()]);
    point(&mut kernel, offset_of!(Patched, functions), functions);
    put(
        &mut kernel,
        offset_of!(Patched, function_count),
        &count.to_le_bytes(),
    );
    for (field, callback) in std::mem::take(&mut parts.callbacks) {
        point(
            &mut kernel,
            offset_of!(Patched, callbacks) + field,
            callback,
        );
    }
    let kernel = add(parts, kernel);

    let mut flags = 0;
    if request.replace {
        flags |= info::REPLACE;
    }
    let convention = match request.form {
        Form::KernelsToc => {
            flags |= info::KERNELS_TOC;
            Convention::Plain
        }
        Form::OwnToc(Returns::Plain) => Convention::Plain,
        Form::OwnToc(Returns::Restore) => Convention::Epilogue,
    };
    let mut described = Piece::new(Part::Descriptor, 8, vec![0; size_of::<Info>()]);
    described.name = Some(info::SYMBOL.to_owned());
    described.local = false;
    put(
        &mut described,
        offset_of!(Info, magic),
        &info::MAGIC.to_le_bytes(),
    );
    let number = convention as u32;
    put(
        &mut described,
        offset_of!(Info, convention),
        &number.to_le_bytes(),
    );
    put(
        &mut described,
        offset_of!(Info, flags),
        &u32::to_le_bytes(flags),
    );
    put(&mut described, offset_of!(Info, build_id), build_id);
    text(parts, &mut described, offset_of!(Info, name), request.name);
    point(&mut described, offset_of!(Info, objects), kernel);
    put(
        &mut described,
        offset_of!(Info, object_count),
        &1_u64.to_le_bytes(),
    );
    add(parts, described);
}

/// The section of a part: name, and what is in it.
fn section(part: Part) -> (&'static str, SectionKind) {
    match part {
        Part::Text => (".text", SectionKind::Text),
        Part::Constants => (".rodata", SectionKind::ReadOnlyData),
        Part::Relocated => (".data.rel.ro", SectionKind::ReadOnlyDataWithRel),
        Part::Written => (".data", SectionKind::Data),
        Part::Zeroed => (".bss", SectionKind::UninitializedData),
        Part::Toc => (".toc", SectionKind::Data),
        Part::Records => (
            "__patchable_function_entries",
            SectionKind::ReadOnlyDataWithRel,
        ),
        Part::Descriptor => (info::SECTION, SectionKind::ReadOnlyDataWithRel),
    }
}

fn file(parts: &Parts) -> object::write::Result<Vec<u8>> {
    let mut object = Object::new(
        BinaryFormat::Elf,
        Architecture::PowerPc64,
        Endianness::Little,
    );
    object.flags = FileFlags::Elf {
        os_abi: elf::ELFOSABI_NONE,
        abi_version: 0,
        e_flags: elf::FileFlags(ABI),
    };
    let mut sections: Vec<(Part, SectionId)> = Vec::new();
    let places: Vec<(SectionId, u64)> = parts
        .pieces
        .iter()
        .map(|piece| {
            let known = sections.iter().find(|(part, _)| *part == piece.part);
            let id = known.map(|(_, id)| *id).unwrap_or_else(|| {
                let (name, kind) = section(piece.part);
                let id = object.add_section(Vec::new(), name.into(), kind);
                sections.push((piece.part, id));
                id
            });
            let offset = match piece.part {
                Part::Zeroed => object.append_section_bss(id, piece.size, piece.align),
                _ => object.append_section_data(id, &piece.bytes, piece.align),
            };
            (id, offset)
        })
        .collect();
    let named: Vec<Option<SymbolId>> = (parts.pieces.iter().zip(&places))
        .map(|(piece, &(section, value))| {
            let name = piece.name.as_ref()?;
            Some(object.add_symbol(Symbol {
                name: name.as_bytes().into(),
                value,
                size: piece.size,
                kind: match piece.function {
                    true => SymbolKind::Text,
                    false => SymbolKind::Data,
                },
                scope: match piece.local {
                    true => SymbolScope::Compilation,
                    false => SymbolScope::Dynamic,
                },
                weak: false,
                section: SymbolSection::Section(section),
                flags: flags(piece.local, piece.function, piece.other),
            }))
        })
        .collect();
    let outside: Vec<SymbolId> = (parts.outside.iter())
        .map(|one| {
            // The loader knows it by name, and takes the call out.
            let (section, value) = match one.name == image::PROFILE {
                true => (SymbolSection::Undefined, 0),
                false => (SymbolSection::Absolute, one.address),
            };
            object.add_symbol(Symbol {
                name: one.name.as_bytes().into(),
                value,
                size: 0,
                kind: SymbolKind::Unknown,
                scope: SymbolScope::Compilation,
                weak: false,
                section,
                flags: flags(section == SymbolSection::Absolute, one.function, one.other),
            })
        })
        .collect();
    let toc = object.add_symbol(Symbol {
        name: b".TOC.".into(),
        value: 0,
        size: 0,
        kind: SymbolKind::Unknown,
        scope: SymbolScope::Unknown,
        weak: false,
        section: SymbolSection::Undefined,
        flags: SymbolFlags::None,
    });
    for (piece, &(section, start)) in parts.pieces.iter().zip(&places) {
        for tie in &piece.ties {
            let (symbol, addend) = match tie.target {
                Target::Toc => (toc, tie.addend),
                Target::Kernel(number) => (outside[number], tie.addend),
                Target::Piece(number) => match named[number] {
                    Some(symbol) => (symbol, tie.addend),
                    None => {
                        let (section, offset) = places[number];
                        (object.section_symbol(section), tie.addend + offset as i64)
                    }
                },
            };
            let relocation = Relocation {
                offset: start + tie.offset,
                symbol,
                addend,
                flags: RelocationFlags::Elf {
                    r_type: elf::RelocationType(tie.kind),
                },
            };
            object.add_relocation(section, relocation)?;
        }
    }
    object.write()
}

fn flags(local: bool, function: bool, other: u8) -> SymbolFlags<SectionId, SymbolId> {
    let bind = match local {
        true => elf::STB_LOCAL,
        false => elf::STB_GLOBAL,
    };
    let kind = match function {
        true => elf::STT_FUNC,
        false => elf::STT_OBJECT,
    };
    SymbolFlags::Elf {
        st_info: elf::SymbolInfo::new(bind, kind),
        st_other: elf::SymbolOther(other),
    }
}
