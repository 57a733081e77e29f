//! Persistent objects over restarts of their engine: in a file, and with a store that fails at each of its writes.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]

use openwfp_api::guids::layer;
use openwfp_api::object::policy::*;
use openwfp_api::object::store::*;
use openwfp_api::object::*;
use openwfp_api::*;
use openwfp_engine::Engine;
use openwfp_store::RedbStore;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;

fn key(number: u32) -> Guid {
    Guid::new(number, 7, 7, [7; 8])
}

fn provider(number: u32, flags: u32) -> Object {
    Object::Provider(Provider { key: key(number), name: "p".into(), flags, ..Provider::default() })
}

fn filter(number: u32, provider: Option<u32>, flags: u32) -> Object {
    Object::Filter(Filter {
        key: key(number),
        name: "f".into(),
        flags,
        provider: provider.map(key),
        layer: layer::IKEEXT_V4,
        action: Action { kind: ActionType::Permit, callout: Guid::default() },
        ..Filter::default()
    })
}

fn open(store: &Arc<dyn ObjectStore>) -> (Engine, Arc<dyn Session>) {
    let engine = Engine::builder().store(Arc::clone(store)).open().unwrap();
    let session = engine.open_session(SessionOptions::new()).unwrap();
    (engine, session)
}

fn keys(session: &dyn Session, kind: ObjectKind) -> Vec<u32> {
    let id = session.object_create_enum(&template::ObjectTemplate::all(kind)).unwrap();
    let page = session.object_enum(id, u32::MAX).unwrap().accept();
    let mut keys: Vec<u32> =
        page.iter().map(|object| object.key()).filter(|key| key.data2 == 7).map(|key| key.data1).collect();
    keys.sort_unstable();
    keys
}

struct File(PathBuf);

impl File {
    fn new() -> File {
        static NEWEST: AtomicU32 = AtomicU32::new(0);
        let number = NEWEST.fetch_add(1, Ordering::Relaxed);
        File(std::env::temp_dir().join(format!("openwfp-store-{}-{number}.redb", std::process::id())))
    }

    fn store(&self) -> Arc<dyn ObjectStore> {
        Arc::new(RedbStore::open(&self.0).unwrap())
    }
}

