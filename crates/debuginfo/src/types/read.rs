//! Reading the types out of `.debug_info`.

use super::{Field, Shape, Static, Type, TypeId, VOID, Variant};
use crate::die::{Die, damaged, units};
use crate::error::{Allowance, Error};
use crate::sections::{Sections, Slice};
use gimli::constants as dw;
use gimli::{AttributeValue, DwTag, SectionId, Unit};
use std::collections::HashMap;

/// Appends the types and statics of an object.
pub fn read(object: &[u8], types: &mut Vec<Type>, statics: &mut Vec<Static>) -> Result<(), Error> {
    let sections = Sections::read(object)?;
    let dwarf = sections.dwarf();
    let first = (types.len(), statics.len());
    let mut reader = Reader {
        types,
        statics,
        offsets: HashMap::new(),
        open: Vec::new(),
        path: String::new(),
        allowance: sections.allowance(),
    };
    units(&dwarf, |unit, start| reader.unit(&dwarf, unit, start))?;
    reader.resolve(first.0, first.1)
}

struct Reader<'t> {
    /// Until all are read, a `TypeId` in them is an offset in `.debug_info`.
    types: &'t mut Vec<Type>,
    statics: &'t mut Vec<Static>,
    /// The types by their offsets.
    offsets: HashMap<usize, TypeId>,
    /// The entries whose children are being read.
    open: Vec<Open>,
    /// The path of the innermost scope.
    path: String,
    allowance: Allowance,
}

/// An entry whose children are being read.
#[derive(Clone, Copy)]
struct Open {
    what: What,
    /// How much of the path was there before.
    path: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum What {
    /// A namespace or unit.
    Scope,
    Type(TypeId),
    /// The variant part of a type, with the offset of the tag's entry.
    Variants(TypeId, Option<usize>),
    /// A variant of a type.
    Variant(TypeId),
    /// A function and everything in it.
    Function,
    Other,
}

/// The attribute is not there: the reference to nothing.
const NOWHERE: TypeId = TypeId(usize::MAX);

impl Reader<'_> {
    fn unit(
        &mut self,
        dwarf: &gimli::Dwarf<Slice<'_>>,
        unit: &Unit<Slice<'_>>,
        start: usize,
    ) -> Result<(), Error> {
        let damaged = damaged(SectionId::DebugInfo, start);
        self.open.clear();
        self.path.clear();
        let mut attributes = Vec::new();
        let mut entries = unit.entries_raw(None).map_err(damaged)?;
        while !entries.is_empty() {
            let offset = start.saturating_add(entries.next_offset().0);
            self.allowance.take(1)?;
            let Some(entry) = entries.read_abbreviation().map_err(damaged)? else {
                if let Some(closed) = self.open.pop() {
                    self.path.truncate(closed.path);
                }
                continue;
            };
            let path = self.path.len();
            let what = if self.is_read(entry.tag()) {
                let specs = entry.attributes();
                entries
                    .read_attributes(specs, &mut attributes)
                    .map_err(damaged)?;
                let die = Die {
                    dwarf,
                    unit,
                    start,
                    attributes: &attributes,
                };
                self.entry(&die, entry.tag(), offset)?
            } else {
                let specs = entry.attributes();
                entries.skip_attributes(specs).map_err(damaged)?;
                What::Other
            };
            if entry.has_children() {
                self.open.push(Open { what, path });
            } else {
                self.path.truncate(path);
            }
        }
        Ok(())
    }

    fn around(&self) -> What {
        self.open.last().map_or(What::Scope, |open| open.what)
    }

    /// Whether an entry's attributes are looked at. Most entries are of a function's
    /// variables and of what was inlined into it: nothing here.
    fn is_read(&self, tag: DwTag) -> bool {
        match tag {
            dw::DW_TAG_variable => self.around() == What::Scope,
            dw::DW_TAG_formal_parameter
            | dw::DW_TAG_inlined_subroutine
            | dw::DW_TAG_lexical_block
            | dw::DW_TAG_subprogram => false,
            _ => true,
        }
    }

