//! Pages: what each allows, and what happens to code that does something else.

use crate::{check, tests::common::text};
use alloc::{format, string::String, vec::Vec};
use core::sync::atomic::{AtomicU32, Ordering};
use lab::instruments::probe::{Seen, Use, attempt};
use lab::random::Random;
use layout::TrapFrame;
use machine::{
    arch, cpus, mm,
    mmu::{self, Alias, Kind, PAGE, Page, Rights},
    platform, stack,
    sync::IrqLock,
};
use memmap::Range;
use ppc64::vector;

/// All pages that there are now.
fn pages() -> Vec<Page> {
    let mut count = 0;
    mmu::walk(&mut |_| count += 1);
    let mut pages = Vec::with_capacity(count + 16);
    mmu::walk(&mut |page| {
        if pages.len() < pages.capacity() {
            pages.push(page);
        }
    });
    pages
}

/// The first page that is both written and executed.
fn written_and_executed() -> Option<Page> {
    let mut found = None;
    mmu::walk(&mut |page| {
        if page.access.write && page.access.execute {
            found = Some(page);
        }
    });
    found
}

fn area(name: &str) -> Result<Range, String> {
    let area = mm::areas().iter().find(|area| area.name == name);
    Ok(area
        .ok_or_else(|| format!("there is no area `{name}`"))?
        .range)
}

/// Something that must be refused: how an address is used, and what the CPU says of it then.
#[derive(Clone, Copy, Debug)]
struct Attack {
    what: &'static str,
    how: Use,
    address: u64,
    /// The vector, and the cause.
    expected: (u64, u64),
}

impl Attack {
    fn carry_out(&self) -> Result<(), String> {
        // SAFETY: it is refused, or else the test fails: a word of code that is written is its own address.
        let seen = unsafe { attempt(self.how, self.address) };
        let Seen { vector, cause, .. } = seen;
        let address = match self.how {
            Use::Call => seen.nip,
            Use::Load | Use::Store => seen.dar,
        };
        let Self { what, expected, .. } = *self;
        check!(
            (vector, cause) == expected && address == self.address,
            "{what} at {:#x}: {seen:x?}, expected {expected:x?}",
            self.address
        );
        Ok(())
    }
}

/// Attacks on each kind of memory.
fn attacks() -> Result<Vec<Attack>, String> {
    use vector::{DATA_STORAGE, INSTRUCTION_STORAGE, NO_PAGE, NOT_CODE, PROTECTED, STORE};
    const READ_ONLY: (u64, u64) = (DATA_STORAGE, PROTECTED | STORE);
    const ABSENT: (u64, u64) = (DATA_STORAGE, NO_PAGE);
    const ABSENT_STORE: (u64, u64) = (DATA_STORAGE, NO_PAGE | STORE);
    const DATA: (u64, u64) = (INSTRUCTION_STORAGE, NOT_CODE);
    const NOWHERE: (u64, u64) = (INSTRUCTION_STORAGE, NO_PAGE);
    let code = arch::interrupts_off as *const () as u64;
    let constants = area("kernel constants")?.start;
    let data = area("kernel data")?.start;
    let heap = area("heap")?.start;
    let made = area("code made since boot")?.start;
    let modules = area("modules")?.end - PAGE;
    let vectors = area("vectors")?;
    let tables = mm::tables().start.max(heap);
    let (bottom, _) = stack::running();
    let fallback = stack::fallback(0);
    let row = |what, how, address, expected| Attack {
        what,
        how,
        address,
        expected,
    };
    use Use::{Call, Load, Store};
    Ok(Vec::from([
        row("store into code", Store, code, READ_ONLY),
        row("store into constants", Store, constants, READ_ONLY),
        row("store into made code", Store, made, READ_ONLY),
        row("call of constants", Call, constants, DATA),
        row("call of data", Call, data, DATA),
        row("call of the heap", Call, heap, DATA),
        row("call of the stack", Call, arch::stack_pointer(), DATA),
        row("call of the page tables", Call, tables, DATA),
        row("load from null", Load, 0, ABSENT),
        row("load near null", Load, 4088, ABSENT),
        row("store near null", Store, 16, ABSENT_STORE),
        row("call of null", Call, 0, NOWHERE),
        row("load from a vector of real mode", Load, 0x100, ABSENT),
        row("store into vectors", Store, vectors.start, READ_ONLY),
        row("load where no module is", Load, modules, ABSENT),
        row("store where no module is", Store, modules, ABSENT_STORE),
        row("call where no module is", Call, modules, NOWHERE),
        row("store below the stack", Store, bottom - 8, ABSENT_STORE),
        row(
            "store above the livepatch stack",
            Store,
            stack::guard(),
            ABSENT_STORE,
        ),
        row(
            "store below the livepatch stack",
            Store,
            arch::livepatch_stack() - 8,
            ABSENT_STORE,
        ),
        row(
            "store above the stack",
            Store,
            stack::running().1 + mm::stacks::ABOVE,
            ABSENT_STORE,
        ),
        row(
            "load below the fallback stack",
            Load,
            fallback.bottom() - 8,
            ABSENT,
        ),
        row(
            "store above the fallback stack",
            Store,
            fallback.top(),
            ABSENT_STORE,
        ),
        row("load beyond memory", Load, 1 << 39 | 0x1000, ABSENT),
    ]))
}

