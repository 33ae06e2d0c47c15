//! Which types and statics have a value of a type in them, or lead to one.

use crate::types::{Shape, TypeId, Types};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::fmt::Write as _;

/// How one type has another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Edge {
    /// As the field of this number.
    Field(usize),
    /// As the variant of this number.
    Variant(usize),
    /// As an element.
    Element,
    /// As another name.
    Alias,
    /// By a pointer.
    Pointer,
    /// As the type argument of this number: a `Vec<T>` has a pointer to bytes, and `T` in
    /// its name alone.
    Argument(usize),
}

impl Edge {
    pub fn is_by_value(self) -> bool {
        !matches!(self, Self::Pointer | Self::Argument(_))
    }
}

/// How a static has values of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum How {
    /// They are part of it.
    ByValue,
    /// It leads to them by pointers, or its type names the type: they are on the heap, on
    /// stacks or in other statics, if there are any.
    Reached,
}

/// A static that has values of a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The symbol's name.
    pub linkage_name: String,
    /// The shortest way from the static to the type: `demo::bank::BOOK.accounts[_].owner`. A
    /// `.*` follows a pointer, and `<T>` is a type's argument of this name.
    pub path: String,
    /// Whether the values are in it.
    pub how: How,
}

/// For each type, which types have it, and how.
pub(crate) fn users(types: &Types) -> Vec<Vec<(TypeId, Edge)>> {
    let mut users = vec![Vec::new(); types.iter().count()];
    for (id, ty) in types.iter() {
        let mut add = |part: TypeId, edge| {
            if let Some(list) = users.get_mut(part.0) {
                list.push((id, edge));
            }
        };
        match &ty.shape {
            Shape::Struct(fields) | Shape::Union(fields) => {
                let fields = fields.iter().enumerate();
                fields.for_each(|(index, field)| add(field.ty, Edge::Field(index)));
            }
            Shape::Enum {
                variants, fields, ..
            } => {
                let fields = fields.iter().enumerate();
                fields.for_each(|(index, field)| add(field.ty, Edge::Field(index)));
                let variants = variants.iter().enumerate();
                variants.for_each(|(index, one)| add(one.ty, Edge::Variant(index)));
            }
            Shape::Array { of, .. } => add(*of, Edge::Element),
            Shape::Alias(to) => add(*to, Edge::Alias),
            Shape::Pointer(to) => add(*to, Edge::Pointer),
            Shape::Values { .. } | Shape::Base(_) | Shape::Other => {}
        }
        // What a variant is named for is its enum's argument as well.
        if ty.variant_of.is_none() {
            let arguments = ty.arguments.iter().enumerate();
            arguments.for_each(|(index, (_, to))| add(*to, Edge::Argument(index)));
        }
    }
    users
}

/// From each type that leads to one of `targets`, the first step of a shortest way.
type Steps = HashMap<TypeId, Option<(Edge, TypeId)>>;

fn steps(types: &Types, targets: &[TypeId], follow: fn(Edge) -> bool) -> Steps {
    let mut steps: Steps = targets.iter().map(|&target| (target, None)).collect();
    let mut lengths: HashMap<TypeId, usize> = targets.iter().map(|&target| (target, 0)).collect();
    let mut queue: BinaryHeap<_> = targets.iter().map(|&target| Reverse((0, target))).collect();
    while let Some(Reverse((length, part))) = queue.pop() {
        if lengths
            .get(&part)
            .is_some_and(|&shortest| shortest < length)
        {
            continue;
        }
        for &(user, edge) in types.users.get(part.0).into_iter().flatten() {
            // A type argument says little: it stands for a long way through pointers.
            let step = if matches!(edge, Edge::Argument(_)) {
                3
            } else {
                1
            };
            let longer = lengths
                .get(&user)
                .is_some_and(|&known| known <= length + step);
            if follow(edge) && !longer {
                steps.insert(user, Some((edge, part)));
                lengths.insert(user, length + step);
                queue.push(Reverse((length + step, user)));
            }
        }
    }
    steps
}

/// The names of the types that contain a value of a type, directly or in a value that they
/// contain: `[T; 4]`, `Option<T>`, a struct with such a field. In the order of the alphabet,
/// without the type itself.
#[must_use]
pub fn containers<'t>(types: &'t Types, name: &str) -> Vec<&'t str> {
    let steps = steps(types, types.named(name), Edge::is_by_value);
    let containers = steps
        .keys()
        .map(|&id| types.get(id))
        .filter(|ty| ty.variant_of.is_none() && ty.name != name);
    let mut names: Vec<_> = containers.map(|ty| ty.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The statics that have values of a type, by value or by pointers, in the order of their
/// paths. Each is named once, by value if it is.
///
/// What is behind a `dyn` or a function pointer is not seen.
#[must_use]
pub fn statics_of(types: &Types, name: &str) -> Vec<Holder> {
    let targets = types.named(name);
    let by_value = steps(types, targets, Edge::is_by_value);
    let reached = steps(types, targets, |_| true);
    let mut holders: Vec<_> = types
        .statics()
        .iter()
        .filter_map(|one| {
            let (steps, how) = if by_value.contains_key(&one.ty) {
                (&by_value, How::ByValue)
            } else if reached.contains_key(&one.ty) {
                (&reached, How::Reached)
            } else {
                return None;
            };
            Some(Holder {
                linkage_name: one.linkage_name.clone(),
                path: way(types, &one.path, one.ty, steps),
                how,
            })
        })
        .collect();
    holders.sort_by(|a, b| (a.how, &a.path).cmp(&(b.how, &b.path)));
    holders.dedup_by(|a, b| a.linkage_name == b.linkage_name);
    holders
}

/// The way from a static of type `from`, in words.
fn way(types: &Types, path: &str, from: TypeId, steps: &Steps) -> String {
    let mut way = path.to_owned();
    let mut at = from;
    while let Some(Some((edge, next))) = steps.get(&at) {
        let ty = types.get(at);
        let fields = match &ty.shape {
            Shape::Struct(fields) | Shape::Union(fields) | Shape::Enum { fields, .. } => fields,
            _ => &Vec::new(),
        };
        // Writing to a string doesn't fail.
        let _ = match *edge {
            Edge::Field(index) => fields
                .get(index)
                .map_or(Ok(()), |field| write!(way, ".{}", plain(&field.name))),
            Edge::Variant(index) => match &ty.shape {
                Shape::Enum { variants, .. } => variants
                    .get(index)
                    .map_or(Ok(()), |one| write!(way, ".{}", one.name)),
                _ => Ok(()),
            },
            Edge::Element => write!(way, "[_]"),
            Edge::Alias => Ok(()),
            Edge::Pointer => write!(way, ".*"),
            Edge::Argument(index) => ty
                .arguments
                .get(index)
                .map_or(Ok(()), |(name, _)| write!(way, "<{name}>")),
        };
        at = *next;
    }
    way
}

/// A field's name as the source has it: a tuple's are `__0`, `__1` in DWARF.
pub(crate) fn plain(name: &str) -> &str {
    name.strip_prefix("__")
        .filter(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
        .unwrap_or(name)
}
