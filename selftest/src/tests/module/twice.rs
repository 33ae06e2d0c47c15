//! Two threads that want the same at the same time.

use super::demo;
use crate::{
    check,
    tests::common::{join, spawn, text, traced},
};
use alloc::{sync::Arc, vec::Vec};
use core::sync::atomic::{AtomicU32, Ordering};
use ftrace::{Flags, Ops};
use layout::CallFrame;
use loader::ModuleError;

/// Lets others run in the middle of a load: when the module's name has been found free, and
/// the module is not there yet.
static GIVES_WAY: Ops = Ops::new("gives way", gives_way, Flags::empty());

extern "C" fn gives_way(_: u64, _: u64, _: &Ops, _: &mut CallFrame) {
    for _ in 0..100 {
        thread::yield_now();
    }
}

crate::selftest! {
    /// Two threads load one module at the same time: one of them does, and the other is told.
    fn one_name_is_loaded_once() {
        const PATH: &str = "symtab::encode::encode*";
        let counts = Arc::new([const { AtomicU32::new(0) }; 3]);
        let file = demo()?.bytes;
        let load = |counts: Arc<[AtomicU32; 3]>| {
            spawn("loader", move || {
                let result = match loader::load(file) {
                    Ok(_) => 0,
                    Err(ModuleError::Loaded(_)) => 1,
                    Err(_) => 2,
                };
                counts[result].fetch_add(1, Ordering::Relaxed);
            })
        };
        traced(&GIVES_WAY, &[PATH], || {
            let loaders: Vec<_> = (0..2).map(|_| load(counts.clone())).collect();
            loaders.into_iter().try_for_each(|loader| join(loader?))
        })??;
        let there = loader::loaded().iter().filter(|module| module.name == "kinds").count();
        for _ in 0..there {
            loader::unload("kinds").map_err(text)?;
        }
        let [loaded, refused, failed] = counts.each_ref().map(|count| count.load(Ordering::Relaxed));
        check!((loaded, refused, there) == (1, 1, 1), "{loaded} loaded it, {refused} were told that it is there, {failed} something else; {there} are there");
        Ok(())
    }
}
