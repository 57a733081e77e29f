/* A keying client as those of Windows: traps are block filters whose drops it is told of, IKE gets around its own tunnel by
 * permit filters, and the tunnel is a provider context with filters. Usage: keying a|b, until the end of the standard input.
 * The client on a waits for a trap, exchanges SPIs with the one on b, and both add policy and SAs. */
#include "../../../../openwfp-capi/tests/c/check.h"
#include "wire.h"

#include <pthread.h>

enum { SPI_OF_A = 0x1234501, SPI_OF_B = 0x1234502, NETWORKS = 4, FILTERS_MAX = 32 };

static const GUID PROVIDER = {0x11111111, 1, 1, {1, 1, 1, 1, 1, 1, 1, 1}};
static const GUID POLICY = {0x22222222, 2, 2, {2, 2, 2, 2, 2, 2, 2, 2}};
static WCHAR NAME[] = {'k', 'e', 'y', 'i', 'n', 'g', 0};

/* What the tunnel protects: each pair of networks of a and b, the last one of IPv6. The first is that of the hosts. */
static const UINT32 NETWORKS_OF_A[NETWORKS] = {0x0A090001, 0x0A010000, 0x0A070000, 0xFD01};
static const UINT32 NETWORKS_OF_B[NETWORKS] = {0x0A090002, 0x0A020000, 0x0A080000, 0xFD02};
static const UINT32 MASKS[NETWORKS] = {0xFFFFFFFF, 0xFFFFFF00, 0xFFFFFF00, 0};

static HANDLE engine;
static int is_a;
static UINT64 filters[FILTERS_MAX];
static int num_filters;

static UINT64 traps[NETWORKS];
static UINT64 sprung;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void CALLBACK told(void *context, const FWPM_NET_EVENT1 *event)
{
    int i;
    (void)context;
    if (event->type != FWPM_NET_EVENT_TYPE_CLASSIFY_DROP)
        return;
    CHECK(event->header.flags & FWPM_NET_EVENT_FLAG_REMOTE_ADDR_SET);
    pthread_mutex_lock(&lock);
    for (i = 0; i < NETWORKS; i++)
        if (event->classifyDrop->filterId == traps[i])
            sprung = traps[i];
    pthread_mutex_unlock(&lock);
}

static UINT64 add(FWPM_FILTER0 *filter)
{
    UINT64 id = 0;
    filter->displayData.name = NAME;
    filter->providerKey = (GUID *)&PROVIDER;
    SUCCEEDS(FwpmFilterAdd0(engine, filter, NULL, &id));
    return id;
}

/* Adds a filter for what leaves for one pair of networks: a block, or one that the tunnel protects. */
static UINT64 add_for_network(int number, int protects)
{
    FWP_V4_ADDR_AND_MASK v4[2];
    FWP_V6_ADDR_AND_MASK v6[2];
    FWPM_FILTER_CONDITION0 conditions[2];
    FWPM_FILTER0 filter;
    int i, is_v6 = MASKS[number] == 0;

    memset(&filter, 0, sizeof filter);
    memset(conditions, 0, sizeof conditions);
    memset(v6, 0, sizeof v6);
    for (i = 0; i < 2; i++) {
        UINT32 network = (is_a == (i == 0)) ? NETWORKS_OF_A[number] : NETWORKS_OF_B[number];
        conditions[i].fieldKey = i == 0 ? FWPM_CONDITION_IP_LOCAL_ADDRESS : FWPM_CONDITION_IP_REMOTE_ADDRESS;
        conditions[i].matchType = FWP_MATCH_EQUAL;
        v4[i].addr = network;
        v4[i].mask = MASKS[number];
        v6[i].addr[0] = (UINT8)(network >> 8);
        v6[i].addr[1] = (UINT8)network;
        v6[i].prefixLength = 64;
        conditions[i].conditionValue.type = is_v6 ? FWP_V6_ADDR_MASK : FWP_V4_ADDR_MASK;
        if (is_v6)
            conditions[i].conditionValue.v6AddrMask = &v6[i];
        else
            conditions[i].conditionValue.v4AddrMask = &v4[i];
    }
    filter.layerKey = is_v6 ? FWPM_LAYER_OUTBOUND_TRANSPORT_V6 : FWPM_LAYER_OUTBOUND_TRANSPORT_V4;
    filter.numFilterConditions = 2;
    filter.filterCondition = conditions;
    filter.weight.type = FWP_UINT8;
    filter.weight.uint8 = 1;
    if (protects) {
        filter.subLayerKey = FWPM_SUBLAYER_IPSEC_TUNNEL;
        filter.action.type = FWP_ACTION_CALLOUT_TERMINATING;
        filter.action.calloutKey = is_v6 ? FWPM_CALLOUT_IPSEC_OUTBOUND_TUNNEL_V6 : FWPM_CALLOUT_IPSEC_OUTBOUND_TUNNEL_V4;
        filter.flags = FWPM_FILTER_FLAG_HAS_PROVIDER_CONTEXT;
        filter.providerContextKey = POLICY;
    } else {
        filter.action.type = FWP_ACTION_BLOCK;
    }
    return add(&filter);
}

