//! What differs between two layouts of a type, and how that is said.

use std::fmt;

/// A type that both builds have, and what differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeChange {
    /// The type's name.
    pub name: String,
    /// What that means for values that are there.
    pub kind: ChangeKind,
    /// Each difference: at least one.
    pub differences: Vec<Difference>,
    /// The changed type in it, by value, if this one only moved things to make room: the
    /// change to look at is that one's.
    pub follows: Option<String>,
}

/// What a change means for values that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    /// The new code can't read a value that the old code has made.
    Layout,
    /// An enum has more variants, and the others are what they were. The new code reads
    /// every value; the old code can't read a new variant.
    VariantAdded,
}

/// A difference between two layouts of a type. Where it is in a variant's data, `variant`
/// names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// It is a struct now, say, and was an enum.
    Shape {
        /// What it was: "a struct".
        old: &'static str,
        /// What it is.
        new: &'static str,
    },
    /// Its size, in bytes.
    Size {
        /// What it was.
        old: Option<u64>,
        /// What it is.
        new: Option<u64>,
    },
    /// Its alignment, in bytes.
    Align {
        /// What it was.
        old: Option<u64>,
        /// What it is.
        new: Option<u64>,
    },
    /// A field is new.
    FieldAdded {
        /// The variant that it is in.
        variant: Option<String>,
        /// The field.
        field: String,
        /// Where it begins, in bytes.
        offset: u64,
    },
    /// A field is gone.
    FieldRemoved {
        /// The variant that it was in.
        variant: Option<String>,
        /// The field.
        field: String,
        /// Where it began, in bytes.
        offset: u64,
    },
    /// A field begins elsewhere.
    FieldMoved {
        /// The variant that it is in.
        variant: Option<String>,
        /// The field.
        field: String,
        /// Where it began, in bytes.
        old: u64,
        /// Where it begins.
        new: u64,
    },
    /// A field, an array's elements (without a name), or what an enum's values are, is of a
    /// type that is made otherwise.
    Retyped {
        /// The variant that it is in.
        variant: Option<String>,
        /// The field.
        field: Option<String>,
        /// The type that it had.
        old: String,
        /// The type that it has.
        new: String,
    },
    /// What tells the variants apart is elsewhere, of another type, new or gone.
    Tag {
        /// Where it was and of which type.
        old: Option<(u64, String)>,
        /// Where it is and of which type.
        new: Option<(u64, String)>,
    },
    /// A variant is new.
    VariantAdded {
        /// The variant.
        variant: String,
        /// Its value.
        value: Option<u128>,
    },
    /// A variant is gone.
    VariantRemoved {
        /// The variant.
        variant: String,
        /// What its value was.
        value: Option<u128>,
    },
    /// A variant has another value.
    VariantRenumbered {
        /// The variant.
        variant: String,
        /// What its value was; none for the variant of all other values.
        old: Option<u128>,
        /// What it is.
        new: Option<u128>,
    },
    /// A table of methods has more or fewer entries: a `dyn` that is there has the old one.
    /// An array has more or fewer elements.
    Count {
        /// How many there were.
        old: Option<u64>,
        /// How many there are.
        new: Option<u64>,
    },
}

impl TypeChange {
    /// What the differences mean.
    pub(crate) fn kind_of(differences: &[Difference]) -> ChangeKind {
        let added = |one: &Difference| matches!(one, Difference::VariantAdded { .. });
        if differences.iter().all(added) {
            ChangeKind::VariantAdded
        } else {
            ChangeKind::Layout
        }
    }
}

impl Difference {
    /// Whether it may be there because something in the type has another layout.
    pub(crate) fn is_move(&self) -> bool {
        matches!(
            self,
            Self::Size { .. }
                | Self::Align { .. }
                | Self::FieldMoved { .. }
                | Self::Tag { .. }
                | Self::VariantRenumbered { .. }
        )
    }
}

