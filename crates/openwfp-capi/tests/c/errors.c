/* Provokes errors: null pointers, closed, foreign or invented handles, values out of range, calls in a wrong state. */
#include "fill.h"

#include <openwfp.h>

/* The call returns this code and clears its results. */
#define CLEARED(code, call)                                                                                            \
    do {                                                                                                               \
        contexts = (IPSEC_SA_CONTEXT1 **)&contexts;                                                                    \
        returned = 99;                                                                                                 \
        ANSWERS(code, call);                                                                                           \
        CHECK(contexts == NULL && returned == 0);                                                                      \
    } while (0)

static void handles(void)
{
    HANDLE engine = open_engine(), other = open_engine(), handle, foreign, sas;
    IPSEC_SA_CONTEXT1 **contexts = NULL;
    UINT32 returned = 0, i;
    HANDLE garbage[] = {NULL, (HANDLE)1, (HANDLE)8, INVALID_HANDLE_VALUE, (HANDLE)&handle, NULL};

    SUCCEEDS(IPsecSaContextCreateEnumHandle0(engine, NULL, &handle));
    SUCCEEDS(IPsecSaContextCreateEnumHandle0(other, NULL, &foreign));
    SUCCEEDS(IPsecSaCreateEnumHandle0(engine, NULL, &sas));
    garbage[5] = (HANDLE)((UINT_PTR)handle ^ 1);
    for (i = 0; i < ARRAYSIZE(garbage); i++) {
        CLEARED(INVALID_HANDLE, IPsecSaContextEnum1(garbage[i], handle, 1, &contexts, &returned));
        CLEARED(INVALID_HANDLE, IPsecSaContextEnum1(engine, garbage[i], 1, &contexts, &returned));
        ANSWERS(INVALID_HANDLE, IPsecSaContextDestroyEnumHandle0(engine, garbage[i]));
        ANSWERS(INVALID_HANDLE, IPsecSaContextUnsubscribe0(engine, garbage[i]));
        ANSWERS(INVALID_HANDLE, FwpmEngineClose0(garbage[i]));
        ANSWERS(INVALID_HANDLE, FwpmTransactionBegin0(garbage[i], 0));
        ANSWERS(INVALID_HANDLE, IkeextSaDeleteById0(garbage[i], 1));
    }
    CLEARED(FWP(WRONG_SESSION), IPsecSaContextEnum1(engine, foreign, 1, &contexts, &returned));
    ANSWERS(FWP(WRONG_SESSION), IPsecSaContextDestroyEnumHandle0(engine, foreign));
    /* Handles of other kinds. */
    CLEARED(INVALID_HANDLE, IPsecSaContextEnum1(engine, sas, 1, &contexts, &returned));
    CLEARED(INVALID_HANDLE, IPsecSaContextEnum1(engine, engine, 1, &contexts, &returned));
    CLEARED(INVALID_HANDLE, IPsecSaContextEnum1(handle, handle, 1, &contexts, &returned));
    ANSWERS(INVALID_HANDLE, IPsecSaDestroyEnumHandle0(engine, handle));
    /* Closed handles. */
    SUCCEEDS(IPsecSaContextDestroyEnumHandle0(engine, handle));
    ANSWERS(INVALID_HANDLE, IPsecSaContextDestroyEnumHandle0(engine, handle));
    CLEARED(INVALID_HANDLE, IPsecSaContextEnum1(engine, handle, 1, &contexts, &returned));
    SUCCEEDS(FwpmEngineClose0(engine));
    ANSWERS(INVALID_HANDLE, FwpmEngineClose0(engine));
    CLEARED(INVALID_HANDLE, IPsecSaContextEnum1(engine, sas, 1, &contexts, &returned));
    /* A call checks its handle first, even if it is not implemented. */
    ANSWERS(INVALID_HANDLE, IkeextSaDeleteById0(engine, 1));
#ifdef KERNEL
    ANSWERS(STATUS_NOT_IMPLEMENTED, IkeextSaDeleteById0(other, 1));
#else
    ANSWERS(ERROR_CALL_NOT_IMPLEMENTED, IkeextSaDeleteById0(other, 1));
#endif
    SUCCEEDS(FwpmEngineClose0(other));
}

