//! The parts that a module is made of, before it has sections.

/// What kind of memory a piece is in.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Part {
    Text,
    Constants,
    /// Constants with addresses in them.
    Relocated,
    Written,
    Zeroed,
    Toc,
    Records,
    Descriptor,
}

/// Where a link of a piece leads.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Target {
    /// To a piece of this number.
    Piece(usize),
    /// To what the running kernel has, by its number.
    Kernel(usize),
    /// To the module's TOC pointer.
    Toc,
}

/// A link of a piece.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tie {
    pub(crate) offset: u64,
    pub(crate) kind: u32,
    pub(crate) target: Target,
    pub(crate) addend: i64,
}

/// A piece of the module: a function, a static, a constant, a slot.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub(crate) part: Part,
    pub(crate) align: u64,
    pub(crate) bytes: Vec<u8>,
    /// Bytes, also where there are none in the file.
    pub(crate) size: u64,
    pub(crate) ties: Vec<Tie>,
    /// Its name for the linker and for backtraces, if it has one.
    pub(crate) name: Option<String>,
    pub(crate) function: bool,
    pub(crate) local: bool,
    pub(crate) other: u8,
}

impl Piece {
    pub(crate) fn new(part: Part, align: u64, bytes: Vec<u8>) -> Self {
        Self {
            part,
            align: align.max(1),
            size: bytes.len() as u64,
            bytes,
            ties: Vec::new(),
            name: None,
            function: false,
            local: true,
            other: 0,
        }
    }
}

/// A name of the running kernel's that the module refers to.
#[derive(Clone, Debug)]
pub(crate) struct Outside {
    pub(crate) name: String,
    pub(crate) address: u64,
    pub(crate) other: u8,
    pub(crate) function: bool,
}

/// A function that the module replaces.
#[derive(Clone, Debug)]
pub(crate) struct Replaced {
    pub(crate) old: String,
    pub(crate) position: u32,
    pub(crate) piece: usize,
}

/// What a module consists of, before it is written.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    pub(crate) pieces: Vec<Piece>,
    pub(crate) outside: Vec<Outside>,
    pub(crate) replaced: Vec<Replaced>,
    /// What is called around the patch: the field of `klp::Callbacks`, and the function.
    pub(crate) callbacks: Vec<(usize, usize)>,
}
