/* Acts like a keying daemon, from open to close: uses objects of each kind, change subscriptions, tunnel policies,
 * net events and engine options. */
#include "check.h"
#include "fill.h"

static const GUID PROVIDER = {1, 7, 7, {7}};
static const GUID SUBLAYER = {2, 7, 7, {7}};
static const GUID CONTEXT = {3, 7, 7, {7}};
static const GUID CALLOUT = {4, 7, 7, {7}};
static const GUID FILTER = {5, 7, 7, {7}};
static const GUID MAIN = {6, 7, 7, {7}};
static const GUID TUNNEL = {7, 7, 7, {7}};

static WCHAR NAME[] = {'n', 'a', 'm', 'e', 0};
static WCHAR PROXY[] = {'p', 0};
static UINT8 DATA[] = {1, 2, 3};

static int is_same(const GUID *one, const GUID *other)
{
    return memcmp(one, other, sizeof(GUID)) == 0;
}

static void add_provider(HANDLE engine)
{
    FWPM_PROVIDER0 provider, *got = NULL, **page = NULL;
    HANDLE handle = NULL;
    UINT32 len = 0, i, found = 0;

    memset(&provider, 0, sizeof provider);
    provider.providerKey = PROVIDER;
    ANSWERS(FWP(NULL_DISPLAY_NAME), FwpmProviderAdd0(engine, &provider, NULL));
    provider.displayData.name = NAME;
    provider.providerData.size = sizeof DATA;
    provider.providerData.data = DATA;
    provider.serviceName = PROXY;
    SUCCEEDS(FwpmProviderAdd0(engine, &provider, NULL));
    ANSWERS(FWP(ALREADY_EXISTS), FwpmProviderAdd0(engine, &provider, NULL));
    ANSWERS(FWP(NULL_POINTER), FwpmProviderAdd0(engine, NULL, NULL));
    SUCCEEDS(FwpmProviderGetByKey0(engine, &PROVIDER, &got));
    CHECK(is_same(&got->providerKey, &PROVIDER) && got->providerData.size == 3 && got->providerData.data[2] == 3);
    CHECK(got->serviceName[0] == 'p' && got->displayData.name[3] == 'e');
    free_memory(&got);
    ANSWERS(FWP(PROVIDER_NOT_FOUND), FwpmProviderGetByKey0(engine, &FILTER, &got));
    CHECK(got == NULL);
    SUCCEEDS(FwpmProviderCreateEnumHandle0(engine, NULL, &handle));
    SUCCEEDS(FwpmProviderEnum0(engine, handle, 0xFFFFFFFF, &page, &len));
    for (i = 0; i < len; i++)
        found += is_same(&page[i]->providerKey, &PROVIDER);
    CHECK(found == 1 && len > 1);
    free_memory(&page);
    SUCCEEDS(FwpmProviderDestroyEnumHandle0(engine, handle));
    ANSWERS(INVALID_HANDLE, FwpmProviderDestroyEnumHandle0(engine, handle));
}

static void add_sublayer(HANDLE engine)
{
    FWPM_SUBLAYER0 sublayer, *got = NULL;

    memset(&sublayer, 0, sizeof sublayer);
    sublayer.subLayerKey = SUBLAYER;
    sublayer.displayData.name = NAME;
    sublayer.providerKey = (GUID *)&PROVIDER;
    sublayer.weight = 77;
    SUCCEEDS(FwpmSubLayerAdd0(engine, &sublayer, NULL));
    SUCCEEDS(FwpmSubLayerGetByKey0(engine, &SUBLAYER, &got));
    CHECK(got->weight == 77 && is_same(got->providerKey, &PROVIDER));
    free_memory(&got);
}

