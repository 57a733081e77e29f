//! Tracks which of the kernel's states and policies are this engine's: in memory, and in a journal file
//! in which a later engine finds what a killed engine left behind.
//!
//! Installations are written before the kernel is asked, removals after it has carried them out. The
//! file is kept under `/run`, in memory like the kernel's states, so that a reboot clears both. It
//! contains no keys: each line has what is needed to delete an object.
//!
//! ```text
//! sa KEY in|out HEX        a state: the payload of its deletion (xfrm_usersa_id, mark)
//! not KEY HEX              that state is gone; the context has moved to another one
//! policy KEY HEX           a policy of a context: the payload of its deletion (xfrm_userpolicy_id, mark, if_id)
//! whole KEY                both directions are installed
//! gone KEY                 the context has no states any more
//! spd HEX                  a policy of a filter: the payload of its deletion
//! nospd HEX                that policy is gone
//! ```
//!
//! Each line ends with ` #` and the CRC-32 of what stands before it, in hexadecimal. A line whose checksum does not match counts
//! for nothing, and neither does an unfinished last line: an installation that it announces was never started. Journals of
//! versions that knew no checksums have none in any line.

use crate::table::StateIdentity;
use crate::table::identity;
use crate::wire::Message;
use crate::wire::MessageKind;
use crate::wire::PolicyId;
use crate::wire::SaId;
use openwfp_api::Code;
use openwfp_api::Direction;
use openwfp_api::Error;
use openwfp_api::FilterId;
use openwfp_api::Result;
use openwfp_api::SaContextId;
use std::collections::BTreeMap;
use std::collections::HashMap;
use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::io::Read;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

/// First key of contexts that an earlier engine left behind; smaller keys are ids of this engine's
/// contexts.
const LEFT_BEHIND: u64 = 1 << 63;

/// The states and policies that belong to the engine.
#[derive(Default)]
pub(crate) struct Ownership(Mutex<Owned>);

#[derive(Default)]
struct Owned {
    sas: HashMap<StateIdentity, OwnedSa>,
    contexts: BTreeMap<u64, OwnedContext>,
    /// Number of contexts that use each policy.
    policies: HashMap<PolicyId, usize>,
    /// The policies of filters.
    spd: HashSet<PolicyId>,
    /// Ids of the IPsec policies by their reqids.
    reqids: HashMap<u32, FilterId>,
    /// Requests of the kernel's acquires, by context id.
    acquires: BTreeMap<u64, Asked>,
    journal: Option<Journal>,
    next_left_behind: u64,
}

/// The numbers in a kernel's acquire.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) reqid: u32,
    pub(crate) sequence: u32,
    pub(crate) if_id: u32,
    pub(crate) mark: (u32, u32),
}

#[derive(Clone, Copy)]
struct OwnedSa {
    key: u64,
    direction: Direction,
    /// Whether the kernel has accepted the state and the driver is not changing it.
    installed: bool,
}

#[derive(Default)]
struct OwnedContext {
    sas: Vec<StateIdentity>,
    policies: Vec<PolicyId>,
    whole: bool,
}

/// The journal file and its number of lines.
struct Journal {
    path: PathBuf,
    file: File,
    lines: usize,
    /// Length of what was written whole, in bytes.
    length: u64,
    /// Group that may read the journal.
    group: Option<u32>,
    /// The locked lock file: whoever can lock it knows that the engine is gone. It is a file of its own, which only the engine's user
    /// can open, because whoever can read a file can lock it.
    _lock: File,
}

/// A context that a dead engine left behind, with what is needed to delete it.
#[derive(Default)]
pub(crate) struct Leftover {
    pub(crate) sas: Vec<(SaId, Direction)>,
    pub(crate) policies: Vec<PolicyId>,
    pub(crate) whole: bool,
}

