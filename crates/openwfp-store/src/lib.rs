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
/// Metadata: one entry, "version", with the version of the layout.
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
    /// `None` after a failure, until the file can be opened again.
    database: Mutex<Option<Database>>,
    path: PathBuf,
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
        let database = open_database(path)?;
        Ok(RedbStore { database: Mutex::new(Some(database)), path: path.to_owned() })
    }

    fn lock(&self) -> MutexGuard<'_, Option<Database>> {
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works with the database. After a failure of the disk, redb refuses everything; then the file is opened again first, which
    /// succeeds once the disk does.
    fn with<T>(&self, work: impl Fn(&Database) -> Result<T, redb::Error>) -> Result<T> {
        let mut held = self.lock();
        let mut is_retry = false;
        loop {
            let database = match held.take() {
                Some(database) => database,
                None => open_database(&self.path)?,
            };
            let error = match guarded(|| work(&database)) {
                Ok(Ok(done)) => {
                    *held = Some(database);
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
}

/// Opens the database, and checks all of it.
fn open_database(path: &Path) -> Result<Database, Fault> {
    let file = file::open_private(path).map_err(Fault::Other)?;
    file::check_length(path, &file).map_err(|what| damaged(path, &what))?;
    let opened = guarded(|| {
        let mut database = Database::builder().create_file(file)?;
        let is_sound = database.check_integrity()?;
        Ok::<_, redb::DatabaseError>((database, is_sound))
    });
    let (database, is_sound) = match opened {
        Err(what) => return Err(damaged(path, &what)),
        Ok(Err(redb::DatabaseError::DatabaseAlreadyOpen)) => {
            let what = format!("cannot open {}: another engine has this store open", path.display());
            return Err(Fault::Other(
                Error::new(Code::FWP_E_ALREADY_EXISTS, what)
                    .with_remedy("Stop that engine, or choose another directory."),
            ));
        }
        Ok(Err(redb::DatabaseError::Storage(redb::StorageError::Io(error))))
            if error.kind() != std::io::ErrorKind::InvalidData =>
        {
            return Err(Fault::Other(failed(path, &error)));
        }
        Ok(Err(other)) => return Err(damaged(path, &other)),
        Ok(Ok(opened)) => opened,
    };
    if !is_sound {
        return Err(damaged(path, &"its checksums do not match"));
    }
    check_layout(path, &database)?;
    read_all(path, &database)?;
    Ok(database)
}

/// Checks the version of the layout; initializes a new file, and gives the entries of the first layout their checksums.
fn check_layout(path: &Path, database: &Database) -> Result<(), Fault> {
    let version = guarded(|| {
        let transaction = database.begin_read()?;
        match transaction.open_table(ABOUT) {
            Ok(about) => Ok(about.get("version")?.map(|version| version.value())),
            Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
            Err(error) => Err(redb::Error::from(error)),
        }
    });
    let version = match version {
        Ok(Ok(version)) => version,
        Ok(Err(error)) => return Err(damaged(path, &error)),
        Err(what) => return Err(damaged(path, &what)),
    };
    let write = || {
        let transaction = database.begin_write()?;
        {
            let mut objects = transaction.open_table(OBJECTS)?;
            let mut old = Vec::new();
            for entry in objects.iter()? {
                let (key, value) = entry?;
                old.push((key.value().to_vec(), value.value().to_vec()));
            }
            for (key, value) in old {
                let value = with_checksum(&key, value);
                objects.insert(&*key, &*value)?;
            }
            transaction.open_table(ABOUT)?.insert("version", VERSION)?;
        }
        transaction.commit()?;
        Ok::<_, redb::Error>(())
    };
    match version {
        Some(VERSION) => Ok(()),
        None | Some(WITHOUT_CHECKSUMS) => write().map_err(|error| Fault::Other(failed(path, &error))),
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
fn read_all(path: &Path, database: &Database) -> Result<Vec<StoredObject>, Fault> {
    let read = guarded(|| {
        let mut entries = Vec::new();
        for entry in database.begin_read()?.open_table(OBJECTS)?.iter()? {
            let (key, value) = entry?;
            entries.push((key.value().to_vec(), value.value().to_vec()));
        }
        Ok::<_, redb::Error>(entries)
    });
    let entries = match read {
        Ok(Ok(entries)) => entries,
        Ok(Err(error)) => return Err(damaged(path, &error)),
        Err(what) => return Err(damaged(path, &what)),
    };
    let object = |(key, value): &(Vec<u8>, Vec<u8>)| {
        let value = without_checksum(key, value).ok_or("the checksum of an object does not match")?;
        StoredObject::decode(value).map_err(|error| format!("an object cannot be read: {}", error.what()))
    };
    entries.iter().map(object).collect::<Result<_, String>>().map_err(|what| damaged(path, &what))
}

/// Calls what may panic because a file is damaged. Returns the panic's message.
fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    std::panic::catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        format!("the database library gave up on it: {}", text.unwrap_or("no reason given"))
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
        let mut held = self.lock();
        let database = match held.take() {
            Some(database) => database,
            None => open_database(&self.path)?,
        };
        let objects = read_all(&self.path, &database)?;
        *held = Some(database);
        Ok(objects)
    }

    fn commit(&self, put: &[StoredObject], forget: &[(ObjectKind, Guid)]) -> Result {
        self.with(|database| {
            let transaction = database.begin_write()?;
            {
                let mut objects = transaction.open_table(OBJECTS)?;
                for (kind, forgotten) in forget {
                    objects.remove(&*key(*kind, *forgotten))?;
                }
                // The store keeps key bytes too; only the owner of the file can read it.
                let keys = KeyAccess::grant();
                for stored in put {
                    let place = key(stored.object.kind(), stored.object.key());
                    let value = with_checksum(&place, stored.encode(Some(&keys)));
                    objects.insert(&*place, &*value)?;
                }
            }
            transaction.commit()?;
            Ok(())
        })
    }
}
