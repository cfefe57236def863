/*
 * deeds.c - what a caller can do to a store, each beside the model's answer.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

/* Wishes ---------- */

struct model_effect world_effect(const struct wish *wish, int64_t now_us)
{
    struct model_effect e = {
        .kind = wish->kind,
        .space = wish->space,
        .id = wish->id,
        .value = wish->value,
        .n_dims = wish->kind == EFFECT_PUT ? wish->n_dims : 0,
    };

    if (wish->expiry == WISH_NO_EXPIRY)
        return e;
    e.expiry.is_set = true;
    e.expiry.least_us = wish->expiry == WISH_EXPIRES_AT ? wish->when_us : now_us + wish->when_us;
    e.expiry.most_us = e.expiry.least_us;
    return e;
}

/* A time to live ends at the latest that long after the call. */
void world_know_most(struct model_effect *effect, const struct wish *wish, int64_t now_us)
{
    if (wish->expiry == WISH_TTL)
        effect->expiry.most_us = now_us + wish->when_us;
}

static uint32_t expiry_fields(const struct wish *wish)
{
    switch (wish->expiry) {
    case WISH_NO_EXPIRY:
        return 0;
    case WISH_TTL:
        return MN_HAS_TTL;
    default:
        return MN_HAS_EXPIRES_AT;
    }
}

struct mn_record world_record(const struct wish *wish, const struct model_effect *effect)
{
    struct model_content content;

    model_content(wish->value, &content);
    return (struct mn_record){
        .id = model_id(wish->id),
        .vector = wish->n_dims > 0 ? content.vector : NULL,
        .n_dims = wish->n_dims,
        .fields = expiry_fields(wish) | (content.has_event_time ? MN_HAS_EVENT_TIME : 0U),
        .metadata = content.metadata,
        .payload = content.payload,
        .expires_at_us = effect->expiry.least_us,
        .ttl_us = wish->when_us,
        .event_time_us = content.event_time_us,
    };
}

static void tell_wish(const struct world *w, const struct wish *wish, const char *verb)
{
    sim_tell(w->sim, "%s space %u id %u value %" PRIu32 " dims %" PRIu32 " expiry %d", verb,
             wish->space, wish->id, wish->value, wish->n_dims, (int)wish->expiry);
}

/* A refusal is as safe as a commit would have been: it waits for what it was judged by. */
void world_expect_refusal(struct world *w, mn_status st, mn_status expected, mn_ack ack,
                          const struct mn_error *err)
{
    if (st == expected && expected > 0)
        world_note_safety(w, ack);
    else if (st < 0 && expected > 0)
        world_failed(w, NULL, st, err);
    else if (st != expected)
        sim_fail(w->sim, "%s, expected %s", mn_status_name(st), mn_status_name(expected));
}

bool world_begin(struct world *w, enum sim_deed deed, struct model_commit *commit)
{
    if (!world_is_up(w))
        return false;
    w->sim->deed = deed;
    *commit = (struct model_commit){.now_us = world_settle_clock(w, &w->state)};
    return true;
}

static struct model_record *record_of(struct world *w, const struct wish *wish)
{
    return &w->state.spaces[wish->space].records[wish->id];
}

/* Whether the vectors of these puts do not fit their namespaces or each other. */
static bool has_wrong_dimension(const struct model_state *state, const struct wish *wishes,
                                size_t n)
{
    uint32_t dims[N_SPACES];

    for (unsigned s = 0; s < N_SPACES; s++)
        dims[s] = state->spaces[s].dimension;
    for (size_t i = 0; i < n; i++) {
        uint32_t *d = &dims[wishes[i].space];
        if (wishes[i].kind != EFFECT_PUT || wishes[i].n_dims == 0)
            continue;
        if (*d != 0 && *d != wishes[i].n_dims)
            return true;
        *d = wishes[i].n_dims;
    }
    return false;
}

static mn_status judge_condition(struct world *w, const struct wish *wish, int64_t now_us)
{
    bool is_live = model_is_live(record_of(w, wish), now_us);

    switch (wish->condition) {
    case MNI_IF_ABSENT:
        return is_live ? MN_EXISTS : MN_OK;
    case MNI_IF_LSN:
        return is_live && !wish->wants_wrong_lsn ? MN_OK : MN_CHANGED;
    case MNI_IF_LIVE:
        return is_live ? MN_OK : MN_NOT_FOUND;
    default:
        return MN_OK;
    }
}

