# A replacement with two entries, and functions that call it without its site.
        .include "common.inc"

function_with_toc replaced
.Lbehind:
        open
        restore
        close
        blr
end replaced

# A relocation names the start; the linker makes it the local entry.
function at_its_start
        open
        bl      replaced
        nop
        restore
        close
        blr
end at_its_start

# Resolved by the assembler: in front of the two nops, and behind them.
function at_its_local_entry
        open
        bl      .Lbehind - 8
        restore
        close
        blr
end at_its_local_entry

function behind_both
        open
        bl      .Lbehind
        restore
        close
        blr
end behind_both
