//! Compares this codec with prost: prost decodes every message written here and encodes the same bytes
//! again.

use super::step::put_step;
use super::*;
use crate::proto;
use openwfp_api::object::policy::*;
use openwfp_api::object::value::Value;
use openwfp_api::object::*;
use openwfp_api::record::Address;
use openwfp_api::record::Blob;
use openwfp_api::record::Record;
use openwfp_api::*;
use proptest::prelude::*;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A generator of values from a seed: each part is present or absent, small or large.
struct Seed(u64);

impl Seed {
    fn value(&mut self, depth: u32) -> Value {
        let number = self.number();
        #[allow(clippy::cast_possible_truncation, reason = "any bits do")]
        match number % 12 {
            0 => Value::EMPTY,
            1 => Value::Uint8(number as u8),
            2 => Value::Uint16(number as u16),
            3 => Value::Uint32(number as u32),
            4 => Value::Uint64(number),
            5 => Value::Int64(number.cast_signed()),
            6 => Value::Int8(-5),
            7 => Value::Double(0.25),
            8 => Value::ByteArray16([number as u8; 16]),
            9 => Value::UnicodeString(format!("text {number}")),
            10 if depth == 0 => Value::range(self.value(1), self.value(1)),
            _ => Value::network("10.0.0.0/8".parse().unwrap()),
        }
    }

    fn object(&mut self) -> Object {
        let guid = |number: u64| Guid { data1: u32::try_from(number >> 32).unwrap(), ..Guid::default() };
        let condition = |seed: &mut Seed| FilterCondition {
            field: guid(seed.number()),
            match_type: MatchType::Range,
            value: seed.value(0),
        };
        if self.number().is_multiple_of(2) {
            return Object::Filter(Filter {
                key: guid(self.number()),
                name: format!("filter {}", self.number()),
                flags: 8,
                provider: self.maybe(|seed| guid(seed.number())),
                weight: self.value(1),
                conditions: (0..self.number() % 5).map(|_| condition(self)).collect(),
                action: Action { kind: ActionType::CalloutTerminating, callout: guid(self.number()) },
                context: FilterContext::ProviderContext(guid(self.number())),
                id: self.number(),
                effective_weight: self.number(),
                ..Filter::default()
            });
        }
        let preshared = PresharedKey { key: Key::new(&self.number().to_be_bytes()), flags: 1 };
        let ike = IkePolicy {
            authentication_methods: vec![AuthenticationMethod {
                method: 0,
                detail: AuthenticationDetail::PresharedKey(preshared),
            }],
            proposals: vec![IkeProposal { cipher: 3, ..IkeProposal::default() }],
            ..IkePolicy::default()
        };
        Object::ProviderContext(ProviderContext {
            key: guid(self.number()),
            name: "context".into(),
            policy: self.of(&[
                Policy::IkeMm(ike),
                Policy::General(Blob(vec![1, 2, 3])),
                Policy::IkeQmTunnel(TunnelPolicy {
                    endpoints: TunnelEndpoints {
                        local: Address("192.0.2.1".parse().unwrap()),
                        remote: Address("2001:db8::1".parse().unwrap()),
                        ..TunnelEndpoints::default()
                    },
                    ..TunnelPolicy::default()
                }),
            ]),
            id: self.number(),
            ..ProviderContext::default()
        })
    }

    fn next(&mut self) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    fn number(&mut self) -> u64 {
        let bits = self.next() % 65;
        if bits == 0 { 0 } else { self.next() >> (64 - bits) }
    }

    #[allow(clippy::cast_possible_truncation, reason = "random bits")]
    fn u32(&mut self) -> u32 {
        self.number() as u32
    }

    #[allow(clippy::cast_possible_truncation, reason = "random bits")]
    fn u16(&mut self) -> u16 {
        self.number() as u16
    }

    #[allow(clippy::cast_possible_truncation, reason = "random bits")]
    fn u8(&mut self) -> u8 {
        self.number() as u8
    }

    fn maybe<T>(&mut self, make: impl FnOnce(&mut Seed) -> T) -> Option<T> {
        self.next().is_multiple_of(2).then(|| make(self))
    }

