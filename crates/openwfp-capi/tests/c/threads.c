/* Threads that page through one handle get every entry exactly once. Closing an engine is safe while other threads are
 * inside its calls. */
#define _GNU_SOURCE
#include "fill.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

enum { COUNT = 3000, THREADS = 4, PER_PAGE = 7 };

static HANDLE engine, handle;
static atomic_uint seen[COUNT + 1];
static atomic_int closed;

static void *page(void *unused)
{
    UINT32 returned, i;
    (void)unused;
    do {
        IPSEC_SA_CONTEXT1 **contexts;
        SUCCEEDS(IPsecSaContextEnum1(engine, handle, PER_PAGE, &contexts, &returned));
        for (i = 0; i < returned; i++) {
            CHECK(contexts[i]->saContextId >= 1 && contexts[i]->saContextId <= COUNT);
            CHECK(contexts[i]->inboundSa->saBundle.saList->spi != 0);
            atomic_fetch_add(&seen[contexts[i]->saContextId], 1);
        }
        free_memory(&contexts);
    } while (returned == PER_PAGE);
    return NULL;
}

static void *use_until_closed(void *unused)
{
    RESULT result;
    (void)unused;
    do {
        HANDLE own = NULL;
        IPSEC_SA_CONTEXT1 **contexts = NULL;
        UINT32 returned = 0;
        result = IPsecSaContextCreateEnumHandle0(engine, NULL, &own);
        if (result == SUCCESS)
            result = IPsecSaContextEnum1(engine, own, 500, &contexts, &returned);
        CHECK(result == SUCCESS ? returned == 500 : contexts == NULL && returned == 0);
        free_memory(&contexts);
        if (result == SUCCESS)
            result = IPsecSaContextDestroyEnumHandle0(engine, own);
    } while (result == SUCCESS);
    CHECK(result == (RESULT)INVALID_HANDLE);
    CHECK(atomic_load(&closed));
    return NULL;
}

static void on_threads(void *(*body)(void *), int close_meanwhile)
{
    pthread_t threads[THREADS];
    int i;
    for (i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, body, NULL) == 0);
    if (close_meanwhile) {
        struct timespec moment = {0, 50 * 1000 * 1000};
        nanosleep(&moment, NULL);
        atomic_store(&closed, 1);
        SUCCEEDS(FwpmEngineClose0(engine));
    }
    for (i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
}

int main(void)
{
    UINT32 i;
    engine = open_engine();
    for (i = 0; i < COUNT; i++)
        CHECK(establish(engine, i) == i + 1);
    SUCCEEDS(IPsecSaContextCreateEnumHandle0(engine, NULL, &handle));
    on_threads(page, 0);
    for (i = 1; i <= COUNT; i++)
        CHECK(atomic_load(&seen[i]) == 1);
    on_threads(use_until_closed, 1);
    printf("ok\n");
    return 0;
}
