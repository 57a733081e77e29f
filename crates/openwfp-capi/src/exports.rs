//! The list of exports that both libraries share.

/// Exports the API's calls in one of its forms, the GUIDs, and OpenWFP's own calls.
///
/// Implemented calls are listed with their arguments. The others exist so that programs link: they
/// return `ERROR_CALL_NOT_IMPLEMENTED` (`STATUS_NOT_IMPLEMENTED` in kernel mode). Those with an engine
/// handle check the handle first.
#[macro_export]
macro_rules! export_calls {
    ($flavour:ty) => {
        use $crate::abi::*;

        $crate::export_calls! { @carried_out $flavour:
            fn FwpmEngineGetSecurityInfo0(
                engine_handle: HANDLE,
                security_info: u32,
                sid_owner: *mut PSID,
                sid_group: *mut PSID,
                dacl: *mut *mut ACL,
                sacl: *mut *mut ACL,
                security_descriptor: *mut PSECURITY_DESCRIPTOR,
            );
            fn FwpmEngineOpen0(
                server_name: *const u16,
                authn_service: u32,
                auth_identity: *const c_void,
                session: *const FWPM_SESSION0,
                engine_handle: *mut HANDLE,
            );
            fn FwpmEngineSetSecurityInfo0(
                engine_handle: HANDLE,
                security_info: u32,
                sid_owner: *const SID,
                sid_group: *const SID,
                dacl: *const ACL,
                sacl: *const ACL,
            );
            fn FwpmCalloutAdd0(engine_handle: HANDLE, callout: *const FWPM_CALLOUT0, sd: PSECURITY_DESCRIPTOR, id: *mut u32);
            fn FwpmCalloutCreateEnumHandle0(engine_handle: HANDLE, enum_template: *const FWPM_CALLOUT_ENUM_TEMPLATE0, enum_handle: *mut HANDLE);
            fn FwpmCalloutDeleteByKey0(engine_handle: HANDLE, key: *const GUID);
            fn FwpmCalloutEnum0(engine_handle: HANDLE, enum_handle: HANDLE, num_entries_requested: u32, entries: *mut *mut *mut FWPM_CALLOUT0, num_entries_returned: *mut u32);
            fn FwpmCalloutGetById0(engine_handle: HANDLE, id: u32, callout: *mut *mut FWPM_CALLOUT0);
            fn FwpmCalloutGetByKey0(engine_handle: HANDLE, key: *const GUID, callout: *mut *mut FWPM_CALLOUT0);
            fn FwpmCalloutGetSecurityInfoByKey0(engine_handle: HANDLE, key: *const GUID, security_info: u32, sid_owner: *mut PSID, sid_group: *mut PSID, dacl: *mut *mut ACL, sacl: *mut *mut ACL, security_descriptor: *mut PSECURITY_DESCRIPTOR);
            fn FwpmCalloutSetSecurityInfoByKey0(engine_handle: HANDLE, key: *const GUID, security_info: u32, sid_owner: *const SID, sid_group: *const SID, dacl: *const ACL, sacl: *const ACL);
            fn FwpmCalloutSubscribeChanges0(engine_handle: HANDLE, subscription: *const FWPM_CALLOUT_SUBSCRIPTION0, callback: FWPM_CALLOUT_CHANGE_CALLBACK0, context: *mut c_void, change_handle: *mut HANDLE);
            fn FwpmCalloutSubscriptionsGet0(engine_handle: HANDLE, entries: *mut *mut *mut FWPM_CALLOUT_SUBSCRIPTION0, num_entries: *mut u32);
            fn FwpmEngineGetOption0(engine_handle: HANDLE, option: i32, value: *mut *mut FWP_VALUE0);
            fn FwpmEngineSetOption0(engine_handle: HANDLE, option: i32, new_value: *const FWP_VALUE0);
            fn FwpmFilterAdd0(engine_handle: HANDLE, filter: *const FWPM_FILTER0, sd: PSECURITY_DESCRIPTOR, id: *mut u64);
            fn FwpmFilterCreateEnumHandle0(engine_handle: HANDLE, enum_template: *const FWPM_FILTER_ENUM_TEMPLATE0, enum_handle: *mut HANDLE);
            fn FwpmFilterDeleteByKey0(engine_handle: HANDLE, key: *const GUID);
            fn FwpmFilterEnum0(engine_handle: HANDLE, enum_handle: HANDLE, num_entries_requested: u32, entries: *mut *mut *mut FWPM_FILTER0, num_entries_returned: *mut u32);
            fn FwpmFilterGetById0(engine_handle: HANDLE, id: u64, filter: *mut *mut FWPM_FILTER0);
            fn FwpmFilterGetByKey0(engine_handle: HANDLE, key: *const GUID, filter: *mut *mut FWPM_FILTER0);
            fn FwpmFilterGetSecurityInfoByKey0(engine_handle: HANDLE, key: *const GUID, security_info: u32, sid_owner: *mut PSID, sid_group: *mut PSID, dacl: *mut *mut ACL, sacl: *mut *mut ACL, security_descriptor: *mut PSECURITY_DESCRIPTOR);
            fn FwpmFilterSetSecurityInfoByKey0(engine_handle: HANDLE, key: *const GUID, security_info: u32, sid_owner: *const SID, sid_group: *const SID, dacl: *const ACL, sacl: *const ACL);
            fn FwpmFilterSubscribeChanges0(engine_handle: HANDLE, subscription: *const FWPM_FILTER_SUBSCRIPTION0, callback: FWPM_FILTER_CHANGE_CALLBACK0, context: *mut c_void, change_handle: *mut HANDLE);
            fn FwpmFilterSubscriptionsGet0(engine_handle: HANDLE, entries: *mut *mut *mut FWPM_FILTER_SUBSCRIPTION0, num_entries: *mut u32);
            fn FwpmGetAppIdFromFileName0(file_name: *const u16, app_id: *mut *mut FWP_BYTE_BLOB);
            fn FwpmIPsecTunnelAdd0(engine_handle: HANDLE, flags: u32, main_mode_policy: *const FWPM_PROVIDER_CONTEXT0, tunnel_policy: *const FWPM_PROVIDER_CONTEXT0, num_filter_conditions: u32, filter_conditions: *const FWPM_FILTER_CONDITION0, sd: PSECURITY_DESCRIPTOR);
            fn FwpmIPsecTunnelAdd1(engine_handle: HANDLE, flags: u32, main_mode_policy: *const FWPM_PROVIDER_CONTEXT1, tunnel_policy: *const FWPM_PROVIDER_CONTEXT1, num_filter_conditions: u32, filter_conditions: *const FWPM_FILTER_CONDITION0, key_mod_key: *const GUID, sd: PSECURITY_DESCRIPTOR);
            fn FwpmIPsecTunnelAdd2(engine_handle: HANDLE, flags: u32, main_mode_policy: *const FWPM_PROVIDER_CONTEXT2, tunnel_policy: *const FWPM_PROVIDER_CONTEXT2, num_filter_conditions: u32, filter_conditions: *const FWPM_FILTER_CONDITION0, key_mod_key: *const GUID, sd: PSECURITY_DESCRIPTOR);
            fn FwpmIPsecTunnelAdd3(engine_handle: HANDLE, flags: u32, main_mode_policy: *const FWPM_PROVIDER_CONTEXT3, tunnel_policy: *const FWPM_PROVIDER_CONTEXT3, num_filter_conditions: u32, filter_conditions: *const FWPM_FILTER_CONDITION0, key_mod_key: *const GUID, sd: PSECURITY_DESCRIPTOR);
            fn FwpmIPsecTunnelDeleteByKey0(engine_handle: HANDLE, key: *const GUID);
            fn FwpmLayerCreateEnumHandle0(engine_handle: HANDLE, enum_template: *const FWPM_LAYER_ENUM_TEMPLATE0, enum_handle: *mut HANDLE);
            fn FwpmLayerEnum0(engine_handle: HANDLE, enum_handle: HANDLE, num_entries_requested: u32, entries: *mut *mut *mut FWPM_LAYER0, num_entries_returned: *mut u32);
            fn FwpmLayerGetById0(engine_handle: HANDLE, id: u16, layer: *mut *mut FWPM_LAYER0);
            fn FwpmLayerGetByKey0(engine_handle: HANDLE, key: *const GUID, layer: *mut *mut FWPM_LAYER0);
            fn FwpmLayerGetSecurityInfoByKey0(engine_handle: HANDLE, key: *const GUID, security_info: u32, sid_owner: *mut PSID, sid_group: *mut PSID, dacl: *mut *mut ACL, sacl: *mut *mut ACL, security_descriptor: *mut PSECURITY_DESCRIPTOR);
            fn FwpmLayerSetSecurityInfoByKey0(engine_handle: HANDLE, key: *const GUID, security_info: u32, sid_owner: *const SID, sid_group: *const SID, dacl: *const ACL, sacl: *const ACL);
            fn FwpmNetEventCreateEnumHandle0(engine_handle: HANDLE, enum_template: *const FWPM_NET_EVENT_ENUM_TEMPLATE0, enum_handle: *mut HANDLE);
            fn FwpmNetEventEnum0(engine_handle: HANDLE, enum_handle: HANDLE, num_entries_requested: u32, entries: *mut *mut *mut FWPM_NET_EVENT0, num_entries_returned: *mut u32);
            fn FwpmNetEventEnum1(engine_handle: HANDLE, enum_handle: HANDLE, num_entries_requested: u32, entries: *mut *mut *mut FWPM_NET_EVENT1, num_entries_returned: *mut u32);
            fn FwpmNetEventEnum2(engine_handle: HANDLE, enum_handle: HANDLE, num_entries_requested: u32, entries: *mut *mut *mut FWPM_NET_EVENT2, num_entries_returned: *mut u32);
            fn FwpmNetEventEnum3(engine_handle: HANDLE, enum_handle: HANDLE, num_entries_requested: u32, entries: *mut *mut *mut FWPM_NET_EVENT3, num_entries_returned: *mut u32);
            fn FwpmNetEventEnum4(engine_handle: HANDLE, enum_handle: HANDLE, num_entries_requested: u32, entries: *mut *mut *mut FWPM_NET_EVENT4, num_entries_returned: *mut u32);
            fn FwpmNetEventEnum5(engine_handle: HANDLE, enum_handle: HANDLE, num_entries_requested: u32, entries: *mut *mut *mut FWPM_NET_EVENT5, num_entries_returned: *mut u32);
            fn FwpmNetEventSubscribe0(engine_handle: HANDLE, subscription: *const FWPM_NET_EVENT_SUBSCRIPTION0, callback: FWPM_NET_EVENT_CALLBACK0, context: *mut c_void, events_handle: *mut HANDLE);
            fn FwpmNetEventSubscribe1(engine_handle: HANDLE, subscription: *const FWPM_NET_EVENT_SUBSCRIPTION0, callback: FWPM_NET_EVENT_CALLBACK1, context: *mut c_void, events_handle: *mut HANDLE);
            fn FwpmNetEventSubscribe2(engine_handle: HANDLE, subscription: *const FWPM_NET_EVENT_SUBSCRIPTION0, callback: FWPM_NET_EVENT_CALLBACK2, context: *mut c_void, events_handle: *mut HANDLE);
            fn FwpmNetEventSubscribe3(engine_handle: HANDLE, subscription: *const FWPM_NET_EVENT_SUBSCRIPTION0, callback: FWPM_NET_EVENT_CALLBACK3, context: *mut c_void, events_handle: *mut HANDLE);
            fn FwpmNetEventSubscribe4(engine_handle: HANDLE, subscription: *const FWPM_NET_EVENT_SUBSCRIPTION0, callback: FWPM_NET_EVENT_CALLBACK4, context: *mut c_void, events_handle: *mut HANDLE);
            fn FwpmNetEventSubscriptionsGet0(engine_handle: HANDLE, entries: *mut *mut *mut FWPM_NET_EVENT_SUBSCRIPTION0, num_entries: *mut u32);
            fn FwpmProviderAdd0(engine_handle: HANDLE, provider: *const FWPM_PROVIDER0, sd: PSECURITY_DESCRIPTOR);
            fn FwpmProviderContextAdd0(engine_handle: HANDLE, provider_context: *const FWPM_PROVIDER_CONTEXT0, sd: PSECURITY_DESCRIPTOR, id: *mut u64);
            fn FwpmProviderContextAdd1(engine_handle: HANDLE, provider_context: *const FWPM_PROVIDER_CONTEXT1, sd: PSECURITY_DESCRIPTOR, id: *mut u64);
            fn FwpmProviderContextAdd2(engine_handle: HANDLE, provider_context: *const FWPM_PROVIDER_CONTEXT2, sd: PSECURITY_DESCRIPTOR, id: *mut u64);
            fn FwpmProviderContextAdd3(engine_handle: HANDLE, provider_context: *const FWPM_PROVIDER_CONTEXT3, sd: PSECURITY_DESCRIPTOR, id: *mut u64);
            fn FwpmProviderContextCreateEnumHandle0(engine_handle: HANDLE, enum_template: *const FWPM_PROVIDER_CONTEXT_ENUM_TEMPLATE0, enum_handle: *mut HANDLE);
            fn FwpmProviderContextDeleteByKey0(engine_handle: HANDLE, key: *const GUID);
            fn FwpmProviderContextEnum0(engine_handle: HANDLE, enum_handle: HANDLE, num_entries_requested: u32, entries: *mut *mut *mut FWPM_PROVIDER_CONTEXT0, num_entries_returned: *mut u32);
            fn FwpmProviderContextEnum1(engine_handle: HANDLE, enum_handle: HANDLE, num_entries_requested: u32, entries: *mut *mut *mut FWPM_PROVIDER_CONTEXT1, num_entries_returned: *mut u32);
            fn FwpmProviderContextEnum2(engine_handle: HANDLE, enum_handle: HANDLE, num_entries_requested: u32, entries: *mut *mut *mut FWPM_PROVIDER_CONTEXT2, num_entries_returned: *mut u32);
            fn FwpmProviderContextEnum3(engine_handle: HANDLE, enum_handle: HANDLE, num_entries_requested: u32, entries: *mut *mut *mut FWPM_PROVIDER_CONTEXT3, num_entries_returned: *mut u32);
            fn FwpmProviderContextGetById0(engine_handle: HANDLE, id: u64, provider_context: *mut *mut FWPM_PROVIDER_CONTEXT0);
            fn FwpmProviderContextGetById1(engine_handle: HANDLE, id: u64, provider_context: *mut *mut FWPM_PROVIDER_CONTEXT1);
            fn FwpmProviderContextGetById2(engine_handle: HANDLE, id: u64, provider_context: *mut *mut FWPM_PROVIDER_CONTEXT2);
            fn FwpmProviderContextGetById3(engine_handle: HANDLE, id: u64, provider_context: *mut *mut FWPM_PROVIDER_CONTEXT3);
            fn FwpmProviderContextGetByKey0(engine_handle: HANDLE, key: *const GUID, provider_context: *mut *mut FWPM_PROVIDER_CONTEXT0);
            fn FwpmProviderContextGetByKey1(engine_handle: HANDLE, key: *const GUID, provider_context: *mut *mut FWPM_PROVIDER_CONTEXT1);
            fn FwpmProviderContextGetByKey2(engine_handle: HANDLE, key: *const GUID, provider_context: *mut *mut FWPM_PROVIDER_CONTEXT2);
            fn FwpmProviderContextGetByKey3(engine_handle: HANDLE, key: *const GUID, provider_context: *mut *mut FWPM_PROVIDER_CONTEXT3);
            fn FwpmProviderContextGetSecurityInfoByKey0(engine_handle: HANDLE, key: *const GUID, security_info: u32, sid_owner: *mut PSID, sid_group: *mut PSID, dacl: *mut *mut ACL, sacl: *mut *mut ACL, security_descriptor: *mut PSECURITY_DESCRIPTOR);
            fn FwpmProviderContextSetSecurityInfoByKey0(engine_handle: HANDLE, key: *const GUID, security_info: u32, sid_owner: *const SID, sid_group: *const SID, dacl: *const ACL, sacl: *const ACL);
            fn FwpmProviderContextSubscribeChanges0(engine_handle: HANDLE, subscription: *const FWPM_PROVIDER_CONTEXT_SUBSCRIPTION0, callback: FWPM_PROVIDER_CONTEXT_CHANGE_CALLBACK0, context: *mut c_void, change_handle: *mut HANDLE);
            fn FwpmProviderContextSubscriptionsGet0(engine_handle: HANDLE, entries: *mut *mut *mut FWPM_PROVIDER_CONTEXT_SUBSCRIPTION0, num_entries: *mut u32);
            fn FwpmProviderCreateEnumHandle0(engine_handle: HANDLE, enum_template: *const FWPM_PROVIDER_ENUM_TEMPLATE0, enum_handle: *mut HANDLE);
            fn FwpmProviderDeleteByKey0(engine_handle: HANDLE, key: *const GUID);
            fn FwpmProviderEnum0(engine_handle: HANDLE, enum_handle: HANDLE, num_entries_requested: u32, entries: *mut *mut *mut FWPM_PROVIDER0, num_entries_returned: *mut u32);
            fn FwpmProviderGetByKey0(engine_handle: HANDLE, key: *const GUID, provider: *mut *mut FWPM_PROVIDER0);
            fn FwpmProviderGetSecurityInfoByKey0(engine_handle: HANDLE, key: *const GUID, security_info: u32, sid_owner: *mut PSID, sid_group: *mut PSID, dacl: *mut *mut ACL, sacl: *mut *mut ACL, security_descriptor: *mut PSECURITY_DESCRIPTOR);
            fn FwpmProviderSetSecurityInfoByKey0(engine_handle: HANDLE, key: *const GUID, security_info: u32, sid_owner: *const SID, sid_group: *const SID, dacl: *const ACL, sacl: *const ACL);
            fn FwpmProviderSubscribeChanges0(engine_handle: HANDLE, subscription: *const FWPM_PROVIDER_SUBSCRIPTION0, callback: FWPM_PROVIDER_CHANGE_CALLBACK0, context: *mut c_void, change_handle: *mut HANDLE);
            fn FwpmProviderSubscriptionsGet0(engine_handle: HANDLE, entries: *mut *mut *mut FWPM_PROVIDER_SUBSCRIPTION0, num_entries: *mut u32);
            fn FwpmSubLayerAdd0(engine_handle: HANDLE, sub_layer: *const FWPM_SUBLAYER0, sd: PSECURITY_DESCRIPTOR);
            fn FwpmSubLayerCreateEnumHandle0(engine_handle: HANDLE, enum_template: *const FWPM_SUBLAYER_ENUM_TEMPLATE0, enum_handle: *mut HANDLE);
            fn FwpmSubLayerDeleteByKey0(engine_handle: HANDLE, key: *const GUID);
            fn FwpmSubLayerEnum0(engine_handle: HANDLE, enum_handle: HANDLE, num_entries_requested: u32, entries: *mut *mut *mut FWPM_SUBLAYER0, num_entries_returned: *mut u32);
            fn FwpmSubLayerGetByKey0(engine_handle: HANDLE, key: *const GUID, sub_layer: *mut *mut FWPM_SUBLAYER0);
            fn FwpmSubLayerGetSecurityInfoByKey0(engine_handle: HANDLE, key: *const GUID, security_info: u32, sid_owner: *mut PSID, sid_group: *mut PSID, dacl: *mut *mut ACL, sacl: *mut *mut ACL, security_descriptor: *mut PSECURITY_DESCRIPTOR);
            fn FwpmSubLayerSetSecurityInfoByKey0(engine_handle: HANDLE, key: *const GUID, security_info: u32, sid_owner: *const SID, sid_group: *const SID, dacl: *const ACL, sacl: *const ACL);
            fn FwpmSubLayerSubscribeChanges0(engine_handle: HANDLE, subscription: *const FWPM_SUBLAYER_SUBSCRIPTION0, callback: FWPM_SUBLAYER_CHANGE_CALLBACK0, context: *mut c_void, change_handle: *mut HANDLE);
            fn FwpmSubLayerSubscriptionsGet0(engine_handle: HANDLE, entries: *mut *mut *mut FWPM_SUBLAYER_SUBSCRIPTION0, num_entries: *mut u32);
            fn FwpmNetEventsGetSecurityInfo0(engine_handle: HANDLE, security_info: u32, sid_owner: *mut PSID, sid_group: *mut PSID, dacl: *mut *mut ACL, sacl: *mut *mut ACL, security_descriptor: *mut PSECURITY_DESCRIPTOR);
            fn FwpmNetEventsSetSecurityInfo0(engine_handle: HANDLE, security_info: u32, sid_owner: *const SID, sid_group: *const SID, dacl: *const ACL, sacl: *const ACL);
            fn FwpmSessionCreateEnumHandle0(
                engine_handle: HANDLE,
                enum_template: *const FWPM_SESSION_ENUM_TEMPLATE0,
                enum_handle: *mut HANDLE,
            );
            fn FwpmSessionEnum0(
                engine_handle: HANDLE,
                enum_handle: HANDLE,
                num_entries_requested: u32,
                entries: *mut *mut *mut FWPM_SESSION0,
                num_entries_returned: *mut u32,
            );
            fn IPsecGetStatistics0(engine_handle: HANDLE, ipsec_statistics: *mut IPSEC_STATISTICS0);
            fn IPsecGetStatistics1(engine_handle: HANDLE, ipsec_statistics: *mut IPSEC_STATISTICS1);
            fn IPsecSaContextAddInbound0(
                engine_handle: HANDLE,
                id: u64,
                inbound_bundle: *const IPSEC_SA_BUNDLE0,
            );
            fn IPsecSaContextAddInbound1(
                engine_handle: HANDLE,
                id: u64,
                inbound_bundle: *const IPSEC_SA_BUNDLE1,
            );
            fn IPsecSaContextAddOutbound0(
                engine_handle: HANDLE,
                id: u64,
                outbound_bundle: *const IPSEC_SA_BUNDLE0,
            );
            fn IPsecSaContextAddOutbound1(
                engine_handle: HANDLE,
                id: u64,
                outbound_bundle: *const IPSEC_SA_BUNDLE1,
            );
            fn IPsecSaContextCreate0(
                engine_handle: HANDLE,
                outbound_traffic: *const IPSEC_TRAFFIC0,
                inbound_filter_id: *mut u64,
                id: *mut u64,
            );
            fn IPsecSaContextCreate1(
                engine_handle: HANDLE,
                outbound_traffic: *const IPSEC_TRAFFIC1,
                virtual_if_tunnel_info: *const IPSEC_VIRTUAL_IF_TUNNEL_INFO0,
                inbound_filter_id: *mut u64,
                id: *mut u64,
            );
            fn IPsecSaContextCreateEnumHandle0(
                engine_handle: HANDLE,
                enum_template: *const IPSEC_SA_CONTEXT_ENUM_TEMPLATE0,
                enum_handle: *mut HANDLE,
            );
            fn IPsecSaContextEnum0(
                engine_handle: HANDLE,
                enum_handle: HANDLE,
                num_entries_requested: u32,
                entries: *mut *mut *mut IPSEC_SA_CONTEXT0,
                num_entries_returned: *mut u32,
            );
            fn IPsecSaContextEnum1(
                engine_handle: HANDLE,
                enum_handle: HANDLE,
                num_entries_requested: u32,
                entries: *mut *mut *mut IPSEC_SA_CONTEXT1,
                num_entries_returned: *mut u32,
            );
            fn IPsecSaContextGetById0(
                engine_handle: HANDLE,
                id: u64,
                sa_context: *mut *mut IPSEC_SA_CONTEXT0,
            );
            fn IPsecSaContextGetById1(
                engine_handle: HANDLE,
                id: u64,
                sa_context: *mut *mut IPSEC_SA_CONTEXT1,
            );
            fn IPsecSaContextGetSpi0(
                engine_handle: HANDLE,
                id: u64,
                get_spi: *const IPSEC_GETSPI0,
                inbound_spi: *mut u32,
            );
            fn IPsecSaContextGetSpi1(
                engine_handle: HANDLE,
                id: u64,
                get_spi: *const IPSEC_GETSPI1,
                inbound_spi: *mut u32,
            );
            fn IPsecSaContextSetSpi0(
                engine_handle: HANDLE,
                id: u64,
                get_spi: *const IPSEC_GETSPI1,
                inbound_spi: u32,
            );
            fn IPsecSaContextSubscribe0(
                engine_handle: HANDLE,
                subscription: *const IPSEC_SA_CONTEXT_SUBSCRIPTION0,
                callback: IPSEC_SA_CONTEXT_CALLBACK0,
                context: *mut c_void,
                events_handle: *mut HANDLE,
            );
            fn IPsecSaContextSubscriptionsGet0(
                engine_handle: HANDLE,
                entries: *mut *mut *mut IPSEC_SA_CONTEXT_SUBSCRIPTION0,
                num_entries: *mut u32,
            );
            fn IPsecSaContextUpdate0(engine_handle: HANDLE, flags: u64, new_values: *const IPSEC_SA_CONTEXT1);
            fn IPsecSaCreateEnumHandle0(
                engine_handle: HANDLE,
                enum_template: *const IPSEC_SA_ENUM_TEMPLATE0,
                enum_handle: *mut HANDLE,
            );
            fn IPsecSaDbGetSecurityInfo0(
                engine_handle: HANDLE,
                security_info: u32,
                sid_owner: *mut PSID,
                sid_group: *mut PSID,
                dacl: *mut *mut ACL,
                sacl: *mut *mut ACL,
                security_descriptor: *mut PSECURITY_DESCRIPTOR,
            );
            fn IPsecSaDbSetSecurityInfo0(
                engine_handle: HANDLE,
                security_info: u32,
                sid_owner: *const SID,
                sid_group: *const SID,
                dacl: *const ACL,
                sacl: *const ACL,
            );
            fn IPsecSaEnum0(
                engine_handle: HANDLE,
                enum_handle: HANDLE,
                num_entries_requested: u32,
                entries: *mut *mut *mut IPSEC_SA_DETAILS0,
                num_entries_returned: *mut u32,
            );
            fn IPsecSaEnum1(
                engine_handle: HANDLE,
                enum_handle: HANDLE,
                num_entries_requested: u32,
                entries: *mut *mut *mut IPSEC_SA_DETAILS1,
                num_entries_returned: *mut u32,
            );
            fn OpenwfpFilterGetEffect0(
                engine_handle: HANDLE,
                filter_id: u64,
                effect: *mut $crate::doors::FilterEffect0,
            );
            fn OpenwfpSaContextGetCounters0(
                engine_handle: HANDLE,
                id: u64,
                inbound: *mut $crate::doors::SaCounters0,
                outbound: *mut $crate::doors::SaCounters0,
            );
        }

        $crate::export_calls! { @carried_out_by_handles $flavour:
            fn FwpmEngineClose0(engine_handle: HANDLE);
            fn FwpmCalloutDeleteById0(engine_handle: HANDLE, id: u32);
            fn FwpmCalloutDestroyEnumHandle0(engine_handle: HANDLE, enum_handle: HANDLE);
            fn FwpmCalloutUnsubscribeChanges0(engine_handle: HANDLE, change_handle: HANDLE);
            fn FwpmFilterDeleteById0(engine_handle: HANDLE, id: u64);
            fn FwpmFilterDestroyEnumHandle0(engine_handle: HANDLE, enum_handle: HANDLE);
            fn FwpmFilterUnsubscribeChanges0(engine_handle: HANDLE, change_handle: HANDLE);
            fn FwpmLayerDestroyEnumHandle0(engine_handle: HANDLE, enum_handle: HANDLE);
            fn FwpmNetEventDestroyEnumHandle0(engine_handle: HANDLE, enum_handle: HANDLE);
            fn FwpmNetEventUnsubscribe0(engine_handle: HANDLE, events_handle: HANDLE);
            fn FwpmProviderContextDeleteById0(engine_handle: HANDLE, id: u64);
            fn FwpmProviderContextDestroyEnumHandle0(engine_handle: HANDLE, enum_handle: HANDLE);
            fn FwpmProviderContextUnsubscribeChanges0(engine_handle: HANDLE, change_handle: HANDLE);
            fn FwpmProviderDestroyEnumHandle0(engine_handle: HANDLE, enum_handle: HANDLE);
            fn FwpmProviderUnsubscribeChanges0(engine_handle: HANDLE, change_handle: HANDLE);
            fn FwpmSubLayerDestroyEnumHandle0(engine_handle: HANDLE, enum_handle: HANDLE);
            fn FwpmSubLayerUnsubscribeChanges0(engine_handle: HANDLE, change_handle: HANDLE);
            fn FwpmSessionDestroyEnumHandle0(engine_handle: HANDLE, enum_handle: HANDLE);
            fn FwpmTransactionAbort0(engine_handle: HANDLE);
            fn FwpmTransactionBegin0(engine_handle: HANDLE, flags: u32);
            fn FwpmTransactionCommit0(engine_handle: HANDLE);
            fn IPsecSaContextDeleteById0(engine_handle: HANDLE, id: u64);
            fn IPsecSaContextDestroyEnumHandle0(engine_handle: HANDLE, enum_handle: HANDLE);
            fn IPsecSaContextExpire0(engine_handle: HANDLE, id: u64);
            fn IPsecSaContextUnsubscribe0(engine_handle: HANDLE, events_handle: HANDLE);
            fn IPsecSaDestroyEnumHandle0(engine_handle: HANDLE, enum_handle: HANDLE);
        }

        $crate::export_calls! { @with_engine_handle $flavour:
            FwpmConnectionCreateEnumHandle0, FwpmConnectionDestroyEnumHandle0, FwpmConnectionEnum0,
            FwpmConnectionGetById0, FwpmConnectionGetSecurityInfo0, FwpmConnectionPolicyAdd0,
            FwpmConnectionPolicyDeleteByKey0, FwpmConnectionSetSecurityInfo0, FwpmConnectionSubscribe0,
            FwpmConnectionSubscriptionsGet0, FwpmConnectionUnsubscribe0, FwpmSystemPortsGet0,
            FwpmSystemPortsSubscribe0, FwpmSystemPortsUnsubscribe0, FwpmvSwitchEventSubscribe0,
            FwpmvSwitchEventUnsubscribe0, FwpmvSwitchEventsGetSecurityInfo0, FwpmvSwitchEventsSetSecurityInfo0,
            IPsecDospGetSecurityInfo0, IPsecDospGetStatistics0, IPsecDospSetSecurityInfo0,
            IPsecDospStateCreateEnumHandle0, IPsecDospStateDestroyEnumHandle0, IPsecDospStateEnum0,
            IPsecKeyManagerAddAndRegister0, IPsecKeyManagerGetSecurityInfoByKey0,
            IPsecKeyManagerSetSecurityInfoByKey0, IPsecKeyManagerUnregisterAndDelete0, IPsecKeyManagersGet0,
            IkeextGetStatistics0, IkeextGetStatistics1, IkeextSaCreateEnumHandle0, IkeextSaDbGetSecurityInfo0,
            IkeextSaDbSetSecurityInfo0, IkeextSaDeleteById0, IkeextSaDestroyEnumHandle0, IkeextSaEnum0,
            IkeextSaEnum1, IkeextSaEnum2, IkeextSaGetById0, IkeextSaGetById1, IkeextSaGetById2,
        }

        $crate::export_calls! { @without_engine_handle $flavour:
            FwpmDynamicKeywordSubscribe0, FwpmDynamicKeywordUnsubscribe0,
        }

        $crate::export_calls! { @guids
            FWPM_LAYER_INBOUND_IPPACKET_V4, FWPM_LAYER_INBOUND_IPPACKET_V4_DISCARD,
            FWPM_LAYER_INBOUND_IPPACKET_V6, FWPM_LAYER_INBOUND_IPPACKET_V6_DISCARD,
            FWPM_LAYER_OUTBOUND_IPPACKET_V4, FWPM_LAYER_OUTBOUND_IPPACKET_V4_DISCARD,
            FWPM_LAYER_OUTBOUND_IPPACKET_V6, FWPM_LAYER_OUTBOUND_IPPACKET_V6_DISCARD,
            FWPM_LAYER_IPFORWARD_V4, FWPM_LAYER_IPFORWARD_V4_DISCARD, FWPM_LAYER_IPFORWARD_V6,
            FWPM_LAYER_IPFORWARD_V6_DISCARD, FWPM_LAYER_INBOUND_TRANSPORT_V4,
            FWPM_LAYER_INBOUND_TRANSPORT_V4_DISCARD, FWPM_LAYER_INBOUND_TRANSPORT_V6,
            FWPM_LAYER_INBOUND_TRANSPORT_V6_DISCARD, FWPM_LAYER_OUTBOUND_TRANSPORT_V4,
            FWPM_LAYER_OUTBOUND_TRANSPORT_V4_DISCARD, FWPM_LAYER_OUTBOUND_TRANSPORT_V6,
            FWPM_LAYER_OUTBOUND_TRANSPORT_V6_DISCARD, FWPM_LAYER_STREAM_V4, FWPM_LAYER_STREAM_V4_DISCARD,
            FWPM_LAYER_STREAM_V6, FWPM_LAYER_STREAM_V6_DISCARD, FWPM_LAYER_DATAGRAM_DATA_V4,
            FWPM_LAYER_DATAGRAM_DATA_V4_DISCARD, FWPM_LAYER_DATAGRAM_DATA_V6,
            FWPM_LAYER_DATAGRAM_DATA_V6_DISCARD, FWPM_LAYER_INBOUND_ICMP_ERROR_V4,
            FWPM_LAYER_INBOUND_ICMP_ERROR_V4_DISCARD, FWPM_LAYER_INBOUND_ICMP_ERROR_V6,
            FWPM_LAYER_INBOUND_ICMP_ERROR_V6_DISCARD, FWPM_LAYER_OUTBOUND_ICMP_ERROR_V4,
            FWPM_LAYER_OUTBOUND_ICMP_ERROR_V4_DISCARD, FWPM_LAYER_OUTBOUND_ICMP_ERROR_V6,
            FWPM_LAYER_OUTBOUND_ICMP_ERROR_V6_DISCARD, FWPM_LAYER_ALE_RESOURCE_ASSIGNMENT_V4,
            FWPM_LAYER_ALE_RESOURCE_ASSIGNMENT_V4_DISCARD, FWPM_LAYER_ALE_RESOURCE_ASSIGNMENT_V6,
            FWPM_LAYER_ALE_RESOURCE_ASSIGNMENT_V6_DISCARD, FWPM_LAYER_ALE_AUTH_LISTEN_V4,
            FWPM_LAYER_ALE_AUTH_LISTEN_V4_DISCARD, FWPM_LAYER_ALE_AUTH_LISTEN_V6,
            FWPM_LAYER_ALE_AUTH_LISTEN_V6_DISCARD, FWPM_LAYER_ALE_AUTH_RECV_ACCEPT_V4,
            FWPM_LAYER_ALE_AUTH_RECV_ACCEPT_V4_DISCARD, FWPM_LAYER_ALE_AUTH_RECV_ACCEPT_V6,
            FWPM_LAYER_ALE_AUTH_RECV_ACCEPT_V6_DISCARD, FWPM_LAYER_ALE_AUTH_CONNECT_V4,
            FWPM_LAYER_ALE_AUTH_CONNECT_V4_DISCARD, FWPM_LAYER_ALE_AUTH_CONNECT_V6,
            FWPM_LAYER_ALE_AUTH_CONNECT_V6_DISCARD, FWPM_LAYER_ALE_FLOW_ESTABLISHED_V4,
            FWPM_LAYER_ALE_FLOW_ESTABLISHED_V4_DISCARD, FWPM_LAYER_ALE_FLOW_ESTABLISHED_V6,
            FWPM_LAYER_ALE_FLOW_ESTABLISHED_V6_DISCARD, FWPM_LAYER_INBOUND_MAC_FRAME_ETHERNET,
            FWPM_LAYER_OUTBOUND_MAC_FRAME_ETHERNET, FWPM_LAYER_INBOUND_MAC_FRAME_NATIVE,
            FWPM_LAYER_OUTBOUND_MAC_FRAME_NATIVE, FWPM_LAYER_INGRESS_VSWITCH_ETHERNET,
            FWPM_LAYER_EGRESS_VSWITCH_ETHERNET, FWPM_LAYER_INGRESS_VSWITCH_TRANSPORT_V4,
            FWPM_LAYER_INGRESS_VSWITCH_TRANSPORT_V6, FWPM_LAYER_EGRESS_VSWITCH_TRANSPORT_V4,
            FWPM_LAYER_EGRESS_VSWITCH_TRANSPORT_V6, FWPM_LAYER_INBOUND_TRANSPORT_FAST,
            FWPM_LAYER_OUTBOUND_TRANSPORT_FAST, FWPM_LAYER_INBOUND_MAC_FRAME_NATIVE_FAST,
            FWPM_LAYER_OUTBOUND_MAC_FRAME_NATIVE_FAST, FWPM_LAYER_IPSEC_KM_DEMUX_V4,
            FWPM_LAYER_IPSEC_KM_DEMUX_V6, FWPM_LAYER_IPSEC_V4, FWPM_LAYER_IPSEC_V6, FWPM_LAYER_IKEEXT_V4,
            FWPM_LAYER_IKEEXT_V6, FWPM_LAYER_RPC_UM, FWPM_LAYER_RPC_EPMAP, FWPM_LAYER_RPC_EP_ADD,
            FWPM_LAYER_RPC_PROXY_CONN, FWPM_LAYER_RPC_PROXY_IF, FWPM_LAYER_KM_AUTHORIZATION,
            FWPM_LAYER_NAME_RESOLUTION_CACHE_V4, FWPM_LAYER_NAME_RESOLUTION_CACHE_V6,
            FWPM_LAYER_ALE_RESOURCE_RELEASE_V4, FWPM_LAYER_ALE_RESOURCE_RELEASE_V6,
            FWPM_LAYER_ALE_ENDPOINT_CLOSURE_V4, FWPM_LAYER_ALE_ENDPOINT_CLOSURE_V6,
            FWPM_LAYER_ALE_CONNECT_REDIRECT_V4, FWPM_LAYER_ALE_CONNECT_REDIRECT_V6,
            FWPM_LAYER_ALE_BIND_REDIRECT_V4, FWPM_LAYER_ALE_BIND_REDIRECT_V6, FWPM_LAYER_STREAM_PACKET_V4,
            FWPM_LAYER_STREAM_PACKET_V6, FWPM_LAYER_INBOUND_RESERVED2,
            FWPM_LAYER_OUTBOUND_NETWORK_CONNECTION_POLICY_V4,
            FWPM_LAYER_OUTBOUND_NETWORK_CONNECTION_POLICY_V6, FWPM_SUBLAYER_RPC_AUDIT,
            FWPM_SUBLAYER_IPSEC_TUNNEL, FWPM_SUBLAYER_UNIVERSAL, FWPM_SUBLAYER_LIPS,
            FWPM_SUBLAYER_SECURE_SOCKET, FWPM_SUBLAYER_TCP_CHIMNEY_OFFLOAD, FWPM_SUBLAYER_INSPECTION,
            FWPM_SUBLAYER_TEREDO, FWPM_SUBLAYER_IPSEC_FORWARD_OUTBOUND_TUNNEL, FWPM_SUBLAYER_IPSEC_DOSP,
            FWPM_SUBLAYER_TCP_TEMPLATES, FWPM_SUBLAYER_IPSEC_SECURITY_REALM, FWPM_SUBLAYER_MPSSVC_WSH,
            FWPM_SUBLAYER_MPSSVC_WF, FWPM_SUBLAYER_MPSSVC_QUARANTINE, FWPM_SUBLAYER_MPSSVC_EDP,
            FWPM_SUBLAYER_MPSSVC_TENANT_RESTRICTIONS, FWPM_SUBLAYER_MPSSVC_APP_ISOLATION,
            FWPM_CONDITION_INTERFACE_MAC_ADDRESS, FWPM_CONDITION_MAC_LOCAL_ADDRESS,
            FWPM_CONDITION_MAC_REMOTE_ADDRESS, FWPM_CONDITION_ETHER_TYPE, FWPM_CONDITION_VLAN_ID,
            FWPM_CONDITION_VSWITCH_TENANT_NETWORK_ID, FWPM_CONDITION_NDIS_PORT,
            FWPM_CONDITION_NDIS_MEDIA_TYPE, FWPM_CONDITION_NDIS_PHYSICAL_MEDIA_TYPE,
            FWPM_CONDITION_L2_FLAGS, FWPM_CONDITION_MAC_LOCAL_ADDRESS_TYPE,
            FWPM_CONDITION_MAC_REMOTE_ADDRESS_TYPE, FWPM_CONDITION_ALE_PACKAGE_ID,
            FWPM_CONDITION_MAC_SOURCE_ADDRESS, FWPM_CONDITION_MAC_DESTINATION_ADDRESS,
            FWPM_CONDITION_MAC_SOURCE_ADDRESS_TYPE, FWPM_CONDITION_MAC_DESTINATION_ADDRESS_TYPE,
            FWPM_CONDITION_IP_SOURCE_PORT, FWPM_CONDITION_IP_DESTINATION_PORT, FWPM_CONDITION_VSWITCH_ID,
            FWPM_CONDITION_VSWITCH_NETWORK_TYPE, FWPM_CONDITION_VSWITCH_SOURCE_INTERFACE_ID,
            FWPM_CONDITION_VSWITCH_DESTINATION_INTERFACE_ID, FWPM_CONDITION_VSWITCH_SOURCE_VM_ID,
            FWPM_CONDITION_VSWITCH_DESTINATION_VM_ID, FWPM_CONDITION_VSWITCH_SOURCE_INTERFACE_TYPE,
            FWPM_CONDITION_VSWITCH_DESTINATION_INTERFACE_TYPE,
            FWPM_CONDITION_ALE_SECURITY_ATTRIBUTE_FQBN_VALUE, FWPM_CONDITION_IPSEC_SECURITY_REALM_ID,
            FWPM_CONDITION_ALE_EFFECTIVE_NAME, FWPM_CONDITION_IP_LOCAL_ADDRESS,
            FWPM_CONDITION_IP_REMOTE_ADDRESS, FWPM_CONDITION_IP_SOURCE_ADDRESS,
            FWPM_CONDITION_IP_DESTINATION_ADDRESS, FWPM_CONDITION_IP_LOCAL_ADDRESS_TYPE,
            FWPM_CONDITION_IP_DESTINATION_ADDRESS_TYPE, FWPM_CONDITION_IP_NEXTHOP_ADDRESS,
            FWPM_CONDITION_IP_LOCAL_INTERFACE, FWPM_CONDITION_IP_ARRIVAL_INTERFACE,
            FWPM_CONDITION_ARRIVAL_INTERFACE_TYPE, FWPM_CONDITION_ARRIVAL_TUNNEL_TYPE,
            FWPM_CONDITION_ARRIVAL_INTERFACE_INDEX, FWPM_CONDITION_NEXTHOP_SUB_INTERFACE_INDEX,
            FWPM_CONDITION_IP_NEXTHOP_INTERFACE, FWPM_CONDITION_NEXTHOP_INTERFACE_TYPE,
            FWPM_CONDITION_NEXTHOP_TUNNEL_TYPE, FWPM_CONDITION_NEXTHOP_INTERFACE_INDEX,
            FWPM_CONDITION_ORIGINAL_PROFILE_ID, FWPM_CONDITION_CURRENT_PROFILE_ID,
            FWPM_CONDITION_LOCAL_INTERFACE_PROFILE_ID, FWPM_CONDITION_ARRIVAL_INTERFACE_PROFILE_ID,
            FWPM_CONDITION_NEXTHOP_INTERFACE_PROFILE_ID, FWPM_CONDITION_REAUTHORIZE_REASON,
            FWPM_CONDITION_ORIGINAL_ICMP_TYPE, FWPM_CONDITION_IP_PHYSICAL_ARRIVAL_INTERFACE,
            FWPM_CONDITION_IP_PHYSICAL_NEXTHOP_INTERFACE, FWPM_CONDITION_INTERFACE_QUARANTINE_EPOCH,
            FWPM_CONDITION_INTERFACE_TYPE, FWPM_CONDITION_TUNNEL_TYPE, FWPM_CONDITION_IP_FORWARD_INTERFACE,
            FWPM_CONDITION_IP_PROTOCOL, FWPM_CONDITION_IP_LOCAL_PORT, FWPM_CONDITION_IP_REMOTE_PORT,
            FWPM_CONDITION_EMBEDDED_LOCAL_ADDRESS_TYPE, FWPM_CONDITION_EMBEDDED_REMOTE_ADDRESS,
            FWPM_CONDITION_EMBEDDED_PROTOCOL, FWPM_CONDITION_EMBEDDED_LOCAL_PORT,
            FWPM_CONDITION_EMBEDDED_REMOTE_PORT, FWPM_CONDITION_FLAGS, FWPM_CONDITION_DIRECTION,
            FWPM_CONDITION_INTERFACE_INDEX, FWPM_CONDITION_SUB_INTERFACE_INDEX,
            FWPM_CONDITION_SOURCE_INTERFACE_INDEX, FWPM_CONDITION_SOURCE_SUB_INTERFACE_INDEX,
            FWPM_CONDITION_DESTINATION_INTERFACE_INDEX, FWPM_CONDITION_DESTINATION_SUB_INTERFACE_INDEX,
            FWPM_CONDITION_ALE_APP_ID, FWPM_CONDITION_ALE_ORIGINAL_APP_ID, FWPM_CONDITION_ALE_USER_ID,
            FWPM_CONDITION_ALE_REMOTE_USER_ID, FWPM_CONDITION_ALE_REMOTE_MACHINE_ID,
            FWPM_CONDITION_ALE_PROMISCUOUS_MODE, FWPM_CONDITION_ALE_SIO_FIREWALL_SYSTEM_PORT,
            FWPM_CONDITION_ALE_REAUTH_REASON, FWPM_CONDITION_ALE_NAP_CONTEXT,
            FWPM_CONDITION_KM_AUTH_NAP_CONTEXT, FWPM_CONDITION_REMOTE_USER_TOKEN,
            FWPM_CONDITION_RPC_IF_UUID, FWPM_CONDITION_RPC_IF_VERSION, FWPM_CONDITION_RPC_IF_FLAG,
            FWPM_CONDITION_DCOM_APP_ID, FWPM_CONDITION_IMAGE_NAME, FWPM_CONDITION_RPC_PROTOCOL,
            FWPM_CONDITION_RPC_AUTH_TYPE, FWPM_CONDITION_RPC_AUTH_LEVEL,
            FWPM_CONDITION_SEC_ENCRYPT_ALGORITHM, FWPM_CONDITION_SEC_KEY_SIZE,
            FWPM_CONDITION_IP_LOCAL_ADDRESS_V4, FWPM_CONDITION_IP_LOCAL_ADDRESS_V6, FWPM_CONDITION_PIPE,
            FWPM_CONDITION_IP_REMOTE_ADDRESS_V4, FWPM_CONDITION_IP_REMOTE_ADDRESS_V6,
            FWPM_CONDITION_PROCESS_WITH_RPC_IF_UUID, FWPM_CONDITION_RPC_EP_VALUE,
            FWPM_CONDITION_RPC_EP_FLAGS, FWPM_CONDITION_CLIENT_TOKEN, FWPM_CONDITION_RPC_SERVER_NAME,
            FWPM_CONDITION_RPC_SERVER_PORT, FWPM_CONDITION_RPC_PROXY_AUTH_TYPE,
            FWPM_CONDITION_CLIENT_CERT_KEY_LENGTH, FWPM_CONDITION_CLIENT_CERT_OID,
            FWPM_CONDITION_NET_EVENT_TYPE, FWPM_CONDITION_PEER_NAME, FWPM_CONDITION_REMOTE_ID,
            FWPM_CONDITION_AUTHENTICATION_TYPE, FWPM_CONDITION_KM_TYPE, FWPM_CONDITION_KM_MODE,
            FWPM_CONDITION_IPSEC_POLICY_KEY, FWPM_CONDITION_QM_MODE, FWPM_CONDITION_COMPARTMENT_ID,
            FWPM_CONDITION_RESERVED0, FWPM_CONDITION_RESERVED1, FWPM_CONDITION_RESERVED2,
            FWPM_CONDITION_RESERVED3, FWPM_CONDITION_RESERVED4, FWPM_CONDITION_RESERVED5,
            FWPM_CONDITION_RESERVED6, FWPM_CONDITION_RESERVED7, FWPM_CONDITION_RESERVED8,
            FWPM_CONDITION_RESERVED9, FWPM_CONDITION_RESERVED10, FWPM_CONDITION_RESERVED11,
            FWPM_CONDITION_RESERVED12, FWPM_CONDITION_RESERVED13, FWPM_CONDITION_RESERVED14,
            FWPM_CONDITION_RESERVED15, FWPM_PROVIDER_IKEEXT, FWPM_PROVIDER_IPSEC_DOSP_CONFIG,
            FWPM_PROVIDER_TCP_CHIMNEY_OFFLOAD, FWPM_PROVIDER_TCP_TEMPLATES, FWPM_PROVIDER_MPSSVC_WSH,
            FWPM_PROVIDER_MPSSVC_WF, FWPM_PROVIDER_MPSSVC_EDP, FWPM_PROVIDER_MPSSVC_TENANT_RESTRICTIONS,
            FWPM_PROVIDER_MPSSVC_APP_ISOLATION, FWPM_CALLOUT_IPSEC_INBOUND_TRANSPORT_V4,
            FWPM_CALLOUT_IPSEC_INBOUND_TRANSPORT_V6, FWPM_CALLOUT_IPSEC_OUTBOUND_TRANSPORT_V4,
            FWPM_CALLOUT_IPSEC_OUTBOUND_TRANSPORT_V6, FWPM_CALLOUT_IPSEC_INBOUND_TUNNEL_V4,
            FWPM_CALLOUT_IPSEC_INBOUND_TUNNEL_V6, FWPM_CALLOUT_IPSEC_OUTBOUND_TUNNEL_V4,
            FWPM_CALLOUT_IPSEC_OUTBOUND_TUNNEL_V6, FWPM_CALLOUT_IPSEC_FORWARD_INBOUND_TUNNEL_V4,
            FWPM_CALLOUT_IPSEC_FORWARD_INBOUND_TUNNEL_V6, FWPM_CALLOUT_IPSEC_FORWARD_OUTBOUND_TUNNEL_V4,
            FWPM_CALLOUT_IPSEC_FORWARD_OUTBOUND_TUNNEL_V6, FWPM_CALLOUT_IPSEC_INBOUND_INITIATE_SECURE_V4,
            FWPM_CALLOUT_IPSEC_INBOUND_INITIATE_SECURE_V6, FWPM_CALLOUT_IPSEC_INBOUND_TUNNEL_ALE_ACCEPT_V4,
            FWPM_CALLOUT_IPSEC_INBOUND_TUNNEL_ALE_ACCEPT_V6, FWPM_CALLOUT_IPSEC_ALE_CONNECT_V4,
            FWPM_CALLOUT_IPSEC_ALE_CONNECT_V6, FWPM_CALLOUT_IPSEC_DOSP_FORWARD_V6,
            FWPM_CALLOUT_IPSEC_DOSP_FORWARD_V4, FWPM_CALLOUT_WFP_TRANSPORT_LAYER_V4_SILENT_DROP,
            FWPM_CALLOUT_WFP_TRANSPORT_LAYER_V6_SILENT_DROP, FWPM_CALLOUT_TCP_CHIMNEY_CONNECT_LAYER_V4,
            FWPM_CALLOUT_TCP_CHIMNEY_CONNECT_LAYER_V6, FWPM_CALLOUT_TCP_CHIMNEY_ACCEPT_LAYER_V4,
            FWPM_CALLOUT_TCP_CHIMNEY_ACCEPT_LAYER_V6, FWPM_CALLOUT_SET_OPTIONS_AUTH_CONNECT_LAYER_V4,
            FWPM_CALLOUT_SET_OPTIONS_AUTH_CONNECT_LAYER_V6,
            FWPM_CALLOUT_SET_OPTIONS_AUTH_RECV_ACCEPT_LAYER_V4,
            FWPM_CALLOUT_SET_OPTIONS_AUTH_RECV_ACCEPT_LAYER_V6,
            FWPM_CALLOUT_RESERVED_AUTH_CONNECT_LAYER_V4, FWPM_CALLOUT_RESERVED_AUTH_CONNECT_LAYER_V6,
            FWPM_CALLOUT_TEREDO_ALE_RESOURCE_ASSIGNMENT_V6,
            FWPM_CALLOUT_EDGE_TRAVERSAL_ALE_RESOURCE_ASSIGNMENT_V4, FWPM_CALLOUT_TEREDO_ALE_LISTEN_V6,
            FWPM_CALLOUT_EDGE_TRAVERSAL_ALE_LISTEN_V4, FWPM_CALLOUT_TCP_TEMPLATES_CONNECT_LAYER_V4,
            FWPM_CALLOUT_TCP_TEMPLATES_CONNECT_LAYER_V6, FWPM_CALLOUT_TCP_TEMPLATES_ACCEPT_LAYER_V4,
            FWPM_CALLOUT_TCP_TEMPLATES_ACCEPT_LAYER_V6,
            FWPM_CALLOUT_POLICY_SILENT_MODE_AUTH_CONNECT_LAYER_V4,
            FWPM_CALLOUT_POLICY_SILENT_MODE_AUTH_CONNECT_LAYER_V6,
            FWPM_CALLOUT_POLICY_SILENT_MODE_AUTH_RECV_ACCEPT_LAYER_V4,
            FWPM_CALLOUT_POLICY_SILENT_MODE_AUTH_RECV_ACCEPT_LAYER_V6,
            FWPM_CALLOUT_HTTP_TEMPLATE_SSL_HANDSHAKE,
            FWPM_CALLOUT_OUTBOUND_NETWORK_CONNECTION_POLICY_LAYER_V4,
            FWPM_CALLOUT_OUTBOUND_NETWORK_CONNECTION_POLICY_LAYER_V6, FWPM_CALLOUT_BUILT_IN_RESERVED_1,
            FWPM_CALLOUT_BUILT_IN_RESERVED_2, FWPM_CALLOUT_BUILT_IN_RESERVED_3,
            FWPM_CALLOUT_BUILT_IN_RESERVED_4, FWPM_PROVIDER_CONTEXT_SECURE_SOCKET_AUTHIP,
            FWPM_PROVIDER_CONTEXT_SECURE_SOCKET_IPSEC, FWPM_KEYING_MODULE_IKE, FWPM_KEYING_MODULE_AUTHIP,
            FWPM_KEYING_MODULE_IKEV2,
        }

        /// A GUID that `windows-sys` lacks.
        #[unsafe(no_mangle)]
        pub static FWPM_CONDITION_ALE_PACKAGE_FAMILY_NAME: GUID =
            GUID { data1: 0x81bc_78fb, data2: 0xf28d, data3: 0x4886, data4: [0xa6, 0x04, 0x6a, 0xcc, 0x26, 0x1f, 0x26, 0x1b] };

        /// A GUID that `windows-sys` lacks.
        #[unsafe(no_mangle)]
        pub static FWPM_CONDITION_RPC_OPNUM: GUID =
            GUID { data1: 0xd58e_fb76, data2: 0xaab7, data3: 0x4148, data4: [0xa8, 0x7e, 0x95, 0x81, 0x13, 0x41, 0x29, 0xb9] };

        /// Frees memory that a call returned, wipes its keys and sets the caller's pointer to null.
        ///
        /// # Safety
        /// The rules of [`free`]($crate::free) apply.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn FwpmFreeMemory0(p: *mut *mut c_void) {
            // SAFETY: the caller upholds the safety contract.
            unsafe { $crate::free(p) };
        }

        /// Returns the text of the calling thread's last error, in UTF-8.
        #[unsafe(no_mangle)]
        pub extern "C" fn OpenwfpLastErrorText() -> *const c_char {
            $crate::last_error_text()
        }

        /// Returns the library's version, such as `0.1.0`.
        #[unsafe(no_mangle)]
        pub extern "C" fn OpenwfpVersion() -> *const c_char {
            concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
        }
    };

    (@carried_out $flavour:ty: $(fn $name:ident($($argument:ident: $type:ty),* $(,)?);)*) => {
        $(
            #[doc = concat!("WFP: `", stringify!($name), "`.")]
            /// Runs the function of the same name in [the calls]($crate::doors).
            ///
            /// # Safety
            /// The rules of [the calls]($crate::doors) apply.
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $name($($argument: $type),*) -> u32 {
                // SAFETY: the caller upholds the safety contract.
                unsafe { $crate::doors::$name::<$flavour>($($argument),*) }
            }
        )*
    };
    (@carried_out_by_handles $flavour:ty: $(fn $name:ident($($argument:ident: $type:ty),* $(,)?);)*) => {
        $(
            #[doc = concat!("WFP: `", stringify!($name), "`.")]
            #[unsafe(no_mangle)]
            pub extern "C" fn $name($($argument: $type),*) -> u32 {
                $crate::doors::$name::<$flavour>($($argument),*)
            }
        )*
    };
    (@with_engine_handle $flavour:ty: $($name:ident),* $(,)?) => {
        $(
            #[doc = concat!("WFP: `", stringify!($name), "`, which is not implemented. Arguments after the handle are ignored.")]
            #[unsafe(no_mangle)]
            pub extern "C" fn $name(engine_handle: HANDLE) -> u32 {
                $crate::doors::not_implemented::<$flavour>(engine_handle)
            }
        )*
    };
    (@without_engine_handle $flavour:ty: $($name:ident),* $(,)?) => {
        $(
            #[doc = concat!("WFP: `", stringify!($name), "`, which is not implemented. Arguments are ignored.")]
            #[unsafe(no_mangle)]
            pub extern "C" fn $name() -> u32 {
                $crate::doors::not_implemented_at_all::<$flavour>()
            }
        )*
    };
    (@guids $($name:ident),* $(,)?) => {
        $(
            #[doc = concat!("The GUID of that name, from `windows-sys`.")]
            #[unsafe(no_mangle)]
            pub static $name: GUID = $crate::abi::$name;
        )*
    };
}

