//! Objects that gas makes, compared and extracted.

mod closures;
mod compare;
mod damage;
mod extract;
mod hooks;
mod plan;
mod rest;
mod tools;