static void look_at_layers(HANDLE engine)
{
    FWPM_LAYER0 *layer = NULL;
    FWPM_CALLOUT0 callout, *got = NULL;
    UINT32 i, found = 0, id = 0;

    SUCCEEDS(FwpmLayerGetByKey0(engine, &FWPM_LAYER_OUTBOUND_TRANSPORT_V4, &layer));
    for (i = 0; i < layer->numFields; i++)
        if (is_same(layer->field[i].fieldKey, &FWPM_CONDITION_IP_REMOTE_ADDRESS)) {
            CHECK(layer->field[i].type == FWPM_FIELD_IP_ADDRESS && layer->field[i].dataType == FWP_UINT32);
            found++;
        }
    CHECK(found == 1 && layer->layerId == 16 && is_same(&layer->defaultSubLayerKey, &FWPM_SUBLAYER_UNIVERSAL));
    free_memory(&layer);
    SUCCEEDS(FwpmLayerGetById0(engine, 16, &layer));
    free_memory(&layer);
    memset(&callout, 0, sizeof callout);
    callout.calloutKey = CALLOUT;
    callout.displayData.name = NAME;
    callout.applicableLayer = FWPM_LAYER_OUTBOUND_TRANSPORT_V4;
    SUCCEEDS(FwpmCalloutAdd0(engine, &callout, NULL, &id));
    SUCCEEDS(FwpmCalloutGetById0(engine, id, &got));
    CHECK(is_same(&got->calloutKey, &CALLOUT) && got->calloutId == id);
    free_memory(&got);
    SUCCEEDS(FwpmCalloutDeleteById0(engine, id));
    ANSWERS(FWP(BUILTIN_OBJECT), FwpmCalloutDeleteByKey0(engine, &FWPM_CALLOUT_IPSEC_OUTBOUND_TUNNEL_V4));
}

/* Fills a proposal whose transform has two parts, authentication and cipher. */
static void fill_proposal(IPSEC_PROPOSAL0 *proposal, IPSEC_SA_TRANSFORM0 *transform,
                          IPSEC_AUTH_AND_CIPHER_TRANSFORM0 *both)
{
    memset(proposal, 0, sizeof *proposal);
    memset(transform, 0, sizeof *transform);
    memset(both, 0, sizeof *both);
    both->authTransform.authTransformId.authType = IPSEC_AUTH_SHA_1;
    both->authTransform.authTransformId.authConfig = 1;
    both->cipherTransform.cipherTransformId.cipherType = IPSEC_CIPHER_TYPE_AES_128;
    both->cipherTransform.cipherTransformId.cipherConfig = 3;
    transform->ipsecTransformType = IPSEC_TRANSFORM_ESP_AUTH_AND_CIPHER;
    transform->espAuthAndCipherTransform = both;
    proposal->lifetime.lifetimeSeconds = 3600;
    proposal->numSaTransforms = 1;
    proposal->saTransforms = transform;
}

static UINT64 add_context(HANDLE engine)
{
    FWPM_PROVIDER_CONTEXT0 context, *got = NULL;
    IPSEC_TUNNEL_POLICY0 policy;
    IPSEC_PROPOSAL0 proposal;
    IPSEC_SA_TRANSFORM0 transform;
    IPSEC_AUTH_AND_CIPHER_TRANSFORM0 both;
    UINT64 id = 0;

    fill_proposal(&proposal, &transform, &both);
    memset(&policy, 0, sizeof policy);
    policy.numIpsecProposals = 1;
    policy.ipsecProposals = &proposal;
    policy.tunnelEndpoints.ipVersion = FWP_IP_VERSION_V4;
    policy.tunnelEndpoints.localV4Address = 0xC0000201;
    policy.tunnelEndpoints.remoteV4Address = 0xC0000202;
    policy.saIdleTimeout.idleTimeoutSeconds = 300;
    memset(&context, 0, sizeof context);
    context.providerContextKey = CONTEXT;
    context.displayData.name = NAME;
    context.providerKey = (GUID *)&PROVIDER;
    context.type = FWPM_IPSEC_IKE_QM_TUNNEL_CONTEXT;
    ANSWERS(FWP(NULL_POINTER), FwpmProviderContextAdd0(engine, &context, NULL, &id));
    context.ikeQmTunnelPolicy = &policy;
    SUCCEEDS(FwpmProviderContextAdd0(engine, &context, NULL, &id));
    CHECK(id != 0);
    SUCCEEDS(FwpmProviderContextGetById0(engine, id, &got));
    CHECK(got->type == FWPM_IPSEC_IKE_QM_TUNNEL_CONTEXT && got->providerContextId == id);
    CHECK(got->ikeQmTunnelPolicy->tunnelEndpoints.remoteV4Address == 0xC0000202);
    CHECK(got->ikeQmTunnelPolicy->saIdleTimeout.idleTimeoutSeconds == 300);
    CHECK(got->ikeQmTunnelPolicy->ipsecProposals[0].lifetime.lifetimeSeconds == 3600);
    CHECK(got->ikeQmTunnelPolicy->ipsecProposals[0]
              .saTransforms[0]
              .espAuthAndCipherTransform->cipherTransform.cipherTransformId.cipherConfig == 3);
    free_memory(&got);
    return id;
}

