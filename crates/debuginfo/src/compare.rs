//! Which types are laid out in another way than before.

use crate::difference::{Difference, TypeChange};
use crate::reach::plain;
use crate::same::Same;
use crate::types::{Field, Shape, Type, TypeId, Types, Variant};
use std::collections::{HashMap, HashSet};

/// The types of a name that both have, whose layouts differ, in the order of their names.
///
/// A type that has another name now is not compared with what it was; a field of it is not
/// of another type for that, if it is made the same.
#[must_use]
pub fn compare(old: &Types, new: &Types) -> Vec<TypeChange> {
    let mut compare = Compare {
        old,
        new,
        same: Same::new(old, new),
    };
    let mut changes: HashMap<&str, Vec<Difference>> = HashMap::new();
    for (name, new_ids) in new.names() {
        let old_ids = old.named(name);
        for &new_id in new_ids {
            let ty = new.get(new_id);
            // A thin pointer is one whatever it points to, and a variant's fields are looked
            // at with their enum.
            if ty.variant_of.is_some() || matches!(ty.shape, Shape::Pointer(_) | Shape::Other) {
                continue;
            }
            // Several objects describe a type alike. Two types of one name, of two crates
            // of one name, are changed if one of them is like none that was there.
            let mut least: Option<Vec<Difference>> = None;
            for &old_id in old_ids {
                let differences = compare.differences(old_id, new_id);
                if least
                    .as_ref()
                    .is_none_or(|one| differences.len() < one.len())
                {
                    least = Some(differences);
                }
                if least.as_ref().is_some_and(Vec::is_empty) {
                    break;
                }
            }
            if let Some(least) = least.filter(|least| !least.is_empty()) {
                changes.insert(name, least);
            }
        }
    }
    let mut found: Vec<_> = changes
        .iter()
        .map(|(&name, differences)| TypeChange {
            name: name.to_owned(),
            kind: TypeChange::kind_of(differences),
            differences: differences.clone(),
            follows: follows(new, name, &changes),
        })
        .collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

/// The changed type that is the reason for a type's own change.
fn follows(types: &Types, name: &str, changes: &HashMap<&str, Vec<Difference>>) -> Option<String> {
    if !changes.get(name)?.iter().all(Difference::is_move) {
        return None;
    }
    let mut seen = HashSet::new();
    let mut rest: Vec<TypeId> = types.named(name).to_vec();
    // Through arrays and variants, which have no change of their own.
    while let Some(id) = rest.pop() {
        if !seen.insert(id) {
            continue;
        }
        let ty = types.get(id);
        if ty.name != name && ty.variant_of.is_none() && changes.contains_key(&*ty.name) {
            return Some(ty.name.clone());
        }
        rest.extend(parts(ty));
    }
    None
}

/// What a type contains by value, and what its tag is of.
fn parts(ty: &Type) -> Vec<TypeId> {
    let of = |fields: &[Field]| fields.iter().map(|field| field.ty).collect::<Vec<_>>();
    match &ty.shape {
        Shape::Struct(fields) | Shape::Union(fields) => of(fields),
        Shape::Enum {
            variants, fields, ..
        } => {
            let mut parts = of(fields);
            parts.extend(variants.iter().map(|one| one.ty));
            parts
        }
        Shape::Array { of, .. } => vec![*of],
        Shape::Alias(to) => vec![*to],
        Shape::Values { .. } | Shape::Base(_) | Shape::Pointer(_) | Shape::Other => Vec::new(),
    }
}

struct Compare<'t> {
    old: &'t Types,
    new: &'t Types,
    same: Same<'t>,
}

