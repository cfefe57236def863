/*
 * object.c - what the back ends of object storage share: pages of listings, ranges, ETags.
 *
 * Owns:    a page's memory, one block, until it is freed.
 * Threads: any, on different pages and ranges.
 * Fails:   MN_ERR_NOMEM; MN_ERR_CORRUPT for a range that is not what the caller knows of it.
 */
#include "object/object.h"

#include <inttypes.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/mem.h"

/* Pages ----------*/

/* The keys follow the entries. */
struct page_block {
    struct mn_object_page page;
    size_t n_room;
    unsigned char *keys_end; /* where the next key goes */
    size_t keys_room_bytes;
    struct mn_object_entry entries[];
};

mn_status mni_object_page_new(size_t n_entries, size_t keys_bytes, struct mn_object_page **page_out,
                              struct mn_error *err)
{
    struct page_block *block = NULL;

    MNI_CHECK(n_entries <= MN_OBJECT_PAGE_ENTRIES_MAX);
    MNI_CHECK(keys_bytes <= n_entries * MN_OBJECT_KEY_BYTES_MAX);
    block = mni_alloc_zero(sizeof *block + n_entries * sizeof block->entries[0] + keys_bytes);
    if (block == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "a page of %zu objects", n_entries);
    block->n_room = n_entries;
    block->keys_end = (unsigned char *)&block->entries[n_entries];
    block->keys_room_bytes = keys_bytes;
    block->page.entries = block->entries;
    *page_out = &block->page;
    return MN_OK;
}

void mni_object_page_add(struct mn_object_page *page, const struct mn_object_entry *entry)
{
    struct page_block *block = (struct page_block *)page;
    struct mn_object_entry *added = &block->entries[page->n_entries];

    MNI_CHECK(page->n_entries < block->n_room);
    MNI_CHECK(entry->key.n_bytes <= block->keys_room_bytes);
    *added = *entry;
    memcpy(block->keys_end, entry->key.data, entry->key.n_bytes);
    added->key.data = block->keys_end;
    block->keys_end += entry->key.n_bytes;
    block->keys_room_bytes -= entry->key.n_bytes;
    page->n_entries++;
}

void mni_object_page_free(struct mn_object_page *page)
{
    mni_free(page);
}

/* Ranges, uploads and ETags ----------*/

mn_status mni_object_range_fit(const struct mn_object_range *range,
                               const struct mn_object_info *info, uint64_t *n_bytes_out,
                               struct mn_error *err)
{
    MNI_CHECK(range->n_bytes > 0);
    if (range->if_match != NULL && strcmp(range->if_match, info->etag) != 0)
        return mni_fail(err, MN_CHANGED, "the ETag is %s", info->etag);
    if (range->offset >= info->n_bytes)
        return mni_fail(err, MN_ERR_INVALID, "byte %" PRIu64 " of %" PRIu64, range->offset,
                        info->n_bytes);
    uint64_t n_left = info->n_bytes - range->offset;
    *n_bytes_out = n_left < range->n_bytes ? n_left : range->n_bytes;
    return MN_OK;
}

mn_status mni_object_range_done(struct mn_object_range *range, uint64_t n_read,
                                struct mn_error *err)
{
    MNI_CHECK(n_read <= range->n_bytes);
    range->n_read = n_read;
    range->status = MN_OK;
    if (range->has_crc32c && mni_crc32c(0, range->data_out, (size_t)n_read) != range->crc32c)
        range->status = mni_fail(err, MN_ERR_CORRUPT,
                                 "%" PRIu64 " bytes at %" PRIu64 " are not what they must be",
                                 n_read, range->offset);
    return range->status;
}

mn_status mni_object_upload_check(const struct mni_object_upload *upload, uint32_t crc32c,
                                  struct mn_error *err)
{
    if (upload->knows_crc32c && upload->crc32c != crc32c)
        return mni_fail(err, MN_ERR_INVALID,
                        "the parts have the CRC-32C %08" PRIx32 ", and the upload was begun for "
                        "%08" PRIx32,
                        crc32c, upload->crc32c);
    return MN_OK;
}

void mni_object_make_etag(const unsigned char hash[MNI_HASH128_BYTES],
                          char etag_out[MN_OBJECT_ETAG_BYTES])
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < MNI_HASH128_BYTES; i++) {
        etag_out[2 * i] = digits[hash[i] >> 4];
        etag_out[2 * i + 1] = digits[hash[i] & 15];
    }
    etag_out[2 * MNI_HASH128_BYTES] = '\0';
}