/* Adds a main-mode policy with a preshared key and reads it back in each version. */
static void add_main_mode(HANDLE engine)
{
    FWPM_PROVIDER_CONTEXT2 context, *got2 = NULL;
    FWPM_PROVIDER_CONTEXT0 *got0 = NULL;
    FWPM_PROVIDER_CONTEXT1 *got1 = NULL;
    FWPM_PROVIDER_CONTEXT3 *got3 = NULL;
    IKEEXT_POLICY2 policy;
    IKEEXT_AUTHENTICATION_METHOD2 methods[3];
    IKEEXT_CERTIFICATE_CRITERIA0 criteria;
    IKEEXT_CERT_EKUS0 ekus;
    IKEEXT_CERT_NAME0 name;
    IKEEXT_PROPOSAL0 proposal;
    char eku[] = "1.3.6.1.5.5.7.3.1";
    char *names[1];
    UINT8 secret[] = {'s', 'e', 'c', 'r', 'e', 't'};

    memset(&policy, 0, sizeof policy);
    memset(methods, 0, sizeof methods);
    memset(&criteria, 0, sizeof criteria);
    memset(&proposal, 0, sizeof proposal);
    methods[0].authenticationMethodType = IKEEXT_PRESHARED_KEY;
    methods[0].presharedKeyAuthentication.presharedKey.size = sizeof secret;
    methods[0].presharedKeyAuthentication.presharedKey.data = secret;
    methods[0].presharedKeyAuthentication.flags = 1;
    names[0] = eku;
    ekus.numEku = 1;
    ekus.eku = names;
    name.nameType = IKEEXT_CERT_CRITERIA_DNS;
    name.certName = NAME;
    criteria.certHash.size = sizeof DATA;
    criteria.certHash.data = DATA;
    criteria.eku = &ekus;
    criteria.name = &name;
    methods[1].authenticationMethodType = IKEEXT_CERTIFICATE;
    methods[1].certificateAuthentication.inboundRootArraySize = 1;
    methods[1].certificateAuthentication.inboundRootCriteria = &criteria;
    methods[1].certificateAuthentication.outboundConfigType = IKEEXT_CERT_CONFIG_UNSPECIFIED;
    methods[2].authenticationMethodType = IKEEXT_KERBEROS;
    methods[2].kerberosAuthentication.proxyServer = PROXY;
    proposal.cipherAlgorithm.keyLen = 16;
    policy.numAuthenticationMethods = 3;
    policy.authenticationMethods = methods;
    policy.numIkeProposals = 1;
    policy.ikeProposals = &proposal;
    policy.retransmitDurationSecs = 9;
    memset(&context, 0, sizeof context);
    context.providerContextKey = MAIN;
    context.displayData.name = NAME;
    context.type = FWPM_IPSEC_IKE_MM_CONTEXT;
    context.ikeMmPolicy = &policy;
    SUCCEEDS(FwpmProviderContextAdd2(engine, &context, NULL, NULL));
    memset(secret, 0, sizeof secret);
    SUCCEEDS(FwpmProviderContextGetByKey2(engine, &MAIN, &got2));
    CHECK(got2->ikeMmPolicy->retransmitDurationSecs == 9 && got2->ikeMmPolicy->numAuthenticationMethods == 3);
    CHECK(got2->ikeMmPolicy->authenticationMethods[0].presharedKeyAuthentication.presharedKey.size == 6);
    CHECK(memcmp(got2->ikeMmPolicy->authenticationMethods[0].presharedKeyAuthentication.presharedKey.data, "secret", 6) == 0);
    CHECK(strcmp(got2->ikeMmPolicy->authenticationMethods[1]
                     .certificateAuthentication.inboundRootCriteria[0]
                     .eku->eku[0], eku) == 0);
    CHECK(got2->ikeMmPolicy->authenticationMethods[2].kerberosAuthentication.proxyServer[0] == 'p');
    free_memory(&got2);
    SUCCEEDS(FwpmProviderContextGetByKey0(engine, &MAIN, &got0));
    CHECK(got0->ikeMmPolicy->authenticationMethods[0].presharedKeyAuthentication.presharedKey.data[0] == 's');
    CHECK(got0->ikeMmPolicy->authenticationMethods[2].authenticationMethodType == IKEEXT_KERBEROS);
    free_memory(&got0);
    SUCCEEDS(FwpmProviderContextGetByKey1(engine, &MAIN, &got1));
    CHECK(got1->ikeMmPolicy->authenticationMethods[0].presharedKeyAuthentication.flags == 1);
    free_memory(&got1);
    SUCCEEDS(FwpmProviderContextGetByKey3(engine, &MAIN, &got3));
    CHECK(got3->ikeMmPolicy->ikeProposals[0].cipherAlgorithm.keyLen == 16);
    free_memory(&got3);
    SUCCEEDS(FwpmProviderContextDeleteByKey0(engine, &MAIN));
}

