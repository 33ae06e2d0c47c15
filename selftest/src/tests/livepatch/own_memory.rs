//! What a patched call writes: its thread's own stack, and of its CPU's data the part that no
//! other CPU reads. So calls on several CPUs never wait for each other's writes.
//!
//! A call is made in steps, and each instruction that stores is looked at with the registers of
//! that moment: a word that is written as it was before counts too.

use super::{remove, start, undisturbed};
use crate::{check, tests::common::text};
use alloc::{format, string::String};
use core::ops::Range;
use lab::{
    bench::Busy,
    instruments::{
        access::{Instruction, Written, written},
        calls::AtOnce,
        sanitiser::{SanitisedCall, kernel_toc},
    },
    single_step::{self, At, Next},
};
use layout::TrapFrame;
use livepatch::variants::{self, VARIANTS, Variant, racy};
use machine::{
    arch::{self, Cpu},
    symbols::Place,
    text,
};

/// Replaces `bench_many_000`. Old function and new one return at once.
const PATCH: &str = "soak1";

/// What a call has written.
#[derive(Debug, Default)]
struct Stores {
    own: u64,
    /// Where a store stands that went anywhere else, and where it went; 0 if that is not known.
    others: Option<(u64, u64)>,
}

/// Makes one call, and looks at what it writes.
fn stores() -> Result<Stores, String> {
    let function = AtOnce::Many.address();
    let me = thread::current();
    let (bottom, top) = me.stack().range();
    // So that the thread stays on its CPU.
    let off = arch::interrupts_off();
    let cpu = core::ptr::from_ref(off.cpu()).addr() as u64;
    let own: [Range<u64>; 3] = [
        bottom..top,
        me.stack().livepatch()..me.stack().guard(),
        cpu..cpu + Cpu::OWN_BYTES as u64,
    ];
    let mut stores = Stores::default();
    let mut is_within = false;
    let mut visitor = |frame: &mut TrapFrame, at| {
        is_within |= frame.nip == function;
        if at == At::Instruction && is_within {
            let instruction = Instruction {
                address: frame.nip,
                word: text::read(frame.nip),
                suffix: text::read(frame.nip + 4),
            };
            let (from, bytes) = match written(instruction, &frame.gpr) {
                Written::Nothing => return Next::Step,
                Written::At(from, bytes) => (from, bytes),
                Written::Unknown => (0, 0),
            };
            if own
                .iter()
                .any(|own| own.start <= from && from + bytes <= own.end)
            {
                stores.own += 1;
            } else {
                stores.others.get_or_insert((frame.nip, from));
            }
        }
        Next::Step
    };
    let mut call = SanitisedCall::local(function, kernel_toc(), &[]);
    // SAFETY: the function takes no arguments, nor does its replacement, and needs no TOC.
    let made = unsafe { single_step::make(&mut call, &mut visitor) };
    drop(off);
    match made.fault {
        Some(fault) => Err(format!("the call is lost: {fault}")),
        None => Ok(stores),
    }
}

/// What settled calls by a variant write, and those in a transition of a thread that has
/// switched.
fn by(variant: &'static Variant) -> Result<[Stores; 2], String> {
    let before = variants::current();
    variants::adopt(variant).map_err(text)?;
    let busy = Busy::start()?;
    drop(start(PATCH)?);
    thread::safe_point();
    let moving = stores();
    let is_moving = livepatch::running().is_some();
    busy.end()?;
    livepatch::wait();
    let settled = stores();
    let is_settled = livepatch::way_of(AtOnce::Many.address()).is_some();
    livepatch::disable(PATCH).map_err(text)?;
    livepatch::wait();
    remove(PATCH)?;
    variants::adopt(before).map_err(text)?;
    check!(is_moving, "the transition has not waited");
    check!(is_settled, "a settled call goes by the trampoline");
    Ok([settled?, moving?])
}

crate::selftest! {
    /// By no variant does a patched call write what another CPU reads, be it settled or in a
    /// transition.
    fn no_call_writes_what_another_cpu_reads() {
        undisturbed(|| {
            for variant in VARIANTS {
                // A call that does not give r2 back may not come back.
                if (variant.needs)().is_err() || !variant.gives_back_toc {
                    continue;
                }
                for (way, stores) in ["settled", "in transition"].iter().zip(by(variant)?) {
                    if let Some((at, to)) = stores.others {
                        return Err(format!(
                            "{}, {way}: {} writes to {to:#x}", variant.name, Place(at)
                        ));
                    }
                    check!(stores.own > 0, "{}, {way}: not a store was seen", variant.name);
                }
            }
            Ok(())
        })
    }

    /// A control that keeps r2 and LR where all threads do is found out, both ways.
    fn shared_words_are_found() {
        undisturbed(|| {
            for (way, stores) in ["settled", "in transition"].iter().zip(by(&racy::VARIANT)?) {
                let place = stores.others.map(|(at, _)| format!("{}", Place(at)));
                check!(place.is_some(), "{way}: {stores:?}");
            }
            Ok(())
        })
    }
}
