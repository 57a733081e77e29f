/* Prints the code with which a session is opened: OPENWFP_ENGINE names an engine that there cannot be. */
#include "check.h"

int main(void)
{
    HANDLE engine;
    RESULT answer = FwpmEngineOpen0(NULL, RPC_C_AUTHN_DEFAULT, NULL, NULL, &engine);
    printf("0x%lX\n", (unsigned long)(UINT32)answer);
    return 0;
}