impl Drop for File {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

#[test]
fn what_is_persistent_is_there_again_and_nothing_else() {
    let file = File::new();
    let policy = Policy::IkeMm(IkePolicy {
        authentication_methods: vec![AuthenticationMethod {
            method: 0,
            detail: AuthenticationDetail::PresharedKey(PresharedKey { key: Key::new(b"secret"), flags: 0 }),
        }],
        ..IkePolicy::default()
    });
    let context = Object::ProviderContext(ProviderContext {
        key: key(9),
        name: "c".into(),
        flags: FLAG_PERSISTENT,
        policy,
        ..ProviderContext::default()
    });
    let (before, own) = {
        let (_engine, session) = open(&file.store());
        session.object_add(provider(1, FLAG_PERSISTENT)).unwrap();
        session.object_add(provider(2, 0)).unwrap();
        session.object_add(filter(3, Some(1), FLAG_PERSISTENT)).unwrap();
        session.object_add(filter(4, None, 0)).unwrap();
        session.object_add(filter(5, None, FLAG_PERSISTENT)).unwrap();
        session.object_delete(ObjectKind::Filter, ObjectName::Key(key(5))).unwrap();
        session.object_add(filter(6, None, FILTER_BOOTTIME)).unwrap();
        session.object_add(context).unwrap();
        let own: SecurityDescriptor = "D:P(A;;0xf0fff;;;S-1-22-1-0)".parse().unwrap();
        let parts = SecurityInformation::DACL;
        session.set_object_security_info(ObjectKind::Filter, key(3), parts, &own).unwrap();
        (session.object_get(ObjectKind::Filter, ObjectName::Key(key(3))).unwrap(), own)
    };
    let (_engine, session) = open(&file.store());
    assert_eq!(keys(&*session, ObjectKind::Provider), [1]);
    assert_eq!(keys(&*session, ObjectKind::Filter), [3, 6]);
    assert_eq!(session.object_get(ObjectKind::Filter, ObjectName::Id(before.id())).unwrap(), before);
    let descriptor =
        session.object_security_info(ObjectKind::Filter, key(3), SecurityInformation::DACL).unwrap();
    assert_eq!(descriptor.dacl, own.dacl);
    let context = session.object_get(ObjectKind::ProviderContext, ObjectName::Key(key(9))).unwrap();
    let Policy::IkeMm(policy) = &context.as_provider_context().unwrap().policy else { panic!() };
    let AuthenticationDetail::PresharedKey(preshared) = &policy.authentication_methods[0].detail else {
        panic!()
    };
    assert_eq!(preshared.key.bytes(&session.key_access().unwrap()), b"secret");
    let new = session.object_add(filter(7, None, 0)).unwrap();
    assert!(new > context.id(), "ids that were given are not given again");
    assert_eq!(
        session.object_delete(ObjectKind::Provider, ObjectName::Key(key(1))).unwrap_err().code(),
        Code::FWP_E_IN_USE
    );
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&file.0).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn a_store_that_is_in_use_or_none_is_refused() {
    let file = File::new();
    let _store = file.store();
    assert_eq!(RedbStore::open(&file.0).unwrap_err().code(), Code::FWP_E_ALREADY_EXISTS);
    let other = File::new();
    std::fs::write(&other.0, b"something else entirely, and long enough to be looked at").unwrap();
    assert_eq!(RedbStore::open(&other.0).unwrap_err().code(), Code::FWP_E_INVALID_PARAMETER);
}

/// A store that fails at one of its commits.
#[derive(Default)]
struct Failing {
    kept: Mutex<BTreeMap<(ObjectKind, Guid), StoredObject>>,
    commits: AtomicU32,
    fails_at: AtomicU32,
}

impl ObjectStore for Failing {
    fn load(&self) -> Result<Vec<StoredObject>> {
        Ok(self.kept.lock().unwrap().values().cloned().collect())
    }