static void pointers(HANDLE engine)
{
    HANDLE handle;
    IPSEC_SA_CONTEXT1 **contexts = (IPSEC_SA_CONTEXT1 **)&contexts, *context;
    IPSEC_TRAFFIC1 traffic = make_traffic(1);
    IPSEC_SA_CONTEXT_ENUM_TEMPLATE0 template;
    UINT32 returned = 5, spi;
    UINT64 id;

    SUCCEEDS(IPsecSaContextCreateEnumHandle0(engine, NULL, &handle));
    ANSWERS(FWP(NULL_POINTER), IPsecSaContextEnum1(engine, handle, 1, NULL, &returned));
    CHECK(returned == 0);
    ANSWERS(FWP(NULL_POINTER), IPsecSaContextEnum1(engine, handle, 1, &contexts, NULL));
    CHECK(contexts == NULL);
    CHECK(strstr(OpenwfpLastErrorText(), "numEntriesReturned is null") != NULL);
    ANSWERS(FWP(NULL_POINTER), IPsecSaContextCreateEnumHandle0(engine, NULL, NULL));
    ANSWERS(FWP(NULL_POINTER), FwpmEngineOpen0(NULL, RPC_C_AUTHN_DEFAULT, NULL, NULL, NULL));
    ANSWERS(FWP(NULL_POINTER), IPsecSaContextCreate1(engine, NULL, NULL, NULL, &id));
    ANSWERS(FWP(NULL_POINTER), IPsecSaContextCreate1(engine, &traffic, NULL, NULL, NULL));
    ANSWERS(FWP(NULL_POINTER), IPsecSaContextGetSpi1(engine, 1, NULL, &spi));
    ANSWERS(FWP(NULL_POINTER), IPsecSaContextAddInbound1(engine, 1, NULL));
    ANSWERS(FWP(NULL_POINTER), IPsecSaContextAddOutbound0(engine, 1, NULL));
    ANSWERS(FWP(NULL_POINTER), IPsecSaContextUpdate0(engine, 1, NULL));
    ANSWERS(FWP(NULL_POINTER), IPsecSaContextGetById1(engine, 1, NULL));
    ANSWERS(FWP(NULL_POINTER), IPsecGetStatistics1(engine, NULL));
    ANSWERS(FWP(NULL_POINTER), IPsecSaContextSubscribe0(engine, NULL, NULL, NULL, &handle));
    /* A null pointer inside a structure. */
    memset(&template, 0, sizeof(template));
    template.localSubNet.type = FWP_V4_ADDR_MASK;
    ANSWERS(FWP(NULL_POINTER), IPsecSaContextCreateEnumHandle0(engine, &template, &handle));
    CHECK(handle == NULL);
    /* A misaligned pointer. */
    ANSWERS(FWP(INVALID_PARAMETER), IPsecSaContextGetById1(engine, 1, (IPSEC_SA_CONTEXT1 **)((char *)&context + 1)));
}

