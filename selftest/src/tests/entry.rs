//! Interrupt entry and return.

use crate::check;
use alloc::{boxed::Box, format};
use core::hint;
use lab::{
    instruments::{self, probe},
    provoke,
};
use layout::{FrameHeader, TrapFrame};
use machine::{arch, mmu, platform, stack, time};
use ppc64::{insn, vector};

crate::selftest! {
    one_cpu;

    /// Interrupts that the CPU raises arrive where the manual says.
    fn provoked_interrupts_arrive() {
        let seen = [
            ("illegal instruction", vector::PROGRAM, provoke!(".long 0")),
            ("trap", vector::PROGRAM, provoke!("trap")),
            ("system call", 0xc00, provoke!("sc")),
            ("floating point", 0x800, provoke!("fmr 1, 1")),
            ("vector", 0xf20, provoke!(".machine push", ".machine power8", "vor 0, 0, 0", ".machine pop")),
            ("VSX", 0xf40, provoke!(".machine push", ".machine power8", "xxlor 0, 0, 0", ".machine pop")),
        ];
        for (what, expected, seen) in seen {
            check!(seen.vector == expected, "{what}: {seen:x?}, expected vector {expected:#x}");
        }
        Ok(())
    }

    /// An interrupt about data reports the address that was used: of two bad ones, each its
    /// own, so none that an earlier interrupt has left in the register.
    fn the_bad_address_is_reported() {
        const BAD: [u64; 2] = [0x7001, 0x7102]; // no multiple of 4, which a reservation takes
        let seen = [
            provoke!("li 11, {bad}", "lwarx 12, 0, 11", const bad = BAD[0]),
            provoke!("li 11, {bad}", "lwarx 12, 0, 11", const bad = BAD[1]),
        ];
        for (bad, seen) in BAD.into_iter().zip(seen) {
            check!((seen.vector, seen.dar) == (0x600, bad), "{seen:x?}, expected vector 0x600 and DAR {bad:#x}");
        }
        Ok(())
    }

    /// A single step arrives after the instruction that follows.
    fn single_step_arrives() {
        let seen = provoke!(
            "mfmsr 11",
            "ori 11, 11, {se}",
            "mtmsrd 11",
            "nop",
            "nop",
            const se = ppc64::msr::SE,
        );
        check!(seen.vector == vector::TRACE, "{seen:x?}");
        Ok(())
    }

    /// Ticks leave every register and the red zone as they were.
    fn ticks_change_no_register() {
        let ticks = time::ticks();
        let start = arch::timebase();
        let slice = 2 * platform::get().timebase_hz / time::TICKS_PER_SECOND;
        // A host that is busy elsewhere gives the guest no ticks for a while.
        while time::ticks() < ticks + 10 {
            let damaged = instruments::register_soak(arch::timebase() + slice);
            check!(damaged == 0, "changed under an interrupt: {damaged:#x} (bits 0 to 31: r0 to r31; 32: CR, 33: XER, 34: CTR, 35: LR, 36: red zone)");
            let took = time::duration(arch::timebase() - start);
            check!(took.as_secs() < 10, "only {} ticks in {took:?}", time::ticks() - ticks);
        }
        Ok(())
    }

    /// The way back from an interrupt ends a reservation of the interrupted code: its
    /// store-conditional would otherwise succeed although a handler has stored meanwhile (ISA
    /// Book II, "Reservations": an interrupt does not end one). QEMU ends it by itself, at each
    /// interrupt and each `rfid`, so only the words can tell: a store-conditional to the
    /// frame's own back chain, of what is there, and no reservation behind it.
    fn returns_end_reservations() {
        const LD_R4_BACK_CHAIN: u32 = insn::ld(4, 0, 1);
        const STDCX_R4_BACK_CHAIN: u32 = 0x7c80_09ad; // stdcx. r4, 0, r1
        const RFID: u32 = 0x4c00_0024;
        let words = arch::trap_return_words();
        let at = words.array_windows().position(|pair| *pair == [LD_R4_BACK_CHAIN, STDCX_R4_BACK_CHAIN]);
        check!(at.is_some(), "no store-conditional in {words:08x?}");
        let reserves = |word: &u32| word & 0xfc00_07fe == 0x7c00_00a8 || word & 0xfc00_07fe == 0x7c00_0028;
        check!(!words.iter().any(reserves), "a reservation in {words:08x?}");
        check!(words.last() == Some(&RFID), "{words:08x?} do not end in rfid");
        Ok(())
    }

    /// An interrupt that is over leaves no marker below the stack pointer, where it
    /// would make a later frame look like an interrupt's.
    fn leaves_no_marker() {
        let until = time::ticks() + 3;
        while time::ticks() < until {}
        let off = arch::interrupts_off();
        let (bottom, _) = stack::running();
        let r1 = arch::stack_pointer();
        let room = size_of::<TrapFrame>() as u64;
        let mut places = (bottom.next_multiple_of(16)..r1 - room).step_by(16);
        // SAFETY: memory of the running stack, below everything that is in use.
        let found = places.find(|&place| unsafe { &*(place as *const TrapFrame) }.is_marked(place));
        drop(off);
        match found {
            None => Ok(()),
            Some(place) => Err(format!("there is a marker at {place:#x}, {:#x} below r1", r1 - place)),
        }
    }

    /// A frame that has the bare marker in the marker's place is no interrupt's: code
    /// that looks for markers may have it on the stack.
    fn a_bare_marker_is_none() {
        #[derive(Default)]
        #[repr(C, align(16))]
        struct Frames(TrapFrame, FrameHeader, FrameHeader);
        let mut frames = Box::new(Frames::default());
        let start = &raw const *frames as u64;
        let end = start + size_of::<Frames>() as u64;
        frames.0.header.back_chain = &raw const frames.1 as u64;
        frames.1.back_chain = &raw const frames.2 as u64;
        for (marker, expected) in [(layout::TRAP_MARKER, false), (layout::TRAP_MARKER ^ start, true)] {
            frames.0.marker = marker;
            let bounds = [(start, end)];
            // SAFETY: frames of our own.
            let first = unsafe { arch::walk(hint::black_box(start), bounds) }.next();
            let is_trap = first.map(|frame| frame.trap.is_some());
            check!(is_trap == Some(expected), "marker {marker:#x}: {is_trap:?}");
        }
        Ok(())
    }

    /// Every vector, and every slot between them, leads to the handler with its
    /// own number and back.
    fn every_vector_arrives() {
        let low = (vector::FIRST..vector::END).step_by(vector::STRIDE as usize);
        let scv = (vector::SCV_FIRST..vector::SCV_END).step_by(vector::STRIDE as usize);
        for address in low.chain(scv) {
            let seen = probe::enter_vector(vector::entry(address, mmu::is_on()));
            check!(seen.vector == address, "vector {address:#x} arrived as {seen:x?}");
        }
        Ok(())
    }
}
