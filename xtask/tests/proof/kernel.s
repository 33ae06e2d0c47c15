# A kernel: functions that never return, and others.
        .include "common.inc"

function spins
1:      b       1b
end spins

function traps
        trap
end traps

function panics
        open
        bl      spins
        nop
end panics

function_with_toc panics_by_a_tail_call
        cmpdi   3,0
        beq     1f
        b       panics
1:      b       traps
end panics_by_a_tail_call

function returns
        cmpdi   3,0
        beqlr
        b       panics
end returns

function returns_perhaps
        mtctr   3
        bctr
end returns_perhaps

function runs_off
        open
        bl      returns
end runs_off
