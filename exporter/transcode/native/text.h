/* Leaf routines over bytes: text checks, key splitting, hex, and a keyed hash. They allocate nothing and read exactly
 * the bytes they are given. */
#ifndef OTLP_MONGO_TEXT_H
#define OTLP_MONGO_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the native transcoder copies protobuf's little-endian numbers to BSON as they are: little-endian machines only"
#endif

#define OTLP_HIGH_BITS 0x8080808080808080u
#define OTLP_LOW_BITS 0x0101010101010101u

static inline uint64_t otlp_load64(const uint8_t *at) {
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

/* Up to 8 bytes, the missing ones as `fill`. */
static inline uint64_t otlp_load_tail(const uint8_t *at, size_t size, uint8_t fill) {
    uint64_t word = OTLP_LOW_BITS * fill;
    memcpy(&word, at, size);
    return word;
}

/* How many bytes the UTF-8 sequence at `at` has (RFC 3629, section 4: no surrogates, nothing overlong); 0: none. */
static size_t otlp_utf8_sequence(const uint8_t *at, size_t size) {
    uint8_t lead = at[0], low = 0x80, high = 0xBF;
    size_t length;
    if (lead < 0x80) return 1;
    if (lead < 0xC2) return 0;
    if (lead < 0xE0) length = 2;
    else if (lead < 0xF0) {
        length = 3;
        if (lead == 0xE0) low = 0xA0;
        if (lead == 0xED) high = 0x9F;
    } else if (lead < 0xF5) {
        length = 4;
        if (lead == 0xF0) low = 0x90;
        if (lead == 0xF4) high = 0x8F;
    } else return 0;
    if (size < length || at[1] < low || at[1] > high) return 0;
    for (size_t i = 2; i < length; i++)
        if ((at[i] & 0xC0) != 0x80) return 0;
    return length;
}

static int otlp_is_utf8_slow(const uint8_t *at, size_t size) {
    while (size) {
        if (size >= 8 && !(otlp_load64(at) & OTLP_HIGH_BITS)) {
            at += 8, size -= 8;
            continue;
        }
        size_t length = otlp_utf8_sequence(at, size);
        if (!length) return 0;
        at += length, size -= length;
    }
    return 1;
}

/* Text is mostly ASCII: one pass that only looks for a high bit, 8 bytes at a time, the last 8 possibly twice. */
static inline int otlp_is_utf8(const uint8_t *at, size_t size) {
    uint64_t seen = 0;
    if (size >= 8) {
        for (size_t i = 0; i + 8 < size; i += 8) seen |= otlp_load64(at + i);
        seen |= otlp_load64(at + size - 8);
    } else if (size) {
        seen = otlp_load_tail(at, size, 0);
    }
    return !(seen & OTLP_HIGH_BITS) || otlp_is_utf8_slow(at, size);
}

/* The 8 lower-case digits of 4 bytes. */
static inline uint64_t otlp_hex4(uint32_t bytes) {
    uint64_t x = bytes;
    x = (x | x << 16) & 0x0000FFFF0000FFFFu;
    x = (x | x << 8) & 0x00FF00FF00FF00FFu;
    x = (x >> 4 | x << 8) & 0x0F0F0F0F0F0F0F0Fu;
    /* A nibble over 9 carries into bit 4 when 6 is added to it, and is a letter. */
    return x + OTLP_LOW_BITS * '0' + ((x + OTLP_LOW_BITS * 6) >> 4 & OTLP_LOW_BITS) * ('a' - '0' - 10);
}

static inline void otlp_hex(char *out, const uint8_t *at, size_t size) {
    for (; size >= 4; at += 4, out += 8, size -= 4) {
        uint32_t bytes;
        memcpy(&bytes, at, 4);
        uint64_t digits = otlp_hex4(bytes);
        memcpy(out, &digits, 8);
    }
    if (!size) return; /* as after any id of the right size */
    uint32_t bytes = 0;
    memcpy(&bytes, at, size);
    uint64_t digits = otlp_hex4(bytes);
    memcpy(out, &digits, 2 * size);
}

/* Bit 7 of each byte of the result says whether that byte of `word` equals `byte`. Exact, unlike the shorter trick. */
static inline uint64_t otlp_match(uint64_t word, uint8_t byte) {
    uint64_t x = word ^ (OTLP_LOW_BITS * byte);
    return ~(((x & ~OTLP_HIGH_BITS) + ~OTLP_HIGH_BITS) | x) & OTLP_HIGH_BITS;
}

static const char OTLP_UNNESTED[] = "attributesUnnested";

/* Where each segment of a dotted key ends, in `ends` (which has room for `most`). Returns the number of segments; 0:
 * the key cannot be nested, whatever else is in its list (docs/documents.md, Attributes). */
static inline unsigned otlp_split_key(const uint8_t *key, size_t size, uint32_t *ends, unsigned most) {
    uint64_t high = 0;
    unsigned count = 0;
    size_t start = 0;
    for (size_t base = 0; base <= size; base += 8) {
        /* The end of the key counts as a dot: it ends a segment like any other. */
        size_t left = size - base;
        uint64_t word = left >= 8 ? otlp_load64(key + base) : otlp_load_tail(key + base, left, '.');
        high |= word;
        if (otlp_match(word, 0)) return 0;
        for (uint64_t dots = otlp_match(word, '.'); dots; dots &= dots - 1) {
            size_t end = base + ((unsigned)__builtin_ctzll(dots) >> 3);
            if (end > size) break;
            size_t length = end - start;
            if (!length || key[start] == '$' || count == most) return 0;
            if (length == sizeof OTLP_UNNESTED - 1 && !memcmp(key + start, OTLP_UNNESTED, length)) return 0;
            ends[count++] = (uint32_t)end;
            start = end + 1;
        }
    }
    if ((high & OTLP_HIGH_BITS) && !otlp_is_utf8_slow(key, size)) return 0;
    return count;
}

/* A hash of many texts, one text at a time: good for guessing only. It looks at a text's size and at its end, where it reads
 * up to 8 bytes of the payload that the text is part of. */
static inline uint64_t otlp_mix(uint64_t hashed, const uint8_t *payload, const uint8_t *at, size_t size) {
    uint64_t word = size;
    if (size >= 8) word ^= otlp_load64(at + size - 8);
    else if (size && (size_t)(at - payload) >= 8) word ^= otlp_load64(at + size - 8) >> (64 - 8 * size);
    hashed = (hashed ^ word) * 0x9E3779B97F4A7C15u;
    return hashed ^ hashed >> 32;
}

#define OTLP_ROTL(x, b) (((x) << (b)) | ((x) >> (64 - (b))))
#define OTLP_SIPROUND                                                    \
    do {                                                                 \
        v0 += v1; v1 = OTLP_ROTL(v1, 13); v1 ^= v0; v0 = OTLP_ROTL(v0, 32); \
        v2 += v3; v3 = OTLP_ROTL(v3, 16); v3 ^= v2;                      \
        v0 += v3; v3 = OTLP_ROTL(v3, 21); v3 ^= v0;                      \
        v2 += v1; v1 = OTLP_ROTL(v1, 17); v1 ^= v2; v2 = OTLP_ROTL(v2, 32); \
    } while (0)

/* SipHash-1-3 (Aumasson and Bernstein, 2012): without the secret key nobody can choose names that collide. `parent` is
 * hashed as if it stood before the name. */
static uint64_t otlp_siphash(const uint64_t secret[2], uint32_t parent, const uint8_t *at, size_t size) {
    uint64_t v0 = 0x736f6d6570736575u ^ secret[0], v1 = 0x646f72616e646f6du ^ secret[1];
    uint64_t v2 = 0x6c7967656e657261u ^ secret[0], v3 = 0x7465646279746573u ^ secret[1];
    uint64_t last = (uint64_t)(size + 8) << 56, word = parent;
    for (;;) {
        v3 ^= word;
        OTLP_SIPROUND;
        v0 ^= word;
        if (size < 8) break;
        word = otlp_load64(at);
        at += 8, size -= 8;
    }
    last |= otlp_load_tail(at, size, 0);
    v3 ^= last;
    OTLP_SIPROUND;
    v0 ^= last;
    v2 ^= 0xff;
    OTLP_SIPROUND;
    OTLP_SIPROUND;
    OTLP_SIPROUND;
    return v0 ^ v1 ^ v2 ^ v3;
}

#endif
