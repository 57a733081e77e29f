/* Takes an SA context through its life and checks the fields that calls return. */
#include "fill.h"

static IPSEC_SA_CONTEXT1 *get(HANDLE engine, UINT64 id)
{
    IPSEC_SA_CONTEXT1 *context = NULL;
    SUCCEEDS(IPsecSaContextGetById1(engine, id, &context));
    CHECK(context->saContextId == id);
    return context;
}

static void compare_key(const FWP_BYTE_BLOB *blob, UINT8 number)
{
    UINT32 i;
    CHECK(blob->size == KEY_LEN);
    for (i = 0; i < KEY_LEN; i++)
        CHECK(blob->data[i] == number);
}

static void compare(const IPSEC_SA_DETAILS1 *details, FWP_DIRECTION direction, UINT32 spi, UINT8 number)
{
    const IPSEC_SA_AUTH_AND_CIPHER_INFORMATION0 *both;
    CHECK(details->ipVersion == FWP_IP_VERSION_V4 && details->saDirection == direction);
    CHECK(details->traffic.localV4Address == LOCAL_ADDRESS);
    CHECK(details->traffic.remoteV4Address == REMOTE_ADDRESS + 5);
    CHECK(details->traffic.trafficType == IPSEC_TRAFFIC_TYPE_TRANSPORT);
    CHECK(details->saBundle.lifetime.lifetimeSeconds == 3600 && details->saBundle.numSAs == 1);
    CHECK(details->saBundle.saList[0].spi == spi);
    CHECK(details->saBundle.saList[0].saTransformType == IPSEC_TRANSFORM_ESP_AUTH_AND_CIPHER);
    both = details->saBundle.saList[0].espAuthAndCipherInformation;
    CHECK(both->saAuthInformation.authTransform.authTransformId.authType == IPSEC_AUTH_AES_128);
    CHECK(both->saAuthInformation.authTransform.authTransformId.authConfig == 3);
    CHECK(both->saAuthInformation.authTransform.cryptoModuleId == NULL);
    CHECK(both->saCipherInformation.cipherTransform.cipherTransformId.cipherConfig == 6);
    compare_key(&both->saAuthInformation.authKey, number);
    compare_key(&both->saCipherInformation.cipherKey, number);
    CHECK(details->transportFilter->filterId == 7005);
    CHECK(details->transportFilter->numFilterConditions == 2);
    CHECK(details->transportFilter->filterCondition[1].conditionValue.type == FWP_V4_ADDR_MASK);
    CHECK(details->transportFilter->filterCondition[1].conditionValue.v4AddrMask->addr == REMOTE_ADDRESS + 5);
    CHECK(details->transportFilter->filterCondition[1].conditionValue.v4AddrMask->mask == 0xFFFFFFFF);
}

