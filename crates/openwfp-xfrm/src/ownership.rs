//! Which of the kernel's states and policies are this engine's: in memory, and in a file by which a later engine finds what
//! one left behind that was killed.
//!
//! The file has a line for each fact, written before the kernel is told. It lives where the kernel's states do, in memory
//! (`/run`), so that both are gone after a restart of the machine. It holds no keys: each line has what it takes to delete
//! what it names.
//!
//! ```text
//! sa KEY in|out HEX        a state: the payload of its deletion (xfrm_usersa_id, mark)
//! not KEY HEX              that state is gone, and the context goes on without it
//! policy KEY HEX           a policy: the payload of its deletion (xfrm_userpolicy_id, mark, interface id)
//! whole KEY                both directions are there
//! gone KEY                 nothing is left of it
//! ```

use crate::table::StateIdentity;
use crate::table::identity;
use crate::wire::Message;
use crate::wire::MessageKind;
use crate::wire::PolicyId;
use crate::wire::SaId;
use openwfp_api::Code;
use openwfp_api::Direction;
use openwfp_api::Error;
use openwfp_api::Result;
use openwfp_api::SaContextId;
use std::collections::BTreeMap;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

/// Keys of contexts that an earlier engine left behind begin here; below are the ids of this one's.
const LEFT_BEHIND: u64 = 1 << 63;

/// Which states and policies are the engine's.
#[derive(Default)]
pub(crate) struct Ownership(Mutex<Owned>);

#[derive(Default)]
struct Owned {
    sas: HashMap<StateIdentity, OwnedSa>,
    contexts: BTreeMap<u64, OwnedContext>,
    /// How many contexts use a policy.
    policies: HashMap<PolicyId, usize>,
    /// What larval contexts of the kernel asked for, by the engine's ids.
    acquires: BTreeMap<u64, Asked>,
    journal: Option<Journal>,
    next_left_behind: u64,
}

/// What a kernel's acquire said.
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
    /// The kernel has said yes, and nothing is being done with it.
    installed: bool,
}

#[derive(Default)]
struct OwnedContext {
    sas: Vec<StateIdentity>,
    policies: Vec<PolicyId>,
    whole: bool,
}

/// The file, and how many lines it has.
struct Journal {
    path: PathBuf,
    file: File,
    lines: usize,
}

/// What an engine left behind that is gone: for each context the deletions.
#[derive(Default)]
pub(crate) struct Leftover {
    pub(crate) sas: Vec<(SaId, Direction)>,
    pub(crate) policies: Vec<PolicyId>,
    pub(crate) whole: bool,
}

impl Ownership {
    /// Keeps a journal in a directory from now on.
    ///
    /// # Errors
    /// `RPC_E_OUT_OF_RESOURCES` where the file cannot be written.
    pub(crate) fn keep_journal(&self, directory: &Path, namespace: u64) -> Result {
        let path = directory.join(format!("xfrm-{namespace}-{}.journal", unique()));
        let failed = |error: &io::Error| failed(&path, error);
        std::fs::create_dir_all(directory).map_err(|e| failed(&e))?;
        let file = OpenOptions::new().append(true).create_new(true).open(&path).map_err(|e| failed(&e))?;
        // Whoever can lock it later knows that its engine is gone.
        file.try_lock().map_err(|e| failed(&e.into()))?;
        let mut owned = self.lock();
        owned.journal = Some(Journal { path: path.clone(), file, lines: 0 });
        owned.rewrite().map_err(|e| failed(&e))
    }

    fn lock(&self) -> MutexGuard<'_, Owned> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The context that a state was installed for, and the state's direction.
    pub(crate) fn tie(&self, identity: &StateIdentity) -> Option<(u64, Direction)> {
        self.lock().sas.get(identity).map(|sa| (sa.key, sa.direction))
    }

    /// The id of the context that a tie of this engine's life means.
    pub(crate) fn context_of(tie: u64) -> Option<SaContextId> {
        (tie != 0 && tie < LEFT_BEHIND).then_some(SaContextId(tie))
    }

