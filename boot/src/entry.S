/* The kernel's entry point. */

#include "asm.h"

	.section .head.text, "ax", @progbits

/* _start: where firmware, or a kernel before this one, jumps to.

   On entry: r5 = the Open Firmware client interface, and r3, r4 = address and
   size of the initrd; or r5 = 0 and r3 = a flattened device tree, as after
   kexec. Either endianness, 32-bit or 64-bit mode, any load address whose
   range does not overlap the one that the image is linked for.
   On exit: never returns. Calls boot_main(r3, r4, r5, 1 if entered in big
   endian) at the linked address, in little endian, with the boot stack, the
   kernel's TOC and zeroed .bss.
   Stack: uses none of its caller's. */
function _start
	to_little_endian
	enter_kernel_state
	mr	r6, r9

	/* Where are we, and where should we be? */
	bcl	20, 31, 1f
1:	mflr	r7
	addi	r7, r7, _start - 1b
	lis	r8, _start@ha
	addi	r8, r8, _start@l
	cmpld	r7, r8
	beq	4f

	/* Copy the loaded part of the image to its place, by double words; the
	   linker script keeps its length a multiple of eight. */
	lis	r10, __image_doublewords@ha
	addi	r10, r10, __image_doublewords@l
	mtctr	r10
	li	r9, 0
2:	ldx	r11, r7, r9
	stdx	r11, r8, r9
	addi	r9, r9, 8
	bdnz	2b

	/* It is code: make the instruction side see it. Stepping by less than
	   a cache block costs time only. */
	mtctr	r10
	mr	r9, r8
3:	dcbst	0, r9
	sync
	icbi	0, r9
	addi	r9, r9, 8
	bdnz	3b
	sync
	isync

	/* Go on in the right copy. */
4:	lis	r10, 5f@ha
	addi	r10, r10, 5f@l
	mtctr	r10
	bctr

5:	lis	r8, __bss_start@ha
	addi	r8, r8, __bss_start@l
	lis	r9, __bss_doublewords@ha
	addi	r9, r9, __bss_doublewords@l
	mtctr	r9
	li	r10, 0
6:	std	r10, 0(r8)
	addi	r8, r8, 8
	bdnz	6b

	/* The first frame: its zero back chain ends every stack walk. */
	lis	r1, __boot_stack_top@ha
	addi	r1, r1, __boot_stack_top@l
	li	r0, 0
	stdu	r0, -FRAME_SIZE(r1)
	lis	r2, .TOC.@ha
	addi	r2, r2, .TOC.@l
	bl	boot_main
	nop
	trap
end_function _start

/* secondary_start: where the hypervisor starts a further CPU (RTAS start-cpu).

   On entry: r3 = the CPU's CpuEntry, whose toc and stack_top are set; either
   endianness, 64-bit mode, interrupts off. Nothing else is known.
   On exit: never returns. Calls secondary_main() with r13 and SPRG1 set, in
   little endian, on the stack below stack_top, with the kernel's TOC.
   Stack: the first frame of the CPU's own. */
	.text
function secondary_start
	to_little_endian
	enter_kernel_state
	mr	r13, r3
	mtspr	SPR_SPRG1, r13
	ld	r1, CPU_STACK_TOP(r13)
	ld	r2, CPU_TOC(r13)
	/* The first frame: its zero back chain ends every stack walk. */
	li	r0, 0
	stdu	r0, -FRAME_SIZE(r1)
	bl	secondary_main
	nop
	trap
end_function secondary_start

/* reenter(r3, r4, r5, entry, msr): enters a kernel image with the given
   registers, as firmware or kexec does.

   On entry: r3, r4, r5 = what the image is to find there, r6 = address of its
   entry point, r7 = machine state to enter it in.
   On exit: never returns.
   Stack: leaves the caller's behind. */
function reenter
	li	r8, MSR_ME
	mtmsrd	r8, 1			/* EE = RI = 0: SRR0 and SRR1 are ours */
	mtsrr0	r6
	mtsrr1	r7
	rfid
	b	.
end_function reenter

	.section .note.GNU-stack, "", @progbits
