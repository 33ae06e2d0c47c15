//! A patch that knows a later version of the same system state.
#![no_std]

#[path = "../../test_klp_state/src/level.rs"]
#[macro_use]
mod level;

patch!("test_klp_state2", version: 2, level: 16);
