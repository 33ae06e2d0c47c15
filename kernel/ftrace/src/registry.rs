//! Registering ops, and the switch for all of them.

use super::{
    Batch, Filter, Flags, FtraceError, Ops, Site, retired,
    sets::{Edit, OPS_ON_A_SITE, Sets},
    sites,
};
use alloc::{sync::Arc, vec::Vec};
use arrayvec::ArrayVec;
use core::fmt;
use machine::sync::IrqLock;
use memmap::Range;

/// All there is to know about ops and sites.
#[derive(Debug)]
struct Registry {
    sets: Sets,
    registered: Vec<&'static Ops>,
}

static REGISTRY: IrqLock<Registry> = IrqLock::named(
    "ftrace::REGISTRY",
    Registry {
        sets: Sets::new(),
        registered: Vec::new(),
    },
);

/// Attaches `ops` to every function that `filter` admits, and returns how many.
///
/// # Errors
/// [`FtraceError`]. On error, nothing has changed.
pub fn register(ops: &'static Ops, filter: &Filter) -> Result<usize, FtraceError> {
    attach(ops, |table| Ok(filter.choose(table)?))
}

/// Attaches `ops` to sites that are chosen by their places in the table.
fn attach(
    ops: &'static Ops,
    choose: impl Fn(&[Site]) -> Result<Vec<usize>, FtraceError>,
) -> Result<usize, FtraceError> {
    let mut batch = Batch::default();
    let count = add(&mut batch, ops, choose);
    drop(batch);
    retired::reclaim();
    count
}

/// Attaches `ops` to one site.
///
/// # Errors
/// [`FtraceError`]. On error, nothing has changed.
pub fn register_at(ops: &'static Ops, site: &Site) -> Result<(), FtraceError> {
    register_at_all(ops, core::slice::from_ref(site))
}

/// Attaches `ops` to some sites.
///
/// # Errors
/// [`FtraceError`]. On error, nothing has changed.
pub fn register_at_all(ops: &'static Ops, sites: &[Site]) -> Result<(), FtraceError> {
    let choose = |table: &[Site]| {
        let places = sites.iter().filter_map(|site| place_in(table, site));
        Ok(places.collect())
    };
    attach(ops, choose).map(drop)
}

fn place_in(table: &[Site], site: &Site) -> Option<usize> {
    let place = table.binary_search_by_key(&site.address, |one| one.address);
    place.ok()
}

fn add(
    batch: &mut Batch,
    ops: &'static Ops,
    choose: impl Fn(&[Site]) -> Result<Vec<usize>, FtraceError>,
) -> Result<usize, FtraceError> {
    // Names are looked up outside the lock, for that takes time; again, if a
    // module came or went meanwhile.
    let (chosen, mut registry) = loop {
        let table = sites::sites();
        let chosen = choose(&table)?;
        let mut registry = REGISTRY.lock();
        if Arc::ptr_eq(&registry.sets.table()?, &table) {
            break (chosen, registry);
        }
    };
    if chosen.is_empty() {
        return Err(FtraceError::NoFunction);
    }
    if registry.registered.iter().any(|one| one.is(ops)) {
        return Err(FtraceError::Registered(ops.name));
    }
    if !registry.sets.are_live() && ops.flags.contains(Flags::PERMANENT) {
        return Err(FtraceError::Off(ops.name));
    }
    registry.registered.try_reserve(1)?;
    registry.sets.edit(&chosen, Edit::Add(ops), batch)?;
    registry.registered.push(ops);
    Ok(chosen.len())
}

/// Detaches `ops` from all functions. When this returns, its callback is not
/// running and will not be called again, except by what this very call was made
/// from.
///
/// # Errors
/// [`FtraceError`]. On error, nothing has changed.
pub fn unregister(ops: &'static Ops) -> Result<(), FtraceError> {
    remove(&mut Batch::default(), ops, Sets::having)?;
    retired::wait();
    Ok(())
}

