//! Writes sessions.

use super::guid;
use super::page;
use crate::abi::FWPM_DISPLAY_DATA0;
use crate::abi::FWPM_SESSION0;
use crate::arena::Layout;
use crate::arena::Sink;
use crate::wide;
use openwfp_api::SessionInfo;
use std::sync::Arc;

/// A page of sessions.
pub(crate) struct Sessions<'a>(pub(crate) &'a [Arc<SessionInfo>]);

impl Layout for Sessions<'_> {
    fn write(&self, sink: &mut impl Sink) {
        page(sink, self.0, |sink, session| FWPM_SESSION0 {
            sessionKey: guid(session.key),
            displayData: FWPM_DISPLAY_DATA0 {
                name: wide::put(sink, &session.name),
                description: wide::put(sink, &session.description),
            },
            flags: u32::from(session.dynamic),
            txnWaitTimeoutInMSec: u32::try_from(session.transaction_wait.as_millis()).unwrap_or(u32::MAX),
            processId: session.process_id,
            sid: sink.bytes(&session.user.to_bytes()).cast(),
            username: wide::put(sink, &session.user_name),
            kernelMode: session.kernel_mode.into(),
        });
    }
}
