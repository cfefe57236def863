/* Every way of looking for a fingerprint finds what comparing one by one does. */
#include "check.h"

#include "segment/prints_private.h"

enum { ROUNDS = 20000, ROOM_BYTES = 3 * SEG_PRINTS_BYTES };

static uint32_t match_one_by_one(const unsigned char *prints, uint16_t print)
{
    uint32_t slots = 0;

    for (unsigned i = 0; i < SEG_BUCKET_SLOTS; i++)
        slots |= (uint32_t)(mni_get_u16(prints + (size_t)2 * i) == print) << i;
    return slots;
}

static void check_all_ways(const unsigned char *prints, uint16_t print)
{
    uint32_t expected = match_one_by_one(prints, print);

    CHECK_EQ(prints_match_words(prints, print), expected);
#ifdef __SSE2__
    CHECK_EQ(prints_match_sse2(prints, print), expected);
#endif
    CHECK_EQ(prints_match(prints, print), expected);
}

/* Numbers in which a carry or a sign would show. */
static uint16_t a_print(uint64_t *random)
{
    static const uint16_t edges[] = {0, 1, 0x7fff, 0x8000, 0x8001, 0xfffe, 0xffff, 0x00ff, 0xff00};

    return check_below(random, 2) == 0 ? edges[check_below(random, CHECK_COUNT(edges))]
                                       : (uint16_t)check_random(random);
}

static void any_bucket_is_matched_alike_wherever_it_lies(void)
{
    uint64_t random = check_seed();
    unsigned char room[ROOM_BYTES];

    for (int round = 0; round < ROUNDS; round++) {
        unsigned char *prints = room + check_below(&random, ROOM_BYTES - SEG_PRINTS_BYTES + 1);
        memset(room, (int)check_below(&random, 256), sizeof room);
        for (size_t i = 0; i < SEG_BUCKET_SLOTS; i++)
            mni_put_u16(prints + 2 * i, a_print(&random));
        check_all_ways(prints, a_print(&random));
        for (size_t i = 0; i < SEG_BUCKET_SLOTS; i++)
            check_all_ways(prints, mni_get_u16(prints + 2 * i));
    }
}

static void one_match_is_found_in_each_slot_and_nowhere_else(void)
{
    unsigned char prints[SEG_PRINTS_BYTES] = {0};

    for (unsigned slot = 0; slot < SEG_BUCKET_SLOTS; slot++) {
        for (unsigned print = 1; print <= UINT16_MAX; print++) {
            mni_put_u16(prints + (size_t)2 * slot, (uint16_t)print);
            CHECK_EQ(prints_match(prints, (uint16_t)print), UINT32_C(1) << slot);
            CHECK_EQ(prints_match_words(prints, (uint16_t)print), UINT32_C(1) << slot);
        }
        memset(prints, 0, sizeof prints);
    }
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(any_bucket_is_matched_alike_wherever_it_lies),
        CHECK_TEST(one_match_is_found_in_each_slot_and_nowhere_else),
    };

    return check_run("segment.prints", tests, CHECK_COUNT(tests), argc, argv);
}