/// Exports the undocumented calls of `libfwpuclnt`, which exist only in user mode. None is implemented.
#[macro_export]
macro_rules! export_undocumented_calls {
    ($flavour:ty) => {
        $crate::export_calls! { @with_engine_handle $flavour:
            FwpsAleEndpointCreateEnumHandle0, FwpsAleEndpointDestroyEnumHandle0, FwpsAleEndpointEnum0,
            FwpsAleEndpointGetById0, FwpsAleEndpointGetSecurityInfo0, FwpsAleEndpointSetSecurityInfo0,
            FwpsAleExplicitCredentialsQuery0, FwpsOpenToken0,
        }

        $crate::export_calls! { @without_engine_handle $flavour:
            FwpiExpandCriteria0, FwpiFreeCriteria0, FwpiVpnTriggerAddAppSids, FwpiVpnTriggerAddFilePaths,
            FwpiVpnTriggerAddSecurityDescriptor, FwpiVpnTriggerConfigureParameters,
            FwpiVpnTriggerEventSubscribe0, FwpiVpnTriggerEventUnsubscribe0,
            FwpiVpnTriggerInitializeNrptTriggering, FwpiVpnTriggerRemoveAppSids,
            FwpiVpnTriggerRemoveFilePaths, FwpiVpnTriggerRemoveSecurityDescriptor,
            FwpiVpnTriggerResetNrptTriggering, FwpiVpnTriggerSetStateDisconnected,
            FwpiVpnTriggerUninitializeNrptTriggering, FwpmDiagnoseNetFailure0, FwpmEventProviderCreate0,
            FwpmEventProviderDestroy0, FwpmEventProviderFireNetEvent0, FwpmEventProviderFireNetEventEx0,
            FwpmEventProviderIsNetEventTypeEnabled0, FwpmGetSidFromOnlineId0,
            FwpmIPsecS2STunnelAddConditions0, FwpmIPsecS2STunnelAddInterfaceToCompartment0,
            FwpmIPsecS2STunnelGetInterfaceForCompartment0, FwpmIPsecS2STunnelRemoveConditions0,
            FwpmIPsecS2STunnelRemoveInterfaceFromCompartment0, FwpmIPsecTunnelAddConditions0,
            FwpmNetEventCreateEnumHandleEx, FwpmNetEventsLost0, FwpmProcessNameResolutionEvent0,
            FwpmTraceRestoreDefaults0, FwppConnectionGetByIPsecInfo, FwppConnectionGetByS2STunnelId,
            FwppConnectionGetS2STunnelId, FwppGetMD5HashBytes, FwppIPsecSaContextCreate,
            FwpsAleGetPortStatus0, FwpsClassifyUser0, FwpsFreeMemory0, FwpsGetInProcReplicaOffset0,
            FwpsLayerCreateInProcReplica0, FwpsLayerReleaseInProcReplica0, FwpsQueryIPsecDosFWUsed0,
            FwpsQueryIPsecOffloadDone0, GetUnifiedTraceHandle, IPsecGetKeyFromDictator0,
            IPsecKeyDictationCheck0, IPsecKeyModuleAdd0, IPsecKeyModuleDelete0,
            IPsecKeyModuleUpdateAcquire0, IPsecKeyNotification0,
            IPsecSaContextAddInboundAndTrackConnection, IPsecSaContextAddOutboundAndTrackConnection,
            IPsecSaInitiateAsync0, IkeextGetConfigParameters0,
            IkeextSaUpdateAdditionalAddressesByTunnelId0, IkeextSaUpdatePreferredAddressesByTunnelId0,
            IkeextSetConfigParameters0, NamespaceCallout, WFPRIODequeueCompletion,
            WfpCloseDPConfigureHandle, WfpConfigureDPSecurityDescriptor, WfpCreateDPConfigureHandle,
            WfpRIOChannelClose, WfpRIOCleanupRequestQueue, WfpRIOCloseCompletionQueue, WfpRIOCreateChannel,
            WfpRIOCreateCompletionQueue, WfpRIOCreateRequestQueue, WfpRIODeregisterBuffer,
            WfpRIOIndicateActivityThreshold, WfpRIONotify, WfpRIOReceive, WfpRIORegisterBuffer,
            WfpRIOResume, WfpRIOSend, WfpRIOSuspend,
        }

        $crate::export_undocumented_calls! { @sockets
            WSADeleteSocketPeerTargetName, WSAImpersonateSocketPeer, WSAQuerySocketSecurity,
            WSARevertImpersonation, WSASetSocketPeerTargetName, WSASetSocketSecurity,
        }
    };
    (@sockets $($name:ident),* $(,)?) => {
        $(
            #[doc = concat!("Windows' `", stringify!($name), "`, which is not implemented; returns `SOCKET_ERROR`.")]
            #[unsafe(no_mangle)]
            pub extern "C" fn $name() -> i32 {
                -1
            }
        )*
    };
}
