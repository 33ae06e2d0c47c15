//! Reading functions, what is inlined into them, and their lines.

use super::{Function, Inlined, Row, path};
use crate::die::{Die, damaged, units};
use crate::error::{Allowance, Error};
use crate::sections::{Sections, Slice};
use gimli::constants as dw;
use gimli::{AttributeValue, SectionId, Unit};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

/// All functions with code.
pub fn read(object: &[u8]) -> Result<Vec<Function>, Error> {
    let sections = Sections::read(object)?;
    let dwarf = sections.dwarf();
    let mut reader = Reader {
        allowance: sections.allowance(),
        lowest: sections.lowest,
        ..Reader::default()
    };
    units(&dwarf, |unit, start| {
        let files = reader.files(&dwarf, unit, start)?;
        reader.entries(&dwarf, unit, start, &files)?;
        reader.lines(unit, start, &files)
    })?;
    reader.finish(&sections)
}

#[derive(Default)]
struct Reader {
    allowance: Allowance,
    /// Where code begins: below are functions that are not in the file.
    lowest: u64,
    /// What is declared, by the offset in `.debug_info`.
    declared: HashMap<usize, Declared>,
    /// What has code.
    bodies: Vec<Body>,
    /// The lines of code, by address: no line where code has none. They are the code's up to
    /// the next address.
    rows: BTreeMap<u64, BTreeSet<(Arc<str>, u32)>>,
}

/// What is known of a function apart from its code.
#[derive(Clone, Default)]
struct Declared {
    linkage_name: Option<String>,
    name: Option<String>,
    file: Option<Arc<str>>,
    line: Option<u32>,
    /// Where the rest is told.
    origin: Option<usize>,
}

struct Body {
    entry: usize,
    code: Vec<Range<u64>>,
    calls: Vec<Call>,
}

/// Something inlined.
struct Call {
    origin: Option<usize>,
    code: Vec<Range<u64>>,
    file: Arc<str>,
    line: u32,
    caller: Option<usize>,
}

/// An entry whose children are being read.
#[derive(Clone, Copy)]
enum Open {
    Body,
    Call(usize),
    /// Nothing of its own: a namespace, or a block of the function around.
    Same,
}

impl Reader {
    /// The names of the unit's files, by their number.
    fn files(
        &mut self,
        dwarf: &gimli::Dwarf<Slice<'_>>,
        unit: &Unit<Slice<'_>>,
        start: usize,
    ) -> Result<Vec<Arc<str>>, Error> {
        let damaged = damaged(SectionId::DebugLine, start);
        let Some(program) = &unit.line_program else {
            return Ok(Vec::new());
        };
        let header = program.header();
        let root = unit.comp_dir.map(|dir| dir.to_string_lossy().into_owned());
        let mut files = Vec::new();
        // Before DWARF 5 the first file is number 1.
        if header.version() < 5 {
            files.push(Arc::from(""));
        }
        for file in header.file_names() {
            let name = dwarf.attr_string(unit, file.path_name()).map_err(damaged)?;
            let mut full = name.to_string_lossy().into_owned();
            // Directory 0 is where the compiler ran: names are relative to it.
            if let Some(directory) = file.directory(header)
                && file.directory_index() != 0
                && !full.starts_with('/')
            {
                let directory = dwarf.attr_string(unit, directory).map_err(damaged)?;
                full = format!("{}/{full}", directory.to_string_lossy());
            }
            self.allowance.take(full.len())?;
            let inside = root.as_deref().and_then(|root| full.strip_prefix(root));
            let inside = inside.and_then(|rest| rest.strip_prefix('/'));
            files.push(Arc::from(inside.unwrap_or(&full)));
        }
        Ok(files)
    }

    fn entries(
        &mut self,
        dwarf: &gimli::Dwarf<Slice<'_>>,
        unit: &Unit<Slice<'_>>,
        start: usize,
        files: &[Arc<str>],
    ) -> Result<(), Error> {
        let damaged = damaged(SectionId::DebugInfo, start);
        let mut open: Vec<Open> = Vec::new();
        let mut attributes = Vec::new();
        let mut entries = unit.entries_raw(None).map_err(damaged)?;
        while !entries.is_empty() {
            let offset = start.saturating_add(entries.next_offset().0);
            self.allowance.take(1)?;
            let Some(entry) = entries.read_abbreviation().map_err(damaged)? else {
                open.pop();
                continue;
            };
            let specs = entry.attributes();
            let is_function = entry.tag() == dw::DW_TAG_subprogram;
            let mut what = Open::Same;
            if is_function || entry.tag() == dw::DW_TAG_inlined_subroutine {
                entries
                    .read_attributes(specs, &mut attributes)
                    .map_err(damaged)?;
                let die = Die {
                    dwarf,
                    unit,
                    start,
                    attributes: &attributes,
                };
                what = if is_function {
                    self.function(&die, offset, files)?
                } else {
                    self.call(&die, files, &open)?
                };
            } else {
                entries.skip_attributes(specs).map_err(damaged)?;
            }
            if entry.has_children() {
                open.push(what);
            }
        }
        Ok(())
    }

