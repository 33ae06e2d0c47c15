//! Modules made by hand, by compilers and by chance, loaded into ordinary memory.

mod calls;
mod compilers;
mod elf;
mod got;
mod growth;
mod layout;
mod linker;
mod load;
mod mutations;
mod refusals;
mod relocations;
mod tables;
mod tools;
mod truncation;