impl Ownership {
    /// Starts a journal in a directory.
    ///
    /// # Errors
    /// `RPC_E_OUT_OF_RESOURCES` if the file cannot be written.
    pub(crate) fn keep_journal(&self, directory: &Path, namespace: u64, group: Option<u32>) -> Result {
        let path = directory.join(format!("xfrm-{namespace}-{}.journal", unique()));
        let failed = |error: &io::Error| failed(&path, error);
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true).mode(0o755).create(directory).map_err(|e| failed(&e))?;
        let mut options = OpenOptions::new();
        options.append(true).create_new(true);
        let lock = options.clone().mode(0o600).open(lock_of(&path)).map_err(|e| failed(&e))?;
        // It is released when the engine dies.
        lock.try_lock().map_err(|e| failed(&e.into()))?;
        let file = options.mode(MODE).open(&path).map_err(|e| failed(&e))?;
        share(&file, group).map_err(|e| failed(&e))?;
        // For earlier versions, which look at this lock.
        drop(file.try_lock());
        let mut owned = self.lock();
        owned.journal = Some(Journal { path: path.clone(), file, lines: 0, length: 0, group, _lock: lock });
        owned.rewrite().map_err(|e| failed(&e))
    }

    fn lock(&self) -> MutexGuard<'_, Owned> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the key of the context that a state was installed for, and the state's direction.
    pub(crate) fn tie(&self, identity: &StateIdentity) -> Option<(u64, Direction)> {
        self.lock().sas.get(identity).map(|sa| (sa.key, sa.direction))
    }

    /// Returns the context id of a key; none if an earlier engine left the context behind.
    pub(crate) fn context_of(tie: u64) -> Option<SaContextId> {
        (tie != 0 && tie < LEFT_BEHIND).then_some(SaContextId(tie))
    }

    /// Returns whether all these states are this engine's, installed by it or taken over.
    pub(crate) fn has_all<'i>(&self, mut identities: impl Iterator<Item = &'i StateIdentity>) -> bool {
        let owned = self.lock();
        identities.all(|identity| owned.sas.contains_key(identity))
    }

    /// Returns the installed states of contexts that this engine created.
    pub(crate) fn installed(&self) -> Vec<(StateIdentity, SaContextId, Direction)> {
        let owned = self.lock();
        let of = |(identity, sa): (&StateIdentity, &OwnedSa)| {
            Some((*identity, Ownership::context_of(sa.key).filter(|_| sa.installed)?, sa.direction))
        };
        owned.sas.iter().filter_map(of).collect()
    }

    /// Records that states and policies of a context are about to be installed. Returns the policies that
    /// no context used before.
    ///
    /// # Errors
    /// `RPC_E_OUT_OF_RESOURCES` if the journal cannot be written; nothing is recorded then.
    pub(crate) fn begin(
        &self,
        key: u64,
        direction: Direction,
        sas: &[SaId],
        policies: &[PolicyId],
    ) -> Result<Vec<PolicyId>> {
        let mut owned = self.lock();
        let mut lines = String::new();
        for id in sas {
            sa_line(&mut lines, key, direction, id);
        }
        for id in policies {
            policy_line(&mut lines, key, id);
        }
        owned.write(&lines)?;
        let context = owned.contexts.entry(key).or_default();
        context.sas.extend(sas.iter().map(|id| identity(id, 0)));
        let new: Vec<PolicyId> =
            policies.iter().filter(|id| !context.policies.contains(id)).copied().collect();
        context.policies.extend(&new);
        for id in sas {
            owned.sas.insert(identity(id, 0), OwnedSa { key, direction, installed: false });
        }
        let mut unused = Vec::new();
        for id in new {
            let users = owned.policies.entry(id).or_default();
            *users += 1;
            if *users == 1 && !owned.spd.contains(&id) {
                unused.push(id);
            }
        }
        Ok(unused)
    }

    /// Records whether states are installed. While they are not, the driver is changing them, and the
    /// follower ignores that they disappear.
    pub(crate) fn settle(&self, sas: &[SaId], installed: bool) {
        let mut owned = self.lock();
        for id in sas {
            if let Some(sa) = owned.sas.get_mut(&identity(id, 0)) {
                sa.installed = installed;
            }
        }
    }

    /// Returns whether a state is installed and the driver is not changing it.
    pub(crate) fn is_settled(&self, identity: &StateIdentity) -> bool {
        self.lock().sas.get(identity).is_some_and(|sa| sa.installed)
    }

    /// Records that the kernel accepted states; `whole` if both directions are installed.
    ///
    /// # Errors
    /// `RPC_E_OUT_OF_RESOURCES` if the journal cannot be written: a later engine would take the context for half of one.
    pub(crate) fn done(&self, key: u64, sas: &[SaId], whole: bool) -> Result {
        self.settle(sas, true);
        let mut owned = self.lock();
        if whole && let Some(context) = owned.contexts.get_mut(&key) {
            context.whole = true;
            owned.write(&line(&format!("whole {key}")))?;
        }
        Ok(())
    }

    /// Records that states are gone. When a context's last state is gone, returns its policies that no
    /// other context uses.
    pub(crate) fn forget(&self, sas: impl IntoIterator<Item = StateIdentity>) -> Vec<PolicyId> {
        let mut owned = self.lock();
        let mut unused = Vec::new();
        for identity in sas {
            let Some(OwnedSa { key, .. }) = owned.sas.remove(&identity) else { continue };
            let Some(context) = owned.contexts.get_mut(&key) else { continue };
            context.sas.retain(|other| *other != identity);
            if !context.sas.is_empty() {
                continue;
            }
            let policies = std::mem::take(&mut context.policies);
            owned.contexts.remove(&key);
            owned.acquires.remove(&key);
            unused.extend(owned.release(policies));
            let _ = owned.write(&line(&format!("gone {key}")));
        }
        unused
    }

    /// Takes policies from a context and returns those that no context uses any more.
    pub(crate) fn release(&self, key: u64, policies: &[PolicyId]) -> Vec<PolicyId> {
        let mut owned = self.lock();
        if let Some(context) = owned.contexts.get_mut(&key) {
            context.policies.retain(|other| !policies.contains(other));
        }
        owned.release(policies.iter().copied())
    }

    /// Returns whether any context uses a policy, or it is that of a filter.
    pub(crate) fn uses(&self, policy: &PolicyId) -> bool {
        let owned = self.lock();
        owned.policies.contains_key(policy) || owned.spd.contains(policy)
    }

    /// Records that policies of filters are about to be installed.
    ///
    /// # Errors
    /// `RPC_E_OUT_OF_RESOURCES` if the journal cannot be written; nothing is recorded then.
    pub(crate) fn begin_spd<'p>(&self, policies: impl Iterator<Item = &'p PolicyId>) -> Result {
        let mut owned = self.lock();
        let new: Vec<PolicyId> = policies.filter(|id| !owned.spd.contains(id)).copied().collect();
        let mut lines = String::new();
        new.iter().for_each(|id| spd_line(&mut lines, "spd", id));
        owned.write(&lines)?;
        owned.spd.extend(new);
        Ok(())
    }

    /// Records that policies of filters are gone.
    pub(crate) fn forget_spd<'p>(&self, policies: impl Iterator<Item = &'p PolicyId>) {
        let mut owned = self.lock();
        let mut lines = String::new();
        for id in policies {
            if owned.spd.remove(id) {
                spd_line(&mut lines, "nospd", id);
            }
        }
        let _ = owned.write(&lines);
    }

    /// Records which IPsec policy has a reqid, or that none has it.
    pub(crate) fn note_reqid(&self, reqid: u32, policy: Option<FilterId>) {
        let mut owned = self.lock();
        match policy {
            Some(policy) => owned.reqids.insert(reqid, policy),
            None => owned.reqids.remove(&reqid),
        };
    }

    /// Returns the IPsec policy of the engine that has a reqid.
    pub(crate) fn policy_with(&self, reqid: u32) -> Option<FilterId> {
        self.lock().reqids.get(&reqid).copied()
    }

    /// Returns the policies of filters.
    pub(crate) fn spd(&self) -> HashSet<PolicyId> {
        self.lock().spd.clone()
    }

    /// Returns the key of the context that a state belongs to.
    pub(crate) fn key(&self, identity: &StateIdentity) -> Option<u64> {
        self.lock().sas.get(identity).map(|sa| sa.key)
    }

    /// Records that a state has a new identity.
    pub(crate) fn rename(&self, old: &StateIdentity, new: &StateIdentity) {
        let mut owned = self.lock();
        if old == new {
            return;
        }
        let Some(sa) = owned.sas.remove(old) else { return };
        owned.sas.insert(*new, sa);
        if let Some(context) = owned.contexts.get_mut(&sa.key) {
            context.sas.iter_mut().filter(|it| *it == old).for_each(|it| *it = *new);
        }
        let mut line = String::new();
        sa_line(&mut line, sa.key, sa.direction, &id_of(new));
        let _ = owned.write(&line);
    }

    /// Records in the journal that a renamed state no longer exists under its old id.
    pub(crate) fn note_gone(&self, old: &SaId, new: &SaId) {
        let mut owned = self.lock();
        if let Some(OwnedSa { key, .. }) = owned.sas.get(&identity(new, 0)).copied() {
            let mut payload = Vec::new();
            old.emit(&mut payload);
            let _ = owned.write(&line(&format!("not {key} {}", hex(&payload))));
        }
    }

    /// Returns whether this engine installed states for a context.
    pub(crate) fn has_context(&self, id: SaContextId) -> bool {
        self.lock().contexts.contains_key(&id.0)
    }

    /// Takes over a context that a dead engine left behind.
    pub(crate) fn take_over(&self, leftover: &Leftover) -> Result {
        let mut owned = self.lock();
        let key = LEFT_BEHIND + owned.next_left_behind;
        owned.next_left_behind += 1;
        drop(owned);
        for (id, direction) in &leftover.sas {
            self.begin(key, *direction, std::slice::from_ref(id), &leftover.policies)?;
        }
        let sas: Vec<SaId> = leftover.sas.iter().map(|(id, _)| *id).collect();
        self.done(key, &sas, true)
    }

    /// Records the request of an acquire; beyond the maximum it forgets the oldest one.
    pub(crate) fn note_acquire(&self, context: SaContextId, asked: Asked) {
        const MAX: usize = 65_536;
        let mut owned = self.lock();
        owned.acquires.insert(context.0, asked);
        if owned.acquires.len() > MAX {
            owned.acquires.pop_first();
        }
    }

    pub(crate) fn acquire(&self, context: SaContextId) -> Option<Asked> {
        self.lock().acquires.get(&context.0).copied()
    }
}