/// Attacks that have failed on other CPUs.
static FAILED: IrqLock<Option<String>> = IrqLock::new(None);

crate::selftest! {
    one_cpu;

    /// No page may be written and executed, at any address, also while code is being written;
    /// address 0 has none; and each page is what its area says, at its own address.
    fn no_page_is_written_and_executed() {
        if !mmu::is_on() {
            return Ok(());
        }
        check!(written_and_executed().is_none(), "{:x?}", written_and_executed());
        check!(mmu::page_at(0).is_none(), "there is a page at 0");
        let (tables, memory) = (mm::tables().size(), platform::get().memory_bytes());
        check!(tables <= (1 << 20) * memory.div_ceil(512 << 20), "{tables} bytes of page tables for {memory}");
        for page in pages() {
            let is_vectors = page.address >= vector::TRANSLATED;
            check!(page.memory == page.address || is_vectors, "{page:x?} is elsewhere");
            let area = mm::area_at(page.memory);
            let area = area.ok_or_else(|| format!("{page:x?} is of no area"))?;
            let fits = area.rights.is_none_or(|rights| page.access == rights.into());
            check!(fits, "{page:x?} in {area:x?}");
        }
        let code = arch::interrupts_off as *const () as u64;
        let off = arch::interrupts_off();
        // SAFETY: with interrupts off on the only CPU, nothing else writes code.
        let alias = unsafe { Alias::new(code, &off) };
        let place = alias.of(code).ok_or("the alias is of another page")?;
        let written = written_and_executed();
        let mut aliases = 0;
        mmu::walk(&mut |page| aliases += u64::from(page.address == place & !(PAGE - 1)));
        drop(alias);
        drop(off);
        check!(written.is_none(), "{written:x?} while code is written");
        check!(place != code && mmu::kind() == Kind::Hash || aliases == 1, "{aliases} pages at the alias {place:#x}");
        // SAFETY: no page is there any more.
        let seen = unsafe { attempt(Use::Load, place) };
        check!(seen.vector != 0, "the alias is still there");
        Ok(())
    }

}

crate::selftest! {
    /// What a page does not allow is refused, with the right vector, cause and address; in an
    /// interrupt's handler on every other CPU too.
    fn attacks_are_refused() {
        if !mmu::is_on() {
            return Ok(());
        }
        let attacks = attacks()?;
        attacks.iter().try_for_each(Attack::carry_out)?;
        *FAILED.lock() = None;
        for number in 0..cpus::count() as u32 {
            cpus::call_on_others(&|| {
                if arch::number() == number
                    && let Err(what) = attacks.iter().try_for_each(Attack::carry_out)
                {
                    *FAILED.lock() = Some(format!("CPU {number}: {what}"));
                }
            });
        }
        FAILED.lock().take().map_or(Ok(()), Err)
    }

    /// When rights have gone, no CPU goes by what it has kept of them.
    fn rights_that_go_are_gone() {
        rights_go(mmu::set)
    }

    /// Stores at random addresses each hit memory whose area is written, or are refused with a sentence.
    fn random_stores_are_judged() {
        const COUNT: u64 = 10_000;
        if !mmu::is_on() {
            return Ok(());
        }
        let edges: Vec<u64> = mm::areas().iter().flat_map(|area| [area.range.start, area.range.end]).collect();
        let mut random = Random(5);
        let (mut written, mut refused) = (0, 0);
        for number in 0..COUNT {
            let bits = random.number();
            let address = match number % 4 {
                // In and above memory.
                0 => bits % (2 * platform::get().memory_bytes()),
                // Next to where something else begins.
                1 => edges[bits as usize % edges.len()].wrapping_add(bits >> 32 & 0x3fff).wrapping_sub(0x2000),
                // The kernel and what is close to it.
                2 => bits % 0x0200_0000,
                _ => bits,
            } & !3;
            random_store(address)?;
            if mmu::page_at(address).is_some_and(|page| page.access.write) {
                written += 1;
            } else {
                refused += 1;
            }
        }
        println!("{written} of {COUNT} random stores hit data, {refused} were refused");
        check!(written > 500 && refused > 5000, "{written} and {refused}");
        Ok(())
    }
}