static void templates(HANDLE engine)
{
    IPSEC_SA_CONTEXT_ENUM_TEMPLATE0 template;
    FWP_V4_ADDR_AND_MASK holes = {0x0A000000, 0xFF00FF00};
    FWP_V6_ADDR_AND_MASK too_long = {{0}, 129};
    FWP_RANGE0 range;
    IPSEC_SA_ENUM_TEMPLATE0 direction = {FWP_DIRECTION_MAX};
    HANDLE handle;

    memset(&template, 0, sizeof(template));
    template.localSubNet.type = FWP_UINT16;
    ANSWERS(FWP(TYPE_MISMATCH), IPsecSaContextCreateEnumHandle0(engine, &template, &handle));
    template.localSubNet.type = FWP_V4_ADDR_MASK;
    template.localSubNet.v4AddrMask = &holes;
    ANSWERS(FWP(INVALID_NET_MASK), IPsecSaContextCreateEnumHandle0(engine, &template, &handle));
    template.localSubNet.type = FWP_V6_ADDR_MASK;
    template.localSubNet.v6AddrMask = &too_long;
    ANSWERS(FWP(INVALID_NET_MASK), IPsecSaContextCreateEnumHandle0(engine, &template, &handle));
    memset(&range, 0, sizeof(range));
    range.valueLow.type = range.valueHigh.type = FWP_UINT32;
    range.valueLow.uint32 = 2;
    range.valueHigh.uint32 = 1;
    template.localSubNet.type = FWP_RANGE_TYPE;
    template.localSubNet.rangeValue = &range;
    ANSWERS(FWP(INVALID_RANGE), IPsecSaContextCreateEnumHandle0(engine, &template, &handle));
    range.valueHigh.type = FWP_UINT8;
    ANSWERS(FWP(TYPE_MISMATCH), IPsecSaContextCreateEnumHandle0(engine, &template, &handle));
    range.valueHigh.type = FWP_UINT32;
    range.valueHigh.uint32 = 3;
    SUCCEEDS(IPsecSaContextCreateEnumHandle0(engine, &template, &handle));
    SUCCEEDS(IPsecSaContextDestroyEnumHandle0(engine, handle));
    ANSWERS(FWP(INVALID_ENUMERATOR), IPsecSaCreateEnumHandle0(engine, &direction, &handle));
}

