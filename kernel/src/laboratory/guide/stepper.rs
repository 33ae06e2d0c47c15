//! What happens at every instruction of the call, in the interrupt handler: the
//! registers and the caller's save area are written down. What a callback does, or a
//! function that the old one or the new one calls, is counted and not shown.

use super::{
    super::single_step::{self, Fault, MOST_STOPS},
    reservation::{self, Reservation},
};
use crate::{
    arch::{self, sanitiser::SanitisedCall, sanitiser::sanitised_home},
    interrupt,
    livepatch::variants,
    mm, module, symbols,
    sync::IrqLock,
    text,
    thread::{self, Thread},
};
use alloc::vec::Vec;
use core::{mem, ops::Range};
use layout::{CallFrame, FrameHeader, TrapFrame};
use ppc64::{insn, msr, vector};

/// Instructions that a call may take, those that are not shown included.
const MOST_INSTRUCTIONS: u32 = 1_000_000;

/// What a stub of a module begins with: it saves r2 (ELFv2 4.2.5.3).
const SAVES_TOC: u32 = insn::std(2, 24, 1);

/// A part of the way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Part {
    /// A, the caller: its call.
    Caller,
    /// The two words at B's local entry.
    Site,
    /// What the site leads to when nothing moves.
    Stub,
    /// What it leads to otherwise.
    Trampoline,
    /// What the trampoline calls.
    Callback,
    /// The variant's way from there to C.
    HandOff,
    /// B, the old function, behind its site.
    Function,
    /// C, the new function.
    Replacement,
    /// What B or C calls.
    Callee,
    /// What gives A its r2 back.
    Convention,
    /// A, behind its call.
    Home,
}

impl Part {
    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Site => "site",
            Self::Stub => "stub",
            Self::Trampoline => "trampoline",
            Self::Callback => "callback",
            Self::HandOff => "hand-off",
            Self::Function => "function",
            Self::Replacement => "replacement",
            Self::Callee => "callee",
            Self::Convention => "return convention",
            Self::Home => "home",
        }
    }

    /// Whether it stands for many instructions.
    pub const fn is_folded(self) -> bool {
        matches!(self, Self::Callback | Self::Callee)
    }
}

/// Registers, and the caller's save area.
#[derive(Clone, Copy, Debug, Default)]
pub struct State {
    pub gpr: [u64; 32],
    pub lr: u64,
    pub ctr: u64,
    pub xer: u64,
    pub cr: u64,
    /// The header of A's frame.
    pub header: FrameHeader,
    /// Where the call goes on, as the trampoline's frame has it while it is open.
    pub nip: Option<u64>,
}

/// An instruction that is about to be executed, or the first of many.
#[derive(Clone, Copy, Debug)]
pub struct Stop {
    pub part: Part,
    pub address: u64,
    pub word: u32,
    /// The word behind it, if it is a prefix (ISA Book I, 1.6.3).
    pub suffix: u32,
    /// How many it stands for.
    pub count: u32,
    /// Before it.
    pub state: State,
}

/// What is not shown, and where it ends.
#[derive(Clone, Copy, Debug)]
struct Fold {
    address: u64,
    r1: u64,
    /// A module's stub is on the way there, and is shown.
    in_stub: bool,
}

/// What is known beforehand of the code on the way.
#[derive(Debug, Default)]
pub struct Map {
    /// The old function.
    pub old: Range<u64>,
    /// The second word of its site.
    pub site: u64,
    /// All modules.
    pub modules: Vec<Range<u64>>,
}

/// The call that is being stepped.
struct Stepping {
    thread: u32,
    map: Map,
    /// Where stubs and trampolines are, and modules.
    region: Range<u64>,
    stops: Vec<Stop>,
    instructions: u32,
    deadline: u64,
    fault: Option<Fault>,
    fold: Option<Fold>,
    /// The replacement, once it was entered, and its module.
    new: Range<u64>,
    new_module: Range<u64>,
    reservation: Option<Reservation>,
}

static STEPPING: IrqLock<Option<Stepping>> = IrqLock::new(None);

/// A call that was made in steps.
#[derive(Debug)]
pub struct Stepped {
    /// All stops; the last one is where A goes on.
    pub stops: Vec<Stop>,
    /// Instructions, those that are not shown included.
    pub instructions: u32,
    /// Why it did not come back.
    pub fault: Option<Fault>,
    /// The second stack was as before.
    pub second_stack_is_back: bool,
    /// The replacement; empty if it was not entered.
    pub new: Range<u64>,
}

