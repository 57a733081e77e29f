/* A program for Windows Vista. It uses the unnumbered names, which stand for version 0 of structures and calls. */
#define _WIN32_WINNT 0x0600
#include "fill.h"

int main(void)
{
    HANDLE engine = NULL, handle;
    IPSEC_TRAFFIC traffic;
    IPSEC_GETSPI request;
    IPSEC_SA_BUNDLE bundle;
    IPSEC_SA_CONTEXT *context, **contexts;
    IPSEC_SA_DETAILS **details;
    IPSEC_STATISTICS statistics;
    BUNDLE newer;
    UINT64 id, filter;
    UINT32 spi, returned;

    /* The structures have the sizes of Vista. */
    CHECK(sizeof(IPSEC_SA_DETAILS) == 168 && sizeof(IPSEC_SA_BUNDLE) == 88 && sizeof(IPSEC_TRAFFIC) == 56);
    CHECK(sizeof(IPSEC_STATISTICS) == 200 && sizeof(IPSEC_GETSPI) == 80);

    SUCCEEDS(FwpmEngineOpen(NULL, RPC_C_AUTHN_DEFAULT, NULL, NULL, &engine));
    memset(&traffic, 0, sizeof(traffic));
    traffic.localV4Address = LOCAL_ADDRESS;
    traffic.remoteV4Address = REMOTE_ADDRESS;
    traffic.trafficType = IPSEC_TRAFFIC_TYPE_TRANSPORT;
    traffic.ipsecFilterId = 70;
    traffic.remotePort = 500;
    SUCCEEDS(IPsecSaContextCreate(engine, &traffic, &filter, &id));
    memset(&request, 0, sizeof(request));
    request.inboundIpsecTraffic = traffic;
    SUCCEEDS(IPsecSaContextGetSpi(engine, id, &request, &spi));
    make_bundle(&newer, spi, 4);
    memset(&bundle, 0, sizeof(bundle));
    bundle.numSAs = 1;
    bundle.saList = &newer.sa;
    bundle.qmSaId = 8;
    bundle.mmSaId = 9;
    SUCCEEDS(IPsecSaContextAddInbound(engine, id, &bundle));
    SUCCEEDS(IPsecSaContextAddOutbound(engine, id, &bundle));

    SUCCEEDS(IPsecSaContextGetById(engine, id, &context));
    CHECK(context->inboundSa->traffic.localV4Address == LOCAL_ADDRESS);
    CHECK(context->inboundSa->traffic.remotePort == 500 && context->inboundSa->traffic.ipsecFilterId == 70);
    CHECK(context->outboundSa->saBundle.qmSaId == 8 && context->outboundSa->saBundle.mmSaId == 9);
    CHECK(context->outboundSa->saBundle.saList->espAuthAndCipherInformation->saAuthInformation.authKey.data[19] == 4);
    CHECK(context->outboundSa->transportFilter->numFilterConditions == 3);
    FwpmFreeMemory((void **)&context);

    SUCCEEDS(IPsecSaContextCreateEnumHandle(engine, NULL, &handle));
    SUCCEEDS(IPsecSaContextEnum(engine, handle, 10, &contexts, &returned));
    CHECK(returned == 1 && contexts[0]->saContextId == id);
    CHECK(contexts[0]->inboundSa->saBundle.saList->spi == spi);
    FwpmFreeMemory((void **)&contexts);
    SUCCEEDS(IPsecSaContextDestroyEnumHandle(engine, handle));
    SUCCEEDS(IPsecSaCreateEnumHandle(engine, NULL, &handle));
    SUCCEEDS(IPsecSaEnum(engine, handle, 10, &details, &returned));
    CHECK(returned == 2 && details[1]->saBundle.saList->spi == spi);
    FwpmFreeMemory((void **)&details);
    SUCCEEDS(IPsecSaDestroyEnumHandle(engine, handle));
    SUCCEEDS(IPsecGetStatistics(engine, &statistics));
    CHECK(statistics.aggregateSaStatistics.activeSas == 2);
    SUCCEEDS(IPsecSaContextDeleteById(engine, id));
    SUCCEEDS(FwpmEngineClose(engine));
    printf("ok\n");
    return 0;
}
