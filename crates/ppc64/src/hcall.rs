//! Hypervisor call numbers and return codes (PAPR chapter 14), with those of
//! QEMU's own.

/// Removes an entry of the hashed table (PAPR 14.5.4.1).
pub const H_REMOVE: u64 = 0x04;
/// Enters one.
pub const H_ENTER: u64 = 0x08;
/// Reads one.
pub const H_READ: u64 = 0x0c;
/// Sets what one allows.
pub const H_PROTECT: u64 = 0x18;
/// Reads up to 16 characters from a virtual terminal (PAPR 16.6.2.2).
pub const H_GET_TERM_CHAR: u64 = 0x54;
/// Writes up to 16 characters to a virtual terminal (PAPR 16.6.2.1).
pub const H_PUT_TERM_CHAR: u64 = 0x58;
/// H_EOI (PAPR 14.4): ends an external interrupt.
pub const H_EOI: u64 = 0x64;
/// H_CPPR: sets this CPU's priority.
pub const H_CPPR: u64 = 0x68;
/// H_IPI: asks for an interrupt of a CPU, or withdraws that.
pub const H_IPI: u64 = 0x6c;
/// H_XIRR: accepts an external interrupt.
pub const H_XIRR: u64 = 0x74;
/// The priority below all interrupts.
pub const LEAST_FAVOURED: u64 = 0xff;
/// The priority of interrupts from one CPU to another: any above the least.
pub const IPI_PRIORITY: u64 = 4;
/// Gives the processor away until the next interrupt, and turns interrupts on
/// (PAPR 14.11.3.1).
pub const H_CEDE: u64 = 0xe0;
/// Sets a processor mode (PAPR 14.5.4.3.14).
pub const H_SET_MODE: u64 = 0x31c;
/// Registers the process table (PAPR 14.5.4.6): from then on the radix tree translates.
pub const H_REGISTER_PROC_TBL: u64 = 0x37c;
/// [`H_REGISTER_PROC_TBL`] flags: a new table, for the radix tree, and guests invalidate what processors
/// keep of it by themselves.
pub const REGISTER_RADIX: u64 = 0x1d;
/// QEMU's own: an RTAS call, argument buffer in r4. The code that QEMU lets
/// firmware put at the RTAS entry point consists of this call alone.
pub const H_RTAS: u64 = 0xf000;

/// The call did what was asked.
pub const H_SUCCESS: i64 = 0;
/// Nothing done: the resource is busy, try again.
pub const H_BUSY: i64 = 1;

/// [`H_SET_MODE`] resource: whether translation stays on for interrupts, and where they arrive then.
pub const SET_MODE_RESOURCE_ADDR_TRANS: u64 = 3;
/// [`H_SET_MODE`] value: it does, and they arrive [up there](crate::vector::TRANSLATED) (`LPCR[AIL]` = 3).
pub const SET_MODE_AIL_3: u64 = 3;
/// [`H_SET_MODE`] resource: the endianness that interrupts are taken in.
pub const SET_MODE_RESOURCE_LE: u64 = 4;
/// [`H_SET_MODE`] flag: take interrupts in little endian.
pub const SET_MODE_LITTLE_ENDIAN: u64 = 1;
