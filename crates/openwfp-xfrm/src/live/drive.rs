//! Drives the kernel: installs the engine's SAs as states and policies, one direction at a time, all of
//! it or nothing.
//!
//! Each installation is recorded before it is carried out ([`Ownership`]), so that a later engine finds
//! everything that a killed engine leaves behind.

use super::Kernel;
use super::Namespace;
use super::Options;
use super::emitted;
use super::follow::Follower;
use super::install;
use super::install::AskedFor;
use super::install::Plan;
use super::refusal;
use super::socket::Refusal;
use crate::ownership;
use crate::ownership::Leftover;
use crate::ownership::Ownership;
use crate::table::StateIdentity;
use crate::table::identity;
use crate::wire::Last;
use crate::wire::MessageKind;
use crate::wire::PolicyId;
use crate::wire::SaId;
use crate::wire::State;
use openwfp_api::Code;
use openwfp_api::CounterUpdate;
use openwfp_api::Dataplane;
use openwfp_api::Direction;
use openwfp_api::Error;
use openwfp_api::KeyAccess;
use openwfp_api::Mirror;
use openwfp_api::ProviderDrops;
use openwfp_api::Result;
use openwfp_api::SaContext;
use openwfp_api::SaContextId;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::Once;
use std::sync::PoisonError;
use zeroize::Zeroizing;

/// `NLM_F_EXCL | NLM_F_CREATE`: the kernel refuses to replace an existing object.
const CREATE: u16 = 0x600;

/// The kernel of a network namespace as an engine's provider.
///
/// It carries out the engine's changes and, after [`Driver::follow`], reports the kernel's SAs to the
/// engine. SAs that others installed are listed but never changed, unless [`Options::adopt`] is set.
pub struct Driver {
    kernel: Arc<Kernel>,
    ownership: Arc<Ownership>,
    options: Options,
    follower: Mutex<Option<Follower>>,
    journal: Once,
}

impl Driver {
    /// Opens the kernel of a namespace. With [`Options::recover`] it first takes over or removes what
    /// earlier engines left behind.
    ///
    /// # Errors
    /// - `ERROR_ACCESS_DENIED` without `CAP_NET_ADMIN` (and `CAP_SYS_ADMIN` for another namespace)
    /// - `FWP_E_NOT_FOUND` if the namespace does not exist
    /// - `ERROR_NOT_SUPPORTED` if the kernel has no XFRM
    /// - `RPC_E_OUT_OF_RESOURCES` with [`Options::recover`], if a journal cannot be read or written
    pub fn open(namespace: Namespace, options: Options) -> Result<Driver> {
        let kernel = Kernel::open(namespace)?;
        let driver = Driver {
            kernel,
            ownership: Arc::default(),
            options,
            follower: Mutex::default(),
            journal: Once::new(),
        };
        if driver.options.recover {
            driver.recover()?;
        }
        Ok(driver)
    }

    /// Lists the kernel's SAs to the engine and reports changes until this value is dropped.
    ///
    /// # Errors
    /// - the kernel's errors, as for [`Driver::open`], and those of the engine
    /// - `RPC_E_INVALID_DATAPACKET` if the kernel's answers cannot be parsed
    /// - `RPC_E_OUT_OF_RESOURCES` if the thread that follows the kernel cannot be started
    pub fn follow(&self, mirror: Box<dyn Mirror>) -> Result {
        let (kernel, ownership) = (Arc::clone(&self.kernel), Arc::clone(&self.ownership));
        let follower = Follower::start(kernel, ownership, self.options.clone(), mirror)?;
        *self.follower.lock().unwrap_or_else(PoisonError::into_inner) = Some(follower);
        Ok(())
    }

