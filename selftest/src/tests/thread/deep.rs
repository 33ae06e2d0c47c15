//! A stack ten calls deep.

use alloc::{format, string::String};
use core::{hint::black_box, ops::Range};
use machine::symbols;

/// What the innermost function calls.
pub type Bottom<'a> = &'a dyn Fn();

macro_rules! chain {
    ($($name:ident calls $next:ident),+) => {$(
        #[inline(never)]
        fn $name(bottom: Bottom<'_>) -> u64 {
            black_box($next(bottom)) + 1
        }
    )+};
}

chain! {
    first calls second, second calls third, third calls fourth, fourth calls fifth,
    fifth calls sixth, sixth calls seventh, seventh calls eighth, eighth calls ninth,
    ninth calls tenth
}

#[inline(never)]
fn tenth(bottom: Bottom<'_>) -> u64 {
    bottom();
    black_box(1)
}

/// The functions, the outermost first. All of them can be traced.
pub const ALL: [fn(Bottom<'_>) -> u64; 10] = [
    first, second, third, fourth, fifth, sixth, seventh, eighth, ninth, tenth,
];

/// What a filter calls them all.
pub const PATTERN: &str = "selftest::tests::thread::deep::*";

/// Calls `bottom` from ten calls further down; returns how many.
#[inline(always)] // PATTERN names it too
pub fn call(bottom: Bottom<'_>) -> u64 {
    first(bottom)
}

/// The code of the function at an address.
pub fn code_of(function: u64) -> Result<Range<u64>, String> {
    let table = symbols::table().map_err(|error| format!("{error}"))?;
    let (symbol, _) = table.at(function).ok_or("no such function")?;
    Ok(symbol.address..symbol.address + symbol.size)
}

/// The code of each, the outermost first.
pub fn codes() -> Result<[Range<u64>; 10], String> {
    let mut codes = [const { 0..0 }; 10];
    for (code, function) in codes.iter_mut().zip(ALL) {
        *code = code_of(function as usize as u64)?;
    }
    Ok(codes)
}
