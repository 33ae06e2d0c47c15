//! What Linux's scripts have no tests for, or can't have.

mod faults;
mod held;
mod livepatch_stack;
mod order;
mod over;
mod refused;
mod sizes;
mod threads;