    /// Takes over or removes what earlier engines left behind: complete contexts now belong to this engine;
    /// the SAs and policies of all others are removed.
    fn recover(&self) -> Result {
        let Some(directory) = &self.options.runtime else { return Ok(()) };
        let left = ownership::leftovers(directory, self.number())?;
        if left.is_empty() {
            return Ok(());
        }
        self.begin_journal();
        let mut remove: Vec<&Leftover> = Vec::new();
        let mut kept = 0;
        for leftover in left.iter().flat_map(|(_, contexts)| contexts) {
            let ids: Vec<SaId> = leftover.sas.iter().map(|(id, _)| *id).collect();
            let there = self.kernel.last(&ids)?.iter().all(Option::is_some);
            let both = [Direction::Inbound, Direction::Outbound]
                .iter()
                .all(|direction| leftover.sas.iter().any(|(_, of)| of == direction));
            if leftover.whole && there && both {
                self.ownership.take_over(leftover)?;
                kept += 1;
            } else {
                remove.push(leftover);
            }
        }
        for leftover in &remove {
            for (id, _) in &leftover.sas {
                let removed = self.kernel.order(MessageKind::DelSa, 0, &emitted(|out| id.emit(out)))?;
                removed.or_else(|refused| self.unless_missing("remove a leftover SA", &refused))?;
            }
            let unused: Vec<PolicyId> =
                leftover.policies.iter().filter(|id| !self.ownership.uses(id)).copied().collect();
            self.kernel.drop_policies(&unused);
        }
        for (path, _) in &left {
            if let Err(error) = std::fs::remove_file(path) {
                tracing::warn!(path = %path.display(), %error, "cannot remove an old journal");
            }
        }
        tracing::info!(kept, removed = remove.len(), "took over the SA contexts of an earlier engine");
        Ok(())
    }

    fn number(&self) -> u64 {
        self.kernel.number()
    }

    /// Starts the journal of this engine's states and policies. On failure it logs a warning, and a later
    /// engine will not find them.
    fn begin_journal(&self) {
        self.journal.call_once(|| {
            if let Some(directory) = &self.options.runtime
                && let Err(error) = self.ownership.keep_journal(directory, self.number())
            {
                tracing::warn!(%error, "after a crash, a new engine will not recognise the SAs of this one");
            }
        });
    }

    fn unless_missing(&self, doing: &str, refused: &Refusal) -> Result {
        if refused.is_missing() { Ok(()) } else { Err(refusal(doing, refused)) }
    }

    /// Returns `ERROR_ACCESS_DENIED` if others installed one of these states, unless `adopt` is set.
    fn check_owner(&self, context: &SaContext, ids: &[SaId], doing: &str) -> Result {
        let identities: Vec<StateIdentity> = ids.iter().map(|id| identity(id, 0)).collect();
        if self.options.adopt || self.ownership.has_all(identities.iter()) {
            return Ok(());
        }
        Err(Error::new(
            Code::ERROR_ACCESS_DENIED,
            format!("SA context {} was not {doing}: another program installed it in the kernel", context.id),
        )
        .with_remedy("Use that program, or start the engine with --adopt (xfrm:adopt)."))
    }

    fn plan(&self, context: &SaContext, direction: Direction, keys: &KeyAccess) -> Result<Plan> {
        let asked = self.ownership.acquire(context.id).map(|asked| AskedFor {
            reqid: asked.reqid,
            sequence: asked.sequence,
            if_id: asked.if_id,
            mark: asked.mark,
        });
        Plan::new(context, direction, asked, keys)
    }

    /// Installs a plan that was recorded. After an error the caller removes what `done` lists.
    fn carry_out(&self, plan: &Plan, policies: &[PolicyId], done: &mut Done) -> Result {
        for state in &plan.states {
            let answer = self.kernel.order(MessageKind::NewSa, CREATE, &state.payload)?;
            answer.map_err(|refused| {
                refusal(
                    &format!("install the SA {:#010x} to {}", state.id.spi, state.id.destination),
                    &refused,
                )
            })?;
            done.sas.push(state.id);
        }
        for policy in plan.policies.iter().filter(|policy| policies.contains(&policy.id)) {
            let answer = self.kernel.order(MessageKind::NewPolicy, CREATE, &policy.payload)?;
            answer.map_err(|refused| refusal("install the policy for the SA's traffic", &refused))?;
            done.policies.push(policy.id);
        }
        Ok(())
    }

    fn undo(&self, done: &Done) {
        for id in &done.sas {
            if let Ok(Err(refused)) = self.kernel.order(MessageKind::DelSa, 0, &emitted(|out| id.emit(out)))
                && !refused.is_missing()
            {
                tracing::error!(spi = id.spi, error = %refusal("remove the new SA", &refused), "an SA remains in the kernel");
            }
        }
        self.kernel.drop_policies(&done.policies);
    }

