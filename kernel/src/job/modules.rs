//! A module beside the kernel: two TOCs, and a call from one to the other and back.

use super::Line;
use crate::{
    arch::{self, HandedOver},
    console::{Painted, Tone},
    module::{self, Module},
};
use alloc::{format, string::String};

/// The module that is shown, and the function whose replacement is called.
const MODULE: &str = "demo";
const FUNCTION: &str = "kernel::victims::leaf";

/// Lists the modules that came along, loads one and calls into it.
pub fn run() -> Line {
    println!(
        "{}",
        Painted(Tone::Heading, "a patch module, with a TOC of its own")
    );
    let (found, right) = match show() {
        Ok(outcome) => outcome,
        Err(problem) => (problem, false),
    };
    Line {
        what: "modules",
        found,
        right,
    }
}

#[inline(never)]
fn show() -> Result<(String, bool), String> {
    let files = module::files();
    for file in &files {
        println!("  {:<12} {:>7} bytes", file.name, file.bytes.len());
    }
    let file = files.iter().find(|file| file.name == MODULE);
    let file = file.ok_or_else(|| format!("the initrd has no module `{MODULE}`"))?;
    let module = module::load(file.bytes).map_err(|error| format!("{error}"))?;
    let outcome = call(&module);
    drop(module);
    module::unload(MODULE).map_err(|error| format!("{error}"))?;
    let (call, sites) = outcome?;
    let right = call.toc_after == call.toc_before && call.results[0] == 17;
    Ok((
        format!(
            "{} came along, `{MODULE}` was called and unloaded ({sites} sites)",
            files.len()
        ),
        right,
    ))
}

/// Shows a loaded module, and calls one of its functions as after a hand-off.
fn call(module: &Module) -> Result<(HandedOver, usize), String> {
    let range = module.range();
    println!(
        "  `{}` is at {:#x} to {:#x}",
        module.name, range.start, range.end
    );
    println!("    stubs for outside calls      {}", module.stubs);
    print!("    relocations                 ");
    for (kind, count) in &module.relocations {
        print!(" {} {count}", kind.trim_start_matches("R_PPC64_"));
    }
    println!();
    let new = module.replacements.iter().find(|one| one.path == FUNCTION);
    let new = new
        .ok_or_else(|| format!("`{FUNCTION}` is not replaced"))?
        .new;
    let mut call = HandedOver::default();
    call.arguments[0] = 5;
    // SAFETY: the function takes one integer, as the one that it replaces.
    unsafe { arch::handed_over(new, &mut call) };
    println!("    r2 in the kernel             {:#x}", call.toc_before);
    println!("    r2 in the module             {:#x}", module.toc);
    println!("    r2 back in the kernel        {:#x}", call.toc_after);
    println!(
        "    `{FUNCTION}`(5) is 16, its replacement returns {}",
        call.results[0]
    );
    Ok((call, module.sites))
}
