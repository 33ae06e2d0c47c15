//! Transitions that are blocked: named, reversed, forced; and what is refused meanwhile.

use super::super::{
    OLD, Staying, disable, enable, ends_as, file, held_by, is, is_busy, refused, remove, replacing,
    returns, start, text, undisturbed, unload,
};
use crate::{
    check,
    tests::common::{LIMIT, until},
};
use alloc::{string::String, vec::Vec};
use consistency::Direction;
use core::time::Duration;
use lab::targets::live;
use livepatch as klp;
use livepatch::{LivepatchError, Options, Status, variants};
use machine::{arch, time};

const STAYS: &str = "test_klp_stays";
const IN_OLD: &str = "lab::targets::live::stays is on its stack";
const IN_NEW: &str = "test_klp_stays::stays is on its stack";

/// The file of [`STAYS`] under another name, as long as its own.
fn renamed(file: &[u8], name: &str) -> Vec<u8> {
    let mut file = file.to_vec();
    let mut at = 0;
    while let Some(found) =
        { file[at..].windows(name.len()) }.position(|text| text == STAYS.as_bytes())
    {
        at += found;
        file[at..at + name.len()].copy_from_slice(name.as_bytes());
    }
    file
}

/// Tries something that has to be done before a time is over, which on a busy host may be any: with a
/// longer time whenever `attempt` says that it came too late.
fn in_good_time(mut attempt: impl FnMut(Duration) -> Result<bool, String>) -> crate::tests::Result {
    let mut time = Duration::from_millis(25);
    while !attempt(time)? {
        time *= 4;
        check!(time < LIMIT, "{:?} were not enough", time / 4);
    }
    Ok(())
}

