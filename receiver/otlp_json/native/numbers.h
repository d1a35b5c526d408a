/* Decimal numbers (RFC 8259, section 6). */
#ifndef OTLP_MONGO_JSON_NUMBERS_H
#define OTLP_MONGO_JSON_NUMBERS_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

typedef struct {
    int whole;          /* an integer that 64 bits hold, with or without a sign */
    int negative;
    uint64_t magnitude; /* of a whole one */
    double real;
} JsonNumber;

enum {
    JSON_MOST_DIGITS = 20,      /* of a whole one, its sign counted */
    JSON_MOST_EXACT_POWER = 22 /* of ten, in a double */
};
#define JSON_MOST_EXPONENT INT64_C(100000000000000000) /* no number has as many digits: beyond, the count stops */

static inline int json_is_digit(uint8_t letter) { return letter >= '0' && letter <= '9'; }

/* The digits at `at`, appended to `mantissa`. What does not fit is dropped, which `dropped` notes. */
static inline const uint8_t *json_digits(const uint8_t *at, const uint8_t *end, uint64_t *mantissa, int *dropped) {
    for (; at != end && json_is_digit(*at); at++) {
        unsigned digit = (unsigned)(*at - '0');
        if (*mantissa > UINT64_MAX / 10 || (*mantissa == UINT64_MAX / 10 && digit > UINT64_MAX % 10)) *dropped = 1;
        if (!*dropped) *mantissa = *mantissa * 10 + digit;
    }
    return at;
}

/* The exponent at `at`, which is an E. NULL: there is none. */
static inline const uint8_t *json_exponent(const uint8_t *at, const uint8_t *end, int64_t *exponent) {
    int negative = 0;
    int64_t power = 0;
    if (++at != end && (*at == '+' || *at == '-')) negative = *at++ == '-';
    if (at == end || !json_is_digit(*at)) return NULL;
    for (; at != end && json_is_digit(*at); at++)
        if (power < JSON_MOST_EXPONENT) power = power * 10 + (*at - '0');
    *exponent = negative ? -power : power;
    return at;
}

/* The nearest double. Few digits and a small power of ten are exact in doubles, so that their quotient or product is
 * rounded once, as it should be (Clinger, "How to Read Floating Point Numbers Accurately", 1990). */
static inline int json_real(const uint8_t *start, const uint8_t *stop, uint64_t mantissa, int dropped, int64_t exponent,
                            double *real) {
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    char *read;
    if (!dropped && mantissa <= (uint64_t)1 << 53 && exponent >= -JSON_MOST_EXACT_POWER &&
        exponent <= JSON_MOST_EXACT_POWER) {
        *real = exponent < 0 ? (double)mantissa / powers[-exponent] : (double)mantissa * powers[exponent];
        return 1;
    }
    *real = fabs(strtod((const char *)start, &read));
    /* In a locale with a decimal comma it reads less. */
    return (const uint8_t *)read == stop && !isinf(*real);
}

/* The end of the number at `at`; NULL: there is none, or it is too large for a double. Some byte that no number goes
 * on with stands at `end`. `bare`: as JSON has it; otherwise as in a string, with any zeros in front. */
static inline const uint8_t *json_number(const uint8_t *at, const uint8_t *end, int bare, JsonNumber *number) {
    const uint8_t *start = at, *digits, *point;
    uint64_t mantissa = 0;
    int dropped = 0, fraction = 0;
    int64_t power = 0;
    number->negative = at != end && *at == '-';
    at += number->negative;
    digits = at;
    at = json_digits(at, end, &mantissa, &dropped);
    if (at == digits || (bare && *digits == '0' && at - digits > 1)) return NULL;
    number->whole = !dropped && at - start <= JSON_MOST_DIGITS &&
                    (!number->negative || mantissa <= (uint64_t)1 << 63);
    if (at != end && *at == '.') {
        fraction = 1;
        point = ++at;
        at = json_digits(at, end, &mantissa, &dropped);
        if (at == point) return NULL;
        power = point - at;
    }
    if (at != end && (*at | 0x20) == 'e') {
        int64_t exponent = 0;
        fraction = 1;
        at = json_exponent(at, end, &exponent);
        if (!at) return NULL;
        power += exponent;
    }
    number->whole = number->whole && !fraction;
    number->magnitude = mantissa;
    if (number->whole) number->real = (double)mantissa;
    else if (!json_real(start, at, mantissa, dropped, power, &number->real)) return NULL;
    /* A bare -0 is an integer, which has no sign then. */
    if (number->negative && !(bare && number->whole && mantissa == 0)) number->real = -number->real;
    return at;
}

#endif
