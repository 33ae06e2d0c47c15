//! Which patches there are, and who may change that.

use super::{
    LivepatchError, Patch, Status,
    patched::{self, Registered},
};
use alloc::{collections::BTreeMap, string::ToString, sync::Arc, vec::Vec};
use consistency::{Code, PatchId, Patches, Phase, Ranges, Transition};
use ftrace::Batch;
use loader::Module;
use machine::{
    arch,
    cpus::{self, Moment},
    lock_order::{Class, Held},
    sync::IrqLock,
};
use thread::{Thread, WaitQueue};

/// What is known of all patches.
#[derive(Debug)]
pub(super) struct Registry {
    /// None until the first patch. Changed by [`Lock::change_with`] alone.
    model: Option<Arc<Patches>>,
    /// Just after the functions' codes were last written.
    published: Moment,
    /// By old function.
    pub functions: BTreeMap<Code, Registered>,
    /// Enabled or in transition, oldest first.
    pub patches: Vec<Arc<Patch>>,
    /// Modules that stay for good.
    pub pinned: Vec<Arc<Module>>,
    /// The thread that owns the livepatch lock.
    owner: Option<u32>,
    last_id: u32,
}

/// What a thread needs to know to switch.
#[derive(Debug)]
pub(super) struct Pending {
    /// The running transition.
    pub transition: Transition,
    /// The functions that it must not have on its stack.
    pub leaving: Ranges,
}

/// What threads need to know to switch, while a transition runs.
///
/// A switch is made under this lock, from the look at what the transition wants to the
/// change of the thread's state. So none is made by what no longer holds: after a change of
/// this, or its end, threads switch by the new one or not at all. Before the scheduler's
/// lock, which is taken to look at a thread. `crates/models/src/pending.rs` shows what a switch
/// after the lock is open would do.
pub(super) static PENDING: IrqLock<Option<Arc<Pending>>> =
    IrqLock::named("livepatch::PENDING", None);

pub(super) static REGISTRY: IrqLock<Registry> = IrqLock::named(
    "livepatch::REGISTRY",
    Registry {
        model: None,
        published: Moment::ZERO,
        functions: BTreeMap::new(),
        patches: Vec::new(),
        pinned: Vec::new(),
        owner: None,
        last_id: 0,
    },
);

/// The model before the first patch.
static NO_PATCHES: Patches = Patches::new();

/// Woken whenever something has changed.
pub(super) static CHANGED: WaitQueue = WaitQueue::new();

/// The livepatch lock, Linux's `klp_mutex`: its owner alone changes patches, and may sleep
/// meanwhile. Open again when this is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    _held: Held<'static>,
}

static CLASS: Class = Class::named("livepatch::Lock");

impl Lock {
    /// Waits for it.
    ///
    /// # Errors
    /// When the running thread owns it already: a callback has asked.
    pub fn wait() -> Result<Self, LivepatchError> {
        must_not_be_owner()?;
        let me = thread::with_current(Thread::id);
        let _held = CLASS.by_thread();
        let take = || {
            let mut registry = REGISTRY.lock();
            let free = registry.owner.is_none();
            if free {
                registry.owner = me;
            }
            free
        };
        if !take() {
            CHANGED.wait_until(take);
        }
        Ok(Self { _held })
    }

    /// [`change_with`](Self::change_with) no sites.
    pub fn change<T, E>(&self, body: impl FnOnce(&mut Patches) -> Result<T, E>) -> Result<T, E> {
        self.change_with(&mut Batch::default(), body)
    }

    /// Changes the model, and lets calls see what it says then: all that begin on any CPU when
    /// this returns. `sites`, which the change rests on, are settled by then. What is between these
    /// steps is modelled in `crates/models/src/sides.rs`.
    ///
    /// Others see the old model until the new one is whole: what it costs to make, memory
    /// for each function above all, is spent with interrupts on. No other change can come
    /// between, for the owner of this lock alone makes any.
    ///
    /// A call looks at its thread's state, at the number, at one of the function's two codes, and at
    /// the number again; if that has changed, once more ([`divert`](patched)). When a transition
    /// begins, all threads are on its old side, and the codes of that side are what they have run
    /// until now. The new side's codes may be written one by one, for no call goes by them: no thread
    /// has the new number before it may switch, and it may only after
    /// [`publish`](super::transition::publish).
    ///
    /// But a call that still goes by the *last* number may find its thread on that one's new
    /// side, and would read a code that is written meanwhile. So between number and codes every
    /// CPU takes an interrupt: [`cpus::synchronise`]. A call that has read its code before goes by
    /// the last number rightly; one that reads it afterwards finds another number behind it.
    /// The same wait sees to it that no CPU jumps past the trampoline by a word of the site that
    /// was replaced before.
    ///
    /// And between the codes of one change and the number of the next: a CPU that saw that number first
    /// could find its thread on the old side, and there the code of before
    /// (`sides::control_no_wait_before_the_number`).
    ///
    /// # Errors
    /// What `body` refuses; nothing has changed then.
    pub fn change_with<T, E>(
        &self,
        sites: &mut Batch,
        body: impl FnOnce(&mut Patches) -> Result<T, E>,
    ) -> Result<T, E> {
        let (before, published) = {
            let registry = REGISTRY.lock();
            (registry.model_now(), registry.published)
        };
        let mut model = before.as_deref().cloned().unwrap_or_default();
        let result = body(&mut model)?;
        // What stays is decided by the patches that there are, not by those that were.
        model.shrink_to_fit();
        let number = model.transition().map(Transition::number);
        let number = number.filter(|&number| number != patched::number());
        if number.is_some() {
            cpus::synchronise_since(published);
        }
        let model = Arc::new(model);
        {
            let mut registry = REGISTRY.lock();
            registry.model = Some(model);
            number.into_iter().for_each(patched::set_number);
        }
        if number.is_some() {
            let since = cpus::now();
            // Waits for the same, if there are any sites.
            sites.settle();
            cpus::synchronise_since(since);
        }
        let mut registry = REGISTRY.lock();
        registry.publish_codes();
        registry.published = cpus::now();
        Ok(result)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        REGISTRY.lock().owner = None;
        CHANGED.wake_all();
    }
}

