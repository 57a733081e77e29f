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
                    note(names[0], !same_sas(old, new) || old.bundle.flags != new.bundle.flags);
                    note(names[1], old.filter_id != new.filter_id);
                    note(names[2], lifetime(old) != lifetime(new));
                    note(names[3], old.udp_encapsulation != new.udp_encapsulation);
                }
                _ => note(names[0], true),
            }
        }
        if fields.is_empty() && steady(old) != steady(new) {
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

/// Returns whether two directions have the same SAs, but for their limits and what changes with each packet.
fn same_sas(old: &SaDetails, new: &SaDetails) -> bool {
    let unlimited = |sa: &Sa| {
        sa.linux.as_deref().map(|linux| {
            let mut linux = LinuxSa { soft_add_seconds: 0, hard_add_seconds: 0, ..without_traffic(linux) };
            if let Some(extras) = &mut linux.extras {
                extras.limits = Limits::default();
            }
            without_empty_extras(linux)
        })
    };
    let same = |(old, new): (&Sa, &Sa)| {
        (old.spi, &old.transform) == (new.spi, &new.transform) && unlimited(old) == unlimited(new)
    };
    old.bundle.sas.iter().count() == new.bundle.sas.iter().count()
        && old.bundle.sas.iter().zip(new.bundle.sas.iter()).all(same)
}

/// Returns a context without what changes with each packet.
fn steady(context: &SaContext) -> SaContext {
    let mut context = context.clone();
    for details in [&mut context.inbound, &mut context.outbound].into_iter().flatten() {
        let steady = |sa: &Sa| Sa {
            linux: sa.linux.as_deref().map(|linux| Box::new(without_traffic(linux))),
            ..sa.clone()
        };
        if let Ok(sas) = SaList::new(details.bundle.sas.iter().map(steady).collect::<Vec<_>>()) {
            details.bundle.sas = sas;
        }
    }
    context
}

fn without_traffic(linux: &LinuxSa) -> LinuxSa {
    let mut linux = LinuxSa { first_used: 0, ..linux.clone() };
    if let Some(extras) = &mut linux.extras {
        extras.replay = None;
    }
    without_empty_extras(linux)
}

fn without_empty_extras(mut linux: LinuxSa) -> LinuxSa {
    linux.extras = linux.extras.filter(|extras| **extras != LinuxExtras::default());
    linux
}

fn lifetime(details: &SaDetails) -> impl PartialEq + use<> {
    let linux = details.bundle.sas.first().linux.as_deref();
    let limits = linux.map(|linux| {
        let limits = linux.extras.as_ref().map(|extras| extras.limits).unwrap_or_default();
        (linux.soft_add_seconds, linux.hard_add_seconds, limits)
    });
    (details.bundle.lifetime, details.bundle.idle_timeout_seconds, limits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::*;

    fn context() -> SaContext {
        let ends = Endpoints::new([192, 0, 2, 1].into(), [192, 0, 2, 2].into()).unwrap();
        let mut context = SaContext::new(SaContextId(1), Traffic::new(ends, Mode::Tunnel));
        let aead = Aead { algorithm: AeadAlgorithm::AesGcm, icv_bits: 128, key: Key::new(&[1; 20]) };
        let linux = Some(Box::new(LinuxSa { reqid: 9, ..LinuxSa::default() }));
        let sa = Sa { spi: Spi::new(256).unwrap(), transform: Transform::EspAead(aead), linux };
        context.inbound = Some(SaDetails {
            filter_id: FilterId(0),
            bundle: SaBundle::new(SaList::one(sa)),
            udp_encapsulation: None,
            virtual_if_tunnel: None,
        });
        context
    }

    /// The names of what differs after a change of the inbound SA's Linux values.
    fn after(change: impl FnOnce(&mut LinuxSa)) -> Vec<&'static str> {
        let (old, mut new) = (context(), context());
        let bundle = &mut new.inbound.as_mut().unwrap().bundle;
        let mut sa = bundle.sas.first().clone();
        change(sa.linux.as_mut().unwrap());
        bundle.sas = SaList::one(sa);
        ContextFields::between(&old, &new).names().collect()
    }

    #[test]
    fn traffic_is_no_change_and_everything_else_has_a_name() {
        let replay = Replay { inbound_sequence: 7, ..Replay::default() };
        let of_traffic = LinuxExtras { replay: Some(Box::new(replay)), ..LinuxExtras::default() };
        assert_eq!(
            after(|linux| (linux.first_used, linux.extras) = (5, Some(Box::new(of_traffic)))),
            [""; 0]
        );
        assert_eq!(after(|linux| linux.reqid = 10), ["inbound.sas"]);
        assert_eq!(after(|linux| linux.soft_add_seconds = 60), ["inbound.lifetime"]);
        let limits = Limits { hard_bytes: 1, ..Limits::default() };
        let limited = LinuxExtras { limits, ..LinuxExtras::default() };
        assert_eq!(after(|linux| linux.extras = Some(Box::new(limited))), ["inbound.lifetime"]);
        let (old, mut new) = (context(), context());
        new.inbound.as_mut().unwrap().bundle.mm_sa_id = 7;
        assert_eq!(ContextFields::between(&old, &new).names().collect::<Vec<_>>(), ["other"]);
        new.inbound = None;
        new.state = SaState::Outbound;
        assert_eq!(ContextFields::between(&old, &new).names().collect::<Vec<_>>(), ["state", "inbound.sas"]);
    }
}
