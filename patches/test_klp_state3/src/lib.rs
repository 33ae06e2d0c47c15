//! A patch that knows the same version as `test_klp_state2`.
#![no_std]

#[path = "../../test_klp_state/src/level.rs"]
#[macro_use]
mod level;

patch!("test_klp_state3", version: 2, level: 17);
