//! The modules that came with the kernel: files of the initrd, a tar archive.
//! `modules/NAME.ko` is built in the usual return convention, and
//! `modules/CONVENTION/NAME.ko` in another one.

use super::expected;
use crate::platform;
use alloc::vec::Vec;
use core::slice;
use klp::Convention;
use spin::Once;

/// A file of the initrd.
#[derive(Clone, Copy, Debug)]
pub struct File {
    /// The module's name: the file's, without folder and `.ko`.
    pub name: &'static str,
    /// The return convention that it was built in, as its place in the archive says.
    /// The loader looks at the descriptor.
    pub convention: Convention,
    /// What is in it.
    pub bytes: &'static [u8],
}

/// What is in the initrd, which does not change: read once, at boot, so that memory
/// is the same before and after whoever asks first.
static FILES: Once<Vec<File>> = Once::new();

/// Reads the list of files.
pub fn start() {
    FILES.call_once(list);
}

/// The modules that were built in the convention that the loader takes now
/// ([`expected`]).
#[must_use]
pub fn files_for_current() -> Vec<File> {
    current().collect()
}

/// The module of this name among them.
#[must_use]
pub fn find_file(name: &str) -> Option<File> {
    current().find(|file| file.name == name)
}

fn current() -> impl Iterator<Item = File> {
    let (convention, _) = expected();
    let files = files().iter().copied();
    files.filter(move |file| file.convention == convention)
}

/// The modules in the initrd, of all conventions; none without an initrd, or if it
/// is no archive.
#[must_use]
pub fn files() -> &'static [File] {
    FILES.get().map_or(&[], Vec::as_slice)
}

fn list() -> Vec<File> {
    let Some(range) = platform::get().initrd else {
        return Vec::new();
    };
    // SAFETY: the device tree says that the initrd is there; its memory was kept
    // out of the heap, and nobody writes to it.
    let initrd: &'static [u8] = unsafe {
        slice::from_raw_parts(range.start as *const u8, (range.end - range.start) as usize)
    };
    let mut files = Vec::new();
    let Ok(archive) = tar_no_std::TarArchiveRef::new(initrd) else {
        return files;
    };
    for entry in archive.entries() {
        // The archive hands out names by value; the same bytes lie in its header.
        let Some(header) = (entry.data().as_ptr().addr() - initrd.as_ptr().addr()).checked_sub(512)
        else {
            continue;
        };
        let name = initrd[header..header + 100]
            .split(|&byte| byte == 0)
            .next()
            .unwrap_or(&[]);
        let Ok(path) = core::str::from_utf8(name) else {
            continue;
        };
        let Some((folders, name)) = path.strip_suffix(".ko").and_then(|p| p.rsplit_once('/'))
        else {
            continue;
        };
        let convention = match folders.split_once('/') {
            None => Some(Convention::USUAL),
            Some((_, folder)) => Convention::from_name(folder),
        };
        if let Some(convention) = convention {
            files.push(File {
                name,
                convention,
                bytes: entry.data(),
            });
        }
    }
    files
}
