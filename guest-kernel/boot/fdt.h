/*
 * Reads the flattened device tree that samara's monitor builds (Devicetree Specification 0.4,
 * chapter 5). Only what struct boot_info holds is looked at.
 */
#ifndef GUEST_KERNEL_BOOT_FDT_H
#define GUEST_KERNEL_BOOT_FDT_H

#include "guest-kernel/boot/boot_info.h"

/*
 * Fills *out from the tree in blob[0..size). False if the blob is malformed, and then *out is zero;
 * nothing outside the blob is read whatever its contents. Strings in *out point into the blob.
 */
bool fdt_parse(const void *blob, size_t size, struct boot_info *out);

#endif
