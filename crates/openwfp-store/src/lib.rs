//! Persistent objects in one file: a redb database with an entry for each object.
//!
//! A commit is one transaction of redb, which is whole after a crash of the process or the machine, or not there. The
//! entries are messages of protocol buffers, as on the wire, so that other versions read what they know of them.
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
use std::path::Path;
use std::path::PathBuf;

/// Objects by their kind and key.
const OBJECTS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("objects");
/// What the file is: one entry, "version".
const ABOUT: TableDefinition<'_, &str, u64> = TableDefinition::new("about");
/// The version of this layout.
const VERSION: u64 = 1;

/// A store in a file.
#[derive(Debug)]
pub struct RedbStore {
    database: Database,
    path: PathBuf,
}

impl RedbStore {
    /// Opens the file, which is created if it is not there, readable by its owner alone: it holds keys.
    ///
    /// # Errors
    /// `ERROR_ACCESS_DENIED` where the file may not be used, `FWP_E_ALREADY_EXISTS` while another engine uses it,
    /// `FWP_E_INVALID_PARAMETER` for one that is no store or of a later layout.
    pub fn open(path: &Path) -> Result<RedbStore> {
        let named = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let mut options = std::fs::OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path).map_err(|error| {
            let code = match error.kind() {
                std::io::ErrorKind::PermissionDenied => Code::ERROR_ACCESS_DENIED,
                _ => Code::FWP_E_INVALID_PARAMETER,
            };
            Error::new(code, named(&error))
        })?;
        let database = Database::builder().create_file(file).map_err(|error| match error {
            redb::DatabaseError::DatabaseAlreadyOpen => {
                Error::new(Code::FWP_E_ALREADY_EXISTS, named(&"another engine uses this store"))
                    .with_remedy("stop that one, or choose another directory")
            }
            other => Error::new(Code::FWP_E_INVALID_PARAMETER, named(&other))
                .with_remedy("it is no store of OpenWFP, or damaged: restore it, or move it away"),
        })?;
        let store = RedbStore { database, path: path.to_owned() };
        store.check_version()?;
        Ok(store)
    }

    fn check_version(&self) -> Result {
        let version = self.read(|| {
            let transaction = self.database.begin_read()?;
            match transaction.open_table(ABOUT) {
                Ok(about) => Ok(about.get("version")?.map(|version| version.value())),
                Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
                Err(error) => Err(error.into()),
            }
        })?;
        match version {
            Some(VERSION) => Ok(()),
            Some(other) => {
                let what = format!(
                    "{}: the store has the layout {other}, this version knows {VERSION}",
                    self.path.display()
                );
                Err(Error::new(Code::FWP_E_INVALID_PARAMETER, what)
                    .with_remedy("use a later version of OpenWFP"))
            }
            None => self.read(|| {
                let transaction = self.database.begin_write()?;
                transaction.open_table(ABOUT)?.insert("version", VERSION)?;
                transaction.open_table(OBJECTS)?;
                transaction.commit()?;
                Ok(())
            }),
        }
    }

    fn read<T>(&self, work: impl FnOnce() -> Result<T, redb::Error>) -> Result<T> {
        work().map_err(|error| {
            let what = format!("the store {} failed: {error}", self.path.display());
            Error::new(Code::ERROR_INTERNAL_ERROR, what).with_remedy("is its disk full or broken?")
        })
    }
}

fn key(kind: ObjectKind, key: Guid) -> Vec<u8> {
    let mut bytes = kind.wfp().to_be_bytes().to_vec();
    bytes.extend_from_slice(key.to_string().as_bytes());
    bytes
}

impl ObjectStore for RedbStore {
    fn load(&self) -> Result<Vec<StoredObject>> {
        let entries: Vec<Vec<u8>> = self.read(|| {
            let objects = self.database.begin_read()?.open_table(OBJECTS)?;
            let mut entries = Vec::new();
            for entry in objects.iter()? {
                entries.push(entry?.1.value().to_vec());
            }
            Ok(entries)
        })?;
        entries
            .iter()
            .map(|entry| {
                StoredObject::decode(entry).map_err(|error| {
                    let what = format!("{}: an object cannot be read: {}", self.path.display(), error.what());
                    Error::new(Code::FWP_E_INVALID_PARAMETER, what)
                })
            })
            .collect()
    }

    fn commit(&self, put: &[StoredObject], forget: &[(ObjectKind, Guid)]) -> Result {
        self.read(|| {
            let transaction = self.database.begin_write()?;
            {
                let mut objects = transaction.open_table(OBJECTS)?;
                for (kind, forgotten) in forget {
                    objects.remove(&*key(*kind, *forgotten))?;
                }
                // Keys are part of what is kept; the file is its owner's alone.
                let keys = KeyAccess::grant();
                for stored in put {
                    let place = key(stored.object.kind(), stored.object.key());
                    objects.insert(&*place, &*stored.encode(Some(&keys)))?;
                }
            }
            transaction.commit()?;
            Ok(())
        })
    }
}