static uint64_t condition_lsn(struct world *w, const struct wish *wish)
{
    return record_of(w, wish)->lsn + (wish->wants_wrong_lsn ? 1 : 0);
}

/* One call, one commit ---------- */

static void write_records(struct world *w, const struct wish *wishes, size_t n, mn_ack ack)
{
    struct mn_write_options options = {.size = sizeof options, .ack = ack};
    struct mn_record records[WISHES_MAX];
    struct model_commit c;
    struct mn_error err = {0};
    mn_status st;
    mn_status expected = MN_OK;
    uint64_t lsn = 0;
    uint64_t n_stored = 0;
    struct mn_slice name = model_space_name(wishes[0].space);
    enum mni_condition condition = n == 1 ? wishes[0].condition : MNI_ALWAYS;

    if (!world_begin(w,
                     n > 1                        ? DEED_PUT_BATCH
                     : condition == MNI_IF_ABSENT ? DEED_PUT_IF_ABSENT
                     : condition == MNI_IF_LSN    ? DEED_PUT_IF_LSN
                                                  : DEED_PUT,
                     &c))
        return;
    for (size_t i = 0; i < n; i++) {
        tell_wish(w, &wishes[i], "put");
        c.effects[c.n_effects] = world_effect(&wishes[i], c.now_us);
        records[i] = world_record(&wishes[i], &c.effects[c.n_effects++]);
    }
    if (condition == MNI_IF_LSN && !w->state.spaces[wishes[0].space].exists)
        expected = MN_CHANGED;
    else if (has_wrong_dimension(&w->state, wishes, n))
        expected = MN_ERR_DIMENSION;
    else if (n == 1)
        expected = judge_condition(w, &wishes[0], c.now_us);
    if (n > 1)
        st = mn_put_batch(w->store, name, records, n, &options, &n_stored, &lsn, &err);
    else if (condition == MNI_IF_ABSENT)
        st = mn_put_if_absent(w->store, name, records, &options, &lsn, &err);
    else if (condition == MNI_IF_LSN)
        st = mn_put_if_lsn(w->store, name, records, condition_lsn(w, wishes), &options, &lsn, &err);
    else
        st = mn_put(w->store, name, records, &options, &lsn, &err);
    int64_t after_us = world_now(w);
    for (size_t i = 0; i < n; i++)
        world_know_most(&c.effects[i], &wishes[i], after_us);
    if (expected != MN_OK) {
        world_expect_refusal(w, st, expected, ack, &err);
        return;
    }
    world_answered(w, &c, st, lsn, ack, &err);
}

static void delete_records(struct world *w, const struct wish *wishes, size_t n, mn_ack ack)
{
    struct mn_write_options options = {.size = sizeof options, .ack = ack};
    struct mn_slice ids[WISHES_MAX];
    bool existed[WISHES_MAX] = {0};
    bool should_exist[WISHES_MAX] = {0};
    uint64_t n_existed = 0;
    uint64_t n_should = 0;
    uint64_t lsn = 0;
    struct model_commit c;
    struct mn_error err = {0};

    if (!world_begin(w, n > 1 ? DEED_DELETE_BATCH : DEED_DELETE, &c))
        return;
    for (size_t i = 0; i < n; i++) {
        tell_wish(w, &wishes[i], "delete");
        bool is_twice = false;
        for (size_t j = 0; j < i; j++)
            is_twice = is_twice || wishes[j].id == wishes[i].id;
        should_exist[i] = model_is_live(record_of(w, &wishes[i]), c.now_us);
        n_should += should_exist[i] && !is_twice;
        ids[i] = model_id(wishes[i].id);
        c.effects[c.n_effects++] = world_effect(&wishes[i], c.now_us);
    }
    mn_status st = mn_delete_batch(w->store, model_space_name(wishes[0].space), ids, n, &options,
                                   existed, &n_existed, &lsn, &err);
    if (st == MN_OK && (n_existed != n_should || memcmp(existed, should_exist, n) != 0))
        sim_fail(w->sim, "deleted %" PRIu64 " records, not %" PRIu64, n_existed, n_should);
    world_answered(w, &c, st, lsn, ack, &err);
}

