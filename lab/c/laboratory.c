/* Functions that the conformance cases replace, compiled with -pg
   -mprofile-kernel as the kernel of 2016 was: `mflr r0; bl _mcount` at the local
   entry. Their replacements are in patches/cases. */

#include <stdarg.h>

struct small {
	long v[2];
};
struct medium {
	long v[3];
};
struct large {
	long v[9];
};

long lab_calls;

/* Uses a global, so it sets up its TOC and has a global entry of its own. */
__attribute__((noinline)) long lab_counted(long value)
{
	lab_calls++;
	return value + 1;
}

/* A leaf without TOC set-up: at its site, r2 is whatever its caller had. */
__attribute__((noinline)) long lab_leaf(long value)
{
	return value + 1;
}

/* Ends in a tail call, with no code behind it that would mind r2. */
__attribute__((noinline)) long lab_tail(long value)
{
	return lab_leaf(value + 10);
}

static long sum(int count, va_list list)
{
	long sum = 0;

	for (int index = 0; index < count; index++)
		sum += (index + 1) * va_arg(list, long);
	return sum;
}

/* Variable arguments; the replacement takes twelve fixed ones. */
__attribute__((noinline)) long lab_variadic(int count, ...)
{
	va_list list;
	long result;

	va_start(list, count);
	result = sum(count, list);
	va_end(list);
	return result;
}

/* The same; the replacement takes variable ones too. */
__attribute__((noinline)) long lab_variadic_list(int count, ...)
{
	va_list list;
	long result;

	va_start(list, count);
	result = sum(count, list);
	va_end(list);
	return result;
}

/* Structs by value: in registers, and the last two doublewords on the stack. */
__attribute__((noinline)) long lab_small(struct small s)
{
	return s.v[0] + 2 * s.v[1];
}

__attribute__((noinline)) long lab_medium(struct medium s)
{
	return s.v[0] + 2 * s.v[1] + 3 * s.v[2];
}

__attribute__((noinline)) long lab_large(long first, struct large s)
{
	long result = first;

	for (int index = 0; index < 9; index++)
		result += (index + 2) * s.v[index];
	return result;
}

/* A struct that is returned through a hidden pointer. */
__attribute__((noinline)) struct large lab_hidden(long first, long step)
{
	struct large s;

	for (int index = 0; index < 9; index++)
		s.v[index] = first + index * step;
	return s;
}