/// So many differences are named; the rest is counted.
const NAMED: usize = 4;

impl fmt::Display for TypeChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.name)?;
        if let Some(part) = &self.follows {
            return write!(f, "contains {part}, which has another layout");
        }
        for (index, difference) in self.differences.iter().take(NAMED).enumerate() {
            let between = if index == 0 { "" } else { "; " };
            write!(f, "{between}{difference}")?;
        }
        match self.differences.len().saturating_sub(NAMED) {
            0 => Ok(()),
            1 => f.write_str("; and another difference"),
            more => write!(f, "; and {more} other differences"),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inside = |variant: &Option<String>| {
            let inside = variant.as_ref().map(|one| format!(" of variant `{one}`"));
            inside.unwrap_or_default()
        };
        match self {
            Self::Shape { old, new } => write!(f, "it is {new} and was {old}"),
            Self::Size { old, new } => {
                let (old, new) = (Bytes(*old), Bytes(*new));
                write!(f, "its size is {new} and was {old}")
            }
            Self::Align { old, new } => {
                let (old, new) = (Bytes(*old), Bytes(*new));
                write!(f, "its alignment is {new} and was {old}")
            }
            Self::FieldAdded {
                variant,
                field,
                offset,
            } => {
                let of = inside(variant);
                write!(f, "field `{field}`{of} is new at offset {offset}")
            }
            Self::FieldRemoved {
                variant,
                field,
                offset,
            } => {
                let of = inside(variant);
                write!(f, "field `{field}`{of} at offset {offset} is gone")
            }
            Self::FieldMoved {
                variant,
                field,
                old,
                new,
            } => {
                let of = inside(variant);
                write!(f, "field `{field}`{of} is at offset {new} and was at {old}")
            }
            Self::Retyped {
                variant,
                field: Some(field),
                old,
                new,
            } => {
                let of = inside(variant);
                write!(f, "field `{field}`{of} is of type {new} and was of {old}")
            }
            Self::Retyped { old, new, .. } => write!(f, "it is of {new} and was of {old}"),
            Self::Tag { old, new } => {
                f.write_str("what tells its variants apart is ")?;
                match (old, new) {
                    (Some((old, old_type)), Some((new, new_type))) => write!(
                        f,
                        "a {new_type} at offset {new} and was a {old_type} at {old}"
                    ),
                    (None, Some((new, new_type))) => {
                        write!(f, "a {new_type} at offset {new}, where none was needed")
                    }
                    _ => f.write_str("not needed any more"),
                }
            }
            Self::VariantAdded { variant, value } => {
                write!(f, "variant `{variant}` is new{}", Value(*value))
            }
            Self::VariantRemoved { variant, value } => {
                write!(f, "variant `{variant}`{} is gone", Value(*value))
            }
            Self::VariantRenumbered { variant, old, new } => match (old, new) {
                (Some(old), Some(new)) => {
                    write!(f, "variant `{variant}` is {new} and was {old}")
                }
                (None, Some(new)) => {
                    write!(
                        f,
                        "variant `{variant}` is {new} and had no value of its own"
                    )
                }
                (Some(old), None) => {
                    write!(
                        f,
                        "variant `{variant}` has no value of its own and was {old}"
                    )
                }
                (None, None) => write!(f, "variant `{variant}` has no value of its own"),
            },
            Self::Count { old, new } => {
                let count = |count: &Option<u64>| {
                    let count = count.as_ref().map(u64::to_string);
                    count.unwrap_or_else(|| "an unknown number of".into())
                };
                write!(f, "it has {} elements and had {}", count(new), count(old))
            }
        }
    }
}

/// A size for people.
struct Bytes(Option<u64>);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(1) => f.write_str("1 byte"),
            Some(bytes) => write!(f, "{bytes} bytes"),
            None => f.write_str("unknown"),
        }
    }
}

/// A variant's value for people.
struct Value(Option<u128>);

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |value| write!(f, " ({value})"))
    }
}
