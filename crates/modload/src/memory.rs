//! Lists that say so when there is no memory for them.

use crate::LoadError;
use alloc::vec::Vec;

/// An empty list with room for `count` items.
pub(crate) fn list<'a, T>(count: usize) -> Result<Vec<T>, LoadError<'a>> {
    let mut list = Vec::new();
    match list.try_reserve_exact(count) {
        Ok(()) => Ok(list),
        Err(_) => Err(LoadError::NoMemory {
            bytes: count.saturating_mul(size_of::<T>()),
        }),
    }
}

/// `count` times the same item.
pub(crate) fn filled<'a, T: Clone>(item: T, count: usize) -> Result<Vec<T>, LoadError<'a>> {
    let mut filled = list(count)?;
    filled.resize(count, item);
    Ok(filled)
}

/// Adds an item to a list of unknown length.
pub(crate) fn push<'a, T>(list: &mut Vec<T>, item: T) -> Result<(), LoadError<'a>> {
    if list.try_reserve(1).is_err() {
        return Err(LoadError::NoMemory {
            bytes: (list.len() + 1).saturating_mul(size_of::<T>()),
        });
    }
    list.push(item);
    Ok(())
}

/// A copy of a list.
pub(crate) fn copied<'a, T: Copy>(items: &[T]) -> Result<Vec<T>, LoadError<'a>> {
    let mut copy = list(items.len())?;
    copy.extend_from_slice(items);
    Ok(copy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_an_error() {
        let error = list::<u64>(usize::MAX).unwrap_err();
        assert_eq!(error, LoadError::NoMemory { bytes: usize::MAX });
        let error = filled(0_u8, usize::MAX).unwrap_err();
        assert_eq!(error, LoadError::NoMemory { bytes: usize::MAX });
        assert_eq!(filled(7, 3), Ok(alloc::vec![7, 7, 7]));
    }
}
