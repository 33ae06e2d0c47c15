//! What the kernel's file says of its variants, for the host.

use crate::Convention;

/// The section of the kernel's file that holds one note for each variant.
pub const NOTES_SECTION: &str = ".variants";

/// The variants that came with the tree. Any other is the reader's own.
pub const SHIPPED_VARIANTS: [&str; 6] = [
    "epilogue",
    "epilogue-as-posted",
    "mini-frame",
    "livepatch-stack",
    "shared-toc",
    "pcrel",
];

/// Most bytes of a variant's name.
const NAME: usize = 28;

/// A variant, a way to hand a call over to a replacement function: its name, and what
/// it asks of that function.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct VariantNote {
    /// The number of a [`Convention`].
    convention: u32,
    /// UTF-8, zeros behind it.
    name: [u8; NAME],
}

impl VariantNote {
    /// Bytes of a note.
    pub const SIZE: usize = size_of::<Self>();

    /// A note.
    ///
    /// # Panics
    /// If the name has more than 28 bytes. In a constant that is an error of the compiler's.
    #[must_use]
    pub const fn new(name: &str, convention: Convention) -> Self {
        assert!(name.len() <= NAME, "a variant's name has at most 28 bytes");
        let mut bytes = [0; NAME];
        let (filled, _) = bytes.split_at_mut(name.len());
        filled.copy_from_slice(name.as_bytes());
        Self {
            convention: convention as u32,
            name: bytes,
        }
    }

    /// The name and the convention in a little-endian note; nothing if it is none.
    #[must_use]
    pub fn read(bytes: &[u8; Self::SIZE]) -> Option<(&str, Convention)> {
        let (number, name) = bytes.split_first_chunk()?;
        let convention = Convention::from_number(u32::from_le_bytes(*number))?;
        let end = name.iter().position(|byte| *byte == 0).unwrap_or(NAME);
        let (name, rest) = name.split_at(end);
        let name = core::str::from_utf8(name).ok()?;
        (!name.is_empty() && rest.iter().all(|byte| *byte == 0)).then_some((name, convention))
    }
}
