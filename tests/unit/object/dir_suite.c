/* The suite of object storage, against a directory. */
#include "check.h"
#include "object_suite.h"

#include <stdio.h>

static char url[4096];

static mn_object_store *open_again(void *context)
{
    mn_object_store *store = NULL;
    struct mn_error err;

    (void)context;
    CHECK_OK_ERR(mn_object_open(url, &store, &err), &err);
    return store;
}

static mn_object_store *open_fresh(void *context)
{
    (void)snprintf(url, sizeof url, "dir:%s", check_temp_dir());
    return open_again(context);
}

int main(int argc, char **argv)
{
    static const struct object_factory factory = {.suite = "object.dir",
                                                  .open_fresh = open_fresh,
                                                  .open_again = open_again,
                                                  .has_crc32c_always = true,
                                                  .part_bytes = 1 << 20};

    return object_suite_run(&factory, argc, argv);
}
