/* Creates complete SA contexts through the API: AES-GCM with 128-bit keys, transport mode, IPv4. */
#ifndef FILL_H
#define FILL_H

#include "check.h"

#define LOCAL_ADDRESS 0x0A000001u /* 10.0.0.1 */
#define REMOTE_ADDRESS 0x0A010000u /* 10.1.0.0; a context's number is added */

/* Length of a key with its salt, in bytes. Every byte has the value that make_bundle() was given. */
enum { KEY_LEN = 20 };

/* A bundle with all structures and keys that it points to. */
typedef struct {
    UINT8 auth_key[KEY_LEN];
    UINT8 cipher_key[KEY_LEN];
    IPSEC_SA_AUTH_AND_CIPHER_INFORMATION0 both;
    IPSEC_SA0 sa;
    IPSEC_SA_BUNDLE1 bundle;
} BUNDLE;

static inline void make_bundle(BUNDLE *b, UINT32 spi, UINT8 number)
{
    memset(b, 0, sizeof(*b));
    memset(b->auth_key, number, KEY_LEN);
    memset(b->cipher_key, number, KEY_LEN);
    b->both.saAuthInformation.authTransform.authTransformId.authType = IPSEC_AUTH_AES_128;
    b->both.saAuthInformation.authTransform.authTransformId.authConfig = 3; /* GCM */
    b->both.saAuthInformation.authKey.size = KEY_LEN;
    b->both.saAuthInformation.authKey.data = b->auth_key;
    b->both.saCipherInformation.cipherTransform.cipherTransformId.cipherType = IPSEC_CIPHER_TYPE_AES_128;
    b->both.saCipherInformation.cipherTransform.cipherTransformId.cipherConfig = 6; /* GCM */
    b->both.saCipherInformation.cipherKey.size = KEY_LEN;
    b->both.saCipherInformation.cipherKey.data = b->cipher_key;
    b->sa.spi = spi;
    b->sa.saTransformType = IPSEC_TRANSFORM_ESP_AUTH_AND_CIPHER;
    b->sa.espAuthAndCipherInformation = &b->both;
    b->bundle.lifetime.lifetimeSeconds = 3600;
    b->bundle.numSAs = 1;
    b->bundle.saList = &b->sa;
}

static inline IPSEC_TRAFFIC1 make_traffic(UINT32 number)
{
    IPSEC_TRAFFIC1 traffic;
    memset(&traffic, 0, sizeof(traffic));
    traffic.ipVersion = FWP_IP_VERSION_V4;
    traffic.localV4Address = LOCAL_ADDRESS;
    traffic.remoteV4Address = REMOTE_ADDRESS + number;
    traffic.trafficType = IPSEC_TRAFFIC_TYPE_TRANSPORT;
    traffic.ipsecFilterId = 7000 + number;
    return traffic;
}

/* Establishes a complete SA context and returns its id. */
static inline UINT64 establish(HANDLE engine, UINT32 number)
{
    IPSEC_TRAFFIC1 traffic = make_traffic(number);
    IPSEC_GETSPI1 request;
    BUNDLE inbound, outbound;
    UINT64 id = 0, filter = 1;
    UINT32 spi = 0;

    SUCCEEDS(IPsecSaContextCreate1(engine, &traffic, NULL, &filter, &id));
    CHECK(id != 0 && filter == 0);
    memset(&request, 0, sizeof(request));
    request.inboundIpsecTraffic = traffic;
    SUCCEEDS(IPsecSaContextGetSpi1(engine, id, &request, &spi));
    CHECK(spi >= 256);
    make_bundle(&inbound, spi, (UINT8)number);
    make_bundle(&outbound, 0x10000 + number, (UINT8)(number + 1));
    SUCCEEDS(IPsecSaContextAddInbound1(engine, id, &inbound.bundle));
    SUCCEEDS(IPsecSaContextAddOutbound1(engine, id, &outbound.bundle));
    return id;
}

#endif