    fn commit(&self, put: &[StoredObject], forget: &[(ObjectKind, Guid)]) -> Result {
        if self.commits.fetch_add(1, Ordering::Relaxed) == self.fails_at.load(Ordering::Relaxed) {
            return Err(Error::new(Code::ERROR_INTERNAL_ERROR, "the disk is full"));
        }
        let mut kept = self.kept.lock().unwrap();
        for key in forget {
            kept.remove(key);
        }
        for stored in put {
            kept.insert((stored.object.kind(), stored.object.key()), stored.clone());
        }
        Ok(())
    }
}

/// A program of changes, each in a transaction of its own or several in one.
fn program(session: &dyn Session) -> u32 {
    let mut failures = 0;
    let mut note = |result: Result<u64>| failures += u32::from(result.is_err());
    note(session.object_add(provider(1, FLAG_PERSISTENT)));
    note(session.object_add(filter(2, Some(1), FLAG_PERSISTENT)));
    session.transaction_begin(TransactionMode::ReadWrite).unwrap();
    drop(session.object_add(filter(3, None, FLAG_PERSISTENT)));
    drop(session.object_add(filter(4, None, FLAG_PERSISTENT)));
    drop(session.object_delete(ObjectKind::Filter, ObjectName::Key(key(2))));
    note(session.transaction_commit().map(|()| 0));
    note(session.object_delete(ObjectKind::Filter, ObjectName::Key(key(3))).map(|()| 0));
    failures
}

#[test]
fn whichever_write_fails_the_engine_and_its_store_stay_equal_and_no_object_is_half_there() {
    for fails_at in 0..5 {
        let failing = Arc::new(Failing { fails_at: AtomicU32::new(fails_at), ..Failing::default() });
        let store: Arc<dyn ObjectStore> = failing;
        let shown = {
            let (_engine, session) = open(&store);
            let failures = program(&*session);
            assert_eq!(failures > 0, fails_at < 4, "{fails_at}");
            (keys(&*session, ObjectKind::Provider), keys(&*session, ObjectKind::Filter))
        };
        let (_engine, session) = open(&store);
        let kept = (keys(&*session, ObjectKind::Provider), keys(&*session, ObjectKind::Filter));
        assert_eq!(shown, kept, "after a failure at write {fails_at}");
        assert!(!kept.1.contains(&2) || kept.0.contains(&1));
        assert!(fails_at != 2 || !kept.1.contains(&3) && !kept.1.contains(&4), "all or nothing");
    }
}

/// Fills a store with objects and closes it.
fn filled(file: &File) {
    let store = file.store();
    let (_engine, session) = open(&store);
    for number in 1..40 {
        session.object_add(provider(number, FLAG_PERSISTENT)).unwrap();
    }
}

#[test]
fn a_truncated_store_is_refused_with_a_remedy_or_moved_aside() {
    let file = File::new();
    filled(&file);
    let whole = std::fs::read(&file.0).unwrap();
    for length in (0..whole.len()).step_by(whole.len() / 41) {
        std::fs::write(&file.0, &whole[..length]).unwrap();
        let error = RedbStore::open(&file.0).map(drop).unwrap_err();
        assert_eq!(error.code(), Code::FWP_E_INVALID_PARAMETER, "{length}: {error}");
        assert!(error.remedy().unwrap().contains("move it away"), "{length}: {error}");
    }
    std::fs::write(&file.0, &whole[..whole.len() / 2]).unwrap();
    let (store, damaged) = RedbStore::open_or_replace(&file.0).unwrap();
    assert!(store.load().unwrap().is_empty());
    let (aside, error) = damaged.unwrap();
    assert_eq!(std::fs::read(&aside).unwrap(), whole[..whole.len() / 2]);
    assert!(error.what().contains("truncated"), "{error}");
    std::fs::remove_file(aside).unwrap();
    drop(store);
    let (store, damaged) = RedbStore::open_or_replace(&file.0).unwrap();
    assert!(damaged.is_none() && store.load().unwrap().is_empty());
}

/// What a failing disk changes is never read as what was written. Bits in parts of the file that hold nothing may change.
#[test]
fn what_a_disk_has_changed_is_noticed() {
    let file = File::new();
    filled(&file);
    let (whole, kept) = (std::fs::read(&file.0).unwrap(), file.store().load().unwrap());
    let holds: Vec<usize> = whole
        .windows(16)
        .enumerate()
        .filter(|(_, part)| part.iter().all(|byte| *byte != 0))
        .map(|(place, _)| place)
        .collect();
    for place in holds.iter().step_by(holds.len() / 60) {
        let mut changed = whole.clone();
        changed[place + 8] ^= 0x40;
        std::fs::write(&file.0, &changed).unwrap();
        match RedbStore::open(&file.0).and_then(|store| store.load()) {
            Ok(objects) => assert_eq!(objects, kept, "{place}"),
            Err(error) => assert!(error.remedy().is_some(), "{error}"),
        }
    }
    // In an object, every change is noticed. The file may hold it more than once.
    for object in &kept {
        use openwfp_api::record::Record;
        let bytes = object.encode(Some(&KeyAccess::grant()));
        let mut changed = whole.clone();
        let places: Vec<usize> = whole
            .windows(bytes.len())
            .enumerate()
            .filter(|(_, part)| **part == bytes)
            .map(|(place, _)| place)
            .collect();
        assert!(!places.is_empty());
        places.iter().for_each(|place| changed[place + bytes.len() / 2] ^= 1);
        std::fs::write(&file.0, &changed).unwrap();
        let error = RedbStore::open(&file.0).map(drop).unwrap_err();
        assert_eq!(error.code(), Code::FWP_E_INVALID_PARAMETER, "{error}");
    }
}

#[test]
fn a_store_of_the_first_layout_gets_its_checksums() {
    let file = File::new();
    filled(&file);
    let kept = file.store().load().unwrap();
    {
        // As an earlier version wrote it.
        let objects: redb::TableDefinition<'_, &[u8], &[u8]> = redb::TableDefinition::new("objects");
        let about: redb::TableDefinition<'_, &str, u64> = redb::TableDefinition::new("about");
        let database = redb::Database::open(&file.0).unwrap();
        let transaction = database.begin_write().unwrap();
        {
            use redb::ReadableTable;
            let mut table = transaction.open_table(objects).unwrap();
            let all: Vec<_> = table
                .iter()
                .unwrap()
                .map(|entry| entry.unwrap())
                .map(|(key, value)| (key.value().to_vec(), value.value().to_vec()))
                .collect();
            for (key, value) in all {
                table.insert(&*key, &value[..value.len() - 4]).unwrap();
            }
            transaction.open_table(about).unwrap().insert("version", 1).unwrap();
        }
        transaction.commit().unwrap();
    }
    assert_eq!(file.store().load().unwrap(), kept);
    assert_eq!(file.store().load().unwrap(), kept, "and again");
}

#[test]
fn only_the_owner_can_read_a_store_and_nobody_else_could_have_written_it() {
    use std::os::unix::fs::PermissionsExt;
    let file = File::new();
    filled(&file);
    let mode = || std::fs::metadata(&file.0).unwrap().permissions().mode() & 0o777;
    let set = |mode| std::fs::set_permissions(&file.0, PermissionsExt::from_mode(mode)).unwrap();
    assert_eq!(mode(), 0o600);
    set(0o644);
    drop(file.store());
    assert_eq!(mode(), 0o600);
    set(0o666);
    let error = RedbStore::open(&file.0).map(drop).unwrap_err();
    assert_eq!(error.code(), Code::ERROR_ACCESS_DENIED, "{error}");
    assert!(error.remedy().unwrap().contains("chmod 600"), "{error}");
    set(0o600);
    let link = File::new();
    std::os::unix::fs::symlink(&file.0, &link.0).unwrap();
    let error = RedbStore::open(&link.0).map(drop).unwrap_err();
    assert!(error.what().contains("symbolic link"), "{error}");
    let fifo = File::new();
    nix::unistd::mkfifo(&fifo.0, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let error = RedbStore::open(&fifo.0).map(drop).unwrap_err();
    assert!(error.what().contains("regular file"), "{error}");
}

/// A disk without room, as a limit on the length of files: what does not fit changes nothing, and once there is room again, the
/// same store takes it. In a process of its own, because the limit is the process's.
#[test]
fn a_store_works_again_once_there_is_room() {
    const CHILD: &str = "OPENWFP_STORE_WITHOUT_ROOM";
    use nix::sys::resource::Resource;
    if std::env::var_os(CHILD).is_none() {
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_store_works_again_once_there_is_room", "--nocapture"])
            .env(CHILD, "1")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        return;
    }
    // The system sends SIGXFSZ at the limit, which would end the process; blocked, the write fails.
    let mut signals = nix::sys::signal::SigSet::empty();
    signals.add(nix::sys::signal::Signal::SIGXFSZ);
    signals.thread_block().unwrap();
    let file = File::new();
    filled(&file);
    let store = file.store();
    let kept = store.load().unwrap();
    let length = std::fs::metadata(&file.0).unwrap().len();
    let (_, hard) = nix::sys::resource::getrlimit(Resource::RLIMIT_FSIZE).unwrap();
    let limit = |length| nix::sys::resource::setrlimit(Resource::RLIMIT_FSIZE, length, hard).unwrap();
    limit(length);
    let big = |number| StoredObject {
        object: Object::Provider(Provider {
            key: key(number),
            name: "n".repeat(60_000),
            ..Provider::default()
        }),
        ..kept[0].clone()
    };
    let failed =
        (100..200).find_map(|number| store.commit(&[big(number)], &[]).err().map(|error| (number, error)));
    let (number, error) = failed.expect("the limit is reached");
    assert_eq!(error.code(), Code::ERROR_INTERNAL_ERROR, "{error}");
    assert!(store.commit(&[big(number)], &[]).is_err(), "still no room");
    limit(hard);
    store.commit(&[big(number)], &[]).unwrap();
    let objects = store.load().unwrap();
    assert_eq!(objects.len(), kept.len() + usize::try_from(number - 100).unwrap() + 1);
    drop(store);
    assert_eq!(file.store().load().unwrap(), objects);
}
