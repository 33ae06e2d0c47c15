/* What the assembly files of the boot stage have in common. */

#include "layout.h"

/* The machine state that the kernel runs in: 64-bit, machine checks on,
   recoverable, little endian; everything else off. Without MSR_SF, which does
   not fit in an immediate. */
#define MSR_KERNEL_LOW	(MSR_ME | MSR_RI | MSR_LE)

/* Opens a function that uses no TOC: its global and local entry are one. */
.macro function name
	.globl	\name
	.type	\name, @function
	.balign	16
\name:
.endm

.macro end_function name
	.size	\name, . - \name
.endm

/* An instruction word for a CPU that fetches in big endian. */
.macro swapped word
	.long	(((\word) & 0xff) << 24) | (((\word) & 0xff00) << 8) | (((\word) >> 8) & 0xff00) | (((\word) >> 24) & 0xff)
.endm

/* Goes on in little endian whatever the CPU fetches in now.

   The first word is `tdi 0, 0, 0x48` in little endian, which never traps; the
   same bytes in big endian are `b . + 8`. So a little-endian CPU takes the
   branch in the second word, and a big-endian one runs the swapped words.

   On exit: r9 = 1 if the CPU was in big endian, else 0; MSR[EE] and MSR[RI]
   are clear if it was. Clobbers r10, r11, LR, SRR0, SRR1. No stack. */
.macro to_little_endian
	tdi	0, 0, 0x48
	b	771f
	swapped	0x39200001		/* li	   r9, 1 */
	swapped	0x39400000		/* li	   r10, 0 */
	swapped	0x7d410164		/* mtmsrd  r10, 1: no interrupt may touch SRR0 */
	swapped	0x7d6000a6		/* mfmsr   r11 */
	swapped	0x696b0001		/* xori	   r11, r11, MSR_LE */
	swapped	0x429f0005		/* bcl	   20, 31, . + 4 */
770:	swapped	0x7d4802a6		/* mflr	   r10 = address of 770 */
	swapped	(0x394a0000 + 772f - 770b) /* addi r10, r10, 772f - 770b */
	swapped	0x7d5a03a6		/* mtsrr0  r10 */
	swapped	0x7d7b03a6		/* mtsrr1  r11 */
	swapped	0x4c000024		/* rfid */
771:	li	r9, 0
772:
.endm

/* Sets MSR to the kernel's. Clobbers r10, r11. */
.macro enter_kernel_state
	li	r10, MSR_KERNEL_LOW
	li	r11, 1
	sldi	r11, r11, 63		/* MSR_SF */
	or	r10, r10, r11
	mtmsrd	r10
.endm
