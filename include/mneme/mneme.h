/*
 * mneme.h - everything Mneme offers, in one include.
 *
 *     status.h      what every call answers, and errors
 *     limits.h      the largest things accepted
 *     types.h       slices, ack levels, sync policies
 *     store.h       stores, namespaces, settings, numbers
 *     records.h     putting, getting, deleting, walking
 *     scan.h        all vectors of a namespace, where they lie
 *     search.h      the nearest vectors of a namespace
 *     temporal.h    vectors of entities over time
 *     nearest.h     the nearest points of a space, at a time or within an interval
 *     trajectory.h  how vectors moved over time
 *     semcache.h    a cache of answers of language models
 *     txn.h         transactions
 *     snapshot.h    snapshots, and restoring them
 *     wal.h         the write-ahead log on its own
 *     object.h      object storage: a directory, memory, a bucket of an S3 server
 *     ramcache.h    a cache in memory, on its own
 *     diskcache.h   a cache on disk, on its own
 */
#ifndef MNEME_H
#define MNEME_H

#include "mneme/diskcache.h"
#include "mneme/limits.h"
#include "mneme/nearest.h"
#include "mneme/object.h"
#include "mneme/ramcache.h"
#include "mneme/records.h"
#include "mneme/scan.h"
#include "mneme/search.h"
#include "mneme/semcache.h"
#include "mneme/snapshot.h"
#include "mneme/status.h"
#include "mneme/store.h"
#include "mneme/temporal.h"
#include "mneme/trajectory.h"
#include "mneme/txn.h"
#include "mneme/types.h"
#include "mneme/wal.h"

#endif
