//! The store: where persistent objects are while their engine does not run.
#![allow(clippy::doc_markdown, reason = "these comments are those of the .proto file, too")]

use super::Object;
use super::ObjectKind;
use crate::Guid;
use crate::Result;
use crate::SecurityDescriptor;
use crate::records;

records! {
    /// A persistent object with what the engine knows of it.
    StoredObject {
        /// The object.
        1 object: Object,
        /// Its own security descriptor.
        2 security: Option<SecurityDescriptor>,
        /// The tunnel policy that it was added with.
        3 part_of: Option<Guid>,
        /// Its place in the order in which objects were added.
        4 serial: u64,
    }
}

/// Keeps persistent objects; given to an engine when it is built.
pub trait ObjectStore: Send + Sync {
    /// All objects that were kept.
    ///
    /// # Errors
    /// The store's own: it cannot be read, or was written by something else.
    fn load(&self) -> Result<Vec<StoredObject>>;

    /// Keeps some objects and forgets others, all or nothing; when it returns, they survive a crash of the machine.
    ///
    /// # Errors
    /// The store's own; nothing is changed then.
    fn commit(&self, put: &[StoredObject], forget: &[(ObjectKind, Guid)]) -> Result;
}
