//! Streamed answers: a session's own stream, listings and watches.
//!
//! Each stream produces its next part when the transport asks for it, which happens only while the
//! client reads. A slow client therefore makes nothing accumulate in memory.

use super::Shared;
use super::limits::Slot;
use super::service::Running;
use super::service::context_page;
use super::service::keys;
use super::sessions::Open;
use super::sessions::Token;
use crate::codec::EventPage;
use crate::codec::Raw;
use crate::proto::EnumRequest;
use crate::proto::ErrorDetail;
use crate::proto::SessionMessage;
use crate::proto::SessionOpened;
use crate::proto::session_message::Message;
use crate::status::to_status;
use openwfp_api::EventStream;
use openwfp_api::Notification;
use openwfp_api::Result;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;
use tokio_stream::Stream;
use tokio_stream::wrappers::WatchStream;
use tonic::Status;

/// The stream of a session. Dropping it ends the session.
pub(crate) struct SessionStream {
    shared: Arc<Shared>,
    token: Token,
    opened: Option<SessionOpened>,
    ended: WatchStream<Option<ErrorDetail>>,
    over: bool,
}

impl SessionStream {
    pub(crate) fn new(
        shared: Arc<Shared>,
        token: Token,
        opened: SessionOpened,
        open: &Open,
    ) -> SessionStream {
        let ended = WatchStream::new(open.ended.subscribe());
        SessionStream { shared, token, opened: Some(opened), ended, over: false }
    }
}

impl Stream for SessionStream {
    type Item = Result<SessionMessage, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(opened) = self.opened.take() {
            return Poll::Ready(Some(Ok(SessionMessage { message: Some(Message::Opened(opened)) })));
        }
        if self.over {
            return Poll::Ready(None);
        }
        loop {
            match Pin::new(&mut self.ended).poll_next(context) {
                Poll::Ready(Some(None)) => {}
                Poll::Ready(Some(Some(why))) => {
                    self.over = true;
                    return Poll::Ready(Some(Ok(SessionMessage { message: Some(Message::Ended(why)) })));
                }
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl Drop for SessionStream {
    fn drop(&mut self) {
        match self.shared.sessions.close(&self.token) {
            Ok(()) => tracing::debug!("session ended"),
            // The client closed the session before.
            Err(error) => tracing::debug!("session ended: {error}"),
        }
    }
}

/// Streams the rest of an enumerator, page by page.
pub(crate) struct ListStream {
    pub(crate) running: Running,
    pub(crate) request: EnumRequest,
    /// How many more contexts to send. `None` means all.
    pub(crate) left: Option<u32>,
    pub(crate) over: bool,
}

impl Stream for ListStream {
    type Item = Result<Raw, Status>;

    fn poll_next(mut self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.over {
            return Poll::Ready(None);
        }
        let Running { shared, open } = &self.running;
        // Parts are small enough to be in transit while the next one is encoded.
        let bytes_max = shared.limits().page_bytes.min(1 << 18);
        let request = EnumRequest { limit: self.left.unwrap_or(u32::MAX), ..self.request.clone() };
        let page = self.running.check().and_then(|()| context_page(shared, open, &request, bytes_max));
        Poll::Ready(Some(match page {
            Ok((page, count, more)) => {
                self.left = self.left.map(|left| left.saturating_sub(count));
                self.over = !more || self.left == Some(0);
                Ok(page)
            }
            Err(error) => {
                self.over = true;
                Err(to_status(&error))
            }
        }))
    }
}

/// Streams events as they occur.
pub(crate) struct WatchEvents {
    pub(crate) open: Arc<Open>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) stream: Box<dyn EventStream>,
    pub(crate) keys: bool,
    pub(crate) over: bool,
    pub(crate) _slot: Slot,
}

impl Stream for WatchEvents {
    type Item = Result<Raw, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.over {
            return Poll::Ready(None);
        }
        let first = match self.stream.poll_next(context) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(first) => first,
        };
        let bytes_max = self.shared.limits().page_bytes;
        let wanted = self.keys;
        let this = &mut *self;
        let page = first
            .and_then(|first| event_page(&this.open, &mut *this.stream, &first, u32::MAX, bytes_max, wanted));
        Poll::Ready(Some(page.map_err(|error| {
            this.over = true;
            to_status(&error)
        })))
    }
}

/// Returns a page with the first event and those that wait behind it in the queue.
pub(crate) fn event_page(
    open: &Open,
    stream: &mut dyn EventStream,
    first: &Notification,
    limit: u32,
    bytes_max: usize,
    wants_keys: bool,
) -> Result<Raw> {
    let keys = keys(open, wants_keys)?;
    let mut page = EventPage::new(bytes_max, keys.as_ref());
    let mut room = page.push(first);
    let mut count = 1;
    while room && count < limit {
        // The next call reports an error; the events that were already taken must be delivered first.
        let Ok(Some(next)) = stream.next(Duration::ZERO) else { break };
        room = page.push(&next);
        count += 1;
    }
    Ok(page.finish())
}
