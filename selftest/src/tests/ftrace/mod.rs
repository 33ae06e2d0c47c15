//! Sites, trampolines and ops, at work on the functions.

mod all;
mod calls;
mod control;
mod recursion;

use super::common::{Counter, text};
use alloc::{format, string::String};
use ftrace::{Site, find_site};

/// The site of a function.
fn site_of(function: u64) -> Result<Site, String> {
    find_site(function).ok_or_else(|| format!("{function:#x} has no site"))
}
