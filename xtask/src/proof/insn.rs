//! What an instruction does, as far as the proof must know: which general
//! registers it reads and writes, what it stores, where it leads.

/// Bits of the registers r0 to r31.
pub type Mask = u32;

/// What is special about an instruction.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// Nothing but its registers.
    Plain,
    /// `rt` becomes `base + add`; without a base, `add`.
    Add {
        rt: usize,
        base: Option<usize>,
        add: Operand,
    },
    /// `ra` becomes `rs | value`.
    Or { ra: usize, rs: usize, value: i64 },
    /// Loads: into the general register `rt`, if it is one. With `update`, the
    /// base becomes the address.
    Load {
        rt: Option<usize>,
        at: Address,
        width: Width,
        update: bool,
    },
    /// Stores so many bytes: of the general register `rs`, if it is one. With
    /// `update`, the base becomes the address.
    Store {
        rs: Option<usize>,
        at: Address,
        size: i64,
        update: bool,
    },
    /// Zeroes the cache line there.
    ZeroLine { at: Address },
    /// `rt` becomes LR.
    FromLr { rt: usize },
    /// LR becomes `rs`.
    ToLr { rs: usize },
    /// Traps for certain: nothing comes behind it.
    Trap,
    /// Branches.
    Branch {
        to: Target,
        conditional: bool,
        link: bool,
    },
    /// Is not known.
    Unknown,
}

/// What a load makes of memory.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Width {
    /// A doubleword, as it is.
    Doubleword,
    /// A word, sign-extended.
    SignedWord,
    /// Something else.
    Other,
}

/// What is added to a base.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Operand {
    /// A number.
    Number(i64),
    /// A register.
    Register(usize),
    /// So many bytes from the instruction's address.
    FromHere(i64),
}

/// Where a load or store goes. Without a base, the number 0 is taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Address {
    pub base: Option<usize>,
    pub add: Operand,
}

/// Where a branch leads.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Target {
    /// So many bytes from here.
    Relative(i64),
    /// A fixed address.
    Absolute,
    /// LR.
    Lr,
    /// CTR or TAR.
    Register,
}

/// An instruction.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Insn {
    pub reads: Mask,
    pub writes: Mask,
    pub action: Action,
}

impl Address {
    /// A fixed address.
    pub fn number(address: i64) -> Address {
        Address {
            base: None,
            add: Operand::Number(address),
        }
    }

    /// The registers that it is made of.
    pub fn reads(self) -> Mask {
        let index = match self.add {
            Operand::Number(_) | Operand::FromHere(_) => 0,
            Operand::Register(register) => bit(register),
        };
        self.base.map_or(0, bit) | index
    }
}

/// The bit of a register.
pub fn bit(register: usize) -> Mask {
    1 << register
}

impl Insn {
    pub fn new(reads: Mask, writes: Mask, action: Action) -> Insn {
        Insn {
            reads,
            writes,
            action,
        }
    }
    /// One that is nothing special.
    pub fn plain(reads: Mask, writes: Mask) -> Insn {
        Insn::new(reads, writes, Action::Plain)
    }
    pub const UNKNOWN: Insn = Insn {
        reads: 0,
        writes: 0,
        action: Action::Unknown,
    };
}