impl Owned {
    fn release(&mut self, policies: impl IntoIterator<Item = PolicyId>) -> Vec<PolicyId> {
        let mut unused = Vec::new();
        for id in policies {
            if let Some(users) = self.policies.get_mut(&id) {
                *users -= 1;
                if *users == 0 {
                    self.policies.remove(&id);
                    if !self.spd.contains(&id) {
                        unused.push(id);
                    }
                }
            }
        }
        unused
    }

    fn write(&mut self, lines: &str) -> Result {
        let live = 3 * self.contexts.len() + self.spd.len() + 1024;
        let Some(journal) = &mut self.journal else { return Ok(()) };
        // Safe to rewrite from memory: everything in memory has been written, and `lines` is not in memory
        // yet.
        if journal.lines > 4 * live {
            let path = journal.path.clone();
            self.rewrite().map_err(|e| failed(&path, &e))?;
        }
        let Some(journal) = &mut self.journal else { return Ok(()) };
        journal.append(lines).map_err(|e| failed(&journal.path, &e))
    }

    /// Replaces the file with one that holds only current facts.
    fn rewrite(&mut self) -> io::Result<()> {
        let mut lines = String::new();
        for (key, context) in &self.contexts {
            for identity in &context.sas {
                if let Some(sa) = self.sas.get(identity) {
                    sa_line(&mut lines, *key, sa.direction, &id_of(identity));
                }
            }
            context.policies.iter().for_each(|id| policy_line(&mut lines, *key, id));
            if context.whole {
                lines.push_str(&line(&format!("whole {key}")));
            }
        }
        self.spd.iter().for_each(|id| spd_line(&mut lines, "spd", id));
        let Some(journal) = &mut self.journal else { return Ok(()) };
        let new = journal.path.with_extension("new");
        drop(std::fs::remove_file(&new));
        let mut file = OpenOptions::new().append(true).create_new(true).mode(MODE).open(&new)?;
        share(&file, journal.group)?;
        drop(file.try_lock());
        file.write_all(lines.as_bytes())?;
        std::fs::rename(&new, &journal.path)?;
        journal.file = file;
        journal.lines = lines.lines().count();
        journal.length = lines.len() as u64;
        Ok(())
    }
}

