//! Net events: the newest ones, stored for later enumeration.

use crate::objects::conditions::Conditions;
use openwfp_api::Guid;
use openwfp_api::Result;
use openwfp_api::guids::condition;
use openwfp_api::object::net_event::NetEvent;
use openwfp_api::object::net_event::NetEventTemplate;
use openwfp_api::object::value::Value;
use std::collections::VecDeque;
use std::sync::Arc;

/// Maximum number of net events to store.
const KEPT: usize = 10_000;

/// The stored net events of an engine, oldest first.
#[derive(Default)]
pub(crate) struct NetEvents {
    newest: u64,
    kept: VecDeque<Arc<NetEvent>>,
    /// About how many bytes they hold.
    bytes: usize,
}

fn weight(event: &NetEvent) -> usize {
    512 + event.app_id.0.len()
}

impl NetEvents {
    /// Stores an event and assigns its id; drops the oldest event if the store is full.
    pub(crate) fn keep(&mut self, mut event: NetEvent) -> Arc<NetEvent> {
        self.newest += 1;
        event.id = self.newest;
        let event = Arc::new(event);
        self.bytes += weight(&event);
        while (self.kept.len() >= KEPT || self.bytes > openwfp_api::bounds::NET_EVENT_BYTES)
            && let Some(oldest) = self.kept.pop_front()
        {
            self.bytes -= weight(&oldest);
        }
        self.kept.push_back(Arc::clone(&event));
        event
    }

    /// Returns the stored events, oldest first.
    pub(crate) fn all(&self) -> Vec<Arc<NetEvent>> {
        self.kept.iter().cloned().collect()
    }
}

/// A template with its conditions compiled.
pub(crate) struct Wanted {
    template: NetEventTemplate,
    conditions: Conditions,
}

impl Wanted {
    /// Compiles a template.
    ///
    /// # Errors
    /// `RPC_S_INVALID_BOUND` if it has too many conditions.
    pub(crate) fn new(template: &NetEventTemplate) -> Result<Wanted> {
        let conditions = Conditions::of_template(&template.conditions)?;
        Ok(Wanted { template: template.clone(), conditions })
    }

    pub(crate) fn selects(&self, event: &NetEvent) -> bool {
        let time = event.time >= self.template.start
            && (self.template.end.0 == 0 || event.time <= self.template.end);
        time && self.conditions.fields.iter().all(|(field, tests)| {
            field_of(event, *field).is_some_and(|value| tests.iter().any(|test| test.holds(&value)))
        })
    }
}

/// Returns the value of an event's field, by the GUID that conditions use for it.
fn field_of(event: &NetEvent, field: Guid) -> Option<Value> {
    match field {
        condition::IP_LOCAL_ADDRESS => event.local.map(|address| Value::address(address.0)),
        condition::IP_REMOTE_ADDRESS => event.remote.map(|address| Value::address(address.0)),
        condition::IP_PROTOCOL => Some(Value::Uint8(event.protocol)),
        condition::IP_LOCAL_PORT => Some(Value::Uint16(event.local_port)),
        condition::IP_REMOTE_PORT => Some(Value::Uint16(event.remote_port)),
        condition::ALE_APP_ID => Some(Value::ByteBlob(event.app_id.clone())),
        condition::NET_EVENT_TYPE => Some(Value::Uint32(event.detail.event_type())),
        _ => None,
    }
}