static void touch_record(struct world *w, const struct wish *wish, mn_ack ack)
{
    struct mn_write_options options = {.size = sizeof options, .ack = ack};
    struct model_commit c;
    struct mn_error err = {0};
    uint64_t lsn = 0;

    if (!world_begin(w, DEED_TOUCH, &c))
        return;
    tell_wish(w, wish, "touch");
    bool is_live = model_is_live(record_of(w, wish), c.now_us);
    c.effects[c.n_effects++] = world_effect(wish, c.now_us);
    mn_status st = mn_touch(w->store, model_space_name(wish->space), model_id(wish->id),
                            expiry_fields(wish),
                            wish->expiry == WISH_TTL ? wish->when_us : c.effects[0].expiry.least_us,
                            &options, &lsn, &err);
    world_know_most(&c.effects[0], wish, world_now(w));
    if (is_live)
        world_answered(w, &c, st, lsn, ack, &err);
    else
        world_expect_refusal(w, st, MN_NOT_FOUND, ack, &err);
}

void world_write(struct world *w, const struct wish *wishes, size_t n, mn_ack ack)
{
    if (wishes[0].kind == EFFECT_DELETE)
        delete_records(w, wishes, n, ack);
    else if (wishes[0].kind == EFFECT_TOUCH)
        touch_record(w, wishes, ack);
    else
        write_records(w, wishes, n, ack);
}

/* Calls that do not tell their LSN. */
static void answered_silently(struct world *w, struct model_commit *c, mn_status st, mn_ack ack,
                              const struct mn_error *err)
{
    uint64_t lsn = world_lsn(w);

    world_answered(w, c, st, lsn > w->state.lsn ? lsn : 0, ack, err);
}

void world_create(struct world *w, unsigned space, uint32_t dimension, bool must_be_new)
{
    struct mn_namespace_settings settings = {.size = sizeof settings, .dimension = dimension};
    const struct model_space *s = &w->state.spaces[space];
    struct model_commit c;
    struct mn_error err = {0};
    mn_status expected = MN_OK;

    if (!world_begin(w, must_be_new ? DEED_CREATE : DEED_ENSURE, &c))
        return;
    sim_tell(w->sim, "make space %u dimension %" PRIu32, space, dimension);
    if (must_be_new && s->exists)
        expected = MN_EXISTS;
    else if (s->dimension != 0 && dimension != 0 && s->dimension != dimension)
        expected = MN_ERR_DIMENSION;
    c.n_effects = 1;
    c.effects[0] = (struct model_effect){
        .kind = EFFECT_MAKE,
        .space = (uint8_t)space,
        .n_dims = dimension,
    };
    mn_status st = must_be_new
                       ? mn_namespace_create(w->store, model_space_name(space), &settings, &err)
                       : mn_namespace_ensure(w->store, model_space_name(space), &settings, &err);
    if (expected != MN_OK)
        world_expect_refusal(w, st, expected, MN_ACK_DEFAULT, &err);
    else
        answered_silently(w, &c, st, MN_ACK_DEFAULT, &err);
}

void world_drop(struct world *w, unsigned space)
{
    struct model_commit c;
    struct mn_error err = {0};
    bool existed = false;

    if (!world_begin(w, DEED_DROP, &c))
        return;
    sim_tell(w->sim, "drop space %u", space);
    c.n_effects = 1;
    c.effects[0] = (struct model_effect){.kind = EFFECT_DROP, .space = (uint8_t)space};
    mn_status st = mn_namespace_drop(w->store, model_space_name(space), &existed, &err);
    if (st == MN_OK && existed != w->state.spaces[space].exists)
        sim_fail(w->sim, "dropping says that it did%s exist", existed ? "" : " not");
    answered_silently(w, &c, st, MN_ACK_DEFAULT, &err);
}

/* The log, the sweep, settings ---------- */

void world_flush(struct world *w)
{
    struct model_commit c;
    struct mn_error err = {0};

    if (!world_begin(w, DEED_FLUSH, &c))
        return;
    sim_tell(w->sim, "flush");
    mn_status st = mn_flush(w->store, &err);
    if (st == MN_OK)
        world_is_durable(w);
    else
        world_failed(w, NULL, st, &err);
}

void world_rotate(struct world *w)
{
    struct model_commit c;
    struct mn_error err = {0};

    if (!world_begin(w, DEED_ROTATE, &c))
        return;
    sim_tell(w->sim, "rotate");
    mn_status st = mni_wal_rotate(w->wal, &err);
    if (st == MN_OK)
        world_is_durable(w);
    else
        world_failed(w, NULL, st, &err);
}

