/* murmur2 as Kafka's default partitioner has it: seed 0x9747b28c, 32 bits, little endian. */
#ifndef STOREPULSE_MURMUR2_H
#define STOREPULSE_MURMUR2_H

#include <stddef.h>
#include <stdint.h>

static inline uint32_t kafka_murmur2(const char *text, size_t size) {
    const uint8_t *data = (const uint8_t *)text;
    const uint32_t m = 0x5bd1e995;
    uint32_t h = 0x9747b28c ^ (uint32_t)size;
    for (; size >= 4; data += 4, size -= 4) {
        uint32_t k = (uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 24;
        k *= m;
        k ^= k >> 24;
        h = h * m ^ k * m;
    }
    if (size) {
        for (size_t i = 0; i < size; i++) h ^= (uint32_t)data[i] << 8 * i;
        h *= m;
    }
    h ^= h >> 13;
    h *= m;
    return h ^ h >> 15;
}

#endif
