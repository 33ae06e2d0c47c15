//! Hypervisor call numbers and return codes (PAPR chapter 14), with those of
//! QEMU's own.

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
/// QEMU's own: an RTAS call, argument buffer in r4. The code that QEMU lets
/// firmware put at the RTAS entry point consists of this call alone.
pub const H_RTAS: u64 = 0xf000;

/// The call did what was asked.
pub const H_SUCCESS: i64 = 0;
/// Nothing done: the resource is busy, try again.
pub const H_BUSY: i64 = 1;

/// [`H_SET_MODE`] resource: the endianness that interrupts are taken in.
pub const SET_MODE_RESOURCE_LE: u64 = 4;
/// [`H_SET_MODE`] flag: take interrupts in little endian.
pub const SET_MODE_LITTLE_ENDIAN: u64 = 1;
