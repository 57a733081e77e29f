/* How fast contexts come out of the C ABI: IPsecSaContextEnum1 and FwpmFreeMemory0, beside memcpy of the same bytes.
 *
 *   enumerate [CONTEXTS [PAGE]]     built and run by scripts/bench-c
 *
 * A line a row: what, contexts/s, SAs/s, MB/s, and the share of memcpy. Each row is the best of five walks. */
#include "../tests/c/fill.h"

#include <malloc.h>
#include <time.h>

#ifndef WALKS
#define WALKS 5
#endif

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* The bytes that memcpy is timed with: copies of pages, together larger than any cache. */
enum { COPIES = 200 };
static void *copies[COPIES];
static size_t copied[COPIES];

static void keep(const void *page, UINT32 number)
{
    if (number >= COPIES || copies[number])
        return;
    copied[number] = malloc_usable_size((void *)(UINT_PTR)page);
    copies[number] = malloc(copied[number]);
    memcpy(copies[number], page, copied[number]);
}

/* Walks all contexts once; how long it took. */
static double walk(HANDLE engine, UINT32 page_len, UINT32 expected, double *bytes, UINT64 *sum)
{
    HANDLE handle;
    UINT32 returned, seen = 0, number = 0;
    double took = 0, start;
    *bytes = 0;
    SUCCEEDS(IPsecSaContextCreateEnumHandle0(engine, NULL, &handle));
    do {
        IPSEC_SA_CONTEXT1 **contexts;
        start = now();
        SUCCEEDS(IPsecSaContextEnum1(engine, handle, page_len, &contexts, &returned));
        took += now() - start;
        if (returned) {
            *bytes += (double)malloc_usable_size(contexts);
            *sum += contexts[returned - 1]->outboundSa->saBundle.saList->spi;
            keep(contexts, number++);
        }
        seen += returned;
        start = now();
        free_memory(&contexts);
        took += now() - start;
    } while (returned == page_len);
    SUCCEEDS(IPsecSaContextDestroyEnumHandle0(engine, handle));
    CHECK(seen == expected);
    return took;
}

/* Bytes a second: a page's memory is allocated, filled and freed, as for a call. */
static double copy_speed(void)
{
    double best = 0;
    int round, i;
    for (round = 0; round < WALKS; round++) {
        double start = now(), bytes = 0;
        for (i = 0; i < COPIES && copies[i]; i++) {
            char *volatile to = malloc(copied[i]);
            memcpy(to, copies[i], copied[i]);
            bytes += (double)copied[i];
            free(to);
        }
        bytes /= now() - start;
        best = bytes > best ? bytes : best;
    }
    return best;
}

static void row(const char *what, HANDLE engine, UINT32 count, UINT32 page_len)
{
    double best = 1e9, bytes = 0, copy;
    UINT64 sum = 0;
    int i;
    for (i = 0; i < WALKS; i++) {
        double took = walk(engine, page_len, count, &bytes, &sum);
        best = took < best ? took : best;
    }
    copy = copy_speed();
    printf("%-44s %6.2f M contexts/s %6.2f M SAs/s %6.0f MB/s  %3.0f%% of memcpy (%.0f MB/s)  %.0f bytes each\n", what,
        count / best / 1e6, 2 * count / best / 1e6, bytes / best / 1e6, bytes / best / copy * 100, copy / 1e6,
        bytes / count);
    fflush(stdout);
    /* The sum keeps a clever compiler from leaving the reads out. */
    CHECK(sum != 0);
}

static UINT64 state = 88172645463325252ull;

static UINT32 random_below(UINT32 bound)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (UINT32)(state % bound);
}

int main(int argc, char **argv)
{
    UINT32 count = argc > 1 ? (UINT32)strtoul(argv[1], NULL, 10) : 1000000;
    UINT32 page_len = argc > 2 ? (UINT32)strtoul(argv[2], NULL, 10) : 1000;
    HANDLE engine = open_engine();
    UINT64 *ids = malloc(count * sizeof(*ids));
    UINT32 i, round;

    for (i = 0; i < count; i++)
        ids[i] = establish(engine, i);
    row("fresh heap", engine, count, page_len);
    /* As after weeks of rekeying: every context deleted and made again, in random order, twice. */
    for (round = 0; round < 2; round++) {
        for (i = count - 1; i > 0; i--) {
            UINT32 j = random_below(i + 1);
            UINT64 id = ids[i];
            ids[i] = ids[j];
            ids[j] = id;
        }
        for (i = 0; i < count; i++) {
            SUCCEEDS(IPsecSaContextDeleteById0(engine, ids[i]));
            ids[i] = 0;
            if (i % 3 == 2 || i + 1 == count) {
                UINT32 k;
                for (k = i - i % 3; k <= i; k++)
                    ids[k] = establish(engine, k + count * (round + 1));
            }
        }
    }
    row("churned heap", engine, count, page_len);
    SUCCEEDS(FwpmEngineClose0(engine));
    return 0;
}
