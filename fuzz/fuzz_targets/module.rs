//! Whatever the bytes are, the module loader takes or refuses them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use modload::{MAX_ALIGN, MAX_SIZE, Module};

/// Where modules are placed; good for every alignment.
const BASE: u64 = 0x1000_0000;
/// More memory than this is not worth its clearing.
const LARGE: usize = 1 << 20;

fuzz_target!(|file: &[u8]| {
    let module = match Module::parse(file) {
        Ok(module) => module,
        Err(error) => return drop(error.to_string()),
    };
    assert!(module.size() as u64 <= MAX_SIZE && module.align() as u64 <= MAX_ALIGN);
    if module.size() > LARGE {
        return;
    }
    let mut image = vec![0xa5; module.size()];
    // Some names are known, by their length, near and far.
    let resolve = |name: &str| match name.len() % 4 {
        0 => None,
        length => Some(BASE << (8 * length)),
    };
    // Under a TOC of another module's, in reach or not.
    for toc in [BASE + 0x7000_0000, BASE << 8] {
        match module.place_with_toc(BASE, &mut image, toc, resolve) {
            Ok(placed) => assert_eq!(placed.toc, toc),
            Err(error) => drop(error.to_string()),
        }
    }
    match module.place(BASE, &mut image, resolve) {
        Ok(placed) => {
            let end = BASE + image.len() as u64;
            for symbol in placed.symbols() {
                assert!((BASE..=end).contains(&symbol.address));
            }
            for (_, range) in placed.sections() {
                assert!(BASE <= range.start && range.start <= range.end && range.end <= end);
            }
            assert_eq!(placed.stubs().count(), module.stub_count());
            let _ = placed.symbol("entry");
        }
        Err(error) => drop(error.to_string()),
    }
});
