//! The processor's part in the translation of addresses.

use core::arch::{asm, global_asm};
use ppc64::{msr, spr};

/// Goes on with translation on, for data and for instructions (`MSR[IR]`, `MSR[DR]`).
///
/// # Safety
/// Interrupts are off. The tables map this code and this CPU's stack to where they are, and the
/// vectors to where interrupts arrive then.
pub unsafe fn translate() {
    // SAFETY: as the caller promises.
    unsafe { translate_asm() }
}

unsafe extern "C" {
    fn translate_asm();
}

// translate_asm()
//
// On entry: interrupts off, LR = where to go on.
// On exit: returns with MSR[IR] = MSR[DR] = 1. Clobbers r3, SRR0, SRR1. Stack: none.
global_asm!(
    ".globl translate_asm",
    ".type translate_asm, @function",
    ".balign 16",
    "translate_asm:",
    "mfmsr 3",
    "ori 3, 3, {on}",
    "mtspr {srr1}, 3",
    "mflr 3",
    "mtspr {srr0}, 3",
    // Context synchronising: the next fetch is translated.
    "rfid",
    ".size translate_asm, . - translate_asm",
    on = const msr::IR | msr::DR,
    srr0 = const spr::SRR0,
    srr1 = const spr::SRR1,
);

/// Has this CPU translate by the radix tree with a number, and forget what another had of that number:
/// QEMU drops all of its translations.
#[inline]
pub fn use_tree(number: u64) {
    // SAFETY: all trees have what the kernel runs in. The first `isync` waits for what is before, the
    // other one for the change (ISA Book III, "Synchronization
    // Requirements for Context Alterations").
    unsafe {
        asm!(
            "isync",
            "mtspr {pid}, {number}",
            "isync",
            number = in(reg) number,
            pid = const spr::PID,
            options(nostack, preserves_flags),
        );
    }
}

/// Lets this and other CPUs see entries of the tables that were written where none were (ISA Book
/// III, "Translation Table Updates"): they keep nothing of an absent page.
#[inline]
pub fn see_new_pages() {
    // SAFETY: barriers.
    unsafe { asm!("ptesync", "isync", options(nostack, preserves_flags)) };
}

/// `tlbie` or `tlbiel` for the radix tree (ISA Book III, 6.9.3.3), of RB = r3 and RS = r4. As a
/// word, because assemblers know its five operands only for processors that have them.
const fn invalidate(extended: u32, what: u32) -> u32 {
    const PROCESS_SCOPED: u32 = 1 << 17;
    const RADIX: u32 = 1 << 16;
    31 << 26 | 4 << 21 | what << 18 | PROCESS_SCOPED | RADIX | 3 << 11 | extended << 1
}

const TLBIE: u32 = 306;
const TLBIEL: u32 = 274;
/// Of RIC: translations, not the caches of the tree's inner entries.
const TRANSLATIONS: u32 = 0;
/// Of RIC: those caches. One invalidation empties them, whatever the number of sets.
const TABLES: u32 = 1;
/// Of RIC: all.
const ALL: u32 = 2;
/// In RB, the field IS: all of one process, and not those of one address.
const OF_PROCESS: u64 = 1 << 10;
/// The same: all.
const OF_PARTITION: u64 = 2 << 10;
/// Where RS has the process.
const PROCESS_SHIFT: u32 = 32;

/// Has all CPUs forget what they have of the pages from `start` to `end`, of all `trees`, by their numbers, and
/// waits for them.
pub fn forget_pages_everywhere(start: u64, end: u64, trees: &[u64]) {
    /// From so many pages on, all are forgotten at once.
    const MANY: u64 = 16;
    let pages = (end - start) / pagetable::PAGE;
    // SAFETY: what is forgotten is read again from the tables when it is needed.
    unsafe {
        asm!("ptesync", options(nostack, preserves_flags));
        for &tree in trees {
            if pages >= MANY {
                carry_out::<{ invalidate(TLBIE, ALL) }>(OF_PROCESS, tree);
                continue;
            }
            for page in 0..pages {
                let address = start + page * pagetable::PAGE;
                carry_out::<{ invalidate(TLBIE, TRANSLATIONS) }>(address, tree);
            }
        }
        asm!(
            "eieio",
            "tlbsync",
            "ptesync",
            "isync",
            options(nostack, preserves_flags)
        );
    }
}

/// Invalidates what `WORD` says, of RB = r3 and RS = r4.
///
/// # Safety
/// `WORD` is an invalidation.
#[inline(always)]
unsafe fn carry_out<const WORD: u32>(operand: u64, tree: u64) {
    // SAFETY: as the caller promises.
    unsafe {
        asm!(
            ".long {word}",
            word = const WORD,
            in("r3") operand,
            in("r4") tree << PROCESS_SHIFT,
            options(nostack, preserves_flags),
        );
    }
}

/// Has this CPU forget what it has of one page of a tree, and of the tables that lead there: they lead
/// elsewhere next time.
pub fn forget_page_here(address: u64, tree: u64) {
    // SAFETY: as above.
    unsafe {
        asm!("ptesync", options(nostack, preserves_flags));
        carry_out::<{ invalidate(TLBIEL, TRANSLATIONS) }>(address, tree);
        carry_out::<{ invalidate(TLBIEL, TABLES) }>(OF_PROCESS, tree);
        asm!("ptesync", options(nostack, preserves_flags));
    }
}

/// Drops this CPU's translations of addresses, all of them.
///
/// On hardware there are none that matter when this is called. QEMU's also say which pages hold code: a
/// store to one that is wrongly thought to hold none throws nothing away of what was translated of
/// the old code.
#[inline(always)]
pub fn forget_translations(by_radix: bool) {
    // SAFETY: they are made again when they are needed.
    unsafe {
        if by_radix {
            asm!(
                ".long {word}",
                "ptesync",
                word = const invalidate(TLBIEL, ALL),
                in("r3") OF_PARTITION,
                in("r4") 0,
                options(nostack, preserves_flags),
            );
        } else {
            asm!("tlbiel {}", "ptesync", in(reg) OF_PARTITION, options(nostack, preserves_flags));
        }
    }
}

/// Takes all segments from this CPU.
pub fn forget_segments() {
    // SAFETY: translation is off, or what runs now is given its segments before it is translated anew.
    unsafe { asm!("isync", "slbia", "isync", options(nostack, preserves_flags)) };
}

/// Gives this CPU a segment, by the operands RS and RB of `slbmte`.
pub fn use_segment((rs, rb): (u64, u64)) {
    // SAFETY: no other segment of this CPU has these addresses.
    unsafe {
        asm!("isync", "slbmte {rs}, {rb}", "isync", rs = in(reg) rs, rb = in(reg) rb, options(nostack, preserves_flags));
    }
}

/// Takes a segment from this CPU, by the operand of `slbie`, with all translations that went by it.
pub fn forget_segment(rb: u64) {
    // SAFETY: nothing uses its addresses any more.
    unsafe {
        asm!("isync", "slbie {rb}", "isync", rb = in(reg) rb, options(nostack, preserves_flags))
    };
}
