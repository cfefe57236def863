/*
 * suite_test.c - the suite of object storage, against the server that the environment names.
 *
 * with_double.py and `ceph run` name one: AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and so on, and the
 * bucket MNEME_S3_BUCKET. Each test has a prefix of its own, so that many may use one bucket.
 * MNEME_S3_CEPH=1 leaves out what Ceph cannot.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "object_suite.h"

enum { PREFIX_BYTES = 64, PART_BYTES = 5 << 20 };

static char prefix[PREFIX_BYTES];

static mn_object_store *open_again(void *context)
{
    struct mn_object_s3_options options = {.size = sizeof options,
                                           .bucket = getenv("MNEME_S3_BUCKET"),
                                           .prefix = prefix,
                                           .part_bytes = PART_BYTES};
    mn_object_store *store = NULL;
    struct mn_error err = {0};

    (void)context;
    if (options.bucket == NULL)
        CHECK_STR_EQ("MNEME_S3_BUCKET", "set by with_double.py or `ceph run`");
    CHECK_OK_ERR(mn_object_open_s3(&options, &store, &err), &err);
    return store;
}

static mn_object_store *open_fresh(void *context)
{
    static unsigned n_opened;

    (void)snprintf(prefix, sizeof prefix, "%ld-%u/", (long)getpid(), n_opened++);
    return open_again(context);
}

int main(int argc, char **argv)
{
    bool is_ceph = getenv("MNEME_S3_CEPH") != NULL;
    struct object_factory factory = {.suite = is_ceph ? "object.ceph" : "object.double",
                                     .open_fresh = open_fresh,
                                     .open_again = open_again,
                                     .is_slow = is_ceph,
                                     .has_no_conditions_of_uploads = is_ceph,
                                     .key_bytes_max = MN_OBJECT_KEY_BYTES_MAX - PREFIX_BYTES,
                                     .part_bytes = PART_BYTES};

    return object_suite_run(&factory, argc, argv);
}