    /// Removes states and returns the last counters of the first one.
    fn remove_states(&self, ids: &[SaId]) -> Result<Option<Last>> {
        let last = self.kernel.last(ids)?.first().copied().flatten();
        for id in ids {
            let removed = self.kernel.order(MessageKind::DelSa, 0, &emitted(|out| id.emit(out)))?;
            removed.or_else(|refused| self.unless_missing("remove the SA", &refused))?;
        }
        Ok(last)
    }

    /// Changes states of the same SAs to the new plan. New limits or encapsulation ports need only an
    /// update; for new addresses the state is created again with its sequence numbers and counters.
    fn renew_states(&self, old: &[SaId], plan: &Plan) -> Result {
        for (old, new) in old.iter().zip(&plan.states) {
            let Some(payload) = self.kernel.state(old)? else {
                let what = format!("SA {:#010x} no longer exists in the kernel", old.spi);
                return Err(Error::new(Code::FWP_E_NOT_FOUND, what));
            };
            let before = State::of(&payload)
                .ok_or_else(|| Error::unreachable("cannot parse a state of the kernel"))?;
            let after =
                State::of(&new.payload).ok_or_else(|| Error::unreachable("cannot parse a planned state"))?;
            let same_ends = (before.source, before.destination) == (after.source, after.destination);
            let same_kind = before.encapsulation.map(|it| it.kind) == after.encapsulation.map(|it| it.kind);
            if same_ends && same_kind {
                if before.encapsulation != after.encapsulation || before.limits != after.limits {
                    let answer = self.kernel.order(MessageKind::UpdSa, 0, &new.payload)?;
                    answer.map_err(|refused| refusal("update the SA", &refused))?;
                }
                continue;
            }
            let moved = with_counters(&before, &after);
            let doing = "move the SA to its new addresses";
            if before.destination == new.id.destination {
                // Both have the same id in the kernel: remove the old one first, and restore it on failure.
                self.remove_states(std::slice::from_ref(old))?;
                if let Err(refused) = self.kernel.order(MessageKind::NewSa, CREATE, &moved)? {
                    let back =
                        self.kernel.order(MessageKind::NewSa, CREATE, &with_counters(&before, &before));
                    tracing::warn!(
                        back = back.is_ok_and(|back| back.is_ok()),
                        "the kernel refused to move an SA; `back` tells whether it is installed again at its old addresses"
                    );
                    return Err(refusal(doing, &refused));
                }
            } else {
                // Rename before installing, so that the follower already knows the owner of the new state.
                let (from, to) = (identity(old, 0), identity(&new.id, 0));
                self.ownership.rename(&from, &to);
                let answer = self.kernel.order(MessageKind::NewSa, CREATE, &moved);
                let refused = |error| {
                    self.ownership.rename(&to, &from);
                    error
                };
                answer.map_err(refused)?.map_err(|no| refused(refusal(doing, &no)))?;
                self.remove_states(std::slice::from_ref(old))?;
                self.ownership.note_gone(old, &new.id);
            }
        }
        Ok(())
    }
}

/// What has been installed so far, for undo.
#[derive(Default)]
struct Done {
    sas: Vec<SaId>,
    policies: Vec<PolicyId>,
}

/// Returns the payload of `after` with the sequence numbers and counters of `before`.
fn with_counters(before: &State<'_>, after: &State<'_>) -> Zeroizing<Vec<u8>> {
    /// `XFRMA_LTIME_VAL`.
    const LIFETIME: u16 = 9;
    let counted: Vec<u8> = [before.bytes, before.packets, before.added, before.first_used]
        .iter()
        .flat_map(|number| number.to_ne_bytes())
        .collect();
    let mut unknown = after.unknown.clone();
    unknown.push((LIFETIME, &counted));
    let state = State { replay: before.replay, replay_esn: before.replay_esn, unknown, ..after.clone() };
    let mut payload = Zeroizing::new(Vec::with_capacity(1024));
    state.emit(&mut payload);
    payload
}