/* Stores values of many types as classification options and reads them back. */
static void values_come_back(HANDLE engine)
{
    FWPM_PROVIDER_CONTEXT1 context, *got = NULL;
    FWPM_CLASSIFY_OPTIONS0 options;
    FWPM_CLASSIFY_OPTION0 list[10];
    FWP_BYTE_ARRAY16 sixteen = {{1, 2}};
    FWP_BYTE_ARRAY6 six = {{6}};
    FWP_BYTE_BLOB blob = {sizeof DATA, DATA};
    UINT64 wide = 0x123456789ull;
    INT64 below = -5;
    double fraction = 0.5;
    UINT64 id = 0;

    memset(list, 0, sizeof list);
    memset(&context, 0, sizeof context);
    list[0].value.type = FWP_UINT64;
    list[0].value.uint64 = &wide;
    list[1].value.type = FWP_INT64;
    list[1].value.int64 = &below;
    list[2].value.type = FWP_DOUBLE;
    list[2].value.double64 = &fraction;
    list[3].value.type = FWP_BYTE_ARRAY16_TYPE;
    list[3].value.byteArray16 = &sixteen;
    list[4].value.type = FWP_BYTE_ARRAY6_TYPE;
    list[4].value.byteArray6 = &six;
    list[5].value.type = FWP_BYTE_BLOB_TYPE;
    list[5].value.byteBlob = &blob;
    list[6].value.type = FWP_UNICODE_STRING_TYPE;
    list[6].value.unicodeString = NAME;
    list[7].value.type = FWP_INT8;
    list[7].value.int8 = -7;
    list[8].value.type = FWP_FLOAT;
    list[8].value.float32 = 1.5f;
    list[9].value.type = FWP_EMPTY;
    options.numOptions = 10;
    options.options = list;
    context.displayData.name = NAME;
    context.type = FWPM_CLASSIFY_OPTIONS_CONTEXT;
    context.classifyOptions = &options;
    SUCCEEDS(FwpmProviderContextAdd1(engine, &context, NULL, &id));
    SUCCEEDS(FwpmProviderContextGetById1(engine, id, &got));
    CHECK(got->classifyOptions->numOptions == 10);
    CHECK(*got->classifyOptions->options[0].value.uint64 == wide && *got->classifyOptions->options[1].value.int64 == -5);
    CHECK(*got->classifyOptions->options[2].value.double64 == 0.5);
    CHECK(got->classifyOptions->options[3].value.byteArray16->byteArray16[1] == 2);
    CHECK(got->classifyOptions->options[4].value.byteArray6->byteArray6[0] == 6);
    CHECK(got->classifyOptions->options[5].value.byteBlob->data[1] == 2);
    CHECK(got->classifyOptions->options[6].value.unicodeString[1] == 'a');
    CHECK(got->classifyOptions->options[7].value.int8 == -7 && got->classifyOptions->options[8].value.float32 == 1.5f);
    CHECK(got->classifyOptions->options[9].value.type == FWP_EMPTY);
    free_memory(&got);
    list[3].value.type = 99;
    ANSWERS(FWP(TYPE_MISMATCH), FwpmProviderContextAdd1(engine, &context, NULL, NULL));
    SUCCEEDS(FwpmProviderContextDeleteById0(engine, id));
}

