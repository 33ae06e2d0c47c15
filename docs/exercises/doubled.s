# doubled: twice its argument, as a replacement function in the return convention
# `epilogue`. The proof has nothing against it: see docs/exercises/05-break.md.
#
# The names in capitals are offsets: BACK_CHAIN, RESERVED and LR_SAVE in a frame's
# header, STACK_FLOOR in what r13 points at.

        .set    FRAME, 32

        .text
        .globl  doubled
        .type   doubled, @function
doubled:
        mflr    0
        std     0, LR_SAVE(1)
        stdu    1, -FRAME(1)
        ld      11, STACK_FLOOR(13)
        tdllt   1, 11

        add     3, 3, 3

        ld      11, BACK_CHAIN(1)
        lwa     2, RESERVED(11)
        ld      0, LR_SAVE(11)
        add     2, 2, 0

        addi    1, 1, FRAME
        ld      0, LR_SAVE(1)
        mtlr    0
        blr
        .size   doubled, . - doubled
