//! The types that an object describes.

mod read;

use crate::error::Error;
use std::collections::HashMap;

/// A type of [`Types`]: an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TypeId(pub(crate) usize);

/// A type and its layout.
#[derive(Debug, Clone)]
pub struct Type {
    /// The name with its path and arguments, as rustc writes it: `demo::bank::Account`,
    /// `core::option::Option<u32>`, `(u8, u16)`, `demo::bank::fee::{closure_env#0}`. Crates
    /// of one name are not told apart.
    pub name: String,
    /// The size in bytes, if it has one.
    pub size: Option<u64>,
    /// The alignment in bytes, if it is recorded.
    pub align: Option<u64>,
    /// What it is made of.
    pub shape: Shape,
    /// The enum whose variant this is. A variant's fields are those of a type of its own.
    pub variant_of: Option<TypeId>,
    /// The type arguments, by their parameters' names.
    pub arguments: Vec<(String, TypeId)>,
}

/// What a type is made of.
#[derive(Debug, Clone)]
pub enum Shape {
    /// A struct, tuple, slice reference, closure environment, or a variant.
    Struct(Vec<Field>),
    /// A union.
    Union(Vec<Field>),
    /// An enum with data in a variant, or of a single variant, or a future.
    Enum {
        /// What tells the variants apart, or is a niche of one variant's data. An enum of
        /// one possible variant has none.
        tag: Option<Field>,
        /// The variants in their order.
        variants: Vec<Variant>,
        /// What is beside the variants: the captures of a future.
        fields: Vec<Field>,
    },
    /// An enum without data.
    Values {
        /// The integer that it is.
        of: TypeId,
        /// Names and values, cut to the enum's size.
        values: Vec<(String, u128)>,
    },
    /// A number, `bool`, `char`, `()` or `!`, with DWARF's encoding.
    Base(u8),
    /// A thin pointer or reference, or a `Box`.
    Pointer(TypeId),
    /// An array.
    Array {
        /// What the elements are.
        of: TypeId,
        /// How many.
        count: Option<u64>,
    },
    /// Another name in C.
    Alias(TypeId),
    /// A function, which has no layout, or what is not known.
    Other,
}

/// A field.
#[derive(Debug, Clone)]
pub struct Field {
    /// The name; `__0` in a tuple, and `_ref__x` where a closure has `x` by reference.
    pub name: String,
    /// Where it begins, in bytes from the start of the type.
    pub offset: u64,
    /// The type.
    pub ty: TypeId,
}

/// A variant of an enum.
#[derive(Debug, Clone)]
pub struct Variant {
    /// The name.
    pub name: String,
    /// The tag's value, cut to its size. Without one it is the variant for all values that
    /// no other has: in a niche, the one with data.
    pub value: Option<u128>,
    /// The type of its fields.
    pub ty: TypeId,
}

/// A `static`.
#[derive(Debug, Clone)]
pub struct Static {
    /// The symbol's name.
    pub linkage_name: String,
    /// The path: `demo::bank::BOOK`.
    pub path: String,
    /// The type.
    pub ty: TypeId,
}

/// The types and statics of objects.
#[derive(Debug, Default)]
pub struct Types {
    types: Vec<Type>,
    names: HashMap<String, Vec<TypeId>>,
    statics: Vec<Static>,
    /// For each type, which types have it, and how.
    pub(crate) users: Vec<Vec<(TypeId, crate::reach::Edge)>>,
}

/// What has no type in DWARF: C's `void`.
pub(crate) const VOID: TypeId = TypeId(0);

impl Types {
    /// The types and statics of one object.
    ///
    /// # Errors
    /// When the object or its debug information is damaged, or it has none.
    pub fn read(object: &[u8]) -> Result<Self, Error> {
        Self::read_all([object])
    }

    /// The types and statics of several objects together.
    ///
    /// # Errors
    /// When an object or its debug information is damaged, or it has none.
    pub fn read_all<'o>(objects: impl IntoIterator<Item = &'o [u8]>) -> Result<Self, Error> {
        let mut types = Self::default();
        types.types.push(Type {
            name: "void".into(),
            size: None,
            align: None,
            shape: Shape::Other,
            variant_of: None,
            arguments: Vec::new(),
        });
        for object in objects {
            read::read(object, &mut types.types, &mut types.statics)?;
        }
        for (index, ty) in types.types.iter().enumerate() {
            // Not every type of C has a name.
            if !ty.name.is_empty() {
                let all = types.names.entry(ty.name.clone()).or_default();
                all.push(TypeId(index));
            }
        }
        types.users = crate::reach::users(&types);
        Ok(types)
    }

    /// A type.
    #[must_use]
    pub fn get(&self, id: TypeId) -> &Type {
        // Ids are made by `read` alone; another object's is answered with `void`.
        self.types.get(id.0).unwrap_or(&self.types[0])
    }

    /// All types of a name: usually one for each object that describes it.
    #[must_use]
    pub fn named(&self, name: &str) -> &[TypeId] {
        self.names.get(name).map_or(&[], Vec::as_slice)
    }

    /// All names, in no order, with their types.
    pub(crate) fn names(&self) -> impl Iterator<Item = (&str, &[TypeId])> {
        let names = self.names.iter();
        names.map(|(name, ids)| (name.as_str(), ids.as_slice()))
    }

    /// All types.
    pub fn iter(&self) -> impl Iterator<Item = (TypeId, &Type)> {
        let types = self.types.iter().enumerate();
        types.map(|(index, ty)| (TypeId(index), ty))
    }

    /// All statics.
    #[must_use]
    pub fn statics(&self) -> &[Static] {
        &self.statics
    }
}
