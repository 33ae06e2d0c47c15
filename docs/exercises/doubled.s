# doubled: twice its argument, as a replacement function in the return convention
# `epilogue`. The proof has nothing against it: see docs/exercises/05-break.md.
#
# The names in capitals are offsets in a frame's header: BACK_CHAIN, RESERVED and LR_SAVE.

        .set    FRAME, 32

        .text
        .globl  doubled
        .type   doubled, @function
doubled:
        mflr    0
        std     0, LR_SAVE(1)
        stdu    1, -FRAME(1)

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