    /// Reads an entry and says what its children belong to.
    fn entry(&mut self, die: &Die<'_, '_>, tag: DwTag, offset: usize) -> Result<What, Error> {
        let to = TypeId(die.reference(dw::DW_AT_type).unwrap_or(NOWHERE.0));
        let shape = match tag {
            dw::DW_TAG_compile_unit | dw::DW_TAG_partial_unit => return Ok(What::Scope),
            dw::DW_TAG_namespace => {
                let name = die.string(dw::DW_AT_name, &mut self.allowance)?;
                self.enter(name.as_deref().unwrap_or("_"))?;
                return Ok(What::Scope);
            }
            dw::DW_TAG_structure_type | dw::DW_TAG_class_type => Shape::Struct(Vec::new()),
            dw::DW_TAG_union_type => Shape::Union(Vec::new()),
            dw::DW_TAG_enumeration_type => Shape::Values {
                of: to,
                values: Vec::new(),
            },
            dw::DW_TAG_base_type => {
                let encoding = match die.value(dw::DW_AT_encoding) {
                    Some(AttributeValue::Encoding(encoding)) => encoding.0,
                    _ => 0,
                };
                Shape::Base(encoding)
            }
            dw::DW_TAG_pointer_type | dw::DW_TAG_reference_type => Shape::Pointer(to),
            dw::DW_TAG_array_type => Shape::Array {
                of: to,
                count: None,
            },
            dw::DW_TAG_typedef
            | dw::DW_TAG_const_type
            | dw::DW_TAG_volatile_type
            | dw::DW_TAG_restrict_type
            | dw::DW_TAG_atomic_type => Shape::Alias(to),
            dw::DW_TAG_subroutine_type | dw::DW_TAG_unspecified_type => Shape::Other,
            _ => return self.part(die, tag, to, offset),
        };
        let name = die.string(dw::DW_AT_name, &mut self.allowance)?;
        let name = name.unwrap_or_default();
        let scope = self.path.len();
        if !name.is_empty() {
            self.enter(&name)?;
        }
        let full = if name.is_empty() { "" } else { &*self.path };
        self.allowance.take(full.len())?;
        let id = TypeId(self.types.len());
        self.offsets.insert(offset, id);
        let variant_of = match self.around() {
            What::Type(around) => Some(around),
            _ => None,
        };
        self.types.push(Type {
            name: full.to_owned(),
            size: die.number(dw::DW_AT_byte_size),
            align: die.number(dw::DW_AT_alignment),
            shape,
            variant_of,
            arguments: Vec::new(),
        });
        // Only these have types in them.
        if tag == dw::DW_TAG_pointer_type {
            self.path.truncate(scope);
        }
        Ok(What::Type(id))
    }

