/* OpenWFP's additions: an SA context's counters, the last error's text, the version, and algorithms unknown to WFP. */
#include "fill.h"

#include <openwfp.h>

int main(void)
{
    HANDLE engine = open_engine();
    OPENWFP_SA_COUNTERS0 in, out;
    IPSEC_SA_CONTEXT1 *context;
    IPSEC_TRAFFIC1 traffic = make_traffic(2);
    IPSEC_GETSPI1 request;
    BUNDLE b;
    /* ChaCha20-Poly1305 with 36 bytes of key and salt; see docs/c-abi.md. */
    IPSEC_CRYPTO_MODULE_ID chacha = {0x6f777066, 0x0302, 0x0080, {0x80, 0, 0, 0, 0, 0, 0x01, 0x20}};
    UINT8 key[36];
    UINT64 id = establish(engine, 1);

    memset(&in, 0xFF, sizeof(in));
    SUCCEEDS(OpenwfpSaContextGetCounters0(engine, id, &in, &out));
    CHECK(in.bytes == 0 && in.packets == 0 && in.integrityFailures == 0 && out.lastUsed == 0);
    SUCCEEDS(OpenwfpSaContextGetCounters0(engine, id, NULL, NULL));
    ANSWERS(FWP(NOT_FOUND), OpenwfpSaContextGetCounters0(engine, id + 1, &in, &out));
    CHECK(strstr(OpenwfpLastErrorText(), " [FWP_E_NOT_FOUND 0x80320008]") != NULL);
    CHECK(strchr(OpenwfpVersion(), '.') != NULL);

    SUCCEEDS(IPsecSaContextCreate1(engine, &traffic, NULL, NULL, &id));
    memset(&request, 0, sizeof(request));
    request.inboundIpsecTraffic = traffic;
    SUCCEEDS(IPsecSaContextSetSpi0(engine, id, &request, 0x777));
    memset(key, 9, sizeof(key));
    make_bundle(&b, 0x777, 1);
    b.both.saAuthInformation.authTransform.authTransformId.authType = IPSEC_AUTH_MAX;
    b.both.saAuthInformation.authTransform.authTransformId.authConfig = IPSEC_AUTH_CONFIG_MAX;
    b.both.saAuthInformation.authTransform.cryptoModuleId = &chacha;
    b.both.saCipherInformation.cipherTransform.cipherTransformId.cipherType = IPSEC_CIPHER_TYPE_MAX;
    b.both.saCipherInformation.cipherTransform.cipherTransformId.cipherConfig = IPSEC_CIPHER_CONFIG_MAX;
    b.both.saCipherInformation.cipherTransform.cryptoModuleId = &chacha;
    b.both.saAuthInformation.authKey.size = b.both.saCipherInformation.cipherKey.size = 36;
    b.both.saAuthInformation.authKey.data = b.both.saCipherInformation.cipherKey.data = key;
    SUCCEEDS(IPsecSaContextAddInbound1(engine, id, &b.bundle));
    SUCCEEDS(IPsecSaContextAddOutbound1(engine, id, &b.bundle));
    SUCCEEDS(IPsecSaContextGetById1(engine, id, &context));
    CHECK(memcmp(context->outboundSa->saBundle.saList->espAuthAndCipherInformation->saCipherInformation.cipherTransform
                     .cryptoModuleId,
              &chacha, sizeof(chacha)) == 0);
    /* An update accepts the algorithm too. */
    context->outboundSa->saBundle.flags = context->inboundSa->saBundle.flags = 0x800;
    SUCCEEDS(IPsecSaContextUpdate0(engine, IPSEC_SA_BUNDLE_UPDATE_FLAGS, context));
    free_memory(&context);
    {
        /* This engine has no kernel, so that no filter has an effect. */
        OPENWFP_FILTER_EFFECT0 effect;
        FWPM_FILTER0 filter;
        memset(&filter, 0, sizeof(filter));
        filter.displayData.name = (WCHAR *)OPENWFP_TEXT("filter");
        filter.layerKey = FWPM_LAYER_ALE_AUTH_CONNECT_V4;
        filter.action.type = FWP_ACTION_BLOCK;
        SUCCEEDS(FwpmFilterAdd0(engine, &filter, NULL, &id));
        memset(&effect, 0xFF, sizeof(effect));
        SUCCEEDS(OpenwfpFilterGetEffect0(engine, id, &effect));
        CHECK(effect.kind == OPENWFP_EFFECT_NONE && effect.numPolicies == 0 && effect.policyIndex == 0);
        CHECK(strcmp(effect.reason, "this engine has no kernel that could enforce filters") == 0);
        ANSWERS(FWP(FILTER_NOT_FOUND), OpenwfpFilterGetEffect0(engine, id + 1, &effect));
        CHECK(OpenwfpFilterGetEffect0(engine, id, NULL) != 0);
    }
    SUCCEEDS(FwpmEngineClose0(engine));
    printf("ok\n");
    return 0;
}
