//! The seal: how the kernel knows that a module was proved.
//!
//! The packer of modules proves them first (`xtask/src/proof`), and then writes the sum of
//! the code that was proved into the descriptor ([`Info::seal`](crate::Info)). The loader
//! adds up the code that it is given. So a module that was linked by hand, or had its code
//! changed afterwards, can't claim a return convention by an oversight. It is no protection
//! against a deliberate forgery.

/// The multiplier of FNV-1a, 64 bits.
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// The sum of a module's code: the bytes of its executable sections as they are in the
/// file, in the file's order. Never 0, which means that the module is not sealed.
///
/// Each step can be undone, so whatever changes within one block changes the sum; and a
/// block of four words costs eleven instructions, because loading is counted.
pub fn of<'a>(code: impl Iterator<Item = &'a [u8]>) -> u32 {
    let add = |sum: u64, block: &[u8; 32]| {
        let (words, _) = block.as_chunks();
        let word = |index: usize| u64::from_le_bytes(words[index]);
        let sum = sum.wrapping_add(word(0)) ^ word(1);
        (sum.wrapping_add(word(2)) ^ word(3)).wrapping_mul(PRIME)
    };
    let sum = code.fold(PRIME, |sum, bytes| {
        let (blocks, rest) = bytes.as_chunks();
        let sum = blocks.iter().fold(sum, add);
        let mut last = [0; 32];
        last[..rest.len()].copy_from_slice(rest);
        add(sum, &last)
    });
    ((sum ^ (sum >> 32)) as u32).max(1)
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn every_bit_and_the_order_count() {
        let code: [u8; 75] = core::array::from_fn(|index| (7 * index) as u8);
        let sum = of([&code[..]].into_iter());
        for byte in 0..code.len() {
            for bit in 0..8 {
                let mut other = code;
                other[byte] ^= 1 << bit;
                assert_ne!(of([&other[..]].into_iter()), sum, "{byte} {bit}");
            }
        }
        assert_ne!(of([&code[..40], &code[40..]].into_iter().rev()), sum);
        assert_ne!(of(core::iter::empty()), 0);
    }
}
