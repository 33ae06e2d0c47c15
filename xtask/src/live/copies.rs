//! A patch that replaces functions of a kernel by copies of themselves. With it everything has to
//! be as before: it shows that what extraction makes is the same code.

use super::base::Base;
use super::patch::{self, Module, notrace};
use crate::tool;
use anyhow::{Result, bail, ensure};
use kdiff::{Build, Comparison, Form, Id, Image, Refusal, Request};
use std::collections::BTreeMap;

/// What is wanted of the copies.
pub struct Wanted<'w> {
    /// What the module is called.
    pub name: &'w str,
    /// What its code has in r2.
    pub form: Form,
    /// The most functions that the module may replace. All that can be are tried, and of those it takes some
    /// of each size.
    pub most: usize,
    /// Why not to copy a function, by its path and its code; none if it is to be copied.
    pub reason: &'w dyn Fn(&str, &[u8]) -> Option<&'static str>,
}

/// The module, and what is not in it.
pub struct Copies {
    /// The module, which is proved.
    pub module: Module,
    /// How many functions were copied and proved, the module's among them.
    pub tried: usize,
    /// The functions that have a site and no copy, by path, each with the reason.
    pub left_out: BTreeMap<String, String>,
}

/// Copies all functions of a kernel that can be replaced by themselves: that have a site, may be
/// traced, return, and keep what is asked of a module's functions when they are copied.
///
/// # Errors
/// When a file of the build can't be read, or what extraction makes is not a copy: something
/// comes along that the kernel has not.
pub fn copies(base: &Base, wanted: &Wanted<'_>) -> Result<Copies> {
    let kernel = base.kernel()?;
    let never_return = base.never_return(&kernel)?;
    let mut archives = BTreeMap::new();
    for (name, path) in base.archives()? {
        archives.insert(name, tool::read_file(&path)?);
    }
    let mut build = Build::default();
    for (name, bytes) in &archives {
        build.add(name, bytes)?;
    }
    let image = Image::read(&kernel)?;
    let mut left_out = BTreeMap::new();
    let mut functions = Vec::new();
    for id in kdiff::replaceable(&build, &image) {
        let name = build.name(id);
        let path = kdiff::path(name);
        let returns = !never_return.contains(name);
        let reason = notrace::reason(&path)
            .or_else(|| (!returns).then_some("never returns"))
            .or_else(|| (wanted.reason)(&path, build.bytes(id)));
        match reason {
            Some(reason) => drop(left_out.insert(path, reason.to_owned())),
            None => functions.push(id),
        }
    }
    let same = Comparison::default();
    let mut tried = 0;
    loop {
        let request = Request {
            name: wanted.name,
            form: wanted.form,
            replace: false,
            functions: &functions,
            hooks: &[],
        };
        let faults = match kdiff::module(&build, &same, &image, &request) {
            Err(refused) => refused
                .into_iter()
                .map(of_a_function)
                .collect::<Result<Vec<_>>>()?,
            Ok(made) => match patch::seal(made, &image, &never_return)? {
                Ok(module) => {
                    tried = tried.max(functions.len());
                    let carried = &module.carried;
                    ensure!(
                        carried.is_empty(),
                        "the kernel has all of it, and the module brings along {carried:?}"
                    );
                    if functions.len() > wanted.most {
                        functions = some_of(&functions, wanted.most);
                        continue;
                    }
                    return Ok(Copies {
                        module,
                        tried,
                        left_out,
                    });
                }
                Err(violations) => violations
                    .into_iter()
                    .map(|one| (one.function.clone(), one.to_string()))
                    .collect(),
            },
        };
        let before = functions.len();
        left_out.extend(faults);
        leave_out(&mut functions, &build, &left_out);
        ensure!(
            functions.len() < before,
            "what stands against the copies is of none of them: {left_out:?}"
        );
    }
}

/// As many of a list, from its beginning to its end.
fn some_of<T: Copy>(all: &[T], count: usize) -> Vec<T> {
    (0..count)
        .map(|index| all[index * all.len() / count])
        .collect()
}

/// Which function can't be copied, by path, and why.
fn of_a_function(refusal: Refusal) -> Result<(String, String)> {
    let Refusal::OwnToc { function, .. } = &refusal else {
        bail!("a function can't be copied: {refusal}");
    };
    Ok((kdiff::path(function), refusal.to_string()))
}

/// Takes out the functions that a path names: all, if it names several.
fn leave_out(functions: &mut Vec<Id>, build: &Build<'_>, left_out: &BTreeMap<String, String>) {
    functions.retain(|id| !left_out.contains_key(&kdiff::path(build.name(*id))));
}

/// Bytes of a frame's header: the caller's parameters are behind it (ELFv2 2.2.3).
const HEADER: i64 = 32;

/// Whether a function takes arguments on the stack: it reads behind the header of its caller's frame.
/// A hand-off that puts a frame in between moves them away.
#[must_use]
pub fn takes_stack_arguments(code: &[u8]) -> bool {
    let words = || {
        code.as_chunks()
            .0
            .iter()
            .map(|word| u32::from_le_bytes(*word))
    };
    // `stdu r1,-FRAME(r1)`.
    let opens = words().find(|word| word & 0xffff_0003 == 0xf821_0001);
    let frame = opens.map_or(0, |word| -i64::from((word & 0xfffc) as u16 as i16));
    words().any(|word| {
        // A load, store or `addi` with r1 as its base.
        let reads = matches!(word >> 26, 14 | 32..=55 | 56..=58 | 61 | 62);
        reads && word >> 16 & 31 == 1 && i64::from(word as u16 as i16 & !3) >= frame + HEADER
    })
}

#[cfg(test)]
mod tests {
    use super::{some_of, takes_stack_arguments};

    #[test]
    fn some_are_of_the_whole_list() {
        let all: Vec<usize> = (0..100).collect();
        assert_eq!(some_of(&all, 4), [0, 25, 50, 75]);
        assert_eq!(some_of(&all, 100), all);
        let many = some_of(&all, 99);
        assert!(many.is_sorted_by(|one, next| one < next) && many.len() == 99);
    }

    #[test]
    fn arguments_on_the_stack_are_behind_the_callers_header() {
        let takes = |words: &[u32]| {
            let code: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            takes_stack_arguments(&code)
        };
        const STDU: u32 = 0xf821_ffa1; // stdu r1,-96(r1)
        for (words, expected) in [
            (&[0xe861_0060][..], true),    // ld r3,96(r1), without a frame
            (&[0xe861_0018], false),       // ld r3,24(r1)
            (&[STDU, 0xe861_0060], false), // its caller's back chain
            (&[STDU, 0xe861_0080], true),  // ld r3,128(r1)
            (&[STDU, 0x3861_0080], true),  // addi r3,r1,128
            (&[STDU, 0x3861_0040], false), // addi r3,r1,64
            (&[STDU, 0x3821_0060], false), // addi r1,r1,96
            (&[STDU, 0xe863_0080], false), // ld r3,128(r3)
            (&[0x3861_ffe0], false),       // addi r3,r1,-32
        ] {
            assert_eq!(takes(words), expected, "{words:08x?}");
        }
    }
}
