//! Which ops are attached where.
//!
//! A site's state is the *set* of ops attached to it. Sets are shared: there are
//! few, however many sites there are, and each has one trampoline.

use super::{
    Batch, Flags, FtraceError, Ops, Site,
    sites::{Table, set_sites, sites},
    trampoline::Trampoline,
};
use alloc::vec::Vec;
use arrayvec::ArrayVec;
use machine::text::Change;
use memmap::Range;
use ppc64::insn;

/// How many ops one site can have.
pub const OPS_ON_A_SITE: usize = 8;

/// The set of a site that nothing is attached to.
const NONE: u16 = 0;

/// Ops in the order in which they were attached.
pub type SetOps = ArrayVec<&'static Ops, OPS_ON_A_SITE>;

/// Ops that are attached together, and how they are called.
#[derive(Debug)]
struct Set {
    ops: SetOps,
    /// Nothing for the empty set.
    trampoline: Option<Trampoline>,
    /// How many sites have this set.
    sites: usize,
}

/// All sites' sets.
#[derive(Debug)]
pub struct Sets {
    /// The table of sites that `state` goes with.
    sites: Option<Table>,
    /// By site, in the order of the table: the index of its set.
    state: Vec<u16>,
    /// Index 0 is the empty set; a hole is free for another.
    sets: Vec<Option<Set>>,
    /// Whether sites call their trampolines.
    live: bool,
}

