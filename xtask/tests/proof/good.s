# Functions that keep the return convention.
        .include "common.inc"

function plain
        open
        addi    3,3,1
        restore
        close
        blr
end plain

function_with_toc calls
        open
        bl      outside
        nop
        restore
        close
        blr
end calls

function several_exits
        open
        cmpdi   3,0
        beq     1f
        cmpdi   3,1
        beq     2f
        li      3,7
        restore
        close
        blr
1:      restore
        close
        blr
2:      restore
        b       3f
3:      close
        blr
end several_exits

# The return is conditional, and what comes behind it ends in another.
function conditional_return
        open
        cmpdi   3,0
        restore
        close
        beqlr
        li      3,1
        blr
end conditional_return

function loops
        open
        mtctr   3
        li      3,0
1:      addi    3,3,1
        bdnz    1b
2:      ldarx   5,0,4
        stdcx.  5,0,4
        bne-    2b
        restore
        close
        blr
end loops

# The most that there may be.
function large_frame
        mflr    0
        std     0,16(1)
        stdu    1,-MOST_FRAME(1)
        restore
        ld      1,0(1)
        ld      0,16(1)
        mtlr    0
        blr
end large_frame

# CR in its word, nonvolatile registers below the frame, parameters from the
# caller's frame, and some to it.
function saves
        mflr    0
        mfcr    12
        stw     12,8(1)
        std     30,-16(1)
        stdu    1,-64(1)
        std     0,80(1)
        ld      30,64+96(1)
        addi    4,1,40
        stb     30,3(4)
        stbx    30,4,3
        std     30,64+32(1)
        restore
        addi    1,1,64
        lwz     12,8(1)
        ld      30,-16(1)
        ld      0,16(1)
        mtcrf   0x20,12
        mtlr    0
        blr
end saves

# The four instructions in other registers and among others.
function mixed_restore
        open
        ld      9,0(1)
        li      4,1
        ld      10,16(9)
        lwa     2,12(9)
        mr      3,4
        add     2,10,2
        close
        blr
end mixed_restore

# A call through a register, around which the compiler itself keeps r2.
function indirect
        open    48
        std     2,24(1)
        mr      12,3
        mtctr   12
        bctrl
        ld      2,24(1)
        restore
        close   48
        blr
end indirect

function frame_pointer
        mflr    0
        std     31,-8(1)
        stdu    1,-48(1)
        std     0,64(1)
        mr      31,1
        std     3,32(31)
        restore
        mr      1,31
        addi    1,1,48
        ld      31,-8(1)
        ld      0,16(1)
        mtlr    0
        blr
end frame_pointer

# Nothing stands behind a call that never returns, but the rest of other ways.
function panics
        open
        cmpdi   3,0
        beq     2f
        restore
        b       3f
2:      bl      never
        nop
3:      close
        blr
end panics

function panics_last
        open
        cmpdi   3,0
        beq     1f
        restore
        close
        blr
1:      bl      klp_panic
        nop
end panics_last

function traps
        open
        cmpdi   3,0
        beq     1f
        restore
        close
        blr
1:      trap
end traps

# Never returns, nor does the one that it goes to.
function never
        open
        cmpdi   3,5
        beq     1f
        b       never_either
1:      b       1b
end never

function never_either
        open
        bl      klp_panic
        nop
end never_either
