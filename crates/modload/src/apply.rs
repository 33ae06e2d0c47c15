//! Applying one relocation.

use crate::field::Misfit;
use crate::howto::{Field, Value, howto};
use crate::place::Placing;
use crate::references::Relocation;
use crate::{LoadError, Place};
use ppc64::opcode;

/// A section that relocations are applied to.
pub(crate) struct Target<'a> {
    pub(crate) name: &'a str,
    /// Bytes from the start of the image.
    pub(crate) start: u64,
    pub(crate) size: u64,
}

impl<'a> Placing<'_, 'a> {
    /// Applies a relocation of a section.
    pub(crate) fn apply(
        &self,
        image: &mut [u8],
        target: &Target<'a>,
        relocation: Relocation,
    ) -> Result<(), LoadError<'a>> {
        // `References::parse` has checked that there is such a type, and that the
        // bytes exist.
        let Some(howto) = howto(relocation.kind) else {
            return Ok(());
        };
        let Relocation {
            offset,
            symbol,
            addend,
            ..
        } = relocation;
        let at = target.start + offset;
        // Most are this one, and nothing can be wrong with it.
        if let (Value::Absolute, Field::Doubleword) = (howto.value, howto.field) {
            let value = self.value(symbol).wrapping_add_signed(addend);
            let _ = patch::<8>(image, at as usize, |_| Ok(value));
            return Ok(());
        }
        let place = Place {
            section: target.name,
            offset,
            address: self.base + at,
        };
        let at = at as usize;
        // These are instructions. Data may be anywhere.
        if matches!(
            howto.field,
            Field::Half16Ds | Field::Low14 | Field::Low24 | Field::Prefixed34
        ) {
            check_instruction(image, at, place, howto.field, relocation)?;
        }
        let value = match howto.value {
            Value::Nothing => return Ok(()),
            Value::Absolute => self.value(symbol).wrapping_add_signed(addend),
            Value::Relative => self
                .value(symbol)
                .wrapping_add_signed(addend)
                .wrapping_sub(place.address),
            Value::TocRelative => self
                .value(symbol)
                .wrapping_add_signed(addend)
                .wrapping_sub(self.toc),
            Value::Toc => self.toc.wrapping_add_signed(addend),
            Value::Got => self
                .got_entry(symbol, addend)
                .unwrap_or(0)
                .wrapping_sub(self.toc),
            Value::GotRelative => self
                .got_entry(symbol, addend)
                .unwrap_or(0)
                .wrapping_sub(place.address),
            Value::Call | Value::CallWithoutToc if self.module.references.is_profile(symbol) => {
                return self.profiled(image, at, place, relocation);
            }
            Value::Call | Value::CallWithoutToc | Value::Conditional => {
                let behind = (offset + 8 <= target.size).then_some(at + 4);
                self.branch(image, (at, behind), place, howto, relocation)?
                    .wrapping_sub(place.address)
            }
        };
        match howto.field.bytes() {
            2 => patch::<2>(image, at, |old| howto.insert(old, value)),
            4 => patch::<4>(image, at, |old| howto.insert(old, value)),
            _ => patch::<8>(image, at, |old| howto.insert(old, value)),
        }
        .map_err(|misfit| match misfit {
            Misfit::Overflow => LoadError::Overflow {
                relocation: relocation.name(),
                place,
                value: value.cast_signed(),
            },
            Misfit::Misaligned(multiple) => LoadError::Misaligned {
                relocation: relocation.name(),
                place,
                value,
                multiple,
            },
        })
    }
}

/// Checks that there can be an instruction, and of a prefixed one that it is
/// relative to the program counter: opcode 1, with the bit R, in one block of 64
/// bytes (ISA 3.1, Book I, 1.6 and 1.9).
fn check_instruction<'a>(
    image: &[u8],
    at: usize,
    place: Place<'a>,
    field: Field,
    relocation: Relocation,
) -> Result<(), LoadError<'a>> {
    const RELATIVE: u32 = 1 << 20;
    if !place.address.is_multiple_of(4) {
        return Err(LoadError::Misaligned {
            relocation: relocation.name(),
            place,
            value: place.address,
            multiple: 4,
        });
    }
    if field != Field::Prefixed34 {
        return Ok(());
    }
    let bytes = image.get(at..).and_then(<[u8]>::first_chunk);
    let found = bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes));
    if opcode::primary(found) != opcode::PREFIX || found & RELATIVE == 0 {
        return Err(LoadError::NotPrefixed {
            relocation: relocation.name(),
            place,
            found,
        });
    }
    if place.address % 64 == 60 {
        return Err(LoadError::Straddles { place });
    }
    Ok(())
}

/// Changes `N` bytes of the image.
fn patch<const N: usize>(
    image: &mut [u8],
    at: usize,
    change: impl FnOnce(u64) -> Result<u64, Misfit>,
) -> Result<(), Misfit> {
    let bytes = image.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<N>);
    let Some(bytes) = bytes else {
        return Ok(());
    };
    let mut wide = [0; 8];
    let (low, _) = wide.split_at_mut(N);
    low.copy_from_slice(bytes);
    let new = change(u64::from_le_bytes(wide))?.to_le_bytes();
    let (low, _) = new.split_at(N);
    bytes.copy_from_slice(low);
    Ok(())
}
