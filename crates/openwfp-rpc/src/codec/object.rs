//! Messages of objects, classification and net events: records, like what they hold.
#![allow(clippy::doc_markdown, reason = "these comments are those of the .proto file, too")]

use super::Raw;
use openwfp_api::Guid;
use openwfp_api::KeyAccess;
use openwfp_api::Result;
use openwfp_api::object::Object;
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
    /// Changes objects.
    ObjectStepRequest {
        /// The session's token.
        1 session: Blob,
        /// The change.
        2 step: ObjectStep,
    }
    /// What a change gave.
    ObjectStepReply {
        /// The id of what was added; 0 where it has none.
        1 id: u64,
    }
    /// Names an object.
    ObjectGetRequest {
        /// The session's token.
        1 session: Blob,
        /// Its kind: 1 providers, 2 provider contexts, 3 sublayers, 4 layers, 5 callouts, 6 filters.
        2 kind: u32,
        /// Its key.
        3 key: Option<Guid>,
        /// Its id, where no key is given.
        4 id: u64,
        /// Whether keys are to be sent, to a session with the right READ_KEYS.
        5 keys: bool,
    }
    /// What an enumerator of objects shows.
    ObjectCreateEnumRequest {
        /// The session's token.
        1 session: Blob,
        /// Which objects.
        2 template: ObjectTemplate,
    }
    /// A page of objects.
    ObjectPage {
        /// The objects.
        1 objects: Vec<Object>,
        /// Whether the enumerator may have more; a page may be shorter than was asked for.
        2 more: bool,
    }
    /// Asks the filters about a packet.
    ClassifyRequest {
        /// The session's token.
        1 session: Blob,
        /// The packet.
        2 packet: Packet,
    }
    /// Names an option of the engine.
    EngineOptionRequest {
        /// The session's token.
        1 session: Blob,
        /// FWPM_ENGINE_OPTION.
        2 option: u32,
        /// The value to be set; not used to get one.
        3 value: u32,
    }
    /// The value of an option.
    EngineOptionReply {
        /// The value.
        1 value: u32,
    }
    /// Reports a net event.
    NetEventReportRequest {
        /// The session's token.
        1 session: Blob,
        /// The event.
        2 event: NetEvent,
    }
    /// What an enumerator of net events shows.
    NetEventCreateEnumRequest {
        /// The session's token.
        1 session: Blob,
        /// Which events.
        2 template: NetEventTemplate,
    }
    /// A page of net events.
    NetEventPage {
        /// The events, the oldest first.
        1 events: Vec<NetEvent>,
        /// Whether the enumerator may have more; a page may be shorter than was asked for.
        2 more: bool,
    }
    /// Asks for parts of an object's security descriptor, or changes them.
    ObjectSecurityRequest {
        /// The session's token.
        1 session: Blob,
        /// The object's kind.
        2 kind: u32,
        /// The object's key; zero: all objects of the kind.
        3 key: Guid,
        /// Which parts: SECURITY_INFORMATION bits, 1 owner, 2 group, 4 access list.
        4 parts: u32,
        /// Self-relative, as in Windows (MS-DTYP 2.4.6); to be set.
        5 descriptor: Blob,
    }
    /// A security descriptor of objects.
    ObjectSecurityReply {
        /// Self-relative, as in Windows (MS-DTYP 2.4.6).
        1 descriptor: Blob,
    }
    /// An object was added or deleted. WFP: `FWPM_FILTER_CHANGE0` and those of other kinds.
    ObjectEvent {
        /// What happened: EVENT_KIND_ADD or EVENT_KIND_DELETE.
        1 kind: u32,
        /// The version of the database that holds the change.
        2 version: u64,
        /// The object.
        3 object: Object,
    }
}

/// What stands before the messages in the file.
const HEAD: &str = "// Objects of the filter engine, classification and net events. Written by the program, from the structures'
// declarations: OPENWFP_WRITE_PROMISES=1 cargo test -p openwfp-rpc --test service
//
// GUIDs are 16 bytes, all fields in network order. Addresses are 4 or 16 bytes; absent ones are 0.0.0.0. A network is an
// address and one byte with the length of its prefix.
syntax = \"proto3\";

package openwfp.v1;
";

/// The text of `object.proto`.
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

/// A message of a record; keys are in it, since what a client sends is the daemon's to have.
pub(crate) fn encode(record: &impl Record) -> Raw {
    Raw(record.encode(Some(&KeyAccess::grant())).into())
}

/// A page of records of up to so many bytes, one in any case: how many are in it.
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

/// A page of records, and whether there may be more.
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
