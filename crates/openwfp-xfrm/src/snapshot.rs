//! What a kernel or a capture had at one moment, for programs that read it once.

use crate::capture;
use crate::dumps::Dumps;
use crate::dumps::Part;
use crate::inventory::Inventory;
use crate::pair::Contexts;
use crate::pair::Listing;
use openwfp_api::Completeness;
use openwfp_api::Result;
use std::path::PathBuf;

/// The dumps of a kernel or a capture, and how to read them.
///
/// The keys in it are wiped when it is dropped.
pub struct Snapshot {
    pub(crate) dumps: Dumps,
    pub(crate) origin: Origin,
}

/// Where dumps come from.
pub(crate) enum Origin {
    /// Files in a directory.
    Capture(PathBuf),
    /// A running kernel.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code))]
    Kernel,
}

impl Snapshot {
    /// Pairs the states and calls `visit` with the SA contexts, which are built one by one as they are read, and with whether
    /// they are all there are.
    ///
    /// # Errors
    /// `RPC_E_INVALID_DATAPACKET`, with place and offset, if the bytes are not complete netlink dumps.
    pub fn read<R>(&self, visit: impl FnOnce(&dyn Contexts, &Completeness) -> R) -> Result<R> {
        let place = |part| self.origin.place(part);
        if self.dumps.events.is_empty() {
            return self.dumps.read(place, |_, contexts, completeness| visit(contexts, completeness));
        }
        let (inventory, interrupted) = Inventory::from_dumps(&self.dumps, place)?;
        let records = inventory.records();
        Ok(visit(&inventory.pairing(&records), &self.dumps.completeness(interrupted)))
    }

    /// Returns all SA contexts and policies.
    ///
    /// # Errors
    /// As [`Snapshot::read`].
    pub fn listing(&self) -> Result<Listing> {
        let place = |part| self.origin.place(part);
        if self.dumps.events.is_empty() {
            return self.dumps.listing(place);
        }
        let (inventory, interrupted) = Inventory::from_dumps(&self.dumps, place)?;
        let completeness = self.dumps.completeness(interrupted);
        Ok(Listing { contexts: inventory.contexts(), completeness, policies: inventory.policies() })
    }
}

impl Origin {
    /// Returns where a part comes from, for error messages.
    pub(crate) fn place(&self, part: Part) -> String {
        match self {
            Origin::Kernel => {
                let what = match part {
                    Part::States => "dump of states",
                    Part::Policies => "dump of policies",
                    Part::Addresses => "dump of addresses",
                    Part::Events => "events",
                };
                format!("the kernel's {what}")
            }
            Origin::Capture(directory) => {
                let name = match part {
                    Part::Policies => capture::POLICIES,
                    Part::Addresses => capture::ADDRESSES,
                    // A capture has no events.
                    Part::States | Part::Events => capture::STATES,
                };
                directory.join(name).display().to_string()
            }
        }
    }
}
