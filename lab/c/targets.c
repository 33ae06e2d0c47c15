/* Functions to be traced and patched, compiled with -pg -mprofile-kernel as the
   kernel of 2016 was: `mflr r0; bl _mcount` at the local entry. */

#include <stdarg.h>

long c_calls;
extern long rust_twice(long value);

/* A leaf without TOC set-up: at its site, r2 is whatever its caller had. */
__attribute__((noinline)) long c_leaf(long value)
{
	return 3 * value + 1;
}

/* Uses a global, so it sets up its TOC and has a global entry of its own. */
__attribute__((noinline)) long c_counts(long value)
{
	c_calls++;
	return value + c_calls;
}

/* Two arguments more than fit in registers. */
__attribute__((noinline)) long c_sum10(long a, long b, long c, long d, long e,
				       long f, long g, long h, long i, long j)
{
	return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h + 9 * i + 10 * j;
}

__attribute__((noinline)) long c_variadic(int count, ...)
{
	va_list list;
	long sum = 0;

	va_start(list, count);
	for (int index = 0; index < count; index++)
		sum = 31 * sum + va_arg(list, long);
	va_end(list);
	return sum;
}

/* Ends in a tail call. */
__attribute__((noinline)) long c_tail(long value)
{
	return c_leaf(value + 1);
}

/* Into Rust and back. */
__attribute__((noinline)) long c_into_rust(long value)
{
	return rust_twice(value) + 1;
}

/* Two functions of one body; gcc would call one for both if it were let. */
static __attribute__((noinline)) long c_twin(long value)
{
	return 2 * value + 5;
}

static __attribute__((noinline)) long c_other_twin(long value)
{
	return 2 * value + 5;
}

/* The sum of both, the other's counted a thousandfold. */
__attribute__((noinline)) long c_twins(long value)
{
	return c_twin(value) + 1000 * c_other_twin(value);
}

/* One function of two names. */
__attribute__((noinline)) long c_first_name(long value)
{
	return 2 * value + 7;
}

__attribute__((alias("c_first_name"))) long c_second_name(long value);
