//! What is known of the code on the way before the call is made.

use alloc::{sync::Arc, vec::Vec};
use core::ops::Range;
use loader::Module;

/// The code on the way.
#[derive(Debug, Default)]
pub struct Map {
    /// The old function.
    pub old: Range<u64>,
    /// The second word of its site.
    pub site: u64,
    /// All modules.
    pub modules: Vec<Range<u64>>,
}

/// The ranges of all modules, for a [`Map`].
pub fn modules() -> Vec<Range<u64>> {
    let range = |module: &Arc<Module>| {
        let range = module.range();
        range.start..range.end
    };
    loader::loaded().iter().map(range).collect()
}