static void bundles(HANDLE engine)
{
    IPSEC_TRAFFIC1 traffic = make_traffic(200);
    IPSEC_GETSPI1 request;
    IPSEC_SA0 two[2];
    BUNDLE b;
    UINT64 id;
    UINT32 spi;

    traffic.trafficType = (IPSEC_TRAFFIC_TYPE)2;
    ANSWERS(FWP(INVALID_ENUMERATOR), IPsecSaContextCreate1(engine, &traffic, NULL, NULL, &id));
    CHECK(id == 0);
    traffic = make_traffic(200);
    traffic.ipVersion = (FWP_IP_VERSION)7;
    ANSWERS(FWP(INVALID_ENUMERATOR), IPsecSaContextCreate1(engine, &traffic, NULL, NULL, &id));
    traffic = make_traffic(200);
    SUCCEEDS(IPsecSaContextCreate1(engine, &traffic, NULL, NULL, &id));
    memset(&request, 0, sizeof(request));
    request.inboundIpsecTraffic = make_traffic(201);
    ANSWERS(FWP(TRAFFIC_MISMATCH), IPsecSaContextGetSpi1(engine, id, &request, &spi));
    request.inboundIpsecTraffic = traffic;
    ANSWERS(FWP(OUT_OF_BOUNDS), IPsecSaContextSetSpi0(engine, id, &request, 0));
    ANSWERS(FWP(OUT_OF_BOUNDS), IPsecSaContextSetSpi0(engine, id, &request, 255));
    make_bundle(&b, 0x1234, 1);
    ANSWERS(FWP(INCOMPATIBLE_SA_STATE), IPsecSaContextAddInbound1(engine, id, &b.bundle));
    SUCCEEDS(IPsecSaContextSetSpi0(engine, id, &request, 0x1234));
    ANSWERS(FWP(INCOMPATIBLE_SA_STATE), IPsecSaContextAddOutbound1(engine, id, &b.bundle));
    ANSWERS(FWP(NOT_FOUND), IPsecSaContextAddInbound1(engine, id + 1000, &b.bundle));

    b.bundle.numSAs = 0;
    ANSWERS(FWP(ZERO_LENGTH_ARRAY), IPsecSaContextAddInbound1(engine, id, &b.bundle));
    b.bundle.numSAs = 3;
    ANSWERS(FWP(OUT_OF_BOUNDS), IPsecSaContextAddInbound1(engine, id, &b.bundle));
    two[0] = two[1] = b.sa;
    b.bundle.numSAs = 2;
    b.bundle.saList = two;
    ANSWERS(FWP(OUT_OF_BOUNDS), IPsecSaContextAddInbound1(engine, id, &b.bundle));
    b.bundle.saList = NULL;
    ANSWERS(FWP(NULL_POINTER), IPsecSaContextAddInbound1(engine, id, &b.bundle));
    make_bundle(&b, 0x1234, 1);
    b.sa.espAuthAndCipherInformation = NULL;
    ANSWERS(FWP(NULL_POINTER), IPsecSaContextAddInbound1(engine, id, &b.bundle));
    make_bundle(&b, 0x1234, 1);
    b.sa.saTransformType = (IPSEC_TRANSFORM_TYPE)9;
    ANSWERS(FWP(INVALID_ENUMERATOR), IPsecSaContextAddInbound1(engine, id, &b.bundle));
    make_bundle(&b, 0x1234, 1);
    b.both.saCipherInformation.cipherKey.size = b.both.saAuthInformation.authKey.size = 16;
    ANSWERS(FWP(INVALID_CIPHER_TRANSFORM), IPsecSaContextAddInbound1(engine, id, &b.bundle));
    make_bundle(&b, 0x1234, 1);
    b.both.saAuthInformation.authTransform.authTransformId.authConfig = 1;
    ANSWERS(FWP(INVALID_AUTH_TRANSFORM), IPsecSaContextAddInbound1(engine, id, &b.bundle));
    make_bundle(&b, 0x1234, 1);
    b.auth_key[3] ^= 1;
    ANSWERS(FWP(INVALID_TRANSFORM_COMBINATION), IPsecSaContextAddInbound1(engine, id, &b.bundle));
    make_bundle(&b, 0x1234, 1);
    b.both.saCipherInformation.cipherKey.size = 0xFFFFFFFF;
    ANSWERS(FWP(OUT_OF_BOUNDS), IPsecSaContextAddInbound1(engine, id, &b.bundle));
    make_bundle(&b, 0x1234, 1);
    b.bundle.pfsGroup = (IPSEC_PFS_GROUP)100;
    ANSWERS(FWP(INVALID_ENUMERATOR), IPsecSaContextAddInbound1(engine, id, &b.bundle));
    make_bundle(&b, 0x1234, 1);
    b.bundle.flags = 0x08000000;
    ANSWERS(FWP(INVALID_FLAGS), IPsecSaContextAddInbound1(engine, id, &b.bundle));
    make_bundle(&b, 0x4321, 1);
    CHECK(IPsecSaContextAddInbound1(engine, id, &b.bundle) != SUCCESS);
    /* None of the failed calls changed the context. */
    make_bundle(&b, 0x1234, 1);
    SUCCEEDS(IPsecSaContextAddInbound1(engine, id, &b.bundle));
    SUCCEEDS(IPsecSaContextDeleteById0(engine, id));
    ANSWERS(FWP(NOT_FOUND), IPsecSaContextDeleteById0(engine, id));
    ANSWERS(FWP(NOT_FOUND), IPsecSaContextExpire0(engine, id));
}

static void updates(HANDLE engine)
{
    UINT64 id = establish(engine, 210);
    IPSEC_SA_CONTEXT1 *context;

    SUCCEEDS(IPsecSaContextGetById1(engine, id, &context));
    ANSWERS(FWP(INVALID_FLAGS), IPsecSaContextUpdate0(engine, 0x80, context));
    ANSWERS(FWP(INVALID_FLAGS), IPsecSaContextUpdate0(engine, 1ull << 40, context));
    context->outboundSa->traffic.remoteV4Address++;
    ANSWERS(FWP(TRAFFIC_MISMATCH), IPsecSaContextUpdate0(engine, 1, context));
    context->inboundSa = context->outboundSa = NULL;
    ANSWERS(FWP(NULL_POINTER), IPsecSaContextUpdate0(engine, 1, context));
    free_memory(&context);
    SUCCEEDS(IPsecSaContextDeleteById0(engine, id));
}