/* Uses bundles of two SAs: ESP with AES-CBC and SHA-256, and AH. */
static void two_sas(HANDLE engine)
{
    IPSEC_TRAFFIC1 traffic = make_traffic(9);
    IPSEC_GETSPI1 request;
    IPSEC_V4_UDP_ENCAPSULATION0 ports = {4500, 4501};
    IPSEC_SA_AUTH_AND_CIPHER_INFORMATION0 esp;
    IPSEC_SA_AUTH_INFORMATION0 ah;
    IPSEC_SA0 list[2];
    IPSEC_SA_BUNDLE1 bundle;
    IPSEC_TOKEN0 token = {IPSEC_TOKEN_TYPE_MACHINE, IPSEC_TOKEN_PRINCIPAL_PEER, IPSEC_TOKEN_MODE_MAIN, 99};
    IPSEC_ID0 identity;
    IPSEC_KEYMODULE_STATE0 state;
    IPSEC_SA_CONTEXT1 *context;
    UINT8 keys[3][32], blob[5] = {1, 2, 3, 4, 5};
    WCHAR name[] = {'p', 'e', 'e', 'r', 0};
    UINT64 id;

    memset(keys[0], 1, 32);
    memset(keys[1], 2, 32);
    memset(keys[2], 3, 20);
    memset(&esp, 0, sizeof(esp));
    esp.saAuthInformation.authTransform.authTransformId.authType = IPSEC_AUTH_SHA_256;
    esp.saAuthInformation.authTransform.authTransformId.authConfig = 2;
    esp.saAuthInformation.authKey.size = 32;
    esp.saAuthInformation.authKey.data = keys[0];
    esp.saCipherInformation.cipherTransform.cipherTransformId.cipherType = IPSEC_CIPHER_TYPE_AES_256;
    esp.saCipherInformation.cipherTransform.cipherTransformId.cipherConfig = 5;
    esp.saCipherInformation.cipherKey.size = 32;
    esp.saCipherInformation.cipherKey.data = keys[1];
    memset(&ah, 0, sizeof(ah));
    ah.authTransform.authTransformId.authType = IPSEC_AUTH_SHA_1;
    ah.authTransform.authTransformId.authConfig = 1;
    ah.authKey.size = 20;
    ah.authKey.data = keys[2];
    memset(list, 0, sizeof(list));
    list[0].spi = list[1].spi = 0xABCDEF;
    list[0].saTransformType = IPSEC_TRANSFORM_ESP_AUTH_AND_CIPHER;
    list[0].espAuthAndCipherInformation = &esp;
    list[1].saTransformType = IPSEC_TRANSFORM_AH;
    list[1].ahInformation = &ah;
    memset(&identity, 0, sizeof(identity));
    identity.mmTargetName = name;
    identity.numTokens = 1;
    identity.tokens = &token;
    identity.logonId = 12;
    memset(&state, 0, sizeof(state));
    state.keyModuleKey.Data1 = 42;
    state.stateBlob.size = 5;
    state.stateBlob.data = blob;
    memset(&bundle, 0, sizeof(bundle));
    bundle.numSAs = 2;
    bundle.saList = list;
    bundle.idleTimeoutSeconds = 300;
    bundle.ipsecId = &identity;
    bundle.keyModuleState = &state;
    bundle.peerV4PrivateAddress = 0xC0A80001;
    bundle.mmSaId = 77;
    bundle.pfsGroup = IPSEC_PFS_2048;
    bundle.saLookupContext.Data2 = 43;
    bundle.qmFilterId = 88;

    traffic.ipProtocol = 6;
    traffic.remotePort = 443;
    SUCCEEDS(IPsecSaContextCreate1(engine, &traffic, NULL, NULL, &id));
    memset(&request, 0, sizeof(request));
    request.inboundIpsecTraffic = traffic;
    request.inboundIpsecTraffic.ipsecFilterId = 7777;
    request.inboundUdpEncapsulation = &ports;
    SUCCEEDS(IPsecSaContextSetSpi0(engine, id, &request, 0xABCDEF));
    SUCCEEDS(IPsecSaContextAddInbound1(engine, id, &bundle));
    SUCCEEDS(IPsecSaContextAddOutbound1(engine, id, &bundle));

    context = get(engine, id);
    {
        const IPSEC_SA_BUNDLE1 *b = &context->inboundSa->saBundle;
        CHECK(b->numSAs == 2 && b->saList[1].saTransformType == IPSEC_TRANSFORM_AH);
        CHECK(b->saList[0].espAuthAndCipherInformation->saCipherInformation.cipherKey.data[31] == 2);
        CHECK(b->saList[0].espAuthAndCipherInformation->saAuthInformation.authKey.data[31] == 1);
        CHECK(b->saList[1].ahInformation->authKey.size == 20 && b->saList[1].ahInformation->authKey.data[0] == 3);
        CHECK(b->idleTimeoutSeconds == 300 && b->mmSaId == 77 && b->pfsGroup == IPSEC_PFS_2048);
        CHECK(b->peerV4PrivateAddress == 0xC0A80001 && b->saLookupContext.Data2 == 43 && b->qmFilterId == 88);
        CHECK(memcmp(b->ipsecId->mmTargetName, name, sizeof(name)) == 0 && b->ipsecId->emTargetName[0] == 0);
        CHECK(b->ipsecId->numTokens == 1 && b->ipsecId->tokens[0].token == 99 && b->ipsecId->logonId == 12);
        CHECK(b->keyModuleState->keyModuleKey.Data1 == 42 && b->keyModuleState->stateBlob.data[4] == 5);
        CHECK(context->inboundSa->udpEncapsulation->localUdpEncapPort == 4500);
        CHECK(context->inboundSa->udpEncapsulation->remoteUdpEncapPort == 4501);
        CHECK(context->inboundSa->traffic.ipsecFilterId == 7777);
        CHECK(context->outboundSa->traffic.ipsecFilterId == 7009);
        CHECK(context->outboundSa->traffic.ipProtocol == 6 && context->outboundSa->traffic.remotePort == 443);
        CHECK(context->outboundSa->transportFilter->numFilterConditions == 4);
    }
    free_memory(&context);
    SUCCEEDS(IPsecSaContextDeleteById0(engine, id));
}

