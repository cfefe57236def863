/* The suite of object storage, against memory. */
#include "check.h"
#include "object_suite.h"

static mn_object_store *open_fresh(void *context)
{
    mn_object_store *store = NULL;
    struct mn_error err;

    (void)context;
    CHECK_OK_ERR(mn_object_open("mem:", &store, &err), &err);
    return store;
}

int main(int argc, char **argv)
{
    static const struct object_factory factory = {.suite = "object.memory",
                                                  .open_fresh = open_fresh,
                                                  .has_crc32c_always = true,
                                                  .part_bytes = 1 << 20};

    return object_suite_run(&factory, argc, argv);
}