    fn many<T>(&mut self, mut make: impl FnMut(&mut Seed) -> T) -> Vec<T> {
        (0..self.below(4)).map(|_| make(self)).collect()
    }

    fn bytes(&mut self, limit: usize) -> Vec<u8> {
        // No zeros, so that key bytes are not found in other parts of a message by chance.
        (0..self.below(limit)).map(|_| self.u8() | 1).collect()
    }

    fn address(&mut self, v6: bool) -> std::net::IpAddr {
        if v6 {
            (u128::from(self.next()) << 64 | u128::from(self.next())).to_be_bytes().into()
        } else {
            self.u32().to_be_bytes().into()
        }
    }

    fn guid(&mut self) -> Guid {
        Guid::new(self.u32(), self.u16(), self.u16(), self.number().to_be_bytes())
    }

    fn spi(&mut self) -> Spi {
        Spi::new(self.u32() | 1).unwrap()
    }

    fn of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }

    fn traffic(&mut self) -> Traffic {
        let v6 = self.next().is_multiple_of(2);
        let endpoints = Endpoints::new(self.address(v6), self.address(v6)).unwrap();
        Traffic {
            ip_protocol: self.u8(),
            local_port: self.u16(),
            remote_port: self.u16(),
            local_if_luid: self.number(),
            real_if_profile_id: self.u32(),
            ..Traffic::new(endpoints, self.of(sa::MODES))
        }
    }

    fn selector(&mut self) -> Selector {
        let v6 = self.next().is_multiple_of(2);
        let network = |seed: &mut Seed| {
            let prefix = u8::try_from(seed.below(if v6 { 129 } else { 33 })).unwrap();
            IpNet::new(seed.address(v6), prefix).unwrap()
        };
        let (local, remote) = (network(self), network(self));
        let ports = |seed: &mut Seed| SelectorPorts { port: seed.u16(), mask: seed.u16() };
        Selector { local, remote, protocol: self.u8(), local_port: ports(self), remote_port: ports(self) }
    }

    fn key(&mut self) -> Key {
        Key::new(&self.bytes(70))
    }

    fn transform(&mut self, protocol: usize) -> Transform {
        let auth =
            |seed: &mut Seed| Auth { algorithm: seed.of(sa::AUTHS), icv_bits: seed.u16(), key: seed.key() };
        let cipher = |seed: &mut Seed| Cipher { algorithm: seed.of(sa::CIPHERS), key: seed.key() };
        match (protocol, self.below(4)) {
            (0, 0) => Transform::EspAuth(auth(self)),
            (0, 1) => Transform::EspCipher(cipher(self)),
            (0, 2) => {
                let both = EspAuthAndCipher { auth: auth(self), cipher: cipher(self) };
                Transform::EspAuthAndCipher(Box::new(both))
            }
            (0, _) => {
                let aead = Aead { algorithm: self.of(sa::AEADS), icv_bits: self.u16(), key: self.key() };
                Transform::EspAead(aead)
            }
            (1, _) => Transform::Ah(auth(self)),
            _ => Transform::Ipcomp(Compression { algorithm: self.of(sa::COMPRESSIONS) }),
        }
    }

    fn mark(&mut self) -> Mark {
        Mark { value: self.u32(), mask: self.u32() }
    }

    fn extras(&mut self) -> LinuxExtras {
        let v6 = self.next().is_multiple_of(2);
        LinuxExtras {
            limits: Limits {
                soft_bytes: self.number(),
                hard_bytes: self.number(),
                soft_packets: self.number(),
                hard_packets: self.number(),
                soft_use_seconds: self.number(),
                hard_use_seconds: self.number(),
            },
            selector: self.maybe(Seed::selector),
            mark: self.maybe(Seed::mark),
            output_mark: self.maybe(Seed::mark),
            if_id: self.u32(),
            tfc_padding: self.u32(),
            nat_keepalive_interval: self.u32(),
            cpu: self.maybe(Seed::u32),
            acquire_sequence: self.u32(),
            offload: self.maybe(|seed| HardwareOffload { interface: seed.u32(), flags: seed.u8() }),
            encapsulation_original: self.maybe(|seed| seed.address(v6)),
            encapsulation_type: self.u16(),
            care_of: self.maybe(|seed| seed.address(v6)),
            security_context: self.maybe(|_| "system_u:object_r:ipsec_spd_t:s0".into()),
            replay: self.maybe(|seed| {
                let bitmap = seed.many(Seed::u32).into();
                Box::new(Replay { inbound_sequence: seed.number(), outbound_sequence: seed.number(), bitmap })
            }),
            algorithm_names: self.many(|_| "hmac(streebog256)".into()).into(),
            unknown: self
                .many(|seed| UnknownAttribute { kind: seed.u16(), bytes: seed.bytes(200).into() })
                .into(),
        }
    }

    fn sa(&mut self, protocol: usize) -> Sa {
        let linux = |seed: &mut Seed| {
            Box::new(LinuxSa {
                reqid: seed.u32(),
                flags: seed.u8(),
                esn: seed.next().is_multiple_of(2),
                guessed_direction: seed.next().is_multiple_of(2),
                extra_flags: seed.u32(),
                replay_window: seed.u32(),
                added: seed.number(),
                first_used: seed.number(),
                soft_add_seconds: seed.number(),
                hard_add_seconds: seed.number(),
                extras: seed.maybe(|seed| Box::new(seed.extras())),
            })
        };
        Sa { spi: self.spi(), transform: self.transform(protocol), linux: self.maybe(linux) }
    }

    fn keying(&mut self) -> KeyingExtras {
        let token = |seed: &mut Seed| Token {
            token_type: seed.u32(),
            principal: seed.u32(),
            mode: seed.u32(),
            token: seed.number(),
        };
        KeyingExtras {
            nd_allow_clear_timeout_seconds: self.u32(),
            ipsec_id: self.maybe(|seed| IpsecId {
                mm_target_name: "gäteway".into(),
                em_target_name: String::new(),
                tokens: seed.many(token),
                explicit_credentials: seed.number(),
                logon_id: seed.number(),
            }),
            nap_context: self.u32(),
            key_module_state: self.maybe(|seed| KeyModuleState {
                key_module_key: seed.guid(),
                state_blob: Key::new(&seed.bytes(300)),
            }),
            peer_v4_private_address: self.maybe(|seed| seed.u32().into()),
            sa_lookup_context: self.guid(),
            qm_filter_id: self.number(),
            pfs_group: self.of(&[PfsGroup::None, PfsGroup::Group14, PfsGroup::Group24]),
        }
    }

    fn udp(&mut self) -> UdpEncapsulation {
        UdpEncapsulation { local_port: self.u16(), remote_port: self.u16() }
    }

    fn virtual_if(&mut self) -> VirtualIfTunnel {
        VirtualIfTunnel { virtual_if_tunnel_id: self.number(), traffic_selector_id: self.number() }
    }

    fn bundle(&mut self) -> SaBundle {
        let protocols = self.of(&[&[0][..], &[1], &[0, 1], &[0, 2], &[0, 1, 2], &[2]]);
        let sas: Vec<Sa> = protocols.iter().map(|protocol| self.sa(*protocol)).collect();
        SaBundle {
            flags: self.u32(),
            lifetime: Lifetime { seconds: self.u32(), kilobytes: self.u32(), packets: self.u32() },
            idle_timeout_seconds: self.u32(),
            qm_sa_id: self.u32(),
            mm_sa_id: self.number(),
            sas: SaList::new(sas).unwrap(),
            keying: self.maybe(|seed| Box::new(seed.keying())),
        }
    }

    fn details(&mut self) -> SaDetails {
        SaDetails {
            filter_id: FilterId(self.number()),
            bundle: self.bundle(),
            udp_encapsulation: self.maybe(Seed::udp),
            virtual_if_tunnel: self.maybe(|seed| Box::new(seed.virtual_if())),
        }
    }

    fn context(&mut self) -> SaContext {
        let spi = self.spi();
        let since = Timestamp(self.number());
        let states = [
            SaState::Created,
            SaState::HasSpi { inbound_spi: spi },
            SaState::Inbound,
            SaState::Outbound,
            SaState::Complete,
            SaState::Expiring { since },
        ];
        let context = SaContext {
            state: self.of(&states),
            selectors: Selectors::from(self.many(Seed::selector)),
            inbound: self.maybe(Seed::details),
            outbound: self.maybe(Seed::details),
            reservation: self.maybe(|seed| {
                Arc::new(Reservation {
                    outbound_filter_id: FilterId(seed.number()),
                    inbound_filter_id: FilterId(seed.number()),
                    udp_encapsulation: seed.maybe(Seed::udp),
                    virtual_if_tunnel: seed.maybe(Seed::virtual_if),
                    packet: seed.maybe(Seed::selector),
                })
            }),
            ..SaContext::new(SaContextId(self.number()), self.traffic())
        };
        for counters in [&context.counters.inbound, &context.counters.outbound] {
            counters.bytes.store(self.number(), Ordering::Relaxed);
            counters.packets.store(self.number(), Ordering::Relaxed);
            counters.last_used.store(self.number(), Ordering::Relaxed);
            counters.replay_window_drops.store(self.u32(), Ordering::Relaxed);
            counters.replay_drops.store(self.u32(), Ordering::Relaxed);
            counters.integrity_failures.store(self.u32(), Ordering::Relaxed);
        }
        if let Some(totals) = self.maybe(|seed| {
            let totals = Totals::default();
            totals.inbound.add(seed.number(), 1);
            totals.outbound.add(seed.number(), seed.number());
            totals
        }) {
            let _ = context.counters.totals.set(Arc::new(totals));
        }
        context
    }

    fn new_context(&mut self) -> NewSaContext {
        NewSaContext {
            traffic: self.traffic(),
            filter_id: FilterId(self.number()),
            virtual_if_tunnel: self.maybe(Seed::virtual_if),
        }
    }

    fn request(&mut self) -> InboundRequest {
        InboundRequest {
            traffic: self.traffic(),
            filter_id: FilterId(self.number()),
            udp_encapsulation: self.maybe(Seed::udp),
        }
    }

    fn step(&mut self) -> SaContextStep {
        let id = SaContextId(self.number());
        let pair = |seed: &mut Seed| Box::new(BundlePair { inbound: seed.bundle(), outbound: seed.bundle() });
        match self.below(11) {
            0 => SaContextStep::Create(self.new_context()),
            1 => SaContextStep::GetSpi(id, self.request()),
            2 => SaContextStep::SetSpi(id, self.request(), self.spi()),
            3 => SaContextStep::AddInbound(id, self.bundle()),
            4 => SaContextStep::AddOutbound(id, self.bundle()),
            5 => {
                let flags = UpdateFlags::from_bits(self.number() & 0x7F).unwrap();
                SaContextStep::Update(flags, Box::new(self.context()))
            }
            6 => SaContextStep::Expire(id),
            7 => SaContextStep::Delete(id),
            8 => SaContextStep::Reserve(self.new_context(), self.request()),
            9 => SaContextStep::Complete(id, pair(self)),
            _ => SaContextStep::Establish(self.new_context(), self.request(), pair(self)),
        }
    }
}