    /// Whether these states are all this engine's, or an earlier one's that it goes on for.
    pub(crate) fn has_all<'i>(&self, mut identities: impl Iterator<Item = &'i StateIdentity>) -> bool {
        let owned = self.lock();
        identities.all(|identity| owned.sas.contains_key(identity))
    }

    /// The states that the kernel was told of for contexts of this engine's life, and said yes.
    pub(crate) fn installed(&self) -> Vec<(StateIdentity, SaContextId, Direction)> {
        let owned = self.lock();
        let of = |(identity, sa): (&StateIdentity, &OwnedSa)| {
            Some((*identity, Ownership::context_of(sa.key).filter(|_| sa.installed)?, sa.direction))
        };
        owned.sas.iter().filter_map(of).collect()
    }

    /// Notes that states and policies of a context are about to be installed. Returns those policies that nobody had yet.
    ///
    /// # Errors
    /// `RPC_E_OUT_OF_RESOURCES` where it cannot be noted; nothing is noted then.
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
            if *users == 1 {
                unused.push(id);
            }
        }
        Ok(unused)
    }

    /// Notes whether states are installed now, or are just being worked on, so that their coming and going means nothing.
    pub(crate) fn settle(&self, sas: &[SaId], installed: bool) {
        let mut owned = self.lock();
        for id in sas {
            if let Some(sa) = owned.sas.get_mut(&identity(id, 0)) {
                sa.installed = installed;
            }
        }
    }

    /// Whether a state is installed, and not being worked on.
    pub(crate) fn is_settled(&self, identity: &StateIdentity) -> bool {
        self.lock().sas.get(identity).is_some_and(|sa| sa.installed)
    }

    /// Notes that the kernel said yes; `whole`: to both directions.
    pub(crate) fn done(&self, key: u64, sas: &[SaId], whole: bool) {
        self.settle(sas, true);
        let mut owned = self.lock();
        if whole && let Some(context) = owned.contexts.get_mut(&key) {
            context.whole = true;
            let _ = owned.write(&format!("whole {key}\n"));
        }
    }

    /// Notes that states are gone. Once none of a context is left, returns the policies that nobody uses any more.
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
            let _ = owned.write(&format!("gone {key}\n"));
        }
        unused
    }

    /// Takes policies back that a context was to have, and returns those that nobody uses any more.
    pub(crate) fn release(&self, key: u64, policies: &[PolicyId]) -> Vec<PolicyId> {
        let mut owned = self.lock();
        if let Some(context) = owned.contexts.get_mut(&key) {
            context.policies.retain(|other| !policies.contains(other));
        }
        owned.release(policies.iter().copied())
    }

    /// Whether some context uses a policy.
    pub(crate) fn uses(&self, policy: &PolicyId) -> bool {
        self.lock().policies.contains_key(policy)
    }

    /// The key of the context that has a state.
    pub(crate) fn key(&self, identity: &StateIdentity) -> Option<u64> {
        self.lock().sas.get(identity).map(|sa| sa.key)
    }

    /// Notes that a state has another identity from now on.
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

    /// Notes that a state that was renamed is gone under its old name.
    pub(crate) fn note_gone(&self, old: &SaId, new: &SaId) {
        let mut owned = self.lock();
        if let Some(OwnedSa { key, .. }) = owned.sas.get(&identity(new, 0)).copied() {
            let mut line = format!("not {key} ");
            let mut payload = Vec::new();
            old.emit(&mut payload);
            hex(&mut line, &payload);
            let _ = owned.write(&line);
        }
    }

    /// Whether states were installed for a context of this engine's life.
    pub(crate) fn has_context(&self, id: SaContextId) -> bool {
        self.lock().contexts.contains_key(&id.0)
    }

    /// Goes on for an engine that is gone: what it left is this one's.
    pub(crate) fn take_over(&self, leftover: &Leftover) -> Result {
        let mut owned = self.lock();
        let key = LEFT_BEHIND + owned.next_left_behind;
        owned.next_left_behind += 1;
        drop(owned);
        for (id, direction) in &leftover.sas {
            self.begin(key, *direction, std::slice::from_ref(id), &leftover.policies)?;
        }
        let sas: Vec<SaId> = leftover.sas.iter().map(|(id, _)| *id).collect();
        self.done(key, &sas, true);
        Ok(())
    }

    /// Notes what an acquire asks for, and forgets the oldest of very many.
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
                    unused.push(id);
                }
            }
        }
        unused
    }

    fn write(&mut self, lines: &str) -> Result {
        let live = 3 * self.contexts.len() + 1024;
        let Some(journal) = &mut self.journal else { return Ok(()) };
        // What is in memory was written; what is being written now is not in memory yet.
        if journal.lines > 4 * live {
            let path = journal.path.clone();
            self.rewrite().map_err(|e| failed(&path, &e))?;
        }
        let Some(journal) = &mut self.journal else { return Ok(()) };
        journal.lines += lines.lines().count();
        journal.file.write_all(lines.as_bytes()).map_err(|e| failed(&journal.path, &e))
    }

    /// Writes the file anew with what still counts.
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
                lines.push_str(&format!("whole {key}\n"));
            }
        }
        let Some(journal) = &mut self.journal else { return Ok(()) };
        let new = journal.path.with_extension("new");
        let mut file = OpenOptions::new().append(true).create(true).truncate(false).open(&new)?;
        file.set_len(0)?;
        file.try_lock()?;
        file.write_all(lines.as_bytes())?;
        std::fs::rename(&new, &journal.path)?;
        journal.file = file;
        journal.lines = lines.lines().count();
        Ok(())
    }
}

