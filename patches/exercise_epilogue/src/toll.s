# exercise_toll: a replacement for kernel::exercises::toll, in the return convention
# `epilogue`. There are three mistakes in it; `make exercise N=6` says what the proof
# thinks of it.
#
# On entry, by the hand-off: r3 = axles, r4 = weight, r12 = its global entry, LR = A's
# return address, r1 = A's frame, with TOC - LR as 32 bits at RESERVED(r1).
# On exit: at A, with its r1, r2 and LR; r3 = what the vehicle pays: nothing without
# axles, else 3 for each axle, and its weight. Every payment is noted.
# Stack: one frame.

        .set    FRAME, 48
        .set    PAYMENT, 32

        .section .text.exercise_toll, "ax", @progbits
        .globl  exercise_toll
        .type   exercise_toll, @function
        .p2align 4
exercise_toll:
        addis   2, 12, .TOC. - exercise_toll@ha
        addi    2, 2, .TOC. - exercise_toll@l
        .localentry exercise_toll, . - exercise_toll
        mflr    0
        std     0, LR_SAVE(1)
        stdu    1, -FRAME(1)

        cmpdi   3, 0
        beq     1f
        mulli   3, 3, 3
        add     3, 3, 4
        std     3, PAYMENT(1)

        # A's r2 again: TOC - LR, and LR.
        ld      0, BACK_CHAIN(1)
        lwa     2, RESERVED(0)
        ld      0, LR_SAVE(0)
        add     2, 2, 0

        # For the books.
        bl      exercise_note_toll
        nop
        ld      3, PAYMENT(1)
1:
        addi    1, 1, FRAME
        ld      0, LR_SAVE(1)
        mtlr    0
        blr
        .size   exercise_toll, . - exercise_toll
