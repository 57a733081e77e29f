//! A persistent object store in one file: a redb database with one entry per object.
//!
//! A commit is one redb transaction: after a crash of the process or the machine it is either complete
//! or absent. The entries are protobuf messages, encoded as on the wire, so that other versions can
//! read the fields that they know. Each has a checksum, and opening a store checks all of it: what a failing disk has changed is
//! an error, not an object.
//!
//! ```
//! use openwfp_engine::Engine;
//! use openwfp_store::RedbStore;
//! use std::sync::Arc;
//!
//! let path = std::env::temp_dir().join(format!("openwfp-store-{}.redb", std::process::id()));
//! let engine = Engine::builder().store(Arc::new(RedbStore::open(&path)?)).open()?;
//! # drop(engine);
//! # std::fs::remove_file(path).unwrap();
//! # Ok::<(), openwfp_api::Error>(())
//! ```
#![forbid(unsafe_code)]

mod file;

use openwfp_api::Code;
use openwfp_api::Error;
use openwfp_api::Guid;
use openwfp_api::KeyAccess;
use openwfp_api::Result;
use openwfp_api::object::ObjectKind;
use openwfp_api::object::store::ObjectStore;
use openwfp_api::object::store::StoredObject;
use openwfp_api::record::Record;
use redb::Database;
use redb::ReadableDatabase;
use redb::ReadableTable;
use redb::TableDefinition;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

/// Encoded objects by kind and key. Since layout 2, each value ends with the checksum of its key and itself.
const OBJECTS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("objects");
/// Metadata: "version", the version of the layout, and "generation", the number of commits.
const ABOUT: TableDefinition<'_, &str, u64> = TableDefinition::new("about");
/// Version of the layout that this code writes.
const VERSION: u64 = 2;
/// Version of the layout without checksums, which this code reads and replaces.
const WITHOUT_CHECKSUMS: u64 = 1;
/// Length of a checksum.
const CHECKSUM: usize = 4;

/// An object store in a redb file.
#[derive(Debug)]
pub struct RedbStore {
    state: Mutex<State>,
    path: PathBuf,
}

#[derive(Debug)]
struct State {
    /// `None` after a failure, until the file can be opened again.
    database: Option<Database>,
    /// Number of commits that have succeeded, in the life of the file.
    generation: u64,
    /// What the entries of the last commit that failed held before it. A commit can fail and still be in the file, if the disk fails
    /// only when it is to confirm the write.
    undo: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

/// Why a store cannot be opened.
enum Fault {
    /// The file is not what was written.
    Damaged(Error),
    Other(Error),
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Error {
        match fault {
            Fault::Damaged(error) | Fault::Other(error) => error,
        }
    }
}

impl RedbStore {
    /// Opens the store, and creates the file if it does not exist. Only the owner can read and write it, because it holds keys:
    /// a file that others can read becomes private.
    ///
    /// # Errors
    /// - `ERROR_ACCESS_DENIED` if permission to open the file is denied, it belongs to another user, or others can write it
    /// - `FWP_E_ALREADY_EXISTS` while another engine uses it
    /// - `FWP_E_INVALID_PARAMETER` if it is damaged, is no regular file or no store, or has a later layout
    /// - `ERROR_INTERNAL_ERROR` if reading or writing it fails
    pub fn open(path: &Path) -> Result<RedbStore> {
        RedbStore::try_open(path).map_err(Error::from)
    }

    /// Opens the store as [`RedbStore::open`] does, but moves a damaged file aside and creates an empty store in its place.
    /// Returns where the damaged file is, and what is wrong with it.
    ///
    /// # Errors
    /// As [`RedbStore::open`]; also if the file cannot be moved.
    pub fn open_or_replace(path: &Path) -> Result<(RedbStore, Option<(PathBuf, Error)>)> {
        let error = match RedbStore::try_open(path) {
            Ok(store) => return Ok((store, None)),
            Err(Fault::Damaged(error)) => error,
            Err(Fault::Other(error)) => return Err(error),
        };
        let aside = file::free_name(path);
        std::fs::rename(path, &aside).map_err(|why| {
            let what = format!("cannot move {} aside, which is damaged: {why}", path.display());
            Error::new(Code::ERROR_INTERNAL_ERROR, what)
        })?;
        Ok((RedbStore::open(path)?, Some((aside, error))))
    }

