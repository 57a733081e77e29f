//! Keeps a copy of an engine's contexts: lists them, follows events, and lists again after events were
//! dropped.
//!
//! Run it with `cargo run -p openwfp-engine --example watcher`.

use openwfp_api::BatchMode;
use openwfp_api::Code;
use openwfp_api::Endpoints;
use openwfp_api::EnumOptions;
use openwfp_api::Error;
use openwfp_api::EventKind;
use openwfp_api::EventStream;
use openwfp_api::Mode;
use openwfp_api::Notification;
use openwfp_api::Result;
use openwfp_api::SaContext;
use openwfp_api::SaContextId;
use openwfp_api::SaContextStep;
use openwfp_api::SaState;
use openwfp_api::Session;
use openwfp_api::SubscriptionOptions;
use openwfp_api::Traffic;
use openwfp_api::Version;
use openwfp_engine::Engine;
use openwfp_engine::SessionOptions;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

fn main() -> Result {
    let engine = Engine::new();
    let session = engine.open_session(SessionOptions::new().name("example watcher"))?;

    // Subscribe before listing, so that no change is missed in between. The small queue makes it
    // overflow, to show how to handle dropped events.
    let options = SubscriptionOptions { queue_length: 3, ..SubscriptionOptions::default() };
    let mut stream = session.events(&options)?;
    let mut copy = Replica::list(&*session)?;

    let other = engine.open_session(SessionOptions::new())?;
    work(&*other, 1..3)?;
    copy.follow(&*session, &mut *stream)?;
    println!("{} contexts after {} listing", copy.contexts.len(), copy.listings);

    work(&*other, 3..10)?;
    copy.follow(&*session, &mut *stream)?;
    println!("{} contexts after {} listings", copy.contexts.len(), copy.listings);
    Ok(())
}

/// Copy of the engine's complete contexts.
struct Replica {
    version: Version,
    contexts: BTreeMap<SaContextId, Arc<SaContext>>,
    listings: u32,
}

impl Replica {
    fn list(session: &dyn Session) -> Result<Replica> {
        let listed = session.sa_contexts(&EnumOptions::default())?;
        let version = session.enum_version(listed.enumerator())?;
        let mut contexts = BTreeMap::new();
        for context in listed {
            let context = context?;
            if context.state == SaState::Complete {
                contexts.insert(context.id, context);
            }
        }
        Ok(Replica { version, contexts, listings: 1 })
    }

    fn follow(&mut self, session: &dyn Session, stream: &mut dyn EventStream) -> Result {
        while let Some(notification) = stream.next(Duration::ZERO)? {
            match notification {
                // The listing already includes this change.
                Notification::Event(event) if event.version <= self.version => {}
                Notification::Event(event) => match (event.kind, event.context) {
                    (EventKind::Add, Some(context)) => drop(self.contexts.insert(event.id, context)),
                    _ => drop(self.contexts.remove(&event.id)),
                },
                Notification::Dropped { count, .. } => {
                    println!("{count} events were dropped: list again");
                    *self = Replica { listings: self.listings + 1, ..Replica::list(session)? };
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Sets up contexts, as another client would.
fn work(session: &dyn Session, peers: std::ops::Range<u8>) -> Result {
    let steps = peers.map(|peer| {
        let endpoints = Endpoints::new([192, 0, 2, 1].into(), [198, 51, 100, peer].into());
        let traffic =
            Traffic::new(endpoints.ok_or_else(|| Error::from(Code::FWP_E_TRAFFIC_MISMATCH))?, Mode::Tunnel);
        Ok(example::establish(traffic, 0x1000 + u32::from(peer)))
    });
    let steps: Vec<SaContextStep> = steps.collect::<Result<_>>()?;
    session.sa_context_batch(steps, BatchMode::AllOrNothing).map(drop)
}

#[path = "support/example.rs"]
mod example;
