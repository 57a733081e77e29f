/* The calls, which are the same in both forms: with <fwpmu.h> they return a DWORD, with <fwpmk.h> an NTSTATUS.
 * docs/c-abi.md lists which are implemented and which return ERROR_CALL_NOT_IMPLEMENTED. */
#ifndef OPENWFP_RESULT
#error "include <fwpmu.h> or <fwpmk.h>"
#endif

#include "fwpmtypes.h"

#include "openwfp_guids.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Callbacks. The engine calls them on its own threads, one call at a time for each subscription. */
typedef void (CALLBACK *FWPM_CALLOUT_CHANGE_CALLBACK0)(void *context, const FWPM_CALLOUT_CHANGE0 *change);
typedef void (CALLBACK *FWPM_CONNECTION_CALLBACK0)(void *context, FWPM_CONNECTION_EVENT_TYPE eventType, const FWPM_CONNECTION0 *connection);
typedef void (CALLBACK *FWPM_DYNAMIC_KEYWORD_CALLBACK0)(void *notification, void *context);
typedef void (CALLBACK *FWPM_FILTER_CHANGE_CALLBACK0)(void *context, const FWPM_FILTER_CHANGE0 *change);
typedef void (CALLBACK *FWPM_NET_EVENT_CALLBACK0)(void *context, const FWPM_NET_EVENT1 *event);
typedef void (CALLBACK *FWPM_NET_EVENT_CALLBACK1)(void *context, const FWPM_NET_EVENT2 *event);
typedef void (CALLBACK *FWPM_NET_EVENT_CALLBACK2)(void *context, const FWPM_NET_EVENT3 *event);
typedef void (CALLBACK *FWPM_NET_EVENT_CALLBACK3)(void *context, const FWPM_NET_EVENT4 *event);
typedef void (CALLBACK *FWPM_NET_EVENT_CALLBACK4)(void *context, const FWPM_NET_EVENT5 *event);
typedef void (CALLBACK *FWPM_PROVIDER_CHANGE_CALLBACK0)(void *context, const FWPM_PROVIDER_CHANGE0 *change);
typedef void (CALLBACK *FWPM_PROVIDER_CONTEXT_CHANGE_CALLBACK0)(void *context, const FWPM_PROVIDER_CONTEXT_CHANGE0 *change);
typedef void (CALLBACK *FWPM_SUBLAYER_CHANGE_CALLBACK0)(void *context, const FWPM_SUBLAYER_CHANGE0 *change);
typedef void (CALLBACK *FWPM_SYSTEM_PORTS_CALLBACK0)(void *context, const FWPM_SYSTEM_PORTS0 *ports);
typedef DWORD (CALLBACK *FWPM_VSWITCH_EVENT_CALLBACK0)(void *context, const FWPM_VSWITCH_EVENT0 *event);
typedef DWORD (CALLBACK *IPSEC_KEY_MANAGER_DICTATE_KEY0)(IPSEC_SA_DETAILS1 *inboundSaDetails, IPSEC_SA_DETAILS1 *outboundSaDetails, BOOL *keyingModuleGenKey);
typedef void (CALLBACK *IPSEC_KEY_MANAGER_KEY_DICTATION_CHECK0)(const IKEEXT_TRAFFIC0 *ikeTraffic, BOOL *willDictateKey, UINT32 *weight);
typedef void (CALLBACK *IPSEC_KEY_MANAGER_NOTIFY_KEY0)(const IPSEC_SA_DETAILS1 *inboundSa, const IPSEC_SA_DETAILS1 *outboundSa);
typedef void (CALLBACK *IPSEC_SA_CONTEXT_CALLBACK0)(void *context, const IPSEC_SA_CONTEXT_CHANGE0 *change);

typedef struct IPSEC_KEY_MANAGER_CALLBACKS0_ {
    GUID reserved;
    UINT32 flags;
    IPSEC_KEY_MANAGER_KEY_DICTATION_CHECK0 keyDictationCheck;
    IPSEC_KEY_MANAGER_DICTATE_KEY0 keyDictation;
    IPSEC_KEY_MANAGER_NOTIFY_KEY0 keyNotify;
} IPSEC_KEY_MANAGER_CALLBACKS0;

/* The engine. */
OPENWFP_RESULT WINAPI FwpmEngineClose0(HANDLE engineHandle);
OPENWFP_RESULT WINAPI FwpmEngineGetOption0(HANDLE engineHandle, FWPM_ENGINE_OPTION option, FWP_VALUE0 **value);
OPENWFP_RESULT WINAPI FwpmEngineGetSecurityInfo0(HANDLE engineHandle, SECURITY_INFORMATION securityInfo,
    PSID *sidOwner, PSID *sidGroup, PACL *dacl, PACL *sacl, PSECURITY_DESCRIPTOR *securityDescriptor);
OPENWFP_RESULT WINAPI FwpmEngineOpen0(const WCHAR *serverName, UINT32 authnService,
    SEC_WINNT_AUTH_IDENTITY_W *authIdentity, const FWPM_SESSION0 *session, HANDLE *engineHandle);
OPENWFP_RESULT WINAPI FwpmEngineSetOption0(HANDLE engineHandle, FWPM_ENGINE_OPTION option,
    const FWP_VALUE0 *newValue);
OPENWFP_RESULT WINAPI FwpmEngineSetSecurityInfo0(HANDLE engineHandle, SECURITY_INFORMATION securityInfo,
    const SID *sidOwner, const SID *sidGroup, const ACL *dacl, const ACL *sacl);

/* Frees memory that a call returned, wipes the keys in it and sets the pointer to null. */
void WINAPI FwpmFreeMemory0(void **p);

/* Open sessions. */
OPENWFP_RESULT WINAPI FwpmSessionCreateEnumHandle0(HANDLE engineHandle,
    const FWPM_SESSION_ENUM_TEMPLATE0 *enumTemplate, HANDLE *enumHandle);
