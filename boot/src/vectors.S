/* Interrupt vectors and interrupt entry. */

#include "asm.h"

/* One vector: eight instructions at most, and the same five for all. Parks
   r13 and r12, and lets the link register tell trap_entry which vector it is.
   The branch is absolute, because the vectors run in two copies at other
   addresses, and trap_entry where it is linked. */
.macro vector_slot
	mtspr	SPR_SPRG2, r13
	mfspr	r13, SPR_SPRG1
	std	r12, (CPU_SCRATCH + 24)(r13)
	mflr	r12
	bla	trap_entry
	.long	0, 0, 0
.endm

	.section .vectors, "a", @progbits
	.balign	32
	.globl	__vectors, __vectors_scv
__vectors:
	.rept	(VECTOR_END - VECTOR_FIRST) / VECTOR_STRIDE
	vector_slot
	.endr
__vectors_scv:
	.rept	(SCV_END - SCV_FIRST) / VECTOR_STRIDE
	vector_slot
	.endr

	.text

/* trap_entry: from every vector. Nothing from here to __trap_end may be
   patched: it runs with SRR0 and SRR1 in use.

   On entry: r13 = this CPU's CpuEntry, SPRG2 = the interrupted r13, r12 = the
   interrupted LR, scratch[3] = the interrupted r12, LR = 20 bytes into the
   vector; SRR0, SRR1 as the interrupt left them; MSR[EE] = MSR[RI] = 0.
   Everything else is the interrupted code's. Its r1 is trusted only when it
   lies between stack_floor and stack_top.
   Calls handler(&mut TrapFrame) with the kernel's TOC and MSR[RI] = 1; what
   the handler leaves in the frame is what the interrupted code goes on with.
   Stack: a TrapFrame below the interrupted red zone, or on the fallback
   stack. */
function trap_entry
	std	r9, (CPU_SCRATCH + 0)(r13)
	std	r10, (CPU_SCRATCH + 8)(r13)
	std	r11, (CPU_SCRATCH + 16)(r13)
	mfcr	r11
	mflr	r10
	/* 20 bytes into a slot of 32, of either copy of the vectors. */
	rlwinm	r10, r10, 0, VECTOR_MASK_BEGIN, VECTOR_MASK_END

	ld	r9, CPU_STACK_FLOOR(r13)
	cmpld	r1, r9
	blt	1f
	ld	r9, CPU_STACK_TOP(r13)
	cmpld	r1, r9
	bgt	1f
	addi	r9, r1, -(RED_ZONE + TRAP_SIZE)
	clrrdi	r9, r9, 4
	b	2f
1:	ld	r9, CPU_FALLBACK_STACK(r13)
	addi	r9, r9, -TRAP_SIZE

2:	std	r1, FRAME_BACK_CHAIN(r9)
	std	r1, (TRAP_GPR0 + 8 * 1)(r9)
	mr	r1, r9
	.irp	n, 0, 2, 3, 4, 5, 6, 7, 8
	std	r\n, (TRAP_GPR0 + 8 * \n)(r1)
	.endr
	ld	r3, (CPU_SCRATCH + 0)(r13)
	ld	r4, (CPU_SCRATCH + 8)(r13)
	ld	r5, (CPU_SCRATCH + 16)(r13)
	ld	r6, (CPU_SCRATCH + 24)(r13)
	mfspr	r7, SPR_SPRG2
	std	r3, (TRAP_GPR0 + 8 * 9)(r1)
	std	r4, (TRAP_GPR0 + 8 * 10)(r1)
	std	r5, (TRAP_GPR0 + 8 * 11)(r1)
	std	r6, (TRAP_GPR0 + 8 * 12)(r1)
	std	r7, (TRAP_GPR0 + 8 * 13)(r1)
	.irp	n, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
	std	r\n, (TRAP_GPR0 + 8 * \n)(r1)
	.endr
	mfspr	r3, SPR_SRR0
	mfspr	r4, SPR_SRR1
	mfctr	r5
	mfxer	r6
	mfspr	r7, SPR_DAR
	mfspr	r8, SPR_DSISR
	std	r3, TRAP_NIP(r1)
	std	r4, TRAP_MSR(r1)
	std	r5, TRAP_CTR(r1)
	std	r6, TRAP_XER(r1)
	std	r7, TRAP_DAR(r1)
	std	r8, TRAP_DSISR(r1)
	std	r12, TRAP_LR(r1)
	std	r11, TRAP_CR(r1)
	std	r10, TRAP_VECTOR(r1)
	lis	r3, TRAP_MARKER@highest
	ori	r3, r3, TRAP_MARKER@higher
	sldi	r3, r3, 32
	oris	r3, r3, TRAP_MARKER@high
	ori	r3, r3, TRAP_MARKER@l
	xor	r3, r3, r1
	std	r3, TRAP_MARK(r1)

	/* Nothing of the interrupted state is left in a register. */
	li	r3, MSR_RI
	mtmsrd	r3, 1
	ld	r2, CPU_TOC(r13)
	ld	r12, CPU_HANDLER(r13)
	mtctr	r12
	mr	r3, r1
	bctrl
	/* Falls through. */
end_function trap_entry

/* trap_return: goes on with what a TrapFrame describes.

   On entry: r1 = the TrapFrame, r13 = this CPU's CpuEntry. On exit: everything is as
   in the frame, but for r13: the thread may have been interrupted on another CPU. */
function trap_return
	li	r3, 0
	mtmsrd	r3, 1			/* EE = RI = 0: SRR0 and SRR1 are ours */
	/* Or a later frame at this place looks like an interrupt's to a stack walk. */
	std	r3, TRAP_MARK(r1)
	/* An interrupted larx must not succeed at its stcx. */
	ld	r4, FRAME_BACK_CHAIN(r1)
	stdcx.	r4, 0, r1
	ld	r3, TRAP_NIP(r1)
	ld	r4, TRAP_MSR(r1)
	ld	r5, TRAP_CTR(r1)
	ld	r6, TRAP_XER(r1)
	ld	r7, TRAP_LR(r1)
	ld	r8, TRAP_CR(r1)
	mtspr	SPR_SRR0, r3
	mtspr	SPR_SRR1, r4
	mtctr	r5
	mtxer	r6
	mtlr	r7
	mtcr	r8
	.irp	n, 0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
	ld	r\n, (TRAP_GPR0 + 8 * \n)(r1)
	.endr
	ld	r1, (TRAP_GPR0 + 8 * 1)(r1)
	rfid
end_function trap_return
	.globl	__trap_end
__trap_end:

	.section .note.GNU-stack, "", @progbits
