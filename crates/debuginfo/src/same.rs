//! Whether two types are made the same, whatever they are called.

use crate::types::{Field, Shape, Type, TypeId, Types};
use std::collections::HashSet;

/// How many pairs of types are looked at because a field's type has another name. Damaged
/// objects can have every type paired with every other; what is not looked at counts as
/// made otherwise.
const EFFORT: usize = 1 << 20;

/// The types of two builds, and what is known of them.
pub(crate) struct Same<'t> {
    old: &'t Types,
    new: &'t Types,
    /// Pairs of types of different names that are made the same.
    same: HashSet<(TypeId, TypeId)>,
    effort: usize,
}

impl<'t> Same<'t> {
    pub fn new(old: &'t Types, new: &'t Types) -> Self {
        Self {
            old,
            new,
            same: HashSet::new(),
            effort: EFFORT,
        }
    }

    /// Whether two types have the same name, or are made the same under two names.
    pub fn is_same(&mut self, old: TypeId, new: TypeId) -> bool {
        let mut assumed = HashSet::new();
        let mut rest = vec![(old, new)];
        while let Some(pair) = rest.pop() {
            let (old, new) = (self.old.get(pair.0), self.new.get(pair.1));
            let named = !old.name.is_empty() && old.name == new.name;
            if named || self.same.contains(&pair) || !assumed.insert(pair) {
                continue;
            }
            if self.effort == 0 || !self.looks_same(old, new, &mut rest) {
                return false;
            }
            self.effort -= 1;
        }
        // All that was assumed on the way has turned out so.
        self.same.extend(assumed);
        true
    }

    /// Whether two types are made the same as far as the pairs that are put into `rest` are.
    fn looks_same(&self, old: &Type, new: &Type, rest: &mut Vec<(TypeId, TypeId)>) -> bool {
        let fields = |olds: &[Field], news: &[Field], rest: &mut Vec<_>| {
            let mut pairs = olds.iter().zip(news);
            rest.extend(pairs.clone().map(|(old, new)| (old.ty, new.ty)));
            olds.len() == news.len()
                && pairs.all(|(old, new)| (&old.name, old.offset) == (&new.name, new.offset))
        };
        if (old.size, old.align) != (new.size, new.align) {
            return false;
        }
        match (&old.shape, &new.shape) {
            (Shape::Struct(olds), Shape::Struct(news))
            | (Shape::Union(olds), Shape::Union(news)) => fields(olds, news, rest),
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
                let place = |tag: &Option<Field>| tag.as_ref().map(|tag| tag.offset);
                rest.extend(olds.iter().zip(news).map(|(old, new)| (old.ty, new.ty)));
                let mut pairs = olds.iter().zip(news);
                place(old_tag) == place(new_tag)
                    && olds.len() == news.len()
                    && pairs.all(|(old, new)| (&old.name, old.value) == (&new.name, new.value))
                    && fields(old_fields, new_fields, rest)
            }
            (Shape::Values { values: olds, .. }, Shape::Values { values: news, .. }) => {
                olds == news
            }
            (
                Shape::Array {
                    of: old,
                    count: olds,
                },
                Shape::Array {
                    of: new,
                    count: news,
                },
            ) => {
                rest.push((*old, *new));
                olds == news
            }
            (Shape::Alias(old), Shape::Alias(new)) | (Shape::Pointer(old), Shape::Pointer(new)) => {
                rest.push((*old, *new));
                true
            }
            (Shape::Base(old), Shape::Base(new)) => old == new,
            // Of what a function pointer's function takes, the name is all there is.
            _ => false,
        }
    }
}
