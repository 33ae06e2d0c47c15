//! Registering ops, and the switch for all of them.

use super::{
    Filter, Flags, FtraceError, Ops, Site,
    sets::{Edit, OPS_ON_A_SITE, Sets},
    sites,
};
use crate::{mm::code, sync::IrqLock};
use alloc::{sync::Arc, vec::Vec};
use arrayvec::ArrayVec;
use core::fmt;
use memmap::Range;

/// All there is to know about ops and sites.
#[derive(Debug)]
struct Registry {
    sets: Sets,
    registered: Vec<&'static Ops>,
}

static REGISTRY: IrqLock<Registry> = IrqLock::new(Registry {
    sets: Sets::new(),
    registered: Vec::new(),
});

/// Attaches `ops` to every function that `filter` admits, and returns how many.
///
/// # Errors
/// [`FtraceError`]; nothing has changed then.
pub fn register(ops: &'static Ops, filter: &Filter) -> Result<usize, FtraceError> {
    // Names are looked up outside the lock, for that takes time; again, if a
    // module came or went meanwhile.
    let (chosen, mut registry) = loop {
        let table = sites::sites();
        let chosen = filter.choose(&table)?;
        let mut registry = REGISTRY.lock();
        if Arc::ptr_eq(&registry.sets.table()?, &table) {
            break (chosen, registry);
        }
    };
    let count = chosen.iter().filter(|&&chosen| chosen).count();
    if count == 0 {
        return Err(FtraceError::NoFunction);
    }
    if registry.registered.iter().any(|one| one.is(ops)) {
        return Err(FtraceError::Registered(ops.name));
    }
    if !registry.sets.are_live() && ops.flags.contains(Flags::PERMANENT) {
        return Err(FtraceError::Off(ops.name));
    }
    registry.registered.try_reserve(1)?;
    registry.sets.edit(&chosen, Edit::Add(ops))?;
    registry.registered.push(ops);
    Ok(count)
}

/// Detaches `ops` from all functions. When this returns, its callback is not
/// running and will not be called again.
///
/// # Errors
/// [`FtraceError`]; nothing has changed then.
pub fn unregister(ops: &'static Ops) -> Result<(), FtraceError> {
    let mut registry = REGISTRY.lock();
    let place = registry.registered.iter().position(|one| one.is(ops));
    let place = place.ok_or(FtraceError::NotRegistered(ops.name))?;
    let chosen = registry.sets.having(ops);
    registry.sets.edit(&chosen, Edit::Remove(ops))?;
    registry.registered.remove(place);
    Ok(())
}

/// Turns all tracing on or off; what is registered stays registered.
///
/// # Errors
/// [`FtraceError::Needed`] while an ops is registered that must go on working.
pub fn set_enabled(on: bool) -> Result<(), FtraceError> {
    let mut registry = REGISTRY.lock();
    if registry.sets.are_live() == on {
        return Ok(());
    }
    let needed = registry
        .registered
        .iter()
        .find(|ops| ops.flags.contains(Flags::PERMANENT));
    if let (Some(ops), false) = (needed, on) {
        return Err(FtraceError::Needed(ops.name));
    }
    registry.sets.set_live(on)
}

/// Whether tracing is on.
#[must_use]
pub fn is_enabled() -> bool {
    REGISTRY.lock().sets.are_live()
}

/// Names of the ops that are attached to a site.
#[must_use]
pub fn attached(site: &Site) -> ArrayVec<&'static str, OPS_ON_A_SITE> {
    REGISTRY
        .lock()
        .sets
        .of(site)
        .iter()
        .map(|ops| ops.name)
        .collect()
}

/// The names of the ops whose trampoline begins at an address.
#[must_use]
pub fn trampoline_of(address: u64) -> Option<impl fmt::Display> {
    let ops = REGISTRY.lock().sets.with_entry(address)?;
    let names: ArrayVec<&str, OPS_ON_A_SITE> = ops.iter().map(|ops| ops.name).collect();
    Some(fmt::from_fn(move |f| f.write_str(&names.join(", "))))
}

/// Whether an address is in a trampoline. For stack walks, also of a kernel that
/// is going down: while the registry is in use, all code that was made at run
/// time counts as such.
#[must_use]
pub fn in_trampoline(address: u64) -> bool {
    let region = code::region();
    (region.start..region.end).contains(&address)
        && REGISTRY
            .try_lock()
            .is_none_or(|registry| registry.sets.is_trampoline(address))
}

/// Adds the sites of a module. They must be at rest.
///
/// # Errors
/// When there is no memory; nothing has changed then.
pub fn add_sites(new: &[Site]) -> Result<(), FtraceError> {
    change_sites(|sites| {
        sites.try_reserve_exact(new.len())?;
        sites.extend_from_slice(new);
        sites.sort_unstable_by_key(|site| site.address);
        Ok(())
    })
}

/// Forgets the sites in `range`, with whatever is attached to them.
///
/// # Errors
/// When there is no memory; nothing has changed then.
pub fn remove_sites(range: Range) -> Result<(), FtraceError> {
    change_sites(|sites| {
        sites.retain(|site| !(range.start..range.end).contains(&site.address));
        Ok(())
    })
}

fn change_sites(
    change: impl FnOnce(&mut Vec<Site>) -> Result<(), FtraceError>,
) -> Result<(), FtraceError> {
    let mut registry = REGISTRY.lock();
    let table = registry.sets.table()?;
    let mut sites = Vec::new();
    sites.try_reserve_exact(table.len())?;
    sites.extend_from_slice(&table);
    change(&mut sites)?;
    registry.sets.replace_table(sites.into())
}
