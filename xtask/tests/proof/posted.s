# The restore as the mail of 10 March 2016 has it: the first two functions, which
# break what they must. The others break more, or less.
        .include "common.inc"

        .macro posted
        ld      0,0(1)
        lwa     2,12(0)
        ld      0,16(0)
        add     2,2,0
        .endm

function posted_once
        open
        addi    3,3,1
        posted
        close
        blr
end posted_once

function posted_twice
        open
        cmpdi   3,0
        beq     1f
        posted
        close
        blr
1:      posted
        close
        blr
end posted_twice

function corrected
        open
        restore
        close
        blr
end corrected

function half
        open
        ld      0,0(1)
        lwa     2,12(0)
        close
        blr
end half

function with_another
        open
        posted
        addi    4,2,0
        close
        blr
end with_another

function another_address
        open
        ld      0,0(1)
        lwa     2,20(0)
        ld      0,16(0)
        add     2,2,0
        close
        blr
end another_address
