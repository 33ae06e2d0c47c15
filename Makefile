# Two commands are enough: `make run` and `make test`. Each installs what the
# machine lacks (docs/setup.md), so neither needs anything done before it.
#
# MACHINE=NAME      the machine shape to boot, from tests/machines.toml
# ARGS='WORDS'      boot arguments, such as ARGS='mode=selftest log=debug'
# VARIANT=NAME      for run: the way to hand calls over to patches; for matrix, explore: only this
# SHORT=1           for explore: only some of the instructions
# FILTER=PATTERN    for test and accept: only the tests whose names contain it
# COUNT=NUMBER      for soak: how many transitions, if not a million
# FUNC=NAME         for disasm: the function to show
# N=NUMBER          for exercise: which; all for all, none for a list
# CASE=PATTERN      for matrix: only this case, or those that a `*` stands for
# V=1               show the commands

.DEFAULT_GOAL := help
# The targets share one set-up and one console, so -j makes no sense here;
# cargo takes all the processors by itself.
.NOTPARALLEL:
.SUFFIXES:
.PHONY: help run test bench soak matrix explore exercise check accept gdb disasm doctor setup clean

# The recipes take these from the environment, so that no shell and no make
# interprets what is in them.
export MACHINE ARGS VARIANT FILTER FUNC COUNT CASE SHORT N

Q := $(if $(V),,@)
xtask := cargo run --locked --quiet --package xtask --

help: ## show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r name text; do \
		printf 'make %-8s %s\n' "$$name" "$$text"; done
	@echo
	@sed -n '/^# [A-Z]*=/s/^# //p' Makefile

run: ## build the kernel and see it patch itself in QEMU (MACHINE=, ARGS=, VARIANT=)
	$(Q)scripts/setup $(xtask) run $${MACHINE:+--machine="$$MACHINE"} --append="$$ARGS$${VARIANT:+ variant=$$VARIANT}"

test: ## run all tests, on the host and in QEMU (FILTER=)
	$(Q)scripts/setup $(xtask) test $${FILTER:+"$$FILTER"}

bench: ## count what things cost, in instructions
	$(Q)scripts/setup $(xtask) run --machine=icount --append=mode=bench

soak: ## enable and disable a patch a million times under load (MACHINE=, COUNT=)
	$(Q)scripts/setup $(xtask) run $${MACHINE:+--machine="$$MACHINE"} --timeout=21600 \
		--append="mode=soak count=$${COUNT:-1000000}"

matrix: ## judge each variant by each conformance case (VARIANT=, CASE=)
	$(Q)scripts/setup $(xtask) matrix $${VARIANT:+--variant="$$VARIANT"} $${CASE:+--case="$$CASE"}

explore: ## disturb a patched call at every instruction (VARIANT=, SHORT=)
	$(Q)scripts/setup $(xtask) explore $${VARIANT:+--variant="$$VARIANT"} $${SHORT:+--short}

exercise: ## list the exercises, or say whether your tree does what one asks (N=)
	$(Q)scripts/setup $(xtask) exercise $${N:+"$$N"}

check: ## check formatting, clippy with warnings denied, and the docs
	$(Q)scripts/setup $(xtask) check

accept: ## run the tests and take what they print for the expected output (FILTER=)
	$(Q)INSTA_UPDATE=always scripts/setup $(xtask) test $${FILTER:+"$$FILTER"}

gdb: ## boot the kernel under gdb, stopped at its first Rust function (MACHINE=, ARGS=)
	$(Q)scripts/setup --with gdb $(xtask) gdb $${MACHINE:+--machine="$$MACHINE"} --append="$$ARGS"

disasm: ## disassemble the kernel, or one function of it (FUNC=)
	$(Q)scripts/setup $(xtask) disasm $${FUNC:+"$$FUNC"}

doctor: ## show which tools are needed, and which are here
	$(Q)scripts/doctor

setup: ## only install what is missing
	$(Q)scripts/setup

clean: ## remove everything that was built
	$(Q)rm -rf target
