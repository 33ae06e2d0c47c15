//! Callbacks, in order, and for modules that come and go (test-callbacks.sh).

use super::{
    Staying, disable, enable, enable_replacing, ends_as, file, function, held_by, is, load, noted,
    refused, remove, set_pre_patch_ret, start, text, undisturbed, unload,
};
use crate::check;
use alloc::{format, string::String, vec::Vec};
use core::sync::atomic::{AtomicUsize, Ordering};
use lab::targets::live;
use livepatch as klp;
use livepatch::{LivepatchError, Options, Status};
use machine::sync::IrqLock;

const DEMO: &str = "test_klp_callbacks_demo";
const DEMO2: &str = "test_klp_callbacks_demo2";
const MOD: &str = "test_klp_callbacks_mod";
const BUSY: &str = "test_klp_callbacks_busy";

/// Checks that since the last time the callbacks of a patch were called for these
/// events of these objects, in this order.
fn called(patch: &str, expected: &[(&str, &str)]) -> Result<(), String> {
    let lines: Vec<String> = (expected.iter())
        .map(|(event, object)| format!("{patch}: {event}: {object}"))
        .collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    noted(&lines)
}

/// Callbacks of the busy function's module, entered through its address.
fn busy_work() -> Result<extern "C" fn(u64) -> u64, String> {
    let module = loader::find(BUSY).ok_or("no busy module")?;
    function(&module, "test_klp_callbacks_busy::work")
}

