//! The modules that came with the kernel: files of the initrd, a tar archive in the
//! form ustar. `modules/NAME.ko` is built in the usual return convention, and
//! `modules/CONVENTION/NAME.ko` in another one.

use super::{Module, ModuleError, expected, load_named};
use alloc::{
    borrow::ToOwned,
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};
use core::{fmt, slice};
use klp::Convention;
use machine::platform;
use spin::Once;
use tar_no_std::{CorruptDataError, PosixHeader, TarArchiveRef};

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

impl File {
    /// Loads the module, as [`load`](super::load) does, if its descriptor names it as the
    /// archive does.
    ///
    /// # Errors
    /// [`ModuleError`]. On error, memory and text are as before.
    pub fn load(&self) -> Result<Arc<Module>, ModuleError<'static>> {
        load_named(self.bytes, self.name)
    }
}

/// Why there are no files. None is taken from an archive with anything wrong: where one
/// member is not what it was, the others need not be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum InitrdError {
    /// The kernel was started without an initrd.
    Missing,
    /// It is no archive, or a damaged one.
    Damaged(CorruptDataError),
    /// A name is in an extended header, of pax or GNU tar.
    Extended {
        /// The header's place in the archive, in blocks of 512 bytes.
        block: usize,
        /// Its type: `x` and `g` are pax's, `L` and `K` GNU tar's.
        kind: char,
    },
    /// A module's name has other characters than printable ones of ASCII.
    Name {
        /// The name, with those characters escaped.
        escaped: String,
    },
}

impl fmt::Display for InitrdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("there is no initrd, so no module came with the kernel"),
            Self::Damaged(error) => write!(f, "the initrd is damaged: {error}"),
            Self::Extended { block, kind } => write!(
                f,
                "the initrd has an extended header of type `{kind}` at block {block}, expected a plain archive (`tar --format=ustar` makes one)"
            ),
            Self::Name { escaped } => write!(
                f,
                "the initrd has a module `{escaped}`, expected a name of printable characters of ASCII"
            ),
        }
    }
}

/// What is in the initrd, which does not change: read once, at boot, so that the first
/// caller finds memory the same before and after its call.
static FILES: Once<Result<Vec<File>, InitrdError>> = Once::new();

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
///
/// # Errors
/// Why there is none, in a sentence.
pub fn find_file(name: &str) -> Result<File, String> {
    let found = current().find(|file| file.name == name);
    found.ok_or_else(|| match initrd_error() {
        Some(error) => format!("{error}"),
        None => format!("the initrd has no module `{name}`"),
    })
}

fn current() -> impl Iterator<Item = File> {
    let (convention, _) = expected();
    let files = files().iter().copied();
    files.filter(move |file| file.convention == convention)
}

/// The modules in the initrd, of all conventions; none if [`initrd_error`] says why.
#[must_use]
pub fn files() -> &'static [File] {
    match FILES.get() {
        Some(Ok(files)) => files,
        _ => &[],
    }
}

/// Why there are no files, if something is wrong with the initrd.
#[must_use]
pub fn initrd_error() -> Option<&'static InitrdError> {
    FILES.get()?.as_ref().err()
}

fn list() -> Result<Vec<File>, InitrdError> {
    let range = platform::get().initrd.ok_or(InitrdError::Missing)?;
    // SAFETY: the device tree says that the initrd is there; its memory was kept
    // out of the heap, and no code writes to it.
    let initrd: &'static [u8] = unsafe {
        slice::from_raw_parts(range.start as *const u8, (range.end - range.start) as usize)
    };
    let archive = TarArchiveRef::new(initrd).map_err(|error| damaged(initrd, error))?;
    let mut files: Vec<File> = Vec::new();
    for (block, header) in archive.headers() {
        let kind = initrd[block * BLOCK + TYPE];
        match kind {
            b'x' | b'g' => return Err(extended(block, kind)),
            b'0' | 0 => {}
            // Folders, links and devices are no modules.
            _ => continue,
        }
        let Some((name, convention)) = module_of(header)? else {
            continue;
        };
        let start = (block + 1) * BLOCK;
        // Checked above, when the archive was.
        let size = header.size.as_number().unwrap_or(0);
        let file = File {
            name,
            convention,
            bytes: &initrd[start..start + size],
        };
        // Of two members of one name, the last counts, as for `tar`.
        files.retain(|one| (one.name, one.convention) != (name, convention));
        files.push(file);
    }
    Ok(files)
}

/// Bytes in a block of the archive.
const BLOCK: usize = 512;
/// Where the type is in a header (POSIX, `pax`, "ustar Interchange Format").
const TYPE: usize = 156;

fn extended(block: usize, kind: u8) -> InitrdError {
    let kind = char::from(kind);
    InitrdError::Extended { block, kind }
}

fn damaged(initrd: &[u8], error: CorruptDataError) -> InitrdError {
    if let CorruptDataError::InvalidTypeFlag { block_index } = error
        && let kind @ (b'L' | b'K') = initrd[block_index * BLOCK + TYPE]
    {
        return extended(block_index, kind);
    }
    InitrdError::Damaged(error)
}

/// Name and convention of a module, if that is what a member is. A path of more than 100
/// bytes is in two parts, at a slash.
fn module_of(
    header: &'static PosixHeader,
) -> Result<Option<(&'static str, Convention)>, InitrdError> {
    let unreadable = |_| InitrdError::Name {
        escaped: "(not UTF-8)".to_owned(),
    };
    let rest = header.name.as_str().map_err(unreadable)?;
    let is_ustar = header.magic.as_str() == Ok("ustar");
    let prefix = if is_ustar {
        header.prefix.as_str().map_err(unreadable)?
    } else {
        ""
    };
    let (middle, file) = rest.rsplit_once('/').unwrap_or(("", rest));
    let Some(name) = file.strip_suffix(".ko") else {
        return Ok(None);
    };
    let folders = [prefix, middle].join("/");
    let Some(below) = folders.trim_matches('/').strip_prefix("modules") else {
        return Ok(None);
    };
    let convention = match below.strip_prefix('/') {
        None => below.is_empty().then_some(Convention::USUAL),
        Some(name) => Convention::from_name(name),
    };
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
        let escaped = name.escape_default().to_string();
        return Err(InitrdError::Name { escaped });
    }
    Ok(convention.map(|convention| (name, convention)))
}