impl Dataplane for Driver {
    fn install(&self, context: &SaContext, direction: Direction, keys: &KeyAccess) -> Result {
        self.begin_journal();
        let plan = self.plan(context, direction, keys)?;
        let ids: Vec<SaId> = plan.states.iter().map(|state| state.id).collect();
        let policies: Vec<PolicyId> = plan.policies.iter().map(|policy| policy.id).collect();
        let key = context.id.0;
        let new = self.ownership.begin(key, direction, &ids, &policies)?;
        let mut done = Done::default();
        if let Err(error) = self.carry_out(&plan, &new, &mut done) {
            self.undo(&done);
            let unused = self.ownership.release(key, &new);
            drop(unused);
            self.ownership.forget(ids.iter().map(|id| identity(id, 0)));
            return Err(error);
        }
        let whole = direction == Direction::Outbound && context.inbound.is_some();
        self.ownership.done(key, &ids, whole);
        Ok(())
    }

    fn update(&self, old: &SaContext, new: &SaContext, direction: Direction, keys: &KeyAccess) -> Result {
        let matters = |context: &SaContext| {
            let details = context.details(direction);
            (context.traffic.clone(), details.map(|details| (details.udp_encapsulation, details.filter_id)))
        };
        if matters(old) == matters(new) {
            // The kernel stores none of the other properties that can change.
            return Ok(());
        }
        let before = install::ids(old, direction);
        self.check_owner(old, &before, "changed")?;
        let plan = self.plan(new, direction, keys)?;
        let policies = |plan: &Plan| plan.policies.iter().map(|policy| policy.id).collect::<Vec<_>>();
        let (had, wanted) = (policies(&self.plan(old, direction, keys)?), policies(&plan));
        let key = self.ownership.key(&identity(&before[0], 0)).unwrap_or(new.id.0);
        let added: Vec<PolicyId> = wanted.iter().filter(|id| !had.contains(id)).copied().collect();
        let to_install = self.ownership.begin(key, direction, &[], &added)?;
        let mut done = Done::default();
        let only_policies = Plan { states: Vec::new(), policies: plan.policies };
        self.ownership.settle(&before, false);
        let outcome = self
            .carry_out(&only_policies, &to_install, &mut done)
            .and_then(|()| self.renew_states(&before, &Plan { states: plan.states, policies: Vec::new() }));
        self.ownership.settle(&before, true);
        self.ownership.settle(&install::ids(new, direction), true);
        if let Err(error) = outcome {
            self.undo(&done);
            self.ownership.release(key, &added);
            return Err(error);
        }
        // Update policies that stay: their templates may hold the old addresses.
        for policy in only_policies.policies.iter().filter(|policy| had.contains(&policy.id)) {
            if self.ownership.uses(&policy.id)
                && old.traffic.endpoints != new.traffic.endpoints
                && let Err(refused) = self.kernel.order(MessageKind::UpdPolicy, 0, &policy.payload)?
            {
                return Err(refusal("update the policy for the SA's traffic", &refused));
            }
        }
        let gone: Vec<PolicyId> = had.iter().filter(|id| !wanted.contains(id)).copied().collect();
        self.kernel.drop_policies(&self.ownership.release(key, &gone));
        Ok(())
    }

    fn remove(&self, context: &SaContext, direction: Direction) -> Result<Option<CounterUpdate>> {
        let ids = install::ids(context, direction);
        self.check_owner(context, &ids, "removed")?;
        self.ownership.settle(&ids, false);
        let last = self.remove_states(&ids).inspect_err(|_| self.ownership.settle(&ids, true))?;
        // Policies stay until the context's last direction is removed, so that its traffic is not sent in
        // clear text meanwhile.
        let unused = self.ownership.forget(ids.iter().map(|id| identity(id, 0)));
        self.kernel.drop_policies(&unused);
        Ok(last.map(|last| last.update(context.id, direction)))
    }

    fn counters(&self, contexts: &[Arc<SaContext>]) -> Result<Vec<CounterUpdate>> {
        let mut asked: Vec<(SaContextId, Direction)> = Vec::with_capacity(contexts.len() * 2);
        let mut ids = Vec::with_capacity(contexts.len() * 2);
        for context in contexts {
            for (direction, _) in context.directions() {
                // A bundle has the counters of its first SA.
                ids.extend(install::ids(context, direction).first());
                asked.push((context.id, direction));
            }
        }
        let found = self.kernel.last(&ids)?;
        Ok(asked
            .into_iter()
            .zip(found)
            .filter_map(|((id, direction), last)| Some(last?.update(id, direction)))
            .collect())
    }

    fn drops(&self) -> Result<ProviderDrops> {
        Ok(self.kernel.drops())
    }

    fn enforces_lifetimes(&self) -> bool {
        true
    }
}
