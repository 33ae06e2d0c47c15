/* Say here what this patch changes, and why. */

#include <klp.h>

/* What an account holds after so many years, at one percent without compound interest, which
   the kernel's own adds. Make it something else. */
KLP_REPLACEMENT(unsigned long, balance, (unsigned long account, unsigned long years),
		(account, years))
{
	(void)account;
	return 10000 + 100 * years;
}
