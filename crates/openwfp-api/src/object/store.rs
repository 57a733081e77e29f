//! The interface to a store, which keeps persistent objects while the engine is not running.
#![allow(clippy::doc_markdown, reason = "these comments are those of the .proto file, too")]

use super::Object;
use super::ObjectKind;
use crate::Guid;
use crate::Result;
use crate::SecurityDescriptor;
use crate::records;

records! {
    /// A persistent object with the metadata of the engine.
    StoredObject {
        /// The object.
        1 object: Object,
        /// Security descriptor of the object; absent: inherited from its kind.
        2 security: Option<SecurityDescriptor>,
        /// Key of the tunnel policy that the object was added with.
        3 part_of: Option<Guid>,
        /// Serial number in the order of addition; it is also the id of objects that have one.
        4 serial: u64,
    }
}

/// A store of persistent objects. An engine takes one when it is built.
pub trait ObjectStore: Send + Sync {
    /// Returns all stored objects.
    ///
    /// # Errors
    /// An error of the store, if it cannot be read or was written by another program.
    fn load(&self) -> Result<Vec<StoredObject>>;

    /// Stores some objects and removes others, all or nothing. Once it returns, the changes survive a crash
    /// of the machine.
    ///
    /// # Errors
    /// An error of the store, which then has changed nothing.
    fn commit(&self, put: &[StoredObject], forget: &[(ObjectKind, Guid)]) -> Result;
}
