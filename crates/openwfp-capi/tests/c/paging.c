/* Pages like real callers: one entry at a time until none is left, in one page of 1,000, and all at once. An empty page
 * is freed like any other. The engine may be closed before its enumerators are destroyed. */
#include "fill.h"

enum { COUNT = 25 };

static HANDLE enumerator(HANDLE engine)
{
    HANDLE handle = NULL;
    SUCCEEDS(IPsecSaContextCreateEnumHandle0(engine, NULL, &handle));
    return handle;
}

static UINT32 page(HANDLE engine, HANDLE handle, UINT32 wanted, UINT64 *last)
{
    IPSEC_SA_CONTEXT1 **contexts = NULL;
    UINT32 returned = 77, i;
    SUCCEEDS(IPsecSaContextEnum1(engine, handle, wanted, &contexts, &returned));
    CHECK(contexts != NULL);
    for (i = 0; i < returned; i++) {
        CHECK(contexts[i]->saContextId > *last);
        *last = contexts[i]->saContextId;
    }
    free_memory(&contexts);
    CHECK(contexts == NULL);
    return returned;
}

int main(void)
{
    HANDLE engine = open_engine(), handle;
    IPSEC_SA_CONTEXT_ENUM_TEMPLATE0 template;
    FWP_V4_ADDR_AND_MASK network = {REMOTE_ADDRESS + 16, 0xFFFFFFF8};
    FWP_BYTE_ARRAY16 v6 = {{0xFD, 0}};
    UINT64 last;
    UINT32 i, seen;

    for (i = 0; i < COUNT; i++)
        establish(engine, i);

    handle = enumerator(engine);
    for (seen = 0, last = 0; page(engine, handle, 1, &last) == 1; seen++)
        ;
    CHECK(seen == COUNT);
    CHECK(page(engine, handle, 1, &last) == 0);
    SUCCEEDS(IPsecSaContextDestroyEnumHandle0(engine, handle));

    handle = enumerator(engine);
    last = 0;
    CHECK(page(engine, handle, 0, &last) == 0);
    CHECK(page(engine, handle, 1000, &last) == COUNT);
    SUCCEEDS(IPsecSaContextDestroyEnumHandle0(engine, handle));

    handle = enumerator(engine);
    last = 0;
    CHECK(page(engine, handle, 0xFFFFFFFF, &last) == COUNT);
    SUCCEEDS(IPsecSaContextDestroyEnumHandle0(engine, handle));

    /* The enumerator is a snapshot: contexts added or deleted after its creation do not change it. */
    handle = enumerator(engine);
    last = 0;
    CHECK(page(engine, handle, 10, &last) == 10);
    establish(engine, 100);
    SUCCEEDS(IPsecSaContextDeleteById0(engine, last + 1));
    CHECK(page(engine, handle, 1000, &last) == COUNT - 10);
    SUCCEEDS(IPsecSaContextDestroyEnumHandle0(engine, handle));

    memset(&template, 0, sizeof(template));
    template.remoteSubNet.type = FWP_V4_ADDR_MASK;
    template.remoteSubNet.v4AddrMask = &network;
    SUCCEEDS(IPsecSaContextCreateEnumHandle0(engine, &template, &handle));
    last = 0;
    CHECK(page(engine, handle, 1000, &last) == 8);
    SUCCEEDS(IPsecSaContextDestroyEnumHandle0(engine, handle));
    template.remoteSubNet.type = FWP_UINT32;
    template.remoteSubNet.uint32 = REMOTE_ADDRESS + 9;
    template.localSubNet.type = FWP_UINT32;
    template.localSubNet.uint32 = LOCAL_ADDRESS;
    SUCCEEDS(IPsecSaContextCreateEnumHandle0(engine, &template, &handle));
    last = 0;
    CHECK(page(engine, handle, 1000, &last) == 1);
    SUCCEEDS(IPsecSaContextDestroyEnumHandle0(engine, handle));
    template.remoteSubNet.type = FWP_BYTE_ARRAY16_TYPE;
    template.remoteSubNet.byteArray16 = &v6;
    SUCCEEDS(IPsecSaContextCreateEnumHandle0(engine, &template, &handle));
    last = 0;
    CHECK(page(engine, handle, 1000, &last) == 0);
    SUCCEEDS(IPsecSaContextDestroyEnumHandle0(engine, handle));

    /* Closing the engine also closes the enumerators that are still open. */
    handle = enumerator(engine);
    SUCCEEDS(FwpmEngineClose0(engine));
    ANSWERS(INVALID_HANDLE, IPsecSaContextDestroyEnumHandle0(engine, handle));
    printf("ok\n");
    return 0;
}
