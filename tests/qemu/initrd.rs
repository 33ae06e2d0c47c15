//! Initrds that the build does not make: damaged ones, which are told as such and once, and
//! ones with names that are long, wrong or there twice.

use crate::harness::{self, Boot, Run, trial};
use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use std::path::{Path, PathBuf};
use tar::{Builder, Header};
use xtask::image::Image;
use xtask::outcome::Outcome;

/// Bytes in a block of an archive.
const BLOCK: usize = 512;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("initrd::damaged", damaged),
        trial("initrd::told_once", told_once),
        trial("initrd::long_names", long_names),
        trial("initrd::same_name_twice", same_name_twice),
        trial("initrd::another_name", another_name),
    ]
}

/// The module `two_percent`, for the kernel that is booted.
fn module() -> Result<Vec<u8>> {
    let folder = xtask::modules::folder(harness::kernel(Image::Klplab)?);
    let path = folder.join("epilogue/two_percent.ko");
    std::fs::read(&path).with_context(|| path.display().to_string())
}

/// An archive of these members.
fn archive(members: &[(&str, &[u8])]) -> Result<Vec<u8>> {
    let mut builder = Builder::new(Vec::new());
    for (path, bytes) in members {
        let mut header = Header::new_ustar();
        header.set_path(path)?;
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        builder.append(&header, *bytes)?;
    }
    Ok(builder.into_inner()?)
}

/// An archive with one module, with a name longer than a header of GNU tar's has room for.
fn gnu_archive(module: &[u8]) -> Result<Vec<u8>> {
    let mut builder = Builder::new(Vec::new());
    let mut header = Header::new_gnu();
    header.set_size(module.len() as u64);
    header.set_cksum();
    let path = format!("modules/{:a<120}.ko", "");
    builder.append_data(&mut header, path, module)?;
    Ok(builder.into_inner()?)
}

/// An archive with one module; its name is in an extended header of pax.
fn pax_archive(module: &[u8]) -> Result<Vec<u8>> {
    let mut builder = Builder::new(Vec::new());
    builder.append_pax_extensions([("path", &b"modules/two_percent.ko"[..])])?;
    let mut header = Header::new_ustar();
    header.set_path("modules/short.ko")?;
    header.set_size(module.len() as u64);
    header.set_cksum();
    builder.append(&header, module)?;
    Ok(builder.into_inner()?)
}

/// Boots with an initrd: the image that the module is for, whatever it is to do.
fn run(label: &str, initrd: &[u8], append: &str) -> Result<Run> {
    let file = format!("{}.tar", label.replace("::", "-"));
    let path: PathBuf = Path::new(env!("CARGO_TARGET_TMPDIR")).join(file);
    std::fs::write(&path, initrd)?;
    Boot::new(label, "default", append)?.initrd(&path).run()
}

/// Runs commands of the shell with an initrd, and returns what came of them.
fn shell(label: &str, initrd: &[u8], commands: &str, status: u8) -> Result<String> {
    let append = format!("mode=shell input=script -- {commands}; poweroff");
    let run = run(label, initrd, &append)?;
    run.expect(&Outcome::Guest(status))?;
    Ok(run.finished.transcript)
}

/// What is wrong with an archive, and how that is said.
fn damaged() -> Result<()> {
    let module = module()?;
    let good = archive(&[("modules/two_percent.ko", &module)])?;
    let changed = |place: usize| {
        let mut bytes = good.clone();
        bytes[place] ^= 1;
        bytes
    };
    let cases: [(&str, Vec<u8>, &str); 9] = [
        (
            "no-end",
            good[..good.len() - 2 * BLOCK].into(),
            "the initrd is damaged: archive does not end with two zero blocks",
        ),
        (
            "one-zero-block",
            good[..good.len() - BLOCK].into(),
            "the initrd is damaged: archive does not end with two zero blocks",
        ),
        (
            "cut",
            good[..4 * BLOCK].into(),
            "the initrd is damaged: payload described by header at block 0 extends beyond the archive",
        ),
        (
            "odd",
            good[..700].into(),
            "the initrd is damaged: archive length is not a multiple of 512 bytes",
        ),
        (
            "checksum",
            changed(0),
            "the initrd is damaged: header at block 0 has an invalid checksum",
        ),
        (
            "zeros",
            vec![0; 2 * BLOCK],
            "the initrd is damaged: archive is too short",
        ),
        (
            "gnu",
            gnu_archive(&module)?,
            "the initrd has an extended header of type `L` at block 0, expected a plain archive",
        ),
        (
            "pax",
            pax_archive(&module)?,
            "the initrd has an extended header of type `x` at block 0, expected a plain archive",
        ),
        (
            "escape",
            archive(&[("modules/\u{1b}[31mred.ko", &module)])?,
            "the initrd has a module `\\u{1b}[31mred`, expected a name of printable characters",
        ),
    ];
    for (what, initrd, expected) in cases {
        let said = shell(&format!("initrd::damaged::{what}"), &initrd, "modules", 0)?;
        ensure!(
            said.contains(&format!("can be loaded\nnone: {expected}")) && !said.contains('\u{1b}'),
            "{what}:\n{said}"
        );
    }
    Ok(())
}