crate::selftest! {
    /// The module is there before the patch: its callbacks are called as the
    /// kernel's are.
    fn target_module_before_livepatch() {
        undisturbed(|| {
            drop(load(MOD)?);
            enable(DEMO)?;
            called(DEMO, &[
                ("pre_patch", "kernel"),
                ("pre_patch", MOD),
                ("post_patch", "kernel"),
                ("post_patch", MOD),
            ])?;
            disable(DEMO)?;
            called(DEMO, &[
                ("pre_unpatch", "kernel"),
                ("pre_unpatch", MOD),
                ("post_unpatch", "kernel"),
                ("post_unpatch", MOD),
            ])?;
            unload(DEMO)?;
            unload(MOD)
        })
    }

    /// The module comes after the patch.
    fn module_coming_notifier() {
        undisturbed(|| {
            enable(DEMO)?;
            called(DEMO, &[("pre_patch", "kernel"), ("post_patch", "kernel")])?;
            drop(load(MOD)?);
            called(DEMO, &[("pre_patch", MOD), ("post_patch", MOD)])?;
            remove(DEMO)?;
            called(DEMO, &[
                ("pre_unpatch", "kernel"),
                ("pre_unpatch", MOD),
                ("post_unpatch", "kernel"),
                ("post_unpatch", MOD),
            ])?;
            unload(MOD)
        })
    }

    /// The module goes before the patch.
    fn module_going_notifier() {
        undisturbed(|| {
            drop(load(MOD)?);
            enable(DEMO)?;
            drop(live::take_notes());
            unload(MOD)?;
            called(DEMO, &[("pre_unpatch", MOD), ("post_unpatch", MOD)])?;
            remove(DEMO)?;
            called(DEMO, &[("pre_unpatch", "kernel"), ("post_unpatch", "kernel")])
        })
    }

    /// The module comes after the patch and goes before it.
    fn module_coming_and_going_notifiers() {
        undisturbed(|| {
            enable(DEMO)?;
            drop(live::take_notes());
            drop(load(MOD)?);
            unload(MOD)?;
            called(DEMO, &[
                ("pre_patch", MOD),
                ("post_patch", MOD),
                ("pre_unpatch", MOD),
                ("post_unpatch", MOD),
            ])?;
            remove(DEMO)?;
            called(DEMO, &[("pre_unpatch", "kernel"), ("post_unpatch", "kernel")])
        })
    }

    /// The module is never there.
    fn target_module_not_present() {
        undisturbed(|| {
            enable(DEMO)?;
            remove(DEMO)?;
            called(DEMO, &[
                ("pre_patch", "kernel"),
                ("post_patch", "kernel"),
                ("pre_unpatch", "kernel"),
                ("post_unpatch", "kernel"),
            ])
        })
    }

    /// `pre_patch` refuses: the patch is not enabled, and no other callback is called.
    fn pre_patch_callback_refuses() {
        undisturbed(|| {
            drop(load(MOD)?);
            let patch = load(DEMO)?;
            set_pre_patch_ret(&patch, -19)?;
            let result = klp::enable(&patch, Options::default());
            let expected = "pre-patch callback failed for object 'kernel' with -19";
            refused("the patch", result, expected)?;
            called(DEMO, &[("pre_patch", "kernel")])?;
            is(DEMO, None)?;
            check!(klp::running().is_none(), "a transition runs");
            // With another answer the same module can be enabled.
            set_pre_patch_ret(&patch, 0)?;
            klp::enable(&patch, Options::default()).map_err(text)?;
            ends_as(DEMO, Some(Status::Enabled))?;
            drop(patch);
            remove(DEMO)?;
            unload(MOD)
        })
    }

    /// `pre_patch` refuses a module that comes: it is not loaded, and the patch stays.
    fn module_coming_pre_patch_callback_refuses() {
        undisturbed(|| {
            enable(DEMO)?;
            drop(live::take_notes());
            let (patch, _) = klp::find(DEMO).ok_or("not enabled")?;
            set_pre_patch_ret(&patch.module, -19)?;
            let expected = format!("module `{MOD}` is not wanted: pre-patch callback failed for object '{MOD}' with -19");
            refused("the module", loader::load(file(MOD)?), &expected)?;
            called(DEMO, &[("pre_patch", MOD)])?;
            check!(loader::find(MOD).is_none(), "it is loaded all the same");
            is(DEMO, Some(Status::Enabled))?;
            set_pre_patch_ret(&patch.module, 0)?;
            drop(patch);
            drop(load(MOD)?);
            called(DEMO, &[("pre_patch", MOD), ("post_patch", MOD)])?;
            remove(DEMO)?;
            unload(MOD)
        })
    }

    /// A module comes whose functions can't be patched: what `pre_patch` has done is undone.
    fn module_coming_that_can_not_be_traced() {
        const TARGET: &str = "test_klp_mod_target";
        const PATCH: &str = "test_klp_mod_patch";
        undisturbed(|| {
            enable(PATCH)?;
            ftrace::set_enabled(false).map_err(text)?;
            let result = loader::load(file(TARGET)?);
            let on = ftrace::set_enabled(true);
            let expected = format!("module `{TARGET}` is not wanted: ops `livepatch` needs tracing, which is turned off");
            refused("the module", result, &expected)?;
            on.map_err(text)?;
            called(PATCH, &[("pre_patch", TARGET), ("post_unpatch", TARGET)])?;
            check!(loader::find(TARGET).is_none(), "it is loaded all the same");
            remove(PATCH)?;
            called(PATCH, &[])
        })
    }

    /// One module before the patch, another after it.
    fn multiple_target_modules() {
        undisturbed(|| {
            drop(load(BUSY)?);
            enable(DEMO)?;
            called(DEMO, &[
                ("pre_patch", "kernel"),
                ("pre_patch", BUSY),
                ("post_patch", "kernel"),
                ("post_patch", BUSY),
            ])?;
            check!(busy_work()?(live::ASLEEP) == 2, "the module's function is not patched");
            drop(load(MOD)?);
            unload(MOD)?;
            called(DEMO, &[
                ("pre_patch", MOD),
                ("post_patch", MOD),
                ("pre_unpatch", MOD),
                ("post_unpatch", MOD),
            ])?;
            disable(DEMO)?;
            called(DEMO, &[
                ("pre_unpatch", "kernel"),
                ("pre_unpatch", BUSY),
                ("post_unpatch", "kernel"),
                ("post_unpatch", BUSY),
            ])?;
            unload(DEMO)?;
            unload(BUSY)
        })
    }

    /// A thread stays in the module's function: the transition ends when it has left,
    /// and not before.
    fn busy_target_module() {
        undisturbed(|| {
            drop(load(BUSY)?);
            let work = busy_work()?;
            let staying = Staying::start("busy", 0, move || work(live::ASLEEP))?;
            start(DEMO)?;
            held_by("busy", "test_klp_callbacks_busy::work is on its stack")?;
            is(DEMO, Some(Status::Enabling))?;
            called(DEMO, &[("pre_patch", "kernel"), ("pre_patch", BUSY)])?;
            refused("the module", loader::unload(BUSY), &format!("code of module `{BUSY}` is running"))?;
            let returned = staying.leave();
            check!(returned == 1, "the thread got {returned}");
            ends_as(DEMO, Some(Status::Enabled))?;
            called(DEMO, &[("post_patch", "kernel"), ("post_patch", BUSY)])?;
            check!(work(live::ASLEEP) == 2, "not patched");
            remove(DEMO)?;
            staying.end()?;
            unload(BUSY)
        })
    }

    /// The same, and the patch is disabled before the thread leaves; meanwhile
    /// another module comes and goes. Nothing was patched, so nothing is told of it.
    fn busy_target_module_reversed() {
        undisturbed(|| {
            drop(load(BUSY)?);
            let work = busy_work()?;
            let staying = Staying::start("busy", 0, move || work(live::ASLEEP))?;
            start(DEMO)?;
            called(DEMO, &[("pre_patch", "kernel"), ("pre_patch", BUSY)])?;
            drop(load(MOD)?);
            unload(MOD)?;
            called(DEMO, &[("pre_patch", MOD), ("post_unpatch", MOD)])?;
            klp::disable(DEMO).map_err(text)?;
            ends_as(DEMO, None)?;
            called(DEMO, &[("post_unpatch", "kernel"), ("post_unpatch", BUSY)])?;
            unload(DEMO)?;
            staying.returns(1)?;
            unload(BUSY)
        })
    }

    /// A module comes while another patch is in transition: to the patch that is
    /// enabled already it is patched at once, with all its callbacks.
    fn module_coming_in_anothers_transition() {
        undisturbed(|| {
            enable(DEMO)?;
            drop(live::take_notes());
            let staying = Staying::in_target("old", 0, live::ASLEEP, 0)?;
            start("test_klp_stays")?;
            held_by("old", "lab::targets::live::stays is on its stack")?;
            drop(load(BUSY)?);
            called(DEMO, &[("pre_patch", BUSY), ("post_patch", BUSY)])?;
            check!(busy_work()?(live::ASLEEP) == 2, "the module's function is not patched");
            unload(BUSY)?;
            called(DEMO, &[("pre_unpatch", BUSY), ("post_unpatch", BUSY)])?;
            drop(load(BUSY)?);
            staying.returns(1)?;
            ends_as("test_klp_stays", Some(Status::Enabled))?;
            check!(busy_work()?(live::ASLEEP) == 2, "it is not patched afterwards");
            let entry = busy_work()? as usize as u64;
            check!(klp::way_of(entry).is_some(), "its calls take the long way");
            drop(live::take_notes());
            remove("test_klp_stays")?;
            noted(&[])?;
            remove(DEMO)?;
            called(DEMO, &[
                ("pre_unpatch", "kernel"),
                ("pre_unpatch", BUSY),
                ("post_unpatch", "kernel"),
                ("post_unpatch", BUSY),
            ])?;
            unload(BUSY)
        })
    }

    /// Two patches: each has its own callbacks called.
    fn multiple_livepatches() {
        undisturbed(|| {
            enable(DEMO)?;
            called(DEMO, &[("pre_patch", "kernel"), ("post_patch", "kernel")])?;
            enable(DEMO2)?;
            called(DEMO2, &[("pre_patch", "kernel"), ("post_patch", "kernel")])?;
            remove(DEMO2)?;
            called(DEMO2, &[("pre_unpatch", "kernel"), ("post_unpatch", "kernel")])?;
            remove(DEMO)?;
            called(DEMO, &[("pre_unpatch", "kernel"), ("post_unpatch", "kernel")])
        })
    }

    /// A patch that replaces others: theirs are not called any more.
    fn atomic_replace() {
        undisturbed(|| {
            enable(DEMO)?;
            drop(live::take_notes());
            enable_replacing(DEMO2)?;
            called(DEMO2, &[("pre_patch", "kernel"), ("post_patch", "kernel")])?;
            is(DEMO, None)?;
            remove(DEMO2)?;
            called(DEMO2, &[("pre_unpatch", "kernel"), ("post_unpatch", "kernel")])?;
            unload(DEMO)
        })
    }

    /// `pre_patch` is told while all calls are old and `post_patch` when all are new,
    /// `pre_unpatch` while all are still new and `post_unpatch` when all are old again;
    /// none of them while threads switch.
    fn told_before_and_after() {
        static WORK: AtomicUsize = AtomicUsize::new(0);
        static FOUND: IrqLock<Vec<(u64, bool)>> = IrqLock::new(Vec::new());
        fn hook(_: &str) {
            let work = WORK.load(Ordering::Relaxed);
            // SAFETY: the test has put a function of this type there.
            let work = unsafe { core::mem::transmute::<usize, extern "C" fn(u64) -> u64>(work) };
            let found = (work(5), klp::running().is_some());
            FOUND.lock().push(found);
        }
        undisturbed(|| {
            let target = load("test_klp_mod_target")?;
            let work = function(&target, "test_klp_mod_target::work")?;
            WORK.store(work as usize, Ordering::Relaxed);
            live::on_note(Some(hook));
            enable("test_klp_mod_patch")?;
            disable("test_klp_mod_patch")?;
            live::on_note(None);
            let found = core::mem::take(&mut *FOUND.lock());
            let expected = [(10, false), (15, false), (15, false), (10, false)];
            check!(found == expected, "{found:?} instead of {expected:?}");
            unload("test_klp_mod_patch")?;
            drop(target);
            unload("test_klp_mod_target")
        })
    }

    /// A callback can't change patches.
    fn calls_from_callbacks_are_refused() {
        static REFUSED: AtomicUsize = AtomicUsize::new(0);
        fn hook(_: &str) {
            let results = [
                klp::disable(DEMO),
                klp::reverse(),
                klp::force(),
                file(DEMO2).map_or(Ok(()), |file| {
                    klp::load(file, Options::default()).map(drop)
                }),
            ];
            for error in results.into_iter().filter_map(Result::err) {
                println!("refused: {error}");
                let from_callback = text(LivepatchError::FromCallback);
                let is_right = text(error).contains(&from_callback);
                REFUSED.fetch_add(usize::from(is_right), Ordering::Relaxed);
            }
        }
        undisturbed(|| {
            live::on_note(Some(hook));
            enable(DEMO)?;
            disable(DEMO)?;
            live::on_note(None);
            let events = live::take_notes().len();
            check!(events == 4, "{events} callbacks were called");
            let refused = REFUSED.load(Ordering::Relaxed);
            check!(refused == 4 * events, "{refused} calls were refused");
            check!(loader::find(DEMO2).is_none(), "a callback has loaded a patch");
            unload(DEMO)
        })
    }
}
