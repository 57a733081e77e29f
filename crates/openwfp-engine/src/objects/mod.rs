//! The objects of one version of the database: providers, provider contexts, sublayers, layers,
//! callouts and filters.
//!
//! Invariants:
//! 1. A clone shares everything with the original and costs the same at any size.
//! 2. Every object that another one refers to by key exists. `uses` holds exactly these references,
//!    except those to built-in objects.
//! 3. An object never changes; it is only added and deleted. Data derived from an object stays valid
//!    while the object exists.

pub(crate) mod builtin;
pub(crate) mod conditions;
pub(crate) mod rules;
pub(crate) mod selectors;
mod tunnel;

use imbl::OrdMap;
use imbl::OrdSet;
use openwfp_api::Guid;
use openwfp_api::SecurityDescriptor;
use openwfp_api::SessionNumber;
use openwfp_api::object::Filter;
use openwfp_api::object::FilterContext;
use openwfp_api::object::Object;
use openwfp_api::object::ObjectKind;
use openwfp_api::object::ObjectName;
use openwfp_api::object::store::StoredObject;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::OnceLock;

/// The first id of filters and provider contexts. Lower ids are those that a kernel gives its policies.
pub(crate) const FIRST_ID: u64 = (1 << 32) + 1;
/// The first id of callouts that clients add.
pub(crate) const FIRST_CALLOUT_ID: u64 = 257;

/// The place of an object: its kind and the serial number it got when it was added, which is also its
/// id if the kind has ids.
pub(crate) type Place = (ObjectKind, u64);

/// The objects of one version.
#[derive(Clone, Default)]
pub(crate) struct Objects {
    by_place: OrdMap<Place, Arc<Entry>>,
    by_key: OrdMap<(ObjectKind, Guid), u64>,
    /// Pairs of an object and another object that refers to it.
    uses: OrdSet<(Place, Place)>,
}

/// An object with the engine's own data about it.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) serial: u64,
    pub(crate) object: Arc<Object>,
    pub(crate) lifetime: Lifetime,
    pub(crate) security: Option<SecurityDescriptor>,
    /// The key of the tunnel policy that the object was added with.
    pub(crate) part_of: Option<Guid>,
}

/// How long an object lives, the shortest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lifetime {
    /// As long as its session.
    Dynamic(SessionNumber),
    /// As long as its engine.
    Static,
    /// Until it is deleted.
    Persistent,
    /// Always.
    BuiltIn,
}

/// A change of one object.
#[derive(Clone, Debug)]
pub(crate) struct ObjectChange {
    pub(crate) old: Option<Arc<Entry>>,
    pub(crate) new: Option<Arc<Entry>>,
}

impl Lifetime {
    fn rank(self) -> u8 {
        match self {
            Lifetime::Dynamic(_) => 0,
            Lifetime::Static => 1,
            Lifetime::Persistent => 2,
            Lifetime::BuiltIn => 3,
        }
    }
}

impl Entry {
    pub(crate) fn place(&self) -> Place {
        (self.object.kind(), self.serial)
    }

    pub(crate) fn to_stored(&self) -> StoredObject {
        StoredObject {
            object: (*self.object).clone(),
            security: self.security.clone(),
            part_of: self.part_of,
            serial: self.serial,
        }
    }
}

/// Returns the kinds and keys of the objects that an object refers to.
pub(crate) fn references(object: &Object) -> Vec<(ObjectKind, Guid)> {
    let mut found: Vec<(ObjectKind, Guid)> = Vec::new();
    found.extend(object.provider().map(|key| (ObjectKind::Provider, key)));
    match object {
        Object::Callout(callout) => found.push((ObjectKind::Layer, callout.layer)),
        Object::Filter(filter) => {
            found.push((ObjectKind::Layer, filter.layer));
            found.push((ObjectKind::SubLayer, filter.sublayer));
            if filter.action.kind.has_callout() {
                found.push((ObjectKind::Callout, filter.action.callout));
            }
            if let FilterContext::ProviderContext(key) = filter.context {
                found.push((ObjectKind::ProviderContext, key));
            }
        }
        _ => {}
    }
    found
}

impl Objects {
    /// Returns the objects with which every engine starts.
    pub(crate) fn built_in() -> Objects {
        static BUILT_IN: OnceLock<Objects> = OnceLock::new();
        BUILT_IN
            .get_or_init(|| {
                let mut objects = Objects::default();
                for (serial, object) in builtin::objects() {
                    objects.put(&Arc::new(Entry {
                        serial,
                        object: Arc::new(object),
                        lifetime: Lifetime::BuiltIn,
                        security: None,
                        part_of: None,
                    }));
                }
                objects
            })
            .clone()
    }

    pub(crate) fn put(&mut self, entry: &Arc<Entry>) {
        let place = entry.place();
        for reference in references(&entry.object) {
            if let Some(used) = self.used_place(reference) {
                self.uses.insert((used, place));
            }
        }
        self.by_key.insert((place.0, entry.object.key()), entry.serial);
        self.by_place.insert(place, Arc::clone(entry));
    }

    pub(crate) fn remove(&mut self, entry: &Entry) {
        let place = entry.place();
        for reference in references(&entry.object) {
            if let Some(used) = self.used_place(reference) {
                self.uses.remove(&(used, place));
            }
        }
        self.by_key.remove(&(place.0, entry.object.key()));
        self.by_place.remove(&place);
    }

