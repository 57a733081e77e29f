//! Whatever a crash or a failing disk makes of a store's file: it is opened and read or refused. Whatever bytes come as a
//! stored object: they are read or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use openwfp_api::KeyAccess;
use openwfp_api::object::step::ObjectStep;
use openwfp_api::object::store::ObjectStore;
use openwfp_api::object::store::StoredObject;
use openwfp_api::record::Record;
use openwfp_store::RedbStore;
use std::panic::catch_unwind;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::sync::Mutex;

const SECTOR: usize = 512;

struct Store {
    path: PathBuf,
    /// The bytes of a valid store.
    valid: Vec<u8>,
    /// Places of the objects in these bytes.
    objects: Vec<usize>,
}

static STORE: LazyLock<Store> = LazyLock::new(|| {
    let path = std::env::temp_dir().join(format!("openwfp-fuzz-{}.redb", std::process::id()));
    let store = RedbStore::open(&path).expect("a new store");
    for object in objects() {
        store.commit(&[object], &[]).expect("a valid store");
    }
    drop(store);
    let valid = std::fs::read(&path).expect("a file");
    let places = objects().flat_map(|object| {
        let object = encoded(&object);
        let found = valid.windows(object.len()).enumerate().filter(|(_, bytes)| **bytes == object[..]);
        found.flat_map(|(start, bytes)| start..start + bytes.len()).collect::<Vec<_>>()
    });
    let objects = places.collect();
    Store { path, valid, objects }
});

/// The text of the newest panic.
static PANIC: Mutex<String> = Mutex::new(String::new());

fn objects() -> impl Iterator<Item = StoredObject> {
    openwfp_fuzz::steps().into_iter().zip(1..).filter_map(|(step, serial)| match step {
        ObjectStep::Add(add) => Some(StoredObject { object: add.object, serial, ..StoredObject::default() }),
        _ => None,
    })
}

fn encoded(object: &StoredObject) -> Vec<u8> {
    object.encode(Some(&KeyAccess::grant()))
}

/// Damages a file according to 4 bytes: what to do, how much, and where. Bits flip only in objects: in a page's number they
/// would make redb request more memory than the machine has, which ends the process. No page takes the place of another one: redb
/// follows pages that refer to themselves until the stack ends.
fn damage(bytes: &mut Vec<u8>, [what, much, low, high]: [u8; 4], objects: &[usize]) {
    let place = usize::from(u16::from_le_bytes([low, high]));
    let start = (place * SECTOR).min(bytes.len());
    let end = bytes.len().min(start + (SECTOR << (much % 8)));
    match what % 3 {
        0 => bytes.truncate(start),
        1 => bytes[start..end].fill(0),
        _ => {
            if let Some(byte) = bytes.get_mut(objects[place % objects.len()]) {
                *byte ^= 1 << (much % 8);
            }
        }
    }
}

fuzz_target!(
    init: {
        // A truncated store, one without a sector, and one with a flipped bit.
        let damages = [[0, 0, 0, 8], [1, 0, 8, 0], [2, 5, 7, 0]].map(|damage| damage.to_vec());
        openwfp_fuzz::start_from(objects().map(|object| encoded(&object)).chain(damages));
        // The store may catch panics of its library.
        std::panic::set_hook(Box::new(|panic| *PANIC.lock().expect("no panic in here") = panic.to_string()));
    },
    |bytes: &[u8]| {
        let Store { path, valid, objects: places } = &*STORE;
        let outcome = catch_unwind(|| {
            if let Ok(object) = StoredObject::decode(bytes) {
                let again = encoded(&object);
                assert_eq!(StoredObject::decode(&again).map(|read| encoded(&read)), Ok(again));
            }
            let mut damaged = valid.clone();
            bytes.as_chunks().0.iter().take(16).for_each(|how| damage(&mut damaged, *how, places));
            std::fs::write(path, damaged).expect("memory");
            if let Ok(store) = RedbStore::open(path) && store.load().is_ok() {
                drop(store.commit(&objects().take(1).collect::<Vec<_>>(), &[]));
            }
        });
        if outcome.is_err() {
            eprintln!("{}", PANIC.lock().expect("no panic in there"));
            std::process::abort();
        }
    }
);