/* How a checkpoint ended, by itself or as part of a purge. After a failure nothing has changed:
 * what it wrote is no root, or one of the same contents. */
static void checkpointed(struct world *w, mn_status st, const struct mn_error *err)
{
    w->tried_lsn = w->state.lsn;
    if (st == MN_OK) {
        w->checkpoint_lsn = w->state.lsn;
        world_is_durable(w);
        return;
    }
    if (w->checkpoints_may_refuse && strstr(err->message, "open the store again") != NULL)
        return;
    w->checkpoints_may_refuse = true;
    world_failed(w, NULL, st, err);
}

void world_checkpoint(struct world *w)
{
    struct model_commit c;
    struct mn_error err = {0};

    if (!world_begin(w, DEED_CHECKPOINT, &c))
        return;
    sim_tell(w->sim, "checkpoint");
    mn_status st = mn_checkpoint(w->store, &err);
    world_hits_written(w, &c, &err);
    if (st == MN_OK && !w->sync_may_fail) /* else hits may be what failed: they are worth no more */
        world_hits_are_safe(w);
    checkpointed(w, st, &err);
}

static void add_purged(struct world *w, struct model_commit *c, unsigned space, const uint8_t *ids,
                       size_t n, uint64_t *n_existed)
{
    struct model_state after = w->state;

    for (size_t i = 0; i < n; i++) {
        struct model_effect *e = &c->effects[c->n_effects++];
        *e = (struct model_effect){.kind = EFFECT_DELETE, .space = (uint8_t)space, .id = ids[i]};
        *n_existed += model_is_live(&after.spaces[space].records[ids[i]], c->now_us);
        model_apply_effect(&after, e, 1, c->now_us);
    }
    if (n > 0)
        return;
    for (unsigned i = 0; i < N_IDS; i++)
        *n_existed += model_is_live(&after.spaces[space].records[i], c->now_us);
    c->n_effects = 1;
    c->effects[0] = (struct model_effect){.kind = EFFECT_DROP, .space = (uint8_t)space};
}

/* A delete or a drop, and then a checkpoint of a special kind. */
void world_purge(struct world *w, unsigned space, const uint8_t *ids, size_t n)
{
    struct mn_purge_receipt receipt = {.size = sizeof receipt};
    struct mn_slice keys[WISHES_MAX];
    struct model_commit c;
    struct mn_error err = {0};
    uint64_t n_existed = 0;

    world_write_hits(w);
    if (!world_begin(w, DEED_PURGE, &c))
        return;
    sim_tell(w->sim, "purge space %u, %zu ids", space, n);
    add_purged(w, &c, space, ids, n, &n_existed);
    for (size_t i = 0; i < n; i++)
        keys[i] = model_id(ids[i]);
    mn_status st = n > 0 ? mn_purge(w->store, model_space_name(space), keys, n, &receipt, &err)
                         : mn_purge_namespace(w->store, model_space_name(space), &receipt, &err);
    if (!w->state.spaces[space].exists) {
        if (n > 0 && st != MN_NOT_FOUND)
            sim_fail(w->sim, "purging what is not there: %s", mn_status_name(st));
        if (n == 0) /* what namespaces dropped before have left is erased all the same */
            checkpointed(w, st == MN_NOT_FOUND ? MN_OK : st, &err);
        return;
    }
    if (st == MN_OK && receipt.n_records != n_existed)
        sim_fail(w->sim, "purged %" PRIu64 " records, not %" PRIu64, receipt.n_records, n_existed);
    uint64_t lsn = world_lsn(w);
    if (lsn == w->state.lsn) {
        world_failed(w, &c, st, &err); /* the delete failed */
        return;
    }
    world_answered(w, &c, MN_OK, lsn, MN_ACK_DISK, NULL);
    checkpointed(w, st, &err);
}

/* A sweep may have been several commits, or none. */
static void swept(struct world *w, struct model_commit *c, mn_status st, const struct mn_error *err)
{
    uint64_t lsn = world_lsn(w);

    c->n_effects = 1;
    c->effects[0] = (struct model_effect){.kind = EFFECT_SWEEP};
    if (lsn > w->state.lsn) {
        c->first_lsn = w->state.lsn + 1;
        world_answered(w, c, MN_OK, lsn, MN_ACK_NONE, NULL);
    }
    if (st != MN_OK)
        world_failed(w, c, st, err);
}