/* Adds the permits by which IKE gets around the tunnel and the traps. */
static void add_bypass(void)
{
    const GUID *layers[2] = {&FWPM_LAYER_OUTBOUND_TRANSPORT_V4, &FWPM_LAYER_INBOUND_TRANSPORT_V4};
    const GUID *sublayers[2] = {&FWPM_SUBLAYER_UNIVERSAL, &FWPM_SUBLAYER_IPSEC_TUNNEL};
    FWPM_FILTER_CONDITION0 conditions[2];
    FWPM_FILTER0 filter;
    int i;

    memset(conditions, 0, sizeof conditions);
    conditions[0].fieldKey = FWPM_CONDITION_IP_PROTOCOL;
    conditions[0].conditionValue.type = FWP_UINT8;
    conditions[0].conditionValue.uint8 = 17;
    conditions[1].fieldKey = FWPM_CONDITION_IP_LOCAL_PORT;
    conditions[1].conditionValue.type = FWP_UINT16;
    conditions[1].conditionValue.uint16 = 500;
    for (i = 0; i < 4; i++) {
        memset(&filter, 0, sizeof filter);
        filter.layerKey = *layers[i % 2];
        filter.subLayerKey = *sublayers[i / 2];
        filter.numFilterConditions = 2;
        filter.filterCondition = conditions;
        filter.weight.type = FWP_UINT8;
        filter.weight.uint8 = 15;
        filter.action.type = FWP_ACTION_PERMIT;
        filters[num_filters++] = add(&filter);
    }
}