crate::selftest! {
    control;

    /// The same without telling the CPUs: they go on by what they have kept.
    fn rights_that_go_are_kept() {
        rights_go(mmu::set_untold)
    }
}

/// A store at an address, and what came of it.
fn random_store(address: u64) -> Result<(), String> {
    let is_data = mmu::page_at(address).is_some_and(|page| page.access.write);
    if is_data {
        let area = mm::area_at(address);
        let may = |area: &mm::Area| area.rights.is_none_or(|rights| rights == Rights::Data);
        check!(
            area.is_some_and(may),
            "{address:#x} is written, in {area:x?}"
        );
        let off = arch::interrupts_off();
        let place = address as *mut u32;
        // SAFETY: memory of the kernel's, which keeps its value: on this CPU no other code runs meanwhile, and
        // an atomic operation that changes nothing disturbs none on the others.
        let before = unsafe { AtomicU32::from_ptr(place) }.fetch_or(0, Ordering::Relaxed);
        drop(off);
        core::hint::black_box(before);
        return Ok(());
    }
    // SAFETY: there is no page that can be written.
    let seen = unsafe { attempt(Use::Store, address) };
    let is_segment = seen.vector == vector::DATA_SEGMENT;
    check!(
        (seen.vector == vector::DATA_STORAGE || is_segment) && seen.dar == address,
        "a store to {address:#x}: {seen:x?}"
    );
    let frame = TrapFrame {
        vector: seen.vector,
        dar: seen.dar,
        dsisr: seen.cause,
        ..TrapFrame::default()
    };
    let refused = mmu::Refused::of(&frame).ok_or("nothing is said of it")?;
    let sentence = format!("{refused}");
    check!(
        is_segment || sentence.starts_with("store "),
        "{address:#x}: {sentence}"
    );
    Ok(())
}

/// Gives and takes the rights of a page, and has every CPU use it.
fn rights_go(set: fn(Range, Option<Rights>) -> Result<(), mmu::MmuError>) -> Result<(), String> {
    const REFUSED: (u64, u64) = (vector::DATA_STORAGE, vector::PROTECTED | vector::STORE);
    const ABSENT: (u64, u64) = (vector::DATA_STORAGE, vector::NO_PAGE | vector::STORE);
    if !mmu::is_on() {
        return Ok(());
    }
    let block = mm::stacks::allocate(PAGE).ok_or("no memory for a stack")?;
    let page = block.livepatch();
    for _ in 0..20 {
        // So each CPU keeps that the page may be written.
        for (rights, expected) in [
            (Some(Rights::Data), (0, 0)),
            (Some(Rights::Constants), REFUSED),
            (Some(Rights::Data), (0, 0)),
            (None, ABSENT),
        ] {
            set(page, rights).map_err(text)?;
            let store = || {
                // One after the other: there is one probe.
                let mut failed = FAILED.lock();
                // SAFETY: a page of ours, with nothing in it.
                let Seen { vector, cause, .. } = unsafe { attempt(Use::Store, page.start) };
                if (vector, cause) != expected {
                    *failed = Some(format!(
                        "CPU {}: {vector:#x}, {cause:#x} with {rights:?}",
                        arch::number()
                    ));
                }
            };
            store();
            cpus::call_on_others(&store);
            FAILED.lock().take().map_or(Ok(()), Err)?;
        }
    }
    // SAFETY: allocated above, and not in use.
    unsafe { mm::stacks::free(block) };
    Ok(())
}