    fn used_place(&self, (kind, key): (ObjectKind, Guid)) -> Option<Place> {
        let entry = self.by_key(kind, key)?;
        (entry.lifetime != Lifetime::BuiltIn).then(|| entry.place())
    }

    pub(crate) fn by_key(&self, kind: ObjectKind, key: Guid) -> Option<&Arc<Entry>> {
        let serial = self.by_key.get(&(kind, key))?;
        self.by_place.get(&(kind, *serial))
    }

    pub(crate) fn by_id(&self, kind: ObjectKind, id: u64) -> Option<&Arc<Entry>> {
        if kind.has_ids() { self.by_place.get(&(kind, id)) } else { None }
    }

    /// Returns whether exactly this entry is in this version: a later change may have replaced or deleted it.
    pub(crate) fn has(&self, entry: &Arc<Entry>) -> bool {
        let (kind, id) = entry.place();
        self.by_id(kind, id).is_some_and(|other| Arc::ptr_eq(other, entry))
    }

    /// Returns the weight of a sublayer; 0 if it does not exist.
    pub(crate) fn sublayer_weight(&self, key: Guid) -> u16 {
        match self.by_key(ObjectKind::SubLayer, key).map(|entry| &*entry.object) {
            Some(Object::SubLayer(sublayer)) => sublayer.weight,
            _ => 0,
        }
    }

    pub(crate) fn find(&self, kind: ObjectKind, name: ObjectName) -> Option<&Arc<Entry>> {
        match name {
            ObjectName::Key(key) => self.by_key(kind, key),
            ObjectName::Id(id) => self.by_id(kind, id),
        }
    }

    /// Returns the objects of a kind after a serial number, in the order in which they were added, or all
    /// of them without a number.
    pub(crate) fn of_kind(&self, kind: ObjectKind, after: Option<u64>) -> impl Iterator<Item = &Arc<Entry>> {
        let start = after.map_or(Bound::Included((kind, 0)), |after| Bound::Excluded((kind, after)));
        self.by_place.range((start, Bound::Included((kind, u64::MAX)))).map(|(_, entry)| entry)
    }

    /// Returns the objects of a kind after a key, in the order of keys, or all of them without a key.
    pub(crate) fn by_keys(&self, kind: ObjectKind, after: Option<Guid>) -> impl Iterator<Item = &Arc<Entry>> {
        let start =
            after.map_or(Bound::Included((kind, Guid::default())), |after| Bound::Excluded((kind, after)));
        let highest = Guid::new(u32::MAX, u16::MAX, u16::MAX, [u8::MAX; 8]);
        let found = self.by_key.range((start, Bound::Included((kind, highest))));
        found.filter_map(move |(_, serial)| self.by_place.get(&(kind, *serial)))
    }

    /// Returns an object that refers to this one.
    pub(crate) fn user_of(&self, place: Place) -> Option<&Arc<Entry>> {
        self.users_of(place).next()
    }

    /// Returns the objects that refer to this one.
    pub(crate) fn users_of(&self, place: Place) -> impl Iterator<Item = &Arc<Entry>> {
        let range = (place, (ObjectKind::default(), 0))..=(place, (ObjectKind::Filter, u64::MAX));
        self.uses.range(range).filter_map(|(_, user)| self.by_place.get(user))
    }

    /// Returns the objects that were added with a tunnel policy.
    pub(crate) fn parts_of(&self, tunnel: Guid) -> Vec<Arc<Entry>> {
        let kinds = [ObjectKind::Filter, ObjectKind::ProviderContext];
        let of_kind = |kind| self.of_kind(kind, Some(FIRST_ID - 1));
        kinds.into_iter().flat_map(of_kind).filter(|entry| entry.part_of == Some(tunnel)).cloned().collect()
    }

    /// Returns the objects of a dynamic session, each before the objects that it refers to.
    pub(crate) fn of_session(&self, session: SessionNumber) -> Vec<Arc<Entry>> {
        let mut found: Vec<Arc<Entry>> = self
            .by_place
            .values()
            .filter(|entry| entry.lifetime == Lifetime::Dynamic(session))
            .cloned()
            .collect();
        found.reverse();
        found
    }

    /// Returns the number of objects, including the built-in ones.
    pub(crate) fn len(&self) -> usize {
        self.by_place.len()
    }

    /// Returns the filters that protect an SA context which refers to this id: the filter with the id, or
    /// the filters of the provider context with the id, at most `limit`.
    pub(crate) fn filters_for(&self, id: u64, limit: usize) -> Vec<Arc<Entry>> {
        if let Some(filter) = self.by_id(ObjectKind::Filter, id) {
            return vec![Arc::clone(filter)];
        }
        let users = self.users_of((ObjectKind::ProviderContext, id)).filter(|user| is_filter(user));
        users.take(limit).cloned().collect()
    }
}

fn is_filter(entry: &Entry) -> bool {
    entry.object.as_filter().is_some()
}

/// Returns a copy of an entry's filter, to be shared.
pub(crate) fn shared_filter(entry: &Entry) -> Option<Arc<Filter>> {
    entry.object.as_filter().map(|filter| Arc::new(filter.clone()))
}