/* Adds the tunnel's policy; what the traps held is protected from then on. Returns the policy's id. */
static UINT64 add_policy(void)
{
    IPSEC_AUTH_AND_CIPHER_TRANSFORM0 transform;
    IPSEC_SA_TRANSFORM0 suite;
    IPSEC_PROPOSAL0 proposal;
    IPSEC_TUNNEL_POLICY0 policy;
    FWPM_PROVIDER_CONTEXT0 context;
    UINT64 id = 0;
    int i;

    memset(&transform, 0, sizeof transform);
    transform.authTransform.authTransformId.authType = IPSEC_AUTH_SHA_256;
    transform.authTransform.authTransformId.authConfig = IPSEC_AUTH_CONFIG_HMAC_SHA_256_128;
    transform.cipherTransform.cipherTransformId.cipherType = IPSEC_CIPHER_TYPE_AES_128;
    transform.cipherTransform.cipherTransformId.cipherConfig = IPSEC_CIPHER_CONFIG_CBC_AES_128;
    memset(&suite, 0, sizeof suite);
    suite.ipsecTransformType = IPSEC_TRANSFORM_ESP_AUTH_AND_CIPHER;
    suite.espAuthAndCipherTransform = &transform;
    memset(&proposal, 0, sizeof proposal);
    proposal.lifetime.lifetimeSeconds = 3600;
    proposal.lifetime.lifetimeKilobytes = 100000;
    proposal.lifetime.lifetimePackets = 1000000;
    proposal.numSaTransforms = 1;
    proposal.saTransforms = &suite;
    memset(&policy, 0, sizeof policy);
    policy.numIpsecProposals = 1;
    policy.ipsecProposals = &proposal;
    policy.tunnelEndpoints.ipVersion = FWP_IP_VERSION_V4;
    policy.tunnelEndpoints.localV4Address = is_a ? NETWORKS_OF_A[0] : NETWORKS_OF_B[0];
    policy.tunnelEndpoints.remoteV4Address = is_a ? NETWORKS_OF_B[0] : NETWORKS_OF_A[0];
    policy.saIdleTimeout.idleTimeoutSeconds = 300;
    policy.saIdleTimeout.idleTimeoutSecondsFailOver = 60;
    memset(&context, 0, sizeof context);
    context.providerContextKey = POLICY;
    context.displayData.name = NAME;
    context.providerKey = (GUID *)&PROVIDER;
    context.type = FWPM_IPSEC_IKE_QM_TUNNEL_CONTEXT;
    context.ikeQmTunnelPolicy = &policy;
    SUCCEEDS(FwpmTransactionBegin0(engine, 0));
    SUCCEEDS(FwpmProviderContextAdd0(engine, &context, NULL, &id));
    for (i = 0; i < NETWORKS; i++) {
        filters[num_filters++] = add_for_network(i, 1);
        if (traps[i])
            SUCCEEDS(FwpmFilterDeleteById0(engine, traps[i]));
    }
    SUCCEEDS(FwpmTransactionCommit0(engine));
    return id;
}

/* Adds both SAs. */
static UINT64 add_sas(UINT64 policy, UINT32 inbound_spi, UINT32 outbound_spi)
{
    UINT8 keys[2][32];
    IPSEC_SA_AUTH_AND_CIPHER_INFORMATION0 both;
    IPSEC_SA0 sa;
    IPSEC_SA_BUNDLE0 bundle;
    IPSEC_TRAFFIC1 traffic;
    IPSEC_GETSPI1 request;
    UINT64 id = 0, filter = 0;

    memset(&traffic, 0, sizeof traffic);
    traffic.ipVersion = FWP_IP_VERSION_V4;
    traffic.localV4Address = is_a ? NETWORKS_OF_A[0] : NETWORKS_OF_B[0];
    traffic.remoteV4Address = is_a ? NETWORKS_OF_B[0] : NETWORKS_OF_A[0];
    traffic.trafficType = IPSEC_TRAFFIC_TYPE_TUNNEL;
    traffic.tunnelPolicyId = policy;
    SUCCEEDS(IPsecSaContextCreate1(engine, &traffic, NULL, &filter, &id));
    memset(&request, 0, sizeof request);
    request.inboundIpsecTraffic = traffic;
    request.ipVersion = FWP_IP_VERSION_V4;
    SUCCEEDS(IPsecSaContextSetSpi0(engine, id, &request, inbound_spi));

    memset(keys[0], 1, 32);
    memset(keys[1], 2, 32);
    memset(&both, 0, sizeof both);
    both.saAuthInformation.authTransform.authTransformId.authType = IPSEC_AUTH_SHA_256;
    both.saAuthInformation.authTransform.authTransformId.authConfig = IPSEC_AUTH_CONFIG_HMAC_SHA_256_128;
    both.saAuthInformation.authKey.size = 32;
    both.saAuthInformation.authKey.data = keys[0];
    both.saCipherInformation.cipherTransform.cipherTransformId.cipherType = IPSEC_CIPHER_TYPE_AES_128;
    both.saCipherInformation.cipherTransform.cipherTransformId.cipherConfig = IPSEC_CIPHER_CONFIG_CBC_AES_128;
    both.saCipherInformation.cipherKey.size = 16;
    both.saCipherInformation.cipherKey.data = keys[1];
    memset(&sa, 0, sizeof sa);
    sa.saTransformType = IPSEC_TRANSFORM_ESP_AUTH_AND_CIPHER;
    sa.espAuthAndCipherInformation = &both;
    memset(&bundle, 0, sizeof bundle);
    bundle.lifetime.lifetimeSeconds = 3600;
    bundle.numSAs = 1;
    bundle.saList = &sa;
    sa.spi = inbound_spi;
    SUCCEEDS(IPsecSaContextAddInbound0(engine, id, &bundle));
    sa.spi = outbound_spi;
    SUCCEEDS(IPsecSaContextAddOutbound0(engine, id, &bundle));
    return id;
}