    fn try_open(path: &Path) -> Result<RedbStore, Fault> {
        if path.symlink_metadata().is_err() {
            create(path)?;
        }
        let database = open_database(path)?;
        let generation = generation(&database).map_err(|error| Fault::Other(failed(path, &error)))?;
        let state = State { database: Some(database), generation, undo: Vec::new() };
        Ok(RedbStore { state: Mutex::new(state), path: path.to_owned() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works with the database. After a failure of the disk, redb refuses everything; then the file is opened again first, which
    /// succeeds once the disk does.
    fn with<T>(&self, state: &mut State, work: impl Fn(&Database) -> Result<T, redb::Error>) -> Result<T> {
        let mut is_retry = false;
        loop {
            let database = match state.database.take() {
                Some(database) => database,
                None => self.reopen(state)?,
            };
            let error = match guarded(|| work(&database)) {
                Ok(Ok(done)) => {
                    state.database = Some(database);
                    return Ok(done);
                }
                Ok(Err(error)) => error,
                Err(what) => redb::Error::Corrupted(what),
            };
            // The next use opens the file again.
            drop(guarded(|| drop(database)));
            if matches!(error, redb::Error::PreviousIo) && !is_retry {
                is_retry = true;
                continue;
            }
            return Err(failed(&self.path, &error));
        }
    }

    /// Opens the file again, which must still be there, and takes back a commit that was reported as failed and is in it.
    fn reopen(&self, state: &mut State) -> Result<Database> {
        let database = open_database(&self.path)?;
        let failed = |error: redb::Error| failed(&self.path, &error);
        if generation(&database).map_err(failed)? > state.generation {
            write(&database, state.generation, |objects| {
                for (key, value) in &state.undo {
                    match value {
                        Some(value) => drop(objects.insert(&**key, &**value)?),
                        None => drop(objects.remove(&**key)?),
                    }
                }
                Ok(())
            })
            .map_err(failed)?;
        }
        Ok(database)
    }
}

/// The table of objects in a transaction.
type Objects<'t> = redb::Table<'t, &'static [u8], &'static [u8]>;

/// Changes objects in one commit, which gets this generation.
fn write(
    database: &Database,
    generation: u64,
    change: impl Fn(&mut Objects<'_>) -> Result<(), redb::Error>,
) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    change(&mut transaction.open_table(OBJECTS)?)?;
    {
        let mut about = transaction.open_table(ABOUT)?;
        about.insert("version", VERSION)?;
        about.insert("generation", generation)?;
    }
    transaction.commit()?;
    Ok(())
}

fn generation(database: &Database) -> Result<u64, redb::Error> {
    let about = database.begin_read()?.open_table(ABOUT)?;
    Ok(about.get("generation")?.map_or(0, |generation| generation.value()))
}

/// Creates an empty store: under another name until it is complete, so that nobody ever sees half of it.
fn create(path: &Path) -> Result<(), Fault> {
    let early = file::early_name(path);
    let failed = |error: &dyn fmt::Display| Fault::Other(failed(path, error));
    let file = file::open_private(&early, true).map_err(Fault::Other)?;
    let made = guarded(|| {
        let database = Database::builder().create_file(file)?;
        write(&database, 0, |_| Ok(()))
    });
    let linked = match made {
        Ok(Ok(())) => match std::fs::hard_link(&early, path) {
            // Another process has created it meanwhile.
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
            other => other.map_err(|error| failed(&error)),
        },
        Ok(Err(error)) => Err(failed(&error)),
        Err(what) => Err(failed(&what)),
    };
    drop(std::fs::remove_file(&early));
    linked
}

/// Opens the database, and checks all of it.
fn open_database(path: &Path) -> Result<Database, Fault> {
    let in_use = || {
        let what = format!("cannot open {}: another engine has this store open", path.display());
        Fault::Other(
            Error::new(Code::FWP_E_ALREADY_EXISTS, what)
                .with_remedy("Stop that engine, or choose another directory."),
        )
    };
    let file = file::open_private(path, false).map_err(Fault::Other)?;
    // Before anything is read: who holds the lock may be changing it.
    match file.try_lock() {
        Ok(()) => {}
        Err(std::fs::TryLockError::WouldBlock) => return Err(in_use()),
        Err(std::fs::TryLockError::Error(error)) => return Err(Fault::Other(failed(path, &error))),
    }
    match file::check_length(&file) {
        Ok(None) => {}
        Ok(Some(what)) => return Err(damaged(path, &what)),
        Err(error) => return Err(Fault::Other(failed(path, &error))),
    }
    let opened = guarded(|| {
        let mut database = Database::builder().create_file(file)?;
        let is_sound = database.check_integrity()?;
        Ok::<_, redb::DatabaseError>((database, is_sound))
    });
    let (database, is_sound) = match opened {
        Err(what) => return Err(damaged(path, &what)),
        Ok(Err(redb::DatabaseError::DatabaseAlreadyOpen)) => return Err(in_use()),
        Ok(Err(error)) => return Err(fault(path, error.into())),
        Ok(Ok(opened)) => opened,
    };
    if !is_sound {
        return Err(damaged(path, &"its checksums do not match"));
    }
    check_layout(path, &database)?;
    read_all(path, &database, true)?;
    Ok(database)
}

/// Tells a failing disk from a damaged file.
fn fault(path: &Path, error: redb::Error) -> Fault {
    match error {
        redb::Error::Io(error) if error.kind() != std::io::ErrorKind::InvalidData => {
            Fault::Other(failed(path, &error))
        }
        error => damaged(path, &error),
    }
}

/// Returns the result of work that reads the database.
fn reading<T>(path: &Path, work: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, Fault> {
    match guarded(work) {
        Ok(done) => done.map_err(|error| fault(path, error)),
        Err(what) => Err(damaged(path, &what)),
    }
}

/// Checks the version of the layout; gives the entries of the first layout their checksums.
fn check_layout(path: &Path, database: &Database) -> Result<(), Fault> {
    let version = reading(path, || {
        let transaction = database.begin_read()?;
        match transaction.open_table(ABOUT) {
            Ok(about) => Ok(about.get("version")?.map(|version| version.value())),
            Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    })?;
    match version {
        Some(VERSION) => Ok(()),
        Some(WITHOUT_CHECKSUMS) => {
            // What cannot be read stays as it is.
            read_all(path, database, false)?;
            write(database, 0, |objects| {
                let mut old = Vec::new();
                for entry in objects.iter()? {
                    let (key, value) = entry?;
                    old.push((key.value().to_vec(), value.value().to_vec()));
                }
                for (key, value) in old {
                    let value = with_checksum(&key, value);
                    objects.insert(&*key, &*value)?;
                }
                Ok(())
            })
            .map_err(|error| Fault::Other(failed(path, &error)))
        }
        None => Err(damaged(path, &"it has no version")),
        Some(other) => {
            let what = format!(
                "{}: the store has layout {other}, but this version of OpenWFP reads up to {VERSION}",
                path.display()
            );
            Err(Fault::Other(
                Error::new(Code::FWP_E_INVALID_PARAMETER, what)
                    .with_remedy("Use a later version of OpenWFP."),
            ))
        }
    }
}

/// Reads and checks every object.
fn read_all(path: &Path, database: &Database, has_checksums: bool) -> Result<Vec<StoredObject>, Fault> {
    let entries = reading(path, || {
        let mut entries = Vec::new();
        for entry in database.begin_read()?.open_table(OBJECTS)?.iter()? {
            let (key, value) = entry?;
            entries.push((key.value().to_vec(), value.value().to_vec()));
        }
        Ok(entries)
    })?;
    let object = |(key, value): &(Vec<u8>, Vec<u8>)| {
        let value = match has_checksums {
            true => without_checksum(key, value)
                .ok_or_else(|| damaged(path, &"the checksum of an object does not match"))?,
            false => value,
        };
        // It is what was written. That this version cannot read it is no damage.
        openwfp_api::bounds::trusted(|| StoredObject::decode(value)).map_err(|error| {
            let what = format!("{}: an object cannot be read: {}", path.display(), error.what());
            Fault::Other(
                Error::new(Code::FWP_E_INVALID_PARAMETER, what)
                    .with_remedy("Use the version of OpenWFP that wrote it."),
            )
        })
    };
    entries.iter().map(object).collect()
}

/// Calls what may panic because a file is damaged. Returns the panic's message.
fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    std::panic::catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        format!("the database library failed: {}", text.unwrap_or("no reason given"))
    })
}

fn damaged(path: &Path, what: &dyn fmt::Display) -> Fault {
    let what = format!("cannot open {}: {what}", path.display());
    Fault::Damaged(Error::new(Code::FWP_E_INVALID_PARAMETER, what).with_remedy(
        "The file is damaged, or is not an OpenWFP store. Restore it from a backup, or move it away to start with an empty one.",
    ))
}

fn failed(path: &Path, error: &dyn fmt::Display) -> Error {
    let what = format!("cannot read or write the store {}: {error}", path.display());
    Error::new(Code::ERROR_INTERNAL_ERROR, what)
        .with_remedy("Check whether its disk is full or failing. Nothing was changed; try again afterwards.")
}

fn key(kind: ObjectKind, key: Guid) -> Vec<u8> {
    let mut bytes = kind.wfp().to_be_bytes().to_vec();
    bytes.extend_from_slice(key.to_string().as_bytes());
    bytes
}

/// Returns the checksum of an entry: the CRC-32 of its key and its value.
fn checksum(key: &[u8], value: &[u8]) -> [u8; CHECKSUM] {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(value);
    hasher.finalize().to_be_bytes()
}

fn with_checksum(key: &[u8], mut value: Vec<u8>) -> Vec<u8> {
    let sum = checksum(key, &value);
    value.extend_from_slice(&sum);
    value
}

/// Returns a value without its checksum, if that is right.
fn without_checksum<'v>(key: &[u8], value: &'v [u8]) -> Option<&'v [u8]> {
    let (value, sum) = value.split_last_chunk::<CHECKSUM>()?;
    (*sum == checksum(key, value)).then_some(value)
}

impl ObjectStore for RedbStore {
    fn load(&self) -> Result<Vec<StoredObject>> {
        let mut state = self.lock();
        let database = match state.database.take() {
            Some(database) => database,
            None => self.reopen(&mut state)?,
        };
        let objects = read_all(&self.path, &database, true)?;
        state.database = Some(database);
        Ok(objects)
    }

