/* Checks which versions the unnumbered names stand for, by NTDDI_VERSION or _WIN32_WINNT. -DTARGET=0 to 5 expects
 * Vista, 7, 8, 8.1, 10 and 11. The program is compiled, not run. */
#include <assert.h>

#include <windows.h>

#include <fwpmu.h>

#define SAME(name, numbered) static_assert(_Generic((name *)0, numbered *: 1, default: 0), #name " is " #numbered)

static int same_call(void)
{
    /* The type of a call identifies its version. */
#if TARGET == 0
    DWORD(WINAPI * e)(HANDLE, HANDLE, UINT32, IPSEC_SA_CONTEXT0 ***, UINT32 *) = IPsecSaContextEnum;
    DWORD(WINAPI * s)(HANDLE, IPSEC_STATISTICS0 *) = IPsecGetStatistics;
    DWORD(WINAPI * n)(HANDLE, HANDLE, UINT32, FWPM_NET_EVENT0 ***, UINT32 *) = FwpmNetEventEnum;
#else
    DWORD(WINAPI * e)(HANDLE, HANDLE, UINT32, IPSEC_SA_CONTEXT1 ***, UINT32 *) = IPsecSaContextEnum;
    DWORD(WINAPI * s)(HANDLE, IPSEC_STATISTICS1 *) = IPsecGetStatistics;
#if TARGET == 1
    DWORD(WINAPI * n)(HANDLE, HANDLE, UINT32, FWPM_NET_EVENT1 ***, UINT32 *) = FwpmNetEventEnum;
#elif TARGET <= 3
    DWORD(WINAPI * n)(HANDLE, HANDLE, UINT32, FWPM_NET_EVENT2 ***, UINT32 *) = FwpmNetEventEnum;
#elif TARGET == 5
    DWORD(WINAPI * n)(HANDLE, HANDLE, UINT32, FWPM_NET_EVENT5 ***, UINT32 *) = FwpmNetEventEnum;
#else
    DWORD(WINAPI * n)(HANDLE, HANDLE, UINT32, FWPM_NET_EVENT2 ***, UINT32 *) = FwpmNetEventEnum;
#endif
#endif
    return e != NULL && s != NULL && n != NULL;
}

SAME(FWPM_SESSION, FWPM_SESSION0);
SAME(FWPM_FILTER, FWPM_FILTER0);
#if TARGET == 0
SAME(IPSEC_SA_CONTEXT, IPSEC_SA_CONTEXT0);
SAME(IPSEC_SA_DETAILS, IPSEC_SA_DETAILS0);
SAME(IPSEC_SA_BUNDLE, IPSEC_SA_BUNDLE0);
SAME(IPSEC_TRAFFIC, IPSEC_TRAFFIC0);
SAME(IPSEC_GETSPI, IPSEC_GETSPI0);
SAME(FWPM_PROVIDER_CONTEXT, FWPM_PROVIDER_CONTEXT0);
SAME(IPSEC_TUNNEL_POLICY, IPSEC_TUNNEL_POLICY0);
#ifdef IPsecSaContextSubscribe
#error "Vista has no subscriptions to SA contexts"
#endif
#else
SAME(IPSEC_SA_CONTEXT, IPSEC_SA_CONTEXT1);
SAME(IPSEC_SA_DETAILS, IPSEC_SA_DETAILS1);
SAME(IPSEC_SA_BUNDLE, IPSEC_SA_BUNDLE1);
SAME(IPSEC_TRAFFIC, IPSEC_TRAFFIC1);
SAME(IPSEC_GETSPI, IPSEC_GETSPI1);
#ifndef IPsecSaContextSubscribe
#error "Windows 7 has subscriptions to SA contexts"
#endif
#endif
#if TARGET == 1
SAME(FWPM_PROVIDER_CONTEXT, FWPM_PROVIDER_CONTEXT1);
SAME(IPSEC_TUNNEL_POLICY, IPSEC_TUNNEL_POLICY1);
#elif TARGET == 2 || TARGET == 3 || TARGET == 4
SAME(FWPM_PROVIDER_CONTEXT, FWPM_PROVIDER_CONTEXT2);
SAME(IPSEC_TUNNEL_POLICY, IPSEC_TUNNEL_POLICY2);
SAME(IPSEC_KEYING_POLICY, IPSEC_KEYING_POLICY1);
#elif TARGET == 5
SAME(FWPM_PROVIDER_CONTEXT, FWPM_PROVIDER_CONTEXT3);
SAME(IPSEC_TUNNEL_POLICY, IPSEC_TUNNEL_POLICY3);
#endif

int main(void)
{
    return !same_call();
}