impl Journal {
    /// Adds lines, all or none. What an earlier attempt has left of a line on a full disk is removed first.
    fn append(&mut self, lines: &str) -> io::Result<()> {
        if self.file.metadata()?.len() != self.length {
            self.file.set_len(self.length)?;
        }
        if let Err(error) = self.file.write_all(lines.as_bytes()) {
            // If this fails, too, the next attempt does it.
            drop(self.file.set_len(self.length));
            return Err(error);
        }
        self.lines += lines.lines().count();
        self.length += lines.len() as u64;
        Ok(())
    }
}

/// Permissions of a journal: it names peers, SPIs and selectors.
const MODE: u32 = 0o640;

/// Lets only the engine's user and a group read a journal.
fn share(file: &File, group: Option<u32>) -> io::Result<()> {
    // Without the right to give files away, the journal keeps the process's own group.
    if let Some(group) = group
        && std::os::unix::fs::fchown(file, None, Some(group)).is_err()
    {
        return file.set_permissions(PermissionsExt::from_mode(0o600));
    }
    file.set_permissions(PermissionsExt::from_mode(MODE))
}

/// What a journal of a dead engine lists.
pub(crate) struct Left {
    pub(crate) path: PathBuf,
    pub(crate) contexts: Vec<Leftover>,
    /// The policies of filters.
    pub(crate) spd: HashSet<PolicyId>,
}