/// What engines left behind in a network namespace that are gone, with the files that say so.
///
/// # Errors
/// `RPC_E_OUT_OF_RESOURCES` where a file cannot be read.
pub(crate) fn leftovers(directory: &Path, namespace: u64) -> Result<Vec<(PathBuf, Vec<Leftover>)>> {
    let prefix = format!("xfrm-{namespace}-");
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(failed(directory, &e)),
    };
    let mut found = Vec::new();
    for entry in entries.flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if !name.starts_with(&prefix) || !name.ends_with(".journal") {
            continue;
        }
        let Ok(file) = File::open(&path) else { continue };
        if file.try_lock().is_err() {
            continue;
        }
        let text = std::fs::read_to_string(&path).map_err(|e| failed(&path, &e))?;
        found.push((path, parse(&text)));
    }
    Ok(found)
}

/// The contexts of a journal. A line that was not finished counts for nothing: what it would have named was not begun.
fn parse(text: &str) -> Vec<Leftover> {
    let mut contexts: BTreeMap<&str, Leftover> = BTreeMap::new();
    let finished = text.rfind('\n').map_or("", |end| &text[..end]);
    for line in finished.lines() {
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
            ["policy", key, hex] => {
                let policy = bytes(hex).and_then(|payload| PolicyId::parse(&message(&payload)).ok());
                contexts.entry(key).or_default().policies.extend(policy);
            }
            ["whole", key] => contexts.entry(key).or_default().whole = true,
            ["gone", key] => drop(contexts.remove(key)),
            _ => {}
        }
    }
    contexts.into_values().collect()
}

fn message(payload: &[u8]) -> Message<'_> {
    Message { offset: 0, kind: MessageKind::DelSa, flags: 0, sequence: 0, port: 0, payload }
}

fn sa_line(lines: &mut String, key: u64, direction: Direction, id: &SaId) {
    let direction = if direction == Direction::Inbound { "in" } else { "out" };
    lines.push_str(&format!("sa {key} {direction} "));
    let mut payload = Vec::new();
    id.emit(&mut payload);
    hex(lines, &payload);
}

fn policy_line(lines: &mut String, key: u64, id: &PolicyId) {
    lines.push_str(&format!("policy {key} "));
    let mut payload = Vec::new();
    id.emit(&mut payload);
    hex(lines, &payload);
}

