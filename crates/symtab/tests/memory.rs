//! A table that memory does not suffice for is an error, whichever of its parts did not fit.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    ptr,
};
use symtab::{AsSymbol, EncodeError, Kind, SymbolSpec, Table, encode, encode_indexed};

thread_local! {
    /// How many blocks this thread still gets.
    static LEFT: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// The system's memory, of which there is only so much.
struct Limited;

#[global_allocator]
static MEMORY: Limited = Limited;

// SAFETY: it is the system's allocator, except that it may refuse, which any may.
unsafe impl GlobalAlloc for Limited {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let left = LEFT.get();
        if left == 0 {
            return ptr::null_mut();
        }
        LEFT.set(left - 1);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises; `alloc` gives the system's blocks.
        unsafe { System.dealloc(block, layout) }
    }
}

fn sample() -> Vec<SymbolSpec> {
    let function = |address: u64| SymbolSpec {
        name: format!("function_at_{address:02}"),
        address,
        size: 4,
        kind: Kind::Function,
        local_entry: 0,
        global: true,
    };
    (0..100).rev().map(function).collect()
}

type Encode = fn(&mut [SymbolSpec]) -> Result<Vec<u8>, EncodeError>;

/// The errors with no block at all, one, two and so on, until there are enough.
fn errors(encode: Encode) -> Vec<EncodeError> {
    let mut errors = Vec::new();
    loop {
        let mut symbols = sample();
        LEFT.set(errors.len());
        let result = encode(&mut symbols);
        LEFT.set(usize::MAX);
        match result {
            Ok(table) => {
                let table = Table::parse(&table).expect("a table");
                assert!(table.iter().eq(symbols.iter().map(AsSymbol::as_symbol)));
                return errors;
            }
            Err(error) => errors.push(error),
        }
    }
}

#[test]
fn no_memory_is_an_error() {
    let (plain, indexed) = (errors(encode), errors(encode_indexed));
    let is_no_memory = |error: &EncodeError| matches!(error, EncodeError::NoMemory { .. });
    assert!(
        !plain.is_empty() && plain.iter().all(is_no_memory),
        "{plain:?}"
    );
    assert!(
        indexed.len() > plain.len() && indexed.iter().all(is_no_memory),
        "{indexed:?}"
    );
    let error = EncodeError::NoMemory { bytes: 42 };
    assert_eq!(error.to_string(), "symbol table: no memory for 42 bytes");
}
