/* Leaf routines over the bytes of JSON strings. They allocate nothing and read only the bytes they are given. */
#ifndef OTLP_MONGO_JSON_TEXT_H
#define OTLP_MONGO_JSON_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the native JSON converter writes numbers as they lie in memory: little-endian machines only"
#endif

#define JSON_EACH(byte) (0x0101010101010101u * (byte))

/* A high bit for each byte that is 0; above the lowest such byte there may be more of them. */
static inline uint64_t json_zeros(uint64_t word) { return (word - JSON_EACH(1)) & ~word & JSON_EACH(0x80); }

/* The first byte that is a quote, a backslash, a control character or not ASCII; `end`: there is none. */
static inline const uint8_t *json_plain_end(const uint8_t *at, const uint8_t *end) {
    for (; end - at >= 8; at += 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        uint64_t stops = json_zeros(word ^ JSON_EACH('"')) | json_zeros(word ^ JSON_EACH('\\')) |
                         ((word - JSON_EACH(0x20)) & ~word & JSON_EACH(0x80)) | (word & JSON_EACH(0x80));
        if (stops) return at + (__builtin_ctzll(stops) >> 3);
    }
    while (at != end && *at >= 0x20 && *at < 0x80 && *at != '"' && *at != '\\') at++;
    return at;
}

/* How many bytes the UTF-8 sequence at `at` has (RFC 3629, section 4: no surrogates, nothing overlong); 0: none. */
static inline size_t json_utf8_sequence(const uint8_t *at, const uint8_t *end) {
    uint8_t lead = at[0], low = 0x80, high = 0xBF;
    size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (lead < 0xC2 || lead > 0xF4 || (size_t)(end - at) < length) return 0;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
    if (at[1] < low || at[1] > high) return 0;
    for (size_t i = 2; i < length; i++)
        if ((at[i] & 0xC0) != 0x80) return 0;
    return length;
}

/* The value of a hexadecimal digit; -1: it is none. */
static inline int json_hex_digit(uint8_t letter) {
    if (letter >= '0' && letter <= '9') return letter - '0';
    letter |= 0x20;
    return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

/* The value of a digit of base64, the standard one's or the URL-safe one's; -1: it is none. */
static inline int json_base64_digit(uint8_t letter) {
    if (letter >= 'A' && letter <= 'Z') return letter - 'A';
    if (letter >= 'a' && letter <= 'z') return letter - 'a' + 26;
    if (letter >= '0' && letter <= '9') return letter - '0' + 52;
    if (letter == '+' || letter == '-') return 62;
    return letter == '/' || letter == '_' ? 63 : -1;
}

/* The UTF-16 unit of the four digits at `at`; -1: they are none. */
static inline int32_t json_utf16_unit(const uint8_t *at, const uint8_t *end) {
    int32_t unit = 0;
    if (end - at < 4) return -1;
    for (int i = 0; i < 4; i++) {
        int digit = json_hex_digit(at[i]);
        if (digit < 0) return -1;
        unit = unit << 4 | digit;
    }
    return unit;
}

/* The end of the escape at `at`, which is a backslash (RFC 8259, section 7), and the character that it stands for.
 * NULL: it is none, or half of a surrogate pair. */
static inline const uint8_t *json_escape(const uint8_t *at, const uint8_t *end, uint32_t *character) {
    if (end - at < 2) return NULL;
    switch (at[1]) {
        case '"': case '\\': case '/': *character = at[1]; return at + 2;
        case 'b': *character = '\b'; return at + 2;
        case 'f': *character = '\f'; return at + 2;
        case 'n': *character = '\n'; return at + 2;
        case 'r': *character = '\r'; return at + 2;
        case 't': *character = '\t'; return at + 2;
        case 'u': break;
        default: return NULL;
    }
    int32_t unit = json_utf16_unit(at + 2, end), low;
    if (unit < 0 || (unit >= 0xDC00 && unit <= 0xDFFF)) return NULL;
    at += 6;
    *character = (uint32_t)unit;
    if (unit < 0xD800 || unit > 0xDBFF) return at;
    if (end - at < 6 || at[0] != '\\' || at[1] != 'u') return NULL;
    low = json_utf16_unit(at + 2, end);
    if (low < 0xDC00 || low > 0xDFFF) return NULL;
    *character = 0x10000u + (((uint32_t)unit - 0xD800u) << 10) + ((uint32_t)low - 0xDC00u);
    return at + 6;
}

/* Writes a character as UTF-8, which takes no more bytes than its escape. Returns what is behind it. */
static inline uint8_t *json_put_utf8(uint8_t *out, uint32_t character) {
    if (character < 0x80) {
        *out++ = (uint8_t)character;
        return out;
    }
    if (character < 0x800) {
        *out++ = (uint8_t)(0xC0 | character >> 6);
    } else {
        if (character < 0x10000) {
            *out++ = (uint8_t)(0xE0 | character >> 12);
        } else {
            *out++ = (uint8_t)(0xF0 | character >> 18);
            *out++ = (uint8_t)(0x80 | (character >> 12 & 0x3F));
        }
        *out++ = (uint8_t)(0x80 | (character >> 6 & 0x3F));
    }
    *out++ = (uint8_t)(0x80 | (character & 0x3F));
    return out;
}

#endif