fn counted(context: &SaContext) -> String {
    format!("{:?}", context.counters)
}

/// Checks that prost reads all of these bytes and writes the same ones.
fn prost_agrees<M: prost::Message + Default>(bytes: &[u8]) {
    let read = M::decode(bytes).unwrap();
    assert!(read.encode_to_vec() == bytes, "prost writes other bytes");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn contexts_are_read_as_they_are_written_and_prost_writes_the_same(seed: u64) {
        let context = Seed(seed).context();
        let keys = KeyAccess::grant();
        let bytes = encode_context(&context, Some(&keys));
        prost_agrees::<proto::SaContext>(&bytes);
        let read = decode_context(&bytes).unwrap();
        prop_assert_eq!(&read, &context);
        prop_assert_eq!(counted(&read), counted(&context));
    }

    #[test]
    fn without_the_right_no_key_is_sent_and_all_else_is(seed: u64) {
        let context = Seed(seed).context();
        let bytes = encode_context(&context, None);
        prost_agrees::<proto::SaContext>(&bytes);
        let read = decode_context(&bytes).unwrap();
        let access = KeyAccess::grant();
        let sas = |context: &SaContext| -> Vec<Sa> {
            context.directions().flat_map(|(_, details)| details.bundle.sas.iter().cloned().collect::<Vec<_>>()).collect()
        };
        for (sent, there) in sas(&read).iter().zip(&sas(&context)) {
            prop_assert_eq!(sent.transform.to_string(), there.transform.to_string());
            for (sent, there) in sent.transform.keys().zip(there.transform.keys()) {
                prop_assert_eq!(sent.len(), there.len());
                prop_assert!(sent.bytes(&access).is_empty());
                let secret = there.bytes(&access);
                prop_assert!(secret.len() < 16 || bytes.windows(secret.len()).all(|part| part != secret));
            }
        }
        let states = |context: &SaContext| -> usize {
            let keying = |details: &SaDetails| details.bundle.keying.as_ref()?.key_module_state.clone();
            context.directions().filter_map(|(_, details)| keying(details)).count()
        };
        prop_assert_eq!(states(&read), 0, "a keying module's state may hold secrets");
    }

    #[test]
    fn objects_are_read_as_they_are_written_by_us_and_by_prost(seed: u64) {
        let mut seed = Seed(seed);
        let object = seed.object();
        let keys = KeyAccess::grant();
        let bytes = Record::encode(&object, Some(&keys));
        prop_assert_eq!(&Object::decode(&bytes).unwrap(), &object);
        let theirs = <proto::Object as prost::Message>::decode(&*bytes).unwrap();
        let again = prost::Message::encode_to_vec(&theirs);
        prop_assert_eq!(&Object::decode(&again).unwrap(), &object);
        // Without the right to keys, the object contains none.
        let without = Object::decode(&object.encode(None)).unwrap();
        prop_assert_eq!(object.without_keys().unwrap_or(object), without);
        // Truncated and corrupted messages are decoded or rejected without a panic.
        for place in 0..bytes.len() {
            drop(Object::decode(&bytes[..place]));
            let mut flipped = bytes.clone();
            flipped[place] ^= 1 << (place % 8);
            drop(Object::decode(&flipped));
        }
    }

    #[test]
    fn steps_and_batches_are_read_as_they_are_written(seed: u64) {
        let mut seed = Seed(seed);
        let steps = [seed.step(), seed.step()];
        let message = encode_step(&[7; 16], &steps[0]);
        let (token, read) = decode_step(&message).unwrap();
        prop_assert_eq!((token, &read), (&[7; 16][..], &steps[0]));
        let mut writer = bytes::Writer::new(None);
        put_step(&mut writer, &steps[0]);
        prost_agrees::<proto::SaContextStep>(&writer.into_bytes());
        for mode in [BatchMode::Each, BatchMode::AllOrNothing] {
            let message = encode_batch(&[8; 16], &steps, mode);
            let (token, read, read_mode) = decode_batch(&message).unwrap();
            prop_assert_eq!((token, &read[..], read_mode), (&[8; 16][..], &steps[..], mode));
        }
    }

    #[test]
    fn pages_are_read_as_they_are_written_and_stop_where_they_are_full(seed: u64, room in 1usize..20_000) {
        let mut seed = Seed(seed);
        let contexts: Vec<Arc<SaContext>> = (0..8).map(|_| Arc::new(seed.context())).collect();
        let keys = KeyAccess::grant();
        let mut page = ContextPage::new(contexts.len(), room, Some(&keys));
        let taken = page.fill(&contexts);
        prop_assert!(taken > 0);
        let bytes = page.finish(taken < contexts.len()).0;
        prop_assert!(bytes.len() <= room + 2 || taken == 1);
        let (read, more) = decode_contexts(&bytes).unwrap();
        prop_assert_eq!((&read[..], more), (&contexts[..taken], taken < contexts.len()));

        let entries: Vec<SaEntry> = contexts
            .iter()
            .flat_map(|context| [Direction::Inbound, Direction::Outbound].map(|direction| SaEntry::new(context, direction)))
            .flatten()
            .collect();
        let (page, taken) = SaPage::encode(&entries, room, Some(&keys), |taken| taken < entries.len());
        let (read, more) = decode_sas(&page.0).unwrap();
        prop_assert_eq!((read.len(), more), (taken, taken < entries.len()));
        for (read, entry) in read.iter().zip(&entries) {
            prop_assert_eq!((read.context(), read.direction()), (entry.context(), entry.direction()));
        }
    }

    #[test]
    fn events_are_read_as_they_are_written(seed: u64) {
        let mut seed = Seed(seed);
        let event = SaContextEvent {
            kind: seed.of(&[EventKind::Add, EventKind::Delete, EventKind::Change, EventKind::SoftExpiry, EventKind::Expire, EventKind::Acquire]),
            id: SaContextId(seed.number()),
            version: Version(seed.number()),
            context: seed.maybe(|seed| Arc::new(seed.context())),
            changed: ContextFields::between(&seed.context(), &seed.context()),
        };
        let dropped = Notification::Dropped { count: seed.number(), list_from: Version(seed.number()) };
        let keys = KeyAccess::grant();
        let mut page = EventPage::new(usize::MAX, Some(&keys));
        prop_assert!(page.push(&Notification::Event(event.clone())) && page.push(&dropped));
        let read = decode_events(&page.finish().0).unwrap();
        let [Notification::Event(read), Notification::Dropped { count, list_from }] = &read[..] else {
            return Err(TestCaseError::fail("two notifications were sent"));
        };
        prop_assert_eq!((read.kind, read.id, read.version), (event.kind, event.id, event.version));
        prop_assert_eq!((&read.context, read.changed), (&event.context, event.changed));
        prop_assert_eq!(format!("{dropped:?}"), format!("{:?}", Notification::Dropped { count: *count, list_from: *list_from }));
    }

    #[test]
    fn whatever_comes_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        decode_all(&bytes);
        drop(decode_context(&bytes));
    }

    #[test]
    fn damaged_messages_are_read_or_refused(seed: u64, at: prop::sample::Index, with: u8, cut: prop::sample::Index) {
        let keys = KeyAccess::grant();
        let mut bytes = encode_context(&Seed(seed).context(), Some(&keys));
        *at.get_mut(&mut bytes) ^= with;
        bytes.truncate(cut.index(bytes.len()) + 1);
        drop(decode_context(&bytes));
        decode_all(&bytes);
    }
}

