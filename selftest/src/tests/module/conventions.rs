//! Modules of each return convention, under what the loader is told to expect.

use super::{every_kind, hand_over, refused, with_demo};
use crate::{check, tests::common::traced};
use alloc::{format, string::String};
use core::{
    mem::offset_of,
    sync::atomic::{AtomicU64, Ordering},
};
use ftrace::{Callback, Flags, Ops};
use klp::Convention;
use lab::instruments::sanitiser::kernel_toc;
use layout::CallFrame;
use loader::{Module, TocChoice, expect, expected};
use machine::{arch, mmu};
use ppc64::spr;

/// What the loader is told while this lives; then the usual again.
struct Expectation;

impl Expectation {
    fn new(convention: Convention, toc: TocChoice) -> Self {
        expect(convention, toc);
        Self
    }
}

impl Drop for Expectation {
    fn drop(&mut self) {
        expect(Convention::USUAL, TocChoice::Own);
    }
}

/// The demonstration's module as built in a convention.
fn built_in(convention: Convention) -> Result<loader::File, String> {
    let files = loader::files();
    let file = files
        .iter()
        .copied()
        .find(|file| file.name == "kinds" && file.convention == convention);
    file.ok_or_else(|| {
        let name = convention.name();
        format!("the initrd has no module `kinds` of convention {name}: xtask packs it with --conventions all")
    })
}

fn has_prefixed_instructions() -> bool {
    arch::processor_version() >> 16 >= spr::POWER10
}

/// The demonstration's module, loaded as expected. Calls a function of each kind
/// and gives r2 afterwards to `after`.
fn called(
    convention: Convention,
    toc: TocChoice,
    after: impl Fn(&Module, &str, u64) -> Result<(), String>,
) -> Result<(), String> {
    built_in(convention)?;
    let _expectation = Expectation::new(convention, toc);
    with_demo(|module| {
        check!(module.convention == convention, "{:?}", module.convention);
        every_kind(|old, arguments| {
            let call = hand_over(module, old, arguments)?;
            after(module, old, call.toc_after())?;
            Ok(call.results())
        })
    })
}

fn comes_back(_: &Module, old: &str, after: u64) -> Result<(), String> {
    let before = kernel_toc();
    check!(
        after == before,
        "{old}: r2 is {after:#x} instead of {before:#x}"
    );
    Ok(())
}

/// What r2 was in a function of the module.
static SEEN: AtomicU64 = AtomicU64::new(0);
static SEE: Ops = Ops::new("see", see as Callback, Flags::empty());

extern "C" fn see(_: u64, _: u64, _: &Ops, frame: &mut CallFrame) {
    SEEN.store(frame.gpr[2], Ordering::Relaxed);
}

/// r2 in a function of the module.
fn seen(module: &Module) -> Result<u64, String> {
    SEEN.store(0, Ordering::Relaxed);
    traced(&SEE, &["kinds::leaf"], || {
        hand_over(module, "lab::targets::leaf", &[5])
    })??;
    Ok(SEEN.load(Ordering::Relaxed))
}

