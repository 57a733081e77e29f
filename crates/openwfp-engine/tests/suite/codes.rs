//! Every error code that the API's rules name for an engine in this process, provoked by the call that answers it.
//!
//! The codes that other rooms answer (`RPC_E_*` of a remote engine, pointers of C callers) are theirs to provoke.
use super::common::*;
use crate::connect::connect;
use openwfp_api::object::value::Value;
use openwfp_api::*;
use openwfp_engine::Engine;
use openwfp_engine::Faults;
use std::collections::BTreeSet;
use std::time::Duration;

type Provocation = (Code, &'static str, fn() -> Code);

fn session() -> std::sync::Arc<dyn Session> {
    open(&Engine::new())
}

const PROVOKED: &[Provocation] = &[
    (Code::ERROR_ACCESS_DENIED, "a call without its right", || {
        let stranger = SessionOptions::new().principal(Principal::unix(7, &[]));
        code(connect(&Engine::new(), stranger).unwrap().statistics())
    }),
    (Code::ERROR_INVALID_HANDLE, "a call in a closed session", || {
        let session = session();
        session.close().unwrap();
        code(session.statistics())
    }),
    (Code::ERROR_NOT_SUPPORTED, "an authentication service that there is not", || {
        code(check_authn_service(16))
    }),
    (Code::FWP_E_NOT_FOUND, "an unknown id", || code(session().sa_context_by_id(SaContextId(1)))),
    (Code::FWP_E_ALREADY_EXISTS, "the key of an open session", || {
        let engine = Engine::new();
        let options = SessionOptions::new().key(Guid::new(1, 0, 0, [0; 8]));
        let _open = connect(&engine, options.clone()).unwrap();
        code(connect(&engine, options))
    }),
    (Code::FWP_E_DYNAMIC_SESSION_IN_PROGRESS, "a context made in a dynamic session", || {
        code(connect(&Engine::new(), SessionOptions::new().dynamic()).unwrap().sa_context_create(&new(1)))
    }),
    (Code::FWP_E_WRONG_SESSION, "another session's enumerator", || {
        let engine = Engine::new();
        let one = open(&engine);
        let id = one.sa_context_create_enum(&EnumOptions::default()).unwrap();
        code(open(&engine).sa_context_enum(id, 1))
    }),
    (Code::FWP_E_NO_TXN_IN_PROGRESS, "a commit without a transaction", || {
        code(session().transaction_commit())
    }),
    (Code::FWP_E_TXN_IN_PROGRESS, "a second transaction", || {
        let session = session();
        session.transaction_begin(TransactionMode::ReadOnly).unwrap();
        code(session.transaction_begin(TransactionMode::ReadOnly))
    }),
    (Code::FWP_E_TXN_ABORTED, "a call after the forced abort", || {
        let engine = Engine::builder().transaction_time_max(Duration::ZERO).without_thread().build();
        let session = open(&engine);
        session.transaction_begin(TransactionMode::ReadWrite).unwrap();
        engine.run_due();
        code(session.transaction_commit())
    }),
    (Code::FWP_E_SESSION_ABORTED, "a call in a session that the engine ended", || {
        let engine = Engine::new();
        let session = open(&engine);
        engine.cancel_session(session.number()).unwrap();
        code(session.statistics())
    }),
    (Code::FWP_E_INCOMPATIBLE_TXN, "a write in a read-only transaction", || {
        let session = session();
        session.transaction_begin(TransactionMode::ReadOnly).unwrap();
        code(session.sa_context_expire(SaContextId(1)))
    }),
    (Code::FWP_E_TIMEOUT, "a wait for another session's transaction", || {
        let engine = Engine::new();
        let writer = open(&engine);
        writer.transaction_begin(TransactionMode::ReadWrite).unwrap();
        let options = SessionOptions::new().transaction_wait(Duration::from_millis(1));
        code(connect(&engine, options).unwrap().sa_context_create(&new(1)))
    }),
    (Code::FWP_E_NOTIFICATION_DROPPED, "a queue that overflows, told as Notification::Dropped", || {
        let session = session();
        let options = SubscriptionOptions { queue_length: 1, ..SubscriptionOptions::default() };
        let mut stream = session.events(&options).unwrap();
        complete(&*session, 1);
        complete(&*session, 2);
        stream.next(Duration::ZERO).unwrap();
        match stream.next(Duration::ZERO).unwrap() {
            Some(Notification::Dropped { .. }) => Code::FWP_E_NOTIFICATION_DROPPED,
            _ => Code::ERROR_SUCCESS,
        }
    }),
    (Code::FWP_E_TRAFFIC_MISMATCH, "an SPI for other traffic than the context's", || {
        let session = session();
        let id = session.sa_context_create(&new(1)).unwrap();
        code(session.sa_context_get_spi(id, &request(2)))
    }),
    (Code::FWP_E_INCOMPATIBLE_SA_STATE, "the outbound SAs before the inbound ones", || {
        let session = session();
        let (id, _) = reserved(&*session, 1);
        code(session.sa_context_add_outbound(id, bundle(0x2000)))
    }),
    (Code::FWP_E_NULL_POINTER, "an update without one of its directions", || {
        let session = session();
        let id = complete(&*session, 1);
        let values = SaContext { outbound: None, ..(*session.sa_context_by_id(id).unwrap()).clone() };
        code(session.sa_context_update(UpdateFlags::ALL, &values))
    }),
    (Code::FWP_E_INVALID_ENUMERATOR, "a number beyond its enumeration", || code(TrafficType::from_wfp(2))),
    (Code::FWP_E_INVALID_FLAGS, "update flags without a meaning", || code(UpdateFlags::from_bits(0x80))),
    (Code::FWP_E_INVALID_NET_MASK, "a mask with holes", || code(AddressMatch::v4_mask(0, 0xFF00_FF00))),
    (Code::FWP_E_INVALID_RANGE, "a range that runs downwards", || {
        code(AddressMatch::range([10, 0, 0, 2].into(), [10, 0, 0, 1].into()))
    }),
    (Code::FWP_E_ZERO_LENGTH_ARRAY, "a bundle of no SA", || code(SaList::new([]))),
    (Code::FWP_E_TYPE_MISMATCH, "a template's address that is a port", || {
        code(AddressMatch::try_from(Value::Uint16(80)))
    }),
    (Code::FWP_E_OUT_OF_BOUNDS, "a bundle of two ESP SAs", || {
        let sa = || bundle(0x1000).sas.first().clone();
        code(SaList::new([sa(), sa()]))
    }),
    (Code::FWP_E_RESERVED, "the ports of a tunnel's traffic", || {
        let traffic = Traffic { local_port: 80, ..traffic(1) };
        code(session().sa_context_create(&NewSaContext::new(traffic)))
    }),
    (Code::FWP_E_INVALID_PARAMETER, "a bundle with another SPI than the issued one", || {
        let session = session();
        let (id, spi) = reserved(&*session, 1);
        code(session.sa_context_add_inbound(id, bundle(spi.get() ^ 1 | 0x1000)))
    }),
    (Code::FWP_E_INVALID_AUTH_TRANSFORM, "an integrity key that does not fit", || {
        let session = session();
        let (id, spi) = reserved(&*session, 1);
        let auth = Auth { algorithm: AuthAlgorithm::HmacSha1, icv_bits: 96, key: Key::new(&[1; 19]) };
        let sa = Sa { spi, transform: Transform::EspAuth(auth), linux: None };
        code(session.sa_context_add_inbound(id, SaBundle::new(SaList::one(sa))))
    }),
    (Code::FWP_E_INVALID_CIPHER_TRANSFORM, "a cipher's key that does not fit", || {
        let session = session();
        let (id, spi) = reserved(&*session, 1);
        let cipher = Cipher { algorithm: CipherAlgorithm::AesCbc, key: Key::new(&[1; 15]) };
        let sa = Sa { spi, transform: Transform::EspCipher(cipher), linux: None };
        code(session.sa_context_add_inbound(id, SaBundle::new(SaList::one(sa))))
    }),
    (Code::FWP_E_INVALID_TRANSFORM_COMBINATION, "AES-GCM as a cipher alone", || {
        let gcm = WfpAlgorithm { algorithm: 3, config: 6, crypto_module: None, key: &[1; 20] };
        code(Transform::from_wfp(3, None, Some(gcm)))
    }),
    (Code::RPC_E_OUT_OF_RESOURCES, "a range of SPIs that is used up", || {
        let session = open(&Engine::builder().spi_range(256..=256).build());
        reserved(&*session, 1);
        let id = session.sa_context_create(&new(2)).unwrap();
        code(session.sa_context_get_spi(id, &request(2)))
    }),
    (Code::RPC_E_DISCONNECTED, "any other code that a fault asks for", || {
        let faults = Faults::new().fail(Operation::GetStatistics, 1, Code::RPC_E_DISCONNECTED);
        code(open(&Engine::builder().faults(faults).build()).statistics())
    }),
];

#[test]
fn each_code_is_answered_by_the_call_that_breaks_its_rule() {
    let mut seen = BTreeSet::new();
    for (expected, how, provoke) in PROVOKED {
        assert_eq!(provoke(), *expected, "{how}");
        assert!(seen.insert(expected), "{expected} twice");
        assert!(expected.entry().is_some(), "{expected} stands in the table of codes");
    }
}

#[test]
fn faults_hit_the_nth_call_of_their_kind_and_change_nothing() {
    let faults = Faults::new()
        .fail(Operation::SaContextAddInbound, 2, Code::ERROR_NOT_ENOUGH_MEMORY)
        .time_out(Operation::SaContextDeleteById, 1);
    let engine = Engine::builder().faults(faults).build();
    let session = open(&engine);
    let first = complete(&*session, 1);
    let (id, spi) = reserved(&*open(&engine), 2);
    let add = || session.sa_context_add_inbound(id, bundle(spi.get()));
    assert_eq!(code(add()), Code::ERROR_NOT_ENOUGH_MEMORY);
    assert_eq!(session.sa_context_by_id(id).unwrap().state, SaState::HasSpi { inbound_spi: spi });
    add().unwrap();
    assert_eq!(code(session.sa_context_delete_by_id(first)), Code::FWP_E_TIMEOUT);
    session.sa_context_delete_by_id(first).unwrap();
}
