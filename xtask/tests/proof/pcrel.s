# PC-relative functions: those that keep the return convention, then others.
        .include "common.inc"
        .machine power10

function uses_r2
        open
        pld     2,data@got@pcrel
        ld      2,0(2)
        add     3,3,2
        lwa     2,8(3)
        add     2,2,3
        mr      3,2
        restore
        close
        blr
end uses_r2

function calls
        open
        pla     3,data@pcrel
        bl      outside@notoc
        plwa    4,data@pcrel
        pstd    4,data@pcrel
        psth    4,data@pcrel
        li      2,0
        restore
        close
        blr
end calls

# What is called may leave anything in r2.
function keeps_r2
        open
        lwa     2,24(1)
        bl      outside@notoc
        add     2,2,0
        restore
        close
        blr
end keeps_r2

function loops
        open
        pli     4,100000
1:      paddi   4,4,-100000
        cmpdi   4,0
        bne     1b
        setbc   3,2
        restore
        close
        blr
end loops

# What else POWER9 and POWER10 have for general registers.
function newer
        open
        modud   3,4,5
        moduw   3,4,5
        modsd   3,4,5
        modsw   3,4,5
        extswsli 3,4,5
        brw     3,4
        brd     3,4
        brh     3,4
        cntlzdm 3,4,5
        cnttzdm 3,4,5
        pdepd   3,4,5
        pextd   3,4,5
        cfuged  3,4,5
        setb    3,1
        setbc   3,9
        setbcr  3,9
        setnbc  3,9
        setnbcr 3,9
        maddld  3,4,5,6
        maddhd  3,4,5,6
        maddhdu 3,4,5,6
        plwz    3,data@pcrel
        plbz    3,data@pcrel
        plhz    3,data@pcrel
        plha    3,data@pcrel
        pstb    3,data@pcrel
        restore
        close
        blr
end newer

function prefixed_restore
        open
        pld     11,0(1)
        plwa    2,12(11)
        pld     0,16(11)
        add     2,2,0
        close
        blr
end prefixed_restore

# From here on each breaks a rule.
function no_restore
        open
        pla     2,data@pcrel
        close
        blr
end no_restore

function another_word
        open
        ld      11,0(1)
        lwa     2,20(11)
        ld      0,16(11)
        add     2,2,0
        close
        blr
end another_word

function uses_r2_after
        open
        restore
        pld     2,data@pcrel
        close
        blr
end uses_r2_after

function reads_r2_after
        open
        restore
        pstd    2,data@pcrel
        close
        blr
end reads_r2_after

function loads_r2_within
        open
        ld      11,0(1)
        lwa     2,12(11)
        lwa     2,8(3)
        ld      0,16(11)
        add     2,2,0
        close
        blr
end loads_r2_within

function writes_reserved
        open
        pstw    3,44(1)
        restore
        close
        blr
end writes_reserved

function writes_back_chain
        open
        pstd    3,0(1)
        restore
        close
        blr
end writes_back_chain

function opens_by_prefix
        open
        paddi   1,1,-64
        paddi   1,1,64
        restore
        close
        blr
end opens_by_prefix

# A vector; a prefix whose suffix is another function's.
function unknown
        open
        plxv    35,data@pcrel
        restore
        close
        blr
end unknown

function runs_off
        open
        restore
        close
        pli     3,1
end runs_off

function tail_call
        open
        restore
        close
        b       outside@notoc
end tail_call

# Writes r2 behind the restore, and reads it once.
function newer_after
        open
        restore
        modud   2,4,5
        extswsli 2,4,5
        brd     2,4
        pextd   2,4,5
        setnbcr 2,9
        maddld  2,4,5,6
        maddld  3,4,5,2
        plwz    2,data@pcrel
        close
        blr
end newer_after
