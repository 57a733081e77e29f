//! Enumerators against a plain sorted vector, under random programs of writes, pages, templates and many
//! open handles; every divergence shrinks to a short program.
use crate::connect::connect;
use openwfp_api::*;
use openwfp_engine::Engine;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

/// What a program does.
#[derive(Clone, Debug)]
enum Step {
    /// The provider lists these SAs, given by small numbers.
    Replace(Vec<u8>),
    Open(Kind),
    /// Claims from the n-th open enumerator and accepts so many of the page.
    Page {
        which: prop::sample::Index,
        limit: u32,
        accept: usize,
    },
    /// Claims a page, claims another, and gives the first one back after that.
    Overlap {
        which: prop::sample::Index,
        limit: u32,
    },
    Destroy(prop::sample::Index),
}

/// What an enumerator shows.
#[derive(Clone, Debug)]
enum Kind {
    All,
    Local(AddressMatch),
    Remote(AddressMatch),
    Both(AddressMatch, AddressMatch),
    Spi(u8),
    After(u64),
}

/// A context of the model: a few bits of a number decide its addresses.
fn context(number: u8) -> SaContext {
    let endpoints = Endpoints::new(local(number), remote(number)).unwrap();
    let mut context = SaContext::new(SaContextId(0), Traffic::new(endpoints, Mode::Tunnel));
    let aead = Aead { algorithm: AeadAlgorithm::AesGcm, icv_bits: 128, key: Key::new(&[number; 20]) };
    let details = |spi: u32| SaDetails {
        filter_id: FilterId(0),
        bundle: SaBundle::new(SaList::one(Sa {
            spi: Spi::new(spi).unwrap(),
            transform: Transform::EspAead(aead.clone()),
            linux: None,
        })),
        udp_encapsulation: None,
        virtual_if_tunnel: None,
    };
    context.inbound = Some(details(256 + u32::from(number)));
    context.outbound = Some(details(1000 + u32::from(number / 2)));
    context.state = SaState::Complete;
    context
}

fn local(number: u8) -> IpAddr {
    if number & 1 == 0 {
        [10, 0, 0, number >> 6].into()
    } else {
        [0xfd, 0, 0, 0, 0, 0, 0, u16::from(number >> 6)].into()
    }
}

fn remote(number: u8) -> IpAddr {
    if number & 1 == 0 {
        [192, 0, 2, number].into()
    } else {
        [0xfd, 1, 0, 0, 0, 0, 0, u16::from(number)].into()
    }
}

fn address() -> impl Strategy<Value = AddressMatch> {
    let v4 = |a: u8, b: u8| -> IpAddr { [192, 0, 2, a.min(b)].into() };
    prop_oneof![
        any::<u8>().prop_map(|n| AddressMatch::Address(remote(n))),
        any::<u8>().prop_map(|n| AddressMatch::Address(local(n))),
        (any::<u8>(), 20u8..=32).prop_map(|(n, bits)| AddressMatch::Subnet(
            IpNet::new([192, 0, 2, n].into(), bits).unwrap().trunc()
        )),
        (0u8..=128).prop_map(|bits| AddressMatch::Subnet(
            IpNet::new([0xfd, 1, 0, 0, 0, 0, 0, 9].into(), bits).unwrap().trunc()
        )),
        (any::<u8>(), any::<u8>())
            .prop_map(move |(a, b)| { AddressMatch::range(v4(a, b), [192, 0, 2, a.max(b)].into()).unwrap() }),
        Just(AddressMatch::Any),
    ]
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        Just(Kind::All),
        address().prop_map(Kind::Local),
        address().prop_map(Kind::Remote),
        (address(), address()).prop_map(|(a, b)| Kind::Both(a, b)),
        any::<u8>().prop_map(Kind::Spi),
        (0u64..60).prop_map(Kind::After),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let limit = || prop_oneof![Just(0), 1u32..8, Just(1000), Just(u32::MAX)];
    prop_oneof![
        2 => prop::collection::vec(any::<u8>(), 0..40).prop_map(|mut numbers| {
            numbers.sort_unstable();
            numbers.dedup();
            Step::Replace(numbers)
        }),
        2 => kind().prop_map(Step::Open),
        6 => (any::<prop::sample::Index>(), limit(), 0usize..9)
            .prop_map(|(which, limit, accept)| Step::Page { which, limit, accept }),
        1 => (any::<prop::sample::Index>(), 1u32..8).prop_map(|(which, limit)| Step::Overlap { which, limit }),
        1 => any::<prop::sample::Index>().prop_map(Step::Destroy),
    ]
}

