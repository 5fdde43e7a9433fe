/* BLAKE2b (RFC 7693) of 8 bytes, without a key, of texts of at most one block: hashlib's call costs thrice as much. */

#ifndef STOREPULSE_BLAKE2B_H
#define STOREPULSE_BLAKE2B_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define BLAKE2B_BLOCK_BYTES 128
#define BLAKE2B_DIGEST_BYTES 8

static const uint64_t blake2b_iv[8] = {
    0x6a09e667f3bcc908ULL, 0xbb67ae8584caa73bULL, 0x3c6ef372fe94f82bULL, 0xa54ff53a5f1d36f1ULL,
    0x510e527fade682d1ULL, 0x9b05688c2b3e6c1fULL, 0x1f83d9abfb41bd6bULL, 0x5be0cd19137e2179ULL,
};

static inline uint64_t blake2b_rotate(uint64_t word, int bits) { return (word >> bits) | (word << (64 - bits)); }

static inline uint64_t blake2b_load(const uint8_t *bytes) {
    uint64_t word = 0;
    for (int i = 7; i >= 0; i--) word = word << 8 | bytes[i];
    return word;
}

#define BLAKE2B_MIX(a, b, c, d, x, y) \
    a += b + m[x]; d = blake2b_rotate(d ^ a, 32); c += d; b = blake2b_rotate(b ^ c, 24); \
    a += b + m[y]; d = blake2b_rotate(d ^ a, 16); c += d; b = blake2b_rotate(b ^ c, 63);

#define BLAKE2B_ROUND(s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13, s14, s15) \
    BLAKE2B_MIX(v0, v4, v8, v12, s0, s1) BLAKE2B_MIX(v1, v5, v9, v13, s2, s3) \
    BLAKE2B_MIX(v2, v6, v10, v14, s4, s5) BLAKE2B_MIX(v3, v7, v11, v15, s6, s7) \
    BLAKE2B_MIX(v0, v5, v10, v15, s8, s9) BLAKE2B_MIX(v1, v6, v11, v12, s10, s11) \
    BLAKE2B_MIX(v2, v7, v8, v13, s12, s13) BLAKE2B_MIX(v3, v4, v9, v14, s14, s15)

/* `size` is at most BLAKE2B_BLOCK_BYTES. */
static inline void blake2b_8(const char *data, size_t size, uint8_t *digest) {
    const uint64_t first = blake2b_iv[0] ^ 0x01010000 ^ BLAKE2B_DIGEST_BYTES;
    uint8_t block[BLAKE2B_BLOCK_BYTES] = {0};
    uint64_t m[16];
    memcpy(block, data, size);
    for (int i = 0; i < 16; i++) m[i] = blake2b_load(block + 8 * i);
    uint64_t v0 = first, v1 = blake2b_iv[1], v2 = blake2b_iv[2], v3 = blake2b_iv[3];
    uint64_t v4 = blake2b_iv[4], v5 = blake2b_iv[5], v6 = blake2b_iv[6], v7 = blake2b_iv[7];
    uint64_t v8 = blake2b_iv[0], v9 = blake2b_iv[1], v10 = blake2b_iv[2], v11 = blake2b_iv[3];
    uint64_t v12 = blake2b_iv[4] ^ size, v13 = blake2b_iv[5], v14 = ~blake2b_iv[6], v15 = blake2b_iv[7];
    BLAKE2B_ROUND(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
    BLAKE2B_ROUND(14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3)
    BLAKE2B_ROUND(11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4)
    BLAKE2B_ROUND(7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8)
    BLAKE2B_ROUND(9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13)
    BLAKE2B_ROUND(2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9)
    BLAKE2B_ROUND(12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11)
    BLAKE2B_ROUND(13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10)
    BLAKE2B_ROUND(6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5)
    BLAKE2B_ROUND(10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0)
    BLAKE2B_ROUND(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
    BLAKE2B_ROUND(14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3)
    const uint64_t word = first ^ v0 ^ v8;
    for (int i = 0; i < BLAKE2B_DIGEST_BYTES; i++) digest[i] = (uint8_t)(word >> 8 * i);
}

#undef BLAKE2B_MIX
#undef BLAKE2B_ROUND

#endif
