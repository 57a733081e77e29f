//! Encodes and decodes pages. A page is filled entry by entry up to a size in bytes, so that entries
//! that do not fit remain in their claim.

use super::Raw;
use super::bytes::Reader;
use super::bytes::Writer;
use super::bytes::malformed;
use super::sa::get_context;
use super::sa::put_context;
use openwfp_api::ContextFields;
use openwfp_api::Direction;
use openwfp_api::EventKind;
use openwfp_api::KeyAccess;
use openwfp_api::Notification;
use openwfp_api::ObjectEvent;
use openwfp_api::Result;
use openwfp_api::SaContext;
use openwfp_api::SaContextEvent;
use openwfp_api::SaContextId;
use openwfp_api::SaEntry;
use openwfp_api::Version;
use openwfp_api::object::net_event::NetEvent;
use openwfp_api::record::Field;
use openwfp_api::record::Record;
use std::sync::Arc;

/// Typical size of an encoded context in bytes, for the initial capacity of a page.
const USUAL: usize = 320;

/// A page of SA contexts that is being encoded.
pub(crate) struct ContextPage<'k> {
    writer: Writer<'k>,
    bytes_max: usize,
}

impl<'k> ContextPage<'k> {
    pub(crate) fn new(entries: usize, bytes_max: usize, keys: Option<&'k KeyAccess>) -> ContextPage<'k> {
        let guess = entries.saturating_mul(USUAL).min(bytes_max);
        ContextPage { writer: Writer::with_capacity(guess, keys), bytes_max }
    }

    /// Adds as many contexts as fit, but always the first one. Returns their number.
    pub(crate) fn fill(&mut self, contexts: &[Arc<SaContext>]) -> usize {
        fill(&mut self.writer, self.bytes_max, contexts, |writer, context| {
            writer.message(1, |writer| put_context(writer, context));
        })
    }

    pub(crate) fn finish(mut self, more: bool) -> Raw {
        self.writer.uint(2, more);
        Raw(self.writer.into_bytes().into())
    }
}

fn fill<'e, T>(
    writer: &mut Writer<'_>,
    bytes_max: usize,
    entries: &'e [T],
    mut put: impl FnMut(&mut Writer<'_>, &'e T),
) -> usize {
    for (count, entry) in entries.iter().enumerate() {
        let before = writer.len();
        put(writer, entry);
        if writer.len() > bytes_max && count > 0 {
            writer.truncate(before);
            return count;
        }
    }
    entries.len()
}

/// Decodes an `SaContextPage`. Returns its contexts and whether there may be more.
pub(crate) fn decode_contexts(bytes: &[u8]) -> Result<(Vec<Arc<SaContext>>, bool)> {
    let (mut contexts, mut more) = (Vec::with_capacity(bytes.len() / USUAL), false);
    Reader::new(bytes).fields(|field, value| {
        match field {
            1 => contexts.push(Arc::new(get_context(value.message()?)?)),
            2 => more = value.u64()? != 0,
            _ => {}
        }
        Ok(())
    })?;
    Ok((contexts, more))
}

/// Encodes pages of single SAs.
pub(crate) struct SaPage;

impl SaPage {
    /// Encodes as many entries as fit, but always the first one. Returns the page and the number of entries
    /// in it.
    pub(crate) fn encode(
        entries: &[SaEntry],
        bytes_max: usize,
        keys: Option<&KeyAccess>,
        more: impl FnOnce(usize) -> bool,
    ) -> (Raw, usize) {
        let mut writer = Writer::with_capacity(entries.len().saturating_mul(USUAL).min(bytes_max), keys);
        let mut places: Vec<(u32, Direction)> = Vec::with_capacity(entries.len());
        let mut last: Option<&Arc<SaContext>> = None;
        let mut contexts = 0;
        let count = fill(&mut writer, bytes_max, entries, |writer, entry| {
            // The two directions of a context are adjacent.
            if !last.is_some_and(|last| Arc::ptr_eq(last, entry.context())) {
                last = Some(entry.context());
                contexts += 1;
                writer.message(1, |writer| put_context(writer, entry.context()));
            }
            places.push((contexts - 1, entry.direction()));
        });
        for (context, direction) in &places[..count] {
            writer.message(2, |writer| {
                writer.uint(1, *context);
                writer.uint(2, *direction as u32 + 1);
            });
        }
        writer.uint(3, more(count));
        (Raw(writer.into_bytes().into()), count)
    }
}

/// Decodes an `SaPage`. Returns its entries and whether there may be more.
pub(crate) fn decode_sas(bytes: &[u8]) -> Result<(Vec<SaEntry>, bool)> {
    let (mut contexts, mut places, mut more) = (Vec::new(), Vec::new(), false);
    Reader::new(bytes).fields(|field, value| {
        match field {
            1 => contexts.push(Arc::new(get_context(value.message()?)?)),
            2 => {
                let (mut context, mut direction) = (0_usize, 0_u32);
                value.message()?.fields(|field, value| {
                    match field {
                        1 => context = value.uint()?,
                        2 => direction = value.uint()?,
                        _ => {}
                    }
                    Ok(())
                })?;
                places.push((context, direction));
            }
            3 => more = value.u64()? != 0,
            _ => {}
        }
        Ok(())
    })?;
    let entry = |(context, direction): (usize, u32)| {
        let direction = match direction {
            1 => Direction::Outbound,
            2 => Direction::Inbound,
            _ => return Err(malformed("an SA lacks its direction")),
        };
        let entry = contexts.get(context).and_then(|context| SaEntry::new(context, direction));
        entry.ok_or_else(|| malformed("an entry refers to an SA that the page does not contain"))
    };
    Ok((places.into_iter().map(entry).collect::<Result<_>>()?, more))
}