fn remove(
    batch: &mut Batch,
    ops: &'static Ops,
    having: impl Fn(&Sets, &'static Ops) -> Vec<usize>,
) -> Result<(), FtraceError> {
    let mut registry = REGISTRY.lock();
    // What was attached last goes first more often than not.
    let place = registry.registered.iter().rposition(|one| one.is(ops));
    let place = place.ok_or(FtraceError::NotRegistered(ops.name))?;
    let chosen = having(&registry.sets, ops);
    registry.sets.edit(&chosen, Edit::Remove(ops), batch)?;
    registry.registered.swap_remove(place);
    Ok(())
}

impl Batch {
    /// Attaches `ops` to one site.
    ///
    /// # Errors
    /// [`FtraceError`]. On error, nothing has changed.
    pub fn attach(&mut self, ops: &'static Ops, site: &Site) -> Result<(), FtraceError> {
        let choose = |table: &[Site]| Ok(Vec::from_iter(place_in(table, site)));
        add(self, ops, choose).map(drop)
    }

    /// Detaches `ops`, which is attached to one site. Until everything
    /// [retired](retired::retire) is gone, its callback may still run or be called.
    ///
    /// # Errors
    /// [`FtraceError`]. On error, nothing has changed.
    pub fn detach(&mut self, ops: &'static Ops, site: &Site) -> Result<(), FtraceError> {
        remove(self, ops, |sets, ops| {
            let has = |_: &usize| sets.of(site).iter().any(|one| one.is(ops));
            Vec::from_iter(sets.place_of(site).filter(has))
        })
    }

    /// Lets the site of `ops`, if it has this ops alone, call `code` and not the
    /// trampoline; or the trampoline again. Threads already executing the old target
    /// finish in it.
    ///
    /// # Errors
    /// [`FtraceError`]. On error, nothing has changed.
    ///
    /// # Safety
    /// `ops` is attached to this site and no other. `code` does what the trampoline with this
    /// ops's callback would do, and stays until no thread can be in it after another
    /// `redirect` or a `detach`: it is [left](Self::leave) to the batch of that.
    pub unsafe fn redirect(
        &mut self,
        ops: &'static Ops,
        site: &Site,
        code: Option<u64>,
    ) -> Result<(), FtraceError> {
        REGISTRY.lock().sets.redirect(ops, site, code, self)
    }
}

/// Turns all tracing on or off; what is registered stays registered.
///
/// # Errors
/// [`FtraceError::Needed`] while an ops is registered that must go on working.
pub fn set_enabled(on: bool) -> Result<(), FtraceError> {
    // Settled when the registry is open again.
    let mut batch = Batch::default();
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
    registry.sets.set_live(on, &mut batch)
}

/// Whether tracing is on.
#[must_use]
pub fn is_enabled() -> bool {
    REGISTRY.lock().sets.are_live()
}

/// Whether sets or sites are being changed: for a debugger, which may have halted the
/// kernel in the middle of that.
#[must_use]
pub fn is_busy() -> bool {
    REGISTRY.is_locked() || sites::is_busy()
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

/// The names of the ops of the trampoline that begins at an address.
#[must_use]
pub fn trampoline_of(address: u64) -> Option<impl fmt::Display> {
    let ops = REGISTRY.lock().sets.with_entry(address)?;
    let names: ArrayVec<&str, OPS_ON_A_SITE> = ops.iter().map(|ops| ops.name).collect();
    Some(fmt::from_fn(move |f| f.write_str(&names.join(", "))))
}

/// The code of the trampoline that begins at an address.
#[must_use]
pub fn trampoline_at(address: u64) -> Option<Range> {
    REGISTRY.lock().sets.trampoline(address)
}

/// Adds the sites of a module, by address. They must be at rest.
///
/// # Errors
/// When there is no memory. On error, nothing has changed.
pub fn add_sites(new: &[Site]) -> Result<(), FtraceError> {
    // A module's sites lie together.
    let first = new.first().map_or(0, |site| site.address);
    change_sites(first..first, new)
}

/// Forgets the sites in `range`, with whatever is attached to them.
///
/// # Errors
/// When there is no memory. On error, nothing has changed.
pub fn remove_sites(range: Range) -> Result<(), FtraceError> {
    change_sites(range.start..range.end, &[])?;
    retired::reclaim();
    Ok(())
}

/// Puts sites in the place of those with addresses in a range.
fn change_sites(range: core::ops::Range<u64>, new: &[Site]) -> Result<(), FtraceError> {
    // Settled when the registry is open again.
    let mut batch = Batch::default();
    let mut registry = REGISTRY.lock();
    let table = registry.sets.table()?;
    let place = |address| table.partition_point(|site| site.address < address);
    let (before, behind) = (&table[..place(range.start)], &table[place(range.end)..]);
    let mut sites = Vec::new();
    sites.try_reserve_exact(before.len() + new.len() + behind.len())?;
    for piece in [before, new, behind] {
        sites.extend_from_slice(piece);
    }
    registry.sets.replace_table(Arc::new(sites), &mut batch)
}
