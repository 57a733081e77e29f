//! What carries out each filter on this machine: an answer of the engine is a promise about the machine.

use crate::objects::ObjectChange;
use crate::objects::Objects;
use crate::packet_filters::PacketFilters;
use crate::record::SessionRecord;
use crate::shared::Shared;
use crate::spd::Spd;
use crate::sync::lock;
use openwfp_api::Code;
use openwfp_api::Dataplane;
use openwfp_api::Error;
use openwfp_api::Guid;
use openwfp_api::Result;
use openwfp_api::SpdChange;
use openwfp_api::guids::layer;
use openwfp_api::object::FILTER_BOOTTIME;
use openwfp_api::object::FILTER_DISABLED;
use openwfp_api::object::Filter;
use openwfp_api::object::ObjectKind;
use openwfp_api::object::ObjectName;
use openwfp_api::object::kernel::EffectKind;
use openwfp_api::object::kernel::FilterEffect;
use std::sync::Arc;

/// What the engine does with filters that nothing can carry out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unenforced {
    /// It accepts them, tells their effect, and logs a warning.
    #[default]
    Accept,
    /// It refuses to add them: `ERROR_NOT_SUPPORTED`.
    Refuse,
}

fn none(reason: impl Into<String>) -> FilterEffect {
    FilterEffect { reason: reason.into(), ..FilterEffect::default() }
}

/// Returns whether only keying modules evaluate the filters of a layer.
pub(crate) fn is_for_keying(at: Guid) -> bool {
    [
        layer::IPSEC_KM_DEMUX_V4,
        layer::IPSEC_KM_DEMUX_V6,
        layer::IPSEC_V4,
        layer::IPSEC_V6,
        layer::IKEEXT_V4,
        layer::IKEEXT_V6,
        layer::KM_AUTHORIZATION,
    ]
    .contains(&at)
}

/// What carries out the filters of a version: the SPD and the packet filter of a kernel. A clone costs the same at any size.
#[derive(Clone, Default)]
pub(crate) struct Enforced {
    pub(crate) spd: Spd,
    pub(crate) packet_filters: PacketFilters,
}

impl Enforced {
    /// Returns what carries out the filters after changes of objects, and the changes of the SPD's entries. `objects` is the
    /// version after the changes.
    ///
    /// # Errors
    /// As [`Spd::after`].
    pub(crate) fn after(
        &self,
        changes: &[ObjectChange],
        objects: &Objects,
        dataplane: &dyn Dataplane,
    ) -> Result<(Enforced, Vec<SpdChange>)> {
        let packet_filters = self.packet_filters.after(changes, objects, dataplane);
        let (spd, of_spd) = self.spd.after(changes, objects, &|id| packet_filters.blocks(id))?;
        Ok((Enforced { spd, packet_filters }, of_spd))
    }
}

/// Returns the effect of a filter without the indices of its policies; `by` is `None` without a kernel.
fn effect(filter: &Filter, by: Option<&Enforced>) -> FilterEffect {
    if filter.flags & FILTER_BOOTTIME != 0 {
        return none("boot-time filters are never evaluated, because the engine starts later");
    }
    if filter.flags & FILTER_DISABLED != 0 {
        return none("its provider is disabled");
    }
    if is_for_keying(filter.layer) {
        return FilterEffect { kind: EffectKind::Keying, ..FilterEffect::default() };
    }
    let Some(Enforced { spd, packet_filters }) = by else {
        return none("this engine has no kernel that could enforce filters");
    };
    let nftables = FilterEffect { kind: EffectKind::Nftables, ..FilterEffect::default() };
    if packet_filters.blocks(filter.id) {
        return nftables;
    }
    if let Some(winner) = spd.beaten_by(filter.id) {
        return none(format!("filter {winner} selects the same packets and comes first"));
    }
    if spd.carries_out(filter.id) {
        return FilterEffect { kind: EffectKind::Kernel, ..FilterEffect::default() };
    }
    if packet_filters.carries_out(filter.id) {
        return nftables;
    }
    if let Some(reason) = packet_filters.unfit(filter.id).or_else(|| spd.unfit(filter.id)) {
        return none(reason);
    }
    let name = openwfp_api::guids::name(filter.layer).unwrap_or("its layer");
    none(format!(
        "OpenWFP enforces no {} filters at {name} in this sublayer",
        filter.action.kind.name().to_lowercase()
    ))
}

impl Shared {
    pub(crate) fn filter_effects(&self, record: &SessionRecord, ids: &[u64]) -> Result<Vec<FilterEffect>> {
        let objects = self.read(record, |database| Arc::clone(&database.objects));
        let enforced = self.enforcing().map(|_| lock(&self.enforced).clone());
        let of = |id: &u64| {
            let name = ObjectName::Id(*id);
            let entry = objects.find(ObjectKind::Filter, name);
            let filter = entry.and_then(|entry| entry.object.as_filter());
            let filter = filter.ok_or_else(|| name.not_found(ObjectKind::Filter))?;
            let mut effect = effect(filter, enforced.as_ref());
            if let (EffectKind::Kernel, Some(enforced)) = (effect.kind, &enforced) {
                effect.policies = self.policies_of(&enforced.spd, *id);
            }
            Ok(effect)
        };
        ids.iter().map(of).collect()
    }

    /// Checks that each added filter takes effect, if the engine is to refuse others. `by` is `None` without a kernel.
    ///
    /// # Errors
    /// `ERROR_NOT_SUPPORTED`, with the reason, if a filter has no effect and the engine refuses such filters.
    pub(crate) fn check_effects(
        &self,
        changes: &[ObjectChange],
        objects: &Objects,
        by: Option<&Enforced>,
    ) -> Result {
        if self.unenforced == Unenforced::Accept {
            return Ok(());
        }
        match without_effect(changes, objects, by).next() {
            None => Ok(()),
            Some((filter, reason)) => {
                let what = format!("filter {} would have no effect: {reason}", filter.id);
                Err(Error::new(Code::ERROR_NOT_SUPPORTED, what).with_remedy(
                    "The engine is configured to refuse such filters (policy.unenforced = \"refuse\").",
                ))
            }
        }
    }

    /// Logs the added filters that have no effect.
    pub(crate) fn warn_of_effects(&self, changes: &[ObjectChange], objects: &Objects) {
        if self.enforcing().is_none() {
            return;
        }
        let enforced = lock(&self.enforced).clone();
        for (filter, reason) in without_effect(changes, objects, Some(&enforced)) {
            tracing::warn!(filter = filter.id, name = ?filter.name, reason, "a filter has no effect");
        }
    }
}

fn without_effect<'c>(
    changes: &'c [ObjectChange],
    objects: &'c Objects,
    by: Option<&'c Enforced>,
) -> impl Iterator<Item = (&'c Filter, String)> {
    let added = changes.iter().filter(|change| change.old.is_none()).filter_map(|change| change.new.as_ref());
    let added = added.filter(|entry| objects.has(entry));
    added.filter_map(|entry| entry.object.as_filter()).filter_map(move |filter| {
        let effect = effect(filter, by);
        (effect.kind == EffectKind::None).then_some((filter, effect.reason))
    })
}
