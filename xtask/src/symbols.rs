//! The kernel's symbol table: read from the ELF file, written back into it.
//!
//! The kernel can't read its own `.symtab`, which is not loaded. So the linker
//! script reserves the loaded section `.ksyms`, and this module fills it after
//! the link with the form that the `symtab` crate defines.

use anyhow::{Context, Result, bail, ensure};
use object::elf::SymbolOther;
use object::read::elf::ElfFile64;
use object::{
    Architecture, Endianness, Object, ObjectSection, ObjectSymbol, SymbolFlags, SymbolKind,
};
use std::ops::Range;
use symtab::{Kind, SymbolSpec};

/// Name of the section that the linker script reserves.
pub const SECTION: &str = ".ksyms";

/// All functions and objects of an ELF file, in the order of its `.symtab`.
///
/// # Errors
/// When it is no little-endian ppc64 ELF file, or a symbol in it makes no sense.
pub fn read(elf: &[u8]) -> Result<Vec<SymbolSpec>> {
    parse(elf)?
        .symbols()
        .filter(|s| !s.is_undefined())
        .filter_map(|s| spec(&s).transpose())
        .collect()
}

/// The ELF file with its symbol table written into `.ksyms`.
///
/// # Errors
/// When the file is none, has no `.ksyms`, a function in it has no size, or the table does
/// not fit there.
pub fn embed(mut elf: Vec<u8>) -> Result<Vec<u8>> {
    let mut symbols = read(&elf)?;
    for symbol in &symbols {
        ensure!(
            symbol.kind != Kind::Function || symbol.size > 0,
            "{}",
            no_size(&symbol.name)
        );
    }
    let table = symtab::encode_indexed(&mut symbols)?;
    let place = reserved(&elf)?;
    ensure!(
        table.len() <= place.len(),
        "the symbol table needs {} bytes and section {SECTION} reserves {}: \
         reserve more in kernel/machine/src/symbols.rs",
        table.len(),
        place.len()
    );
    let space = &mut elf[place];
    space.fill(0);
    space[..table.len()].copy_from_slice(&table);
    Ok(elf)
}

/// Checks that no function of Rust's is at the address of another function: whatever is
/// done to one by its name, such as replacing it, would be done to the other.
///
/// # Errors
/// When two are, with both names; or when the file can't be read.
pub fn each_function_is_its_own(elf: &[u8]) -> Result<()> {
    let mut functions = read(elf)?;
    functions.retain(|symbol| symbol.kind == Kind::Function);
    functions.sort_unstable_by(|a, b| (a.address, &a.name).cmp(&(b.address, &b.name)));
    let is_rust = |symbol: &SymbolSpec| rustc_demangle::try_demangle(&symbol.name).is_ok();
    let merged = functions
        .windows(2)
        .find(|pair| pair[0].address == pair[1].address && pair.iter().any(is_rust));
    if let Some([one, other]) = merged {
        let path = |symbol: &SymbolSpec| format!("{:#}", rustc_demangle::demangle(&symbol.name));
        bail!(
            "`{}` and `{}` are one function at {:#x}: was it compiled without \
             -Zmerge-functions=disabled (.cargo/config.toml)?",
            path(one),
            path(other),
            one.address
        );
    }
    Ok(())
}

/// The file, if it is a little-endian ppc64 ELF file.
pub(crate) fn parse(elf: &[u8]) -> Result<ElfFile64<'_, Endianness>> {
    let file = ElfFile64::<Endianness>::parse(elf).context("not a 64-bit ELF file")?;
    let (machine, endian) = (file.architecture(), file.endian());
    ensure!(
        machine == Architecture::PowerPc64 && endian == Endianness::Little,
        "not a little-endian ppc64 ELF file: found {machine:?}, {endian:?}"
    );
    Ok(file)
}

/// What is wrong with a function without a size: a live patch could not tell whether a
/// thread is in it, nor a backtrace that it is.
pub(crate) fn no_size(function: &str) -> String {
    format!("function {function} has no size: let `.size` follow it in its assembly")
}

fn reserved(elf: &[u8]) -> Result<Range<usize>> {
    let file = parse(elf)?;
    let section = file
        .section_by_name(SECTION)
        .with_context(|| format!("no section {SECTION} in the ELF file: linker.ld reserves it"))?;
    let (offset, size) = section.file_range().with_context(|| {
        format!("section {SECTION} takes no space in the file: make it PROGBITS")
    })?;
    let range = usize::try_from(offset)?..usize::try_from(offset.saturating_add(size))?;
    ensure!(
        range.end <= elf.len(),
        "section {SECTION} reaches past the end of the file"
    );
    Ok(range)
}

fn spec<'data>(symbol: &impl ObjectSymbol<'data>) -> Result<Option<SymbolSpec>> {
    let kind = match symbol.kind() {
        SymbolKind::Text => Kind::Function,
        SymbolKind::Data => Kind::Object,
        _ => return Ok(None),
    };
    let name = symbol.name().context("a symbol's name can't be read")?;
    let SymbolFlags::Elf { st_other, .. } = symbol.flags() else {
        bail!("symbol {name} carries no ELF flags");
    };
    Ok(Some(SymbolSpec {
        name: name.to_owned(),
        address: symbol.address(),
        size: symbol.size(),
        kind,
        local_entry: local_entry(st_other).with_context(|| format!("symbol {name}"))?,
        global: symbol.is_global(),
    }))
}

/// Bytes from a function's global to its local entry, from the three bits in
/// `st_other` (ELFv2 ABI, section 3.4.1).
pub(crate) fn local_entry(other: SymbolOther) -> Result<u8> {
    match other.ppc64_local() {
        // One entry for both. With 1, the function does not keep r2 either.
        0 | 1 => Ok(0),
        bits @ 2..=6 => Ok(1 << bits),
        bits => bail!("local-entry value {bits} is reserved by the ABI"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_entry_bits_are_decoded_as_the_abi_says() {
        let bytes = |bits: u8| local_entry(SymbolOther(bits << 5 | 2)).ok();
        assert_eq!(
            [0, 1, 2, 3, 4, 5, 6, 7].map(bytes),
            [
                Some(0),
                Some(0),
                Some(4),
                Some(8),
                Some(16),
                Some(32),
                Some(64),
                None
            ]
        );
    }
}
