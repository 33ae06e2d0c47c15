"""Commands and breakpoints for a kernel that patches itself.

- memory: what lies at an address, and what a symbol's address is;
- modules: symbols of modules, when they come and go;
- journey: a patched call, from its site to its caller;
- unwind: how to get out of code that no ELF file describes;
- view: the commands that show the kernel's tables.
"""

import gdb

from . import journey, memory, modules, unwind, view

TEXT = """
The kernel is halted in its first Rust function. What is prepared:
  symbols      of each patch module, when it is loaded, at its address
  breakpoints  on the way of a patched call of {function}:
               site, trampoline, hand-off, replacement, and back at its caller
Now type
  continue             to the first such call, and from each stage to the next
  klp-follow FUNCTION  to follow calls of another one; `klp-follow off` for none
  klp-threads, klp-sites [PATTERN], klp-patches
                       for the kernel's tables, wherever it is halted
  klp-settle           on to where none of them is being changed
  break two_percent::balance
                       for a function of a module that is not loaded yet
"""


def start(folder):
    """Prepares everything. The kernel has reached its first Rust function."""
    gdb.execute("set pagination off")
    gdb.execute("set confirm off")
    gdb.execute("set breakpoint pending on")
    # From here on the kernel calls its hooks.
    memory.write_u64(memory.address("KLP_DEBUGGER_ATTACHED"), 1)
    modules.prepare(folder)
    unwind.prepare()
    view.prepare()
    journey.prepare()
    print(TEXT.format(function=journey.FUNCTION))
