/*
 * source.c - a mapped file as a source of bytes.
 *
 * Owns:    the map.
 * Threads: any.
 * Fails:   when the file cannot be opened or mapped.
 */
#include "base/mem.h"
#include "segment/segment_private.h"

struct mapped_source {
    struct mni_source base;
    struct mni_map *map; /* owned */
};

static mn_status mapped_get(struct mni_source *source, uint64_t offset, size_t n,
                            const unsigned char **bytes_out, void **pin_out, struct mn_error *err)
{
    (void)err;
    MNI_CHECK(offset <= source->n_bytes && n <= source->n_bytes - offset);
    *bytes_out = source->map + offset;
    *pin_out = NULL;
    return MN_OK;
}

static void mapped_release(struct mni_source *source, void *pin)
{
    (void)source;
    MNI_CHECK(pin == NULL);
}

static void mapped_will_read(struct mni_source *source, uint64_t offset, uint64_t n)
{
    mni_map_will_read(((struct mapped_source *)source)->map, offset, n);
}

static void mapped_close(struct mni_source *source)
{
    struct mapped_source *mapped = (struct mapped_source *)source;

    mni_map_close(mapped->map);
    mni_free(mapped);
}

mn_status mni_segment_map_file(struct mni_dir *dir, const char *name,
                               struct mni_source **source_out, struct mn_error *err)
{
    static const struct mni_source_ops ops = {
        .get = mapped_get,
        .release = mapped_release,
        .will_read = mapped_will_read,
        .close = mapped_close,
    };
    struct mni_file *file = NULL;
    struct mapped_source *mapped = mni_alloc_zero(sizeof *mapped);

    *source_out = NULL;
    if (mapped == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "source of %s", name);
    mn_status st = mni_dir_open_file(dir, name, MNI_OPEN_READ, &file, err);
    if (st == MN_OK)
        st = mni_file_map(file, &mapped->map, err);
    mni_file_close(file);
    if (st != MN_OK) {
        mni_free(mapped);
        return st;
    }
    mapped->base.ops = &ops;
    mapped->base.map = mapped->map->bytes;
    mapped->base.n_bytes = mapped->map->n_bytes;
    *source_out = &mapped->base;
    return MN_OK;
}