crate::selftest! {
    /// By default, the usual convention and a module's own TOC are expected; and what is
    /// said is what is expected.
    fn the_usual_is_expected() {
        check!(expected() == (Convention::USUAL, TocChoice::Own), "{:?}", expected());
        for convention in Convention::ALL {
            for toc in [TocChoice::Own, TocChoice::Kernels] {
                let _expectation = Expectation::new(convention, toc);
                check!(expected() == (convention, toc), "{:?}", expected());
                let files = loader::files_for_current();
                let other = files.iter().find(|file| file.convention != convention);
                check!(other.is_none(), "{:?}", other.map(|file| file.name));
                let found = loader::find_file("kinds").map(|file| file.convention);
                check!(found == Ok(convention), "{found:?} instead of {convention:?}");
            }
        }
        check!(expected() == (Convention::USUAL, TocChoice::Own), "{:?}", expected());
        Ok(())
    }

    /// Functions with the epilogue bring r2 back.
    fn epilogue_brings_r2_back() {
        called(Convention::Epilogue, TocChoice::Own, comes_back)
    }

    /// Plain functions leave their own TOC in r2, or have not touched it.
    fn plain_leaves_its_own_toc() {
        called(Convention::Plain, TocChoice::Own, |module, old, after| {
            let before = kernel_toc();
            check!(module.toc != before, "both TOCs are {before:#x}");
            check!([before, module.toc].contains(&after), "{old}: r2 is {after:#x}");
            // All but this one use a static, or call.
            check!(after == module.toc || old.ends_with("nothing"), "{old}: r2 came back");
            Ok(())
        })
    }

    /// Under the kernel's TOC, r2 is the same before, within and after, and all that
    /// a module finds through it is found.
    fn shared_toc_never_changes() {
        called(Convention::Plain, TocChoice::Kernels, |module, old, after| {
            check!(module.toc == kernel_toc(), "the module's TOC is {:#x}", module.toc);
            comes_back(module, old, after)
        })?;
        let _expectation = Expectation::new(Convention::Plain, TocChoice::Kernels);
        let shared = with_demo(seen)?;
        check!(shared == kernel_toc(), "r2 within is {shared:#x}");
        expect(Convention::Plain, TocChoice::Own);
        let (own, seen) = with_demo(|module| Ok((module.toc, seen(module)?)))?;
        check!(seen == own && own != shared, "r2 within is {seen:#x}, the TOC {own:#x}");
        Ok(())
    }

    /// With the epilogue too.
    fn shared_toc_suits_the_epilogue() {
        called(Convention::Epilogue, TocChoice::Kernels, comes_back)
    }

    /// The control: as posted, the restore reads addresses 12 and 16. Where these have no page, it
    /// faults, which the laboratory shows.
    fn as_posted_loses_r2() {
        if mmu::is_on() {
            return Ok(());
        }
        // SAFETY: in real mode these are memory, which no code writes to: below the first
        // vector.
        let found = unsafe { (core::ptr::read_volatile(12 as *const i32), core::ptr::read_volatile(16 as *const u64)) };
        let wrong = found.1.wrapping_add_signed(found.0.into());
        check!(wrong != kernel_toc(), "by chance, {wrong:#x} is right");
        called(Convention::AsPosted, TocChoice::Own, |_, old, after| {
            check!(after == wrong, "{old}: r2 is {after:#x} instead of {wrong:#x}");
            Ok(())
        })
    }

    /// PC-relative code uses no TOC, and brings r2 back. A processor that lacks its
    /// instructions refuses it.
    fn pcrel_brings_r2_back() {
        let file = built_in(Convention::Pcrel)?;
        if !has_prefixed_instructions() {
            let _expectation = Expectation::new(Convention::Pcrel, TocChoice::Own);
            let sentence = refused(file.bytes)?;
            check!(sentence.contains("`kinds` is PC-relative, which takes a POWER10"), "{sentence}");
            return Ok(());
        }
        called(Convention::Pcrel, TocChoice::Own, |module, old, after| {
            let kinds = &module.relocations;
            let has = |part: &str| kinds.iter().any(|(kind, _)| kind.contains(part));
            check!(has("_PCREL34") && has("REL24_NOTOC") && !has("TOC16"), "{kinds:?}");
            comes_back(module, old, after)
        })
    }

    /// A module of a convention that has no seal, or another code than the sealed one, is
    /// refused; one that claims none needs none.
    fn what_was_not_proved_is_refused() {
        let file = built_in(Convention::Epilogue)?;
        let unsealed = |file: &loader::File| {
            let mut bytes = file.bytes.to_vec();
            let descriptor = super::position(&bytes, &klp::info::MAGIC.to_le_bytes())?;
            let seal = descriptor + offset_of!(klp::Info, seal);
            bytes[seal..seal + 4].fill(0);
            Ok::<_, String>(bytes)
        };
        // `lwa r2,12(r11)`, which makes all the difference.
        let restore = super::position(file.bytes, &0xe84b_000e_u32.to_le_bytes())?;
        let mut changed = file.bytes.to_vec();
        changed[restore..restore + 4].copy_from_slice(&ppc64::insn::NOP.to_le_bytes());
        for bytes in [unsealed(&file)?, changed] {
            let sentence = refused(&bytes)?;
            let expected = "module `kinds` claims the return convention `epilogue`, and its code was not proved";
            check!(sentence.starts_with(expected), "{sentence}");
        }
        let _expectation = Expectation::new(Convention::Plain, TocChoice::Own);
        let bytes = unsealed(&built_in(Convention::Plain)?)?;
        let module = loader::load(&bytes).map(|module| module.name.clone());
        let name = module.map_err(|error| format!("{error}"))?;
        loader::unload(&name).map_err(|error| format!("{error}"))
    }

    /// A module that keeps the kernel's TOC is taken under every expectation, and whatever is
    /// expected later. Far from the kernel it is refused, and so it is if it was not proved, or
    /// is of another convention.
    fn the_kernels_toc_suits_all() {
        const NAME: &str = "cases-kernels-toc";
        let file = |convention| {
            let mut files = loader::files().iter();
            let found = files.find(|file| (file.name, file.convention) == (NAME, convention));
            found.ok_or_else(|| format!("no `{NAME}` for {convention:?}"))
        };
        let damaged = |offset: usize, value: u32| {
            let mut bytes = file(Convention::USUAL)?.bytes.to_vec();
            let place = super::position(&bytes, &klp::info::MAGIC.to_le_bytes())? + offset;
            bytes[place..place + 4].copy_from_slice(&value.to_le_bytes());
            Ok::<_, String>(bytes)
        };
        for convention in Convention::ALL {
            check!(file(convention)?.bytes == file(Convention::USUAL)?.bytes, "{convention:?}");
            for toc in [TocChoice::Own, TocChoice::Kernels] {
                let expectation = Expectation::new(convention, toc);
                let module = file(convention)?.load().map_err(|error| format!("{error}"))?;
                let found = (module.convention, module.toc_choice, module.toc);
                drop(expectation);
                let stays = module.is_as_expected();
                drop(module);
                loader::unload(NAME).map_err(|error| format!("{error}"))?;
                check!(found == (Convention::Plain, TocChoice::Kernels, kernel_toc()), "{found:?}");
                check!(stays, "{convention:?}, {toc:?}: it is to be loaded anew");
            }
        }
        let unsealed = damaged(offset_of!(klp::Info, seal), 0)?;
        let sentence = refused(&unsealed)?;
        check!(sentence.contains("claims to keep the kernel's TOC, and its code was not proved"), "{sentence}");
        let sentence = refused(&damaged(offset_of!(klp::Info, convention), 1)?)?;
        check!(sentence.contains("must follow return convention 0 (plain), and follows 1"), "{sentence}");
        let sentence = refused(&damaged(offset_of!(klp::Info, flags), 6)?)?;
        check!(sentence.contains("flags are 0x6, of which only 0x3 are known"), "{sentence}");
        // Without the flag it is a plain module as any other.
        let sentence = refused(&damaged(offset_of!(klp::Info, flags), 0)?)?;
        check!(sentence.contains("the hand-off asks for epilogue"), "{sentence}");
        match loader::load_far(file(Convention::USUAL)?.bytes) {
            Err(error) => {
                let sentence = format!("{error}");
                check!(sentence.contains("can't be loaded far away"), "{sentence}");
            }
            Ok(_) => return Err("it was loaded far away".into()),
        }
        Ok(())
    }

    /// A module is refused under each expectation but its own, and nothing changes.
    fn others_are_refused() {
        for built in Convention::ALL {
            let file = built_in(built)?;
            for wanted in Convention::ALL {
                for toc in [TocChoice::Own, TocChoice::Kernels] {
                    if wanted == built {
                        continue;
                    }
                    let _expectation = Expectation::new(wanted, toc);
                    let sentence = refused(file.bytes)?;
                    let expected = format!(
                        "module `kinds` follows return convention {} ({}), the hand-off asks for {}",
                        built as u32, built.name(), wanted.name()
                    );
                    check!(sentence == expected, "{sentence}");
                }
            }
        }
        Ok(())
    }
}