/// The demonstration and the self-tests say it once, and go on to nothing that needs a
/// module.
fn told_once() -> Result<()> {
    let good = archive(&[("modules/two_percent.ko", &module()?)])?;
    let initrd = &good[..good.len() - 2 * BLOCK];
    for (mode, failures) in [("run", " not ok\n"), ("selftest", "FAILED")] {
        let label = format!("initrd::told_once::{mode}");
        let run = run(&label, initrd, &format!("mode={mode}"))?;
        run.expect(&Outcome::Guest(1))?;
        let said = &run.finished.transcript;
        ensure!(
            said.matches("the initrd is damaged: archive does not end")
                .count()
                == 1
                && said.matches(failures).count() == 1,
            "{said}"
        );
    }
    let said = shell("initrd::told_once::shell", initrd, "enable two_percent", 1)?;
    ensure!(
        said.contains(
            "\nenable: the initrd is damaged: archive does not end with two zero blocks\n"
        ),
        "{said}"
    );
    Ok(())
}

/// Names of which the header has a part in another field, and one that fills its field.
fn long_names() -> Result<()> {
    let module = module()?;
    let names = [
        // `modules/NAME.ko` has 100 bytes.
        format!("{:a<89}", ""),
        // And more.
        format!("{:b<90}", ""),
        format!("{:c<97}", ""),
    ];
    let paths = names.each_ref().map(|name| format!("modules/{name}.ko"));
    let members: Vec<(&str, &[u8])> = paths
        .iter()
        .map(|path| (path.as_str(), &module[..]))
        .collect();
    let said = shell("initrd::long_names", &archive(&members)?, "modules", 0)?;
    for name in names {
        ensure!(said.contains(&name), "no {name}:\n{said}");
    }
    // By another convention, in the folder that the prefix names.
    let path = format!("modules/plain/{:d<90}.ko", "");
    let initrd = archive(&[(&path, &module)])?;
    let said = shell(
        "initrd::long_names::plain",
        &initrd,
        "variant livepatch-stack; modules",
        0,
    )?;
    ensure!(said.contains(&format!("{:d<90}", "")), "{said}");
    Ok(())
}

/// The last one counts, as it does for `tar`.
fn same_name_twice() -> Result<()> {
    let path = "modules/two_percent.ko";
    let initrd = archive(&[(path, b"an older one"), (path, &module()?)])?;
    let commands = "modules; enable two_percent; call balance 1";
    let said = shell("initrd::same_name_twice", &initrd, commands, 0)?;
    let listed = said.lines().filter(|line| line.starts_with("two_percent "));
    ensure!(
        listed.count() == 1 && said.contains("balance(1) = 10200"),
        "{said}"
    );
    Ok(())
}

/// A file that is named after another module is refused, whatever asks for it.
fn another_name() -> Result<()> {
    let initrd = archive(&[("modules/other.ko", &module()?)])?;
    let said = shell(
        "initrd::another_name",
        &initrd,
        "enable other; load other; patches; modules",
        1,
    )?;
    let refusal =
        "the file `other.ko` holds a module `two_percent`, expected one of the file's name\n";
    ensure!(
        said.matches(refusal).count() == 2 && said.contains("no patch is enabled"),
        "{said}"
    );
    Ok(())
}
