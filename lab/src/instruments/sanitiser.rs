//! The ABI sanitiser: calls a function the way compiled code in its own module does,
//! with everything under watch that it must give back. What is wrong afterwards is
//! told by name, and not suffered.

use alloc::{format, string::String, vec::Vec};
use core::{
    arch::global_asm,
    fmt,
    mem::{offset_of, size_of},
};
use layout::{CpuEntry, FrameHeader};
use machine::{
    arch::{self, close_frame_and_return, open_frame},
    cpus, symbols,
};
use ppc64::{msr, spr};

pub use machine::arch::kernel_toc;

/// Most arguments of a watched call.
pub const ARGUMENTS: usize = 20;
/// Doublewords of the caller's own above its parameter save area.
const CANARIES: usize = 16;

/// A call, and what was found afterwards.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct SanitisedCall {
    /// What to enter: a local entry for a local call, a global entry through a
    /// pointer.
    entry: u64,
    /// r2 for the call.
    toc: u64,
    /// The arguments: eight in r3 to r10, the others on the stack.
    pub arguments: [u64; ARGUMENTS],
    /// Not zero: every instruction of the call traps (MSR[SE]), the first being the
    /// call itself.
    step: u64,
    /// What register n holds at the call, minus n, for r14 to r31.
    pattern: u64,
    /// What CR holds at the call.
    condition: u32,
    /// What the reserved word of the caller's frame holds at the call. (24(r1) holds r2,
    /// as that of a caller through a pointer does.)
    reserved: u32,
    /// r1 of the caller's frame.
    frame: u64,
    /// The watched call around this one, as the thread's slot names it.
    around: u64,
    /// MSR before the call.
    msr: u64,
    /// Afterwards: r0 to r31, but for r12, and CR.
    gpr: [u64; 32],
    cr: u64,
    /// Afterwards: the caller's frame.
    seen: CallerFrame,
}

/// What a call did wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Deviation {
    /// A register, or a place in the caller's frame.
    pub what: What,
    /// What it holds.
    pub found: u64,
    /// What it should.
    pub expected: u64,
}

/// A register, or a place in the caller's frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum What {
    /// A general register.
    Register(u8),
    /// CR2, CR3 and CR4.
    ConditionFields,
    /// The back chain of the caller's frame.
    BackChain,
    /// The ABI's reserved word at 12(r1) of the caller's frame.
    Reserved,
    /// The caller's own room for r2, 24(r1) of its frame.
    TocSave,
    /// A doubleword of the caller's own, counted from the end of what it has passed.
    Own(u8),
}

impl fmt::Display for Deviation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.what {
            What::Register(n) => write!(f, "r{n}")?,
            What::ConditionFields => write!(f, "CR2 to CR4")?,
            What::BackChain => write!(f, "the caller's back chain")?,
            What::Reserved => write!(f, "12(r1) of the caller's frame")?,
            What::TocSave => write!(f, "24(r1) of the caller's frame")?,
            What::Own(n) => write!(f, "the caller's own doubleword {n}")?,
        }
        write!(f, " is {:#x} instead of {:#x}", self.found, self.expected)
    }
}

/// The bits of CR2, CR3 and CR4.
const KEPT_FIELDS: u64 = 0x00ff_f000;
/// What is in CR, the reserved word and r14 to r31 if nothing else is asked for, and
/// what the caller's own doublewords hold.
const CR_PATTERN: u32 = 0x7654_3210;
const RESERVED_PATTERN: u32 = 0x1212;
const REGISTER_PATTERN: u64 = 0x5a00;
const OWN_PATTERN: u64 = 0x6b00;

/// The caller's frame.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(16))]
pub(super) struct CallerFrame {
    header: FrameHeader,
    parameters: [u64; ARGUMENTS],
    pub(super) own: [u64; CANARIES],
}

/// The same, and what the ABI asks of the caller itself.
#[repr(C, align(16))]
struct WholeFrame {
    caller: CallerFrame,
    nonvolatile: [u64; 18],
}

