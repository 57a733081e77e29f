/* See guids.c. */
#include <windows.h>

#include <initguid.h>

#include "check.h"

DEFINE_GUID(OWN, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11);

int defined_in_place(const GUID *layer, const GUID *condition);

int defined_in_place(const GUID *layer, const GUID *condition)
{
    return OWN.Data4[7] == 11 && IsEqualGUID(layer, &FWPM_LAYER_INBOUND_TRANSPORT_V4) &&
        IsEqualGUID(condition, &FWPM_CONDITION_IP_REMOTE_ADDRESS);
}
