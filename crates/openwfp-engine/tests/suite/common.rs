//! What the engine's tests share: traffic, bundles and whole lives.
#![allow(dead_code, reason = "each test uses some of it")]

use crate::connect::connect;
use openwfp_api::*;
use openwfp_engine::Engine;
use std::sync::Arc;
use std::sync::Mutex;

pub(crate) fn traffic(last: u8) -> Traffic {
    Traffic::new(Endpoints::new([192, 0, 2, 1].into(), [198, 51, 100, last].into()).unwrap(), Mode::Tunnel)
}

pub(crate) fn new(last: u8) -> NewSaContext {
    NewSaContext::new(traffic(last)).filter(FilterId(7))
}

pub(crate) fn request(last: u8) -> InboundRequest {
    InboundRequest::new(traffic(last)).filter(FilterId(8))
}

pub(crate) fn spi(value: u32) -> Spi {
    Spi::new(value).unwrap()
}

pub(crate) fn bundle(value: u32) -> SaBundle {
    let aead = Aead { algorithm: AeadAlgorithm::AesGcm, icv_bits: 128, key: Key::new(&[1; 20]) };
    SaBundle::new(SaList::one(Sa { spi: spi(value), transform: Transform::EspAead(aead), linux: None }))
}

pub(crate) fn limited(value: u32, lifetime: Lifetime) -> SaBundle {
    SaBundle { lifetime, ..bundle(value) }
}

pub(crate) fn open(engine: &Engine) -> Arc<dyn Session> {
    connect(engine, SessionOptions::new()).unwrap()
}

/// A context with an inbound SPI.
pub(crate) fn reserved(session: &dyn Session, last: u8) -> (SaContextId, Spi) {
    let id = session.sa_context_create(&new(last)).unwrap();
    (id, session.sa_context_get_spi(id, &request(last)).unwrap())
}

/// A complete context.
pub(crate) fn complete(session: &dyn Session, last: u8) -> SaContextId {
    complete_with(session, last, &bundle(0x1000))
}

/// A complete context of two bundles like this one.
pub(crate) fn complete_with(session: &dyn Session, last: u8, like: &SaBundle) -> SaContextId {
    let (id, inbound) = reserved(session, last);
    let sas = bundle(inbound.get()).sas;
    session.sa_context_add_inbound(id, SaBundle { sas, ..like.clone() }).unwrap();
    session.sa_context_add_outbound(id, SaBundle { sas: bundle(0x2000).sas, ..like.clone() }).unwrap();
    id
}

/// The ids of all contexts that a session sees.
pub(crate) fn ids(session: &dyn Session) -> Vec<u64> {
    let id = session.sa_context_create_enum(&EnumOptions::default()).unwrap();
    let page = session.sa_context_enum(id, u32::MAX).unwrap().accept();
    session.destroy_enum(id).unwrap();
    page.iter().map(|context| context.id.0).collect()
}

pub(crate) fn code<T>(result: Result<T>) -> Code {
    match result {
        Ok(_) => Code::ERROR_SUCCESS,
        Err(error) => {
            assert!(error.what().len() > 10, "an error says in words what was wrong: {error}");
            error.code()
        }
    }
}

/// What waits in a stream, as kinds and ids.
pub(crate) fn told(stream: &mut dyn EventStream) -> Vec<(EventKind, u64)> {
    let mut told = Vec::new();
    while let Some(notification) = stream.next(std::time::Duration::ZERO).unwrap() {
        match notification {
            Notification::Event(event) => told.push((event.kind, event.id.0)),
            _ => panic!("nothing should be dropped here: {notification:?}"),
        }
    }
    told
}

/// A dataplane that notes what it is asked and refuses what it is told to.
#[derive(Default)]
pub(crate) struct Notes {
    calls: Mutex<Vec<String>>,
    pub(crate) refuses: Mutex<Option<&'static str>>,
}

impl Notes {
    fn note(&self, call: &str, direction: Direction) -> Result {
        let word = match direction {
            Direction::Inbound => "inbound",
            Direction::Outbound => "outbound",
        };
        let call = format!("{call} {word}");
        if *self.refuses.lock().unwrap() == Some(&*call) {
            return Err(Error::new(Code::ERROR_NOT_SUPPORTED, "the kernel says: unknown algorithm"));
        }
        self.calls.lock().unwrap().push(call);
        Ok(())
    }

    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }

    pub(crate) fn engine(self: &Arc<Notes>) -> Engine {
        Engine::builder().dataplane(Arc::clone(self) as Arc<dyn Dataplane>).without_thread().build()
    }
}

impl Dataplane for Notes {
    fn install(&self, context: &SaContext, direction: Direction, keys: &KeyAccess) -> Result {
        let sa = context.details(direction).unwrap().bundle.sas.first();
        assert!(sa.transform.keys().all(|key| key.bytes(keys).len() == 20));
        self.note("install", direction)
    }

    fn update(&self, old: &SaContext, new: &SaContext, direction: Direction, _keys: &KeyAccess) -> Result {
        assert_ne!(old, new);
        self.note("update", direction)
    }

    fn remove(&self, _context: &SaContext, direction: Direction) -> Result<Option<CounterUpdate>> {
        self.note("remove", direction).map(|()| None)
    }
}

/// A dataplane that takes everything, counts so many drops, and ends lifetimes itself or not.
#[derive(Default)]
pub(crate) struct Willing {
    pub(crate) drops: ProviderDrops,
    pub(crate) enforces_lifetimes: bool,
}

impl Dataplane for Willing {
    fn install(&self, _: &SaContext, _: Direction, _: &KeyAccess) -> Result {
        Ok(())
    }

    fn update(&self, _: &SaContext, _: &SaContext, _: Direction, _: &KeyAccess) -> Result {
        Ok(())
    }

    fn remove(&self, _: &SaContext, _: Direction) -> Result<Option<CounterUpdate>> {
        Ok(None)
    }

    fn drops(&self) -> Result<ProviderDrops> {
        Ok(self.drops)
    }

    fn enforces_lifetimes(&self) -> bool {
        self.enforces_lifetimes
    }
}

/// How many random programs a model runs; `OPENWFP_MODEL_PROGRAMS` asks for more. Over a wire each call takes a thousand
/// times as long, so that there are fewer.
pub(crate) fn programs() -> u32 {
    let asked = std::env::var("OPENWFP_MODEL_PROGRAMS").ok().and_then(|text| text.parse().ok());
    let programs: u32 = asked.unwrap_or(3000);
    if crate::connect::IN_PROCESS { programs } else { (programs / 100).max(30) }
}