void world_sweep(struct world *w)
{
    struct model_commit c;
    struct mn_error err = {0};
    uint64_t n_swept = 0;

    if (!world_begin(w, DEED_SWEEP, &c))
        return;
    sim_tell(w->sim, "sweep");
    mn_status st = mn_sweep(w->store, &n_swept, &err);
    swept(w, &c, st, &err);
}

void world_tick(struct world *w)
{
    struct mni_wal_stats stats;
    struct mn_error err = {.message = "in the background"};
    struct model_commit c;

    if (!world_begin(w, DEED_TICK, &c))
        return;
    sim_tell(w->sim, "tick");
    mni_wal_tick(w->wal);
    if (world_is_up(w))
        mni_engine_tick(w->engine);
    mni_wal_get_stats(w->wal, &stats);
    swept(w, &c, stats.is_poisoned ? MN_ERR_IO : MN_OK, &err);
}

/* The timed sync is due after its interval. */
void world_wait_for_sync(struct world *w)
{
    struct model_commit c;

    if (w->options.sync != MN_SYNC_EVERY_MS || !world_begin(w, DEED_TICK, &c))
        return;
    mni_crash_env_advance_us(w->sim->crash, (int64_t)w->options.sync_interval_ms * 1000);
    uint64_t lsn = w->state.lsn;
    world_tick(w);
    if (!world_is_up(w))
        return;
    if (lsn > w->durable_lsn)
        w->durable_lsn = lsn;
    if (w->kernel_lsn < w->durable_lsn)
        w->kernel_lsn = w->durable_lsn;
}

void world_configure(struct world *w, uint64_t value)
{
    struct model_commit c;
    struct mn_error err = {0};
    char text[32];

    if (w->n_config_values == CONFIG_VALUES_MAX || !world_begin(w, DEED_CONFIG, &c))
        return;
    sim_tell(w->sim, "config %" PRIu64, value);
    (void)snprintf(text, sizeof text, "%" PRIu64, value);
    mn_status st = mn_config_set(w->store, "sweep_batch_records", text, &err);
    if (st == MN_OK)
        w->n_config_values = 0; /* what failed before cannot come back */
    w->config_values[w->n_config_values++] = value;
    if (st == MN_OK)
        return;
    if (st != MN_ERR_IO || (!mni_crash_env_is_cut(w->sim->crash) && !w->sync_may_fail))
        sim_fail(w->sim, "config: %s: %s", mn_status_name(st), err.message);
    w->sync_may_fail = false;
}

void world_check_config(struct world *w)
{
    char text[64];
    mn_status st = mn_config_get(w->store, "sweep_batch_records", text, sizeof text, NULL);
    uint64_t value = strtoull(text, NULL, 10);
    bool is_possible = false;

    for (size_t i = 0; i < w->n_config_values; i++)
        is_possible = is_possible || value == w->config_values[i];
    if (st != MN_OK || !is_possible)
        sim_fail(w->sim, "the setting is %" PRIu64, value);
    if (!w->config_is_settled)
        return;
    w->config_values[0] = value;
    w->n_config_values = 1;
    w->config_is_settled = false;
}

void world_read(struct world *w, unsigned space, unsigned id)
{
    struct mn_view view;
    char why[WHY_BYTES];
    bool exists = false;

    if (w->store == NULL)
        return;
    int64_t now_us = world_settle_clock(w, &w->state);
    struct model_record *r = &w->state.spaces[space].records[id];
    bool is_live = model_is_live(r, now_us);
    mn_status st = mn_exists(w->store, model_space_name(space), model_id(id), &exists, NULL);
    if (st != MN_OK || exists != is_live)
        sim_fail(w->sim, "space %u id %u %s", space, id, exists ? "exists" : "does not exist");
    st = mn_get(w->store, model_space_name(space), model_id(id), &view, NULL);
    if (st != (is_live ? MN_OK : MN_NOT_FOUND))
        sim_fail(w->sim, "getting space %u id %u: %s", space, id, mn_status_name(st));
    if (is_live && !world_view_is(&view, id, r, why))
        sim_fail(w->sim, "space %u: %s", space, why);
    mn_view_release(&view);
}
