/* Say here what this patch changes, and why. */

#include <klp.h>

/* Three times a number, and two: one more than the kernel's own. Make it something else. */
KLP_REPLACEMENT(unsigned long, leaf, (unsigned long value), (value))
{
	return value * 3 + 2;
}