/// Makes a call in steps; nothing if another is being stepped.
///
/// # Safety
/// The function may be called with these arguments and this r2.
pub unsafe fn step(call: &mut SanitisedCall, map: Map) -> Option<Stepped> {
    let region = mm::code::region();
    let stepping = Stepping {
        thread: thread::with_current(Thread::id).unwrap_or(0),
        map,
        region: region.start..region.end,
        stops: Vec::with_capacity(MOST_STOPS + 1),
        instructions: 0,
        deadline: single_step::deadline(),
        fault: None,
        fold: None,
        new: 0..0,
        new_module: 0..0,
        reservation: None,
    };
    {
        let mut place = STEPPING.lock();
        if place.is_some() {
            return None;
        }
        *place = Some(stepping);
    }
    interrupt::watch(Some(watch));
    let is_lost = || {
        let stepping = STEPPING.lock();
        stepping.as_ref().is_some_and(|one| one.fault.is_some())
    };
    // SAFETY: as the caller promises, and the watcher is there.
    let second_stack_is_back = unsafe { single_step::make(call, is_lost) };
    interrupt::watch(None);
    let ended = mem::take(&mut *STEPPING.lock())?;
    Some(Stepped {
        stops: ended.stops,
        instructions: ended.instructions,
        fault: ended.fault,
        second_stack_is_back,
        new: ended.new,
    })
}

/// Sees every interrupt of the call.
fn watch(frame: &mut TrapFrame) -> bool {
    let mut place = STEPPING.lock();
    let Some(stepping) = place.as_mut() else {
        return false;
    };
    if thread::with_current(Thread::id) != Some(stepping.thread) {
        return false;
    }
    match frame.vector {
        vector::TRACE => {
            stepping.stopped(frame);
            true
        }
        vector::DECREMENTER if arch::timebase() <= stepping.deadline => false,
        // With interrupts off a lock may be held, and nobody would open it again.
        _ if frame.msr & msr::EE != 0 => {
            stepping.fault = Some(single_step::give_up(frame));
            true
        }
        _ => false,
    }
}

/// Whether an instruction leaves its own address in LR (ISA Book I, 2.4).
fn is_call(word: u32) -> bool {
    let is_branch = match word >> 26 {
        16 | 18 => true,
        19 => matches!(word >> 1 & 0x3ff, 16 | 528 | 560),
        _ => false,
    };
    is_branch && word & 1 != 0
}

impl Stepping {
    fn stopped(&mut self, frame: &mut TrapFrame) {
        loop {
            if single_step::at_home(frame) {
                self.write_down(frame, Part::Home, 0);
                return;
            }
            let word = text::read(frame.nip);
            let is_full = self.stops.len() >= MOST_STOPS || self.instructions >= MOST_INSTRUCTIONS;
            if is_full && frame.msr & msr::EE != 0 {
                self.fault = Some(single_step::give_up(frame));
                return;
            }
            self.note(frame, word);
            if !reservation::carry_out(frame, word, &mut self.reservation) {
                return;
            }
        }
    }

    /// Counts an instruction, and writes it down if it is shown.
    fn note(&mut self, frame: &TrapFrame, word: u32) {
        if self.stops.is_empty() {
            self.called(frame);
        }
        self.instructions += 1;
        let (nip, r1) = (frame.nip, frame.gpr[1]);
        let mut is_back = false;
        if let Some(fold) = &mut self.fold {
            if (fold.address, fold.r1) == (nip, r1) {
                self.fold = None;
                is_back = true;
            } else if fold.in_stub && self.new_module.contains(&nip) {
                self.write_down(frame, Part::Replacement, 1);
                return;
            } else {
                let begins = mem::take(&mut fold.in_stub);
                self.folded(frame, Part::Callee, begins);
                return;
            }
        }
        let last = self
            .stops
            .last()
            .map(|stop| (stop.part, stop.address, stop.word));
        // Inside B, C and the trampoline a call leads out of what is shown.
        if let Some((part, address, before)) = last
            && matches!(part, Part::Trampoline | Part::Function | Part::Replacement)
            && is_call(before)
            && nip != address + 4
        {
            let in_stub = word == SAVES_TOC && self.new_module.contains(&nip);
            self.fold = Some(Fold {
                address: address + 4,
                r1,
                in_stub,
            });
            if in_stub {
                self.write_down(frame, Part::Replacement, 1);
            } else {
                let is_callback = part == Part::Trampoline;
                let part = if is_callback {
                    Part::Callback
                } else {
                    Part::Callee
                };
                self.folded(frame, part, true);
            }
            return;
        }
        let (last, before) = last.map_or((Part::Caller, 0), |(part, _, word)| (part, word));
        // Out of C, or out of whom it has left for.
        let is_return = is_back || last == Part::Replacement && before == insn::BLR;
        match self.part_of(nip, last, is_return) {
            Some(part) => self.write_down(frame, part, 1),
            None => {
                // Somebody that C has left for by a tail call.
                self.fold = Some(Fold {
                    address: frame.lr,
                    r1,
                    in_stub: false,
                });
                self.folded(frame, Part::Callee, true);
            }
        }
    }

    /// The first trap comes behind the call itself, which changes LR alone. What LR held
    /// before is what the sanitiser has saved of its own caller's: two frames further
    /// out, where the ABI has it (ELFv2 2.2.2.1).
    fn called(&mut self, frame: &TrapFrame) {
        let header = |address: u64| {
            // SAFETY: the sanitiser's frames and its caller's, which are there as long
            // as the call is.
            unsafe { (address as *const FrameHeader).read_volatile() }
        };
        let outer = header(frame.gpr[1]).back_chain;
        let around = header(outer).back_chain;
        let mut before = *frame;
        before.nip = sanitised_home() - 4;
        before.lr = header(around).lr_save;
        self.instructions += 1;
        self.write_down(&before, Part::Caller, 1);
    }

