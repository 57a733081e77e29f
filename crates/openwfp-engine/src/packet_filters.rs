//! The filters that the dataplane's packet filter carries out: permits and blocks at the layers that concern packets, except
//! permits in the sublayers of IPsec, which the SPD carries out.

use crate::classify::says;
use crate::effects::is_for_keying;
use crate::objects::Entry;
use crate::objects::ObjectChange;
use crate::objects::Objects;
use crate::spd;
use imbl::OrdMap;
use openwfp_api::Dataplane;
use openwfp_api::PacketFilter;
use openwfp_api::guids;
use openwfp_api::object::ActionType;
use openwfp_api::object::FILTER_BOOTTIME;
use openwfp_api::object::FILTER_DISABLED;
use openwfp_api::object::Filter;
use openwfp_api::object::ObjectKind;
use std::sync::Arc;

/// The filters of one version for the packet filter. A clone costs the same at any size.
#[derive(Clone, Default)]
pub(crate) struct PacketFilters {
    filters: OrdMap<u64, PacketFilter>,
    /// Filters that the SPD carries out: they decide for their sublayer before lighter filters, and need no packet filter.
    companions: OrdMap<u64, PacketFilter>,
    /// Why the packet filter cannot carry out a filter.
    unfit: OrdMap<u64, Arc<str>>,
    /// Whether packets that filters permit are reported, as those that filters block are.
    reports_permits: bool,
}

impl PacketFilters {
    /// Returns the filters after changes of objects; `objects` is the version after them.
    pub(crate) fn after(
        &self,
        changes: &[ObjectChange],
        objects: &Objects,
        dataplane: &dyn Dataplane,
    ) -> PacketFilters {
        let mut next = self.clone();
        for change in changes.iter().filter(|change| change.old.is_none() || change.new.is_none()) {
            if let Some(old) = change.old.as_ref().filter(|old| old.object.kind() == ObjectKind::Filter) {
                next.filters.remove(&old.serial);
                next.companions.remove(&old.serial);
                next.unfit.remove(&old.serial);
            }
            if let Some(new) = &change.new {
                next.add(new, objects, dataplane);
            }
        }
        next
    }

    fn add(&mut self, entry: &Arc<Entry>, objects: &Objects, dataplane: &dyn Dataplane) {
        let Some(filter) = entry.object.as_filter().filter(|filter| concerns(filter)) else { return };
        let Some((action, is_hard)) = says(filter) else { return };
        if let Err(reason) = dataplane.check_filter(filter) {
            self.unfit.insert(filter.id, reason.into());
            return;
        }
        let packet_filter = PacketFilter {
            filter: Arc::clone(&entry.object),
            sublayer_weight: objects.sublayer_weight(filter.sublayer),
            blocks: action == ActionType::Block,
            is_hard,
            is_reported: action == ActionType::Block,
        };
        let is_of_spd = filter.ipsec_mode().is_some() || !packet_filter.blocks && is_of_ipsec(filter);
        let filters = if is_of_spd { &mut self.companions } else { &mut self.filters };
        filters.insert(filter.id, packet_filter);
    }

    /// Returns all filters for the packet filter; none if nothing needs it.
    pub(crate) fn list(&self) -> Vec<PacketFilter> {
        if !self.is_in_use() {
            return Vec::new();
        }
        let reported = self
            .filters
            .values()
            .cloned()
            .map(|filter| PacketFilter { is_reported: filter.is_reported || self.reports_permits, ..filter });
        reported.chain(self.companions.values().cloned()).collect()
    }

    /// Returns these filters, with the packets that they permit reported or not.
    pub(crate) fn reporting_permits(&self, reports_permits: bool) -> PacketFilters {
        PacketFilters { reports_permits, ..self.clone() }
    }

    /// Returns the blocks that are not among others.
    pub(crate) fn blocks_beyond(&self, others: &PacketFilters) -> Vec<PacketFilter> {
        let is_beyond =
            |(id, filter): &(&u64, &PacketFilter)| filter.blocks && !others.filters.contains_key(*id);
        self.filters.iter().filter(is_beyond).map(|(_, filter)| filter.clone()).collect()
    }

    /// Returns whether some filters differ.
    pub(crate) fn differ_from(&self, others: &PacketFilters) -> bool {
        let same = |one: &OrdMap<u64, PacketFilter>, other: &OrdMap<u64, PacketFilter>| {
            // Filters never change, so their ids suffice.
            one.ptr_eq(other) || one.keys().eq(other.keys())
        };
        !same(&self.filters, &others.filters) || !same(&self.companions, &others.companions)
    }

    /// Returns whether the packet filter has any filter.
    pub(crate) fn is_in_use(&self) -> bool {
        !self.filters.is_empty()
    }

    pub(crate) fn carries_out(&self, filter: u64) -> bool {
        self.filters.contains_key(&filter)
    }

    pub(crate) fn blocks(&self, filter: u64) -> bool {
        self.filters.get(&filter).is_some_and(|filter| filter.blocks)
    }

    pub(crate) fn unfit(&self, filter: u64) -> Option<&str> {
        self.unfit.get(&filter).map(|reason| &**reason)
    }
}

/// Returns whether a filter concerns packets.
fn concerns(filter: &Filter) -> bool {
    filter.flags & (FILTER_BOOTTIME | FILTER_DISABLED) == 0 && !is_for_keying(filter.layer)
}

/// Returns whether a filter is in one of WFP's sublayers for IPsec, where the SPD applies.
fn is_of_ipsec(filter: &Filter) -> bool {
    guids::is_for_ipsec(filter.sublayer) && spd::has_layer(filter.layer)
}