static volatile int changes;

static void CALLBACK filter_changed(void *context, const FWPM_FILTER_CHANGE0 *change)
{
    CHECK(context == &changes);
    CHECK(change->changeType == FWPM_CHANGE_ADD || change->changeType == FWPM_CHANGE_DELETE);
    CHECK(is_same(&change->filterKey, &FILTER) && change->filterId != 0);
    changes++;
}

static void fill_conditions(FWPM_FILTER_CONDITION0 *conditions, FWP_V4_ADDR_AND_MASK *masks, FWP_RANGE0 *range)
{
    memset(conditions, 0, 3 * sizeof *conditions);
    memset(range, 0, sizeof *range);
    masks[0].addr = 0x0A010000;
    masks[1].addr = 0x0A020000;
    masks[0].mask = masks[1].mask = 0xFFFF0000;
    conditions[0].fieldKey = FWPM_CONDITION_IP_LOCAL_ADDRESS;
    conditions[0].matchType = FWP_MATCH_EQUAL;
    conditions[0].conditionValue.type = FWP_V4_ADDR_MASK;
    conditions[0].conditionValue.v4AddrMask = &masks[0];
    conditions[1] = conditions[0];
    conditions[1].fieldKey = FWPM_CONDITION_IP_REMOTE_ADDRESS;
    conditions[1].conditionValue.v4AddrMask = &masks[1];
    range->valueLow.type = range->valueHigh.type = FWP_UINT16;
    range->valueLow.uint16 = 80;
    range->valueHigh.uint16 = 88;
    conditions[2].fieldKey = FWPM_CONDITION_IP_REMOTE_PORT;
    conditions[2].matchType = FWP_MATCH_RANGE;
    conditions[2].conditionValue.type = FWP_RANGE_TYPE;
    conditions[2].conditionValue.rangeValue = range;
}

static UINT64 add_filter(HANDLE engine)
{
    FWPM_FILTER0 filter, *got = NULL, **page = NULL;
    FWPM_FILTER_CONDITION0 conditions[3];
    FWP_V4_ADDR_AND_MASK masks[2];
    FWP_RANGE0 range;
    FWPM_FILTER_ENUM_TEMPLATE0 template;
    HANDLE handle = NULL;
    UINT64 id = 0, weight = 5;
    UINT32 len = 0;

    memset(&filter, 0, sizeof filter);
    fill_conditions(conditions, masks, &range);
    filter.filterKey = FILTER;
    filter.displayData.name = NAME;
    filter.flags = FWPM_FILTER_FLAG_HAS_PROVIDER_CONTEXT;
    filter.providerKey = (GUID *)&PROVIDER;
    filter.layerKey = FWPM_LAYER_OUTBOUND_TRANSPORT_V4;
    filter.subLayerKey = SUBLAYER;
    filter.weight.type = FWP_UINT64;
    filter.weight.uint64 = &weight;
    filter.numFilterConditions = 3;
    filter.filterCondition = conditions;
    filter.action.type = FWP_ACTION_CALLOUT_TERMINATING;
    filter.action.calloutKey = FWPM_CALLOUT_IPSEC_OUTBOUND_TUNNEL_V4;
    filter.providerContextKey = CONTEXT;
    masks[0].mask = 0xFF00FF00;
    ANSWERS(FWP(INVALID_NET_MASK), FwpmFilterAdd0(engine, &filter, NULL, &id));
    masks[0].mask = 0xFFFF0000;
    range.valueHigh.uint16 = 8;
    ANSWERS(FWP(INVALID_RANGE), FwpmFilterAdd0(engine, &filter, NULL, &id));
    range.valueHigh.uint16 = 88;
    SUCCEEDS(FwpmFilterAdd0(engine, &filter, NULL, &id));
    SUCCEEDS(FwpmFilterGetById0(engine, id, &got));
    CHECK(is_same(&got->filterKey, &FILTER) && is_same(&got->subLayerKey, &SUBLAYER) && got->filterId == id);
    CHECK(is_same(&got->providerContextKey, &CONTEXT) && is_same(got->providerKey, &PROVIDER));
    CHECK(got->numFilterConditions == 3 && got->filterCondition[1].conditionValue.v4AddrMask->addr == 0x0A020000);
    CHECK(got->filterCondition[2].conditionValue.rangeValue->valueHigh.uint16 == 88);
    CHECK(got->effectiveWeight.type == FWP_UINT64 && *got->effectiveWeight.uint64 == 5 && *got->weight.uint64 == 5);
    CHECK(is_same(&got->action.calloutKey, &FWPM_CALLOUT_IPSEC_OUTBOUND_TUNNEL_V4));
    free_memory(&got);
    memset(&template, 0, sizeof template);
    template.layerKey = FWPM_LAYER_OUTBOUND_TRANSPORT_V4;
    template.actionMask = 0xFFFFFFFF;
    SUCCEEDS(FwpmFilterCreateEnumHandle0(engine, &template, &handle));
    SUCCEEDS(FwpmFilterEnum0(engine, handle, 1, &page, &len));
    CHECK(len == 1 && page[0]->filterId == id);
    free_memory(&page);
    SUCCEEDS(FwpmFilterEnum0(engine, handle, 1, &page, &len));
    CHECK(len == 0);
    free_memory(&page);
    SUCCEEDS(FwpmFilterDestroyEnumHandle0(engine, handle));
    ANSWERS(FWP(IN_USE), FwpmProviderContextDeleteByKey0(engine, &CONTEXT));
    return id;
}

