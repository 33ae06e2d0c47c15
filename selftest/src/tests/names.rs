//! The symbol table, on the running kernel.

use crate::check;
use alloc::{format, string::ToString};
use lab::targets;
use machine::symbols::{self, Place};

/// Two functions that are both called `twins::same`: their linker names differ
/// in the hash alone, which a path does not show.
mod twins {
    #[inline(never)]
    #[unsafe(export_name = "_ZN5twins4same17h0000000000000001E")]
    pub extern "C" fn first() -> u32 {
        core::hint::black_box(1)
    }

    #[inline(never)]
    #[unsafe(export_name = "_ZN5twins4same17h0000000000000002E")]
    pub extern "C" fn second() -> u32 {
        core::hint::black_box(2)
    }
}

crate::selftest! {
    /// Every function of the table is found again at its address.
    fn every_function_is_at_its_address() {
        let table = symbols::table().map_err(|error| error.to_string())?;
        let mut functions = 0;
        for symbol in table.iter().filter(|symbol| symbol.kind == symtab::Kind::Function) {
            let inside = symbol.address + symbol.size.saturating_sub(4);
            let found = table.at(inside).map(|(found, _)| found.address);
            check!(found == Some(symbol.address), "{} at {inside:#x}: found {found:x?}", symbol.path());
            functions += 1;
        }
        check!(functions > 300, "the table has only {functions} functions");
        Ok(())
    }

    /// A path names the function that it is the path of, private ones included.
    fn paths_are_found() {
        let here = paths_are_found as fn() -> super::Result as usize as u64;
        let found = symbols::find("selftest::tests::names::paths_are_found");
        let found = found.map_err(|error| error.to_string())?;
        check!(found.address == here, "found {:#x}, but it is at {here:#x}", found.address);
        check!(found.size > 0, "its size is zero");
        let assembly = symbols::find("trap_entry").map_err(|error| error.to_string())?;
        check!(assembly.size > 100, "trap_entry has {} bytes", assembly.size);
        Ok(())
    }

    /// A size is that of the function which begins at an address: from its middle on, it
    /// would reach into the next.
    fn sizes_are_told_at_the_start() {
        let here = sizes_are_told_at_the_start as fn() -> super::Result as usize as u64;
        let sizes = [here, here + 4].map(symbols::size_at);
        check!(matches!(sizes, [Some(8..), None]), "{sizes:?}");
        Ok(())
    }

    /// What no symbol covers is a number, and what one covers is a path.
    fn places_are_named() {
        let here = places_are_named as fn() -> super::Result as usize as u64;
        let place = Place(here + 8).to_string();
        check!(place.starts_with("selftest::tests::names::places_are_named+0x8/"), "{place}");
        let nowhere = Place(0x10).to_string();
        check!(nowhere == "0x10", "{nowhere}");
        Ok(())
    }

    /// An unknown path is an error that repeats it.
    fn unknown_names_are_errors() {
        let Err(error) = symbols::find("kernel::no_such_function") else {
            return Err("found a function that does not exist".into());
        };
        let text = error.to_string();
        check!(text.contains("kernel::no_such_function"), "{text}");
        Ok(())
    }

    /// A path that names several functions is an error that lists them all; a
    /// linker name tells them apart.
    fn ambiguous_names_are_errors() {
        check!(twins::first() + twins::second() == 3, "the twins returned wrong numbers");
        let places = [twins::first as *const () as u64, twins::second as *const () as u64];
        let Err(error) = symbols::find("twins::same") else {
            return Err("one of two functions was chosen".into());
        };
        let text = error.to_string();
        for place in places {
            check!(text.contains(&format!("{place:#x}")), "{place:#x} is missing in: {text}");
        }
        let second = symbols::find("_ZN5twins4same17h0000000000000002E");
        let second = second.map_err(|error| error.to_string())?;
        check!(second.address == places[1], "found {:#x} instead of {:#x}", second.address, places[1]);
        Ok(())
    }

    /// Functions of one body are not merged, in Rust and in C: each has an address, and a
    /// name, of its own.
    fn functions_of_one_body_are_two() {
        let table = symbols::table().map_err(|error| error.to_string())?;
        let found = |path| symbols::find(path).map(|symbol| symbol.address);
        let found = |path| found(path).map_err(|error| error.to_string());
        check!(targets::twin(2) == targets::other_twin(2), "they are no twins");
        let functions = [
            found("lab::targets::twin")?,
            found("lab::targets::other_twin")?,
            found("c_twin")?,
            found("c_other_twin")?,
        ];
        for (index, &function) in functions.iter().enumerate() {
            check!(!functions[..index].contains(&function), "two are {}", Place(function));
            let names = table.starting_at(function).count();
            check!(names == 1, "{} has {names} names", Place(function));
        }
        Ok(())
    }

    /// A function that has two names is none that a patch can name.
    fn a_second_name_is_refused() {
        let names = ["c_first_name", "c_second_name"];
        for (name, other) in [(names[0], names[1]), (names[1], names[0])] {
            let found = symbols::find(name).map_err(|error| error.to_string())?;
            // Also keeps it in the image, where it has no caller.
            let address = targets::c_first_name as *const () as u64;
            check!(found.address == address, "`{name}` is at {:#x}, expected {address:#x}", found.address);
            for position in [0, 1] {
                let error = symbols::find_position(name, position).err();
                let sentence = error.map(|error| error.to_string()).unwrap_or_default();
                let expected = format!("`{name}` is `{other}` too: one function at {:#x},", found.address);
                check!(sentence.starts_with(&expected), "`{sentence}` without `{expected}`");
            }
        }
        Ok(())
    }
}
