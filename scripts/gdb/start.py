"""What `make gdb` has gdb read, with the kernel's file loaded and the processor
halted at its first instruction: see docs/debugger.md.

KLPLAB_MODULES, in the environment, is the folder with CONVENTION/NAME.debug.ko.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True

import klplab  # noqa: E402

klplab.start(os.environ.get("KLPLAB_MODULES", ""))
