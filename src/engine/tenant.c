/*
 * tenant.c - collections of a cache of answers, and what the view above asks of the engine for it.
 *
 * Owns:    nothing.
 * Format:  docs/format/catalogue.md
 * Threads: any.
 * Fails:   MN_ERR_BUDGET, where memory does not fit.
 */
#include "base/bytes.h"
#include "base/check.h"
#include "engine/engine_private.h"

/* Keys ---------- */

struct mn_slice mni_tenant_key(uint64_t tenant, unsigned char room[MNI_TENANT_KEY_BYTES])
{
    for (unsigned i = 0; i < MNI_TENANT_KEY_BYTES; i++)
        room[i] = (unsigned char)(tenant >> (56 - 8 * i));
    return (struct mn_slice){room, MNI_TENANT_KEY_BYTES};
}

uint64_t mni_tenant_of_key(const unsigned char key[MNI_TENANT_KEY_BYTES])
{
    uint64_t tenant = 0;

    for (unsigned i = 0; i < MNI_TENANT_KEY_BYTES; i++)
        tenant = tenant << 8 | key[i];
    return tenant;
}

static void take_tenant(void *out, size_t index, const unsigned char *name)
{
    uint64_t *tenants_out = out;

    tenants_out[index] = mni_tenant_of_key(name);
}

mn_status mni_engine_list_tenants(struct mni_engine *engine, uint64_t from, uint64_t *tenants_out,
                                  size_t n_max, size_t *n_out, struct mn_error *err)
{
    unsigned char number[MNI_TENANT_KEY_BYTES];
    struct mn_slice after = {0};

    if (from > 0)
        after = mni_tenant_key(from - 1, number);
    return catalogue_list(engine, MNI_KIND_TENANT, after, take_tenant, tenants_out, n_max, n_out,
                          err);
}

/* Before checkpoints ---------- */

void mni_engine_on_checkpoint(struct mni_engine *engine, mni_checkpoint_fn *call, void *context)
{
    mni_mutex_lock(&engine->on_checkpoint_lock);
    engine->on_checkpoint = call;
    engine->on_checkpoint_context = context;
    mni_mutex_unlock(&engine->on_checkpoint_lock);
}

void engine_call_before_checkpoint(struct mni_engine *engine)
{
    mni_mutex_lock(&engine->on_checkpoint_lock);
    if (engine->on_checkpoint != NULL)
        engine->on_checkpoint(engine->on_checkpoint_context);
    mni_mutex_unlock(&engine->on_checkpoint_lock);
}

/* Memory ---------- */

mn_status mni_engine_reserve_memory(struct mni_engine *engine, size_t n_bytes, struct mn_error *err)
{
    return budget_others_try(engine, n_bytes) ? MN_OK : budget_refuse(engine, n_bytes, err);
}

void mni_engine_release_memory(struct mni_engine *engine, size_t n_bytes)
{
    budget_walk_subtract(engine, n_bytes);
}
