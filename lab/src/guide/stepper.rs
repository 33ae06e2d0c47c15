//! What happens at every instruction of the call, in the interrupt handler: the
//! registers and the caller's save area are written down. What a callback does, or a
//! function that the old one or the new one calls, is counted and not shown.

use super::{
    map::Map,
    stop::{Part, Stop},
};
use crate::{
    instruments::{sanitiser::SanitisedCall, sanitiser::sanitised_home},
    single_step::{self, At, Fault, MOST_STOPS, Next},
};
use alloc::vec::Vec;
use core::{mem, ops::Range};
use layout::{FrameHeader, TrapFrame};
use machine::{mm, symbols, text};
use ppc64::{
    insn, msr,
    opcode::{B, BC, BCCTR, BCLR, BCTAR, XL, extended, primary},
};

/// Instructions that a call may take, those that are not shown included.
const MOST_INSTRUCTIONS: u32 = 1_000_000;

/// What a stub of a module begins with: it saves r2 (ELFv2 4.2.5.3).
const SAVES_TOC: u32 = insn::std(2, 24, 1);

/// What is not shown, and where it ends.
#[derive(Clone, Copy, Debug)]
struct Fold {
    address: u64,
    r1: u64,
    /// A module's stub is on the way there, and is shown.
    in_stub: bool,
}

/// The call that is being stepped.
struct Stepping {
    map: Map,
    /// Where stubs and trampolines are, and modules.
    region: Range<u64>,
    stops: Vec<Stop>,
    instructions: u32,
    fold: Option<Fold>,
    /// The replacement, once it was entered, and its module.
    new: Range<u64>,
    new_module: Range<u64>,
}

/// A call that was made in steps.
#[derive(Debug)]
pub struct Stepped {
    /// All stops; the last one is where A goes on.
    pub stops: Vec<Stop>,
    /// Instructions, those that are not shown included.
    pub instructions: u32,
    /// Why it did not come back.
    pub fault: Option<Fault>,
    /// The livepatch stack was as before.
    pub livepatch_stack_is_back: bool,
    /// The replacement; empty if it was not entered.
    pub new: Range<u64>,
}

/// Makes a call in steps.
///
/// # Safety
/// The function may be called with these arguments and this r2.
pub unsafe fn step(call: &mut SanitisedCall, map: Map) -> Stepped {
    let region = mm::code::region();
    let mut stepping = Stepping {
        map,
        region: region.start..region.end,
        stops: Vec::with_capacity(MOST_STOPS + 1),
        instructions: 0,
        fold: None,
        new: 0..0,
        new_module: 0..0,
    };
    // SAFETY: as the caller promises.
    let made = unsafe { single_step::make(call, &mut |frame, at| stepping.visit(frame, at)) };
    Stepped {
        stops: stepping.stops,
        instructions: stepping.instructions,
        fault: made.fault,
        livepatch_stack_is_back: made.livepatch_stack_is_back,
        new: stepping.new,
    }
}

/// Whether an instruction leaves its own address in LR (ISA Book I, 2.4).
fn is_call(word: u32) -> bool {
    let is_branch = match primary(word) {
        BC | B => true,
        XL => matches!(extended(word), BCLR | BCCTR | BCTAR),
        _ => false,
    };
    is_branch && word & 1 != 0
}

impl Stepping {
    fn visit(&mut self, frame: &TrapFrame, at: At) -> Next {
        match at {
            At::Instruction => {
                let is_full =
                    self.stops.len() >= MOST_STOPS || self.instructions >= MOST_INSTRUCTIONS;
                if is_full && frame.msr & msr::EE != 0 {
                    return Next::GiveUp;
                }
                self.note(frame, text::read(frame.nip));
            }
            At::Home => self.write_down(frame, Part::Home, 0),
            At::Tick => {}
        }
        Next::Step
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
        // Out of C, or out of the function that it has left for.
        let is_return = is_back || last == Part::Replacement && before == insn::BLR;
        match self.part_of(nip, last, is_return) {
            Some(part) => self.write_down(frame, part, 1),
            None => {
                // A function that C has left for by a tail call.
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
        let first = self.stops.first();
        let a = first.map_or(frame.gpr[1], |first| first.state.gpr[1]);
        if self.stops.len() < self.stops.capacity() {
            // SAFETY: the caller's frame is there as long as the call is.
            self.stops.push(unsafe { Stop::new(frame, a, part, count) });
        }
    }
}
