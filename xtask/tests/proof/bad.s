# Functions that break a rule each. What and where is in proof.rs.
        .include "common.inc"

function no_frame
        mflr    0
        std     0,16(1)
        lwa     2,12(1)
        ld      0,16(1)
        add     2,2,0
        blr
end no_frame

function no_frame_on_one_way
        cmpdi   3,0
        beqlr
        open
        restore
        close
        blr
end no_frame_on_one_way

function call_without_frame
        mflr    0
        std     0,16(1)
        bl      outside
        nop
        stdu    1,-32(1)
        restore
        close
        blr
end call_without_frame

function lr_not_saved
        stdu    1,-32(1)
        restore
        addi    1,1,32
        blr
end lr_not_saved

function lr_saved_on_one_way
        mflr    0
        stdu    1,-32(1)
        cmpdi   3,0
        beq     1f
        std     0,48(1)
        b       2f
1:      nop
2:      restore
        close
        blr
end lr_saved_on_one_way

function lr_saved_on_the_other_way
        mflr    0
        stdu    1,-32(1)
        cmpdi   3,0
        beq     2f
1:      restore
        close
        blr
2:      std     0,48(1)
        b       1b
end lr_saved_on_the_other_way

function lr_saved_elsewhere
        mflr    0
        stdu    1,-48(1)
        std     0,40(1)
        restore
        addi    1,1,48
        blr
end lr_saved_elsewhere

function wrong_lr_saved
        mflr    0
        stdu    1,-32(1)
        std     3,48(1)
        restore
        addi    1,1,32
        blr
end wrong_lr_saved

function no_restore
        open
        close
        blr
end no_restore

function no_restore_on_one_way
        open
        cmpdi   3,0
        beq     1f
        restore
1:      close
        blr
end no_restore_on_one_way

function half_a_restore
        open
        ld      11,0(1)
        lwa     2,12(11)
        close
        blr
end half_a_restore

function restores_twice
        open
        restore
        restore
        close
        blr
end restores_twice

function restores_in_a_loop
        open
        mtctr   3
1:      restore
        bdnz    1b
        close
        blr
end restores_in_a_loop

# The mail as posted: as a base, r0 is the number 0.
function as_posted
        open
        ld      0,0(1)
        lwa     2,12(0)
        ld      0,16(0)
        add     2,2,0
        close
        blr
end as_posted

function base_clobbered
        open
        ld      11,0(1)
        lwa     2,12(11)
        li      11,0
        ld      0,16(11)
        add     2,2,0
        close
        blr
end base_clobbered

function lr_clobbered
        open
        ld      11,0(1)
        ld      0,16(11)
        lwa     2,12(11)
        bl      outside
        nop
        add     2,2,0
        close
        blr
end lr_clobbered

function wrong_word
        open
        ld      11,0(1)
        lwa     2,8(11)
        ld      0,16(11)
        add     2,2,0
        close
        blr
end wrong_word

function without_sign
        open
        ld      11,0(1)
        lwz     2,12(11)
        ld      0,16(11)
        add     2,2,0
        close
        blr
end without_sign

function frame_closed_before
        open
        addi    1,1,32
        lwa     2,12(1)
        ld      0,16(1)
        add     2,2,0
        mtlr    0
        blr
end frame_closed_before

function frame_closed_within
        open
        ld      11,0(1)
        lwa     2,12(11)
        addi    1,1,32
        ld      0,16(11)
        add     2,2,0
        mtlr    0
        blr
end frame_closed_within

function reads_r2
        open
        restore
        addi    3,2,8
        close
        blr
end reads_r2

function writes_r2
        open
        restore
        mr      2,3
        close
        blr
end writes_r2

function reloads_r2
        open
        restore
        ld      2,24(1)
        close
        blr
end reloads_r2

function stores_r2
        open
        restore
        std     2,24(1)
        close
        blr
end stores_r2

function reads_half_of_r2
        open
        ld      11,0(1)
        lwa     2,12(11)
        mr      3,2
        ld      0,16(11)
        add     2,2,0
        close
        blr
end reads_half_of_r2

function replaces_r2
        open
        mr      2,3
        restore
        close
        blr
end replaces_r2

function calls_after
        open
        restore
        bl      outside
        nop
        close
        blr
end calls_after

function recurses
        open
        cmpdi   3,0
        beq     1f
        addi    3,3,-1
        bl      recurses
1:      restore
        close
        blr
end recurses

function calls_itself_after
        open
        restore
        bl      calls_itself_after
        close
        blr
end calls_itself_after

function calls_pointer_after
        open
        mtctr   3
        restore
        bctrl
        close
        blr
end calls_pointer_after

function calls_lr_after
        open
        mtlr    3
        restore
        blrl
        close
        blr
end calls_lr_after

function calls_conditionally_after
        open
        restore
        cmpdi   3,0
        bcl     12,2,outside
        close
        blr
end calls_conditionally_after

function tail_call
        open
        restore
        close
        b       outside
end tail_call

function tail_call_inside_the_module
        open
        cmpdi   3,0
        beq     tail_call
        restore
        close
        blr
end tail_call_inside_the_module

function tail_call_by_pointer
        open
        mtctr   3
        restore
        close
        bctr
end tail_call_by_pointer

function jump_table
        open
        mtctr   3
        beqctr
        restore
        close
        blr
end jump_table