OPENWFP_RESULT WINAPI FwpmSessionDestroyEnumHandle0(HANDLE engineHandle, HANDLE enumHandle);
OPENWFP_RESULT WINAPI FwpmSessionEnum0(HANDLE engineHandle, HANDLE enumHandle, UINT32 numEntriesRequested,
    FWPM_SESSION0 ***entries, UINT32 *numEntriesReturned);

/* Transactions. */
OPENWFP_RESULT WINAPI FwpmTransactionAbort0(HANDLE engineHandle);
OPENWFP_RESULT WINAPI FwpmTransactionBegin0(HANDLE engineHandle, UINT32 flags);
OPENWFP_RESULT WINAPI FwpmTransactionCommit0(HANDLE engineHandle);

/* SA contexts. */
OPENWFP_RESULT WINAPI IPsecSaContextAddInbound0(HANDLE engineHandle, UINT64 id,
    const IPSEC_SA_BUNDLE0 *inboundBundle);
OPENWFP_RESULT WINAPI IPsecSaContextAddInbound1(HANDLE engineHandle, UINT64 id,
    const IPSEC_SA_BUNDLE1 *inboundBundle);
OPENWFP_RESULT WINAPI IPsecSaContextAddOutbound0(HANDLE engineHandle, UINT64 id,
    const IPSEC_SA_BUNDLE0 *outboundBundle);
OPENWFP_RESULT WINAPI IPsecSaContextAddOutbound1(HANDLE engineHandle, UINT64 id,
    const IPSEC_SA_BUNDLE1 *outboundBundle);
OPENWFP_RESULT WINAPI IPsecSaContextCreate0(HANDLE engineHandle, const IPSEC_TRAFFIC0 *outboundTraffic,
    UINT64 *inboundFilterId, UINT64 *id);
OPENWFP_RESULT WINAPI IPsecSaContextCreate1(HANDLE engineHandle, const IPSEC_TRAFFIC1 *outboundTraffic,
    const IPSEC_VIRTUAL_IF_TUNNEL_INFO0 *virtualIfTunnelInfo, UINT64 *inboundFilterId, UINT64 *id);
OPENWFP_RESULT WINAPI IPsecSaContextCreateEnumHandle0(HANDLE engineHandle,
    const IPSEC_SA_CONTEXT_ENUM_TEMPLATE0 *enumTemplate, HANDLE *enumHandle);
OPENWFP_RESULT WINAPI IPsecSaContextDeleteById0(HANDLE engineHandle, UINT64 id);
OPENWFP_RESULT WINAPI IPsecSaContextDestroyEnumHandle0(HANDLE engineHandle, HANDLE enumHandle);
OPENWFP_RESULT WINAPI IPsecSaContextEnum0(HANDLE engineHandle, HANDLE enumHandle, UINT32 numEntriesRequested,
    IPSEC_SA_CONTEXT0 ***entries, UINT32 *numEntriesReturned);
OPENWFP_RESULT WINAPI IPsecSaContextEnum1(HANDLE engineHandle, HANDLE enumHandle, UINT32 numEntriesRequested,
    IPSEC_SA_CONTEXT1 ***entries, UINT32 *numEntriesReturned);
OPENWFP_RESULT WINAPI IPsecSaContextExpire0(HANDLE engineHandle, UINT64 id);
OPENWFP_RESULT WINAPI IPsecSaContextGetById0(HANDLE engineHandle, UINT64 id, IPSEC_SA_CONTEXT0 **saContext);
OPENWFP_RESULT WINAPI IPsecSaContextGetById1(HANDLE engineHandle, UINT64 id, IPSEC_SA_CONTEXT1 **saContext);
OPENWFP_RESULT WINAPI IPsecSaContextGetSpi0(HANDLE engineHandle, UINT64 id, const IPSEC_GETSPI0 *getSpi,
    IPSEC_SA_SPI *inboundSpi);
OPENWFP_RESULT WINAPI IPsecSaContextGetSpi1(HANDLE engineHandle, UINT64 id, const IPSEC_GETSPI1 *getSpi,
    IPSEC_SA_SPI *inboundSpi);
OPENWFP_RESULT WINAPI IPsecSaContextSetSpi0(HANDLE engineHandle, UINT64 id, const IPSEC_GETSPI1 *getSpi,
    IPSEC_SA_SPI inboundSpi);
OPENWFP_RESULT WINAPI IPsecSaContextSubscribe0(HANDLE engineHandle,
    const IPSEC_SA_CONTEXT_SUBSCRIPTION0 *subscription, IPSEC_SA_CONTEXT_CALLBACK0 callback, void *context,
    HANDLE *eventsHandle);
OPENWFP_RESULT WINAPI IPsecSaContextSubscriptionsGet0(HANDLE engineHandle, IPSEC_SA_CONTEXT_SUBSCRIPTION0 ***entries,
    UINT32 *numEntries);
OPENWFP_RESULT WINAPI IPsecSaContextUnsubscribe0(HANDLE engineHandle, HANDLE eventsHandle);
OPENWFP_RESULT WINAPI IPsecSaContextUpdate0(HANDLE engineHandle, UINT64 flags, const IPSEC_SA_CONTEXT1 *newValues);

/* Individual SAs. */
OPENWFP_RESULT WINAPI IPsecSaCreateEnumHandle0(HANDLE engineHandle, const IPSEC_SA_ENUM_TEMPLATE0 *enumTemplate,
    HANDLE *enumHandle);
OPENWFP_RESULT WINAPI IPsecSaDestroyEnumHandle0(HANDLE engineHandle, HANDLE enumHandle);
OPENWFP_RESULT WINAPI IPsecSaEnum0(HANDLE engineHandle, HANDLE enumHandle, UINT32 numEntriesRequested,
    IPSEC_SA_DETAILS0 ***entries, UINT32 *numEntriesReturned);
OPENWFP_RESULT WINAPI IPsecSaEnum1(HANDLE engineHandle, HANDLE enumHandle, UINT32 numEntriesRequested,
    IPSEC_SA_DETAILS1 ***entries, UINT32 *numEntriesReturned);

