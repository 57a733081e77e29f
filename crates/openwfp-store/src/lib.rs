//! A persistent object store in one file: a redb database with one entry per object.
//!
//! A commit is one redb transaction: after a crash of the process or the machine it is either complete
//! or absent. The entries are protobuf messages, encoded as on the wire, so that other versions can
//! read the fields that they know.
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

/// Encoded objects by kind and key.
const OBJECTS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("objects");
/// Metadata: one entry, "version", with the version of the layout.
const ABOUT: TableDefinition<'_, &str, u64> = TableDefinition::new("about");
/// Version of the layout that this code reads and writes.
const VERSION: u64 = 1;

/// An object store in a redb file.
#[derive(Debug)]
pub struct RedbStore {
    database: Database,
    path: PathBuf,
}

impl RedbStore {
    /// Opens the store, and creates the file if it does not exist. On Unix only the owner can read and
    /// write a new file, because it holds keys.
    ///
    /// # Errors
    /// `ERROR_ACCESS_DENIED` if permission to open the file is denied, `FWP_E_ALREADY_EXISTS` while another
    /// engine uses it, `FWP_E_INVALID_PARAMETER` if it cannot be opened for another reason, is not a store
    /// or has another layout, `ERROR_INTERNAL_ERROR` if reading or writing it fails.
    pub fn open(path: &Path) -> Result<RedbStore> {
        let named = |error: &dyn std::fmt::Display| format!("cannot open {}: {error}", path.display());
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
                Error::new(Code::FWP_E_ALREADY_EXISTS, named(&"another engine has this store open"))
                    .with_remedy("Stop that engine, or choose another directory.")
            }
            other => Error::new(Code::FWP_E_INVALID_PARAMETER, named(&other)).with_remedy(
                "The file may be damaged, or may not be an OpenWFP store. Restore it from a backup, or move it away.",
            ),
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
                    "{}: the store has layout {other}, but this version of OpenWFP reads {VERSION}",
                    self.path.display()
                );
                Err(Error::new(Code::FWP_E_INVALID_PARAMETER, what)
                    .with_remedy("Use a later version of OpenWFP."))
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
            let what = format!("cannot read or write the store {}: {error}", self.path.display());
            Error::new(Code::ERROR_INTERNAL_ERROR, what)
                .with_remedy("Check whether its disk is full or failing.")
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
                    let what = format!("{}: cannot read an object: {}", self.path.display(), error.what());
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
                // The store keeps key bytes too; the file is created so that only its owner can read it.
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
