//! Applying one relocation.

use crate::field::Misfit;
use crate::howto::{Field, Value, howto};
use crate::place::Placing;
use crate::references::Relocation;
use crate::{LoadError, Place};

/// A section whose relocations are applied.
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
        let place = Place {
            section: target.name,
            offset,
            address: self.base + at,
        };
        let at = at as usize;
        // These are instructions. Data may be anywhere.
        let is_word = matches!(howto.field, Field::Half16Ds | Field::Low14 | Field::Low24);
        if is_word && !place.address.is_multiple_of(4) {
            return Err(LoadError::Misaligned {
                relocation: relocation.name(),
                place,
                value: place.address,
                multiple: 4,
            });
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
