/* Replacement functions in C. What they return differs from what the old ones do. */

#include <klp.h>
#include <stdarg.h>
#include <stdbool.h>

typedef unsigned long u64;

extern long rust_twice(long value);
extern long c_leaf(long value);

/* Static data: how often this module's functions were called. */
static u64 calls;

/* A jump table, and string literals behind pointers. */
static const char *name_of(u64 value)
{
	switch (value % 8) {
	case 0: return "none";
	case 1: return "one";
	case 2: calls += 2; return "a pair";
	case 3: return "three";
	case 4: calls += 4; return "four";
	case 5: return "a handful";
	case 6: return "half a dozen";
	default: return "many";
	}
}

static u64 length_of(const char *text)
{
	u64 length = 0;

	while (text[length])
		length++;
	return length;
}

/* Nine of these, and the value a hundredfold: 509 for 5. */
KLP_REPLACEMENT(u64, leaf, (u64 value), (value))
{
	calls++;
	return 100 * value + length_of(name_of(value));
}

/* Four arguments are on the stack. Keeps all of them over calls of the kernel's, so that
   it needs most nonvolatile registers. */
KLP_REPLACEMENT(u64, sum12,
		(u64 a, u64 b, u64 c, u64 d, u64 e, u64 f, u64 g, u64 h, u64 i, u64 j, u64 k, u64 l),
		(a, b, c, d, e, f, g, h, i, j, k, l))
{
	u64 twice = rust_twice(a) + rust_twice(l);

	calls++;
	return twice + a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h + 9 * i +
	       10 * j + 11 * k + 12 * l;
}

/* A table of functions, called by pointer. */
static long above(long value) { return value + 1; }
static long below(long value) { return value - 1; }
static long (*const STEPS[])(long) = { above, below };

KLP_REPLACEMENT(long, find, (u64 wanted, u64 limit), (wanted, limit))
{
	calls++;
	return STEPS[limit % 2](wanted);
}

KLP_REPLACEMENT(bool, is_even, (unsigned int value), (value))
{
	calls++;
	return value % 2;
}

struct report {
	u64 calls;
	u64 ticks;
	u64 values[3];
};

/* Through a hidden pointer. */
KLP_REPLACEMENT_VOID(report, (struct report *hidden, u64 value), (hidden, value))
{
	struct report made = { ++calls, klp_ticks(), { value, 3 * value, 5 * value } };

	*hidden = made;
}

KLP_REPLACEMENT_VOID(nothing, (void), ())
{
	calls += 1000;
}

/* Calls the kernel, in Rust and in C. */
KLP_REPLACEMENT(long, counts, (long value), (value))
{
	calls++;
	return rust_twice(value) + c_leaf(value);
}

/* Of the loop, -O3 makes two: the question is the same each time. */
static __attribute__((noinline)) long sum(int count, va_list list)
{
	long sum = 0;

	for (int index = 0; index < count; index++)
		sum += count > 1 ? (index + 1) * va_arg(list, long) : va_arg(list, long);
	return sum;
}

/* Variable arguments: written out, because only this function can look at them. */
long variadic(int count, ...);
long variadic(int count, ...)
{
	va_list list;
	long result;

	va_start(list, count);
	result = sum(count, list);
	va_end(list);
	KLP_RETURN(result);
}
