//! How assembly functions begin and end that hold on to every register
//! which a caller may count on.
//!
//! Both pieces go into a `global_asm!`, among its lines, and take four operands of it:
//! `lr_save` and `cr_save` in a [`FrameHeader`](layout::FrameHeader), `frame`, the size
//! of the function's own frame, and `nonvolatile`, where eighteen doublewords are in it.

/// Opens a frame.
///
/// On entry: r1 = the caller's frame.
/// On exit: r1 = a new frame; its back chain leads to the caller's. LR and CR are in
/// the caller's frame, where the ABI has them (ELFv2, 2.2.2), r14 to r31 in the new one.
/// Clobbers: r0, and the assembler's symbol `n`.
#[macro_export]
macro_rules! open_frame {
    () => {
        concat!(
            "mflr 0\n",
            "std 0, {lr_save}(1)\n",
            "mfcr 0\n",
            "stw 0, {cr_save}(1)\n",
            "stdu 1, -{frame}(1)\n",
            ".set n, 14\n",
            ".rept 18\n",
            "std n, {nonvolatile} + 8 * (n - 14)(1)\n",
            ".set n, n + 1\n",
            ".endr\n",
        )
    };
}

/// Closes a frame that [`open_frame`] has opened, and returns.
///
/// On entry: r1 = that frame.
/// On exit: r1, LR, CR and r14 to r31 as they were when it was opened; in the caller.
/// Clobbers: r0, and the assembler's symbol `n`.
#[macro_export]
macro_rules! close_frame_and_return {
    () => {
        concat!(
            ".set n, 14\n",
            ".rept 18\n",
            "ld n, {nonvolatile} + 8 * (n - 14)(1)\n",
            ".set n, n + 1\n",
            ".endr\n",
            "addi 1, 1, {frame}\n",
            "lwz 0, {cr_save}(1)\n",
            "mtcr 0\n",
            "ld 0, {lr_save}(1)\n",
            "mtlr 0\n",
            "blr\n",
        )
    };
}

pub use {close_frame_and_return, open_frame};