/* Access control for SAs. */
OPENWFP_RESULT WINAPI IPsecSaDbGetSecurityInfo0(HANDLE engineHandle, SECURITY_INFORMATION securityInfo,
    PSID *sidOwner, PSID *sidGroup, PACL *dacl, PACL *sacl, PSECURITY_DESCRIPTOR *securityDescriptor);
OPENWFP_RESULT WINAPI IPsecSaDbSetSecurityInfo0(HANDLE engineHandle, SECURITY_INFORMATION securityInfo,
    const SID *sidOwner, const SID *sidGroup, const ACL *dacl, const ACL *sacl);

/* Statistics. */
OPENWFP_RESULT WINAPI IPsecGetStatistics0(HANDLE engineHandle, IPSEC_STATISTICS0 *ipsecStatistics);
OPENWFP_RESULT WINAPI IPsecGetStatistics1(HANDLE engineHandle, IPSEC_STATISTICS1 *ipsecStatistics);

/* Provider contexts. */
OPENWFP_RESULT WINAPI FwpmProviderContextAdd0(HANDLE engineHandle, const FWPM_PROVIDER_CONTEXT0 *providerContext,
    PSECURITY_DESCRIPTOR sd, UINT64 *id);
OPENWFP_RESULT WINAPI FwpmProviderContextAdd1(HANDLE engineHandle, const FWPM_PROVIDER_CONTEXT1 *providerContext,
    PSECURITY_DESCRIPTOR sd, UINT64 *id);
OPENWFP_RESULT WINAPI FwpmProviderContextAdd2(HANDLE engineHandle, const FWPM_PROVIDER_CONTEXT2 *providerContext,
    PSECURITY_DESCRIPTOR sd, UINT64 *id);
OPENWFP_RESULT WINAPI FwpmProviderContextAdd3(HANDLE engineHandle, const FWPM_PROVIDER_CONTEXT3 *providerContext,
    PSECURITY_DESCRIPTOR sd, UINT64 *id);
OPENWFP_RESULT WINAPI FwpmProviderContextCreateEnumHandle0(HANDLE engineHandle,
    const FWPM_PROVIDER_CONTEXT_ENUM_TEMPLATE0 *enumTemplate, HANDLE *enumHandle);
OPENWFP_RESULT WINAPI FwpmProviderContextDeleteById0(HANDLE engineHandle, UINT64 id);
OPENWFP_RESULT WINAPI FwpmProviderContextDeleteByKey0(HANDLE engineHandle, const GUID *key);
OPENWFP_RESULT WINAPI FwpmProviderContextDestroyEnumHandle0(HANDLE engineHandle, HANDLE enumHandle);
OPENWFP_RESULT WINAPI FwpmProviderContextEnum0(HANDLE engineHandle, HANDLE enumHandle, UINT32 numEntriesRequested,
    FWPM_PROVIDER_CONTEXT0 ***entries, UINT32 *numEntriesReturned);
OPENWFP_RESULT WINAPI FwpmProviderContextEnum1(HANDLE engineHandle, HANDLE enumHandle, UINT32 numEntriesRequested,
    FWPM_PROVIDER_CONTEXT1 ***entries, UINT32 *numEntriesReturned);
OPENWFP_RESULT WINAPI FwpmProviderContextEnum2(HANDLE engineHandle, HANDLE enumHandle, UINT32 numEntriesRequested,
    FWPM_PROVIDER_CONTEXT2 ***entries, UINT32 *numEntriesReturned);
OPENWFP_RESULT WINAPI FwpmProviderContextEnum3(HANDLE engineHandle, HANDLE enumHandle, UINT32 numEntriesRequested,
    FWPM_PROVIDER_CONTEXT3 ***entries, UINT32 *numEntriesReturned);
OPENWFP_RESULT WINAPI FwpmProviderContextGetById0(HANDLE engineHandle, UINT64 id,
    FWPM_PROVIDER_CONTEXT0 **providerContext);
OPENWFP_RESULT WINAPI FwpmProviderContextGetById1(HANDLE engineHandle, UINT64 id,
    FWPM_PROVIDER_CONTEXT1 **providerContext);
OPENWFP_RESULT WINAPI FwpmProviderContextGetById2(HANDLE engineHandle, UINT64 id,
    FWPM_PROVIDER_CONTEXT2 **providerContext);
OPENWFP_RESULT WINAPI FwpmProviderContextGetById3(HANDLE engineHandle, UINT64 id,
    FWPM_PROVIDER_CONTEXT3 **providerContext);
OPENWFP_RESULT WINAPI FwpmProviderContextGetByKey0(HANDLE engineHandle, const GUID *key,
    FWPM_PROVIDER_CONTEXT0 **providerContext);
OPENWFP_RESULT WINAPI FwpmProviderContextGetByKey1(HANDLE engineHandle, const GUID *key,
    FWPM_PROVIDER_CONTEXT1 **providerContext);
OPENWFP_RESULT WINAPI FwpmProviderContextGetByKey2(HANDLE engineHandle, const GUID *key,
    FWPM_PROVIDER_CONTEXT2 **providerContext);
OPENWFP_RESULT WINAPI FwpmProviderContextGetByKey3(HANDLE engineHandle, const GUID *key,
    FWPM_PROVIDER_CONTEXT3 **providerContext);
OPENWFP_RESULT WINAPI FwpmProviderContextGetSecurityInfoByKey0(HANDLE engineHandle, const GUID *key,
    SECURITY_INFORMATION securityInfo, PSID *sidOwner, PSID *sidGroup, PACL *dacl, PACL *sacl,
    PSECURITY_DESCRIPTOR *securityDescriptor);
OPENWFP_RESULT WINAPI FwpmProviderContextSetSecurityInfoByKey0(HANDLE engineHandle, const GUID *key,
    SECURITY_INFORMATION securityInfo, const SID *sidOwner, const SID *sidGroup, const ACL *dacl, const ACL *sacl);
