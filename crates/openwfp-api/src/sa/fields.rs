//! What differs between two values of an SA context, by name.

use crate::Direction;
use crate::Limits;
use crate::LinuxExtras;
use crate::LinuxSa;
use crate::Sa;
use crate::SaContext;
use crate::SaDetails;
use crate::SaList;
use std::fmt;

/// A set of the members of an SA context that a change concerns, by their names in JSON (docs/json.md). Counters, times of use
/// and replay windows are not among them, because they change with each packet.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct ContextFields(u32);

/// The names of all members.
const NAMES: [&str; 15] = [
    "state",
    "local",
    "remote",
    "mode",
    "selectors",
    "acquire",
    "inbound.sas",
    "outbound.sas",
    "inbound.filter_id",
    "outbound.filter_id",
    "inbound.lifetime",
    "outbound.lifetime",
    "inbound.encapsulation",
    "outbound.encapsulation",
    // What JSON does not show, such as the keying module's own values.
    "other",
];

impl ContextFields {
    /// Returns the members that differ between two values of a context.
    pub fn between(old: &SaContext, new: &SaContext) -> ContextFields {
        let (old, new) = (&steady(old), &steady(new));
        let mut fields = ContextFields::default();
        let mut note = |name, differs: bool| {
            if differs {
                fields.insert(name);
            }
        };
        note("state", old.state != new.state);
        note("local", old.traffic.endpoints.local() != new.traffic.endpoints.local());
        note("remote", old.traffic.endpoints.remote() != new.traffic.endpoints.remote());
        note("mode", old.traffic.mode != new.traffic.mode);
        note("selectors", old.selectors != new.selectors);
        note("acquire", old.acquire() != new.acquire());
        for (direction, names) in [
            (
                Direction::Inbound,
                ["inbound.sas", "inbound.filter_id", "inbound.lifetime", "inbound.encapsulation"],
            ),
            (
                Direction::Outbound,
                ["outbound.sas", "outbound.filter_id", "outbound.lifetime", "outbound.encapsulation"],
            ),
        ] {
            match (old.details(direction), new.details(direction)) {
                (None, None) => {}
                (Some(old), Some(new)) => {
                    note(names[0], sas(old) != sas(new) || old.bundle.flags != new.bundle.flags);
                    note(names[1], old.filter_id != new.filter_id);
                    note(names[2], lifetime(old) != lifetime(new));
                    note(names[3], old.udp_encapsulation != new.udp_encapsulation);
                }
                _ => note(names[0], true),
            }
        }
        if fields.is_empty() && old != new {
            fields.insert("other");
        }
        fields
    }

    /// Adds a member by its name; ignores names that this version does not know.
    pub fn insert(&mut self, name: &str) {
        if let Some(place) = NAMES.iter().position(|other| *other == name) {
            self.0 |= 1 << place;
        }
    }

    /// Returns the names of the members.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        NAMES.into_iter().enumerate().filter(move |(place, _)| self.0 & 1 << place != 0).map(|(_, name)| name)
    }

    /// Returns whether the set has a member.
    pub fn contain(self, name: &str) -> bool {
        self.names().any(|other| other == name)
    }

    /// Returns whether nothing differs.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Debug for ContextFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

/// Returns a context without what changes with each packet.
fn steady(context: &SaContext) -> SaContext {
    let mut context = context.clone();
    for details in [&mut context.inbound, &mut context.outbound].into_iter().flatten() {
        let sas = details.bundle.sas.iter().map(|sa| {
            let mut sa = sa.clone();
            if let Some(linux) = &mut sa.linux {
                linux.first_used = 0;
                if let Some(extras) = &mut linux.extras {
                    extras.replay = None;
                }
                linux.extras = linux.extras.take().filter(|extras| **extras != LinuxExtras::default());
            }
            sa
        });
        if let Ok(sas) = SaList::new(sas.collect::<Vec<_>>()) {
            details.bundle.sas = sas;
        }
    }
    context
}

/// Returns a direction's SAs without their limits.
fn sas(details: &SaDetails) -> Vec<Sa> {
    let unlimited = |linux: &LinuxSa| {
        let mut linux = LinuxSa { soft_add_seconds: 0, hard_add_seconds: 0, ..linux.clone() };
        if let Some(extras) = &mut linux.extras {
            extras.limits = Limits::default();
        }
        linux.extras = linux.extras.filter(|extras| **extras != LinuxExtras::default());
        Box::new(linux)
    };
    let unlimited = |sa: &Sa| Sa { linux: sa.linux.as_deref().map(unlimited), ..sa.clone() };
    details.bundle.sas.iter().map(unlimited).collect()
}

fn lifetime(details: &SaDetails) -> impl PartialEq + use<> {
    let linux = details.bundle.sas.first().linux.as_deref();
    let limits = linux.map(|linux| {
        let limits = linux.extras.as_ref().map(|extras| extras.limits).unwrap_or_default();
        (linux.soft_add_seconds, linux.hard_add_seconds, limits)
    });
    (details.bundle.lifetime, details.bundle.idle_timeout_seconds, limits)
}
