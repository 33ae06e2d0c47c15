/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/* What a replacement function in C needs: docs/c-patches.md.

   KLP_REPLACEMENT makes two functions. The one that calls are diverted to opens a
   frame, calls the body, and follows the module's return convention. The body is a
   function like any other: what gcc makes of it, jump tables and register saves in
   functions of the linker's included, is between the two. The proof of the linked module
   (xtask/src/proof) judges what has come of it. */

#ifndef KLP_H
#define KLP_H

/* crates/cpatch says which convention the module is built in, and passes the offsets of
   crates/layout:

   KLP_PLAIN, KLP_EPILOGUE, KLP_AS_POSTED or KLP_PCREL   defined: the convention
   KLP_BACK_CHAIN, KLP_RESERVED, KLP_LR_SAVE             of FrameHeader */

/* The stack pointer: what depends on an open frame takes it as an input, so that gcc
   leaves it between the frame's opening and its end. */
register unsigned long klp_r1 __asm__("r1");

/* The return convention, with a value pinned in its register (klp::convention).
   On entry: a frame is open, LR saved in the caller's. On exit: r2 = the caller's TOC
   pointer, and nothing but the return may follow. Clobbers: r0, r11, LR. */
#if defined(KLP_PLAIN)
/* Nothing, but behind the body: so that its call is no tail call. */
#define KLP_RESTORE(...) __asm__ volatile("" : __VA_ARGS__ : : "memory")
#else
#if defined(KLP_AS_POSTED)
#define KLP_BASE "0" /* as a base register: the number 0 */
#else
#define KLP_BASE "11"
#endif
#define KLP_RESTORE(...)                                                       \
	__asm__ volatile(                                                      \
		"ld " KLP_BASE ", %c[chain](%[sp])\n\t"    /* caller's frame */ \
		"lwa 2, %c[reserved](" KLP_BASE ")\n\t"    /* TOC - LR */     \
		"ld 0, %c[lr](" KLP_BASE ")\n\t"           /* LR */           \
		"add 2, 2, 0"                              /* TOC */          \
		: __VA_ARGS__                                                  \
		: [sp] "r"(klp_r1), [chain] "i"(KLP_BACK_CHAIN),               \
		  [reserved] "i"(KLP_RESERVED), [lr] "i"(KLP_LR_SAVE)          \
		: "r0", "r11", "lr", "memory")
#endif

/* Ends a replacement function: returns a value, or nothing. Before that it calls at least
   one function, so that a frame is open, and does nothing that becomes a jump table or a
   tail call. */
#define KLP_RETURN(value)                                                      \
	do {                                                                   \
		__typeof__(value) klp_result = (value);                        \
		_Static_assert(sizeof(klp_result) <= sizeof(long),             \
			       "a replacement returns an integer or a pointer"); \
		KLP_RESTORE("+r"(klp_result));                                 \
		return klp_result;                                             \
	} while (0)
#define KLP_RETURN_VOID()                                                      \
	do {                                                                   \
		KLP_RESTORE();                                                 \
		return;                                                        \
	} while (0)

/* A replacement function; its body follows. The names of the parameters are said twice:

       KLP_REPLACEMENT(long, add, (long a, long b), (a, b))
       {
               return a + b;
       }

   It returns an integer or a pointer. A larger result is written through a pointer that
   is the first parameter, and the function is a KLP_REPLACEMENT_VOID: the ABI passes it so
   (ELFv2 2.2.4). */
#define KLP_REPLACEMENT(type, name, parameters, arguments)                     \
	static __attribute__((noinline, noclone)) type name##_body parameters; \
	type name parameters;                                                  \
	type name parameters                                                   \
	{                                                                      \
		KLP_RETURN(name##_body arguments);                             \
	}                                                                      \
	static type name##_body parameters

/* The same for one that returns nothing. */
#define KLP_REPLACEMENT_VOID(name, parameters, arguments)                      \
	static __attribute__((noinline, noclone)) void name##_body parameters; \
	void name parameters;                                                  \
	void name parameters                                                   \
	{                                                                      \
		name##_body arguments;                                         \
		KLP_RETURN_VOID();                                             \
	}                                                                      \
	static void name##_body parameters

/* What the kernel exports to every module. */
extern void klp_print(const char *text, unsigned long bytes);
extern unsigned long klp_ticks(void);
extern void klp_sleep(unsigned long milliseconds);

/* Prints a string literal. */
#define KLP_PRINT(text) klp_print(text, sizeof(text) - 1)

#endif
