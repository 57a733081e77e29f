/* The parts of <rpc.h> that the API needs: authentication services and random UUIDs. */
#ifndef OPENWFP_RPC_H
#define OPENWFP_RPC_H

#include <stdio.h>

#include "windows.h"

typedef LONG RPC_STATUS;

#define RPC_C_AUTHN_NONE 0
#define RPC_C_AUTHN_GSS_NEGOTIATE 9
#define RPC_C_AUTHN_WINNT 10
#define RPC_C_AUTHN_GSS_KERBEROS 16
#define RPC_C_AUTHN_DEFAULT 0xFFFFFFFFu
#ifndef RPC_S_OK
#define RPC_S_OK 0
#endif

/* Generates a random UUID (RFC 9562, version 4). */
static inline RPC_STATUS UuidCreate(UUID *uuid)
{
    FILE *source = fopen("/dev/urandom", "rb");
    size_t got = source ? fread(uuid, sizeof(*uuid), 1, source) : 0;
    if (source)
        fclose(source);
    if (got != 1)
        return (RPC_STATUS)ERROR_NOT_SUPPORTED;
    uuid->Data3 = (uint16_t)((uuid->Data3 & 0x0FFF) | 0x4000);
    uuid->Data4[0] = (uint8_t)((uuid->Data4[0] & 0x3F) | 0x80);
    return RPC_S_OK;
}

#endif