    fn commit(&self, put: &[StoredObject], forget: &[(ObjectKind, Guid)]) -> Result {
        let mut state = self.lock();
        // The store keeps key bytes too; only the owner of the file can read it.
        let keys = KeyAccess::grant();
        let gone = forget.iter().map(|(kind, forgotten)| (key(*kind, *forgotten), None));
        let new = put.iter().map(|stored| {
            let place = key(stored.object.kind(), stored.object.key());
            let value = with_checksum(&place, stored.encode(Some(&keys)));
            (place, Some(value))
        });
        let changes: Vec<(Vec<u8>, Option<Vec<u8>>)> = gone.chain(new).collect();
        let undo = self.with(&mut state, |database| {
            let objects = database.begin_read()?.open_table(OBJECTS)?;
            let before = |place: &Vec<u8>| {
                Ok((place.clone(), objects.get(&**place)?.map(|value| value.value().to_vec())))
            };
            changes.iter().map(|(place, _)| before(place)).collect::<Result<Vec<_>, redb::Error>>()
        })?;
        state.undo = undo;
        let generation = state.generation + 1;
        self.with(&mut state, |database| {
            write(database, generation, |objects| {
                for (place, value) in &changes {
                    match value {
                        Some(value) => drop(objects.insert(&**place, &**value)?),
                        None => drop(objects.remove(&**place)?),
                    }
                }
                Ok(())
            })
        })?;
        state.generation = generation;
        state.undo.clear();
        Ok(())
    }
}