OPENWFP_RESULT WINAPI FwpmProviderContextSubscribeChanges0(HANDLE engineHandle,
    const FWPM_PROVIDER_CONTEXT_SUBSCRIPTION0 *subscription, FWPM_PROVIDER_CONTEXT_CHANGE_CALLBACK0 callback,
    void *context, HANDLE *changeHandle);
OPENWFP_RESULT WINAPI FwpmProviderContextSubscriptionsGet0(HANDLE engineHandle,
    FWPM_PROVIDER_CONTEXT_SUBSCRIPTION0 ***entries, UINT32 *numEntries);
OPENWFP_RESULT WINAPI FwpmProviderContextUnsubscribeChanges0(HANDLE engineHandle, HANDLE changeHandle);

/* Providers. */
OPENWFP_RESULT WINAPI FwpmProviderAdd0(HANDLE engineHandle, const FWPM_PROVIDER0 *provider, PSECURITY_DESCRIPTOR sd);
OPENWFP_RESULT WINAPI FwpmProviderCreateEnumHandle0(HANDLE engineHandle,
    const FWPM_PROVIDER_ENUM_TEMPLATE0 *enumTemplate, HANDLE *enumHandle);
OPENWFP_RESULT WINAPI FwpmProviderDeleteByKey0(HANDLE engineHandle, const GUID *key);
OPENWFP_RESULT WINAPI FwpmProviderDestroyEnumHandle0(HANDLE engineHandle, HANDLE enumHandle);
OPENWFP_RESULT WINAPI FwpmProviderEnum0(HANDLE engineHandle, HANDLE enumHandle, UINT32 numEntriesRequested,
    FWPM_PROVIDER0 ***entries, UINT32 *numEntriesReturned);
OPENWFP_RESULT WINAPI FwpmProviderGetByKey0(HANDLE engineHandle, const GUID *key, FWPM_PROVIDER0 **provider);
OPENWFP_RESULT WINAPI FwpmProviderGetSecurityInfoByKey0(HANDLE engineHandle, const GUID *key,
    SECURITY_INFORMATION securityInfo, PSID *sidOwner, PSID *sidGroup, PACL *dacl, PACL *sacl,
    PSECURITY_DESCRIPTOR *securityDescriptor);
OPENWFP_RESULT WINAPI FwpmProviderSetSecurityInfoByKey0(HANDLE engineHandle, const GUID *key,
    SECURITY_INFORMATION securityInfo, const SID *sidOwner, const SID *sidGroup, const ACL *dacl, const ACL *sacl);
OPENWFP_RESULT WINAPI FwpmProviderSubscribeChanges0(HANDLE engineHandle,
    const FWPM_PROVIDER_SUBSCRIPTION0 *subscription, FWPM_PROVIDER_CHANGE_CALLBACK0 callback, void *context,
    HANDLE *changeHandle);
OPENWFP_RESULT WINAPI FwpmProviderSubscriptionsGet0(HANDLE engineHandle, FWPM_PROVIDER_SUBSCRIPTION0 ***entries,
    UINT32 *numEntries);
OPENWFP_RESULT WINAPI FwpmProviderUnsubscribeChanges0(HANDLE engineHandle, HANDLE changeHandle);

/* Sublayers. */
OPENWFP_RESULT WINAPI FwpmSubLayerAdd0(HANDLE engineHandle, const FWPM_SUBLAYER0 *subLayer, PSECURITY_DESCRIPTOR sd);
OPENWFP_RESULT WINAPI FwpmSubLayerCreateEnumHandle0(HANDLE engineHandle,
    const FWPM_SUBLAYER_ENUM_TEMPLATE0 *enumTemplate, HANDLE *enumHandle);
OPENWFP_RESULT WINAPI FwpmSubLayerDeleteByKey0(HANDLE engineHandle, const GUID *key);
OPENWFP_RESULT WINAPI FwpmSubLayerDestroyEnumHandle0(HANDLE engineHandle, HANDLE enumHandle);
OPENWFP_RESULT WINAPI FwpmSubLayerEnum0(HANDLE engineHandle, HANDLE enumHandle, UINT32 numEntriesRequested,
    FWPM_SUBLAYER0 ***entries, UINT32 *numEntriesReturned);
OPENWFP_RESULT WINAPI FwpmSubLayerGetByKey0(HANDLE engineHandle, const GUID *key, FWPM_SUBLAYER0 **subLayer);
OPENWFP_RESULT WINAPI FwpmSubLayerGetSecurityInfoByKey0(HANDLE engineHandle, const GUID *key,
    SECURITY_INFORMATION securityInfo, PSID *sidOwner, PSID *sidGroup, PACL *dacl, PACL *sacl,
    PSECURITY_DESCRIPTOR *securityDescriptor);
OPENWFP_RESULT WINAPI FwpmSubLayerSetSecurityInfoByKey0(HANDLE engineHandle, const GUID *key,
    SECURITY_INFORMATION securityInfo, const SID *sidOwner, const SID *sidGroup, const ACL *dacl, const ACL *sacl);
OPENWFP_RESULT WINAPI FwpmSubLayerSubscribeChanges0(HANDLE engineHandle,
    const FWPM_SUBLAYER_SUBSCRIPTION0 *subscription, FWPM_SUBLAYER_CHANGE_CALLBACK0 callback, void *context,
    HANDLE *changeHandle);
OPENWFP_RESULT WINAPI FwpmSubLayerSubscriptionsGet0(HANDLE engineHandle, FWPM_SUBLAYER_SUBSCRIPTION0 ***entries,
    UINT32 *numEntries);
OPENWFP_RESULT WINAPI FwpmSubLayerUnsubscribeChanges0(HANDLE engineHandle, HANDLE changeHandle);

/* Layers. */
OPENWFP_RESULT WINAPI FwpmLayerCreateEnumHandle0(HANDLE engineHandle, const FWPM_LAYER_ENUM_TEMPLATE0 *enumTemplate,
    HANDLE *enumHandle);