/// Refuses what a callback asks for: the running thread owns the livepatch lock then.
///
/// # Errors
/// [`LivepatchError::FromCallback`].
pub(super) fn must_not_be_owner() -> Result<(), LivepatchError> {
    let owner = owner();
    if owner.is_some() && owner == thread::with_current(Thread::id) {
        return Err(LivepatchError::FromCallback);
    }
    Ok(())
}

/// The thread that owns the livepatch lock.
pub(super) fn owner() -> Option<u32> {
    REGISTRY.lock().owner
}

impl Registry {
    /// What the patches say.
    pub fn model(&self) -> &Patches {
        self.model.as_deref().unwrap_or(&NO_PATCHES)
    }

    /// The same, to look at when the registry is open again; none before the first patch.
    pub fn model_now(&self) -> Option<Arc<Patches>> {
        self.model.clone()
    }

    pub fn next_id(&mut self) -> PatchId {
        self.last_id += 1;
        PatchId(self.last_id)
    }

    pub fn by_id(&self, id: PatchId) -> Option<&Arc<Patch>> {
        self.patches.iter().find(|patch| patch.id == id)
    }

    pub fn by_name(&self, name: &str) -> Option<&Arc<Patch>> {
        self.patches.iter().find(|patch| patch.name() == name)
    }

    /// The patch whose transition runs.
    pub fn moving(&self) -> Option<Arc<Patch>> {
        let transition = self.model().transition()?;
        self.by_id(transition.patch()).cloned()
    }

    /// Refuses if a transition runs.
    pub fn must_be_idle(&self) -> Result<(), LivepatchError> {
        match self.moving() {
            Some(patch) => Err(LivepatchError::Busy {
                patch: patch.name().to_string(),
            }),
            None => Ok(()),
        }
    }

    /// Lets calls see what functions they run, on either side.
    fn publish_codes(&self) {
        debug_assert!(!arch::interrupts_are_on());
        // Both ascend, so one pass does: interrupts are off.
        let mut choices = self.model().functions().peekable();
        for (old, function) in &self.functions {
            while choices.next_if(|(one, _)| one < old).is_some() {}
            if let Some((_, choice)) = choices.next_if(|(one, _)| one == old) {
                function.publish(choice);
            }
        }
    }

    pub fn status(&self, patch: &Patch) -> Option<Status> {
        Some(match self.model().phase(patch.id)? {
            Phase::Enabling => Status::Enabling,
            Phase::Enabled => Status::Enabled,
            Phase::Disabling => Status::Disabling,
        })
    }
}

/// All patches that are enabled or in transition, oldest first.
#[must_use]
pub fn patches() -> Vec<(Arc<Patch>, Status)> {
    let registry = REGISTRY.lock();
    let with_status = |patch: &Arc<Patch>| Some((patch.clone(), registry.status(patch)?));
    registry.patches.iter().filter_map(with_status).collect()
}

/// Whether patches are being changed: for who has halted that.
#[must_use]
pub fn is_busy() -> bool {
    REGISTRY.is_locked()
}

/// Shows each patch that is enabled or in transition, oldest first. Takes no memory.
pub fn each(mut look: impl FnMut(&Patch, Status)) {
    let registry = REGISTRY.lock();
    for patch in &registry.patches {
        if let Some(status) = registry.status(patch) {
            look(patch, status);
        }
    }
}

/// The patch with a name, if it is enabled or in transition.
#[must_use]
pub fn find(name: &str) -> Option<(Arc<Patch>, Status)> {
    let registry = REGISTRY.lock();
    let patch = registry.by_name(name)?;
    Some((patch.clone(), registry.status(patch)?))
}

/// Where the settled stub of a patched function lies, by the function's global
/// entry; nothing while calls go through the trampoline.
#[must_use]
pub fn way_of(old: Code) -> Option<(u64, u64)> {
    REGISTRY.lock().functions.get(&old)?.stub()
}
