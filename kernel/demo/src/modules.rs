//! A module beside the kernel: code that was linked elsewhere comes and goes.

use super::line::Line;

use alloc::{format, string::String};

/// The module that is loaded.
const MODULE: &str = "two_percent";

/// Loads a module and unloads it.
pub fn check() -> Line {
    match come_and_go() {
        Ok((count, sites)) => Line::new(
            "modules",
            format_args!("{count} came along, `{MODULE}` was loaded and unloaded ({sites} sites)"),
            sites > 0 && loader::find(MODULE).is_none(),
        ),
        Err(problem) => Line::new("modules", format_args!("{problem}"), false),
    }
}

#[inline(never)]
fn come_and_go() -> Result<(usize, usize), String> {
    let count = loader::files_for_current().len();
    let file = loader::find_file(MODULE)?;
    let module = file.load().map_err(|error| format!("{error}"))?;
    let sites = module.sites;
    drop(module);
    loader::unload(MODULE).map_err(|error| format!("{error}"))?;
    Ok((count, sites))
}