OPENWFP_RESULT WINAPI FwpmLayerDestroyEnumHandle0(HANDLE engineHandle, HANDLE enumHandle);
OPENWFP_RESULT WINAPI FwpmLayerEnum0(HANDLE engineHandle, HANDLE enumHandle, UINT32 numEntriesRequested,
    FWPM_LAYER0 ***entries, UINT32 *numEntriesReturned);
OPENWFP_RESULT WINAPI FwpmLayerGetById0(HANDLE engineHandle, UINT16 id, FWPM_LAYER0 **layer);
OPENWFP_RESULT WINAPI FwpmLayerGetByKey0(HANDLE engineHandle, const GUID *key, FWPM_LAYER0 **layer);
OPENWFP_RESULT WINAPI FwpmLayerGetSecurityInfoByKey0(HANDLE engineHandle, const GUID *key,
    SECURITY_INFORMATION securityInfo, PSID *sidOwner, PSID *sidGroup, PACL *dacl, PACL *sacl,
    PSECURITY_DESCRIPTOR *securityDescriptor);
OPENWFP_RESULT WINAPI FwpmLayerSetSecurityInfoByKey0(HANDLE engineHandle, const GUID *key,
    SECURITY_INFORMATION securityInfo, const SID *sidOwner, const SID *sidGroup, const ACL *dacl, const ACL *sacl);

/* Callouts. */
OPENWFP_RESULT WINAPI FwpmCalloutAdd0(HANDLE engineHandle, const FWPM_CALLOUT0 *callout, PSECURITY_DESCRIPTOR sd,
    UINT32 *id);
OPENWFP_RESULT WINAPI FwpmCalloutCreateEnumHandle0(HANDLE engineHandle,
    const FWPM_CALLOUT_ENUM_TEMPLATE0 *enumTemplate, HANDLE *enumHandle);
OPENWFP_RESULT WINAPI FwpmCalloutDeleteById0(HANDLE engineHandle, UINT32 id);
OPENWFP_RESULT WINAPI FwpmCalloutDeleteByKey0(HANDLE engineHandle, const GUID *key);
OPENWFP_RESULT WINAPI FwpmCalloutDestroyEnumHandle0(HANDLE engineHandle, HANDLE enumHandle);
OPENWFP_RESULT WINAPI FwpmCalloutEnum0(HANDLE engineHandle, HANDLE enumHandle, UINT32 numEntriesRequested,
    FWPM_CALLOUT0 ***entries, UINT32 *numEntriesReturned);
OPENWFP_RESULT WINAPI FwpmCalloutGetById0(HANDLE engineHandle, UINT32 id, FWPM_CALLOUT0 **callout);
OPENWFP_RESULT WINAPI FwpmCalloutGetByKey0(HANDLE engineHandle, const GUID *key, FWPM_CALLOUT0 **callout);
OPENWFP_RESULT WINAPI FwpmCalloutGetSecurityInfoByKey0(HANDLE engineHandle, const GUID *key,
    SECURITY_INFORMATION securityInfo, PSID *sidOwner, PSID *sidGroup, PACL *dacl, PACL *sacl,
    PSECURITY_DESCRIPTOR *securityDescriptor);
OPENWFP_RESULT WINAPI FwpmCalloutSetSecurityInfoByKey0(HANDLE engineHandle, const GUID *key,
    SECURITY_INFORMATION securityInfo, const SID *sidOwner, const SID *sidGroup, const ACL *dacl, const ACL *sacl);
OPENWFP_RESULT WINAPI FwpmCalloutSubscribeChanges0(HANDLE engineHandle,
    const FWPM_CALLOUT_SUBSCRIPTION0 *subscription, FWPM_CALLOUT_CHANGE_CALLBACK0 callback, void *context,
    HANDLE *changeHandle);
OPENWFP_RESULT WINAPI FwpmCalloutSubscriptionsGet0(HANDLE engineHandle, FWPM_CALLOUT_SUBSCRIPTION0 ***entries,
    UINT32 *numEntries);
OPENWFP_RESULT WINAPI FwpmCalloutUnsubscribeChanges0(HANDLE engineHandle, HANDLE changeHandle);

/* Filters. */
OPENWFP_RESULT WINAPI FwpmFilterAdd0(HANDLE engineHandle, const FWPM_FILTER0 *filter, PSECURITY_DESCRIPTOR sd,
    UINT64 *id);
OPENWFP_RESULT WINAPI FwpmFilterCreateEnumHandle0(HANDLE engineHandle, const FWPM_FILTER_ENUM_TEMPLATE0 *enumTemplate,
    HANDLE *enumHandle);
OPENWFP_RESULT WINAPI FwpmFilterDeleteById0(HANDLE engineHandle, UINT64 id);
OPENWFP_RESULT WINAPI FwpmFilterDeleteByKey0(HANDLE engineHandle, const GUID *key);
OPENWFP_RESULT WINAPI FwpmFilterDestroyEnumHandle0(HANDLE engineHandle, HANDLE enumHandle);
OPENWFP_RESULT WINAPI FwpmFilterEnum0(HANDLE engineHandle, HANDLE enumHandle, UINT32 numEntriesRequested,
    FWPM_FILTER0 ***entries, UINT32 *numEntriesReturned);
OPENWFP_RESULT WINAPI FwpmFilterGetById0(HANDLE engineHandle, UINT64 id, FWPM_FILTER0 **filter);
OPENWFP_RESULT WINAPI FwpmFilterGetByKey0(HANDLE engineHandle, const GUID *key, FWPM_FILTER0 **filter);
OPENWFP_RESULT WINAPI FwpmFilterGetSecurityInfoByKey0(HANDLE engineHandle, const GUID *key,
    SECURITY_INFORMATION securityInfo, PSID *sidOwner, PSID *sidGroup, PACL *dacl, PACL *sacl,
    PSECURITY_DESCRIPTOR *securityDescriptor);