crate::selftest! {
    /// The thread that blocks a transition is named, and the function that it is in; all
    /// other threads have switched. Reversed by hand, nothing has happened.
    fn stalled_and_reversed() {
        undisturbed(|| {
            let staying = Staying::in_target("sleeper", 0, live::ASLEEP, 0)?;
            start(STAYS)?;
            held_by("sleeper", IN_OLD)?;
            let running = klp::running().ok_or("no transition runs")?;
            check!(running.patch == STAYS && !running.reversed, "{running:?}");
            check!(running.direction == Direction::Enable, "{running:?}");
            let progress = klp::progress();
            check!(progress.len() == thread::count(), "{} of {} threads", progress.len(), thread::count());
            drop(progress);
            // The others switch when their CPUs come to it.
            let held = || klp::progress().iter().filter(|one| !one.switched).count();
            until("all others have switched", || held() == 1)?;
            klp::reverse().map_err(text)?;
            ends_as(STAYS, None)?;
            check!(klp::progress().is_empty(), "progress without a transition");
            refused("another reversal", klp::reverse(), "no transition is running")?;
            refused("force", klp::force(), "no transition is running")?;
            unload(STAYS)?;
            staying.returns(1)
        })
    }

    /// The same with `disable`; a second one changes nothing.
    fn disabled_while_enabling() {
        undisturbed(|| {
            let staying = Staying::in_target("sleeper", 0, live::ASLEEP, 0)?;
            start(STAYS)?;
            is(STAYS, Some(Status::Enabling))?;
            klp::disable(STAYS).map_err(text)?;
            ends_as(STAYS, None)?;
            refused("a second time", klp::disable(STAYS), "patch `test_klp_stays` is not enabled")?;
            unload(STAYS)?;
            staying.returns(1)
        })
    }

    /// Reversed by itself, after the time that was asked for.
    fn reversed_after_a_time() {
        undisturbed(|| {
            let staying = Staying::in_target("sleeper", 0, live::ASLEEP, 0)?;
            let options = Options { reverse_after: Some(Duration::from_millis(30)) };
            let start = machine::arch::timebase();
            klp::load(file(STAYS)?, options).map_err(text)?;
            ends_as(STAYS, None)?;
            let took = machine::time::duration(machine::arch::timebase() - start);
            check!(took >= Duration::from_millis(30), "after {took:?}");
            unload(STAYS)?;
            let returned = staying.leave();
            check!(returned == 1, "the thread got {returned}");
            // The time that was asked for has nothing to do with what comes later.
            enable(STAYS)?;
            staying.end()?;
            remove(STAYS)
        })
    }

    /// Reversed by hand before the time that was asked for, it is not reversed again when
    /// that comes.
    fn reversed_before_its_time() {
        undisturbed(|| {
            in_good_time(|time| {
                // One thread on each side, so that neither way ends meanwhile.
                let old = Staying::in_target("in old", 0, live::ASLEEP, 0)?;
                let deadline = arch::timebase() + time::timebase_ticks(time);
                klp::load(file(STAYS)?, Options { reverse_after: Some(time) }).map_err(text)?;
                let new = Staying::in_target("in new", 1, live::ASLEEP, 0)?;
                let reversed = klp::reverse();
                if arch::timebase() >= deadline {
                    old.end()?;
                    new.end()?;
                    klp::wait();
                    if klp::find(STAYS).is_some() {
                        disable(STAYS)?;
                    }
                    unload(STAYS)?;
                    return Ok(false);
                }
                reversed.map_err(text)?;
                thread::sleep(time + Duration::from_millis(50));
                held_by("in new", IN_NEW)?;
                let both = (old.leave(), new.leave());
                check!(both == (1, 2), "they got {both:?}");
                ends_as(STAYS, None)?;
                old.end()?;
                new.end()?;
                unload(STAYS)?;
                Ok(true)
            })
        })
    }

    /// A transition that ends in time is not reversed.
    fn not_reversed_when_done() {
        undisturbed(|| {
            in_good_time(|time| {
                klp::load(file(STAYS)?, Options { reverse_after: Some(time) }).map_err(text)?;
                klp::wait();
                if klp::find(STAYS).is_none() {
                    unload(STAYS)?;
                    return Ok(false);
                }
                is(STAYS, Some(Status::Enabled))?;
                let staying = Staying::in_target("sleeper", 0, live::ASLEEP, 0)?;
                klp::disable(STAYS).map_err(text)?;
                // Nor is the next one, which runs when that time has come.
                thread::sleep(time);
                held_by("sleeper", IN_NEW)?;
                is(STAYS, Some(Status::Disabling))?;
                staying.returns(2)?;
                ends_as(STAYS, None)?;
                unload(STAYS)?;
                Ok(true)
            })
        })
    }

    /// While one transition runs, others are refused, and nothing changes.
    fn one_at_a_time() {
        undisturbed(|| {
            enable("test_klp_livepatch")?;
            let staying = Staying::in_target("sleeper", 0, live::ASLEEP, 0)?;
            start(STAYS)?;
            let result = klp::load(file("test_klp_second")?, Options::default());
            check!(result.as_ref().is_err_and(|error| is_busy(error, STAYS)), "{result:?}");
            refused("another patch", result, "a transition of patch `test_klp_stays` is running")?;
            check!(loader::find("test_klp_second").is_none(), "its module is still loaded");
            let result = klp::disable("test_klp_livepatch");
            refused("disabling another", result, "a transition of patch `test_klp_stays` is running")?;
            returns([11, 12, 3])?;
            is(STAYS, Some(Status::Enabling))?;
            let result = loader::unload(STAYS);
            refused("unloading it", result, "module `test_klp_stays` is in use")?;
            staying.returns(1)?;
            ends_as(STAYS, Some(Status::Enabled))?;
            remove("test_klp_livepatch")?;
            remove(STAYS)
        })
    }

    /// An enabled patch can't be enabled again, nor its module be unloaded, nor be
    /// loaded again.
    fn twice_and_unload_are_refused() {
        undisturbed(|| {
            enable("test_klp_livepatch")?;
            let (patch, _) = klp::find("test_klp_livepatch").ok_or("not enabled")?;
            let result = klp::enable(&patch.module, Options::default());
            check!(matches!(result, Err(LivepatchError::Enabled(_))), "{result:?}");
            refused("a second time", result, "patch `test_klp_livepatch` is enabled already")?;
            drop(patch);
            let result = loader::unload("test_klp_livepatch");
            refused("unloading it", result, "module `test_klp_livepatch` is in use")?;
            let result = klp::load(file("test_klp_livepatch")?, Options::default());
            refused("loading it", result, "a module `test_klp_livepatch` is loaded already")?;
            returns([11, 12, 3])?;
            remove("test_klp_livepatch")?;
            let result = klp::disable("test_klp_livepatch");
            refused("disabling it", result, "patch `test_klp_livepatch` is not enabled")?;
            let ordinary = crate::tests::livepatch::load("test_klp_mod_target")?;
            let result = klp::enable(&ordinary, Options::default());
            drop(ordinary);
            refused("an ordinary module", result, "module `test_klp_mod_target` is no patch: it replaces nothing")?;
            unload("test_klp_mod_target")?;
            returns(OLD)
        })
    }

    /// A thread in the new function blocks the transition away. It is reversed, and made
    /// again.
    fn reversed_disable() {
        undisturbed(|| {
            enable(STAYS)?;
            let staying = Staying::in_target("sleeper", 0, live::ASLEEP, 0)?;
            klp::disable(STAYS).map_err(text)?;
            held_by("sleeper", IN_NEW)?;
            is(STAYS, Some(Status::Disabling))?;
            refused("unloading it", loader::unload(STAYS), "module `test_klp_stays` is in use")?;
            klp::reverse().map_err(text)?;
            ends_as(STAYS, Some(Status::Enabled))?;
            klp::disable(STAYS).map_err(text)?;
            held_by("sleeper", IN_NEW)?;
            staying.returns(2)?;
            ends_as(STAYS, None)?;
            unload(STAYS)
        })
    }

    /// Reversed twice: it goes the first way again.
    fn reversed_twice() {
        undisturbed(|| {
            // In the old function, and in the new one of a patch that is replaced:
            // neither side is free of them.
            let old = Staying::in_target("in old", 0, live::ASLEEP, 0)?;
            start(STAYS)?;
            let new = Staying::in_target("in new", 1, live::ASLEEP, 0)?;
            held_by("in old", IN_OLD)?;
            klp::reverse().map_err(text)?;
            held_by("in new", IN_NEW)?;
            klp::reverse().map_err(text)?;
            held_by("in old", IN_OLD)?;
            is(STAYS, Some(Status::Enabling))?;
            let both = (old.leave(), new.leave());
            check!(both == (1, 2), "they got {both:?}");
            ends_as(STAYS, Some(Status::Enabled))?;
            old.end()?;
            new.end()?;
            remove(STAYS)
        })
    }

    /// Forced, the transition ends whatever threads do; the module stays loaded for
    /// good, and can still be disabled and enabled.
    fn forced() {
        const FORCED: &str = "test_klp_forced";
        println!();
        live::close();
        let staying = Staying::in_target("sleeper", 0, live::ASLEEP, 0)?;
        start(FORCED)?;
        held_by("sleeper", IN_OLD)?;
        klp::force().map_err(text)?;
        ends_as(FORCED, Some(Status::Enabled))?;
        let pinned = klp::find(FORCED).is_some_and(|(patch, _)| patch.is_pinned());
        check!(pinned, "it is not pinned");
        // It is still in the old function, with the new one on the way back.
        staying.returns(1)?;
        let again = Staying::in_target("again", 0, live::ASLEEP, 0)?;
        again.returns(2)?;
        for _ in 0..2 {
            disable(FORCED)?;
            refused("unloading it", loader::unload(FORCED), "module `test_klp_forced` is in use")?;
            let module = loader::find(FORCED).ok_or("it is gone")?;
            klp::enable(&module, Options::default()).map_err(text)?;
            ends_as(FORCED, Some(Status::Enabled))?;
        }
        // Forced out, with a thread inside, which comes home as it was handed over.
        let staying = Staying::in_target("in new", 0, live::ASLEEP, 0)?;
        klp::disable(FORCED).map_err(text)?;
        held_by("in new", "test_klp_forced::stays is on its stack")?;
        klp::force().map_err(text)?;
        ends_as(FORCED, None)?;
        let (before, other) = (variants::current().name, "mini-frame");
        refused(
            "another variant",
            variants::choose(other),
            "a thread is still in the forced patch `test_klp_forced`, which another variant has handed over",
        )?;
        staying.returns(2)?;
        variants::choose(other).and_then(|_| variants::choose(before)).map_err(text)?;
        let staying = Staying::in_target("after", 0, live::ASLEEP, 0)?;
        staying.returns(1)
    }

    /// Forced, a patch that takes the place of another leaves both modules loaded for good:
    /// a thread may be in the replaced one, and it is not known when the thread has left
    /// it.
    fn forced_replace() {
        const UNDER: &str = "test_klp_under";
        const ABOVE: &str = "test_klp_above";
        println!();
        live::close();
        klp::load(&renamed(file(STAYS)?, UNDER), Options::default()).map_err(text)?;
        ends_as(UNDER, Some(Status::Enabled))?;
        let staying = Staying::in_target("sleeper", 0, live::ASLEEP, 0)?;
        klp::load(&renamed(&replacing(STAYS)?, ABOVE), Options::default()).map_err(text)?;
        held_by("sleeper", "test_klp_under::stays is on its stack")?;
        klp::force().map_err(text)?;
        ends_as(ABOVE, Some(Status::Enabled))?;
        is(UNDER, None)?;
        let stay = |why: &str| {
            refused(why, loader::unload(UNDER), "module `test_klp_under` is in use")
        };
        stay("unloading it with a thread inside")?;
        staying.returns(2)?;
        stay("unloading it when the thread has left")?;
        disable(ABOVE)?;
        stay("unloading it when no patch is enabled")?;
        refused("unloading the other", loader::unload(ABOVE), "module `test_klp_above` is in use")
    }
}
