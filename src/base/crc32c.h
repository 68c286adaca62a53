/*
 * crc32c.h - the Castagnoli checksum of iSCSI, ext4 and our own file formats.
 * Uses the processor's instruction where it has one.
 */
#ifndef BASE_CRC32C_H
#define BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/*
 * Checksum of data appended to bytes whose checksum is crc; begin with 0.
 * crc32c(crc32c(0, a), b) is the checksum of a and b together.
 */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);
/* The same without the instruction; for tests. */
uint32_t crc32c_table(uint32_t crc, const void *data, size_t len);

#endif
