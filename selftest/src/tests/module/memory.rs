//! A module that memory does not suffice for.

use super::{demo, refused, with_demo};
use crate::{
    check,
    tests::{
        common::{text, traced},
        thread::Everything,
    },
};
use alloc::{format, vec::Vec};
use ftrace::{Flags, Ops};
use layout::CallFrame;
use machine::{mm, sync::IrqLock};

/// Takes the heap's memory when a module's table of symbols is about to be written.
static TAKES_ALL: Ops = Ops::new("takes all", take_all, Flags::empty());
static TAKEN: IrqLock<Option<Everything>> = IrqLock::new(None);

extern "C" fn take_all(_: u64, _: u64, _: &Ops, _: &mut CallFrame) {
    let everything = Everything::take();
    *TAKEN.lock() = Some(everything);
}

crate::selftest! {
    /// Without code memory, a module is refused.
    fn no_code_memory_is_a_refusal() {
        let mut hoard = Vec::new();
        let mut size = mm::code::BYTES as usize;
        while size >= 4096 {
            match mm::code::CodeBlock::for_module(size, 128) {
                Ok(block) => hoard.push(block),
                Err(_) => size /= 2,
            }
        }
        let sentence = refused(demo()?.bytes)?;
        drop(hoard);
        check!(sentence.starts_with("no free code memory for"), "{sentence}");
        with_demo(|_| Ok(()))
    }

    /// Without memory for the table of its symbols, a module is refused, and nothing is left.
    fn no_memory_for_symbols_is_a_refusal() {
        const PATH: &str = "symtab::encode::encode*";
        let file = demo()?.bytes;
        let state = || (mm::usage(), mm::code::used(), ftrace::sites().len());
        // The first time makes tables that stay.
        for _ in 0..2 {
            traced(&TAKES_ALL, &[PATH], || ())?;
            with_demo(|_| Ok(()))?;
        }
        let before = state();
        let (result, was_taken) = traced(&TAKES_ALL, &[PATH], || {
            let result = loader::load(file).map(drop);
            (result, TAKEN.lock().take().is_some())
        })?;
        check!(was_taken, "the memory was not taken");
        let Err(error) = result else {
            loader::unload("kinds").map_err(text)?;
            return Err("the module was loaded".into());
        };
        let after = state();
        let sentence = format!("{error}");
        check!(sentence.starts_with("symbol table: no memory for "), "{sentence}");
        check!(after == before, "before {before:?}, after {after:?}");
        with_demo(|_| Ok(()))
    }
}