    /// Which part an address is in, if it is shown.
    fn part_of(&mut self, nip: u64, last: Part, is_return: bool) -> Option<Part> {
        let is_made = self.region.contains(&nip)
            && !self.map.modules.iter().any(|module| module.contains(&nip));
        if is_made {
            Some(Part::Trampoline)
        } else if self.new.is_empty() && self.map.old.contains(&nip) {
            Some(if nip <= self.map.site {
                Part::Site
            } else {
                Part::Function
            })
        } else if self.new.contains(&nip) {
            Some(Part::Replacement)
        } else if self.new.is_empty() && last == Part::Trampoline {
            self.enter(nip);
            Some(Part::Replacement)
        } else if self.new.is_empty() {
            None
        } else if is_return || last == Part::Convention {
            // C has returned, and not to A.
            Some(Part::Convention)
        } else {
            None
        }
    }

    /// The call comes to the replacement.
    fn enter(&mut self, nip: u64) {
        let size = symbols::size_at(nip).unwrap_or(4);
        self.new = nip..nip + size;
        let mut modules = self.map.modules.iter();
        let module = modules.find(|module| module.contains(&nip));
        self.new_module = module.cloned().unwrap_or(0..0);
    }

    fn folded(&mut self, frame: &TrapFrame, part: Part, begins: bool) {
        if begins {
            self.write_down(frame, part, 1);
        } else if let Some(stop) = self.stops.last_mut() {
            stop.count += 1;
        }
    }

    /// Takes no memory: there is room.
    fn write_down(&mut self, frame: &TrapFrame, part: Part, count: u32) {
        let a = self
            .stops
            .first()
            .map_or(frame.gpr[1], |first| first.state.gpr[1]);
        // SAFETY: the frame of the caller, which is there as long as the call is.
        let header = unsafe { (a as *const FrameHeader).read_volatile() };
        let is_open = a.wrapping_sub(frame.gpr[1]) == size_of::<CallFrame>() as u64
            && matches!(part, Part::Trampoline | Part::Callback);
        let nip = is_open.then(|| {
            let frame = frame.gpr[1] as *const CallFrame;
            // SAFETY: it is the trampoline that has opened a frame of this size.
            unsafe { (&raw const (*frame).nip).read_volatile() }
        });
        let word = text::read(frame.nip);
        let suffix = if word >> 26 == 1 {
            text::read(frame.nip + 4)
        } else {
            0
        };
        if self.stops.len() == self.stops.capacity() {
            return;
        }
        self.stops.push(Stop {
            part,
            address: frame.nip,
            word,
            suffix,
            count,
            state: State {
                gpr: frame.gpr,
                lr: frame.lr,
                ctr: frame.ctr,
                xer: frame.xer,
                cr: frame.cr,
                header,
                nip,
            },
        });
    }
}

impl Stepped {
    /// Tells the stub from the trampoline, the hand-off from what is before it, and the
    /// return convention from the rest of C. `stub` is the settled stub, if there is one.
    pub fn name_parts(&mut self, stub: Option<Range<u64>>) {
        let is_stub = |address: u64| stub.as_ref().is_some_and(|stub| stub.contains(&address));
        let entered = self
            .stops
            .iter()
            .position(|stop| stop.part == Part::Replacement);
        let hand_off = entered.and_then(|index| self.stops.get(index.checked_sub(1)?));
        let hand_off = hand_off.map_or(0..0, |last| {
            let words = (variants::current().hand_off)().len() as u64;
            last.address + 4 - 4 * words..last.address + 4
        });
        for stop in &mut self.stops {
            stop.part = match stop.part {
                Part::Trampoline if hand_off.contains(&stop.address) => Part::HandOff,
                Part::Trampoline if is_stub(stop.address) => Part::Stub,
                Part::Replacement if restores(stop.address) => Part::Convention,
                other => other,
            };
        }
    }
}

/// Whether an address is in the four instructions of `klp::epilogue!`: they load a base,
/// r2 from 12 of it and LR from 16 of it, and add the two up.
fn restores(address: u64) -> bool {
    (0..4).any(|index| {
        let word = |n: u64| text::read(address - 4 * index + 4 * n);
        let base = word(1) >> 16 & 31;
        let reserved = mem::offset_of!(FrameHeader, reserved) as u32;
        let load = |rt: u32, low: u32| 58 << 26 | rt << 21 | base << 16 | low;
        // `lwa` is the DS-form with the low bits 2.
        word(0) == insn::ld(base, 0, 1)
            && word(1) == load(2, reserved | 2)
            && word(2) == load(0, mem::offset_of!(FrameHeader, lr_save) as u32)
            && word(3) == 0x7c42_0214
    })
}

/// The modules' ranges, for a [`Map`].
pub fn modules() -> Vec<Range<u64>> {
    let range = |module: &alloc::sync::Arc<module::Module>| {
        let range = module.range();
        range.start..range.end
    };
    module::loaded().iter().map(range).collect()
}