unsafe extern "C" {
    fn sanitised_call_asm(call: *mut SanitisedCall);
    fn sanitised_call_home();
    fn sanitised_call_end();
}
/// Where watched calls return to: the instruction behind the call.
#[must_use]
pub fn sanitised_home() -> u64 {
    sanitised_call_home as *const () as u64
}

/// Whether the running thread has made a watched call and is in it, at `address`: not in the
/// sanitiser's own code before or behind the call.
#[must_use]
pub fn is_in_sanitised_call(address: u64) -> bool {
    let own = sanitised_call_asm as *const () as u64..sanitised_call_end as *const () as u64;
    let slot = arch::stack_top().wrapping_add_signed(SLOT) as *const u64;
    // SAFETY: in the outermost frame of the running thread's stack.
    let call = unsafe { slot.read_volatile() };
    call != 0 && !own.contains(&address)
}

/// Where the running thread's slot is, from the top of its stack: see below.
const SLOT: i64 = offset_of!(FrameHeader, toc_save) as i64 - size_of::<FrameHeader>() as i64;

impl SanitisedCall {
    /// A local call of the function at the global entry `function`, by a caller with `toc`
    /// in r2: it enters the local entry.
    #[must_use]
    pub fn local(function: u64, toc: u64, arguments: &[u64]) -> Self {
        let symbol = symbols::function_at(function);
        let local = symbol.map_or(0, |symbol| u64::from(symbol.local_entry));
        Self::through_pointer(function + local, toc, arguments)
    }

    /// The same by a call through a pointer: it enters the global entry.
    #[must_use]
    pub fn through_pointer(function: u64, toc: u64, arguments: &[u64]) -> Self {
        let mut all = [0; ARGUMENTS];
        all[..arguments.len()].copy_from_slice(arguments);
        Self {
            entry: function,
            toc,
            arguments: all,
            step: 0,
            pattern: REGISTER_PATTERN,
            condition: CR_PATTERN,
            reserved: RESERVED_PATTERN,
            frame: 0,
            around: 0,
            msr: 0,
            gpr: [0; 32],
            cr: 0,
            seen: CallerFrame::default(),
        }
    }

    /// A call of a replacement function, by its global entry, as a hand-off leads there
    /// from a local call: the caller has the kernel's TOC and does not care for r2, and
    /// 12(r1) holds TOC minus return address for [`klp::Convention::Epilogue`].
    #[must_use]
    pub fn handed_over(function: u64, arguments: &[u64]) -> Self {
        let mut call = Self::through_pointer(function, kernel_toc(), arguments);
        call.reserved = call.toc.wrapping_sub(sanitised_home()) as u32;
        call
    }

    /// Gives r14 to r31 and CR other values, so that calls of several threads differ in
    /// them.
    #[must_use]
    pub fn with_pattern(mut self, pattern: u64) -> Self {
        self.pattern = pattern;
        self.condition = pattern as u32;
        self
    }

    /// Traps at every instruction from the call on.
    pub fn step(&mut self) {
        self.step = 1;
    }

    /// Makes the call.
    ///
    /// # Safety
    /// The function may be called with these arguments and this r2.
    pub unsafe fn make(&mut self) {
        // SAFETY: as the caller promises; whatever the function does to registers,
        // the assembly puts them back.
        unsafe { sanitised_call_asm(self) };
    }

    /// Makes the call, and returns r3 and r4.
    ///
    /// # Errors
    /// What it did wrong, but for the two words of the caller's frame that the hand-off of
    /// some variants may write: 12(r1) and 24(r1).
    ///
    /// # Safety
    /// As for [`Self::make`].
    pub unsafe fn make_checked(&mut self) -> Result<[u64; 2], String> {
        // SAFETY: as the caller promises.
        unsafe { self.make() };
        let mut wrong = Vec::new();
        self.deviations(|one| match one.what {
            What::Reserved | What::TocSave => {}
            _ => wrong.push(format!("{one}")),
        });
        if wrong.is_empty() {
            Ok(self.results())
        } else {
            Err(wrong.join(", "))
        }
    }

