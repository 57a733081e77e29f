/* Uses GUIDs as constants of the library and defined in place. The program's second file includes <initguid.h>. */
#include "check.h"

extern int defined_in_place(const GUID *layer, const GUID *condition);

int main(void)
{
    CHECK(FWPM_LAYER_INBOUND_TRANSPORT_V4.Data1 == 0x5926dfc8);
    CHECK(FWPM_CONDITION_IP_REMOTE_ADDRESS.Data4[7] == 0x45);
    CHECK(IsEqualGUID(&FWPM_LAYER_IKEEXT_V4, &FWPM_LAYER_IKEEXT_V4));
    CHECK(!IsEqualGUID(&FWPM_LAYER_IKEEXT_V4, &FWPM_LAYER_IKEEXT_V6));
    CHECK(defined_in_place(&FWPM_LAYER_INBOUND_TRANSPORT_V4, &FWPM_CONDITION_IP_REMOTE_ADDRESS));
    printf("ok\n");
    return 0;
}
