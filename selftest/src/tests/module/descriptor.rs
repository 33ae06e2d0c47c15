//! Descriptors: one that says everything, and what is refused in one.

use super::load;
use crate::check;
use alloc::{boxed::Box, format, string::String, vec, vec::Vec};
use core::{
    mem::offset_of,
    sync::atomic::{AtomicU64, Ordering},
};
use klp::{Callback, Callbacks, Context, Function, Info, Object, Provided, State, Text, info};
use livepatch::{Descriptor, Wanted};
use loader::{Memory, ModuleError, build_id, identify};
use machine::symbols;
use memmap::Range;

/// A module's memory, made by hand: it patches a function of the kernel's and one
/// of module `other`.
#[repr(C)]
struct Fake {
    info: Info,
    objects: [Object; 2],
    functions: [Function; 2],
    addresses: [*const State; 2],
    provided: [Provided; 2],
    text: [u8; 64],
    code: [u32; 4],
    states: [State; 2],
}

/// The texts, one behind the other.
const TEXT: &[u8] = b"fakeotherc_leafother::work\xff";
const NAME: (usize, u64) = (0, 4);
const OTHER: (usize, u64) = (4, 5);
const OLD: (usize, u64) = (9, 6);
const WORK: (usize, u64) = (15, 11);
const NOT_UTF8: (usize, u64) = (20, 7);

impl Fake {
    fn new() -> Box<Self> {
        let nothing = Object::new("", &[], Callbacks::NONE);
        let function = Function::new("", 0, core::ptr::null());
        let mut fake = Box::new(Self {
            info: Info::new("", 0, &[], &[], &[]),
            objects: [nothing; 2],
            functions: [function; 2],
            addresses: [core::ptr::null(); 2],
            provided: [Provided {
                function: core::ptr::null(),
            }; 2],
            text: [0; 64],
            code: [0; 4],
            states: [State::new(5, 1), State::new(6, 2)],
        });
        fake.text[..TEXT.len()].copy_from_slice(TEXT);
        fake.info.build_id = build_id();
        fake.info.name = fake.text(NAME);
        (fake.info.objects, fake.info.object_count) = (fake.objects.as_ptr(), 2);
        fake.objects[1].name = fake.text(OTHER);
        for index in 0..2 {
            let functions = &raw const fake.functions[index];
            (
                fake.objects[index].functions,
                fake.objects[index].function_count,
            ) = (functions, 1);
            fake.functions[index].old = fake.text([OLD, WORK][index]);
            fake.functions[index].new = fake.code(index);
            fake.provided[index].function = fake.code(index);
            fake.addresses[index] = &raw const fake.states[index];
        }
        (fake.info.states, fake.info.state_count) = (fake.addresses.as_ptr(), 2);
        (fake.info.provides, fake.info.provided_count) = (fake.provided.as_ptr(), 2);
        fake
    }

    fn text(&self, (start, length): (usize, u64)) -> Text {
        Text::at(self.text[start..].as_ptr(), length)
    }

    fn code(&self, index: usize) -> *const () {
        (&raw const self.code[index]).cast()
    }

    /// An address in the module that is no code.
    fn data(&self) -> *const () {
        (&raw const self.text).cast()
    }

    fn range(&self) -> Range {
        let start = &raw const *self as u64;
        Range {
            start,
            end: start + size_of::<Self>() as u64,
        }
    }

    /// Reads the descriptor of so many bytes. Yields the name and what is patched, or the
    /// sentence.
    fn read(&self, bytes: u64) -> Result<(String, Descriptor), String> {
        let range = self.range();
        let code = range.start + offset_of!(Self, code) as u64;
        let code = code..code + size_of_val(&self.code) as u64;
        let section = range.start..range.start + bytes;
        // SAFETY: all of it is here, and not written to meanwhile.
        let memory = unsafe { Memory::new(range, code) };
        let read = || -> Result<_, ModuleError<'static>> {
            let (name, info) = identify(&memory, Some(section), klp::CONVENTION)?;
            Ok((name, Descriptor::read(&memory, &info)?))
        };
        read().map_err(|error| format!("{error}"))
    }
}

/// An address as a callback's.
fn callback(address: *const ()) -> Option<Callback> {
    // SAFETY: not null, and never called.
    Some(unsafe { core::mem::transmute::<*const (), Callback>(address) })
}

