/* FwpmFreeMemory0 with null, empty pages, foreign pointers, and memory that was freed before. */
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
        /* A block that was freed before is left alone. */
        free_memory(&copy);
        CHECK(copy != NULL);
    }
    pointer = &local;
    FwpmFreeMemory0(&pointer);
    CHECK(pointer == &local && local == 5);
    FwpmFreeMemory0(&foreign);
    CHECK(foreign != NULL);
    free(foreign);

    /* Freeing a pointer into a block does nothing; freeing the block ignores what its pointers were changed to. */
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
