/*
 * object.c - checks whole objects, and walks those whose fields are known.
 *
 * Owns:    nothing between calls.
 * Threads: any.
 * Fails:   MN_ERR_INVALID on what is no object and on a key that comes twice; MN_ERR_NOMEM.
 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "json/json_private.h"

mn_status mni_json_check_object(struct mn_slice text, unsigned depth_max, size_t *offset_out,
                                struct mn_error *err)
{
    struct mni_json_scanner scanner;
    enum mni_json_type type;

    mni_json_scanner_init(&scanner, text, depth_max, err);
    mn_status st = mni_json_peek(&scanner, &type);
    if (st == MN_OK && type != MNI_JSON_OBJECT)
        st = mni_json_enter_object(&scanner);
    if (st == MN_OK)
        st = mni_json_skip_value(&scanner, NULL);
    if (st == MN_OK)
        st = mni_json_finish(&scanner);
    if (st != MN_OK && offset_out != NULL)
        *offset_out = scanner.error_offset;
    return st;
}

static mn_status fail_duplicate(const struct mni_json_token *key, struct mn_error *err)
{
    enum { SHOWN_BYTES_MAX = 200 };
    size_t n_bytes = key->raw.n_bytes > SHOWN_BYTES_MAX ? SHOWN_BYTES_MAX : key->raw.n_bytes;

    return mni_fail(err, MN_ERR_INVALID, "the key %.*s comes twice, again at byte %zu",
                    (int)n_bytes, (const char *)key->raw.data, key->offset);
}

/* A key of the object, with the escapes resolved. */
struct key {
    struct mn_slice text;
    struct mni_json_token token;
};

static int compare_keys(const void *a, const void *b)
{
    const struct key *left = a;
    const struct key *right = b;
    size_t n = left->text.n_bytes < right->text.n_bytes ? left->text.n_bytes : right->text.n_bytes;
    int order = n == 0 ? 0 : memcmp(left->text.data, right->text.data, n);

    if (order != 0)
        return order;
    if (left->text.n_bytes != right->text.n_bytes)
        return left->text.n_bytes < right->text.n_bytes ? -1 : 1;
    return left->token.offset < right->token.offset ? -1 : 1;
}

/* Collects the keys at the top level; with `keys` NULL only counts them and the bytes that those
 * with escapes need. */
static mn_status collect_keys(struct mn_slice text, struct key *keys, unsigned char *unescaped,
                              size_t *n_keys_out, size_t *unescaped_bytes_out)
{
    struct mni_json_scanner scanner;
    struct mni_json_token token;
    size_t n_keys = 0;
    size_t n_bytes = 0;

    mni_json_scanner_init(&scanner, text, MNI_JSON_DEPTH_MAX, NULL);
    mn_status st = mni_json_enter_object(&scanner);
    while (st == MN_OK && (st = mni_json_next_key(&scanner, &token)) == MN_OK) {
        const unsigned char *raw = token.raw.data;
        struct mn_slice name = {raw + 1, token.raw.n_bytes - 2};
        if (token.has_escapes && keys != NULL) {
            st = mni_json_token_unescape(&token, unescaped + n_bytes, name.n_bytes, &name.n_bytes);
            MNI_CHECK(st == MN_OK);
            name.data = unescaped + n_bytes;
        }
        if (keys != NULL)
            keys[n_keys] = (struct key){name, token};
        n_keys++;
        n_bytes += token.has_escapes ? token.raw.n_bytes : 0;
        st = mni_json_skip_value(&scanner, NULL);
    }
    *n_keys_out = n_keys;
    *unescaped_bytes_out = n_bytes;
    return st == MN_END ? MN_OK : st;
}

mn_status mni_json_check_unique_keys(struct mn_slice text, struct mn_error *err)
{
    struct key *keys = NULL;
    unsigned char *unescaped = NULL;
    size_t n_keys;
    size_t unescaped_bytes;
    mn_status st = collect_keys(text, NULL, NULL, &n_keys, &unescaped_bytes);

    if (st != MN_OK)
        return mni_fail(err, st, "not a JSON object");
    if (n_keys < 2)
        return MN_OK;
    keys = mni_alloc_array(n_keys, sizeof *keys);
    unescaped = mni_alloc(unescaped_bytes);
    if (keys == NULL || unescaped == NULL) {
        st = mni_fail(err, MN_ERR_NOMEM, "the keys of a JSON object");
        goto out;
    }
    st = collect_keys(text, keys, unescaped, &n_keys, &unescaped_bytes);
    MNI_CHECK(st == MN_OK);
    qsort(keys, n_keys, sizeof *keys, compare_keys);
    for (size_t i = 1; i < n_keys && st == MN_OK; i++) {
        const struct key *a = &keys[i - 1];
        const struct key *b = &keys[i];
        if (a->text.n_bytes == b->text.n_bytes &&
            memcmp(a->text.data, b->text.data, a->text.n_bytes) == 0)
            st = fail_duplicate(&b->token, err);
    }
out:
    mni_free(unescaped);
    mni_free(keys);
    return st;
}

mn_status mni_json_next_field(struct mni_json_scanner *scanner, struct mni_json_fields *fields,
                              size_t *field_out, struct mni_json_token *key_out)
{
    struct mni_json_token key;
    size_t field = 0;

    MNI_CHECK(fields->n_names <= 64);
    mn_status st = mni_json_next_key(scanner, &key);
    if (st != MN_OK)
        return st;
    while (field < fields->n_names && !mni_json_token_is(&key, fields->names[field]))
        field++;
    if (field < fields->n_names) {
        uint64_t bit = UINT64_C(1) << field;
        if ((fields->seen & bit) != 0) {
            scanner->status = fail_duplicate(&key, scanner->err);
            scanner->error_offset = key.offset;
            scanner->problem = "a key comes twice";
            return scanner->status;
        }
        fields->seen |= bit;
    }
    *field_out = field;
    *key_out = key;
    return MN_OK;
}
