/*
 * json_private.h - what the files of this room share.
 */
#ifndef MNI_JSON_PRIVATE_H
#define MNI_JSON_PRIVATE_H

#include "json/json.h"

/* A number as its digits say it: digits * 10^exponent10, plus less than one unit of the last digit
 * when `is_cut`. */
struct mni_json_decimal {
    uint64_t digits; /* the first 19 significant digits at most */
    int64_t exponent10;
    bool is_negative;
    bool is_integer; /* neither fraction nor exponent */
    bool is_cut;     /* there are more than 19 significant digits */
};

/* Reads the longest number at `p`; returns where it ends. On failure `problem_out` says what is
 * wrong at the place returned, and `decimal_out` is undefined; else it is left alone. */
const unsigned char *mni_json_scan_number(const unsigned char *p, const unsigned char *end,
                                          struct mni_json_decimal *decimal_out,
                                          const char **problem_out);

/* Rounds a scanned number, whose bytes are `text`, once. False: out of range. */
bool mni_json_decimal_to_float(const struct mni_json_decimal *decimal, struct mn_slice text,
                               float *value_out);
bool mni_json_decimal_to_double(const struct mni_json_decimal *decimal, struct mn_slice text,
                                double *value_out);

/* Checks the string whose opening quote is at `p`; returns where it ends, past the closing quote,
 * or the place of `problem_out`. */
const unsigned char *mni_json_scan_string(const unsigned char *p, const unsigned char *end,
                                          bool *has_escapes_out, const char **problem_out);

/* First byte from `p` on that cannot stand for itself in a string: a quote, a backslash or a
 * control character; or `end`. Sets `is_ascii_out` false when a byte on the way was not ASCII. */
const unsigned char *mni_json_skip_plain(const unsigned char *p, const unsigned char *end,
                                         bool *is_ascii_out);

enum {
    MNI_JSON_FLOAT_CHARS_MAX = 32,
    MNI_JSON_DOUBLE_CHARS_MAX = 40,
};

/* Prints the shortest digits that read back to the finite `value`; returns how many characters. */
size_t mni_json_print_float(float value, char out[MNI_JSON_FLOAT_CHARS_MAX]);
size_t mni_json_print_double(double value, char out[MNI_JSON_DOUBLE_CHARS_MAX]);

#endif
