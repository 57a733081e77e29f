//! Messages for objects, classification and net events, declared as records.
#![allow(clippy::doc_markdown, reason = "these comments are those of the .proto file, too")]

use super::Raw;
use openwfp_api::Guid;
use openwfp_api::KeyAccess;
use openwfp_api::Result;
use openwfp_api::object::Object;
use openwfp_api::object::kernel::FilterEffect;
use openwfp_api::object::kernel::KernelPolicy;
use openwfp_api::object::kernel::KernelPolicyPlace;
use openwfp_api::object::net_event::NetEvent;
use openwfp_api::object::net_event::NetEventTemplate;
use openwfp_api::object::packet::Packet;
use openwfp_api::object::step::ObjectStep;
use openwfp_api::object::template::ObjectTemplate;
use openwfp_api::protobuf::Reader;
use openwfp_api::protobuf::Writer;
use openwfp_api::record::Blob;
use openwfp_api::record::Field;
use openwfp_api::record::Record;
use openwfp_api::record::Schema;
use std::sync::Arc;

openwfp_api::records! {
    /// Adds or deletes an object.
    ObjectStepRequest {
        /// Token of the session, from SessionOpened.session.
        1 session: Blob,
        /// The change. Required.
        2 step: ObjectStep,
    }
    /// The result of a change.
    ObjectStepReply {
        /// Id of the added object. 0 if it has none.
        1 id: u64,
    }
    /// Requests one object, by its key or id.
    ObjectGetRequest {
        /// Token of the session, from SessionOpened.session.
        1 session: Blob,
        /// Kind of the object: 1 provider, 2 provider context, 3 sublayer, 4 layer, 5 callout, 6 filter.
        /// FWP_E_INVALID_ENUMERATOR for other numbers.
        2 kind: u32,
        /// Key of the object. Absent if the object is named by its id.
        3 key: Option<Guid>,
        /// Id of the object. Ignored if a key is given.
        4 id: u64,
        /// Whether to send key bytes. Has no effect unless the session has the right READ_KEYS; keys are then
        /// withheld, without an error.
        5 keys: bool,
    }
    /// Selects the objects of an enumerator.
    ObjectCreateEnumRequest {
        /// Token of the session, from SessionOpened.session.
        1 session: Blob,
        /// The objects to enumerate.
        2 template: ObjectTemplate,
    }
    /// A page of objects.
    ObjectPage {
        /// The objects.
        1 objects: Vec<Object>,
        /// Whether the enumerator may have more entries. A page may be shorter than the requested limit even if
        /// more entries follow.
        2 more: bool,
    }
    /// Evaluates the filters of a packet's layer against the packet.
    ClassifyRequest {
        /// Token of the session, from SessionOpened.session.
        1 session: Blob,
        /// The packet.
        2 packet: Packet,
    }
    /// Lists policies of the kernel, in its order.
    KernelPolicyListRequest {
        /// Token of the session, from SessionOpened.session.
        1 session: Blob,
        /// Place of the last policy of the page before. Absent: start with the first policy.
        2 after: Option<KernelPolicyPlace>,
        /// Maximum number of policies. The engine may return fewer.
        3 limit: u32,
    }
    /// A page of policies of the kernel.
    KernelPolicyPage {
        /// The policies. Only an empty page is the end.
        1 policies: Vec<KernelPolicy>,
    }
    /// Requests one policy of the kernel.
    KernelPolicyGetRequest {
        /// Token of the session, from SessionOpened.session.
        1 session: Blob,
        /// Index of the policy.
        2 index: u32,
    }
    /// One policy of the kernel.
    KernelPolicyReply {
        /// The policy.
        1 policy: KernelPolicy,
    }
    /// Reads the effects of filters.
    FilterEffectsRequest {
        /// Token of the session, from SessionOpened.session.
        1 session: Blob,
        /// Ids of the filters, at most 10,000.
        2 filters: Vec<u64>,
    }
    /// The effects of filters.
    FilterEffectsReply {
        /// The effects, in the order of the request.
        1 effects: Vec<FilterEffect>,
    }
    /// Explains what happens to a packet.
    ExplainRequest {
        /// Token of the session, from SessionOpened.session.
        1 session: Blob,
        /// The packet.
        2 packet: Packet,
    }
    /// Names an option of the engine.
    EngineOptionRequest {
        /// Token of the session, from SessionOpened.session.
        1 session: Blob,
        /// The option, an FWPM_ENGINE_OPTION. FWP_E_INVALID_ENUMERATOR for other numbers.
        2 option: u32,
        /// Value to set. Ignored by EngineOptionGet.
        3 value: u32,
    }
    /// The value of an engine option.
    EngineOptionReply {
        /// The value.
        1 value: u32,
    }
    /// Reports a net event to the engine.
    NetEventReportRequest {
        /// Token of the session, from SessionOpened.session.
        1 session: Blob,
        /// The event.
        2 event: NetEvent,
    }
    /// Selects the net events of an enumerator.
    NetEventCreateEnumRequest {
        /// Token of the session, from SessionOpened.session.
        1 session: Blob,
        /// The net events to enumerate.
        2 template: NetEventTemplate,
    }
    /// A page of net events.
    NetEventPage {
        /// The events, oldest first.
        1 events: Vec<NetEvent>,
        /// Whether the enumerator may have more entries. A page may be shorter than the requested limit even if
        /// more entries follow.
        2 more: bool,
    }
    /// Reads or replaces parts of an object's security descriptor.
    ObjectSecurityRequest {
        /// Token of the session, from SessionOpened.session.
        1 session: Blob,
        /// Kind of the object, numbered as in ObjectGetRequest.kind.
        2 kind: u32,
        /// Key of the object. Zero means all objects of the kind.
        3 key: Guid,
        /// Parts, as SECURITY_INFORMATION bits: 1 owner, 2 group, 4 access list (DACL). ERROR_NOT_SUPPORTED for
        /// 8 (SACL), FWP_E_INVALID_FLAGS for unknown bits.
        4 parts: u32,
        /// New security descriptor, in self-relative format (MS-DTYP 2.4.6). Ignored by ObjectSecurityGet.
        5 descriptor: Blob,
    }
    /// The security descriptor of an object or of a kind of objects.
    ObjectSecurityReply {
        /// Security descriptor in self-relative format (MS-DTYP 2.4.6).
        1 descriptor: Blob,
    }
    /// An object was added or deleted. WFP: `FWPM_FILTER_CHANGE0` and the corresponding structures of the
    /// other kinds.
    ObjectEvent {
        /// What happened: EVENT_KIND_ADD or EVENT_KIND_DELETE.
        1 kind: u32,
        /// Database version that contains the change.
        2 version: u64,
        /// The object as it was added or, if it was deleted, before the deletion.
        3 object: Object,
    }
}