/// A page of events that is being encoded.
pub(crate) struct EventPage<'k> {
    writer: Writer<'k>,
    bytes_max: usize,
}

const KINDS: [EventKind; 6] = [
    EventKind::Add,
    EventKind::Delete,
    EventKind::Change,
    EventKind::SoftExpiry,
    EventKind::Expire,
    EventKind::Acquire,
];

/// Returns the event kind with this number. `RPC_E_INVALID_DATAPACKET` for an unknown one.
pub(crate) fn event_kind(number: u32) -> Result<EventKind> {
    let unknown = || malformed(&format!("unknown event kind {number}"));
    KINDS.into_iter().find(|kind| *kind as u32 == number).ok_or_else(unknown)
}

/// Returns the numbers of the kinds in a set.
pub(crate) fn event_kinds(kinds: openwfp_api::EventKinds) -> Vec<i32> {
    KINDS.into_iter().filter(|kind| kinds.contain(*kind)).map(|kind| kind as i32).collect()
}

impl<'k> EventPage<'k> {
    pub(crate) fn new(bytes_max: usize, keys: Option<&'k KeyAccess>) -> EventPage<'k> {
        EventPage { writer: Writer::new(keys), bytes_max }
    }

    /// Adds a notification. Returns whether there is room for another one.
    pub(crate) fn push(&mut self, notification: &Notification) -> bool {
        self.writer.message(1, |writer| match notification {
            Notification::Event(event) => writer.message(1, |writer| {
                writer.uint(1, event.kind as u32);
                writer.uint(2, event.id.0);
                writer.uint(3, event.version.0);
                if let Some(context) = &event.context {
                    writer.message(4, |writer| put_context(writer, context));
                }
                for name in event.changed.names() {
                    writer.always_bytes(5, name.as_bytes());
                }
            }),
            Notification::Object(event) => writer.message(3, |writer| {
                writer.uint(1, event.kind as u32);
                writer.uint(2, event.version.0);
                Field::put_always(&*event.object, 3, writer);
            }),
            Notification::Net(event) => Field::put_always(&**event, 4, writer),
            Notification::Dropped { count, list_from } => writer.message(2, |writer| {
                writer.uint(1, *count);
                writer.uint(2, list_from.0);
            }),
            // A kind that a newer engine may report and this protocol version cannot express.
            _ => {}
        });
        self.writer.len() < self.bytes_max
    }

    pub(crate) fn finish(self) -> Raw {
        Raw(self.writer.into_bytes().into())
    }
}

/// Decodes an `EventPage`.
pub(crate) fn decode_events(bytes: &[u8]) -> Result<Vec<Notification>> {
    let mut notifications = Vec::new();
    Reader::new(bytes).fields(|field, value| {
        if field == 1 {
            let mut notification = None;
            value.message()?.fields(|field, value| {
                match field {
                    1 => notification = Some(Notification::Event(get_event(value.message()?)?)),
                    2 => notification = Some(get_dropped(value.message()?)?),
                    3 => {
                        let event = super::object::ObjectEvent::read(value.message()?)?;
                        notification = Some(Notification::Object(ObjectEvent {
                            kind: event_kind(event.kind)?,
                            version: Version(event.version),
                            object: Arc::new(event.object),
                        }));
                    }
                    4 => notification = Some(Notification::Net(Arc::new(NetEvent::read(value.message()?)?))),
                    _ => {}
                }
                Ok(())
            })?;
            notifications.push(notification.ok_or_else(|| malformed("unknown kind of notification"))?);
        }
        Ok(())
    })?;
    Ok(notifications)
}

fn get_event(reader: Reader<'_>) -> Result<SaContextEvent> {
    let (mut kind, mut id, mut version, mut context) = (0, 0, 0, None);
    let mut changed = ContextFields::default();
    reader.fields(|field, value| {
        match field {
            1 => kind = value.uint()?,
            2 => id = value.u64()?,
            3 => version = value.u64()?,
            4 => context = Some(Arc::new(get_context(value.message()?)?)),
            5 => changed.insert(value.text()?),
            _ => {}
        }
        Ok(())
    })?;
    let (kind, id, version) = (event_kind(kind)?, SaContextId(id), Version(version));
    Ok(SaContextEvent { kind, id, version, context, changed })
}

fn get_dropped(reader: Reader<'_>) -> Result<Notification> {
    let (mut count, mut list_from) = (0, Version(0));
    reader.fields(|field, value| {
        match field {
            1 => count = value.u64()?,
            2 => list_from = Version(value.u64()?),
            _ => {}
        }
        Ok(())
    })?;
    Ok(Notification::Dropped { count, list_from })
}