impl Compare<'_> {
    /// How a type differs, in what is its own: fields of another type's name are followed,
    /// of the same name are not, since that type has a change of its own.
    fn differences(&mut self, old_id: TypeId, new_id: TypeId) -> Vec<Difference> {
        let (old, new) = (self.old.get(old_id), self.new.get(new_id));
        let mut found = Vec::new();
        match (&old.shape, &new.shape) {
            (Shape::Struct(olds), Shape::Struct(news)) => {
                self.fields(None, olds, news, &mut found);
            }
            (Shape::Union(olds), Shape::Union(news)) => self.fields(None, olds, news, &mut found),
            (
                Shape::Enum {
                    tag: old_tag,
                    variants: olds,
                    fields: old_fields,
                },
                Shape::Enum {
                    tag: new_tag,
                    variants: news,
                    fields: new_fields,
                },
            ) => {
                self.fields(None, old_fields, new_fields, &mut found);
                self.tag(old_tag.as_ref(), new_tag.as_ref(), &mut found);
                self.variants(olds, news, &mut found);
            }
            (
                Shape::Values {
                    of: old_of,
                    values: olds,
                },
                Shape::Values {
                    of: new_of,
                    values: news,
                },
            ) => {
                // A larger enum says so by its size.
                if old.size == new.size {
                    self.retyped(None, None, *old_of, *new_of, &mut found);
                }
                values(
                    olds.iter().map(|(name, value)| (&**name, Some(*value))),
                    news.iter().map(|(name, value)| (&**name, Some(*value))),
                    &mut found,
                );
            }
            (
                Shape::Array {
                    of: old_of,
                    count: old_count,
                },
                Shape::Array {
                    of: new_of,
                    count: new_count,
                },
            ) => {
                if old_count != new_count {
                    found.push(Difference::Count {
                        old: *old_count,
                        new: *new_count,
                    });
                }
                self.retyped(None, None, *old_of, *new_of, &mut found);
            }
            (Shape::Alias(old_to), Shape::Alias(new_to)) => {
                self.retyped(None, None, *old_to, *new_to, &mut found);
            }
            (Shape::Pointer(old_to), Shape::Pointer(new_to)) => {
                self.retyped(None, None, *old_to, *new_to, &mut found);
            }
            (Shape::Base(old), Shape::Base(new)) if old == new => {}
            (Shape::Other, Shape::Other) => {}
            (old, new) => found.push(Difference::Shape {
                old: word(old),
                new: word(new),
            }),
        }
        // An enum without data, of one variant more: the first of two gets a size.
        if old.size != new.size {
            found.push(Difference::Size {
                old: old.size,
                new: new.size,
            });
        }
        if old.align != new.align {
            found.push(Difference::Align {
                old: old.align,
                new: new.align,
            });
        }
        // What was edited comes first, and then what had to make room.
        found.sort_by_key(Difference::is_move);
        found
    }

    fn fields(
        &mut self,
        variant: Option<&str>,
        olds: &[Field],
        news: &[Field],
        found: &mut Vec<Difference>,
    ) {
        let owned = || variant.map(str::to_owned);
        let by_name: HashMap<_, _> = olds.iter().map(|one| (&*one.name, one)).collect();
        let mut kept = HashSet::new();
        for new in news {
            let field = plain(&new.name).to_owned();
            let Some(old) = by_name.get(&*new.name) else {
                found.push(Difference::FieldAdded {
                    variant: owned(),
                    field,
                    offset: new.offset,
                });
                continue;
            };
            kept.insert(&*new.name);
            if old.offset != new.offset {
                found.push(Difference::FieldMoved {
                    variant: owned(),
                    field: field.clone(),
                    old: old.offset,
                    new: new.offset,
                });
            }
            self.retyped(variant, Some(&field), old.ty, new.ty, found);
        }
        for old in olds.iter().filter(|old| !kept.contains(&*old.name)) {
            found.push(Difference::FieldRemoved {
                variant: owned(),
                field: plain(&old.name).to_owned(),
                offset: old.offset,
            });
        }
    }

    fn tag(&mut self, old: Option<&Field>, new: Option<&Field>, found: &mut Vec<Difference>) {
        // Its type is a number: one of another size, or moved, is another.
        let tell = |types: &Types, tag: Option<&Field>| {
            tag.map(|tag| (tag.offset, types.get(tag.ty).name.clone()))
        };
        let (old, new) = (tell(self.old, old), tell(self.new, new));
        if old != new {
            found.push(Difference::Tag { old, new });
        }
    }

    fn variants(&mut self, olds: &[Variant], news: &[Variant], found: &mut Vec<Difference>) {
        values(
            olds.iter().map(|one| (&*one.name, one.value)),
            news.iter().map(|one| (&*one.name, one.value)),
            found,
        );
        let by_name: HashMap<_, _> = olds.iter().map(|one| (&*one.name, one)).collect();
        for new in news {
            let Some(old) = by_name.get(&*new.name) else {
                continue;
            };
            let (old, new_type) = (self.old.get(old.ty), self.new.get(new.ty));
            if let (Shape::Struct(olds), Shape::Struct(news)) = (&old.shape, &new_type.shape) {
                self.fields(Some(&new.name), olds, news, found);
            }
        }
    }

    fn retyped(
        &mut self,
        variant: Option<&str>,
        field: Option<&str>,
        old: TypeId,
        new: TypeId,
        found: &mut Vec<Difference>,
    ) {
        if !self.same.is_same(old, new) {
            found.push(Difference::Retyped {
                variant: variant.map(str::to_owned),
                field: field.map(str::to_owned),
                old: self.old.get(old).name.clone(),
                new: self.new.get(new).name.clone(),
            });
        }
    }
}

/// How the variants' values differ.
fn values<'v>(
    olds: impl Iterator<Item = (&'v str, Option<u128>)>,
    news: impl Iterator<Item = (&'v str, Option<u128>)>,
    found: &mut Vec<Difference>,
) {
    let olds: Vec<_> = olds.collect();
    let by_name: HashMap<_, _> = olds.iter().copied().collect();
    let mut kept = HashSet::new();
    for (variant, new) in news {
        match by_name.get(variant) {
            None => found.push(Difference::VariantAdded {
                variant: variant.to_owned(),
                value: new,
            }),
            Some(&old) => {
                kept.insert(variant);
                if old != new {
                    found.push(Difference::VariantRenumbered {
                        variant: variant.to_owned(),
                        old,
                        new,
                    });
                }
            }
        }
    }
    for (variant, value) in olds {
        if !kept.contains(variant) {
            found.push(Difference::VariantRemoved {
                variant: variant.to_owned(),
                value,
            });
        }
    }
}

fn word(shape: &Shape) -> &'static str {
    match shape {
        Shape::Struct(_) => "a struct",
        Shape::Union(_) => "a union",
        Shape::Enum { .. } => "an enum with data",
        Shape::Values { .. } => "an enum without data",
        Shape::Base(_) => "a number",
        Shape::Pointer(_) => "a pointer",
        Shape::Array { .. } => "an array",
        Shape::Alias(_) => "another type's name",
        Shape::Other => "a function",
    }
}
