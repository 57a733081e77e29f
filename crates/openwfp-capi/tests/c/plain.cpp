// The headers from C++17.
#include <winsock2.h>
#include <Windows.h>
#include <ws2tcpip.h>
#include <Fwpmu.h>
#include <openwfp.h>

#include <cstdio>
#include <vector>

int main()
{
    HANDLE engine = nullptr;
    FWPM_SESSION0 session{};
    std::vector<WCHAR> name{'c', '+', '+', 0};
    session.displayData.name = name.data();
    DWORD result = FwpmEngineOpen(nullptr, RPC_C_AUTHN_WINNT, nullptr, &session, &engine);
    if (result != ERROR_SUCCESS)
        return 1;
    HANDLE handle = nullptr;
    result = IPsecSaContextCreateEnumHandle(engine, nullptr, &handle);
    IPSEC_SA_CONTEXT **contexts = nullptr;
    UINT32 count = 0;
    if (result != ERROR_SUCCESS || IPsecSaContextEnum(engine, handle, 10, &contexts, &count) != ERROR_SUCCESS)
        return 1;
    FwpmFreeMemory(reinterpret_cast<void **>(&contexts));
    switch (IPsecSaContextDeleteById(engine, 4711)) {
    case ERROR_SUCCESS:
        return 1;
    case FWP_E_NOT_FOUND:
        break;
    default:
        return 1;
    }
    if (FWPM_LAYER_IKEEXT_V4 == FWPM_LAYER_IKEEXT_V6 || contexts != nullptr)
        return 1;
    if (FwpmEngineClose(engine) != ERROR_SUCCESS)
        return 1;
    std::puts("ok");
    return 0;
}
