//! The modules that came with the kernel: files of the initrd, a tar archive.

use crate::platform;
use core::slice;

/// A file of the initrd.
#[derive(Clone, Copy, Debug)]
pub struct File {
    /// The module's name: the file's, without folder and `.ko`.
    pub name: &'static str,
    /// What is in it.
    pub bytes: &'static [u8],
}

/// The modules in the initrd; none without an initrd, or if it is no archive.
#[must_use]
pub fn files() -> alloc::vec::Vec<File> {
    let Some(range) = platform::get().initrd else {
        return alloc::vec::Vec::new();
    };
    // SAFETY: the device tree says that the initrd is there; its memory was kept
    // out of the heap, and nobody writes to it.
    let initrd: &'static [u8] = unsafe {
        slice::from_raw_parts(range.start as *const u8, (range.end - range.start) as usize)
    };
    let mut files = alloc::vec::Vec::new();
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
        let file = path.rsplit('/').next().unwrap_or(path);
        if let Some(name) = file.strip_suffix(".ko") {
            files.push(File {
                name,
                bytes: entry.data(),
            });
        }
    }
    files
}
