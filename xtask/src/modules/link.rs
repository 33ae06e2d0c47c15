//! From archives to modules: the linker, and the kernel's build id.

use super::replace_if_changed;
use crate::{symbols, tool};
use anyhow::{Context, Result, anyhow, ensure};
use klp::{Info, info, seal};
use object::{Object, ObjectSection, ObjectSymbol};
use std::mem::offset_of;
use std::path::Path;
use std::process::Command;

/// How the linker makes a module of a crate's archive.
const SCRIPT: &str = "patches/modules.ld";

/// Links an archive into a relocatable file that belongs at `path`, and returns
/// it without debug information. The whole file lies beside that place.
///
/// # Errors
/// When it can't be linked, or is no module that the kernel would load.
pub fn link(archive: &Path, path: &Path) -> Result<Vec<u8>> {
    let folder = path.parent().context("a module in no folder")?;
    std::fs::create_dir_all(folder)
        .with_context(|| format!("{} could not be made", folder.display()))?;
    // Other processes may link at the same time; the last one renames last.
    let id = std::process::id();
    let (whole, bare) = (
        path.with_extension(format!("debug.{id}")),
        path.with_extension(format!("{id}")),
    );
    let result = link_to(archive, &whole, &bare).and_then(|bytes| {
        replace_if_changed(&path.with_extension("debug.ko"), &tool::read_file(&whole)?)?;
        loadable(&bytes)?;
        Ok(bytes)
    });
    for file in [whole, bare] {
        let _ = std::fs::remove_file(file);
    }
    result
}

fn link_to(archive: &Path, whole: &Path, bare: &Path) -> Result<Vec<u8>> {
    let mut ld = Command::new(tool::cross("ld"));
    ld.current_dir(tool::workspace());
    ld.args(["-r", "-X", "--gc-sections", "--save-restore-funcs"]);
    ld.args(["-T", SCRIPT]);
    ld.args(["-u", info::SYMBOL, "--entry", info::SYMBOL]);
    step(ld.arg("-o").arg(whole).arg(archive))?;
    let mut objcopy = Command::new(tool::cross("objcopy"));
    step(objcopy.arg("--strip-debug").arg(whole).arg(bare))?;
    let bytes = tool::read_file(bare)?;
    symbols::each_function_is_its_own(&bytes)?;
    Ok(bytes)
}

/// Refuses what the kernel's loader would refuse, but for symbols that only the kernel
/// can resolve.
fn loadable(module: &[u8]) -> Result<modload::Module<'_>> {
    let parsed = modload::Module::parse(module);
    parsed.map_err(|error| anyhow!("the kernel would not load it: {error}"))
}

fn step(command: &mut Command) -> Result<()> {
    let status = tool::status(command)?;
    let program = command.get_program().to_string_lossy();
    ensure!(status.success(), "`{program}` failed ({status})");
    Ok(())
}

/// The build id of a kernel.
///
/// # Errors
/// When it is no kernel, or has no build id of the length that modules carry.
pub fn build_id(kernel: &[u8]) -> Result<[u8; info::BUILD_ID_BYTES]> {
    let file = symbols::parse(kernel)?;
    let id = file.build_id()?.context("there is no .note.gnu.build-id")?;
    let length = id.len();
    id.try_into()
        .ok()
        .with_context(|| format!("it has {length} bytes instead of {}", info::BUILD_ID_BYTES))
}

/// A module that was proved, with its seal and a kernel's build id in its descriptor.
///
/// # Errors
/// When it has no descriptor.
pub fn stamp(mut module: Vec<u8>, id: &[u8; info::BUILD_ID_BYTES]) -> Result<Vec<u8>> {
    let descriptor = descriptor(&module)?;
    let seal = seal::of(loadable(&module)?.code()).to_le_bytes();
    let fields: [(usize, &[u8]); 2] = [
        (offset_of!(Info, build_id), id),
        (offset_of!(Info, seal), &seal),
    ];
    for (offset, bytes) in fields {
        let place = descriptor + offset;
        module
            .get_mut(place..place + bytes.len())
            .context("the descriptor is cut off")?
            .copy_from_slice(bytes);
    }
    Ok(module)
}

/// Whether a module's descriptor says that it keeps the kernel's TOC.
pub(super) fn keeps_kernels_toc(module: &[u8]) -> Result<bool> {
    let place = descriptor(module)? + offset_of!(Info, flags);
    let flags = module.get(place..).and_then(<[u8]>::first_chunk);
    let flags = flags.context("the descriptor is cut off")?;
    Ok(u32::from_le_bytes(*flags) & info::KERNELS_TOC != 0)
}

/// Where the descriptor is in a module's file.
fn descriptor(module: &[u8]) -> Result<usize> {
    let file = symbols::parse(module)?;
    let section = file.section_by_name(info::SECTION);
    let section = section.with_context(|| {
        format!(
            "no section {}: a patch needs a `klp::module!`",
            info::SECTION
        )
    })?;
    let symbol = file
        .symbols()
        .find(|symbol| {
            symbol.name() == Ok(info::SYMBOL) && symbol.section_index() == Some(section.index())
        })
        .with_context(|| format!("no symbol {} in {}", info::SYMBOL, info::SECTION))?;
    let (offset, size) = section
        .file_range()
        .context("the descriptor has no bytes")?;
    ensure!(
        symbol
            .address()
            .checked_add(size_of::<Info>() as u64)
            .is_some_and(|end| end <= size),
        "the descriptor is cut off"
    );
    let place = usize::try_from(offset + symbol.address())?;
    let magic = module
        .get(place..place + 8)
        .context("the descriptor is cut off")?;
    ensure!(
        magic == info::MAGIC.to_le_bytes(),
        "the descriptor starts with {magic:02x?} instead of {:02x?}",
        info::MAGIC.to_le_bytes()
    );
    Ok(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Links a module with a function's address in a section of this name.
    fn with_section(folder: &Path, name: &str) -> Result<Vec<u8>> {
        let (source, object) = (folder.join("module.s"), folder.join("module.o"));
        let archive = folder.join("module.a");
        let text = format!(
            r#"
            .abiversion 2
            .section {}, "aw"
            .globl {symbol}
            .type {symbol}, @object
{symbol}:   .skip {}
            .size {symbol}, . - {symbol}
            .text
function:   blr
            .section {name}, "aw"
            .quad function
            "#,
            info::SECTION,
            size_of::<Info>(),
            symbol = info::SYMBOL,
        );
        std::fs::write(&source, text)?;
        step(
            Command::new(tool::cross("as"))
                .arg("-o")
                .args([&object, &source]),
        )?;
        let _ = std::fs::remove_file(&archive);
        step(
            Command::new(tool::cross("ar"))
                .arg("rcs")
                .args([&archive, &object]),
        )?;
        link(&archive, &folder.join("module.ko"))
    }

    #[test]
    fn constructors_stop_the_build() {
        let folder = std::env::temp_dir().join(format!("klplab-link-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        for name in [
            ".init_array",
            ".preinit_array",
            ".fini_array",
            ".init_array.00100",
            ".ctors",
            ".ctors.65435",
            ".dtors",
        ] {
            let error = with_section(&folder, name)
                .map(drop)
                .unwrap_err()
                .to_string();
            assert!(
                error.ends_with("constructors or destructors, which the kernel would never run"),
                "{name}: {error}"
            );
        }
        // Nothing reaches this one, so the link leaves it out.
        with_section(&folder, ".data.unused").unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
