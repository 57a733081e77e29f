//! Whatever objects, templates, packets, net events and SA contexts come: the engine takes or refuses them, in time.
#![no_main]

use libfuzzer_sys::fuzz_target;
use openwfp_api::AddressMatch;
use openwfp_api::Code;
use openwfp_api::ContextTemplate;
use openwfp_api::EnumId;
use openwfp_api::EnumOptions;
use openwfp_api::InboundRequest;
use openwfp_api::IpNet;
use openwfp_api::KeyAccess;
use openwfp_api::NewSaContext;
use openwfp_api::Random;
use openwfp_api::Result;
use openwfp_api::SaEnumOptions;
use openwfp_api::Session;
use openwfp_api::SessionOptions;
use openwfp_api::TransactionMode;
use openwfp_api::UpdateFlags;
use openwfp_api::object::net_event::NetEvent;
use openwfp_api::object::net_event::NetEventTemplate;
use openwfp_api::object::packet::Packet;
use openwfp_api::object::step::ObjectStep;
use openwfp_api::object::template::ObjectTemplate;
use openwfp_api::record::Address;
use openwfp_api::record::Record;
use openwfp_engine::Engine;
use openwfp_rpc::codec;
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::Ordering;

/// Numbers instead of random bytes, so that an input always does the same.
#[derive(Default)]
struct Numbers(AtomicU8);

impl Random for Numbers {
    fn fill(&self, bytes: &mut [u8]) -> Result {
        bytes.fill_with(|| self.0.fetch_add(1, Ordering::Relaxed));
        Ok(())
    }
}

/// Claims all pages of an enumerator.
fn read<T>(session: &dyn Session, id: EnumId, page: impl Fn() -> Result<openwfp_api::Claim<T>>) -> Result {
    while !page()?.accept().is_empty() {}
    session.destroy_enum(id)
}

fn context_template(bytes: &[u8]) -> Result<ContextTemplate> {
    let matches = |bytes: &[u8]| {
        let Some(([kind, prefix, ends @ ..], _)) = bytes.split_first_chunk::<34>() else {
            return Ok(AddressMatch::Any);
        };
        let [low, high] = [&ends[..16], &ends[16..]].map(|end| {
            let v6 = Ipv6Addr::from(<[u8; 16]>::try_from(end).expect("16 bytes"));
            if kind & 8 == 0 { v6.to_canonical() } else { v6.into() }
        });
        match kind % 4 {
            0 => Ok(AddressMatch::Address(low)),
            1 => Ok(IpNet::new(low, *prefix).map_or(AddressMatch::Any, AddressMatch::Subnet)),
            2 => AddressMatch::range(low, high),
            _ => Ok(AddressMatch::Any),
        }
    };
    Ok(ContextTemplate { local: matches(bytes)?, remote: matches(bytes.get(34..).unwrap_or_default())? })
}

/// Brings an SA context to life with the values of one that was read, and changes it to them.
fn live(session: &dyn Session, bytes: &[u8]) -> Result {
    let mut values = codec::decode_context(bytes)?;
    values.id = session.sa_context_create(&NewSaContext::new(values.traffic.clone()))?;
    let request = InboundRequest::new(values.traffic.clone());
    match &values.inbound {
        Some(inbound) => {
            let spi = inbound.bundle.sas.first().spi;
            session.sa_context_set_spi(values.id, &request.filter(inbound.filter_id), spi)?;
            session.sa_context_add_inbound(values.id, inbound.bundle.clone())?;
        }
        None => drop(session.sa_context_get_spi(values.id, &request)?),
    }
    if let Some(outbound) = &values.outbound {
        session.sa_context_add_outbound(values.id, outbound.bundle.clone())?;
    }
    session.sa_context_update(UpdateFlags::ALL, &values)?;
    session.sa_context_expire(values.id)
}

fn call(session: &dyn Session, what: u8, bytes: &[u8]) -> Result {
    match what % 9 {
        0 => session.object_step(ObjectStep::decode(bytes)?).map(drop),
        1 => {
            let id = session.object_create_enum(&ObjectTemplate::decode(bytes)?)?;
            read(session, id, || session.object_enum(id, 100))
        }
        2 => {
            let packet = Packet::decode(bytes)?;
            session.classify(&packet)?;
            session.explain(&packet).map(drop)
        }
        3 => session.net_event_report(NetEvent::decode(bytes)?),
        4 => {
            let id = session.net_event_create_enum(&NetEventTemplate::decode(bytes)?)?;
            read(session, id, || session.net_event_enum(id, 100))
        }
        5 => live(session, bytes),
        6 => {
            let template = context_template(bytes)?;
            let id = session.sa_context_create_enum(&EnumOptions { template, ..EnumOptions::default() })?;
            read(session, id, || session.sa_context_enum(id, 100))?;
            let id = session.sa_create_enum(&SaEnumOptions::default())?;
            read(session, id, || session.sa_enum(id, 100))
        }
        7 => session.transaction_begin(match bytes {
            [1, ..] => TransactionMode::ReadOnly,
            _ => TransactionMode::ReadWrite,
        }),
        _ => match bytes {
            [1, ..] => session.transaction_abort(),
            _ => session.transaction_commit(),
        },
    }
}

fn examples() -> Vec<Vec<u8>> {
    let keys = KeyAccess::grant();
    let steps: Vec<_> = openwfp_fuzz::steps().iter().map(|step| (0, step.encode(Some(&keys)))).collect();
    let templates = openwfp_fuzz::templates().into_iter().map(|template| (1, template.encode(None)));
    let packets = openwfp_fuzz::packets().into_iter().map(|packet| (2, packet.encode(None)));
    let event = NetEvent { local: Some(Address([192, 0, 2, 1].into())), ..NetEvent::default() };
    let events = [(3, event.encode(None)), (4, NetEventTemplate::default().encode(None))];
    let context = (5, codec::encode_context(&openwfp_fuzz::context(), Some(&keys)));
    let subnet = [&[1, 24][..], &Ipv6Addr::from_bits(0xFFFF_C000_0200).octets(), &[0; 16]].concat();
    // Most objects refer to the first two.
    let each = steps[2..].iter().map(|step| [&steps[..2], std::slice::from_ref(step)].concat());
    let mut examples: Vec<_> = each.collect();
    examples.push([steps.clone(), templates.collect()].concat());
    examples.push([steps.clone(), packets.collect(), events.into()].concat());
    examples.push(vec![context, (6, Vec::new()), (6, subnet.repeat(2))]);
    examples.push([vec![(7, vec![0])], steps, vec![(8, vec![0])]].concat());
    examples
        .iter()
        .map(|parts| openwfp_fuzz::join(parts.iter().map(|(what, part)| (*what, &part[..]))))
        .collect()
}

fuzz_target!(
    init: openwfp_fuzz::start_from(examples()),
    |bytes: &[u8]| {
        let engine = Engine::builder().random(Arc::new(Numbers::default())).without_thread().build();
        let session = engine.open_session(SessionOptions::new()).expect("an engine of its own");
        for (what, part) in openwfp_fuzz::split(bytes).take(32) {
            if let Err(error) = call(&*session, what, part) {
                assert_ne!(error.code(), Code::ERROR_INTERNAL_ERROR, "{error}");
            }
        }
        engine.run_due();
        session.close().expect("it is open");
    }
);