int main(int count, char **arguments)
{
    FWPM_SESSION0 session;
    FWPM_PROVIDER0 provider;
    FWPM_NET_EVENT_SUBSCRIPTION0 subscription;
    FWPM_NET_EVENT_ENUM_TEMPLATE0 template;
    HANDLE events = NULL;
    UINT64 policy = 0, sas = 0;
    UINT32 ours, theirs;
    int i, wire, what;

    CHECK(count == 2);
    is_a = strcmp(arguments[1], "a") == 0;
    ours = is_a ? SPI_OF_A : SPI_OF_B;
    wire = is_a ? wire_open("10.9.0.1", "10.9.0.2") : wire_open("10.9.0.2", "10.9.0.1");
    CHECK(wire >= 0);
    memset(&session, 0, sizeof session);
    session.displayData.name = NAME;
    SUCCEEDS(FwpmEngineOpen0(NULL, RPC_C_AUTHN_WINNT, NULL, &session, &engine));
    memset(&provider, 0, sizeof provider);
    provider.providerKey = PROVIDER;
    provider.displayData.name = NAME;
    SUCCEEDS(FwpmProviderAdd0(engine, &provider, NULL));
    ANSWERS(FWP(ALREADY_EXISTS), FwpmProviderAdd0(engine, &provider, NULL));
    memset(&template, 0, sizeof template);
    memset(&subscription, 0, sizeof subscription);
    subscription.enumTemplate = &template;
    SUCCEEDS(FwpmNetEventSubscribe0(engine, &subscription, told, NULL, &events));
    add_bypass();
    for (i = 0; is_a && i < NETWORKS; i++) {
        UINT64 trap = add_for_network(i, 0);
        pthread_mutex_lock(&lock);
        traps[i] = trap;
        pthread_mutex_unlock(&lock);
    }
    printf("ready\n");
    fflush(stdout);

    while ((what = wire_receive(wire, 200, &theirs)) != WIRE_END) {
        UINT64 asked;
        pthread_mutex_lock(&lock);
        asked = sprung;
        pthread_mutex_unlock(&lock);
        if (is_a && !sas && asked)
            wire_send(wire, ours);
        if (what == WIRE_SPI && !sas) {
            policy = add_policy();
            sas = add_sas(policy, ours, theirs);
            printf("up\n");
            fflush(stdout);
        }
        if (what == WIRE_SPI && !is_a)
            wire_send(wire, ours);
    }

    if (sas)
        SUCCEEDS(IPsecSaContextDeleteById0(engine, sas));
    for (i = 0; i < num_filters; i++)
        SUCCEEDS(FwpmFilterDeleteById0(engine, filters[i]));
    if (policy)
        SUCCEEDS(FwpmProviderContextDeleteById0(engine, policy));
    SUCCEEDS(FwpmNetEventUnsubscribe0(engine, events));
    SUCCEEDS(FwpmProviderDeleteByKey0(engine, &PROVIDER));
    SUCCEEDS(FwpmEngineClose0(engine));
    return 0;
}
