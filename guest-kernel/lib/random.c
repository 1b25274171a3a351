/*
 * ChaCha20 (RFC 8439, section 2.3) as a generator with fast key erasure: the first half of the
 * first block of each request becomes the next key.
 */
#include "guest-kernel/lib/random.h"
#include "guest-kernel/lib/string.h"

static u32 key[8];
static u64 requests;
static bool (*renewed)(void);
static u32 secret[8]; /* of random_function */
static bool has_secret;

static u32 rotate(u32 v, unsigned by)
{
    return v << by | v >> (32 - by);
}

static void quarter(u32 *s, unsigned a, unsigned b, unsigned c, unsigned d)
{
    s[a] += s[b];
    s[d] = rotate(s[d] ^ s[a], 16);
    s[c] += s[d];
    s[b] = rotate(s[b] ^ s[c], 12);
    s[a] += s[b];
    s[d] = rotate(s[d] ^ s[a], 8);
    s[c] += s[d];
    s[b] = rotate(s[b] ^ s[c], 7);
}

/* in[12] to in[15] are the counter and the nonce. */
static void permute(const u32 with[8], u32 in[16], u32 out[16])
{
    static const u32 constants[4] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};

    memcpy(in, constants, sizeof(constants));
    memcpy(in + 4, with, 8 * sizeof(with[0]));
    memcpy(out, in, 16 * sizeof(in[0]));
    for (unsigned round = 0; round < 10; round++) {
        for (unsigned i = 0; i < 4; i++)
            quarter(out, i, i + 4, i + 8, i + 12);
        for (unsigned i = 0; i < 4; i++)
            quarter(out, i, (i + 1) % 4 + 4, (i + 2) % 4 + 8, (i + 3) % 4 + 12);
    }
    for (unsigned i = 0; i < 16; i++)
        out[i] += in[i];
}

static void block(u32 counter, u32 out[16])
{
    u32 in[16];

    in[12] = counter;
    in[13] = (u32)requests;
    in[14] = (u32)(requests >> 32);
    in[15] = 0;
    permute(key, in, out);
}

void random_seed(u8 seed[32])
{
    u32 out[16];
    u32 words[8];

    memcpy(words, seed, sizeof(words));
    memset(seed, 0, 32);
    for (unsigned i = 0; i < ARRAY_LEN(key); i++)
        key[i] ^= words[i];
    block(0, out);
    memcpy(key, out, sizeof(key));
    memset(words, 0, sizeof(words));
}

void random_watch(bool (*function)(void))
{
    renewed = function;
}

static void fill(u8 *at, size_t len)
{
    u32 out[16];
    u32 next[8];

    requests++;
    block(0, out);
    memcpy(next, out, sizeof(next));
    for (u32 counter = 1; len > 0; counter++) {
        size_t n = MIN(len, sizeof(out));

        block(counter, out);
        memcpy(at, out, n);
        at += n;
        len -= n;
    }
    memcpy(key, next, sizeof(key));
    memset(out, 0, sizeof(out));
    memset(next, 0, sizeof(next));
}

/* Each four words choose the key for the next four. */
u32 random_function(const u32 *words, unsigned count)
{
    u32 in[16], out[16], with[8];

    if ((renewed && renewed()) || !has_secret)
        random_bytes(secret, sizeof(secret));
    has_secret = true;
    memcpy(with, secret, sizeof(with));
    for (unsigned done = 0; done < count; done += 4) {
        for (unsigned i = 0; i < 4; i++)
            in[12 + i] = done + i < count ? words[done + i] : 0;
        permute(with, in, out);
        memcpy(with, out, sizeof(with));
    }
    return with[0];
}

void random_bytes(void *buf, size_t len)
{
    if (renewed)
        renewed();
    do
        fill(buf, len);
    while (renewed && renewed());
}
