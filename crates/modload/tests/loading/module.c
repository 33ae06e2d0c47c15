/* What a module of C does: calls inside and outside, data of every kind,
   a jump table, pointers to functions and data, weak symbols. */

extern long outer(const char *text, long number);
extern long other(long number);
extern long data;
extern long (*table[4])(long);
extern long missing __attribute__((weak));

static long counter;
static long written = 5;
long large[4096];
const char *names[] = {"first", "second"};

long entry(long number);

long (*const functions[])(long) = {entry, other};

static __attribute__((noinline)) long helper(long number)
{
	counter += number;
	written ^= number;
	return outer(names[number & 1], data + large[number] + written);
}

static __attribute__((noinline)) long leaf(long number)
{
	return number * 3 + 1;
}

/* Calls itself, and not at its end. */
__attribute__((noinline)) long recursive(long number)
{
	return number < 2 ? leaf(number) : recursive(number - 1) * 3 + recursive(number - 2);
}

long entry(long number)
{
	switch (number) {
	case 0: return helper(3);
	case 1: return 7 + helper(number);
	case 2: return large[3];
	case 3: return outer("literal", 1) + 1;
	case 4: return counter;
	case 5: return table[2](number) + 1;
	case 6: return (long)&entry;
	case 7: return (long)&missing;
	case 8: return recursive(number) - 1;
	case 9: return functions[number & 1](number) + (long)names;
	}
	return helper(number) * 2 + other(number);
}