    fn function(
        &mut self,
        die: &Die<'_, '_>,
        offset: usize,
        files: &[Arc<str>],
    ) -> Result<Open, Error> {
        let origin = die.reference(dw::DW_AT_abstract_origin);
        let declared = Declared {
            linkage_name: die.string(dw::DW_AT_linkage_name, &mut self.allowance)?,
            name: die.string(dw::DW_AT_name, &mut self.allowance)?,
            file: file(die.value(dw::DW_AT_decl_file), files),
            line: die.number(dw::DW_AT_decl_line).and_then(number),
            origin: origin.or_else(|| die.reference(dw::DW_AT_specification)),
        };
        self.declared.insert(offset, declared);
        let code = self.code(die)?;
        if code.is_empty() {
            return Ok(Open::Same);
        }
        self.bodies.push(Body {
            entry: offset,
            code,
            calls: Vec::new(),
        });
        Ok(Open::Body)
    }

    fn call(
        &mut self,
        die: &Die<'_, '_>,
        files: &[Arc<str>],
        open: &[Open],
    ) -> Result<Open, Error> {
        // An abstract function has calls in it too, which have no code.
        let around = open.iter().rev().find(|open| !matches!(open, Open::Same));
        let caller = match around {
            Some(Open::Call(index)) => Some(*index),
            Some(Open::Body) => None,
            _ => return Ok(Open::Same),
        };
        // To find what is around, all that is open may be looked at.
        self.allowance.take(open.len())?;
        let call = Call {
            origin: die.reference(dw::DW_AT_abstract_origin),
            code: self.code(die)?,
            file: file(die.value(dw::DW_AT_call_file), files).unwrap_or_else(|| Arc::from("")),
            line: die
                .number(dw::DW_AT_call_line)
                .and_then(number)
                .unwrap_or(0),
            caller,
        };
        let Some(body) = self.bodies.last_mut() else {
            return Ok(Open::Same);
        };
        body.calls.push(call);
        Ok(Open::Call(body.calls.len() - 1))
    }

    /// Where the code of an entry is.
    fn code(&mut self, die: &Die<'_, '_>) -> Result<Vec<Range<u64>>, Error> {
        let mut code = Vec::new();
        if let Some(ranges) = die.value(dw::DW_AT_ranges) {
            let damaged = damaged(SectionId::DebugRanges, die.start);
            let ranges = die.dwarf.attr_ranges(die.unit, ranges).map_err(damaged)?;
            if let Some(mut ranges) = ranges {
                while let Some(range) = ranges.next().map_err(damaged)? {
                    self.allowance.take(1)?;
                    code.push(range.begin..range.end);
                }
            }
        } else if let Some(low) = die.address(dw::DW_AT_low_pc)? {
            let high = match die.value(dw::DW_AT_high_pc) {
                Some(AttributeValue::Addr(high)) => Some(high),
                Some(size) => size.udata_value().and_then(|size| low.checked_add(size)),
                None => None,
            };
            code.extend(high.map(|high| low..high));
        }
        code.retain(|range| (self.lowest..range.end).contains(&range.start));
        Ok(code)
    }

    fn lines(
        &mut self,
        unit: &Unit<Slice<'_>>,
        start: usize,
        files: &[Arc<str>],
    ) -> Result<(), Error> {
        let damaged = damaged(SectionId::DebugLine, start);
        let Some(program) = unit.line_program.clone() else {
            return Ok(());
        };
        let mut rows = program.rows();
        while let Some((_, row)) = rows.next_row().map_err(damaged)? {
            self.allowance.take(1)?;
            if row.address() < self.lowest {
                continue;
            }
            let lines = self.rows.entry(row.address()).or_default();
            let line = row.line().and_then(|line| number(line.get()));
            let file = usize::try_from(row.file_index()).ok();
            let file = file.and_then(|index| files.get(index));
            if let (Some(line), Some(file), false) = (line, file, row.end_sequence()) {
                lines.insert((file.clone(), line));
            }
        }
        Ok(())
    }

    /// What is declared of an entry, through all that it refers to.
    fn declared(&self, entry: Option<usize>) -> Declared {
        let mut found = Declared::default();
        let mut next = entry;
        // A body refers to what it is of, and that to what a type declares.
        for _ in 0..4 {
            let Some(one) = next.and_then(|entry| self.declared.get(&entry)) else {
                break;
            };
            found.linkage_name = found.linkage_name.or_else(|| one.linkage_name.clone());
            found.name = found.name.or_else(|| one.name.clone());
            found.file = found.file.or_else(|| one.file.clone());
            found.line = found.line.or(one.line);
            next = one.origin;
        }
        found
    }