static void sessions(HANDLE engine)
{
    FWPM_SESSION0 session;
    IPSEC_TRAFFIC1 traffic = make_traffic(220);
    HANDLE other = (HANDLE)&session;
    UINT64 id;
    WCHAR server[] = {'1', '2', '7', '.', '0', '.', '0', '.', '1', ':', '1', 0};
    SEC_WINNT_AUTH_IDENTITY_W identity;

    ANSWERS(FWP(NO_TXN_IN_PROGRESS), FwpmTransactionCommit0(engine));
    ANSWERS(FWP(NO_TXN_IN_PROGRESS), FwpmTransactionAbort0(engine));
    ANSWERS(FWP(INVALID_FLAGS), FwpmTransactionBegin0(engine, 2));
    SUCCEEDS(FwpmTransactionBegin0(engine, 0));
    ANSWERS(FWP(TXN_IN_PROGRESS), FwpmTransactionBegin0(engine, 0));
    ANSWERS(FWP(TXN_IN_PROGRESS), IPsecSaContextCreate1(engine, &traffic, NULL, NULL, &id));
    SUCCEEDS(FwpmTransactionAbort0(engine));

    memset(&session, 0, sizeof(session));
    session.flags = 2;
    ANSWERS(FWP(INVALID_FLAGS), FwpmEngineOpen0(NULL, RPC_C_AUTHN_DEFAULT, NULL, &session, &other));
    CHECK(other == NULL);
    session.flags = FWPM_SESSION_FLAG_DYNAMIC;
    session.sessionKey.Data1 = 0x1234;
    SUCCEEDS(FwpmEngineOpen0(NULL, RPC_C_AUTHN_DEFAULT, NULL, &session, &other));
    ANSWERS(FWP(DYNAMIC_SESSION_IN_PROGRESS), IPsecSaContextCreate1(other, &traffic, NULL, NULL, &id));
    ANSWERS(FWP(DYNAMIC_SESSION_IN_PROGRESS), IPsecSaContextDeleteById0(other, 1));
    {
        HANDLE third;
        ANSWERS(FWP(ALREADY_EXISTS), FwpmEngineOpen0(NULL, RPC_C_AUTHN_DEFAULT, NULL, &session, &third));
    }
    SUCCEEDS(FwpmEngineClose0(other));
    memset(&identity, 0, sizeof(identity));
#ifdef KERNEL
    ANSWERS(STATUS_NOT_SUPPORTED, FwpmEngineOpen0(NULL, 9, NULL, NULL, &other));
    ANSWERS(STATUS_NOT_SUPPORTED, FwpmEngineOpen0(NULL, RPC_C_AUTHN_WINNT, &identity, NULL, &other));
    ANSWERS(FWP(INVALID_PARAMETER), FwpmEngineOpen0(server, RPC_C_AUTHN_WINNT, NULL, NULL, &other));
#else
    ANSWERS(ERROR_NOT_SUPPORTED, FwpmEngineOpen0(NULL, 9, NULL, NULL, &other));
    ANSWERS(ERROR_NOT_SUPPORTED, FwpmEngineOpen0(NULL, RPC_C_AUTHN_WINNT, &identity, NULL, &other));
    ANSWERS(RPC_E_SERVER_DIED_DNE, FwpmEngineOpen0(server, RPC_C_AUTHN_WINNT, NULL, NULL, &other));
    CHECK(strstr(OpenwfpLastErrorText(), "https://127.0.0.1:1") != NULL);
#endif
    CHECK(other == NULL);
}

int main(void)
{
    HANDLE engine = open_engine();
    CHECK(OpenwfpLastErrorText()[0] == 0);
    pointers(engine);
    handles();
    templates(engine);
    bundles(engine);
    updates(engine);
    sessions(engine);
    SUCCEEDS(FwpmEngineClose0(engine));
    printf("ok\n");
    return 0;
}