OPENWFP_RESULT WINAPI FwpmFilterSetSecurityInfoByKey0(HANDLE engineHandle, const GUID *key,
    SECURITY_INFORMATION securityInfo, const SID *sidOwner, const SID *sidGroup, const ACL *dacl, const ACL *sacl);
OPENWFP_RESULT WINAPI FwpmFilterSubscribeChanges0(HANDLE engineHandle, const FWPM_FILTER_SUBSCRIPTION0 *subscription,
    FWPM_FILTER_CHANGE_CALLBACK0 callback, void *context, HANDLE *changeHandle);
OPENWFP_RESULT WINAPI FwpmFilterSubscriptionsGet0(HANDLE engineHandle, FWPM_FILTER_SUBSCRIPTION0 ***entries,
    UINT32 *numEntries);
OPENWFP_RESULT WINAPI FwpmFilterUnsubscribeChanges0(HANDLE engineHandle, HANDLE changeHandle);

/* Tunnel policies. */
OPENWFP_RESULT WINAPI FwpmIPsecTunnelAdd0(HANDLE engineHandle, UINT32 flags,
    const FWPM_PROVIDER_CONTEXT0 *mainModePolicy, const FWPM_PROVIDER_CONTEXT0 *tunnelPolicy,
    UINT32 numFilterConditions, const FWPM_FILTER_CONDITION0 *filterConditions, PSECURITY_DESCRIPTOR sd);
OPENWFP_RESULT WINAPI FwpmIPsecTunnelAdd1(HANDLE engineHandle, UINT32 flags,
    const FWPM_PROVIDER_CONTEXT1 *mainModePolicy, const FWPM_PROVIDER_CONTEXT1 *tunnelPolicy,
    UINT32 numFilterConditions, const FWPM_FILTER_CONDITION0 *filterConditions, const GUID *keyModKey,
    PSECURITY_DESCRIPTOR sd);
OPENWFP_RESULT WINAPI FwpmIPsecTunnelAdd2(HANDLE engineHandle, UINT32 flags,
    const FWPM_PROVIDER_CONTEXT2 *mainModePolicy, const FWPM_PROVIDER_CONTEXT2 *tunnelPolicy,
    UINT32 numFilterConditions, const FWPM_FILTER_CONDITION0 *filterConditions, const GUID *keyModKey,
    PSECURITY_DESCRIPTOR sd);
OPENWFP_RESULT WINAPI FwpmIPsecTunnelAdd3(HANDLE engineHandle, UINT32 flags,
    const FWPM_PROVIDER_CONTEXT3 *mainModePolicy, const FWPM_PROVIDER_CONTEXT3 *tunnelPolicy,
    UINT32 numFilterConditions, const FWPM_FILTER_CONDITION0 *filterConditions, const GUID *keyModKey,
    PSECURITY_DESCRIPTOR sd);
OPENWFP_RESULT WINAPI FwpmIPsecTunnelDeleteByKey0(HANDLE engineHandle, const GUID *key);

/* Application ids. */
OPENWFP_RESULT WINAPI FwpmGetAppIdFromFileName0(PCWSTR fileName, FWP_BYTE_BLOB **appId);

/* Net events. */
OPENWFP_RESULT WINAPI FwpmNetEventCreateEnumHandle0(HANDLE engineHandle,
    const FWPM_NET_EVENT_ENUM_TEMPLATE0 *enumTemplate, HANDLE *enumHandle);
OPENWFP_RESULT WINAPI FwpmNetEventDestroyEnumHandle0(HANDLE engineHandle, HANDLE enumHandle);
OPENWFP_RESULT WINAPI FwpmNetEventEnum0(HANDLE engineHandle, HANDLE enumHandle, UINT32 numEntriesRequested,
    FWPM_NET_EVENT0 ***entries, UINT32 *numEntriesReturned);
OPENWFP_RESULT WINAPI FwpmNetEventEnum1(HANDLE engineHandle, HANDLE enumHandle, UINT32 numEntriesRequested,
    FWPM_NET_EVENT1 ***entries, UINT32 *numEntriesReturned);
OPENWFP_RESULT WINAPI FwpmNetEventEnum2(HANDLE engineHandle, HANDLE enumHandle, UINT32 numEntriesRequested,
    FWPM_NET_EVENT2 ***entries, UINT32 *numEntriesReturned);
OPENWFP_RESULT WINAPI FwpmNetEventEnum3(HANDLE engineHandle, HANDLE enumHandle, UINT32 numEntriesRequested,
    FWPM_NET_EVENT3 ***entries, UINT32 *numEntriesReturned);
OPENWFP_RESULT WINAPI FwpmNetEventEnum4(HANDLE engineHandle, HANDLE enumHandle, UINT32 numEntriesRequested,
    FWPM_NET_EVENT4 ***entries, UINT32 *numEntriesReturned);
OPENWFP_RESULT WINAPI FwpmNetEventEnum5(HANDLE engineHandle, HANDLE enumHandle, UINT32 numEntriesRequested,
    FWPM_NET_EVENT5 ***entries, UINT32 *numEntriesReturned);
OPENWFP_RESULT WINAPI FwpmNetEventSubscribe0(HANDLE engineHandle, const FWPM_NET_EVENT_SUBSCRIPTION0 *subscription,
    FWPM_NET_EVENT_CALLBACK0 callback, void *context, HANDLE *eventsHandle);
OPENWFP_RESULT WINAPI FwpmNetEventSubscribe1(HANDLE engineHandle, const FWPM_NET_EVENT_SUBSCRIPTION0 *subscription,
    FWPM_NET_EVENT_CALLBACK1 callback, void *context, HANDLE *eventsHandle);
OPENWFP_RESULT WINAPI FwpmNetEventSubscribe2(HANDLE engineHandle, const FWPM_NET_EVENT_SUBSCRIPTION0 *subscription,
    FWPM_NET_EVENT_CALLBACK2 callback, void *context, HANDLE *eventsHandle);