    /// Reads what is part of a type, and statics.
    fn part(
        &mut self,
        die: &Die<'_, '_>,
        tag: DwTag,
        to: TypeId,
        offset: usize,
    ) -> Result<What, Error> {
        let around = self.around();
        match (tag, around) {
            (dw::DW_TAG_subprogram, _) => return Ok(What::Function),
            (dw::DW_TAG_variable, What::Scope) => self.global(die, to)?,
            (dw::DW_TAG_variant_part, What::Type(id)) => {
                self.types[id.0].shape =
                    match std::mem::replace(&mut self.types[id.0].shape, Shape::Other) {
                        Shape::Struct(fields) => Shape::Enum {
                            tag: None,
                            variants: Vec::new(),
                            fields,
                        },
                        other => other,
                    };
                return Ok(What::Variants(id, die.reference(dw::DW_AT_discr)));
            }
            (dw::DW_TAG_variant, What::Variants(id, _)) => {
                if let Shape::Enum { variants, .. } = &mut self.types[id.0].shape {
                    variants.push(Variant {
                        name: String::new(),
                        value: die.value(dw::DW_AT_discr_value).and_then(integer),
                        ty: NOWHERE,
                    });
                }
                return Ok(What::Variant(id));
            }
            (dw::DW_TAG_member, _) => self.member(die, around, to, offset)?,
            (dw::DW_TAG_enumerator, What::Type(id)) => {
                let name = die.string(dw::DW_AT_name, &mut self.allowance)?;
                let value = die.value(dw::DW_AT_const_value).and_then(integer);
                if let Shape::Values { values, .. } = &mut self.types[id.0].shape {
                    values.push((name.unwrap_or_default(), value.unwrap_or(0)));
                }
            }
            (dw::DW_TAG_subrange_type, What::Type(id)) => {
                let count = die.number(dw::DW_AT_count);
                let last = || die.number(dw::DW_AT_upper_bound);
                let count = count.or_else(|| last()?.checked_add(1));
                if let Shape::Array { count: place, .. } = &mut self.types[id.0].shape {
                    *place = count;
                }
            }
            (dw::DW_TAG_template_type_parameter, What::Type(id)) => {
                let name = die.string(dw::DW_AT_name, &mut self.allowance)?;
                let name = name.unwrap_or_default();
                self.types[id.0].arguments.push((name, to));
            }
            _ => {}
        }
        Ok(What::Other)
    }