function absolute
        open
        ba      0x100
        restore
        close
        blr
end absolute

function writes_reserved
        open
        stw     3,32+12(1)
        restore
        close
        blr
end writes_reserved

function writes_reserved_before
        mflr    0
        stw     3,12(1)
        stdu    1,-32(1)
        std     0,48(1)
        restore
        close
        blr
end writes_reserved_before

function saves_cr_as_a_doubleword
        mflr    0
        mfcr    12
        std     12,8(1)
        stdu    1,-32(1)
        std     0,48(1)
        restore
        close
        blr
end saves_cr_as_a_doubleword

function writes_last_byte_of_reserved
        open
        stb     3,32+15(1)
        restore
        close
        blr
end writes_last_byte_of_reserved

function writes_reserved_through_a_copy
        open
        ld      9,0(1)
        mr      10,9
        addi    10,10,4
        stw     3,8(10)
        restore
        close
        blr
end writes_reserved_through_a_copy

function writes_reserved_by_index
        open
        li      9,44
        stwx    3,1,9
        restore
        close
        blr
end writes_reserved_by_index

function writes_reserved_somewhere
        open
        ld      9,0(1)
        add     9,9,4
        stw     3,0(9)
        restore
        close
        blr
end writes_reserved_somewhere

function writes_reserved_with_update
        open
        ld      9,0(1)
        stwu    3,12(9)
        restore
        close
        blr
end writes_reserved_with_update

function writes_reserved_on_condition
        open
        addi    9,1,44
        lwarx   4,0,9
        stwcx.  3,0,9
        restore
        close
        blr
end writes_reserved_on_condition

function writes_reserved_as_a_float
        open
        stfs    1,44(1)
        restore
        close
        blr
end writes_reserved_as_a_float

function zeroes_a_line_of_the_stack
        open
        dcbz    0,1
        restore
        close
        blr
end zeroes_a_line_of_the_stack

function writes_saved_lr
        open
        std     3,48(1)
        restore
        close
        blr
end writes_saved_lr

function writes_callers_chain
        open
        ld      9,0(1)
        std     3,0(9)
        restore
        close
        blr
end writes_callers_chain

function writes_back_chain
        open
        std     3,0(1)
        restore
        close
        blr
end writes_back_chain

function opens_by_an_unknown_size
        mflr    0
        std     0,16(1)
        stdux   1,1,3
        ld      1,0(1)
        mtlr    0
        blr
end opens_by_an_unknown_size

function second_frame
        open
        stdu    1,-64(1)
        addi    1,1,64
        restore
        close
        blr
end second_frame

function moves_r1
        open
        addi    1,1,16
        addi    1,1,-16
        restore
        close
        blr
end moves_r1

# What is called saves its LR at 16(r1): in our caller's frame.
function frame_too_small
        open    16
        restore
        close   16
        blr
end frame_too_small

function frame_left_open
        open
        restore
        ld      0,48(1)
        mtlr    0
        blr
end frame_left_open

function frame_left_open_on_one_way
        open
        restore
        ld      0,48(1)
        mtlr    0
        cmpdi   3,0
        beq     1f
        addi    1,1,32
1:      blr
end frame_left_open_on_one_way

function lr_not_reloaded
        open
        bl      outside
        nop
        restore
        addi    1,1,32
        blr
end lr_not_reloaded

function lr_of_something_else
        open
        restore
        close
        mtlr    3
        blr
end lr_of_something_else

function runs_off
        open
        restore
        close
        beqlr
end runs_off

# It is not declared that this never returns.
function runs_off_behind_a_call
        open
        bl      outside
        nop
end runs_off_behind_a_call

# Data, a vector instruction, one for POWER10, a system call.
function unknown
        open
        .long   0
        .long   0x10000484
        .long   0x04000000
        sc
        restore
        close
        blr
end unknown

function calls_into_itself
        open
        bcl     20,31,1f
1:      mflr    3
        restore
        close
        blr
end calls_into_itself

# Neither of the two called functions diverges.
function runs_off_behind_one_that_returns
        open
        bl      no_restore
end runs_off_behind_one_that_returns

function runs_off_behind_one_that_runs_off
        open
        bl      runs_off_behind_a_call
end runs_off_behind_one_that_runs_off

function runs_off_behind_a_tail_call
        open
        bl      tail_call
end runs_off_behind_a_tail_call

function writes_reserved_at_its_end
        open
        li      9,40
        stdx    3,1,9
        restore
        close
        blr
end writes_reserved_at_its_end

function frame_too_large
        open    MOST_FRAME+16
        restore
        close   MOST_FRAME+16
        blr
end frame_too_large

# More than a displacement can hold.
function frame_far_too_large
        mflr    0
        std     0,16(1)
        lis     0,-1
        ori     0,0,0x7fe0
        stdux   1,1,0
        restore
        ld      1,0(1)
        ld      0,16(1)
        mtlr    0
        blr
end frame_far_too_large

# Either of them would do.
function two_frames_too_large
        open    MOST_FRAME/2+16
        restore
        close   MOST_FRAME/2+16
        blr
        stdu    1,-(MOST_FRAME/2)(1)
        addi    1,1,MOST_FRAME/2
        blr
end two_frames_too_large

function frame_by_subtraction
        mflr    0
        std     0,16(1)
        subf    1,3,1
        ld      1,0(1)
        blr
end frame_by_subtraction