OPENWFP_RESULT WINAPI FwpmNetEventSubscribe3(HANDLE engineHandle, const FWPM_NET_EVENT_SUBSCRIPTION0 *subscription,
    FWPM_NET_EVENT_CALLBACK3 callback, void *context, HANDLE *eventsHandle);
OPENWFP_RESULT WINAPI FwpmNetEventSubscribe4(HANDLE engineHandle, const FWPM_NET_EVENT_SUBSCRIPTION0 *subscription,
    FWPM_NET_EVENT_CALLBACK4 callback, void *context, HANDLE *eventsHandle);
OPENWFP_RESULT WINAPI FwpmNetEventSubscriptionsGet0(HANDLE engineHandle, FWPM_NET_EVENT_SUBSCRIPTION0 ***entries,
    UINT32 *numEntries);
OPENWFP_RESULT WINAPI FwpmNetEventUnsubscribe0(HANDLE engineHandle, HANDLE eventsHandle);
OPENWFP_RESULT WINAPI FwpmNetEventsGetSecurityInfo0(HANDLE engineHandle, SECURITY_INFORMATION securityInfo,
    PSID *sidOwner, PSID *sidGroup, PACL *dacl, PACL *sacl, PSECURITY_DESCRIPTOR *securityDescriptor);
OPENWFP_RESULT WINAPI FwpmNetEventsSetSecurityInfo0(HANDLE engineHandle, SECURITY_INFORMATION securityInfo,
    const SID *sidOwner, const SID *sidGroup, const ACL *dacl, const ACL *sacl);

/* Connections. */
OPENWFP_RESULT WINAPI FwpmConnectionCreateEnumHandle0(HANDLE engineHandle,
    const FWPM_CONNECTION_ENUM_TEMPLATE0 *enumTemplate, HANDLE *enumHandle);
OPENWFP_RESULT WINAPI FwpmConnectionDestroyEnumHandle0(HANDLE engineHandle, HANDLE enumHandle);
OPENWFP_RESULT WINAPI FwpmConnectionEnum0(HANDLE engineHandle, HANDLE enumHandle, UINT32 numEntriesRequested,
    FWPM_CONNECTION0 ***entries, UINT32 *numEntriesReturned);
OPENWFP_RESULT WINAPI FwpmConnectionGetById0(HANDLE engineHandle, UINT64 id, FWPM_CONNECTION0 **connection);
OPENWFP_RESULT WINAPI FwpmConnectionGetSecurityInfo0(HANDLE engineHandle, SECURITY_INFORMATION securityInfo,
    PSID *sidOwner, PSID *sidGroup, PACL *dacl, PACL *sacl, PSECURITY_DESCRIPTOR *securityDescriptor);
OPENWFP_RESULT WINAPI FwpmConnectionPolicyAdd0(HANDLE engineHandle, const FWPM_PROVIDER_CONTEXT3 *connectionPolicy,
    FWP_IP_VERSION ipVersion, UINT64 weight, UINT32 numFilterConditions,
    const FWPM_FILTER_CONDITION0 *filterConditions, PSECURITY_DESCRIPTOR sd);
OPENWFP_RESULT WINAPI FwpmConnectionPolicyDeleteByKey0(HANDLE engineHandle, const GUID *key);
OPENWFP_RESULT WINAPI FwpmConnectionSetSecurityInfo0(HANDLE engineHandle, SECURITY_INFORMATION securityInfo,
    const SID *sidOwner, const SID *sidGroup, const ACL *dacl, const ACL *sacl);
OPENWFP_RESULT WINAPI FwpmConnectionSubscribe0(HANDLE engineHandle, const FWPM_CONNECTION_SUBSCRIPTION0 *subscription,
    FWPM_CONNECTION_CALLBACK0 callback, void *context, HANDLE *eventsHandle);
OPENWFP_RESULT WINAPI FwpmConnectionSubscriptionsGet0(HANDLE engineHandle, FWPM_CONNECTION_SUBSCRIPTION0 ***entries,
    UINT32 *numEntries);
OPENWFP_RESULT WINAPI FwpmConnectionUnsubscribe0(HANDLE engineHandle, HANDLE eventsHandle);

/* System ports. */
OPENWFP_RESULT WINAPI FwpmSystemPortsGet0(HANDLE engineHandle, FWPM_SYSTEM_PORTS0 **sysPorts);
OPENWFP_RESULT WINAPI FwpmSystemPortsSubscribe0(HANDLE engineHandle, void *reserved,
    FWPM_SYSTEM_PORTS_CALLBACK0 callback, void *context, HANDLE *sysPortsHandle);
OPENWFP_RESULT WINAPI FwpmSystemPortsUnsubscribe0(HANDLE engineHandle, HANDLE sysPortsHandle);

/* Virtual switches. */
OPENWFP_RESULT WINAPI FwpmvSwitchEventSubscribe0(HANDLE engineHandle,
    const FWPM_VSWITCH_EVENT_SUBSCRIPTION0 *subscription, FWPM_VSWITCH_EVENT_CALLBACK0 callback, void *context,
    HANDLE *subscriptionHandle);
OPENWFP_RESULT WINAPI FwpmvSwitchEventUnsubscribe0(HANDLE engineHandle, HANDLE subscriptionHandle);
OPENWFP_RESULT WINAPI FwpmvSwitchEventsGetSecurityInfo0(HANDLE engineHandle, SECURITY_INFORMATION securityInfo,
    PSID *sidOwner, PSID *sidGroup, PACL *dacl, PACL *sacl, PSECURITY_DESCRIPTOR *securityDescriptor);
OPENWFP_RESULT WINAPI FwpmvSwitchEventsSetSecurityInfo0(HANDLE engineHandle, SECURITY_INFORMATION securityInfo,
    const SID *sidOwner, const SID *sidGroup, const ACL *dacl, const ACL *sacl);