/// Returns what dead engines left behind in a network namespace, by their journals.
///
/// # Errors
/// `RPC_E_OUT_OF_RESOURCES` if the directory or a file cannot be read.
pub(crate) fn leftovers(directory: &Path, namespace: u64) -> Result<Vec<Left>> {
    let mut found = Vec::new();
    for path in journals(directory, namespace)? {
        let Some(mut file) = open(&path).filter(|_| !is_alive(&path)) else { continue };
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|e| failed(&path, &e))?;
        let (contexts, spd, damaged) = parse(&bytes);
        if damaged > 0 {
            tracing::warn!(
                journal = %path.display(),
                damaged,
                "the record of an earlier engine's SAs has damaged lines: SAs of that engine may remain in the kernel"
            );
        }
        found.push(Left { path, contexts, spd });
    }
    Ok(found)
}

/// Returns the journals of a network namespace.
///
/// # Errors
/// `RPC_E_OUT_OF_RESOURCES` if the directory cannot be read.
pub(crate) fn journals(directory: &Path, namespace: u64) -> Result<Vec<PathBuf>> {
    let prefix = format!("xfrm-{namespace}-");
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(failed(directory, &e)),
    };
    let is_one = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(&prefix) && name.ends_with(".journal")
    };
    Ok(entries.flatten().map(|entry| entry.path()).filter(is_one).collect())
}

/// Returns whether the engine that keeps a journal still runs.
pub(crate) fn is_alive(journal: &Path) -> bool {
    let lock = lock_of(journal);
    match lock.symlink_metadata() {
        Ok(_) => open(&lock).is_some_and(|file| file.try_lock().is_err()),
        // That of an earlier version.
        Err(_) => open(journal).is_some_and(|file| file.try_lock().is_err()),
    }
}

/// Returns the lock file of a journal.
fn lock_of(journal: &Path) -> PathBuf {
    journal.with_extension("lock")
}

/// Removes the journal of an engine that is gone.
///
/// # Errors
/// The system's.
pub(crate) fn remove(journal: &Path) -> io::Result<()> {
    std::fs::remove_file(journal)?;
    // The journals of earlier versions have none.
    drop(std::fs::remove_file(lock_of(journal)));
    Ok(())
}

/// Opens a journal to read it; `None` if it is gone, or is none: a FIFO, a symbolic link, or the file of another user, whose
/// lines would make this engine delete states.
fn open(path: &Path) -> Option<File> {
    let flags = nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let found = file.and_then(|file| Ok((file.metadata()?, file)));
    let (about, file) = match found {
        Ok(found) => found,
        Err(error) => {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::warn!(journal = %path.display(), "left alone a journal that cannot be read: {error}");
            }
            return None;
        }
    };
    // Root trusts the user whom it has given the directory.
    let me = nix::unistd::geteuid().as_raw();
    let of_directory = path.parent().and_then(|directory| Some(std::fs::metadata(directory).ok()?.uid()));
    let is_ours = about.uid() == me || about.uid() == 0 || me == 0 && Some(about.uid()) == of_directory;
    if !about.is_file() || !is_ours || about.mode() & 0o022 != 0 {
        tracing::warn!(
            journal = %path.display(),
            "left alone what has the name of a journal: it is no file of this user that only it can write"
        );
        return None;
    }
    Some(file)
}

