# Two commands are enough: `make run` and `make test`. Each installs what the
# machine lacks (docs/setup.md), so neither needs anything done before it.
#
# MACHINE=NAME      the machine shape to boot, from tests/machines.toml
# CPUS=NUMBER       for run, shell (if not given, 2), gdb, soak (4), explore: how many CPUs, up to 8
# ARGS='WORDS'      boot arguments, such as ARGS='mode=selftest log=debug'
# VARIANT=NAME      for run, gdb, soak, report: how calls are handed over; for others: only this
# SHORT=1           for explore: only some of the instructions
# FILTER=PATTERN    for test and accept: only the tests whose names contain it
# COUNT=NUMBER      for soak: how often in and out, if not 500,000 times
# IMAGE=NAME        for shell, disasm: klplab-lab or klplab-test, if not klplab
# FUNC=NAME         for disasm, step: the function to show
# NAME=NAME         for new-variant, new-patch: what it is to be called; for corpus: only this edit, or those with this in their name
# LANG=c            for new-patch: its functions are written in C
# WAY=NAME          for step: settled, transition, traced or rest
# N=NUMBER          for exercise: which; all for all, none for a list
# CASE=PATTERN      for matrix: only this case, or those that a `*` stands for
# BUILD=ID          for shell: a kernel that was built before, by its build id
# V=1               show the commands

.DEFAULT_GOAL := help
# The targets share one set-up and one console, so -j makes no sense here;
# cargo takes all the processors by itself.
.NOTPARALLEL:
.SUFFIXES:
.PHONY: help run test live bench soak matrix explore corpus exercise shell step new-variant new-patch report check accept gdb disasm book map doctor setup clean

# The recipes take these from the environment, so that no shell and no make
# interprets what is in them.
export MACHINE CPUS ARGS VARIANT FILTER FUNC COUNT CASE SHORT N WAY NAME IMAGE UNDO DRY DIFF FORM MOST KERNEL BUILD

Q := $(if $(V),,@)
xtask := cargo run --locked --quiet --package xtask --

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r name text; do \
		printf 'make %-11s %s\n' "$$name" "$$text"; done
	@echo
	@sed -n '/^# [A-Z]*=/s/^# //p' Makefile

run: ## build the kernel and see it patch itself in QEMU (MACHINE=, CPUS=, ARGS=, VARIANT=)
	$(Q)scripts/setup $(xtask) run $${MACHINE:+--machine="$$MACHINE"} $${CPUS:+--cpus="$$CPUS"} --append="$$ARGS$${VARIANT:+ variant=$$VARIANT}"

test: ## run all tests, on the host and in QEMU (FILTER=)
	$(Q)scripts/setup --with test $(xtask) test $${FILTER:+"$$FILTER"}

bench: ## count what things cost, in instructions (VARIANT=)
	$(Q)scripts/setup $(xtask) bench $${VARIANT:+--variant="$$VARIANT"}

soak: ## a million transitions of a patch under load (MACHINE=, CPUS=, COUNT=, VARIANT=)
	$(Q)scripts/setup $(xtask) run $${MACHINE:+--machine="$$MACHINE"} --cpus="$${CPUS:-4}" --timeout=86400 \
		--append="mode=soak count=$${COUNT:-500000}$${VARIANT:+ variant=$$VARIANT}"

matrix: ## judge each variant by each conformance case (VARIANT=, CASE=)
	$(Q)scripts/setup $(xtask) matrix $${VARIANT:+--variant="$$VARIANT"} $${CASE:+--case="$$CASE"}

explore: ## disturb a patched call at every instruction (VARIANT=, SHORT=, CPUS=2)
	$(Q)scripts/setup $(xtask) explore $${VARIANT:+--variant="$$VARIANT"} $${SHORT:+--short} $${CPUS:+--cpus="$$CPUS"}

corpus: ## judge edits of the kernel's source as live patches, each by itself (NAME=)
	$(Q)scripts/setup --with test cargo test --locked --quiet --package qemu-tests --test qemu -- \
		--ignored --nocapture --test-threads=1 "corpus::each::$$NAME"

report: ## make a page of a run: transitions, matrix, costs, steps (VARIANT=)
	$(Q)scripts/setup $(xtask) report $${VARIANT:+--variant="$$VARIANT"}

new-variant: ## write the starting file of a variant (NAME=): docs/add-a-variant.md
	$(Q)scripts/setup $(xtask) new-variant "$$NAME"

step: ## show a patched call instruction by instruction (FUNC=, VARIANT=, WAY=)
	$(Q)scripts/setup $(xtask) step $${FUNC:+--func="$$FUNC"} $${VARIANT:+--variant="$$VARIANT"} $${WAY:+--way="$$WAY"}

# LANG is a variable of most environments too, so only a word of the command line counts.
new-patch: ## write the starting files of a patch (NAME=, LANG=c): docs/add-a-patch.md
	$(Q)scripts/setup $(xtask) new-patch "$$NAME" $(if $(filter command,$(origin LANG)),--language="$$LANG")

shell: ## type commands to the kernel, or pipe them in: make shell < commands.txt (MACHINE=, CPUS=, ARGS=, VARIANT=, IMAGE=, BUILD=)
	$(Q)scripts/setup $(xtask) shell $${BUILD:+--build="$$BUILD"} $${IMAGE:+--image="$$IMAGE"} $${MACHINE:+--machine="$$MACHINE"} $${CPUS:+--cpus="$$CPUS"} --append="$${VARIANT:+variant=$$VARIANT }$$ARGS"

live: ## bring an edit of the source into the kernel that runs in another terminal (UNDO=1, DRY=1, DIFF=file, FORM=own-toc, MOST=, IMAGE=, KERNEL=): docs/live.md
	$(Q)scripts/setup $(xtask) live $${UNDO:+--undo} $${DRY:+--dry} $${DIFF:+--diff="$$DIFF"} $${FORM:+--form="$$FORM"} \
		$${MOST:+--most="$$MOST"} $${IMAGE:+--image="$$IMAGE"} $${KERNEL:+--kernel="$$KERNEL"}

exercise: ## list the exercises, or say whether your tree does what one asks (N=)
	$(Q)scripts/setup $(xtask) exercise $${N:+"$$N"}

check: ## check formatting, clippy with warnings denied, and the docs
	$(Q)scripts/setup $(xtask) check

accept: ## run the tests and take what they print for the expected output (FILTER=)
	$(Q)INSTA_UPDATE=always scripts/setup --with test $(xtask) test $${FILTER:+"$$FILTER"}

gdb: ## boot the kernel under gdb, and follow a patched call there (MACHINE=, CPUS=, ARGS=, VARIANT=)
	$(Q)scripts/setup --with gdb $(xtask) gdb $${MACHINE:+--machine="$$MACHINE"} $${CPUS:+--cpus="$$CPUS"} --append="$$ARGS$${VARIANT:+ variant=$$VARIANT}"

disasm: ## disassemble the kernel, or one function of it (FUNC=, IMAGE=)
	$(Q)scripts/setup $(xtask) disasm $${IMAGE:+--image="$$IMAGE"} $${FUNC:+"$$FUNC"}

book: ## make a book of the documents, with search and the crates' documentation
	$(Q)scripts/setup $(xtask) book

map: ## show what the kernel is made of, from bottom to top, in lines of code
	$(Q)scripts/setup $(xtask) map

doctor: ## show which tools are needed, and which are here
	$(Q)scripts/doctor

setup: ## only install what is missing
	$(Q)scripts/setup

clean: ## remove everything that was built, with what is kept of the last 8 kernels for `make live`
	$(Q)rm -rf target
