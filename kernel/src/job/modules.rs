//! A module beside the kernel: two TOCs, and a call from one to the other and back.

use super::line::Line;
use crate::{
    arch::{self, HandedOver},
    module,
};
use alloc::{format, string::String};
use klp::Convention;

/// The module that is loaded, and the function whose replacement is called.
const MODULE: &str = "demo";
const FUNCTION: &str = "kernel::victims::leaf";

/// Loads a module, calls into it, and unloads it.
pub fn check() -> Line {
    match load_and_call() {
        Ok((count, sites, right)) => Line::new(
            "modules",
            format_args!("{count} came along, `{MODULE}` was called and unloaded ({sites} sites)"),
            right,
        ),
        Err(problem) => Line::new("modules", format_args!("{problem}"), false),
    }
}

#[inline(never)]
fn load_and_call() -> Result<(usize, usize, bool), String> {
    let count = module::files_for_current().len();
    let file = module::find_file(MODULE)?;
    let module = file.load().map_err(|error| format!("{error}"))?;
    let new = module.replacements.iter().find(|one| one.path == FUNCTION);
    let new = new.map(|replacement| replacement.new);
    let sites = module.sites;
    // Others leave that to the hand-off, which this call is without.
    let restores = matches!(module.convention, Convention::Epilogue | Convention::Pcrel);
    drop(module);
    let mut call = HandedOver::default();
    call.arguments[0] = 5;
    if let Some(new) = new {
        // SAFETY: the function takes one integer, as the one that it replaces; its
        // module stays until it is unloaded below.
        unsafe { arch::handed_over(new, &mut call) };
    }
    module::unload(MODULE).map_err(|error| format!("{error}"))?;
    let right = (call.toc_after == call.toc_before || !restores) && call.results[0] == 17;
    Ok((count, sites, right && new.is_some()))
}