static void security_is_read_and_set(HANDLE engine)
{
    PSID owner = NULL, group = NULL;
    PACL dacl = NULL, sacl = NULL;
    PSECURITY_DESCRIPTOR descriptor = NULL;

    SUCCEEDS(FwpmFilterGetSecurityInfoByKey0(engine, &FILTER, 7, &owner, &group, &dacl, &sacl, &descriptor));
    CHECK(owner != NULL && dacl != NULL);
    SUCCEEDS(FwpmFilterSetSecurityInfoByKey0(engine, &FILTER, 4, NULL, NULL, dacl, NULL));
    free_memory(&descriptor);
    SUCCEEDS(FwpmFilterGetSecurityInfoByKey0(engine, NULL, 4, &owner, &group, &dacl, &sacl, &descriptor));
    free_memory(&descriptor);
    SUCCEEDS(FwpmNetEventsGetSecurityInfo0(engine, 4, &owner, &group, &dacl, &sacl, &descriptor));
    free_memory(&descriptor);
    ANSWERS(FWP(FILTER_NOT_FOUND),
            FwpmFilterGetSecurityInfoByKey0(engine, &TUNNEL, 4, &owner, &group, &dacl, &sacl, &descriptor));
}

static void add_tunnel(HANDLE engine)
{
    FWPM_PROVIDER_CONTEXT3 tunnel, *got = NULL;
    IPSEC_TUNNEL_POLICY3 policy;
    IPSEC_PROPOSAL0 proposal;
    IPSEC_SA_TRANSFORM0 transform;
    IPSEC_AUTH_AND_CIPHER_TRANSFORM0 both;
    IPSEC_TRAFFIC_SELECTOR0 selector;
    IPSEC_TRAFFIC_SELECTOR_POLICY0 selectors;
    FWPM_FILTER_CONDITION0 conditions[3];
    FWP_V4_ADDR_AND_MASK masks[2];
    FWP_RANGE0 range;

    fill_proposal(&proposal, &transform, &both);
    fill_conditions(conditions, masks, &range);
    memset(&policy, 0, sizeof policy);
    memset(&selector, 0, sizeof selector);
    memset(&selectors, 0, sizeof selectors);
    selector.portEnd = 0xFFFF;
    selector.endV4Address = 0xFFFFFFFF;
    selectors.numLocalTrafficSelectors = 1;
    selectors.localTrafficSelectors = &selector;
    policy.numIpsecProposals = 1;
    policy.ipsecProposals = &proposal;
    policy.tunnelEndpoints.localV4Address = 0xC0000201;
    policy.tunnelEndpoints.remoteV4Address = 0xC0000203;
    policy.tunnelEndpoints.remoteFqdn = NAME;
    policy.numTrafficSelectorPolicy = 1;
    policy.trafficSelectorPolicies = &selectors;
    memset(&tunnel, 0, sizeof tunnel);
    tunnel.providerContextKey = TUNNEL;
    tunnel.displayData.name = NAME;
    tunnel.type = FWPM_IPSEC_IKEV2_QM_TUNNEL_CONTEXT;
    tunnel.ikeV2QmTunnelPolicy = &policy;
    SUCCEEDS(FwpmIPsecTunnelAdd3(engine, 0, NULL, &tunnel, 2, conditions, NULL, NULL));
    ANSWERS(FWP(ALREADY_EXISTS), FwpmIPsecTunnelAdd3(engine, 0, NULL, &tunnel, 2, conditions, NULL, NULL));
    SUCCEEDS(FwpmProviderContextGetByKey3(engine, &TUNNEL, &got));
    CHECK(got->ikeV2QmTunnelPolicy->trafficSelectorPolicies[0].localTrafficSelectors[0].portEnd == 0xFFFF);
    CHECK(got->ikeV2QmTunnelPolicy->tunnelEndpoints.remoteFqdn[0] == 'n');
    free_memory(&got);
    ANSWERS(FWP(IN_USE), FwpmProviderContextDeleteByKey0(engine, &TUNNEL));
    SUCCEEDS(FwpmIPsecTunnelDeleteByKey0(engine, &TUNNEL));
    ANSWERS(FWP(PROVIDER_CONTEXT_NOT_FOUND), FwpmIPsecTunnelDeleteByKey0(engine, &TUNNEL));
}