/// Returns the contexts of a journal, the policies of filters, and the number of damaged lines, which count for nothing.
fn parse(journal: &[u8]) -> (Vec<Leftover>, HashSet<PolicyId>, usize) {
    let mut spd = HashSet::new();
    let mut contexts: BTreeMap<&str, Leftover> = BTreeMap::new();
    let finished = journal.iter().rposition(|byte| *byte == b'\n').map_or(&[][..], |end| &journal[..end]);
    let lines = || finished.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let has_checksums = lines().any(|line| checked(line).is_some());
    let mut damaged = 0;
    for line in lines() {
        let text = if has_checksums { checked(line) } else { std::str::from_utf8(line).ok() };
        let Some(line) = text else {
            damaged += 1;
            continue;
        };
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["sa", key, direction, hex] => {
                let direction = if direction == "in" { Direction::Inbound } else { Direction::Outbound };
                let sa = bytes(hex).and_then(|payload| SaId::parse(&message(&payload)).ok());
                contexts.entry(key).or_default().sas.extend(sa.map(|sa| (sa, direction)));
            }
            ["not", key, hex] => {
                let gone = bytes(hex).and_then(|payload| SaId::parse(&message(&payload)).ok());
                contexts.entry(key).or_default().sas.retain(|(sa, _)| Some(*sa) != gone);
            }
            ["policy", key, hex] => contexts.entry(key).or_default().policies.extend(policy_of(hex)),
            ["spd", hex] => spd.extend(policy_of(hex)),
            ["nospd", hex] => {
                policy_of(hex).map(|policy| spd.remove(&policy));
            }
            ["whole", key] => contexts.entry(key).or_default().whole = true,
            ["gone", key] => drop(contexts.remove(key)),
            _ => {}
        }
    }
    (contexts.into_values().collect(), spd, damaged)
}

/// Returns a line without its checksum, if it has one that matches.
fn checked(line: &[u8]) -> Option<&str> {
    let (text, sum) = std::str::from_utf8(line).ok()?.rsplit_once(" #")?;
    (sum == checksum(text)).then_some(text)
}

/// Returns the CRC-32 of a text, in hexadecimal.
fn checksum(text: &str) -> String {
    format!("{:08x}", crc32fast::hash(text.as_bytes()))
}

/// Returns a line of a journal: a text and its checksum.
fn line(text: &str) -> String {
    let sum = checksum(text);
    format!("{text} #{sum}\n")
}

fn policy_of(hex: &str) -> Option<PolicyId> {
    bytes(hex).and_then(|payload| PolicyId::parse(&message(&payload)).ok())
}

fn message(payload: &[u8]) -> Message<'_> {
    Message { offset: 0, kind: MessageKind::DelSa, flags: 0, sequence: 0, port: 0, payload }
}

fn sa_line(lines: &mut String, key: u64, direction: Direction, id: &SaId) {
    let direction = if direction == Direction::Inbound { "in" } else { "out" };
    let mut payload = Vec::new();
    id.emit(&mut payload);
    lines.push_str(&line(&format!("sa {key} {direction} {}", hex(&payload))));
}

fn policy_line(lines: &mut String, key: u64, id: &PolicyId) {
    spd_line(lines, &format!("policy {key}"), id);
}