    fn member(
        &mut self,
        die: &Die<'_, '_>,
        around: What,
        to: TypeId,
        entry: usize,
    ) -> Result<(), Error> {
        let name = die.string(dw::DW_AT_name, &mut self.allowance)?;
        let name = name.unwrap_or_default();
        let offset = die.number(dw::DW_AT_data_member_location).unwrap_or(0);
        let field = Field {
            name,
            offset,
            ty: to,
        };
        let (What::Type(id) | What::Variants(id, _) | What::Variant(id)) = around else {
            return Ok(());
        };
        match (around, &mut self.types[id.0].shape) {
            (What::Type(_), Shape::Struct(fields) | Shape::Union(fields))
            | (What::Type(_), Shape::Enum { fields, .. }) => fields.push(field),
            (What::Variants(_, discriminant), Shape::Enum { tag, .. })
                if discriminant == Some(entry) =>
            {
                *tag = Some(field);
            }
            (What::Variant(_), Shape::Enum { variants, .. }) => {
                if let Some(variant) = variants.last_mut() {
                    variant.name = field.name;
                    variant.ty = to;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn global(&mut self, die: &Die<'_, '_>, to: TypeId) -> Result<(), Error> {
        if die.has(dw::DW_AT_declaration) {
            return Ok(());
        }
        let name = die.string(dw::DW_AT_name, &mut self.allowance)?;
        let linkage_name = die.string(dw::DW_AT_linkage_name, &mut self.allowance)?;
        let (Some(name), before) = (name, self.path.len()) else {
            return Ok(());
        };
        // A table of methods is written like a static, without a symbol of its name.
        if linkage_name.is_none() && name.ends_with("{vtable}") {
            return Ok(());
        }
        self.enter(&name)?;
        self.allowance.take(self.path.len())?;
        self.statics.push(Static {
            linkage_name: linkage_name.unwrap_or(name),
            path: self.path.clone(),
            ty: to,
        });
        self.path.truncate(before);
        Ok(())
    }

    fn enter(&mut self, name: &str) -> Result<(), Error> {
        self.allowance.take(name.len())?;
        if !self.path.is_empty() {
            self.path.push_str("::");
        }
        self.path.push_str(name);
        Ok(())
    }

    /// Turns the offsets into the types that are there, and completes what is known only
    /// then. `types` and `statics` are how many there were before this object.
    fn resolve(mut self, types: usize, statics: usize) -> Result<(), Error> {
        let offsets = std::mem::take(&mut self.offsets);
        let find = |id: &mut TypeId| *id = offsets.get(&id.0).copied().unwrap_or(VOID);
        for one in &mut self.statics[statics..] {
            find(&mut one.ty);
        }
        for ty in &mut self.types[types..] {
            ty.arguments.iter_mut().for_each(|(_, ty)| find(ty));
            match &mut ty.shape {
                Shape::Struct(fields) | Shape::Union(fields) => {
                    fields.iter_mut().for_each(|field| find(&mut field.ty));
                }
                Shape::Enum {
                    tag,
                    variants,
                    fields,
                } => {
                    fields.iter_mut().for_each(|field| find(&mut field.ty));
                    tag.iter_mut().for_each(|tag| find(&mut tag.ty));
                    variants.iter_mut().for_each(|one| find(&mut one.ty));
                }
                Shape::Values { of: to, .. }
                | Shape::Pointer(to)
                | Shape::Array { of: to, .. }
                | Shape::Alias(to) => find(to),
                Shape::Base(_) | Shape::Other => {}
            }
        }
        self.cut_values(types);
        self.name_arrays(types)
    }

    /// Values of tags and of enums without data are written as signed or unsigned as it
    /// comes: what counts are the bits that the type has.
    fn cut_values(&mut self, types: usize) {
        for index in types..self.types.len() {
            let size = match &self.types[index].shape {
                Shape::Enum { tag: Some(tag), .. } => self.types[tag.ty.0].size,
                Shape::Values { .. } => self.types[index].size,
                _ => continue,
            };
            let bits = size.unwrap_or(16).saturating_mul(8).min(128);
            let mask = u128::MAX.checked_shr(128 - bits as u32).unwrap_or(0);
            match &mut self.types[index].shape {
                Shape::Enum { variants, .. } => {
                    let values = variants.iter_mut().filter_map(|one| one.value.as_mut());
                    values.for_each(|value| *value &= mask);
                }
                Shape::Values { values, .. } => {
                    values.iter_mut().for_each(|(_, value)| *value &= mask);
                }
                _ => {}
            }
        }
    }

    /// Arrays have no names in DWARF.
    fn name_arrays(&mut self, types: usize) -> Result<(), Error> {
        for index in types..self.types.len() {
            let mut inner = index;
            let mut counts = Vec::new();
            // An array of arrays gets its name from inside out. Damaged, one may be its own
            // element.
            while let (true, Shape::Array { of, count }) =
                (self.types[inner].name.is_empty(), &self.types[inner].shape)
            {
                counts.push(*count);
                inner = of.0;
                if counts.len() > 64 {
                    return Err(Error::Repeats);
                }
            }
            if counts.is_empty() {
                continue;
            }
            let mut name = self.types[inner].name.clone();
            for count in counts.iter().rev() {
                name = match count {
                    Some(count) => format!("[{name}; {count}]"),
                    None => format!("[{name}]"),
                };
            }
            self.allowance.take(name.len())?;
            let ty = &mut self.types[index];
            ty.name = name;
        }
        // Their sizes, where the elements' are known.
        for index in types..self.types.len() {
            let Shape::Array { of, count } = self.types[index].shape else {
                continue;
            };
            let element = &self.types[of.0];
            let (size, align) = (element.size, element.align);
            let ty = &mut self.types[index];
            ty.size = ty.size.or_else(|| size?.checked_mul(count?));
            ty.align = ty.align.or(align);
        }
        Ok(())
    }
}

/// An integer, of which only the bits count.
fn integer(value: AttributeValue<Slice<'_>>) -> Option<u128> {
    match value {
        AttributeValue::Sdata(value) => Some(i128::from(value).cast_unsigned()),
        AttributeValue::Block(bytes) => {
            let bytes = bytes.slice();
            let mut number = [0; 16];
            number.get_mut(..bytes.len())?.copy_from_slice(bytes);
            Some(u128::from_le_bytes(number))
        }
        // An unsigned form, which is cut to its size. LLVM picks it for values that have
        // no sign.
        other => other.udata_value().map(u128::from),
    }
}
