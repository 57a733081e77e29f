//! Writes security descriptors.

use crate::arena::Layout;
use crate::arena::Sink;

/// A descriptor in its self-relative form.
pub(crate) struct Descriptor<'a>(pub(crate) &'a [u8]);

impl Layout for Descriptor<'_> {
    fn write(&self, sink: &mut impl Sink) {
        sink.bytes(self.0);
    }
}