    fn finish(mut self, sections: &Sections) -> Result<Vec<Function>, Error> {
        let mut functions = Vec::new();
        for body in std::mem::take(&mut self.bodies) {
            let declared = self.declared(Some(body.entry));
            let start = body.code.iter().map(|range| range.start).min();
            let symbol = start.and_then(|start| sections.functions.get(&start));
            let linkage_name = declared.linkage_name.or_else(|| symbol.cloned());
            let linkage_name = linkage_name.or(declared.name).unwrap_or_default();
            let line = declared.line.unwrap_or(0);
            self.allowance.take(linkage_name.len())?;
            functions.push(Function {
                path: path(&linkage_name),
                linkage_name,
                file: declared.file.unwrap_or_else(|| Arc::from("")),
                line,
                lines: line..=line,
                rows: self.rows_of(&body)?,
                inlined: self.inlined(body.calls)?,
            });
        }
        self.set_extents(&mut functions);
        Ok(functions)
    }

    fn inlined(&mut self, calls: Vec<Call>) -> Result<Vec<Inlined>, Error> {
        let calls = calls.into_iter().map(|call| {
            let declared = self.declared(call.origin);
            let linkage_name = declared.linkage_name.or(declared.name).unwrap_or_default();
            let line = declared.line.unwrap_or(0);
            self.allowance.take(linkage_name.len())?;
            Ok(Inlined {
                path: path(&linkage_name),
                linkage_name,
                file: declared.file.unwrap_or_else(|| Arc::from("")),
                line,
                lines: line..=line,
                call_file: call.file,
                call_line: call.line,
                caller: call.caller,
            })
        });
        calls.collect()
    }

    /// The lines of a body, each with the innermost call that its code is of.
    fn rows_of(&mut self, body: &Body) -> Result<Vec<Row>, Error> {
        let mut places: BTreeMap<u64, Option<usize>> = BTreeMap::new();
        for range in &body.code {
            for (&address, _) in self.rows.range(range.clone()) {
                self.allowance.take(1)?;
                places.insert(address, None);
            }
        }
        // What is inlined comes after what it is inlined into.
        for (index, call) in body.calls.iter().enumerate() {
            for range in &call.code {
                for (_, innermost) in places.range_mut(range.clone()) {
                    self.allowance.take(1)?;
                    *innermost = Some(index);
                }
            }
        }
        let mut rows = BTreeSet::new();
        for (address, inlined) in places {
            for (file, line) in self.rows.get(&address).into_iter().flatten() {
                self.allowance.take(1)?;
                rows.insert(Row {
                    file: file.clone(),
                    line: *line,
                    inlined,
                });
            }
        }
        Ok(rows.into_iter().collect())
    }

    /// Finds how far each function's source reaches: to the last line that has code of it,
    /// anywhere in the object, short of the next function in the file. What a macro of the
    /// same file brings in is not between them.
    fn set_extents(&self, functions: &mut [Function]) {
        let mut starts: BTreeMap<&str, BTreeSet<u32>> = BTreeMap::new();
        for one in self.declared.values() {
            // A closure is within its function.
            let closure = one.name.as_ref().is_some_and(|name| name.starts_with('{'));
            if let (Some(file), Some(line), false) = (&one.file, one.line, closure) {
                starts.entry(file).or_default().insert(line);
            }
        }
        let next = |file: &str, line: u32| {
            let after = line.saturating_add(1)..;
            let next = starts.get(file).and_then(|all| all.range(after).next());
            next.copied().unwrap_or(u32::MAX)
        };
        let mut ends: HashMap<(Arc<str>, u32), u32> = HashMap::new();
        for function in &*functions {
            for row in &function.rows {
                let inlined = row.inlined.and_then(|index| function.inlined.get(index));
                let (file, line) =
                    inlined.map_or((&function.file, function.line), |one| (&one.file, one.line));
                if row.file == *file && row.line >= line && row.line < next(file, line) {
                    let end = ends.entry((file.clone(), line)).or_insert(line);
                    *end = (*end).max(row.line);
                }
            }
        }
        let end =
            |file: &Arc<str>, line: u32| ends.get(&(file.clone(), line)).copied().unwrap_or(line);
        for function in functions {
            function.lines = function.line..=end(&function.file, function.line);
            for one in &mut function.inlined {
                one.lines = one.line..=end(&one.file, one.line);
            }
        }
    }
}

/// The file of an attribute, which is its number.
fn file(value: Option<AttributeValue<Slice<'_>>>, files: &[Arc<str>]) -> Option<Arc<str>> {
    let index = match value? {
        AttributeValue::FileIndex(index) => index,
        other => other.udata_value()?,
    };
    let file = files.get(usize::try_from(index).ok()?)?;
    // Before DWARF 5, number 0 is none.
    (!file.is_empty()).then(|| file.clone())
}

fn number(value: u64) -> Option<u32> {
    u32::try_from(value).ok()
}
