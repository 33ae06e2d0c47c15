//! A patch with callbacks that change a system state.
#![no_std]

#[macro_use]
mod level;

patch!("test_klp_state", version: 1, level: 15);
