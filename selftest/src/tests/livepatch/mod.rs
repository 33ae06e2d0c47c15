//! Live patching. Groups that Linux has too carry the names of Linux's scripts, and
//! their tests those of its tests (`tools/testing/selftests/livepatch/`).
//!
//! Each test leaves the kernel as it was: see [`undisturbed`].

mod callbacks;
mod ftrace;
#[allow(
    clippy::module_inception,
    reason = "named after Linux's test-livepatch.sh"
)]
mod livepatch;
mod observer;
mod ours;
mod own_memory;
mod shadow_vars;
mod soak;
mod state;
mod staying;
mod syscall;
mod toggling;
mod undisturbed;

pub use soak::run as soak;
use staying::Staying;
use undisturbed::undisturbed;

use super::common::{limit, text, until};
use crate::check;
use ::livepatch::{self as klp, LivepatchError, Options, Patch, Status};
use alloc::{format, string::String, sync::Arc, vec::Vec};
use core::{
    fmt::Display, hint::black_box, mem::offset_of, sync::atomic::AtomicI32, time::Duration,
};
use lab::targets::live;
use loader::Module;
use machine::{arch, log};

/// A module's file in the initrd.
fn file(name: &str) -> Result<&'static [u8], String> {
    loader::find_file(name).map(|file| file.bytes)
}

/// The same, as a patch that replaces all others.
fn replacing(name: &str) -> Result<Vec<u8>, String> {
    let mut file = file(name)?.to_vec();
    let magic = ::klp::info::MAGIC.to_le_bytes();
    let place = file.windows(8).position(|bytes| bytes == magic);
    let place = place.ok_or_else(|| format!("`{name}` has no descriptor"))?;
    file[place + offset_of!(::klp::Info, flags)] |= ::klp::info::REPLACE as u8;
    Ok(file)
}

/// Loads a module.
fn load(name: &str) -> Result<Arc<Module>, String> {
    loader::load(file(name)?).map_err(|error| format!("{name}: {error}"))
}

/// Unloads a module that is no enabled patch.
fn unload(name: &str) -> Result<(), String> {
    loader::unload(name).map_err(text)
}

/// Loads a patch and starts to enable it.
fn start(name: &str) -> Result<Arc<Patch>, String> {
    klp::load(file(name)?, Options::default()).map_err(|error| format!("{name}: {error}"))
}

/// Loads a patch and enables it.
fn enable(name: &str) -> Result<(), String> {
    start(name)?;
    ends_as(name, Some(Status::Enabled))
}

/// The same, in the place of all others.
fn enable_replacing(name: &str) -> Result<(), String> {
    klp::load(&replacing(name)?, Options::default()).map_err(text)?;
    ends_as(name, Some(Status::Enabled))
}

/// Waits for the transition's end, and checks what became of the patch.
fn ends_as(name: &str, expected: Option<Status>) -> Result<(), String> {
    klp::wait();
    check!(
        klp::running().is_none(),
        "a transition runs after it has ended"
    );
    is(name, expected)
}

/// Checks how far a patch is.
fn is(name: &str, expected: Option<Status>) -> Result<(), String> {
    let found = klp::find(name).map(|(_, status)| status);
    check!(
        found == expected,
        "`{name}` is {found:?} instead of {expected:?}"
    );
    Ok(())
}

/// Disables a patch, and leaves its module loaded.
fn disable(name: &str) -> Result<(), String> {
    klp::disable(name).map_err(text)?;
    ends_as(name, None)
}

/// Disables a patch and unloads its module.
fn remove(name: &str) -> Result<(), String> {
    klp::unload(name).map_err(|error| format!("{name}: {error}"))
}

/// Checks that something was refused, and with what sentence; and prints that.
fn refused<T>(what: &str, result: Result<T, impl Display>, expected: &str) -> Result<(), String> {
    match result {
        Ok(_) => Err(format!("{what} was not refused")),
        Err(error) => {
            let error = text(error);
            println!("{what}: {error}");
            check!(
                error == expected,
                "{what}: `{error}` instead of `{expected}`"
            );
            Ok(())
        }
    }
}

