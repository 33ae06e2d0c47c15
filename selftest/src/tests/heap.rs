//! The heap, under stress and when it is used up.

use crate::{check, tests::goes_on};
use alloc::{vec, vec::Vec};
use core::alloc::Layout;
use lab::random::Random;
use machine::{mm, time};

/// Allocations of the torture test.
const ROUNDS: u32 = 200_000;
/// How many blocks live at a time.
const SLOTS: usize = 256;

/// A block that knows what it holds.
struct Block {
    start: *mut u8,
    layout: Layout,
    fill: u8,
}

impl Block {
    fn new(random: &mut Random) -> Result<Self, alloc::string::String> {
        let word = random.number();
        let size = 1 + (word >> 8) as usize % 500;
        let align = 1 << ((word >> 40) % 7);
        let layout = Layout::from_size_align(size, align).expect("small and a power of two");
        // SAFETY: the size is not zero.
        let start = unsafe { alloc::alloc::alloc(layout) };
        check!(!start.is_null(), "no room for {layout:?}");
        check!(
            start.addr() % align == 0,
            "block at {start:p} for {layout:?} is misaligned"
        );
        let fill = word as u8;
        // SAFETY: the block was just allocated with this size.
        unsafe { start.write_bytes(fill, size) };
        Ok(Self {
            start,
            layout,
            fill,
        })
    }

    /// Gives the block back, if it holds what was put there.
    fn free(self) -> super::Result {
        // SAFETY: the block is ours, and was filled in `new`.
        let bytes = unsafe { core::slice::from_raw_parts(self.start, self.layout.size()) };
        let damaged = bytes.iter().position(|&byte| byte != self.fill);
        check!(
            damaged.is_none(),
            "byte {damaged:?} of {:p} was overwritten",
            self.start
        );
        // SAFETY: allocated in `new` with this layout, and not used again.
        unsafe { alloc::alloc::dealloc(self.start, self.layout) };
        Ok(())
    }
}

/// Takes the heap in ever smaller blocks, down to so many bytes.
pub(super) fn take_all(least: usize) -> Vec<Vec<u8>> {
    let mut blocks: Vec<Vec<u8>> = Vec::with_capacity(4096);
    let mut size = mm::usage().free.next_power_of_two();
    while size >= least {
        let mut block = Vec::new();
        if blocks.len() < blocks.capacity() && block.try_reserve_exact(size).is_ok() {
            blocks.push(block);
        } else {
            size /= 2;
        }
    }
    blocks
}

crate::selftest! {
    /// Two hundred thousand allocations of mixed sizes and alignments with interrupts on:
    /// no block is damaged, and all memory comes back.
    fn torture() {
        let mut random = Random(0x1234_5678_9abc_def1);
        let mut slots: Vec<Option<Block>> = Vec::new();
        slots.resize_with(SLOTS, || None);
        let before = mm::usage();
        let ticks = time::ticks();
        for _ in 0..ROUNDS {
            goes_on();
            let slot = random.number() as usize % SLOTS;
            if let Some(block) = slots[slot].take() {
                block.free()?;
            }
            slots[slot] = Some(Block::new(&mut random)?);
        }
        for slot in &mut slots {
            if let Some(block) = slot.take() {
                block.free()?;
            }
        }
        let after = mm::usage();
        check!(after == before, "before: {before:?}, after: {after:?}");
        check!(time::ticks() > ticks, "no interrupt came meanwhile");
        Ok(())
    }

    /// A fallible allocation returns an error when the heap is used up, and its caller
    /// can go on.
    fn exhaustion_is_an_error() {
        let before = mm::usage();
        let mut all: Vec<u8> = Vec::new();
        check!(all.try_reserve_exact(before.free + 1).is_err(), "more was handed out than there is");
        check!(all.try_reserve_exact(usize::MAX / 2).is_err(), "half of all addresses were handed out");
        let blocks = take_all(4096);
        let left = mm::usage().free;
        check!(left < 64 * 1024, "{left} bytes are still free");
        check!(Vec::<u8>::new().try_reserve_exact(64 * 1024).is_err(), "a used-up heap gave 64 KiB");
        drop(blocks);
        check!(mm::usage() == before, "before: {before:?}, after: {:?}", mm::usage());
        Ok(())
    }

    /// Freed neighbours become one piece again.
    fn neighbours_merge() {
        let before = mm::usage();
        let blocks: Vec<Vec<u8>> = (0..64).map(|_| vec![0; 4096]).collect();
        let (even, odd): (Vec<_>, Vec<_>) =
            blocks.into_iter().enumerate().partition(|(index, _)| index % 2 == 0);
        drop(even);
        drop(odd);
        check!(mm::usage() == before, "before: {before:?}, after: {:?}", mm::usage());
        let mut most: Vec<u8> = Vec::new();
        check!(most.try_reserve_exact(before.free / 10 * 9).is_ok(), "the heap is in pieces");
        Ok(())
    }
}
