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
mod prefixed;
mod refusals;
mod relocations;
mod tables;
mod toc;
mod tools;
mod truncation;