    /// What the function returned: r3 and r4.
    #[must_use]
    pub fn results(&self) -> [u64; 2] {
        [self.gpr[3], self.gpr[4]]
    }

    /// r2 afterwards.
    #[must_use]
    pub fn toc_after(&self) -> u64 {
        self.gpr[2]
    }

    /// 24(r1) of the caller's frame afterwards, from where a caller through a pointer
    /// takes its r2 back (ELFv2 2.3.2.1).
    #[must_use]
    pub fn toc_saved(&self) -> u64 {
        self.seen.header.toc_save
    }

    /// What the call did wrong, to `tell`.
    pub fn deviations(&self, mut tell: impl FnMut(Deviation)) {
        let mut compare = |what, found, expected| {
            if found != expected {
                tell(Deviation {
                    what,
                    found,
                    expected,
                });
            }
        };
        compare(What::Register(1), self.gpr[1], self.frame);
        compare(What::Register(2), self.gpr[2], self.toc);
        // The thread may have gone on on another CPU, so any one's will do.
        let address = |cpu| core::ptr::from_ref::<arch::Cpu>(cpu).addr() as u64;
        let here = (cpus::all().map(address).find(|&one| one == self.gpr[13]))
            .unwrap_or_else(|| address(&arch::CPUS[0]));
        compare(What::Register(13), self.gpr[13], here);
        for n in 14..32 {
            let expected = self.pattern.wrapping_add(u64::from(n));
            compare(What::Register(n), self.gpr[usize::from(n)], expected);
        }
        let fields = self.cr & KEPT_FIELDS;
        let expected = u64::from(self.condition) & KEPT_FIELDS;
        compare(What::ConditionFields, fields, expected);
        let seen = &self.seen;
        let around = self.frame + size_of::<WholeFrame>() as u64;
        compare(What::BackChain, seen.header.back_chain, around);
        compare(
            What::Reserved,
            u64::from(seen.header.reserved),
            u64::from(self.reserved),
        );
        compare(What::TocSave, seen.header.toc_save, self.toc);
        for (n, found) in (0..).zip(seen.own) {
            compare(What::Own(n), found, OWN_PATTERN);
        }
    }
}

