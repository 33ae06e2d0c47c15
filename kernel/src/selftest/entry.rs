//! Interrupt entry and return.

use crate::{
    arch::{self, probe},
    check, platform, provoke, stack, time,
};
use alloc::format;
use core::mem::offset_of;
use layout::TrapFrame;
use ppc64::vector;

crate::selftest! {
    /// Every vector, and every slot between them, leads to the handler with its
    /// own number and back.
    fn every_vector_arrives() {
        let low = (vector::FIRST..vector::END).step_by(vector::STRIDE as usize);
        let scv = (vector::SCV_FIRST..vector::SCV_END).step_by(vector::STRIDE as usize);
        for address in low.chain(scv) {
            let seen = probe::enter_vector(address);
            check!(seen.vector == address, "vector {address:#x} arrived as {seen:x?}");
        }
        Ok(())
    }

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

    /// A trap frame that an interrupt leaves behind does not look like one any more: a
    /// later frame at its place would be taken for it.
    fn trap_frames_lose_their_marker() {
        let ticks = time::ticks();
        while time::ticks() < ticks + 3 {
            arch::wait();
        }
        let before = arch::interrupts_off();
        let (bottom, _) = stack::running();
        let unused = (bottom + stack::GUARD_BYTES).next_multiple_of(16)..arch::stack_pointer();
        let room = core::mem::size_of::<TrapFrame>() as u64;
        let left = (unused.start..unused.end - room).step_by(16).filter(|&address| {
            let word = |offset: usize| {
                // SAFETY: the unused part of the running stack, above its guard; no
                // interrupt writes there now.
                unsafe { ((address + offset as u64) as *const u64).read_volatile() }
            };
            word(offset_of!(TrapFrame, marker)) == layout::TRAP_MARKER
                && word(offset_of!(TrapFrame, vector)) == vector::DECREMENTER
        }).count();
        arch::interrupts_restore(before);
        check!(left == 0, "{left} frames of interrupts that are over still look like it");
        Ok(())
    }

    /// Ticks leave every register and the protected zone as they were.
    fn ticks_change_no_register() {
        let ticks = time::ticks();
        let start = arch::timebase();
        let slice = 2 * platform::get().timebase_hz / time::TICKS_PER_SECOND;
        // A host that is busy elsewhere gives the guest no ticks for a while.
        while time::ticks() < ticks + 10 {
            let damaged = arch::register_soak(arch::timebase() + slice);
            check!(damaged == 0, "changed under an interrupt: {damaged:#x} (bits 0 to 31: r0 to r31; 32: CR, 33: XER, 34: CTR, 35: LR, 36: protected zone)");
            let took = time::duration(arch::timebase() - start);
            check!(took.as_secs() < 10, "only {} ticks in {took:?}", time::ticks() - ticks);
        }
        Ok(())
    }

    /// An interrupt that is over leaves no marker below the stack pointer, where it
    /// would make a later frame look like an interrupt's.
    fn leaves_no_marker() {
        let until = time::ticks() + 3;
        while time::ticks() < until {}
        let before = arch::interrupts_off();
        let (bottom, _) = stack::running();
        let r1 = arch::stack_pointer();
        let words = (bottom..r1).step_by(size_of::<u64>());
        // SAFETY: memory of the running stack, below everything that is in use.
        let found = { words }.find(|&address| unsafe { (address as *const u64).read_volatile() } == layout::TRAP_MARKER);
        arch::interrupts_restore(before);
        match found {
            None => Ok(()),
            Some(address) => Err(format!("there is a marker at {address:#x}, {:#x} below r1", r1 - address)),
        }
    }
}
