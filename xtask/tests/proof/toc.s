# Functions that keep the kernel's TOC pointer in r2, and some that do not.
        .include "common.inc"

function good_leaf
        addi    3,3,1
        blr
        .long   0, 0, 0
end good_leaf

function_with_toc good_calls
        open
        bl      kernel_function
        .reloc  2f, R_PPC64_REL24, 0x456780
2:      .long   0x48000001
        bl      outside
        nop
        bl      good_leaf
        close
        b       kernel_function
end good_calls

function_with_toc good_pointer
        open
        std     2,24(1)
        mtctr   12
        bctrl
        ld      2,24(1)
        ld      3,40(2)
        close
        blr
end good_pointer

# mtmsrd r9,1; mfmsr r9; mfspr r3,SPRG0; hrfid; and a register that stands where r2 could.
function good_privileged
        mtmsrd  9,1
        mfmsr   9
        mfspr   3,272
        mtspr   272,3
        or      2,2,2
        mtctr   12
        bctr
end good_privileged

function writes
        li      2,0
        blr
end writes

function reloads_without_a_call
        std     2,24(1)
        ld      2,24(1)
        blr
end reloads_without_a_call

function reloads_what_was_not_saved
        open
        mtctr   12
        bctrl
        ld      2,24(1)
        close
        blr
end reloads_what_was_not_saved

function reloads_from_elsewhere
        open
        std     2,24(1)
        bctrl
        ld      2,32(1)
        close
        blr
end reloads_from_elsewhere

function unreachable_write
        blr
        mr      2,3
end unreachable_write

        .text
        .globl  another_toc
        .type   another_toc, @function
        .p2align 4
another_toc:
        addis   2,12,.TOC.-another_toc@ha
        addi    2,2,.TOC.-another_toc+8@l
        .localentry another_toc, .-another_toc
        blr
        .size   another_toc, .-another_toc

        .globl  another_register
        .type   another_register, @function
        .p2align 4
another_register:
        addis   2,11,.TOC.-another_register@ha
        addi    2,2,.TOC.-another_register@l
        .localentry another_register, .-another_register
        blr
        .size   another_register, .-another_register

        .globl  without_relocation
        .type   without_relocation, @function
        .p2align 4
without_relocation:
        addis   2,12,16
        addi    2,2,32
        .localentry without_relocation, .-without_relocation
        blr
        .size   without_relocation, .-without_relocation

        .globl  a_second_time
        .type   a_second_time, @function
        .p2align 4
a_second_time:
        addis   2,12,.TOC.-a_second_time@ha
        addi    2,2,.TOC.-a_second_time@l
        .localentry a_second_time, .-a_second_time
        addis   2,12,.TOC.-a_second_time@ha
        blr
        .size   a_second_time, .-a_second_time

# mfspr r2,SPRG0; what loads two registers (`lq`); and what loads several.
function privileged_write
        mfspr   2,272
        .long   0xe0410000
        .long   0xb8410000
        .long   0x7fc124aa
        blr
end privileged_write

function large_frame
        stdu    1,-MOST_FRAME-16(1)
        ld      1,0(1)
        blr
end large_frame

function calls_itself
        open
        bl      calls_itself
        close
        blr
end calls_itself

# What gas fills up with before an address that is aligned.
function good_filler
        cmpdi   3,0
        beq     1f
        ori     2,2,0
1:      blr
end good_filler

function fills_in_a_number
        ori     2,2,kernel_function@l
        blr
end fills_in_a_number
