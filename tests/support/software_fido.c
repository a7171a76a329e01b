/* A FIDO token in software: what OpenSSH loads as a provider (PROTOCOL.u2f, sk-api.h). The key handle is the seed, so
   nothing is kept. It has a finger whenever one is wanted; a key made with no-touch-required wants none. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

struct enrolled {
    uint8_t flags;
    uint8_t *public_key; size_t public_key_length;
    uint8_t *key_handle; size_t key_handle_length;
    uint8_t *signature; size_t signature_length;
    uint8_t *certificate; size_t certificate_length;
    uint8_t *data; size_t data_length;
};

struct signed_by_key {
    uint8_t flags;
    uint32_t counter;
    uint8_t *first; size_t first_length;
    uint8_t *second; size_t second_length;
};

/* libcrypto, without its headers. */
extern void *EVP_PKEY_new_raw_private_key(int type, void *engine, const uint8_t *key, size_t length);
extern int EVP_PKEY_get_raw_public_key(const void *key, uint8_t *out, size_t *length);
extern void EVP_PKEY_free(void *key);
extern void *EVP_MD_CTX_new(void);
extern void EVP_MD_CTX_free(void *context);
extern int EVP_DigestSignInit(void *context, void **unused, const void *digest, void *engine, void *key);
extern int EVP_DigestSign(void *context, uint8_t *out, size_t *length, const uint8_t *text, size_t text_length);
extern uint8_t *SHA256(const uint8_t *text, size_t length, uint8_t *out);

enum { ED25519 = 1087, ALGORITHM_ED25519 = 1, TOUCH = 1, GENERAL = -1, UNSUPPORTED = -2 };

uint32_t sk_api_version(void) { return 0x000a0000; }

static uint8_t *copy(const uint8_t *bytes, size_t length)
{
    uint8_t *made = malloc(length);
    if (made) memcpy(made, bytes, length);
    return made;
}

int sk_enroll(uint32_t algorithm, const uint8_t *challenge, size_t challenge_length, const char *application,
              uint8_t flags, const char *pin, void **options, struct enrolled **response)
{
    (void)challenge, (void)challenge_length, (void)application, (void)pin, (void)options;
    if (algorithm != ALGORITHM_ED25519) return UNSUPPORTED;
    uint8_t seed[32], point[32];
    size_t length = sizeof point;
    if (getrandom(seed, sizeof seed, 0) != sizeof seed) return GENERAL;
    void *key = EVP_PKEY_new_raw_private_key(ED25519, NULL, seed, sizeof seed);
    if (!key || EVP_PKEY_get_raw_public_key(key, point, &length) != 1) return GENERAL;
    EVP_PKEY_free(key);
    struct enrolled *made = calloc(1, sizeof *made);
    if (!made) return GENERAL;
    made->flags = flags;
    made->public_key = copy(point, sizeof point), made->public_key_length = sizeof point;
    made->key_handle = copy(seed, sizeof seed), made->key_handle_length = sizeof seed;
    made->signature = copy(seed, 1), made->signature_length = 1;
    *response = made;
    return 0;
}

int sk_sign(uint32_t algorithm, const uint8_t *text, size_t text_length, const char *application,
            const uint8_t *handle, size_t handle_length, uint8_t flags, const char *pin, void **options,
            struct signed_by_key **response)
{
    (void)pin, (void)options;
    if (algorithm != ALGORITHM_ED25519 || handle_length != 32) return UNSUPPORTED;
    uint8_t said[32 + 1 + 4 + 32], signature[64];
    size_t length = sizeof signature;
    SHA256((const uint8_t *)application, strlen(application), said);
    said[32] = flags & TOUCH;
    memcpy(said + 33, "\0\0\0\1", 4);
    SHA256(text, text_length, said + 37);
    void *key = EVP_PKEY_new_raw_private_key(ED25519, NULL, handle, handle_length);
    void *context = EVP_MD_CTX_new();
    if (!key || !context || EVP_DigestSignInit(context, NULL, NULL, NULL, key) != 1
        || EVP_DigestSign(context, signature, &length, said, sizeof said) != 1) return GENERAL;
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    struct signed_by_key *made = calloc(1, sizeof *made);
    if (!made) return GENERAL;
    made->flags = flags & TOUCH, made->counter = 1;
    made->first = copy(signature, sizeof signature), made->first_length = sizeof signature;
    *response = made;
    return 0;
}

int sk_load_resident_keys(const char *pin, void **options, void ***keys, size_t *count)
{
    (void)pin, (void)options, (void)keys, (void)count;
    return UNSUPPORTED;
}