impl Kind {
    fn options(&self) -> EnumOptions {
        let template = |local: &AddressMatch, remote: &AddressMatch| EnumOptions {
            template: ContextTemplate { local: local.clone(), remote: remote.clone() },
            ..EnumOptions::default()
        };
        match self {
            Kind::All => EnumOptions::default(),
            Kind::Local(local) => template(local, &AddressMatch::Any),
            Kind::Remote(remote) => template(&AddressMatch::Any, remote),
            Kind::Both(local, remote) => template(local, remote),
            Kind::Spi(spi) => EnumOptions { spi: Spi::new(900 + u32::from(*spi)), ..EnumOptions::default() },
            Kind::After(id) => EnumOptions { after: Some(SaContextId(*id)), ..EnumOptions::default() },
        }
    }

    fn shows(&self, id: u64, number: u8) -> bool {
        match self {
            Kind::All => true,
            Kind::Local(address) => address.contains(local(number)),
            Kind::Remote(address) => address.contains(remote(number)),
            Kind::Both(a, b) => a.contains(local(number)) && b.contains(remote(number)),
            Kind::Spi(spi) => {
                let spi = 900 + u32::from(*spi);
                spi == 256 + u32::from(number) || spi == 1000 + u32::from(number / 2)
            }
            Kind::After(after) => id > *after,
        }
    }
}

/// The model: what is there as (id, number), sorted; and what each open enumerator has yet to show.
#[derive(Default)]
struct Model {
    contexts: Vec<(u64, u8)>,
    newest: u64,
    open: Vec<(EnumId, VecDeque<u64>)>,
}

impl Model {
    fn replace(&mut self, numbers: &[u8]) {
        self.contexts.retain(|(_, number)| numbers.contains(number));
        for number in numbers {
            if !self.contexts.iter().any(|(_, old)| old == number) {
                self.newest += 1;
                self.contexts.push((self.newest, *number));
            }
        }
        self.contexts.sort_unstable();
    }
}

fn ids(contexts: &[Arc<SaContext>]) -> Vec<u64> {
    contexts.iter().map(|context| context.id.0).collect()
}

fn run(steps: &[Step]) -> Result<(), TestCaseError> {
    let engine = Engine::new();
    let session = connect(&engine, SessionOptions::default()).unwrap();
    let mut model = Model::default();
    for step in steps {
        match step {
            Step::Replace(numbers) => {
                let listed = numbers.iter().map(|number| context(*number)).collect();
                engine.mirror().replace(listed, Completeness::Whole).unwrap();
                model.replace(numbers);
            }
            Step::Open(kind) => {
                let id = session.sa_context_create_enum(&kind.options()).unwrap();
                let shown = model.contexts.iter().filter(|(id, number)| kind.shows(*id, *number));
                model.open.push((id, shown.map(|(id, _)| *id).collect()));
            }
            Step::Page { which, limit, accept } if !model.open.is_empty() => {
                let (id, left) = which.get(&model.open).clone();
                let claim = session.sa_context_enum(id, *limit).unwrap();
                let expected: Vec<u64> = left.iter().copied().take(*limit as usize).collect();
                prop_assert_eq!(ids(claim.entries()), expected.clone(), "{:?}", step);
                let accepted = claim.accept_first(*accept);
                prop_assert_eq!(ids(&accepted), &expected[..expected.len().min(*accept)]);
                let at = which.index(model.open.len());
                model.open[at].1.drain(..accepted.len());
            }
            Step::Overlap { which, limit } if !model.open.is_empty() => {
                let at = which.index(model.open.len());
                let first = session.sa_context_enum(model.open[at].0, *limit).unwrap();
                let second = session.sa_context_enum(model.open[at].0, *limit).unwrap();
                let count = first.entries().len();
                let shown = ids(&second.accept());
                drop(first);
                let expected: Vec<u64> =
                    model.open[at].1.iter().copied().skip(count).take(*limit as usize).collect();
                prop_assert_eq!(&shown, &expected);
                model.open[at].1.retain(|id| !shown.contains(id));
            }
            Step::Destroy(which) if !model.open.is_empty() => {
                let (id, _) = model.open.remove(which.index(model.open.len()));
                session.destroy_enum(id).unwrap();
                prop_assert_eq!(
                    session.sa_context_enum(id, 1).unwrap_err().code(),
                    Code::ERROR_INVALID_HANDLE
                );
            }
            _ => {}
        }
        for (id, number) in &model.contexts {
            let found = session.sa_context_by_id(SaContextId(*id)).unwrap();
            prop_assert_eq!(found.traffic.endpoints.remote(), remote(*number));
        }
        let gone = session.sa_context_by_id(SaContextId(model.newest + 1)).unwrap_err();
        prop_assert_eq!(gone.code(), Code::FWP_E_NOT_FOUND);
    }
    for (id, left) in model.open {
        prop_assert_eq!(ids(&session.sa_context_enum(id, u32::MAX).unwrap().accept()), Vec::from(left));
        prop_assert!(session.sa_context_enum(id, 1).unwrap().entries().is_empty());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(super::common::programs()))]

    #[test]
    fn enumerators_agree_with_a_sorted_vector(steps in prop::collection::vec(step(), 1..40)) {
        run(&steps)?;
    }
}
