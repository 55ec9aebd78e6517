/* CRC-32 as in zlib and Ethernet: polynomial 0x04C11DB7, reflected, initial value and final XOR of all ones. */
#ifndef HIL_CRC32_H
#define HIL_CRC32_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

uint32_t hil_crc32(const uint8_t* data, size_t size);

#ifdef __cplusplus
}
#endif

#endif /* HIL_CRC32_H */
