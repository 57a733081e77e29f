/* UTF-16 strings: OPENWFP_TEXT, and TEXT with UNICODE, work for every wchar_t; L"" needs -fshort-wchar. */
#define UNICODE
#include "check.h"

int main(void)
{
    static const WCHAR macro[] = OPENWFP_TEXT("n\u00e4me"), text[] = TEXT("n\u00e4me");
    FWPM_SESSION0 session, **sessions;
    HANDLE engine, handle;
    UINT32 returned;

    CHECK(sizeof(WCHAR) == 2);
    CHECK(sizeof(macro) == 10 && memcmp(macro, text, 10) == 0 && macro[1] == 0xE4);
    memset(&session, 0, sizeof(session));
#if __SIZEOF_WCHAR_T__ == 2
    session.displayData.name = L"n\u00e4me";
#else
    session.displayData.name = OPENWFP_TEXT("n\u00e4me");
#endif
    SUCCEEDS(FwpmEngineOpen0(NULL, RPC_C_AUTHN_DEFAULT, NULL, &session, &engine));
    SUCCEEDS(FwpmSessionCreateEnumHandle0(engine, NULL, &handle));
    SUCCEEDS(FwpmSessionEnum0(engine, handle, 1, &sessions, &returned));
    CHECK(memcmp(sessions[0]->displayData.name, macro, sizeof(macro)) == 0);
    free_memory(&sessions);
    SUCCEEDS(FwpmEngineClose0(engine));
    printf("ok\n");
    return 0;
}
