//! The table itself. Numbers and names are those of `winerror.h` and `ntstatus.h`; the sentences are ours.

use super::Code;
use super::CodeEntry;
use super::CodeFamily;

macro_rules! codes {
    ($($family:ident $name:ident = $value:literal $(, $ntname:ident = $ntvalue:literal)?; $meaning:literal $cause:literal)*) => {
        impl Code {
            $(#[doc = $meaning] pub const $name: Code = Code($value);)*
        }

        pub(super) const ENTRIES: &[CodeEntry] = &[$(CodeEntry {
            code: Code($value),
            name: stringify!($name),
            family: CodeFamily::$family,
            ntstatus: codes!(@value $($ntvalue)?),
            ntstatus_name: codes!(@name $($ntname)?),
            meaning: $meaning,
            cause: $cause,
        }),*];
    };
    (@value) => { None };
    (@value $value:literal) => { Some($value) };
    (@name) => { None };
    (@name $name:ident) => { Some(stringify!($name)) };
}

codes! {
    Win32 ERROR_SUCCESS = 0x0000_0000, STATUS_SUCCESS = 0x0000_0000;
        "The call succeeded."
        "Nothing is wrong."
    Win32 ERROR_ACCESS_DENIED = 0x0000_0005, STATUS_ACCESS_DENIED = 0xC000_0022;
        "The caller lacks a right that the call needs."
        "Run as root or as the engine's owner, or have the right granted; the kernel's SAs require CAP_NET_ADMIN."
    Win32 ERROR_INVALID_HANDLE = 0x0000_0006, STATUS_INVALID_HANDLE = 0xC000_0008;
        "The handle was never opened, or is already closed."
        "Use a handle only after it is opened and before it is closed, in the process that opened it."
    Win32 ERROR_NOT_ENOUGH_MEMORY = 0x0000_0008, STATUS_NO_MEMORY = 0xC000_0017;
        "There is not enough memory for the call."
        "Ask for smaller pages, or close enumerators that are no longer used."
    Win32 ERROR_NOT_SUPPORTED = 0x0000_0032, STATUS_NOT_SUPPORTED = 0xC000_00BB;
        "The request is not supported."
        "The engine or the operating system does not support this; the error's text names it."
    Win32 ERROR_INVALID_PARAMETER = 0x0000_0057, STATUS_INVALID_PARAMETER = 0xC000_000D;
        "An argument is not valid."
        "The error's text names the argument and the rule that it broke."
    Win32 ERROR_CALL_NOT_IMPLEMENTED = 0x0000_0078, STATUS_NOT_IMPLEMENTED = 0xC000_0002;
        "The function exists so that programs link, and does nothing."
        "See the table of calls in docs/c-abi.md."
    Win32 ERROR_INTERNAL_ERROR = 0x0000_054F, STATUS_INTERNAL_ERROR = 0xC000_00E5;
        "The engine failed internally."
        "If the error's text names the store, check its disk; otherwise report the text as a defect of the engine."
    Win32 RPC_S_INVALID_BOUND = 0x0000_06C6, RPC_NT_INVALID_BOUND = 0xC002_0023;
        "A list or a text is longer than it may be."
        "The error's text names the field and its limit. Send less at a time."
    Wfp FWP_E_CALLOUT_NOT_FOUND = 0x8032_0001, STATUS_FWP_CALLOUT_NOT_FOUND = 0xC022_0001;
        "The callout does not exist."
        "The callout's key or id is wrong, or it was deleted or never added; add the callout first."
    Wfp FWP_E_CONDITION_NOT_FOUND = 0x8032_0002, STATUS_FWP_CONDITION_NOT_FOUND = 0xC022_0002;
        "The filter condition names a field that the layer does not have."
        "The condition's fieldKey belongs to another layer; look up the layer's fields."
    Wfp FWP_E_FILTER_NOT_FOUND = 0x8032_0003, STATUS_FWP_FILTER_NOT_FOUND = 0xC022_0003;
        "The filter does not exist."
        "The filter's key or id is wrong, or the filter was deleted, perhaps with the dynamic session that owned it."
    Wfp FWP_E_LAYER_NOT_FOUND = 0x8032_0004, STATUS_FWP_LAYER_NOT_FOUND = 0xC022_0004;
        "The layer does not exist."
        "The layer's key or id is wrong; layers are built in and cannot be added."
    Wfp FWP_E_PROVIDER_NOT_FOUND = 0x8032_0005, STATUS_FWP_PROVIDER_NOT_FOUND = 0xC022_0005;
        "The provider does not exist."
        "The providerKey is wrong, or the provider was not added yet; add it before the objects that refer to it."
    Wfp FWP_E_PROVIDER_CONTEXT_NOT_FOUND = 0x8032_0006, STATUS_FWP_PROVIDER_CONTEXT_NOT_FOUND = 0xC022_0006;
        "The provider context does not exist."
        "The provider context's key or id is wrong, or it was deleted."
    Wfp FWP_E_SUBLAYER_NOT_FOUND = 0x8032_0007, STATUS_FWP_SUBLAYER_NOT_FOUND = 0xC022_0007;
        "The sublayer does not exist."
        "The subLayerKey is wrong, or the sublayer was not added yet."
    Wfp FWP_E_NOT_FOUND = 0x8032_0008, STATUS_FWP_NOT_FOUND = 0xC022_0008;
        "The object does not exist."
        "The id is unknown; an SA context may have expired or been deleted since it was listed."
    Wfp FWP_E_ALREADY_EXISTS = 0x8032_0009, STATUS_FWP_ALREADY_EXISTS = 0xC022_0009;
        "An object with that key, LUID or SPI already exists."
        "The key was added before, or the SPI is in use on that address; many callers treat this as success."
    Wfp FWP_E_IN_USE = 0x8032_000A, STATUS_FWP_IN_USE = 0xC022_000A;
        "The object is referred to by another object, so it cannot be deleted."
        "Delete what refers to it first."
    Wfp FWP_E_DYNAMIC_SESSION_IN_PROGRESS = 0x8032_000B, STATUS_FWP_DYNAMIC_SESSION_IN_PROGRESS = 0xC022_000B;
        "The call is not allowed in a dynamic session."
        "SA contexts are not session objects; open a second session without FWPM_SESSION_FLAG_DYNAMIC for this call."
    Wfp FWP_E_WRONG_SESSION = 0x8032_000C, STATUS_FWP_WRONG_SESSION = 0xC022_000C;
        "The handle or object belongs to another session."
        "Use an enumerator or a subscription only in the session that created it."
    Wfp FWP_E_NO_TXN_IN_PROGRESS = 0x8032_000D, STATUS_FWP_NO_TXN_IN_PROGRESS = 0xC022_000D;
        "There is no transaction to commit or abort."
        "The session has not begun one, or has ended it already."
    Wfp FWP_E_TXN_IN_PROGRESS = 0x8032_000E, STATUS_FWP_TXN_IN_PROGRESS = 0xC022_000E;
        "The call is not allowed inside an explicit transaction."
        "A session has at most one transaction, and calls that create or delete SA contexts, subscribe, or use options or access lists cannot run in it; commit or abort it first."
    Wfp FWP_E_TXN_ABORTED = 0x8032_000F, STATUS_FWP_TXN_ABORTED = 0xC022_000F;
        "The transaction was aborted by the engine."
        "It was open too long; begin a new one and keep it short."
    Wfp FWP_E_SESSION_ABORTED = 0x8032_0010, STATUS_FWP_SESSION_ABORTED = 0xC022_0010;
        "The session was ended by the engine."
        "The engine stopped or restarted, or an administrator ended the session; close the handle and open a new one."
    Wfp FWP_E_INCOMPATIBLE_TXN = 0x8032_0011, STATUS_FWP_INCOMPATIBLE_TXN = 0xC022_0011;
        "The call writes, and the transaction is read-only."
        "Begin a read/write transaction for it."
    Wfp FWP_E_TIMEOUT = 0x8032_0012, STATUS_FWP_TIMEOUT = 0xC022_0012;
        "The call waited too long for the engine's transaction lock."
        "Another session holds a read/write transaction; try again, or open the session with a longer txnWaitTimeoutInMSec."
    Wfp FWP_E_NET_EVENTS_DISABLED = 0x8032_0013, STATUS_FWP_NET_EVENTS_DISABLED = 0xC022_0013;
        "The collection of net events is off."
        "Switch it on with the engine option FWPM_ENGINE_COLLECT_NET_EVENTS."
    Wfp FWP_E_INCOMPATIBLE_LAYER = 0x8032_0014, STATUS_FWP_INCOMPATIBLE_LAYER = 0xC022_0014;
        "The call or callout does not work at this layer."
        "Check which layers the call or callout supports."
    Wfp FWP_E_KM_CLIENTS_ONLY = 0x8032_0015, STATUS_FWP_KM_CLIENTS_ONLY = 0xC022_0015;
        "The call is for kernel-mode callers only."
        "A user-mode program cannot make it."
    Wfp FWP_E_LIFETIME_MISMATCH = 0x8032_0016, STATUS_FWP_LIFETIME_MISMATCH = 0xC022_0016;
        "An object cannot refer to an object with a shorter lifetime."
        "A persistent object cannot refer to a static one, nor a static one to a dynamic one; add both with the same lifetime."
    Wfp FWP_E_BUILTIN_OBJECT = 0x8032_0017, STATUS_FWP_BUILTIN_OBJECT = 0xC022_0017;
        "The object is built in and cannot be changed or deleted."
        "Built-in layers, sublayers, callouts and providers are fixed."
    Wfp FWP_E_TOO_MANY_CALLOUTS = 0x8032_0018, STATUS_FWP_TOO_MANY_CALLOUTS = 0xC022_0018;
        "The limit of callouts is reached."
        "Delete callouts that are no longer used."
    Wfp FWP_E_NOTIFICATION_DROPPED = 0x8032_0019, STATUS_FWP_NOTIFICATION_DROPPED = 0xC022_0019;
        "A notification was dropped because its receiver fell behind."
        "List again from the version that the notice names, and read notifications faster."
    Wfp FWP_E_TRAFFIC_MISMATCH = 0x8032_001A, STATUS_FWP_TRAFFIC_MISMATCH = 0xC022_001A;
        "The traffic differs from that of the SA context."
        "Addresses, IP version and traffic type must be the same in every call for one SA context, and both addresses must have the same IP version."
    Wfp FWP_E_INCOMPATIBLE_SA_STATE = 0x8032_001B, STATUS_FWP_INCOMPATIBLE_SA_STATE = 0xC022_001B;
        "The call does not fit the SA context's state."
        "The order is create, get or set the SPI, add inbound, add outbound; then update, expire or delete."
    Wfp FWP_E_NULL_POINTER = 0x8032_001C, STATUS_FWP_NULL_POINTER = 0xC022_001C;
        "A required pointer is null."
        "Pass an address for every argument that is not documented as optional."
    Wfp FWP_E_INVALID_ENUMERATOR = 0x8032_001D, STATUS_FWP_INVALID_ENUMERATOR = 0xC022_001D;
        "A field holds a value that its enumeration does not define."
        "Zero-initialise the structure and set each field to a documented value."
    Wfp FWP_E_INVALID_FLAGS = 0x8032_001E, STATUS_FWP_INVALID_FLAGS = 0xC022_001E;
        "Unknown bits are set in a flags field."
        "Set documented flags only."
    Wfp FWP_E_INVALID_NET_MASK = 0x8032_001F, STATUS_FWP_INVALID_NET_MASK = 0xC022_001F;
        "The network mask is not a run of ones followed by zeros."
        "Use a mask such as 255.255.255.0, or a prefix length of at most 32 or 128."
    Wfp FWP_E_INVALID_RANGE = 0x8032_0020, STATUS_FWP_INVALID_RANGE = 0xC022_0020;
        "The range is not valid."
        "Its low value is above its high value, or the two differ in type."
    Wfp FWP_E_INVALID_INTERVAL = 0x8032_0021, STATUS_FWP_INVALID_INTERVAL = 0xC022_0021;
        "The time interval is not valid."
        "Its end lies before its start."
    Wfp FWP_E_ZERO_LENGTH_ARRAY = 0x8032_0022, STATUS_FWP_ZERO_LENGTH_ARRAY = 0xC022_0022;
        "An array that must have elements is empty."
        "A bundle needs at least one SA; set the array and its count."
    Wfp FWP_E_NULL_DISPLAY_NAME = 0x8032_0023, STATUS_FWP_NULL_DISPLAY_NAME = 0xC022_0023;
        "The object's displayData.name is null."
        "Give the object a name."
    Wfp FWP_E_INVALID_ACTION_TYPE = 0x8032_0024, STATUS_FWP_INVALID_ACTION_TYPE = 0xC022_0024;
        "The filter's action is unknown."
        "Use permit, block or one of the callout actions."
    Wfp FWP_E_INVALID_WEIGHT = 0x8032_0025, STATUS_FWP_INVALID_WEIGHT = 0xC022_0025;
        "The filter's weight is not valid."
        "Use FWP_EMPTY, a UINT8 from 0 to 15, or a UINT64."
    Wfp FWP_E_MATCH_TYPE_MISMATCH = 0x8032_0026, STATUS_FWP_MATCH_TYPE_MISMATCH = 0xC022_0026;
        "The condition's match type does not fit its value's type."
        "Compare masks and blobs with EQUAL, ranges with RANGE, flags with the FLAGS match types."
    Wfp FWP_E_TYPE_MISMATCH = 0x8032_0027, STATUS_FWP_TYPE_MISMATCH = 0xC022_0027;
        "The value has the wrong data type."
        "Use the type that the field documents, for an address: FWP_V4_ADDR_MASK, FWP_V6_ADDR_MASK, FWP_UINT32, FWP_BYTE_ARRAY16_TYPE or FWP_RANGE_TYPE."
    Wfp FWP_E_OUT_OF_BOUNDS = 0x8032_0028, STATUS_FWP_OUT_OF_BOUNDS = 0xC022_0028;
        "A number is outside its allowed bounds."
        "A bundle holds one SA, or ESP at index 0 with AH at index 1; other fields document their limits."
    Wfp FWP_E_RESERVED = 0x8032_0029, STATUS_FWP_RESERVED = 0xC022_0029;
        "A reserved field is not zero."
        "Zero-initialise the structure."
    Wfp FWP_E_DUPLICATE_CONDITION = 0x8032_002A, STATUS_FWP_DUPLICATE_CONDITION = 0xC022_002A;
        "The filter contains the same condition twice."
        "Remove one of the two conditions."
    Wfp FWP_E_DUPLICATE_KEYMOD = 0x8032_002B, STATUS_FWP_DUPLICATE_KEYMOD = 0xC022_002B;
        "The same keying module is named twice."
        "Name each keying module once."
    Wfp FWP_E_ACTION_INCOMPATIBLE_WITH_LAYER = 0x8032_002C, STATUS_FWP_ACTION_INCOMPATIBLE_WITH_LAYER = 0xC022_002C;
        "The filter's action cannot be used at its layer."
        "Check which actions the layer allows."
    Wfp FWP_E_ACTION_INCOMPATIBLE_WITH_SUBLAYER = 0x8032_002D, STATUS_FWP_ACTION_INCOMPATIBLE_WITH_SUBLAYER = 0xC022_002D;
        "The filter's action cannot be used in its sublayer."
        "The inspection sublayer accepts only FWP_ACTION_CALLOUT_INSPECTION; use another sublayer or action."
    Wfp FWP_E_CONTEXT_INCOMPATIBLE_WITH_LAYER = 0x8032_002E, STATUS_FWP_CONTEXT_INCOMPATIBLE_WITH_LAYER = 0xC022_002E;
        "The provider context cannot be used at the filter's layer."
        "Use a raw context or a provider context only at a layer that accepts it."
    Wfp FWP_E_CONTEXT_INCOMPATIBLE_WITH_CALLOUT = 0x8032_002F, STATUS_FWP_CONTEXT_INCOMPATIBLE_WITH_CALLOUT = 0xC022_002F;
        "The provider context's type does not fit the callout."
        "Check which type of provider context the callout documents."
    Wfp FWP_E_INCOMPATIBLE_AUTH_METHOD = 0x8032_0030, STATUS_FWP_INCOMPATIBLE_AUTH_METHOD = 0xC022_0030;
        "The authentication method cannot be used with the policy."
        "Check the method against the keying module and policy type."
    Wfp FWP_E_INCOMPATIBLE_DH_GROUP = 0x8032_0031, STATUS_FWP_INCOMPATIBLE_DH_GROUP = 0xC022_0031;
        "The Diffie-Hellman group cannot be used with the policy."
        "Check the group against the keying module."
    Wfp FWP_E_EM_NOT_SUPPORTED = 0x8032_0032, STATUS_FWP_EM_NOT_SUPPORTED = 0xC022_0032;
        "The policy has an extended mode that its keying module does not support."
        "Leave the extended-mode policy out."
    Wfp FWP_E_NEVER_MATCH = 0x8032_0033, STATUS_FWP_NEVER_MATCH = 0xC022_0033;
        "The object's conditions can never all be true."
        "Two conditions exclude each other; remove one."
    Wfp FWP_E_PROVIDER_CONTEXT_MISMATCH = 0x8032_0034, STATUS_FWP_PROVIDER_CONTEXT_MISMATCH = 0xC022_0034;
        "The provider context's type is not the one the call expects."
        "Check the type of the provider context that the key or id names."
    Wfp FWP_E_INVALID_PARAMETER = 0x8032_0035, STATUS_FWP_INVALID_PARAMETER = 0xC022_0035;
        "An argument is not valid."
        "The error's text names the argument and the rule that it broke."
    Wfp FWP_E_TOO_MANY_SUBLAYERS = 0x8032_0036, STATUS_FWP_TOO_MANY_SUBLAYERS = 0xC022_0036;
        "The limit of sublayers is reached."
        "Delete sublayers that are no longer used."
    Wfp FWP_E_CALLOUT_NOTIFICATION_FAILED = 0x8032_0037, STATUS_FWP_CALLOUT_NOTIFICATION_FAILED = 0xC022_0037;
        "The callout's notification function returned an error."
        "The callout refused the filter; see its own documentation."
    Wfp FWP_E_INVALID_AUTH_TRANSFORM = 0x8032_0038, STATUS_FWP_INVALID_AUTH_TRANSFORM = 0xC022_0038;
        "The authentication transform is not valid."
        "Type, configuration and key length must fit: HMAC-MD5 16 bytes, HMAC-SHA1 20, HMAC-SHA-256 32, AES-GMAC 20, 28 or 36."
    Wfp FWP_E_INVALID_CIPHER_TRANSFORM = 0x8032_0039, STATUS_FWP_INVALID_CIPHER_TRANSFORM = 0xC022_0039;
        "The cipher transform is not valid."
        "Type, configuration and key length must fit: AES-CBC 16, 24 or 32 bytes, 3DES 24, DES 8, AES-GCM 20, 28 or 36 with its salt."
    Wfp FWP_E_INCOMPATIBLE_CIPHER_TRANSFORM = 0x8032_003A, STATUS_FWP_INCOMPATIBLE_CIPHER_TRANSFORM = 0xC022_003A;
        "The cipher transform cannot be used with the policy."
        "Check the cipher against the keying module and policy."
    Wfp FWP_E_INVALID_TRANSFORM_COMBINATION = 0x8032_003B, STATUS_FWP_INVALID_TRANSFORM_COMBINATION = 0xC022_003B;
        "The combination of transforms is not valid."
        "AES-GCM needs the AES-GCM authentication of the same key length with the same key; other ciphers need an HMAC."
    Wfp FWP_E_DUPLICATE_AUTH_METHOD = 0x8032_003C, STATUS_FWP_DUPLICATE_AUTH_METHOD = 0xC022_003C;
        "The same authentication method is named twice."
        "Name each method once."
    Wfp FWP_E_INVALID_TUNNEL_ENDPOINT = 0x8032_003D, STATUS_FWP_INVALID_TUNNEL_ENDPOINT = 0xC022_003D;
        "A tunnel endpoint is not valid."
        "Use unicast addresses of one IP version for both ends."
    Wfp FWP_E_L2_DRIVER_NOT_READY = 0x8032_003E, STATUS_FWP_L2_DRIVER_NOT_READY = 0xC022_003E;
        "The layer-2 driver is not ready yet."
        "Try again when the system has started."
    Wfp FWP_E_KEY_DICTATOR_ALREADY_REGISTERED = 0x8032_003F, STATUS_FWP_KEY_DICTATOR_ALREADY_REGISTERED = 0xC022_003F;
        "A key manager that dictates keys is registered already."
        "There is one such manager at a time; unregister the other first."
    Wfp FWP_E_KEY_DICTATION_INVALID_KEYING_MATERIAL = 0x8032_0040, STATUS_FWP_KEY_DICTATION_INVALID_KEYING_MATERIAL = 0xC022_0040;
        "The dictated keys do not fit the negotiated transforms."
        "Give keys of the lengths that the transforms need."
    Wfp FWP_E_CONNECTIONS_DISABLED = 0x8032_0041, STATUS_FWP_CONNECTIONS_DISABLED = 0xC022_0041;
        "Connection tracking is off."
        "Switch it on with the engine option FWPM_ENGINE_MONITOR_IPSEC_CONNECTIONS."
    Wfp FWP_E_INVALID_DNS_NAME = 0x8032_0042, STATUS_FWP_INVALID_DNS_NAME = 0xC022_0042;
        "The DNS name is not valid."
        "Check the name's spelling."
    Wfp FWP_E_STILL_ON = 0x8032_0043, STATUS_FWP_STILL_ON = 0xC022_0043;
        "The engine option could not be switched off because others still use it."
        "The option turns off only when its last user has switched it off."
    Wfp FWP_E_IKEEXT_NOT_RUNNING = 0x8032_0044, STATUS_FWP_IKEEXT_NOT_RUNNING = 0xC022_0044;
        "The IKE and AuthIP keying service is not running."
        "Start the keying daemon."
    Wfp FWP_E_DROP_NOICMP = 0x8032_0104, STATUS_FWP_DROP_NOICMP = 0xC022_0104;
        "The packet is to be dropped without an ICMP error."
        "Only callouts see this code; it is a verdict, not a failure."
    Rpc RPC_E_CALL_REJECTED = 0x8001_0001;
        "The engine refused the call."
        "The engine is stopping or over a limit; try again later."
    Rpc RPC_E_CALL_CANCELED = 0x8001_0002;
        "The call was cancelled."
        "The caller or its session ended while the call ran."
    Rpc RPC_E_CANTPOST_INSENDCALL = 0x8001_0003;
        "A call cannot be posted while a message is being sent."
        "Wait for the running call."
    Rpc RPC_E_CANTCALLOUT_INASYNCCALL = 0x8001_0004;
        "A call cannot be made from within an asynchronous call."
        "Make the call after the asynchronous one has ended."
    Rpc RPC_E_CANTCALLOUT_INEXTERNALCALL = 0x8001_0005;
        "A call cannot be made from within an external call."
        "Make the call after the external one has ended."
    Rpc RPC_E_CONNECTION_TERMINATED = 0x8001_0006;
        "The connection ended, and the call may or may not have run."
        "Reconnect, and check whether the change was made before you repeat the call."
    Rpc RPC_E_SERVER_DIED = 0x8001_0007;
        "The engine ended during the call, which may or may not have been carried out."
        "Reconnect, and check whether the change was made before you repeat the call."
    Rpc RPC_E_CLIENT_DIED = 0x8001_0008;
        "The client ended during its call."
        "The engine rolled its session back, so nothing is left to do."
    Rpc RPC_E_INVALID_DATAPACKET = 0x8001_0009;
        "The data received could not be decoded."
        "The two sides differ in version, something else listens at that address, or a capture's file is damaged."
    Rpc RPC_E_CANTTRANSMIT_CALL = 0x8001_000A;
        "The call could not be sent."
        "The connection's buffer is full or the network is down; try again."
    Rpc RPC_E_CLIENT_CANTMARSHAL_DATA = 0x8001_000B;
        "The client could not encode the arguments."
        "An argument is too large or malformed."
    Rpc RPC_E_CLIENT_CANTUNMARSHAL_DATA = 0x8001_000C;
        "The client could not decode the answer."
        "The two sides differ in version."
    Rpc RPC_E_SERVER_CANTMARSHAL_DATA = 0x8001_000D;
        "The engine could not encode its answer."
        "The answer is larger than a message may be; ask for smaller pages."
    Rpc RPC_E_SERVER_CANTUNMARSHAL_DATA = 0x8001_000E;
        "The engine could not decode the arguments."
        "The two sides differ in version, or the request was malformed."
    Rpc RPC_E_INVALID_DATA = 0x8001_000F;
        "The data received are not valid."
        "The two sides differ in version, or the connection was disturbed."
    Rpc RPC_E_INVALID_PARAMETER = 0x8001_0010;
        "An argument of the remote call is not valid."
        "Check the server name and the connection's options."
    Rpc RPC_E_CANTCALLOUT_AGAIN = 0x8001_0011;
        "A second call cannot be made now."
        "Wait for the running call."
    Rpc RPC_E_SERVER_DIED_DNE = 0x8001_0012;
        "The engine cannot be reached, and the call did not run."
        "No engine listens at that address, or the host is unknown; start it or correct the name."
    Rpc RPC_E_SYS_CALL_FAILED = 0x8001_0100;
        "A system call failed."
        "The error's text contains the system's message."
    Rpc RPC_E_OUT_OF_RESOURCES = 0x8001_0101;
        "A resource that the call needs is used up."
        "Close sessions, enumerators or files that are no longer used."
    Rpc RPC_E_ATTEMPTED_MULTITHREAD = 0x8001_0102;
        "Two threads made calls where one is allowed."
        "Give each thread its own session."
    Rpc RPC_E_NOT_REGISTERED = 0x8001_0103;
        "The interface is not registered."
        "The engine does not serve this interface; check its version and configuration."
    Rpc RPC_E_FAULT = 0x8001_0104;
        "The client's side of the call failed."
        "Report it with the client's log."
    Rpc RPC_E_SERVERFAULT = 0x8001_0105;
        "The engine's side of the call failed."
        "Report it with the engine's log."
    Rpc RPC_E_CHANGED_MODE = 0x8001_0106;
        "The threading mode cannot be changed after it was set."
        "Set it once, at the start."
    Rpc RPC_E_INVALIDMETHOD = 0x8001_0107;
        "The engine does not know the method."
        "The engine is older than the client; upgrade it."
    Rpc RPC_E_DISCONNECTED = 0x8001_0108;
        "The connection broke during the call."
        "The engine stopped or the network failed; reconnect, and list again what you watch."
    Rpc RPC_E_RETRY = 0x8001_0109;
        "The call did not run and may be repeated."
        "Try again."
    Rpc RPC_E_SERVERCALL_RETRYLATER = 0x8001_010A;
        "The engine is busy."
        "Try again later; a limit of the engine may be reached."
    Rpc RPC_E_SERVERCALL_REJECTED = 0x8001_010B;
        "The engine rejected the call."
        "A limit or rule of the engine forbids it; its log says which."
    Rpc RPC_E_INVALID_CALLDATA = 0x8001_010C;
        "The data of the call are not valid."
        "The two sides differ in version."
    Rpc RPC_E_CANTCALLOUT_ININPUTSYNCCALL = 0x8001_010D;
        "A call cannot be made from within a synchronous input call."
        "Make the call after the synchronous input call has ended."
    Rpc RPC_E_WRONG_THREAD = 0x8001_010E;
        "The call came from a thread that may not make it."
        "Use the thread that opened the session."
    Rpc RPC_E_THREAD_NOT_INIT = 0x8001_010F;
        "The thread was not prepared for remote calls."
        "Open the session on this thread first."
    Rpc RPC_E_VERSION_MISMATCH = 0x8001_0110;
        "The protocol versions of client and engine differ."
        "Update the older of the two."
    Rpc RPC_E_INVALID_HEADER = 0x8001_0111;
        "A message's header is not valid."
        "Something other than the engine listens at that address."
    Rpc RPC_E_INVALID_EXTENSION = 0x8001_0112;
        "A message's extension is not valid."
        "The two sides differ in version."
    Rpc RPC_E_INVALID_IPID = 0x8001_0113;
        "The interface's identifier is not valid."
        "The session is gone; open a new one."
    Rpc RPC_E_INVALID_OBJECT = 0x8001_0114;
        "The remote object does not exist."
        "The session is gone; open a new one."
    Rpc RPC_E_CALL_COMPLETE = 0x8001_0117;
        "The call has ended already."
        "Nothing is left to cancel."
    Rpc RPC_E_UNSECURE_CALL = 0x8001_0118;
        "The connection is not secure enough for the call."
        "Connect through TLS with a client certificate, or through the local socket."
    Rpc RPC_E_TOO_LATE = 0x8001_0119;
        "Security was set after the first call."
        "Set it before the session is opened."
    Rpc RPC_E_NO_GOOD_SECURITY_PACKAGES = 0x8001_011A;
        "No security package fits both sides."
        "The engine requires mutual TLS 1.3; pass a certificate and its key."
    Rpc RPC_E_ACCESS_DENIED = 0x8001_011B;
        "The peer's certificate or identity was refused."
        "Check the certificate authority, the names in the certificates and their validity."
    Rpc RPC_E_REMOTE_DISABLED = 0x8001_011C;
        "Remote calls are switched off."
        "Switch them on in the engine's configuration."
    Rpc RPC_E_INVALID_OBJREF = 0x8001_011D;
        "The reference to a remote object is not valid."
        "The session is gone; open a new one."
    Rpc RPC_E_NO_CONTEXT = 0x8001_011E;
        "There is no call context."
        "Use the call context inside a call only."
    Rpc RPC_E_TIMEOUT = 0x8001_011F;
        "The engine answered too late."
        "The engine or the network is overloaded or stuck; try again, or raise the timeout."
    Rpc RPC_E_NO_SYNC = 0x8001_0120;
        "There is nothing to wait for."
        "Wait only while a call runs."
    Rpc RPC_E_FULLSIC_REQUIRED = 0x8001_0121;
        "The call must be encrypted and its integrity protected."
        "Connect through TLS."
    Rpc RPC_E_INVALID_STD_NAME = 0x8001_0122;
        "The principal's name is malformed."
        "Check the server's principal name."
    Rpc RPC_E_UNEXPECTED = 0x8001_FFFF;
        "An internal error occurred in the remote call."
        "Report it with the engine's log."
    KernelOnly STATUS_FWP_TCPIP_NOT_READY = 0xC022_0100, STATUS_FWP_TCPIP_NOT_READY = 0xC022_0100;
        "The TCP/IP stack is not ready yet."
        "A kernel-mode caller came too early; try again when the stack has started."
    KernelOnly STATUS_FWP_INJECT_HANDLE_CLOSING = 0xC022_0101, STATUS_FWP_INJECT_HANDLE_CLOSING = 0xC022_0101;
        "The injection handle is being closed."
        "Do not inject after the handle's destruction has begun."
    KernelOnly STATUS_FWP_INJECT_HANDLE_STALE = 0xC022_0102, STATUS_FWP_INJECT_HANDLE_STALE = 0xC022_0102;
        "The injection handle is stale."
        "Create a new injection handle."
    KernelOnly STATUS_FWP_CANNOT_PEND = 0xC022_0103, STATUS_FWP_CANNOT_PEND = 0xC022_0103;
        "The classification cannot be suspended here."
        "Pend only where the layer documents it."
}