static void ipv6_tunnel(HANDLE engine)
{
    IPSEC_TRAFFIC1 traffic;
    IPSEC_GETSPI1 request;
    IPSEC_SA_CONTEXT1 *context;
    BUNDLE bundle;
    UINT64 id;
    UINT32 spi;

    memset(&traffic, 0, sizeof(traffic));
    traffic.ipVersion = FWP_IP_VERSION_V6;
    memset(traffic.localV6Address, 0xFD, 16);
    memset(traffic.remoteV6Address, 0xFE, 16);
    traffic.trafficType = IPSEC_TRAFFIC_TYPE_TUNNEL;
    traffic.tunnelPolicyId = 500;
    SUCCEEDS(IPsecSaContextCreate1(engine, &traffic, NULL, NULL, &id));
    /* Like real callers, leave the traffic's own IP version 0. */
    memset(&request, 0, sizeof(request));
    request.inboundIpsecTraffic = traffic;
    request.inboundIpsecTraffic.ipVersion = (FWP_IP_VERSION)0;
    request.ipVersion = FWP_IP_VERSION_V6;
    SUCCEEDS(IPsecSaContextGetSpi1(engine, id, &request, &spi));
    make_bundle(&bundle, spi, 3);
    SUCCEEDS(IPsecSaContextAddInbound1(engine, id, &bundle.bundle));
    context = get(engine, id);
    CHECK(context->outboundSa == NULL && context->inboundSa != NULL);
    CHECK(context->inboundSa->ipVersion == FWP_IP_VERSION_V6);
    CHECK(memcmp(context->inboundSa->traffic.remoteV6Address, traffic.remoteV6Address, 16) == 0);
    CHECK(context->inboundSa->traffic.tunnelPolicyId == 500 && context->inboundSa->saBundle.ipVersion == FWP_IP_VERSION_V6);
    CHECK(context->inboundSa->transportFilter->filterCondition[0].conditionValue.type == FWP_V6_ADDR_MASK);
    CHECK(context->inboundSa->transportFilter->filterCondition[0].conditionValue.v6AddrMask->prefixLength == 128);
    free_memory(&context);
    SUCCEEDS(IPsecSaContextDeleteById0(engine, id));
}

int main(void)
{
    HANDLE engine = open_engine(), handle;
    IPSEC_SA_CONTEXT1 *context;
    IPSEC_SA_DETAILS1 **details;
    IPSEC_SA_ENUM_TEMPLATE0 inbound_only = {FWP_DIRECTION_INBOUND};
    IPSEC_STATISTICS1 statistics;
    IPSEC_STATISTICS0 older;
    UINT64 id = establish(engine, 5);
    UINT32 returned;

    context = get(engine, id);
    compare(context->inboundSa, FWP_DIRECTION_INBOUND, context->inboundSa->saBundle.saList[0].spi, 5);
    compare(context->outboundSa, FWP_DIRECTION_OUTBOUND, 0x10005, 6);
    free_memory(&context);

    SUCCEEDS(IPsecSaCreateEnumHandle0(engine, NULL, &handle));
    SUCCEEDS(IPsecSaEnum1(engine, handle, 10, &details, &returned));
    CHECK(returned == 2 && details[0]->saDirection == FWP_DIRECTION_INBOUND);
    compare(details[1], FWP_DIRECTION_OUTBOUND, 0x10005, 6);
    free_memory(&details);
    SUCCEEDS(IPsecSaDestroyEnumHandle0(engine, handle));
    SUCCEEDS(IPsecSaCreateEnumHandle0(engine, &inbound_only, &handle));
    SUCCEEDS(IPsecSaEnum1(engine, handle, 10, &details, &returned));
    CHECK(returned == 1 && details[0]->saDirection == FWP_DIRECTION_INBOUND);
    free_memory(&details);
    SUCCEEDS(IPsecSaDestroyEnumHandle0(engine, handle));

    memset(&statistics, 0xFF, sizeof(statistics));
    SUCCEEDS(IPsecGetStatistics1(engine, &statistics));
    CHECK(statistics.aggregateSaStatistics.activeSas == 2 && statistics.aggregateSaStatistics.totalSasAdded == 2);
    CHECK(statistics.inboundTrafficStatistics.totalSuccessfulPackets == 0);
    SUCCEEDS(IPsecGetStatistics0(engine, &older));
    CHECK(memcmp(&older.aggregateSaStatistics, &statistics.aggregateSaStatistics,
              sizeof(older.aggregateSaStatistics)) == 0);

    /* Expiry removes the outbound SA immediately. */
    SUCCEEDS(IPsecSaContextExpire0(engine, id));
    context = get(engine, id);
    CHECK(context->outboundSa == NULL && context->inboundSa != NULL);
    free_memory(&context);
    SUCCEEDS(IPsecSaContextDeleteById0(engine, id));
    CHECK(IPsecSaContextGetById1(engine, id, &context) != SUCCESS && context == NULL);

    two_sas(engine);
    ipv6_tunnel(engine);
    SUCCEEDS(FwpmEngineClose0(engine));
    printf("ok\n");
    return 0;
}