static void CALLBACK net_event(void *context, const FWPM_NET_EVENT5 *event)
{
    (void)context;
    (void)event;
}

static void look_at_net_events(HANDLE engine)
{
    FWPM_NET_EVENT_SUBSCRIPTION0 subscription, **subscriptions = NULL;
    FWPM_NET_EVENT5 **events = NULL;
    FWPM_NET_EVENT0 **old = NULL;
    FWP_VALUE0 value, *got = NULL;
    HANDLE handle = NULL;
    UINT32 len = 9;

    memset(&subscription, 0, sizeof subscription);
    memset(&value, 0, sizeof value);
    SUCCEEDS(FwpmNetEventSubscribe4(engine, &subscription, net_event, NULL, &handle));
    SUCCEEDS(FwpmNetEventSubscriptionsGet0(engine, &subscriptions, &len));
    CHECK(len == 1);
    free_memory(&subscriptions);
    SUCCEEDS(FwpmNetEventUnsubscribe0(engine, handle));
    SUCCEEDS(FwpmNetEventCreateEnumHandle0(engine, NULL, &handle));
    SUCCEEDS(FwpmNetEventEnum5(engine, handle, 10, &events, &len));
    CHECK(len == 0);
    free_memory(&events);
    SUCCEEDS(FwpmNetEventEnum0(engine, handle, 10, &old, &len));
    free_memory(&old);
    SUCCEEDS(FwpmNetEventDestroyEnumHandle0(engine, handle));
    SUCCEEDS(FwpmEngineGetOption0(engine, FWPM_ENGINE_COLLECT_NET_EVENTS, &got));
    CHECK(got->type == FWP_UINT32 && got->uint32 == 1);
    free_memory(&got);
    value.type = FWP_UINT32;
    SUCCEEDS(FwpmEngineSetOption0(engine, FWPM_ENGINE_COLLECT_NET_EVENTS, &value));
    value.uint32 = 2;
    ANSWERS(FWP(OUT_OF_BOUNDS), FwpmEngineSetOption0(engine, FWPM_ENGINE_COLLECT_NET_EVENTS, &value));
    value.type = FWP_UINT8;
    ANSWERS(FWP(TYPE_MISMATCH), FwpmEngineSetOption0(engine, FWPM_ENGINE_COLLECT_NET_EVENTS, &value));
}

#ifndef KERNEL
static void applications_have_ids(void)
{
    WCHAR file[] = {'/', 'e', 't', 'c', '/', '.', '.', '/', 'd', 'e', 'v', '/', 'n', 'u', 'l', 'l', 0};
    WCHAR missing[] = {'/', 'n', 'o', 'n', 'e', 0};
    FWP_BYTE_BLOB *id = NULL;

    SUCCEEDS(FwpmGetAppIdFromFileName0(file, &id));
    CHECK(id->size == 20 && id->data[0] == '/' && id->data[2] == 'd' && id->data[18] == 0);
    free_memory(&id);
    CHECK(FwpmGetAppIdFromFileName0(missing, &id) == 2 && id == NULL);
}
#endif