fn spd_line(lines: &mut String, word: &str, id: &PolicyId) {
    let mut payload = Vec::new();
    id.emit(&mut payload);
    lines.push_str(&line(&format!("{word} {}", hex(&payload))));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    hex.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

/// Returns the id by which the kernel finds a state.
pub(crate) fn id_of(identity: &StateIdentity) -> SaId {
    let (destination, protocol, spi, mark, _) = *identity;
    SaId { destination, spi, protocol, mark }
}

/// Returns a name that no other engine on this machine uses.
fn unique() -> String {
    use std::sync::atomic::AtomicU64;
    use std::sync::atomic::Ordering;
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    format!("{}-{:x}-{}", std::process::id(), now.as_nanos(), NEXT.fetch_add(1, Ordering::Relaxed))
}

fn failed(path: &Path, error: &io::Error) -> Error {
    let what = format!("cannot record which SAs are this engine's: {}: {error}", path.display());
    Error::new(Code::RPC_E_OUT_OF_RESOURCES, what)
        .with_remedy("Give the daemon a writable directory (state.runtime).")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sa(spi: u32) -> SaId {
        SaId { destination: [10, 0, 0, 1].into(), spi, protocol: 50, mark: (0, 0) }
    }

    fn policy(index: u32) -> PolicyId {
        PolicyId { selector: crate::wire::RawSelector::ANY, index, direction: 1, mark: (0, 0), if_id: 3 }
    }

    struct Directory(PathBuf);

    impl Directory {
        fn new() -> Directory {
            let path = std::env::temp_dir().join(format!("openwfp-ownership-{}", unique()));
            std::fs::create_dir(&path).unwrap();
            Directory(path)
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_later_engine_finds_what_one_left_behind_and_nothing_of_one_that_lives() {
        let directory = Directory::new();
        let engine = Ownership::default();
        engine.keep_journal(&directory.0, 7, None).unwrap();
        let begin = |key, direction, spi| engine.begin(key, direction, &[sa(spi)], &[policy(8)]).unwrap();
        assert_eq!(begin(1, Direction::Inbound, 256), [policy(8)], "nobody had it");
        assert_eq!(begin(1, Direction::Outbound, 300), []);
        engine.done(1, &[sa(256), sa(300)], true).unwrap();
        begin(2, Direction::Inbound, 257);
        begin(3, Direction::Inbound, 258);
        assert_eq!(engine.forget([identity(&sa(258), 0)]), [], "others use its policy");
        assert!(leftovers(&directory.0, 7).unwrap().is_empty(), "it lives");
        drop(engine);
        assert!(leftovers(&directory.0, 8).unwrap().is_empty(), "another namespace");
        let found = leftovers(&directory.0, 7).unwrap();
        let [Left { contexts, .. }] = &found[..] else { panic!("one journal") };
        assert_eq!(contexts.len(), 2);
        assert!(contexts[0].whole && contexts[0].sas.len() == 2 && !contexts[1].whole);
        assert_eq!(contexts[1].sas, [(sa(257), Direction::Inbound)]);
        assert_eq!(contexts[1].policies, [policy(8)]);
    }

    #[test]
    fn a_context_that_moved_is_found_under_its_new_names() {
        let directory = Directory::new();
        let engine = Ownership::default();
        engine.keep_journal(&directory.0, 7, None).unwrap();
        engine.begin(1, Direction::Inbound, &[sa(256)], &[]).unwrap();
        engine.begin(1, Direction::Outbound, &[sa(300)], &[]).unwrap();
        engine.done(1, &[sa(256), sa(300)], true).unwrap();
        engine.rename(&identity(&sa(300), 0), &identity(&sa(301), 0));
        engine.note_gone(&sa(300), &sa(301));
        drop(engine);
        let found = leftovers(&directory.0, 7).unwrap();
        let mut spis: Vec<u32> = found[0].contexts[0].sas.iter().map(|(sa, _)| sa.spi).collect();
        spis.sort_unstable();
        assert_eq!(spis, [256, 301]);
    }

    #[test]
    fn a_policy_goes_with_the_last_context_that_uses_it() {
        let ownership = Ownership::default();
        ownership.begin(1, Direction::Inbound, &[sa(1)], &[policy(1), policy(2)]).unwrap();
        ownership.begin(2, Direction::Inbound, &[sa(2)], &[policy(2)]).unwrap();
        assert_eq!(ownership.forget([identity(&sa(1), 0)]), [policy(1)]);
        assert_eq!(ownership.forget([identity(&sa(2), 0)]), [policy(2)]);
        assert_eq!(ownership.forget([identity(&sa(2), 0)]), []);
    }

    #[test]
    fn the_journal_stays_short_however_much_comes_and_goes() {
        let directory = Directory::new();
        let engine = Ownership::default();
        engine.keep_journal(&directory.0, 1, None).unwrap();
        engine.begin(1, Direction::Inbound, &[sa(1)], &[]).unwrap();
        for round in 2..20_000 {
            engine.begin(round, Direction::Inbound, &[sa(2)], &[]).unwrap();
            engine.forget([identity(&sa(2), 0)]);
        }
        let path = engine.lock().journal.as_ref().unwrap().path.clone();
        assert!(std::fs::metadata(&path).unwrap().len() < 400_000);
        drop(engine);
        let found = leftovers(&directory.0, 1).unwrap();
        assert_eq!(found[0].contexts.len(), 1, "what stayed is still noted");
    }

    #[test]
    fn a_line_that_was_cut_off_counts_for_nothing() {
        let mut text = String::new();
        sa_line(&mut text, 1, Direction::Inbound, &sa(256));
        sa_line(&mut text, 2, Direction::Inbound, &sa(257));
        assert_eq!(parse(text.as_bytes()).0.len(), 2);
        for cut in 1..text.len() / 2 {
            assert_eq!(parse(&text.as_bytes()[..text.len() - cut]).0.len(), 1, "{cut}");
        }
    }

    /// Whatever a failing disk makes of a journal, no line passes for another one, and the others count.
    #[test]
    fn a_damaged_line_counts_for_nothing_and_the_others_do() {
        let mut text = String::new();
        for number in 0..3 {
            sa_line(&mut text, number, Direction::Inbound, &sa(256 + u32::try_from(number).unwrap()));
        }
        let one = text.len() / 3;
        for place in 0..text.len() {
            for bit in 0..8 {
                let mut bytes = text.clone().into_bytes();
                bytes[place] ^= 1 << bit;
                let (contexts, _, damaged) = parse(&bytes);
                // A line break that is gone makes one line of two.
                let lost = if (place + 1) % one == 0 { 1..3 } else { 1..2 };
                assert!(lost.contains(&(3 - contexts.len())), "{place} {bit}: {}", contexts.len());
                assert!(damaged >= 1 || place + 1 == text.len(), "{place} {bit}");
            }
        }
        // What an earlier version wrote has no checksums.
        let old: String =
            text.lines().map(|line| line.split(" #").next().unwrap().to_owned() + "\n").collect();
        assert_eq!(parse(old.as_bytes()).0.len(), 3);
    }

    #[test]
    fn what_a_full_disk_leaves_of_a_line_is_removed() {
        let directory = Directory::new();
        let engine = Ownership::default();
        engine.keep_journal(&directory.0, 7, None).unwrap();
        engine.begin(1, Direction::Inbound, &[sa(256)], &[]).unwrap();
        let path = engine.lock().journal.as_ref().unwrap().path.clone();
        // As a write leaves it that a full disk has cut off, and a truncation that failed, too.
        let mut torn = OpenOptions::new().append(true).open(&path).unwrap();
        torn.write_all(b"sa 2 in 0a0000").unwrap();
        engine.begin(3, Direction::Inbound, &[sa(258)], &[]).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
        drop(engine);
        let found = leftovers(&directory.0, 7).unwrap();
        assert_eq!(found[0].contexts.len(), 2);
        assert_eq!(parse(&std::fs::read(&path).unwrap()).2, 0);
    }

    /// Whoever can read a journal can lock it. That makes nobody believe that its engine runs, or that it does not.
    #[test]
    fn a_reader_cannot_pass_for_the_engine() {
        let directory = Directory::new();
        let engine = Ownership::default();
        engine.keep_journal(&directory.0, 7, None).unwrap();
        engine.begin(1, Direction::Inbound, &[sa(256)], &[]).unwrap();
        let path = engine.lock().journal.as_ref().unwrap().path.clone();
        assert_eq!(std::fs::metadata(lock_of(&path)).unwrap().mode() & 0o777, 0o600);
        assert!(is_alive(&path) && leftovers(&directory.0, 7).unwrap().is_empty());
        drop(engine);
        let reader = File::open(&path).unwrap();
        reader.try_lock().unwrap();
        assert!(!is_alive(&path));
        assert_eq!(leftovers(&directory.0, 7).unwrap().len(), 1);
        remove(&path).unwrap();
        assert_eq!(std::fs::read_dir(&directory.0).unwrap().count(), 0);
    }

    #[test]
    fn what_only_has_the_name_of_a_journal_is_left_alone() {
        let directory = Directory::new();
        let named = |name: &str| directory.0.join(format!("xfrm-7-{name}.journal"));
        nix::unistd::mkfifo(&named("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        std::os::unix::fs::symlink("/dev/zero", named("link")).unwrap();
        std::fs::write(named("rubbish"), b"sa 1 in 00\xff\n\x80\n").unwrap();
        std::fs::write(named("open"), b"").unwrap();
        std::fs::set_permissions(named("open"), PermissionsExt::from_mode(0o666)).unwrap();
        assert!(["fifo", "link", "open"].iter().all(|name| !is_alive(&named(name))));
        let found = leftovers(&directory.0, 7).unwrap();
        assert_eq!(found.len(), 1);
        assert!(found[0].contexts.is_empty());
    }
}
