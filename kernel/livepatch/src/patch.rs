//! A patch: a loaded module, and what is being done with it.

use super::{Descriptor, Target};
use alloc::sync::Arc;
use consistency::PatchId;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use klp::Context;
use loader::Module;

/// Where a patch is on its way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Status {
    /// Threads are switching to it.
    Enabling,
    /// All threads use it.
    Enabled,
    /// Threads are going back.
    Disabling,
}

/// A patch that is enabled, or in transition.
#[derive(Debug)]
pub struct Patch {
    pub(super) id: PatchId,
    /// Its module, which stays loaded as long as this lives.
    pub module: Arc<Module>,
    /// What it patches.
    pub descriptor: Arc<Descriptor>,
    /// Bit by bit for its targets: the pre-patch callback was called, and did not
    /// refuse. Only then are the other callbacks.
    called: AtomicU64,
    /// Some thread was switched by force while this patch's code may have been on
    /// its stack: the module stays for good.
    pub(super) forced: AtomicBool,
}

/// At most so many targets can have callbacks: they are bits of a word.
pub(super) const MOST_TARGETS: usize = 64;

impl Patch {
    pub(super) fn new(id: PatchId, module: Arc<Module>) -> Self {
        Self {
            id,
            descriptor: Descriptor::of(&module),
            module,
            called: AtomicU64::new(0),
            forced: AtomicBool::new(false),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.module.name
    }

    /// Whether its module must never go, since a transition was forced.
    #[must_use]
    pub fn is_pinned(&self) -> bool {
        self.forced.load(Ordering::Relaxed)
    }

    fn context(target: &Target) -> Context<'_> {
        Context::new(target.module.as_deref().unwrap_or(""))
    }

    /// Calls a target's pre-patch callback. Anything but zero is a refusal.
    pub(super) fn pre_patch(&self, index: usize) -> i32 {
        let target = &self.descriptor.targets[index];
        let code = (target.callbacks.pre_patch).map_or(0, |call| call(&Self::context(target)));
        if code == 0 {
            self.called.fetch_or(1 << index, Ordering::Relaxed);
        }
        code
    }

    fn was_called(&self, index: usize) -> bool {
        self.called.load(Ordering::Relaxed) & 1 << index != 0
    }

    pub(super) fn post_patch(&self, index: usize) {
        let target = &self.descriptor.targets[index];
        if let (Some(call), true) = (target.callbacks.post_patch, self.was_called(index)) {
            call(&Self::context(target));
        }
    }

    pub(super) fn pre_unpatch(&self, index: usize) {
        let target = &self.descriptor.targets[index];
        if let (Some(call), true) = (target.callbacks.pre_unpatch, self.was_called(index)) {
            call(&Self::context(target));
        }
    }

    pub(super) fn post_unpatch(&self, index: usize) {
        let target = &self.descriptor.targets[index];
        let called = self.called.fetch_and(!(1 << index), Ordering::Relaxed) & 1 << index != 0;
        if let (Some(call), true) = (target.callbacks.post_unpatch, called) {
            call(&Self::context(target));
        }
    }
}
