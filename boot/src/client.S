/* Calls into Open Firmware. */

#include "asm.h"

#define SAVED_MSR	FRAME_SIZE
#define SAVED_GPR(n)	(FRAME_SIZE + 8 + 8 * ((n) - 13))
#define CLIENT_FRAME	((SAVED_GPR(32) + 15) & ~15)

	.text

/* client_call(arguments, entry) -> status

   The client interface runs in 32-bit mode and big endian, and keeps only
   what IEEE 1275's PowerPC binding asks of it: r1, r2, r13 to r31 and CR, of
   which a 32-bit firmware may well drop the upper halves.

   On entry: r3 = argument array, below 4 GiB; r4 = client interface entry.
   On exit: r3 = the firmware's status, 0 for success.
   Clobbers: what the ABI lets a function clobber, SRR0, SRR1.
   Stack: one frame, below 4 GiB, with all nonvolatile registers. */
function client_call
	mflr	r0
	std	r0, FRAME_LR_SAVE(r1)
	mfcr	r0
	stw	r0, FRAME_CR_SAVE(r1)
	stdu	r1, -CLIENT_FRAME(r1)
	std	r2, FRAME_TOC_SAVE(r1)
	mfmsr	r0
	std	r0, SAVED_MSR(r1)
	.irp	n, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
	std	r\n, SAVED_GPR(\n)(r1)
	.endr

	/* Come back to 1, in whatever mode the firmware left. */
	lis	r5, 1f@ha
	addi	r5, r5, 1f@l
	mtlr	r5
	li	r6, MSR_ME		/* SF = 0, LE = 0 */
	li	r7, 0
	mtmsrd	r7, 1			/* EE = RI = 0: SRR0 and SRR1 are ours */
	mtsrr0	r4
	mtsrr1	r6
	rfid

1:	to_little_endian
	enter_kernel_state
	clrldi	r1, r1, 32
	ld	r0, SAVED_MSR(r1)
	mtmsrd	r0
	ld	r2, FRAME_TOC_SAVE(r1)
	.irp	n, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
	ld	r\n, SAVED_GPR(\n)(r1)
	.endr
	addi	r1, r1, CLIENT_FRAME
	lwz	r0, FRAME_CR_SAVE(r1)
	mtcr	r0
	ld	r0, FRAME_LR_SAVE(r1)
	mtlr	r0
	extsw	r3, r3
	blr
end_function client_call

	.section .note.GNU-stack, "", @progbits
