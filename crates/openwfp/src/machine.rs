//! A Linux machine as an engine's dataplane: the kernel's IPsec, and nftables.

use crate::NftablesUse;
use openwfp_api::CounterUpdate;
use openwfp_api::Dataplane;
use openwfp_api::Direction;
use openwfp_api::Error;
use openwfp_api::KeyAccess;
use openwfp_api::PacketFilter;
use openwfp_api::ProviderDrops;
use openwfp_api::Result;
use openwfp_api::SaContext;
use openwfp_api::SpdChange;
use openwfp_api::SpdEntry;
use openwfp_api::object::Filter;
use openwfp_nft::Nftables;
use openwfp_xfrm::live::Driver;
use std::sync::Arc;

/// The kernel's IPsec and nftables of one network namespace.
pub(crate) struct Machine {
    pub(crate) driver: Driver,
    pub(crate) nftables: Nftables,
    pub(crate) uses: NftablesUse,
}

impl Dataplane for Machine {
    fn install(&self, context: &SaContext, direction: Direction, keys: &KeyAccess) -> Result {
        self.driver.install(context, direction, keys)
    }

    fn update(&self, old: &SaContext, new: &SaContext, direction: Direction, keys: &KeyAccess) -> Result {
        self.driver.update(old, new, direction, keys)
    }

    fn remove(&self, context: &SaContext, direction: Direction) -> Result<Option<CounterUpdate>> {
        self.driver.remove(context, direction)
    }

    fn counters(&self, contexts: &[Arc<SaContext>]) -> Result<Vec<CounterUpdate>> {
        self.driver.counters(contexts)
    }

    fn drops(&self) -> Result<ProviderDrops> {
        self.driver.drops()
    }

    fn enforces_lifetimes(&self) -> bool {
        self.driver.enforces_lifetimes()
    }

    fn enforces_policies(&self) -> bool {
        self.driver.enforces_policies()
    }

    fn load_spd(&self, entries: &[SpdEntry]) -> Result<Vec<(SpdEntry, Error)>> {
        self.driver.load_spd(entries)
    }

    fn change_spd(&self, changes: &[SpdChange]) -> Result {
        self.driver.change_spd(changes)
    }

    fn check_filter(&self, filter: &Filter) -> std::result::Result<(), String> {
        match self.uses {
            NftablesUse::Off => Err("nftables is turned off (policy.nftables = \"off\")".to_owned()),
            NftablesUse::Auto | NftablesUse::Require => self.nftables.check(filter),
        }
    }

    fn set_filters(&self, filters: &[PacketFilter]) -> Result {
        self.nftables.set(filters)
    }
}
