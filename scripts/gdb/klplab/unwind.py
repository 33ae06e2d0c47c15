"""How to get out of trampolines and stubs: code that the kernel has made, and no ELF
file describes."""

import gdb
from gdb.unwinder import Unwinder, register_unwinder

from . import memory

# What is known of such code: its first address, and where its hand-off begins or None.
_known = {}


def know(start, hand_off):
    """Notes where a trampoline or a stub begins, and where its hand-off does."""
    _known[start] = hand_off


class FrameId:
    """What tells one frame from another."""

    def __init__(self, sp, pc):
        self.sp = sp
        self.pc = pc


def _number(value):
    return int(value) & 0xFFFF_FFFF_FFFF_FFFF


class MadeCode(Unwinder):
    """Code outside the kernel's text that has no lines."""

    def __init__(self, text):
        super().__init__("klplab made code")
        self.text = text

    def __call__(self, pending):
        pc = _number(pending.read_register("pc"))
        if self.text[0] <= pc < self.text[1] or gdb.find_pc_line(pc).symtab is not None:
            return None
        r1 = pending.read_register("r1")
        try:
            if pc in _known:
                # At its first instruction: r0 is the way back, LR leads behind the site.
                caller, back = pending.read_register("r0"), r1
            elif any(pc == hand_off for hand_off in _known.values()):
                # All is as it was at the site.
                caller, back = pending.read_register("lr"), r1
            else:
                # In a trampoline that has called another function: its frame is the innermost.
                chain = memory.read_u64(_number(r1))
                caller = gdb.Value(memory.read_u64(chain + 16)).cast(r1.type)
                back = gdb.Value(chain).cast(r1.type)
        except gdb.MemoryError:
            return None
        info = pending.create_unwind_info(FrameId(back, pending.read_register("pc")))
        info.add_saved_register("pc", caller.cast(pending.read_register("pc").type))
        info.add_saved_register("lr", caller)
        info.add_saved_register("r1", back)
        return info


def prepare():
    """Registers the unwinder."""
    text = memory.address("__text_start"), memory.address("__text_end")
    register_unwinder(None, MadeCode(text), replace=True)
