//! The dataplane: the component that installs the engine's SAs, such as a kernel.

use crate::CounterUpdate;
use crate::Direction;
use crate::Error;
use crate::KeyAccess;
use crate::ProviderDrops;
use crate::Result;
use crate::SaContext;
use crate::SpdChange;
use crate::SpdEntry;
use crate::object::Filter;
use crate::object::Object;
use std::sync::Arc;

/// A filter for the dataplane's packet filter.
#[derive(Clone, Debug)]
pub struct PacketFilter {
    /// The filter.
    pub filter: Arc<Object>,
    /// Weight of its sublayer.
    pub sublayer_weight: u16,
    /// Whether it blocks; otherwise it permits.
    pub blocks: bool,
    /// Whether nothing that the layer asks later can override the action.
    pub is_hard: bool,
    /// Whether to report the packets on which it decides as net events.
    pub is_reported: bool,
}

/// A component that carries out the engine's decisions. The engine holds none of its locks while it
/// calls these methods.
///
/// A failed call must leave nothing behind: it removes a partial installation before it returns.
pub trait Dataplane: Send + Sync {
    /// Installs the SAs of one direction of the context and returns when they are operational.
    ///
    /// # Errors
    /// The code that best describes the failure, with the system's error message.
    fn install(&self, context: &SaContext, direction: Direction, keys: &KeyAccess) -> Result;

    /// Changes the SAs of one direction from `old` to `new`: addresses, UDP encapsulation, flags.
    ///
    /// # Errors
    /// The code that best describes the failure, with the system's error message.
    fn update(&self, old: &SaContext, new: &SaContext, direction: Direction, keys: &KeyAccess) -> Result;

    /// Removes the SAs of one direction and returns their final counters. It is not an error if the SAs no
    /// longer exist.
    ///
    /// # Errors
    /// The code that best describes the failure, with the system's error message.
    fn remove(&self, context: &SaContext, direction: Direction) -> Result<Option<CounterUpdate>>;

    /// Returns the counters of these contexts. Contexts that the dataplane does not know or count are
    /// omitted. The default implementation returns none.
    ///
    /// # Errors
    /// The code that best describes the failure, with the system's error message.
    fn counters(&self, _contexts: &[Arc<SaContext>]) -> Result<Vec<CounterUpdate>> {
        Ok(Vec::new())
    }

    /// Returns the drop counters of the whole machine. The default implementation returns none.
    ///
    /// # Errors
    /// The code that best describes the failure, with the system's error message.
    fn drops(&self) -> Result<ProviderDrops> {
        Ok(ProviderDrops::default())
    }

    /// Returns whether the dataplane ends SAs itself when their lifetime is over, as kernels do. If so, the
    /// engine does not.
    fn enforces_lifetimes(&self) -> bool {
        false
    }

    /// Returns whether the dataplane enforces IPsec policies and filters. If not, the engine calls none of the methods below.
    fn enforces_policies(&self) -> bool {
        false
    }

    /// Makes the engine's entries of the SPD exactly these, whatever an earlier engine left behind. The engine calls it
    /// once, when it starts. Returns the entries that could not be installed, with the reason.
    ///
    /// # Errors
    /// The code that best describes the failure, if the SPD cannot be read or changed at all.
    fn load_spd(&self, _entries: &[SpdEntry]) -> Result<Vec<(SpdEntry, Error)>> {
        Ok(Vec::new())
    }

    /// Carries out changes of the SPD: all of them or, after an error, none. Their order has no meaning.
    ///
    /// # Errors
    /// The code that best describes the failure, with the system's error message. `FWP_E_ALREADY_EXISTS` if another
    /// program has a policy for the same packets.
    fn change_spd(&self, _changes: &[SpdChange]) -> Result {
        Ok(())
    }

    /// Checks whether the packet filter can carry out a filter exactly. The default implementation has no packet filter.
    ///
    /// # Errors
    /// The reason, in words, if it cannot.
    fn check_filter(&self, _filter: &Filter) -> std::result::Result<(), String> {
        Err("this engine has no packet filter".to_owned())
    }

    /// Has the packet filter carry out exactly these filters, instead of those before, in one atomic step. Their order has no
    /// meaning. The engine passes only filters that [`Dataplane::check_filter`] accepts.
    ///
    /// # Errors
    /// The code that best describes the failure, with the system's error message; nothing has changed then.
    fn set_filters(&self, _filters: &[PacketFilter]) -> Result {
        Ok(())
    }
}