/// The beginning of `object.proto`, before the messages.
const HEAD: &str = "// Objects of the filter engine, classification and net events. Written by the program, from the structures'
// declarations. To regenerate it: OPENWFP_WRITE_PROMISES=1 cargo test -p openwfp-rpc --test service
//
// GUIDs are 16 bytes with all fields in network byte order. Addresses are 4 or 16 bytes; an absent
// address is 0.0.0.0. A network is an address followed by one byte, its prefix length in bits.
syntax = \"proto3\";

package openwfp.v1;
";

/// Returns the text of `object.proto`.
#[doc(hidden)]
pub fn object_proto() -> String {
    let mut schema = Schema::default();
    ObjectStepRequest::describe(&mut schema);
    ObjectStepReply::describe(&mut schema);
    ObjectGetRequest::describe(&mut schema);
    ObjectCreateEnumRequest::describe(&mut schema);
    ObjectPage::describe(&mut schema);
    ClassifyRequest::describe(&mut schema);
    openwfp_api::object::packet::Verdict::describe(&mut schema);
    KernelPolicyListRequest::describe(&mut schema);
    KernelPolicyPage::describe(&mut schema);
    KernelPolicyGetRequest::describe(&mut schema);
    KernelPolicyReply::describe(&mut schema);
    FilterEffectsRequest::describe(&mut schema);
    FilterEffectsReply::describe(&mut schema);
    ExplainRequest::describe(&mut schema);
    openwfp_api::object::kernel::Explanation::describe(&mut schema);
    EngineOptionRequest::describe(&mut schema);
    EngineOptionReply::describe(&mut schema);
    NetEventReportRequest::describe(&mut schema);
    NetEventCreateEnumRequest::describe(&mut schema);
    NetEventPage::describe(&mut schema);
    ObjectSecurityRequest::describe(&mut schema);
    ObjectSecurityReply::describe(&mut schema);
    ObjectEvent::describe(&mut schema);
    format!("{HEAD}{}", schema.to_proto())
}

/// Encodes a record with its keys. Clients send their own keys, and the server's replies contain none.
pub(crate) fn encode(record: &impl Record) -> Raw {
    Raw(record.encode(Some(&KeyAccess::grant())).into())
}

/// Encodes records as a page of at most `bytes_max` bytes, but always at least one. Returns the page
/// and the number of records in it.
pub(crate) fn encode_page<R: Record + PartialEq>(
    entries: &[Arc<R>],
    bytes_max: usize,
    keys: Option<&KeyAccess>,
    more: impl FnOnce(usize) -> bool,
) -> (Raw, usize) {
    let mut writer = Writer::new(keys);
    let mut count = 0;
    for entry in entries {
        let before = writer.len();
        Field::put_always(&**entry, 1, &mut writer);
        if writer.len() > bytes_max && count > 0 {
            writer.truncate(before);
            break;
        }
        count += 1;
    }
    writer.uint(2, more(count));
    (Raw(writer.into_bytes().into()), count)
}

/// Decodes a page of records. Returns them and whether there may be more.
pub(crate) fn decode_page<R: Record + PartialEq>(bytes: &[u8]) -> Result<(Vec<Arc<R>>, bool)> {
    let (mut entries, mut more) = (Vec::new(), false);
    Reader::new(bytes).fields(|field, value| {
        match field {
            1 => entries.push(Arc::new(R::read(value.message()?)?)),
            2 => more = value.u64()? != 0,
            _ => {}
        }
        Ok(())
    })?;
    Ok((entries, more))
}
