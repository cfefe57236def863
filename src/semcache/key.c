/*
 * key.c - the exact key of a request.
 *
 * Owns:    nothing.
 * Threads: any.
 * Fails:   MN_ERR_UNSUPPORTED without OpenSSL, MN_ERR_NOMEM.
 */
#include "semcache/semcache.h"

#ifdef MNI_HAVE_CRYPTO

#include <openssl/evp.h>

#include "base/bytes.h"

static bool add_number(EVP_MD_CTX *digest, uint64_t number)
{
    unsigned char bytes[8];

    mni_put_u64(bytes, number);
    return EVP_DigestUpdate(digest, bytes, sizeof bytes) == 1;
}

/* The length goes before the bytes, so that what follows cannot be taken for a part of them. */
static bool add_bytes(EVP_MD_CTX *digest, struct mn_slice bytes)
{
    return add_number(digest, bytes.n_bytes) &&
           (bytes.n_bytes == 0 || EVP_DigestUpdate(digest, bytes.data, bytes.n_bytes) == 1);
}

mn_status mni_semcache_key(uint64_t tenant, struct mn_slice model, struct mn_slice request,
                           unsigned char key_out[MN_SEMCACHE_KEY_BYTES], struct mn_error *err)
{
    static const char label[] = "mneme semcache key 1";
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    bool is_good = digest != NULL && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) == 1 &&
                   EVP_DigestUpdate(digest, label, sizeof label) == 1 &&
                   add_number(digest, tenant) && add_bytes(digest, model) &&
                   add_bytes(digest, request) && EVP_DigestFinal_ex(digest, key_out, NULL) == 1;

    EVP_MD_CTX_free(digest);
    return is_good ? MN_OK : mni_fail(err, MN_ERR_NOMEM, "the digest of a request");
}

#else

mn_status mni_semcache_key(uint64_t tenant, struct mn_slice model, struct mn_slice request,
                           unsigned char key_out[MN_SEMCACHE_KEY_BYTES], struct mn_error *err)
{
    (void)tenant;
    (void)model;
    (void)request;
    (void)key_out;
    return mni_fail(err, MN_ERR_UNSUPPORTED,
                    "this library was built without OpenSSL, which makes keys of requests");
}

#endif