/// What is done to a descriptor, and what the sentence must say.
type Case = (fn(&mut Fake), &'static str);

/// What is wrong with the descriptor itself, or with its tables.
const TABLES: [Case; 19] = [
    (|fake| fake.info.magic ^= 1, "the descriptor begins with"),
    (
        |fake| fake.info.convention = 0,
        "follows return convention 0 (plain)",
    ),
    (
        |fake| fake.info.build_id[0] ^= 1,
        "module `fake` is for the kernel with build id",
    ),
    (
        |fake| fake.info.flags = 4,
        "flags are 0x4, of which only 0x3 are known",
    ),
    (
        |fake| fake.info.flags = 0x8000_0001,
        "flags are 0x80000001, of which",
    ),
    (
        |fake| fake.info.flags = info::KERNELS_TOC,
        "`fake` keeps the kernel's TOC, so it must follow return convention 0 (plain), and follows 1 (epilogue)",
    ),
    (
        |fake| (fake.info.flags, fake.info.convention) = (info::KERNELS_TOC, 0),
        "keeps the kernel's TOC can't replace `other::work` of module `other`",
    ),
    (
        |fake| fake.info.object_count = 257,
        "lists 257 objects, and 256 are the most",
    ),
    (
        |fake| fake.info.object_count = u64::MAX,
        "objects, and 256 are the most",
    ),
    (|fake| fake.info.object_count = 256, "table of objects at"),
    (
        |fake| fake.info.objects = core::ptr::null(),
        "table of objects at 0x0 is not in",
    ),
    (
        |fake| fake.objects[0].function_count = 4097,
        "lists 4097 functions, and 4096 are the most",
    ),
    // One is in the first object.
    (
        |fake| fake.objects[1].function_count = 4096,
        "lists 4096 functions, and 4095 are the most",
    ),
    (
        |fake| fake.objects[1].function_count = 400,
        "table of functions at",
    ),
    (
        |fake| fake.objects[1].functions = usize::MAX as *const _,
        "table of functions at 0xffffffffffffffff",
    ),
    (
        |fake| fake.info.state_count = 257,
        "lists 257 states, and 256 are the most",
    ),
    (
        |fake| fake.info.states = core::ptr::null(),
        "table of states at 0x0 is not in",
    ),
    (
        |fake| fake.info.provided_count = 4097,
        "lists 4097 provided functions, and 4096 are the most",
    ),
    (
        |fake| fake.info.provides = core::ptr::null(),
        "table of provided functions at 0x0 is not in",
    ),
];

/// What is wrong with what it leads to.
const ENTRIES: [Case; 22] = [
    (
        |fake| fake.info.name = Text::at(core::ptr::null(), 4),
        "text of 4 bytes at 0x0 is not in",
    ),
    (
        |fake| fake.info.name = fake.text((0, u64::MAX)),
        "text of 18446744073709551615 bytes at",
    ),
    (|fake| fake.info.name = fake.text(NOT_UTF8), "or not UTF-8"),
    (
        |fake| fake.objects[1].name = fake.text((0, 4000)),
        "text of 4000 bytes at",
    ),
    (
        |fake| fake.functions[1].old = fake.text(NOT_UTF8),
        "text of 7 bytes at",
    ),
    (
        |fake| fake.functions[0].old = fake.text(WORK),
        "old function: no symbol `other::work`",
    ),
    (
        |fake| fake.functions[0].new = core::ptr::null(),
        "the new function for `c_leaf` at 0x0 is not code",
    ),
    (
        |fake| fake.functions[1].new = fake.data(),
        "the new function for `other::work` at",
    ),
    (
        |fake| fake.functions[1].new = fake.code(1).wrapping_byte_add(2),
        "the new function for `other::work` at",
    ),
    (
        |fake| fake.functions[1].new = fake.code(3).wrapping_byte_add(4),
        "the new function for `other::work` at",
    ),
    (
        |fake| fake.objects[0].callbacks.post_patch = callback(fake.data()),
        "the callback post_patch for the kernel at",
    ),
    (
        |fake| fake.objects[1].callbacks.pre_unpatch = callback(fake.data()),
        "the callback pre_unpatch for module `other` at",
    ),
    (
        |fake| fake.objects[1].callbacks.post_unpatch = callback(fake.code(0).wrapping_byte_add(1)),
        "the callback post_unpatch for module `other` at",
    ),
    (
        |fake| fake.provided[1].function = fake.data(),
        "the provided function at",
    ),
    (
        |fake| fake.addresses[1] = core::ptr::null(),
        "the state at 0x0 is not in the module",
    ),
    (
        |fake| fake.addresses[1] = usize::MAX.wrapping_sub(7) as *const _,
        "the state at 0xfffffffffffffff8",
    ),
    (
        |fake| fake.addresses[0] = fake.addresses[0].wrapping_byte_add(4),
        "or not at a multiple of 8",
    ),
    // Its end is outside.
    (
        |fake| fake.addresses[1] = fake.addresses[1].wrapping_byte_add(8),
        "the state at",
    ),
    (|fake| fake.states[1].id = 5, "two states have the id 5"),
    (
        |fake| fake.objects[0].name = fake.text(OTHER),
        "module `other` is listed twice",
    ),
    (
        |fake| fake.objects[1].name = Text::EMPTY,
        "the kernel is listed twice",
    ),
    (
        |fake| {
            fake.functions[0].old = fake.functions[1].old;
            (
                fake.objects[0].function_count,
                fake.objects[1].function_count,
            ) = (0, 2);
            fake.objects[1].functions = fake.functions.as_ptr();
        },
        "`other::work` of module `other` is replaced a second time",
    ),
];

/// Reads a descriptor for each case.
fn refused(cases: &[Case]) -> Result<(), String> {
    for (number, (damage, expected)) in cases.iter().enumerate() {
        let mut fake = Fake::new();
        damage(&mut fake);
        let sentence = match fake.read(size_of::<Info>() as u64) {
            Ok(_) => String::from("accepted"),
            Err(sentence) => sentence,
        };
        check!(
            sentence.contains(expected),
            "{number}: `{sentence}` without `{expected}`"
        );
    }
    Ok(())
}

crate::selftest! {
    /// A descriptor that is made by hand, and that the others differ from in one
    /// thing each, is read as it is.
    fn a_good_one_is_read() {
        let fake = Fake::new();
        let (name, found) = fake.read(size_of::<Info>() as u64)?;
        check!(name == "fake" && !found.replace, "{found:?}");
        let modules: Vec<_> = found.targets.iter().map(|target| target.module.as_deref()).collect();
        check!(modules == [None, Some("other")], "{modules:?}");
        let ids: Vec<_> = found.states.iter().map(|state| (state.id, state.version)).collect();
        check!(ids == [(5, 1), (6, 2)], "{ids:?}");
        Ok(())
    }

    /// Two functions of one path, at different positions, are two; where both are
    /// looked up is another matter.
    fn positions_tell_functions_apart() {
        let mut fake = Fake::new();
        fake.functions[0].old = fake.functions[1].old;
        fake.functions[0].position = 2;
        (fake.objects[0].function_count, fake.objects[1].function_count) = (0, 2);
        fake.objects[1].functions = fake.functions.as_ptr();
        let (_, found) = fake.read(size_of::<Info>() as u64)?;
        let positions: Vec<_> = found.targets[1].functions.iter().map(|one| one.position).collect();
        check!(positions == [2, 0], "{positions:?}");
        Ok(())
    }

    /// Each fault of the descriptor and of its tables is refused with its own
    /// sentence.
    fn bad_tables_are_refused() {
        let size = size_of::<Info>() as u64;
        let sentence = Fake::new().read(size - 1).err();
        let expected = format!("the descriptor has {} bytes instead of {size}", size - 1);
        check!(sentence.as_ref() == Some(&expected), "{sentence:?}");
        refused(&TABLES)
    }

    /// Each fault of what the tables lead to is refused with its own sentence.
    fn bad_entries_are_refused() {
        refused(&ENTRIES)
    }

    /// The kernel's function is found to be the same under two names, and at a
    /// position that says nothing new.
    fn one_function_of_the_kernel_is_replaced_once() {
        let path = "lab::targets::leaf";
        let leaf = symbols::find(path).map_err(|error| format!("{error}"))?;
        check!(leaf.name != path, "the linker's name is the path");
        let names = [path, leaf.name];
        let texts: String = names.concat();
        check!(texts.len() <= 64, "{} bytes", texts.len());
        for position in [0, 1] {
            let mut fake = Fake::new();
            fake.text[..texts.len()].copy_from_slice(texts.as_bytes());
            fake.info.object_count = 1;
            fake.objects[0].function_count = 2;
            let mut start = 0;
            for (index, name) in names.iter().enumerate() {
                fake.functions[index].old = fake.text((start, name.len() as u64));
                start += name.len();
            }
            fake.functions[1].position = position;
            let sentence = fake.read(size_of::<Info>() as u64).err();
            let expected = format!("`{}` of the kernel is replaced a second time", leaf.name);
            check!(sentence.as_ref() == Some(&expected), "{position}: {sentence:?}");
        }
        Ok(())
    }

    /// All that `klp::module!` can say reaches the kernel, and what it says can be
    /// called.
    fn everything_is_described() {
        let module = load(loader::find_file("described")?.bytes)?;
        let wanted = |path: &str, position, new: &str| -> Result<Wanted, String> {
            let new = module.function(new).ok_or_else(|| format!("no `{new}`"))?;
            Ok(Wanted { path: path.into(), position, new })
        };
        let described = Descriptor::of(&module);
        let modules: Vec<_> = described.targets.iter().map(|target| target.module.as_deref()).collect();
        check!(modules == [None, Some("other"), Some("another")], "{modules:?}");
        let [kernel, other, another] = &described.targets[..] else { return Err("not three".into()) };
        let expected = vec![wanted("c_leaf", 0, "described::leaf")?, wanted("twins::same", 2, "described::same")?];
        check!(kernel.functions == expected, "{kernel:?}");
        let expected = vec![wanted("other::work", 1, "described::leaf")?];
        check!(other.functions == expected && another.functions.is_empty(), "{other:?} {another:?}");
        let old = |path, position| symbols::find_position(path, position).map(|symbol| symbol.address);
        let expected: Vec<_> = kernel.functions.iter().map(|one| {
            (old(&one.path, one.position as usize).unwrap_or(0), one.new)
        }).collect();
        let found: Vec<_> = described.replacements.iter().map(|one| (one.old, one.new)).collect();
        check!(found == expected, "{found:x?}");
        check!(described.replace && described.target(Some("missing")).is_none(), "{described:?}");
        callbacks_of(&described)?;
        let twice = module.function("described::twice").ok_or("nothing is provided")?;
        // SAFETY: the global entry of a function of this type.
        let twice = unsafe { core::mem::transmute::<usize, extern "C" fn(u64) -> u64>(twice as usize) };
        check!(twice(21) == 42, "{}", twice(21));
        drop(module);
        loader::unload("described").map_err(|error| format!("{error}"))
    }
}

/// Calls the callbacks of `described`, and looks at its state.
fn callbacks_of(described: &Descriptor) -> Result<(), String> {
    let state = described.state(0x6c65_6e67).ok_or("the state is missing")?;
    check!(
        state.version == 3 && described.states.len() == 2,
        "{:?}",
        described.states
    );
    let data = (state.address as usize + offset_of!(State, data)) as *const AtomicU64;
    // SAFETY: a state of the module, which stays.
    let data = unsafe { &*data };
    let of = |name| described.target(name).map(|target| target.callbacks);
    let (Some(kernel), Some(other), Some(another)) =
        (of(None), of(Some("other")), of(Some("another")))
    else {
        return Err("a target is missing".into());
    };
    check!(
        another.is_empty() && other.iter().count() == 1,
        "{other:?} {another:?}"
    );
    let (Some(ask_kernel), Some(ask_other)) = (kernel.pre_patch, other.pre_patch) else {
        return Err("no callback is asked".into());
    };
    let context = Context::new("");
    let answers = (ask_kernel(&context), ask_other(&Context::new("other")));
    check!(answers == (0, 1), "{answers:?}");
    for told in [kernel.post_patch, kernel.pre_unpatch, kernel.post_unpatch] {
        told.ok_or("no callback is told")?(&context);
    }
    let sum = data.load(Ordering::Relaxed);
    check!(sum == 4 * 6 + 5, "the lengths are {sum} together");
    Ok(())
}