/* An SA context that names a filter shows the filter itself. */
static void protect(HANDLE engine, UINT64 filter)
{
    IPSEC_TRAFFIC1 traffic;
    IPSEC_GETSPI1 get;
    IPSEC_SA_CONTEXT1 *context = NULL;
    BUNDLE sa;
    UINT64 id = 0;
    UINT32 spi = 0;

    memset(&traffic, 0, sizeof traffic);
    memset(&get, 0, sizeof get);
    traffic.localV4Address = 0xC0000201;
    traffic.remoteV4Address = 0xC0000202;
    traffic.trafficType = IPSEC_TRAFFIC_TYPE_TUNNEL;
    traffic.tunnelPolicyId = filter;
    get.inboundIpsecTraffic = traffic;
    SUCCEEDS(IPsecSaContextCreate1(engine, &traffic, NULL, NULL, &id));
    SUCCEEDS(IPsecSaContextGetSpi1(engine, id, &get, &spi));
    make_bundle(&sa, spi, 1);
    SUCCEEDS(IPsecSaContextAddInbound1(engine, id, &sa.bundle));
    make_bundle(&sa, 0x2000, 1);
    SUCCEEDS(IPsecSaContextAddOutbound1(engine, id, &sa.bundle));
    SUCCEEDS(IPsecSaContextGetById1(engine, id, &context));
    CHECK(context->outboundSa->transportFilter->filterId == filter);
    CHECK(is_same(&context->outboundSa->transportFilter->filterKey, &FILTER));
    CHECK(context->outboundSa->transportFilter->numFilterConditions == 3);
    CHECK(context->outboundSa->transportFilter->filterCondition[0].conditionValue.v4AddrMask->addr == 0x0A010000);
    free_memory(&context);
    ANSWERS(FWP(IN_USE), FwpmFilterDeleteById0(engine, filter));
    SUCCEEDS(IPsecSaContextDeleteById0(engine, id));
}

int main(void)
{
    HANDLE engine = open_engine(), handle = NULL;
    FWPM_FILTER_SUBSCRIPTION0 subscription, **subscriptions = NULL;
    UINT64 filter, context;
    UINT32 len = 0, i;

    add_provider(engine);
    add_sublayer(engine);
    look_at_layers(engine);
    context = add_context(engine);
    add_main_mode(engine);
    values_come_back(engine);
    memset(&subscription, 0, sizeof subscription);
    ANSWERS(FWP(NULL_POINTER), FwpmFilterSubscribeChanges0(engine, &subscription, NULL, NULL, &handle));
    subscription.flags = 8;
    ANSWERS(FWP(INVALID_FLAGS),
            FwpmFilterSubscribeChanges0(engine, &subscription, filter_changed, (void *)&changes, &handle));
    subscription.flags = FWPM_SUBSCRIPTION_FLAG_NOTIFY_ON_ADD | FWPM_SUBSCRIPTION_FLAG_NOTIFY_ON_DELETE;
    SUCCEEDS(FwpmFilterSubscribeChanges0(engine, &subscription, filter_changed, (void *)&changes, &handle));
    SUCCEEDS(FwpmFilterSubscriptionsGet0(engine, &subscriptions, &len));
    CHECK(len == 1);
    free_memory(&subscriptions);
    filter = add_filter(engine);
    security_is_read_and_set(engine);
    protect(engine, filter);
    SUCCEEDS(FwpmFilterDeleteById0(engine, filter));
    ANSWERS(FWP(FILTER_NOT_FOUND), FwpmFilterDeleteById0(engine, filter));
    for (i = 0; i < 100000000 && changes < 2; i++)
        ;
    SUCCEEDS(FwpmFilterUnsubscribeChanges0(engine, handle));
    CHECK(changes <= 2);
    add_tunnel(engine);
    look_at_net_events(engine);
#ifndef KERNEL
    applications_have_ids();
#endif
    SUCCEEDS(FwpmProviderContextDeleteById0(engine, context));
    SUCCEEDS(FwpmSubLayerDeleteByKey0(engine, &SUBLAYER));
    SUCCEEDS(FwpmProviderDeleteByKey0(engine, &PROVIDER));
    SUCCEEDS(FwpmEngineClose0(engine));
    printf("ok\n");
    return 0;
}
