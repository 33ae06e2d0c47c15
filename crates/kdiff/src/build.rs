//! All objects of one build.

use crate::unit::{Symbol, Unit};
use crate::{Id, Named, ReadError};
use object::read::archive::ArchiveFile;
use std::collections::{HashMap, HashSet};

/// The objects of a build, by archive and unit.
#[derive(Debug, Default)]
pub struct Build<'d> {
    pub(crate) units: Vec<Unit<'d>>,
    by_name: HashMap<(String, &'d str), usize>,
    /// Which unit and symbol define a name that all units know.
    global: HashMap<&'d str, (usize, usize)>,
    /// Archives that are the same files as those of the other build.
    same: HashSet<String>,
}

impl<'d> Build<'d> {
    /// Adds the objects in an archive. `name` says which archive it is, in each build alike.
    ///
    /// # Errors
    /// When it is no archive, or an object in it is damaged.
    pub fn add(&mut self, name: &str, archive: &'d [u8]) -> Result<(), ReadError> {
        let damaged = || ReadError::Archive {
            archive: name.to_owned(),
        };
        let file = ArchiveFile::parse(archive).map_err(|_| damaged())?;
        for member in file.members() {
            let member = member.map_err(|_| damaged())?;
            let bytes = member.data(archive).map_err(|_| damaged())?;
            // The rest is the compiler's own: what it knows of the crate.
            if bytes.starts_with(b"\x7fELF") && member.name() != b"lib.rmeta" {
                let member = std::str::from_utf8(member.name()).map_err(|_| damaged())?;
                self.add_object(Unit::read(name, member, bytes)?);
            }
        }
        Ok(())
    }

    /// Takes the other build's names for units. rustc names a unit after the modules that it has
    /// code of: an edit may be the first use of something generic in a module, and then the only unit
    /// of the crate has another name. So where one unit of an archive is left over on both sides,
    /// they are one.
    pub fn name_units_as(&mut self, old: &Build<'d>) {
        let left = |one: &Build<'d>, other: &Build<'d>| {
            let mut left: HashMap<String, Vec<usize>> = HashMap::new();
            for (index, unit) in one.units.iter().enumerate() {
                if other.find(&unit.archive, unit.name).is_none() {
                    left.entry(unit.archive.clone()).or_default().push(index);
                }
            }
            left
        };
        let before = left(old, self);
        for (archive, indexes) in left(self, old) {
            if let ([is], Some([was])) = (&indexes[..], before.get(&archive).map(Vec::as_slice)) {
                let name = old.units[*was].name;
                self.units[*is].name = name;
                self.by_name.insert((archive, name), *is);
            }
        }
    }

    /// What the linker calls a function or static.
    #[must_use]
    pub fn name(&self, id: Id) -> &'d str {
        let symbol = self
            .units
            .get(id.unit)
            .and_then(|unit| unit.symbols.get(id.symbol));
        symbol.map_or("", |symbol| symbol.name)
    }

    /// The bytes of a function or static. None if it begins as zeros.
    #[must_use]
    pub fn bytes(&self, id: Id) -> &'d [u8] {
        let unit = self.units.get(id.unit);
        let symbol = unit.and_then(|unit| Some((unit, unit.symbols.get(id.symbol)?)));
        symbol.map_or(&[], |(unit, symbol)| unit.bytes_of(symbol))
    }

    /// An object, by the number of its unit.
    #[must_use]
    pub fn object(&self, unit: usize) -> &'d [u8] {
        self.units.get(unit).map_or(&[], |unit| unit.bytes)
    }

    /// Says that an archive is the same as in the other build, so that nothing of it has to be
    /// read.
    pub fn add_same(&mut self, name: &str) {
        self.same.insert(name.to_owned());
    }

    /// Whether an archive is the same in the other build.
    pub(crate) fn is_same(&self, archive: &str) -> bool {
        self.same.contains(archive)
    }

    fn add_object(&mut self, unit: Unit<'d>) {
        let index = self.units.len();
        for (number, symbol) in unit.symbols.iter().enumerate() {
            if symbol.section != 0 && !symbol.local && symbol.named != Named::Nothing {
                self.global.entry(symbol.name).or_insert((index, number));
            }
        }
        self.by_name
            .insert((unit.archive.clone(), unit.name), index);
        self.units.push(unit);
    }

    /// A function or static of this build.
    pub(crate) fn symbol(&self, id: Id) -> &Symbol<'d> {
        &self.units[id.unit].symbols[id.symbol]
    }

    /// The functions of a unit.
    pub(crate) fn functions(&self, unit: usize) -> impl Iterator<Item = (&Symbol<'d>, Id)> {
        let functions = self.units[unit].functions();
        functions.map(move |function| {
            let symbol = function.number;
            (function, Id { unit, symbol })
        })
    }

    /// The number of a unit.
    pub(crate) fn find(&self, archive: &str, unit: &'d str) -> Option<usize> {
        self.by_name.get(&(archive.to_owned(), unit)).copied()
    }

    /// The unit and the symbol that define a name for all units.
    pub(crate) fn global(&self, name: &str) -> Option<(usize, &Symbol<'d>)> {
        let &(unit, symbol) = self.global.get(name)?;
        Some((unit, &self.units[unit].symbols[symbol]))
    }

    /// The archives in it, in the order that they were added, each once.
    pub fn archives(&self) -> impl Iterator<Item = &str> {
        let mut last = "";
        let names = self.units.iter().map(|unit| &*unit.archive);
        names.filter(move |name| std::mem::replace(&mut last, name) != *name)
    }
}
