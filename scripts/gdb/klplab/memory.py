"""What lies at an address, and what a symbol's address is."""

import re
import struct

import gdb


class NotThere(Exception):
    """A symbol that gdb does not know."""


def register(name):
    """What a register of the halted function, not of a caller of it, holds."""
    value = gdb.newest_frame().read_register(name)
    return int(value) & 0xFFFF_FFFF_FFFF_FFFF


def address(symbol):
    """The address of a symbol, by its name in the ELF file or by its Rust path."""
    try:
        said = gdb.execute("info address " + symbol, to_string=True)
    except gdb.error as error:
        raise NotThere(str(error)) from error
    found = re.search(r"0x[0-9a-f]+", said)
    if not found:
        raise NotThere(said.strip())
    return int(found.group(), 16)


def read(place, count):
    """So many bytes."""
    return gdb.selected_inferior().read_memory(place, count).tobytes()


def read_u64(place):
    """A doubleword."""
    return struct.unpack("<Q", read(place, 8))[0]


def words(place, count):
    """So many instructions."""
    return struct.unpack("<%dI" % count, read(place, 4 * count))


def write_u64(place, value):
    """Writes a doubleword."""
    gdb.selected_inferior().write_memory(place, struct.pack("<Q", value))


def write_text(place, text):
    """Writes text, and a zero behind it."""
    gdb.selected_inferior().write_memory(place, text.encode() + b"\0")


def read_text(place, room=16 * 1024):
    """Text up to the zero behind it."""
    return read(place, room).split(b"\0", 1)[0].decode(errors="replace")


def name(place):
    """What gdb calls an address."""
    said = gdb.execute("info symbol %#x" % place, to_string=True).strip()
    if said.startswith("No symbol"):
        return "%#x" % place
    # Nor which of several crates of one name it is, as the symbol's hash says: a number,
    # so it may have fewer digits than most.
    return re.sub(r" in section .*|\[[0-9a-f]{1,16}\]", "", said)


MFLR_R0 = 0x7C0802A6
NOP = 0x60000000


def branch_target(place, word):
    """Where a `b` or `bl` at a place goes; nothing if it is neither."""
    if word >> 26 != 18 or word & 2:
        return None
    offset = word & 0x03FF_FFFC
    if offset & 0x0200_0000:
        offset -= 0x0400_0000
    return place + offset


def local_entry(function):
    """Where calls from the same module enter the function whose global entry is at an
    address: behind its TOC set-up, if it has one."""
    first = words(function, 1)[0]
    # addis r2,r12,n and lis r2,n.
    return function + 8 if first >> 16 in (0x3C4C, 0x3C40) else function


def site_of(function):
    """The site of the function whose global entry is at an address: the second of two
    nops, or what has become of them. Nothing if there is none."""
    start = local_entry(function)
    first, second = words(start, 2)
    if first in (NOP, MFLR_R0) and (second == NOP or branch_target(start, second)):
        return start + 4
    return None