/* Dynamic keywords. */
OPENWFP_RESULT WINAPI FwpmDynamicKeywordSubscribe0(DWORD flags, FWPM_DYNAMIC_KEYWORD_CALLBACK0 callback,
    void *context, HANDLE *subscriptionHandle);
OPENWFP_RESULT WINAPI FwpmDynamicKeywordUnsubscribe0(HANDLE subscriptionHandle);

/* Protection against denial of service (DoS). */
OPENWFP_RESULT WINAPI IPsecDospGetSecurityInfo0(HANDLE engineHandle, SECURITY_INFORMATION securityInfo,
    PSID *sidOwner, PSID *sidGroup, PACL *dacl, PACL *sacl, PSECURITY_DESCRIPTOR *securityDescriptor);
OPENWFP_RESULT WINAPI IPsecDospGetStatistics0(HANDLE engineHandle, IPSEC_DOSP_STATISTICS0 *idpStatistics);
OPENWFP_RESULT WINAPI IPsecDospSetSecurityInfo0(HANDLE engineHandle, SECURITY_INFORMATION securityInfo,
    const SID *sidOwner, const SID *sidGroup, const ACL *dacl, const ACL *sacl);
OPENWFP_RESULT WINAPI IPsecDospStateCreateEnumHandle0(HANDLE engineHandle,
    const IPSEC_DOSP_STATE_ENUM_TEMPLATE0 *enumTemplate, HANDLE *enumHandle);
OPENWFP_RESULT WINAPI IPsecDospStateDestroyEnumHandle0(HANDLE engineHandle, HANDLE enumHandle);
OPENWFP_RESULT WINAPI IPsecDospStateEnum0(HANDLE engineHandle, HANDLE enumHandle, UINT32 numEntriesRequested,
    IPSEC_DOSP_STATE0 ***entries, UINT32 *numEntries);

/* Key managers. */
OPENWFP_RESULT WINAPI IPsecKeyManagerAddAndRegister0(HANDLE engineHandle, const IPSEC_KEY_MANAGER0 *keyManager,
    const IPSEC_KEY_MANAGER_CALLBACKS0 *keyManagerCallbacks, HANDLE *keyMgmtHandle);
OPENWFP_RESULT WINAPI IPsecKeyManagerGetSecurityInfoByKey0(HANDLE engineHandle, const void *reserved,
    SECURITY_INFORMATION securityInfo, PSID *sidOwner, PSID *sidGroup, PACL *dacl, PACL *sacl,
    PSECURITY_DESCRIPTOR *securityDescriptor);
OPENWFP_RESULT WINAPI IPsecKeyManagerSetSecurityInfoByKey0(HANDLE engineHandle, const void *reserved,
    SECURITY_INFORMATION securityInfo, const SID *sidOwner, const SID *sidGroup, const ACL *dacl, const ACL *sacl);
OPENWFP_RESULT WINAPI IPsecKeyManagerUnregisterAndDelete0(HANDLE engineHandle, HANDLE keyMgmtHandle);
OPENWFP_RESULT WINAPI IPsecKeyManagersGet0(HANDLE engineHandle, IPSEC_KEY_MANAGER0 ***entries, UINT32 *numEntries);

/* IKE. */
OPENWFP_RESULT WINAPI IkeextGetStatistics0(HANDLE engineHandle, IKEEXT_STATISTICS0 *ikeextStatistics);
OPENWFP_RESULT WINAPI IkeextGetStatistics1(HANDLE engineHandle, IKEEXT_STATISTICS1 *ikeextStatistics);
OPENWFP_RESULT WINAPI IkeextSaCreateEnumHandle0(HANDLE engineHandle, const IKEEXT_SA_ENUM_TEMPLATE0 *enumTemplate,
    HANDLE *enumHandle);
OPENWFP_RESULT WINAPI IkeextSaDbGetSecurityInfo0(HANDLE engineHandle, SECURITY_INFORMATION securityInfo,
    PSID *sidOwner, PSID *sidGroup, PACL *dacl, PACL *sacl, PSECURITY_DESCRIPTOR *securityDescriptor);
OPENWFP_RESULT WINAPI IkeextSaDbSetSecurityInfo0(HANDLE engineHandle, SECURITY_INFORMATION securityInfo,
    const SID *sidOwner, const SID *sidGroup, const ACL *dacl, const ACL *sacl);
OPENWFP_RESULT WINAPI IkeextSaDeleteById0(HANDLE engineHandle, UINT64 id);
OPENWFP_RESULT WINAPI IkeextSaDestroyEnumHandle0(HANDLE engineHandle, HANDLE enumHandle);
OPENWFP_RESULT WINAPI IkeextSaEnum0(HANDLE engineHandle, HANDLE enumHandle, UINT32 numEntriesRequested,
    IKEEXT_SA_DETAILS0 ***entries, UINT32 *numEntriesReturned);
OPENWFP_RESULT WINAPI IkeextSaEnum1(HANDLE engineHandle, HANDLE enumHandle, UINT32 numEntriesRequested,
    IKEEXT_SA_DETAILS1 ***entries, UINT32 *numEntriesReturned);
OPENWFP_RESULT WINAPI IkeextSaEnum2(HANDLE engineHandle, HANDLE enumHandle, UINT32 numEntriesRequested,
    IKEEXT_SA_DETAILS2 ***entries, UINT32 *numEntriesReturned);
OPENWFP_RESULT WINAPI IkeextSaGetById0(HANDLE engineHandle, UINT64 id, IKEEXT_SA_DETAILS0 **sa);
OPENWFP_RESULT WINAPI IkeextSaGetById1(HANDLE engineHandle, UINT64 id, GUID *saLookupContext,
    IKEEXT_SA_DETAILS1 **sa);
OPENWFP_RESULT WINAPI IkeextSaGetById2(HANDLE engineHandle, UINT64 id, GUID *saLookupContext,
    IKEEXT_SA_DETAILS2 **sa);

#ifdef __cplusplus
}
#endif
