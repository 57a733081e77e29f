/* A typical keying daemon: it mixes structure versions, chooses its own SPIs, changes an SA context that it was given
 * in place, and frees it. */
#include "fill.h"

int main(void)
{
    HANDLE engine = NULL;
    FWPM_SESSION0 session;
    IPSEC_TRAFFIC1 traffic = make_traffic(1);
    IPSEC_GETSPI1 request;
    IPSEC_SA_CONTEXT1 *context = NULL;
    IPSEC_V4_UDP_ENCAPSULATION0 ports = {4500, 61234};
    BUNDLE newer;
    IPSEC_SA_BUNDLE0 bundle;
    UINT64 id;
    WCHAR name[] = {'k', 'e', 'y', 'd', 0};

    memset(&session, 0, sizeof(session));
    session.displayData.name = name;
    SUCCEEDS(FwpmEngineOpen0(NULL, RPC_C_AUTHN_WINNT, NULL, &session, &engine));

    traffic.trafficType = IPSEC_TRAFFIC_TYPE_TUNNEL;
    traffic.tunnelPolicyId = 900;
    SUCCEEDS(IPsecSaContextCreate1(engine, &traffic, NULL, NULL, &id));
    memset(&request, 0, sizeof(request));
    request.inboundIpsecTraffic = traffic;
    request.inboundIpsecTraffic.tunnelPolicyId = 901;
    request.ipVersion = FWP_IP_VERSION_V4;
    SUCCEEDS(IPsecSaContextSetSpi0(engine, id, &request, 0xC0FFEE));

    make_bundle(&newer, 0xC0FFEE, 1);
    memset(&bundle, 0, sizeof(bundle));
    bundle.numSAs = 1;
    bundle.saList = &newer.sa;
    bundle.lifetime.lifetimeSeconds = 3600;
    SUCCEEDS(IPsecSaContextAddInbound0(engine, id, &bundle));
    newer.sa.spi = 0xDECADE;
    bundle.flags = 0x800; /* IPSEC_SA_BUNDLE_FLAG_ASSUME_UDP_CONTEXT_OUTBOUND */
    SUCCEEDS(IPsecSaContextAddOutbound0(engine, id, &bundle));

    /* The peer's port changed: get the context, point it at this function's own ports, update, and free it. */
    SUCCEEDS(IPsecSaContextGetById1(engine, id, &context));
    CHECK(context->inboundSa->udpEncapsulation == NULL);
    context->inboundSa->udpEncapsulation = &ports;
    context->outboundSa->udpEncapsulation = &ports;
    SUCCEEDS(IPsecSaContextUpdate0(engine, 2 /* IPSEC_SA_DETAILS_UPDATE_UDP_ENCAPSULATION */, context));
    free_memory(&context);
    CHECK(context == NULL && ports.remoteUdpEncapPort == 61234);

    SUCCEEDS(IPsecSaContextGetById1(engine, id, &context));
    CHECK(context->inboundSa->udpEncapsulation != &ports);
    CHECK(context->inboundSa->udpEncapsulation->remoteUdpEncapPort == 61234);
    CHECK(context->outboundSa->udpEncapsulation->localUdpEncapPort == 4500);
    CHECK(context->outboundSa->saBundle.flags == 0x800);
    CHECK(context->inboundSa->traffic.tunnelPolicyId == 901 && context->outboundSa->traffic.tunnelPolicyId == 900);
    free_memory(&context);
    SUCCEEDS(IPsecSaContextExpire0(engine, id));
    SUCCEEDS(IPsecSaContextDeleteById0(engine, id));
    SUCCEEDS(FwpmEngineClose0(engine));
    printf("ok\n");
    return 0;
}