fn hex(lines: &mut String, bytes: &[u8]) {
    for byte in bytes {
        let _ = write!(lines, "{byte:02x}");
    }
    lines.push('\n');
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    hex.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

/// The id by which the kernel finds a state.
pub(crate) fn id_of(identity: &StateIdentity) -> SaId {
    let (destination, protocol, spi, mark, _) = *identity;
    SaId { destination, spi, protocol, mark }
}

/// A name that no other engine of this machine has.
fn unique() -> String {
    use std::sync::atomic::AtomicU64;
    use std::sync::atomic::Ordering;
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    format!("{}-{:x}-{}", std::process::id(), now.as_nanos(), NEXT.fetch_add(1, Ordering::Relaxed))
}

fn failed(path: &Path, error: &io::Error) -> Error {
    let what = format!("which SAs are this engine's cannot be noted: {}: {error}", path.display());
    Error::new(Code::RPC_E_OUT_OF_RESOURCES, what)
        .with_remedy("give the daemon a directory that it may write to (state.runtime)")
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
        engine.keep_journal(&directory.0, 7).unwrap();
        let begin = |key, direction, spi| engine.begin(key, direction, &[sa(spi)], &[policy(8)]).unwrap();
        assert_eq!(begin(1, Direction::Inbound, 256), [policy(8)], "nobody had it");
        assert_eq!(begin(1, Direction::Outbound, 300), []);
        engine.done(1, &[sa(256), sa(300)], true);
        begin(2, Direction::Inbound, 257);
        begin(3, Direction::Inbound, 258);
        assert_eq!(engine.forget([identity(&sa(258), 0)]), [], "others use its policy");
        assert!(leftovers(&directory.0, 7).unwrap().is_empty(), "it lives");
        drop(engine);
        assert!(leftovers(&directory.0, 8).unwrap().is_empty(), "another namespace");
        let found = leftovers(&directory.0, 7).unwrap();
        let [(_, contexts)] = &found[..] else { panic!("one journal") };
        assert_eq!(contexts.len(), 2);
        assert!(contexts[0].whole && contexts[0].sas.len() == 2 && !contexts[1].whole);
        assert_eq!(contexts[1].sas, [(sa(257), Direction::Inbound)]);
        assert_eq!(contexts[1].policies, [policy(8)]);
    }

    #[test]
    fn a_context_that_moved_is_found_under_its_new_names() {
        let directory = Directory::new();
        let engine = Ownership::default();
        engine.keep_journal(&directory.0, 7).unwrap();
        engine.begin(1, Direction::Inbound, &[sa(256)], &[]).unwrap();
        engine.begin(1, Direction::Outbound, &[sa(300)], &[]).unwrap();
        engine.done(1, &[sa(256), sa(300)], true);
        engine.rename(&identity(&sa(300), 0), &identity(&sa(301), 0));
        engine.note_gone(&sa(300), &sa(301));
        drop(engine);
        let found = leftovers(&directory.0, 7).unwrap();
        let mut spis: Vec<u32> = found[0].1[0].sas.iter().map(|(sa, _)| sa.spi).collect();
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
        engine.keep_journal(&directory.0, 1).unwrap();
        engine.begin(1, Direction::Inbound, &[sa(1)], &[]).unwrap();
        for round in 2..20_000 {
            engine.begin(round, Direction::Inbound, &[sa(2)], &[]).unwrap();
            engine.forget([identity(&sa(2), 0)]);
        }
        let path = engine.lock().journal.as_ref().unwrap().path.clone();
        assert!(std::fs::metadata(&path).unwrap().len() < 400_000);
        drop(engine);
        let found = leftovers(&directory.0, 1).unwrap();
        assert_eq!(found[0].1.len(), 1, "what stayed is still noted");
    }

    #[test]
    fn a_line_that_was_cut_off_counts_for_nothing() {
        let mut text = String::new();
        sa_line(&mut text, 1, Direction::Inbound, &sa(256));
        sa_line(&mut text, 2, Direction::Inbound, &sa(257));
        assert_eq!(parse(&text).len(), 2);
        for cut in 1..text.len() / 2 {
            assert_eq!(parse(&text[..text.len() - cut]).len(), 1, "{cut}");
        }
    }
}