// sanitised_call_asm(call)
//
// On entry: r3 = a SanitisedCall.
// On exit: it is filled in. Clobbers: what the ABI lets a function clobber, whatever
// the function that is called does; r1, r2 and r13 are put back.
// Stack: one WholeFrame, whose lower part is under watch. Which call is being watched
// stands in the running thread's slot: the doubleword for the TOC pointer in the outermost
// frame of its stack, where no function saves any.
//
// sanitised_call_home: the instruction behind the call. Nothing but SPRG1 is trusted
// there. Interrupts go off first, or the thread could go on on another CPU between the
// two instructions that find its stack by this one.
global_asm!(
    ".globl sanitised_call_asm, sanitised_call_home, sanitised_call_end",
    ".type sanitised_call_asm, @function",
    ".balign 16",
    "sanitised_call_asm:",
    open_frame!(),
    "std 1, {call_frame}(3)",
    "ld 5, {stack_top}(13)",
    "ld 4, {slot}(5)",
    "std 4, {around}(3)",
    "std 3, {slot}(5)",
    ".set n, 0",
    ".rept {arguments}",
    "ld 0, {argument} + 8 * n(3)",
    "std 0, {parameter} + 8 * n(1)",
    ".set n, n + 1",
    ".endr",
    "li 0, {own_pattern}",
    ".set n, 0",
    ".rept {canaries}",
    "std 0, {own} + 8 * n(1)",
    ".set n, n + 1",
    ".endr",
    "lwz 0, {reserved_pattern}(3)",
    "stw 0, {reserved}(1)",
    "lwz 0, {condition}(3)",
    "mtcr 0",
    "ld 11, {pattern}(3)",
    ".set n, 14",
    ".rept 18",
    "addi n, 11, n",
    ".set n, n + 1",
    ".endr",
    "ld 12, {entry}(3)",
    "mtctr 12",
    "ld 2, {toc}(3)",
    "std 2, {toc_save}(1)",
    // MSR[SE], if asked for.
    "ld 11, {step}(3)",
    "sldi 11, 11, {se_shift}",
    "mfmsr 0",
    "std 0, {msr}(3)",
    "or 0, 0, 11",
    ".set n, 10",
    ".rept 8",
    "ld n, {argument} + 8 * (n - 3)(3)",
    ".set n, n - 1",
    ".endr",
    "mtmsrd 0",
    "bctrl",
    "sanitised_call_home:",
    "li 12, {ri}",
    "mtmsrd 12, 1",
    "mfspr 12, {sprg1}",
    "ld 12, {stack_top}(12)",
    "ld 12, {slot}(12)",
    ".set n, 0",
    ".rept 12",
    "std n, {gpr} + 8 * n(12)",
    ".set n, n + 1",
    ".endr",
    ".set n, 13",
    ".rept 19",
    "std n, {gpr} + 8 * n(12)",
    ".set n, n + 1",
    ".endr",
    "mfcr 0",
    "std 0, {cr}(12)",
    "mr 3, 12",
    "mfspr 13, {sprg1}",
    "ld 0, {msr}(3)",
    "li 11, {se}",
    "andc 0, 0, 11",
    "mtmsrd 0",
    // The caller's frame, before anything is called that would lie over it.
    "ld 4, {call_frame}(3)",
    "addi 4, 4, -8",
    "addi 5, 3, {seen} - 8",
    "li 0, {seen_size} / 8",
    "mtctr 0",
    "1: ldu 0, 8(4)",
    "stdu 0, 8(5)",
    "bdnz 1b",
    "ld 4, {around}(3)",
    "ld 5, {stack_top}(13)",
    "std 4, {slot}(5)",
    "ld 1, {call_frame}(3)",
    "ld 2, {kernel_toc}(13)",
    close_frame_and_return!(),
    "sanitised_call_end:",
    ".size sanitised_call_asm, . - sanitised_call_asm",
    lr_save = const offset_of!(FrameHeader, lr_save),
    cr_save = const offset_of!(FrameHeader, cr_save),
    toc_save = const offset_of!(FrameHeader, toc_save),
    reserved = const offset_of!(FrameHeader, reserved),
    frame = const size_of::<WholeFrame>(),
    nonvolatile = const offset_of!(WholeFrame, nonvolatile),
    seen_size = const size_of::<CallerFrame>(),
    parameter = const offset_of!(CallerFrame, parameters),
    own = const offset_of!(CallerFrame, own),
    arguments = const ARGUMENTS,
    canaries = const CANARIES,
    call_frame = const offset_of!(SanitisedCall, frame),
    around = const offset_of!(SanitisedCall, around),
    argument = const offset_of!(SanitisedCall, arguments),
    entry = const offset_of!(SanitisedCall, entry),
    toc = const offset_of!(SanitisedCall, toc),
    step = const offset_of!(SanitisedCall, step),
    gpr = const offset_of!(SanitisedCall, gpr),
    cr = const offset_of!(SanitisedCall, cr),
    seen = const offset_of!(SanitisedCall, seen),
    stack_top = const offset_of!(CpuEntry, stack_top),
    // Below the top of the stack, where its outermost frame is.
    slot = const SLOT,
    msr = const offset_of!(SanitisedCall, msr),
    ri = const msr::RI,
    kernel_toc = const offset_of!(CpuEntry, toc),
    own_pattern = const OWN_PATTERN,
    reserved_pattern = const offset_of!(SanitisedCall, reserved),
    condition = const offset_of!(SanitisedCall, condition),
    pattern = const offset_of!(SanitisedCall, pattern),
    se = const msr::SE,
    se_shift = const msr::SE.trailing_zeros(),
    sprg1 = const spr::SPRG1,
);