/// What is done to a site's set.
#[derive(Clone, Copy)]
pub enum Edit {
    Add(&'static Ops),
    Remove(&'static Ops),
}

/// What becomes of the sites of one set.
#[derive(Clone, Copy, Debug)]
struct Move {
    to: u16,
    sites: usize,
    from_entry: Option<u64>,
    to_entry: Option<u64>,
}

/// The second word of a site: a call of a trampoline, or none.
fn call(site: &Site, entry: Option<u64>) -> u32 {
    // Code memory is in reach of all kernel text, or the kernel does not start.
    entry
        .and_then(|entry| insn::branch(site.address, entry, true).ok())
        .unwrap_or(insn::NOP)
}

impl Sets {
    /// No sites have any ops.
    pub const fn new() -> Self {
        Self {
            sites: None,
            state: Vec::new(),
            sets: Vec::new(),
            live: true,
        }
    }

    /// Where the sites of a set call; nowhere for the empty one. An ops that has its site
    /// for itself may go past the trampoline.
    fn entry(&self, set: u16) -> Option<u64> {
        let set = self.sets.get(usize::from(set))?.as_ref()?;
        let direct = match set.ops[..] {
            [only] => only.direct(),
            _ => None,
        };
        direct.or_else(|| Some(set.trampoline.as_ref()?.entry()))
    }

    /// Which sites have an ops in their set, by their places in the table.
    pub fn having(&self, ops: &'static Ops) -> Vec<usize> {
        let has = |set: &Option<Set>| {
            set.as_ref()
                .is_some_and(|set| set.ops.iter().any(|one| one.is(ops)))
        };
        let sets: Vec<bool> = self.sets.iter().map(has).collect();
        let mut places = self.state.iter().enumerate();
        let having = |(place, &set): (usize, &u16)| sets[usize::from(set)].then_some(place);
        core::iter::from_fn(|| places.find_map(having)).collect()
    }

    /// Makes sure that there is a state for every site, and returns the table.
    pub fn table(&mut self) -> Result<Table, FtraceError> {
        if let Some(table) = &self.sites {
            return Ok(table.clone());
        }
        let table = sites();
        self.state.try_reserve_exact(table.len())?;
        self.sets.try_reserve(1)?;
        self.state.resize(table.len(), NONE);
        self.sets.push(Some(Set {
            ops: ArrayVec::new(),
            trampoline: None,
            sites: table.len(),
        }));
        self.sites = Some(table.clone());
        Ok(table)
    }

    /// Replaces the table by one into which sites were put in one place, with no
    /// ops, or out of which they were taken in one place.
    pub fn replace_table(&mut self, new: Table, batch: &mut Batch) -> Result<(), FtraceError> {
        let old = self.table()?;
        // Both are sorted: from where they differ on, they go on differing.
        let mut places = 0..old.len().min(new.len());
        while !places.is_empty() {
            let middle = places.start + places.len() / 2;
            if old[middle].address == new[middle].address {
                places.start = middle + 1;
            } else {
                places.end = middle;
            }
        }
        let before = places.start;
        let behind = old.len().min(new.len()) - before;
        let (gone, come) = (old.len() - before - behind, new.len() - before - behind);
        self.state.try_reserve(come)?;
        for set in self
            .state
            .splice(before..before + gone, core::iter::repeat_n(NONE, come))
        {
            if let Some(set) = &mut self.sets[usize::from(set)] {
                set.sites -= 1;
            }
        }
        if let Some(none) = &mut self.sets[usize::from(NONE)] {
            none.sites += come;
        }
        set_sites(new.clone());
        self.sites = Some(new);
        self.leave_unused(batch);
        Ok(())
    }

    /// Edits the sets of the chosen sites, by their places in the table and in its
    /// order, and writes their code.
    pub fn edit(
        &mut self,
        chosen: &[usize],
        edit: Edit,
        batch: &mut Batch,
    ) -> Result<(), FtraceError> {
        let result = self.plan(chosen, edit).and_then(|(moves, changes)| {
            // SAFETY: a trampoline follows the ABI as far as a site's function
            // and its caller can tell, so each site may change at any time and
            // in any order; the old trampolines live until `reclaim`.
            unsafe { batch.write(&changes) }?;
            Ok(moves)
        });
        if let Ok(moves) = &result {
            self.settle(chosen, moves);
        }
        self.leave_unused(batch);
        result.map(|_| ())
    }

    /// What becomes of each set, and the words that change.
    fn plan(
        &mut self,
        chosen: &[usize],
        edit: Edit,
    ) -> Result<(Vec<Option<Move>>, Vec<Change>), FtraceError> {
        let mut moves: Vec<Option<Move>> = Vec::new();
        moves.try_reserve_exact(self.sets.len())?;
        moves.resize(self.sets.len(), None);
        let mut changes = Vec::new();
        changes.try_reserve_exact(chosen.len())?;
        let table = self.table()?;
        for &index in chosen {
            let (site, old) = (&table[index], self.state[index]);
            let step = match &mut moves[usize::from(old)] {
                Some(step) => step,
                none => {
                    let to = self.edited(old, edit, site)?;
                    none.insert(Move {
                        to,
                        sites: 0,
                        from_entry: self.entry(old),
                        to_entry: self.entry(to),
                    })
                }
            };
            step.sites += 1;
            if self.live {
                changes.push(Change {
                    address: site.address,
                    expected: call(site, step.from_entry),
                    new: call(site, step.to_entry),
                });
            }
        }
        Ok((moves, changes))
    }

    /// Writes down what [`plan`](Self::plan) has planned.
    fn settle(&mut self, chosen: &[usize], moves: &[Option<Move>]) {
        for &index in chosen {
            let state = &mut self.state[index];
            if let Some(step) = moves[usize::from(*state)] {
                *state = step.to;
            }
        }
        for (from, step) in moves.iter().enumerate() {
            let Some(step) = step else { continue };
            for (set, more) in [(from, 0), (usize::from(step.to), step.sites)] {
                if let Some(set) = &mut self.sets[set] {
                    set.sites = if more == 0 {
                        set.sites - step.sites
                    } else {
                        set.sites + more
                    };
                }
            }
        }
    }

    /// The set that an edit makes of another, found or made.
    fn edited(&mut self, old: u16, edit: Edit, site: &Site) -> Result<u16, FtraceError> {
        let old = self.sets[usize::from(old)]
            .as_ref()
            .expect("a site's set exists");
        let mut ops = old.ops.clone();
        let function = site.function();
        match edit {
            Edit::Add(new) => {
                let holder = ops
                    .iter()
                    .find(|one| one.flags.contains(Flags::CHANGES_NIP));
                if let (Some(holder), true) = (holder, new.flags.contains(Flags::CHANGES_NIP)) {
                    return Err(FtraceError::NipTaken {
                        function,
                        holder: holder.name,
                    });
                }
                ops.try_push(new)
                    .map_err(|_| FtraceError::SiteFull { function })?;
            }
            Edit::Remove(gone) => ops.retain(|one| !one.is(gone)),
        }
        let same = |set: &Set| {
            set.ops.len() == ops.len() && set.ops.iter().zip(&ops).all(|(one, other)| one.is(other))
        };
        let found = self
            .sets
            .iter()
            .position(|set| set.as_ref().is_some_and(same));
        if let Some(found) = found {
            return Ok(found as u16);
        }
        let trampoline = Trampoline::new(&ops).map_err(FtraceError::Trampoline)?;
        let set = Set {
            ops,
            trampoline: Some(trampoline),
            sites: 0,
        };
        let hole = self.sets.iter().position(Option::is_none);
        let place = match hole {
            Some(hole) => hole,
            None => {
                self.sets.try_reserve(1)?;
                self.sets.push(None);
                self.sets.len() - 1
            }
        };
        self.sets[place] = Some(set);
        Ok(place as u16)
    }

    /// Takes sets that no site has out of the table.
    fn leave_unused(&mut self, batch: &mut Batch) {
        for set in self.sets.iter_mut().skip(1) {
            let gone = set.take_if(|set| set.sites == 0);
            let trampoline = gone.and_then(|set| set.trampoline);
            batch.leave(trampoline.map(Trampoline::into_block));
        }
    }

    /// Sends the site of an ops straight to some code, or through the trampoline again: at
    /// once, if it has this ops alone.
    pub fn redirect(
        &mut self,
        ops: &'static Ops,
        site: &Site,
        code: Option<u64>,
        batch: &mut Batch,
    ) -> Result<(), FtraceError> {
        let set = self.place_of(site).map(|place| self.state[place]);
        let word = |sets: &Self| call(site, set.and_then(|set| sets.entry(set)));
        let (old, expected) = (ops.direct(), word(self));
        ops.set_direct(code);
        let change = Change {
            address: site.address,
            expected,
            new: word(self),
        };
        if !self.live || change.new == expected {
            return Ok(());
        }
        // SAFETY: where an ops sends its site follows the same rules as its
        // trampoline, and both stay until `retired` says otherwise.
        let result = unsafe { batch.write(&[change]) };
        if result.is_err() {
            ops.set_direct(old);
        }
        result
    }

    /// A site's place in the table.
    pub fn place_of(&self, site: &Site) -> Option<usize> {
        let table = self.sites.as_ref()?;
        table
            .binary_search_by_key(&site.address, |one| one.address)
            .ok()
    }

    /// Whether sites call their trampolines.
    pub fn are_live(&self) -> bool {
        self.live
    }

    /// Lets all sites call their trampolines, or none.
    pub fn set_live(&mut self, live: bool, batch: &mut Batch) -> Result<(), FtraceError> {
        let mut changes = Vec::new();
        let table = self.table()?;
        changes.try_reserve_exact(table.len())?;
        for (site, &set) in table.iter().zip(&self.state) {
            if let Some(entry) = self.entry(set) {
                let word = call(site, Some(entry));
                let (expected, new) = if live {
                    (insn::NOP, word)
                } else {
                    (word, insn::NOP)
                };
                changes.push(Change {
                    address: site.address,
                    expected,
                    new,
                });
            }
        }
        // SAFETY: a site at rest, and one that calls its set's trampoline, are
        // both right at any time: the trampoline goes on into the function.
        unsafe { batch.write(&changes) }?;
        self.live = live;
        Ok(())
    }

    /// The ops of a site.
    pub fn of(&self, site: &Site) -> &[&'static Ops] {
        let Some(place) = self.place_of(site) else {
            return &[];
        };
        let set = self
            .state
            .get(place)
            .and_then(|&set| self.sets.get(usize::from(set)));
        set.and_then(Option::as_ref).map_or(&[], |set| &set.ops)
    }

    /// The ops of the set that has its trampoline at an address.
    pub fn with_entry(&self, address: u64) -> Option<SetOps> {
        let is = |set: &&Set| {
            set.trampoline
                .as_ref()
                .is_some_and(|trampoline| trampoline.entry() == address)
        };
        self.sets
            .iter()
            .flatten()
            .find(is)
            .map(|set| set.ops.clone())
    }

    /// The code of the trampoline that begins at an address.
    pub fn trampoline(&self, entry: u64) -> Option<Range> {
        let all = self.sets.iter().flatten();
        let mut ranges = all.filter_map(|set| Some(set.trampoline.as_ref()?.range()));
        ranges.find(|range| range.start == entry)
    }
}
