//! A table of names.

use crate::malformed::StringsError;
use core::ffi::CStr;

/// The longest name that a module may have, in bytes. The longest ones that
/// compilers make, of generic functions, have some hundreds.
pub const MAX_NAME: usize = 4096;

/// A table of names that has been checked: UTF-8, zero bytes at both ends, and
/// never more than [`MAX_NAME`] bytes between two of them.
#[derive(Clone, Copy)]
pub(crate) struct Strings<'a>(&'a str);

impl<'a> Strings<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, StringsError> {
        if bytes.first() != Some(&0) || bytes.last() != Some(&0) {
            return Err(StringsError::NotTerminated);
        }
        let text = str::from_utf8(bytes).map_err(|error| StringsError::NotUtf8 {
            offset: error.valid_up_to(),
        })?;
        // From each start of a name, the last zero byte that is near enough.
        // That looks at no byte more than twice.
        let mut rest = bytes;
        while rest.len() > MAX_NAME {
            let near = rest.get(..=MAX_NAME).unwrap_or(rest);
            let Some(zero) = near.iter().rposition(|byte| *byte == 0) else {
                return Err(StringsError::TooLong {
                    offset: bytes.len() - rest.len(),
                });
            };
            rest = rest.get(zero + 1..).unwrap_or(&[]);
        }
        Ok(Self(text))
    }

    /// Whether a name may start there: anywhere, not only behind a zero byte.
    pub(crate) fn contains(&self, offset: u32) -> bool {
        let offset = offset as usize;
        offset < self.0.len() && self.0.is_char_boundary(offset)
    }

    /// The name that starts there; empty if none may.
    pub(crate) fn name(&self, offset: u32) -> &'a str {
        let rest = self.0.get(offset as usize..).unwrap_or("");
        // Looks for the zero byte a word at a time.
        let bytes = CStr::from_bytes_until_nul(rest.as_bytes());
        let end = bytes.map_or(0, CStr::count_bytes);
        rest.get(..end).unwrap_or("")
    }

    /// Whether `name` starts there, with a zero byte behind it. It must not
    /// contain one.
    pub(crate) fn is(&self, offset: u32, name: &str) -> bool {
        let rest = self.0.get(offset as usize..).unwrap_or("");
        rest.strip_prefix(name)
            .is_some_and(|behind| behind.starts_with('\0'))
    }
}
