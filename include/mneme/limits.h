/*
 * limits.h - the largest things Mneme accepts. Every limit is checked before memory is allocated.
 */
#ifndef MNEME_LIMITS_H
#define MNEME_LIMITS_H

#include <stdint.h>

enum {
    MN_ID_BYTES_MAX = 1024,          /* id of a record, UTF-8, at least 1 byte */
    MN_NAMESPACE_BYTES_MAX = 1024,   /* name of a namespace, UTF-8, at least 1 byte */
    MN_SPACE_NAME_BYTES_MAX = 1024,  /* name of a space, UTF-8 */
    MN_METADATA_BYTES_MAX = 1 << 20, /* metadata of a record: 1 MiB of JSON */
    MN_METADATA_DEPTH_MAX = 64,      /* nesting of arrays and objects in metadata */
    MN_PAYLOAD_BYTES_MAX = 64 << 20, /* payload of a record: 64 MiB */
    MN_DIMENSIONS_MAX = 65536,       /* elements of a vector */
    MN_BATCH_BYTES_MAX = 256 << 20,  /* encoded records of one batch or transaction: 256 MiB */
    MN_BATCH_RECORDS_MAX = 1 << 22,  /* records of one batch or transaction */
    MN_KEYFRAME_EVERY_MIN = 2,       /* points of an entity from one keyframe to the next */
    MN_KEYFRAME_EVERY_MAX = 1000,
    MN_SEARCH_RESULTS_MAX = 65536,   /* of a query, those passed over included */
    MN_SEARCH_QUERIES_MAX = 1024,    /* of one search */
    MN_SEARCH_PRODUCT_MAX = 1 << 20, /* queries times results, of one search */
    MN_SNAPSHOT_ID_BYTES = 33,       /* text of a snapshot's id, with its NUL */
    MN_ARCHIVED_LOG_BYTES = 96,      /* name of a file in an archive of logs, with its NUL */
    MN_SNAPSHOT_DESCRIPTION_BYTES_MAX = 1024, /* UTF-8 */
    MN_OBJECT_KEY_BYTES_MAX = 1024,           /* key of an object, UTF-8, at least 1 byte */
    MN_OBJECT_ETAG_BYTES = 128,               /* text of an ETag, with its NUL */
    MN_OBJECT_PARTS_MAX = 10000,              /* of an upload */
    MN_OBJECT_PAGE_ENTRIES_MAX = 1000,        /* of a listing */
    MN_OBJECT_CONNECTIONS_MAX = 256,          /* of a store at once */
};

/* An object that is read or put in one call: 5 GiB. */
#define MN_OBJECT_BYTES_MAX (UINT64_C(5) << 30)
/* A part of an upload, but the last: 5 MiB to 5 GiB. */
#define MN_OBJECT_PART_BYTES_MIN (UINT64_C(5) << 20)
#define MN_OBJECT_PART_BYTES_MAX (UINT64_C(5) << 30)

#endif
