//! Errors in words.

use crate::layout::MAX_SIZE;
use crate::{LoadError, Place, Region};
use core::{error, fmt};

impl fmt::Display for Region<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Header => f.write_str("the elf header"),
            Self::SectionTable => f.write_str("the table of sections"),
            Self::Section { index, name: "" } => write!(f, "section {index}"),
            Self::Section { index, name } => {
                write!(f, "section {index} (`{}`)", name.escape_debug())
            }
        }
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            section,
            offset,
            address,
        } = self;
        write!(f, "{}+{offset:#x} ({address:#x})", section.escape_debug())
    }
}

impl fmt::Display for LoadError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NotElf { found } => write!(
                f,
                "not an elf file: starts with `{}`, expected `\\x7fELF`",
                found.escape_ascii()
            ),
            Self::Class { found } => write!(f, "elf class {found}, expected 2 (64 bits)"),
            Self::Endian { found } => {
                write!(f, "elf byte order {found}, expected 1 (little endian)")
            }
            Self::Type { found } => write!(f, "elf type {found}, expected 1 (relocatable)"),
            Self::Machine { found } => write!(f, "elf machine {found}, expected 21 (ppc64)"),
            Self::AbiVersion { found } => {
                let which = match found {
                    0 => " (unspecified)",
                    1 => " (function descriptors)",
                    _ => "",
                };
                write!(f, "abi version {found:#x}{which}, expected 2 (elfv2)")
            }
            Self::Truncated {
                what,
                needed,
                found,
            } => write!(
                f,
                "truncated: {what} ends at {needed:#x}, the file at {found:#x}"
            ),
            Self::Section {
                index,
                name,
                problem,
            } => write!(f, "{}: {problem}", Region::Section { index, name }),
            Self::Symbol {
                index,
                name,
                problem,
            } => {
                write!(f, "symbol {index} (`{}`): {problem}", name.escape_debug())
            }
            Self::Overlap { first, second } => {
                write!(f, "{first} and {second} share bytes of the file")
            }
            Self::Absurd {
                what,
                found,
                expected,
            } => write!(f, "{what} is {found}, expected {expected}"),
            Self::TooLarge { needed } => {
                write!(
                    f,
                    "needs {needed:#x} bytes of memory, allowed are {MAX_SIZE:#x}"
                )
            }
            Self::Unresolved { name } => {
                let name = name.escape_debug();
                write!(
                    f,
                    "unresolved symbol `{name}`: the kernel exports no such function (`export!` beside a \
                     function exports it, and the shell's `exports` lists them)"
                )
            }
            Self::UnknownRelocation {
                kind,
                name,
                section,
                offset,
            } => {
                let section = section.escape_debug();
                match name {
                    Some(name) => write!(f, "{name} at {section}+{offset:#x}: not supported"),
                    None => write!(f, "unknown relocation {kind} at {section}+{offset:#x}"),
                }
            }
            Self::RelocationOutside {
                relocation,
                section,
                offset,
                size,
            } => write!(
                f,
                "{relocation} at {}+{offset:#x}: the section has {size:#x} bytes",
                section.escape_debug()
            ),
            Self::NoSuchSymbol {
                section,
                offset,
                symbol,
                count,
            } => write!(
                f,
                "relocation at {}+{offset:#x}: there is no symbol {symbol}, there are {count}",
                section.escape_debug()
            ),
            Self::Addend {
                name,
                section,
                offset,
                addend,
            } => write!(
                f,
                "call at {}+{offset:#x} to `{}`: addend {addend}, expected 0",
                section.escape_debug(),
                name.escape_debug()
            ),
            Self::Misaligned {
                relocation,
                place,
                value,
                multiple,
            } => write!(
                f,
                "{relocation} at {place}: {value:#x} is not a multiple of {multiple}"
            ),
            Self::Overflow {
                relocation,
                place,
                value,
            } => {
                let sign = if value < 0 { "-" } else { "" };
                write!(
                    f,
                    "{relocation} at {place}: {sign}{:#x} does not fit",
                    value.unsigned_abs()
                )
            }
            Self::NoNop { place, found, name } => {
                write!(
                    f,
                    "call at {place} to `{}`: behind it ",
                    name.escape_debug()
                )?;
                match found {
                    Some(word) => write!(f, "is {word:#010x}, expected a nop"),
                    None => f.write_str("the section ends, expected a nop"),
                }
            }
            Self::NotACall { place, found, name } => write!(
                f,
                "branch {found:#010x} at {place} to `{}`: not a call, so r2 would be lost",
                name.escape_debug()
            ),
            Self::NotABranch {
                relocation,
                place,
                found,
            } => write!(
                f,
                "{relocation} at {place}: {found:#010x} is no such branch"
            ),
            Self::NotPrefixed {
                relocation,
                place,
                found,
            } => write!(
                f,
                "{relocation} at {place}: {found:#010x} is no prefix of an instruction that is relative to its address"
            ),
            Self::Straddles { place } => write!(
                f,
                "prefixed instruction at {place}: crosses a multiple of 64 bytes"
            ),
            Self::TocOutOfReach { toc, base, size } => write!(
                f,
                "the toc pointer {toc:#x} does not reach {size:#x} bytes at {base:#x}: they must be within 2 GiB of it"
            ),
            Self::Base { base, align, size } => write!(
                f,
                "{size:#x} bytes can't be at {base:#x}: expected a multiple of {align:#x}, and an end"
            ),
            Self::Image { found, expected } => {
                write!(f, "{found} bytes of memory given, expected {expected}")
            }
            Self::NoMemory { bytes } => write!(f, "no memory for {bytes} bytes"),
        }
    }
}

impl error::Error for LoadError<'_> {}
