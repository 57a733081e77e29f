/* FwpmFreeMemory0: null, empty pages, what it never gave, what it gave before. */
#include "fill.h"

int main(void)
{
    HANDLE engine = open_engine(), handle;
    IPSEC_SA_CONTEXT1 **page = NULL, **copy, *context;
    UINT64 id = establish(engine, 1);
    UINT32 returned, i;
    int local = 5;
    void *pointer = NULL, *foreign = malloc(16);

    FwpmFreeMemory0(NULL);
    FwpmFreeMemory0(&pointer);
    CHECK(pointer == NULL);
    SUCCEEDS(IPsecSaContextCreateEnumHandle0(engine, NULL, &handle));
    for (i = 0; i < 2; i++) {
        SUCCEEDS(IPsecSaContextEnum1(engine, handle, 1, &page, &returned));
        CHECK(returned == 1 - i && page != NULL);
        copy = page;
        free_memory(&page);
        CHECK(page == NULL);
        free_memory(&page);
        /* What was freed, and what never was ours, is left alone. */
        free_memory(&copy);
        CHECK(copy != NULL);
    }
    pointer = &local;
    FwpmFreeMemory0(&pointer);
    CHECK(pointer == &local && local == 5);
    FwpmFreeMemory0(&foreign);
    CHECK(foreign != NULL);
    free(foreign);

    /* Only the block goes, whatever its pointers were changed to; entries of a page are no blocks of their own. */
    SUCCEEDS(IPsecSaContextGetById1(engine, id, &context));
    context->inboundSa = (IPSEC_SA_DETAILS1 *)&local;
    context->outboundSa->saBundle.saList->espAuthAndCipherInformation->saCipherInformation.cipherKey.size = 0xFFFFFFFF;
    context->outboundSa->saBundle.numSAs = 0xFFFFFFFF;
    pointer = context->outboundSa;
    FwpmFreeMemory0(&pointer);
    CHECK(pointer == context->outboundSa);
    free_memory(&context);
    SUCCEEDS(IPsecSaContextDestroyEnumHandle0(engine, handle));
    SUCCEEDS(FwpmEngineClose0(engine));
    printf("ok\n");
    return 0;
}
