/* The doorbell's registers (platform.h): 32-bit, write-only, any value. For assembly, too. */
#ifndef SAMARA_ABI_PLATFORM_DOORBELL_H
#define SAMARA_ABI_PLATFORM_DOORBELL_H

#define SAMARA_DOORBELL_EXIT     0x0 /* exit_kind and exit_code are valid; never returns */
#define SAMARA_DOORBELL_TERMINAL 0x4 /* the terminal shall have the modes in the page */
#define SAMARA_DOORBELL_TOUCHED  0x8 /* `touch` has done what it was run for */

#endif