/// Calls three functions, directly and by their addresses; prints what they return and
/// checks that.
fn returns(expected: [u64; 3]) -> Result<(), String> {
    let found = [live::one(0), live::two(0), live::three(0)];
    let [one, two, three] = found;
    println!("one {one}, two {two}, three {three}");
    check!(found == expected, "{found:?} instead of {expected:?}");
    let functions: [extern "C" fn(u64) -> u64; 3] = [live::one, live::two, live::three];
    let found = black_box(functions).map(|function| function(0));
    check!(
        found == expected,
        "by their addresses: {found:?} instead of {expected:?}"
    );
    Ok(())
}

/// What the functions return when nothing is patched.
const OLD: [u64; 3] = [1, 2, 3];

/// Checks the notes since the last time.
fn noted(expected: &[&str]) -> Result<(), String> {
    let found = live::take_notes();
    check!(
        found == expected,
        "notes {found:#?} instead of {expected:#?}"
    );
    Ok(())
}

/// A module's function that takes and returns a number, by path.
///
/// The caller lets the module stay while it is used.
fn function(module: &Module, path: &str) -> Result<extern "C" fn(u64) -> u64, String> {
    let found = module.function(path);
    let found = found.ok_or_else(|| format!("`{}` has no `{path}`", module.name))?;
    // SAFETY: all functions that the tests name are of this type.
    Ok(unsafe { core::mem::transmute::<u64, extern "C" fn(u64) -> u64>(found) })
}

/// Sets what a test patch's `pre_patch` returns, the tests' one module parameter.
fn set_pre_patch_ret(module: &Module, value: i32) -> Result<(), String> {
    let found = module.function("PRE_PATCH_RET");
    let found = found.ok_or_else(|| format!("`{}` has no parameter", module.name))?;
    // SAFETY: a static of this type, in a module that is loaded.
    let parameter = unsafe { &*(found as *const AtomicI32) };
    parameter.store(value, core::sync::atomic::Ordering::Relaxed);
    Ok(())
}

/// Checks that a thread blocks the running transition, and for this reason; and that the
/// worker can't end it. A thread that has just been interrupted on its way is looked at
/// again.
fn held_by(name: &str, expected: &str) -> Result<(), String> {
    for look in 0..2 {
        let limit = limit();
        loop {
            let progress = klp::progress();
            let held = progress.iter().find(|one| one.thread.name() == name);
            let held = held.ok_or_else(|| format!("no thread `{name}`, or no transition"))?;
            check!(!held.switched, "`{name}` has switched");
            let reason = held
                .blocked
                .map_or_else(String::new, |held| format!("{held}"));
            if reason == expected {
                break;
            }
            check!(
                arch::timebase() < limit,
                "`{name}` is held by `{reason}`, not by `{expected}`"
            );
            thread::yield_now();
        }
        if look == 0 {
            println!("{name} blocks it: {expected}");
            let_the_worker_look();
        }
    }
    Ok(())
}

/// Runs something without what the log says of patches that come and go.
fn quietly<T>(body: impl FnOnce() -> T) -> T {
    let before = log::max_level();
    log::set_max_level(log::LevelFilter::Error);
    let result = body();
    log::set_max_level(before);
    result
}

/// Waits until a patch has been taken back.
fn is_taken_back(name: &str) -> Result<(), String> {
    until(name, || klp::find(name).is_none())?;
    klp::wait();
    Ok(())
}

/// Time for the worker to look at a transition that must not end, a few times.
fn let_the_worker_look() {
    thread::sleep(Duration::from_millis(20));
}

/// Whether an error says that another transition runs.
fn is_busy(error: &LivepatchError, by: &str) -> bool {
    matches!(error, LivepatchError::Busy { patch } if patch == by)
}
