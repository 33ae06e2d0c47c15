# Functions whose returns were rewritten to lead to a restore behind the frame.
        .include "common.inc"

        .macro  ret
        lwa     2,12(1)
        mflr    0
        add     2,2,0
        blr
        .endm

# As modload makes them.
        .macro  stub name, address
        .globl  \name
        .type   \name, @function
        .p2align 5
\name:
        std     2,24(1)
        lis     12,0
        ori     12,12,0
        sldi    12,12,32
        oris    12,12,(\address) >> 16
        ori     12,12,(\address) & 0xffff
        mtctr   12
        bctr
        .size   \name, .-\name
        .endm

# What lies there, for whom a stub's number says little.
        .data
        .quad   kernel_function, kernel_panics

        .text
        stub    stub_of_function, 0x456780
        stub    stub_of_panics, 0x45678900

function good_leaf
        addi    3,3,1
        b       1f
1:      ret
end good_leaf

function good_conditional
        cmpdi   3,0
        beq     1f
        li      3,1
        bdnz    1f
        li      3,2
        b       1f
        .long   0, 0, 0
1:      ret
end good_conditional

function_with_toc good_frame
        open
        cmpdi   3,0
        beq     2f
        bl      stub_of_function
        ld      2,24(1)
        b       3f
4:      close
        b       1f
2:      bl      stub_of_panics
        .long   0, 0, 0
3:      bl      stub_of_function
        ld      2,24(1)
        b       4b
1:      ret
end good_frame

# Some returns behind a frame, some without one.
function good_both
        cmpdi   3,0
        beq     1f
        open
        std     30,-8(1)
        ld      30,-8(1)
        close
        b       1f
1:      ret
end good_both

# Interrupts off and on; SPRG0; and how fast the thread may run.
function good_privileged
        mfmsr   9
        mtmsrd  10,1
        mfspr   3,272
        or      2,2,2
        mtmsrd  9,1
        b       1f
1:      ret
end good_privileged

# The two halves of the sum the other way round.
function good_order
        mflr    9
        lwa     2,12(1)
        add     2,9,2
        blr
end good_order

function lr_changed
        mtlr    4
        b       1f
1:      ret
end lr_changed

function lr_of_a_call
        open
        bl      stub_of_function
        ld      2,24(1)
        addi    1,1,32
        b       1f
1:      ret
end lr_of_a_call

function lr_changed_within
        lwa     2,12(1)
        mtlr    4
        mflr    0
        add     2,2,0
        blr
end lr_changed_within

function lr_changed_behind
        lwa     2,12(1)
        mflr    0
        add     2,2,0
        mtlr    4
        blr
end lr_changed_behind

function frame_open
        open
        b       1f
1:      ret
end frame_open

function frame_open_on_one_way
        cmpdi   3,0
        beq     1f
        open
1:      ret
end frame_open_on_one_way

function frame_opened_within
        lwa     2,12(1)
        mflr    0
        stdu    1,-32(1)
        add     2,2,0
        addi    1,1,32
        blr
end frame_opened_within

function closed_too_far
        addi    1,1,32
        b       1f
1:      ret
end closed_too_far

function writes_word
        stw     3,12(1)
        b       1f
1:      ret
end writes_word

function writes_word_by_index
        stwx    3,1,4
        b       1f
1:      ret
end writes_word_by_index

function writes_word_behind
        lwa     2,12(1)
        mflr    0
        add     2,2,0
        stw     3,12(1)
        blr
end writes_word_behind

function r0_clobbered
        lwa     2,12(1)
        mflr    0
        li      0,0
        add     2,2,0
        blr
end r0_clobbered

function r0_of_before_a_call
        mflr    31
        open
        bl      stub_of_function
        ld      2,24(1)
        close
        mtlr    4
        lwa     2,12(1)
        add     2,2,31
        mtlr    31
        blr
end r0_of_before_a_call

function word_without_sign
        lwz     2,12(1)
        mflr    0
        add     2,2,0
        blr
end word_without_sign

function another_word
        lwa     2,8(1)
        mflr    0
        add     2,2,0
        blr
end another_word

function twice
        lwa     2,12(1)
        mflr    0
        add     2,2,0
        b       1f
1:      ret
end twice

function open_and_closed
        open
        restore
        close
        b       1f
1:      ret
end open_and_closed

function half
        lwa     2,12(1)
        blr
end half

function misses_one_way
        cmpdi   3,0
        beqlr
        b       1f
1:      ret
end misses_one_way

function misses_all_ways
        addi    3,3,1
        blr
end misses_all_ways

function calls_behind
        lwa     2,12(1)
        mflr    0
        add     2,2,0
        bl      stub_of_function
        blr
end calls_behind

function tail_calls_behind
        lwa     2,12(1)
        mflr    0
        add     2,2,0
        b       stub_of_function
end tail_calls_behind

function reads_r2_behind
        lwa     2,12(1)
        mflr    0
        add     2,2,0
        addi    3,2,8
        blr
end reads_r2_behind

function writes_r2_within
        lwa     2,12(1)
        mflr    0
        li      2,0
        add     2,2,0
        blr
end writes_r2_within

function runs_into_zeros
        cmpdi   3,0
        beq     1f
        .long   0
1:      ret
end runs_into_zeros

function without_stub
        open
        bl      kernel_function
        .reloc  2f, R_PPC64_REL24, 0x456780
2:      .long   0x48000001
        close
        b       1f
1:      ret
end without_stub
