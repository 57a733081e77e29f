/* The documented way to list SA contexts: open an engine, create an enumerator, read and free pages until none is left,
 * destroy the enumerator, close the engine. Prints one line per SA; with an argument, also its key. */
#include "check.h"

static int show_keys;

static void print_address(FWP_IP_VERSION version, UINT32 v4, const UINT8 *v6)
{
    int i;
    if (version == FWP_IP_VERSION_V4) {
        printf("%u.%u.%u.%u", v4 >> 24, (v4 >> 16) & 255, (v4 >> 8) & 255, v4 & 255);
        return;
    }
    for (i = 0; i < 16; i++)
        printf("%02x", v6[i]);
}

static void print_details(const IPSEC_SA_CONTEXT1 *context, const IPSEC_SA_DETAILS1 *details)
{
    const IPSEC_TRAFFIC1 *traffic = &details->traffic;
    UINT32 i;
    /* Like real callers, do not check for null. */
    CHECK(details->transportFilter->numFilterConditions >= 2);
    for (i = 0; i < details->transportFilter->numFilterConditions; i++)
        CHECK(details->transportFilter->filterCondition[i].conditionValue.type != FWP_EMPTY);
    CHECK(details->transportFilter->filterId == traffic->ipsecFilterId);
    for (i = 0; i < details->saBundle.numSAs; i++) {
        const IPSEC_SA0 *sa = &details->saBundle.saList[i];
        printf("%u %s ", (unsigned)context->saContextId,
            details->saDirection == FWP_DIRECTION_INBOUND ? "in" : "out");
        print_address(traffic->ipVersion, traffic->localV4Address, traffic->localV6Address);
        printf(" ");
        print_address(traffic->ipVersion, traffic->remoteV4Address, traffic->remoteV6Address);
        printf(" 0x%08x type %d", sa->spi, (int)sa->saTransformType);
        if (sa->saTransformType == IPSEC_TRANSFORM_ESP_AUTH_AND_CIPHER) {
            const IPSEC_SA_AUTH_AND_CIPHER_INFORMATION0 *both = sa->espAuthAndCipherInformation;
            const FWP_BYTE_BLOB *key = &both->saCipherInformation.cipherKey;
            UINT32 j;
            printf(" cipher %d/%d", (int)both->saCipherInformation.cipherTransform.cipherTransformId.cipherType,
                both->saCipherInformation.cipherTransform.cipherTransformId.cipherConfig);
            if (show_keys)
                printf(" key ");
            for (j = 0; show_keys && j < key->size; j++)
                printf("%02x", key->data[j]);
        }
        printf("\n");
    }
}

int main(int argc, char **argv)
{
    HANDLE engine = open_engine(), handle = NULL;
    UINT32 returned;

    (void)argv;
    show_keys = argc > 1;

    SUCCEEDS(IPsecSaContextCreateEnumHandle0(engine, NULL, &handle));
    do {
        IPSEC_SA_CONTEXT1 **contexts = NULL;
        UINT32 i;
        SUCCEEDS(IPsecSaContextEnum1(engine, handle, 5, &contexts, &returned));
        for (i = 0; i < returned; i++) {
            if (contexts[i]->inboundSa)
                print_details(contexts[i], contexts[i]->inboundSa);
            if (contexts[i]->outboundSa)
                print_details(contexts[i], contexts[i]->outboundSa);
        }
        free_memory(&contexts);
        CHECK(contexts == NULL);
    } while (returned == 5);
    SUCCEEDS(IPsecSaContextDestroyEnumHandle0(engine, handle));
    SUCCEEDS(FwpmEngineClose0(engine));
    return 0;
}