/// The numbers and names of the wire's enumerations match the Rust enumerations.
#[test]
fn the_enumerations_of_the_wire_are_those_of_the_api() {
    fn wire_name(name: &str) -> String {
        let mut words = String::new();
        for c in name.chars() {
            if c.is_uppercase() && !words.is_empty() {
                words.push('_');
            }
            words.extend(c.to_uppercase());
        }
        words
    }
    fn check<T: Copy + fmt::Debug>(
        prefix: &str,
        all: &[T],
        number: impl Fn(T) -> i32,
        name: impl Fn(i32) -> Option<&'static str>,
    ) {
        for value in all {
            let expected = format!("{prefix}_{}", wire_name(&format!("{value:?}")));
            assert_eq!(name(number(*value)), Some(expected.as_str()));
        }
        let next = i32::try_from(all.len()).unwrap() + 1;
        assert_eq!(name(next), None, "{prefix} has more on the wire");
    }
    let name_of = |number| proto::AuthAlgorithm::try_from(number).ok().map(|value| value.as_str_name());
    check("AUTH_ALGORITHM", sa::AUTHS, |value| value as i32 + 1, name_of);
    let name_of = |number| proto::CipherAlgorithm::try_from(number).ok().map(|value| value.as_str_name());
    check("CIPHER_ALGORITHM", sa::CIPHERS, |value| value as i32 + 1, name_of);
    let name_of = |number| proto::AeadAlgorithm::try_from(number).ok().map(|value| value.as_str_name());
    check("AEAD_ALGORITHM", sa::AEADS, |value| value as i32 + 1, name_of);
    let name_of =
        |number| proto::CompressionAlgorithm::try_from(number).ok().map(|value| value.as_str_name());
    check("COMPRESSION_ALGORITHM", sa::COMPRESSIONS, |value| value as i32 + 1, name_of);
    let name_of = |number| proto::Mode::try_from(number).ok().map(|value| value.as_str_name());
    check("MODE", sa::MODES, |value| value as i32 + 1, name_of);
}
