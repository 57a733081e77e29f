//! Drives the kernel: installs the engine's SAs as states, one direction at a time, and the engine's SPD as policies, all
//! of it or nothing.
//!
//! Each installation is recorded before it is carried out ([`Ownership`]), so that a later engine finds
//! everything that a killed engine leaves behind.

use super::Kernel;
use super::Namespace;
use super::Options;
use super::emitted;
use super::follow;
use super::install;
use super::install::AskedFor;
use super::install::Bound;
use super::install::Plan;
use super::install::PlannedState;
use super::of_the_kernel;
use super::refusal;
use super::socket::Refusal;
use super::spd;
use super::spd::Chain;
use super::spd::Order;
use super::spd::OwnPolicies;
use super::statistics;
use super::worker::Worker;
use crate::dumps::Part;
use crate::ownership;
use crate::ownership::Left;
use crate::ownership::Leftover;
use crate::ownership::Ownership;
use crate::table::StateIdentity;
use crate::table::identity;
use crate::wire::Last;
use crate::wire::MessageKind;
use crate::wire::Messages;
use crate::wire::Policy;
use crate::wire::PolicyId;
use crate::wire::SaId;
use crate::wire::State;
use openwfp_api::Code;
use openwfp_api::CounterUpdate;
use openwfp_api::Dataplane;
use openwfp_api::Direction;
use openwfp_api::Error;
use openwfp_api::Guid;
use openwfp_api::KeyAccess;
use openwfp_api::Mirror;
use openwfp_api::ProviderDrops;
use openwfp_api::Result;
use openwfp_api::SaContext;
use openwfp_api::SaContextId;
use openwfp_api::SpdChange;
use openwfp_api::SpdEntry;
use std::collections::HashMap;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
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
    follower: Mutex<Option<Worker>>,
    journal: Once,
    own: Mutex<OwnPolicies>,
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
            own: Mutex::default(),
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
        let follower = follow::start(kernel, ownership, self.options.clone(), mirror)?;
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
        // The policies of filters stay until the engine has loaded its objects: see `load_spd`.
        self.ownership.begin_spd(left.iter().flat_map(|left| &left.spd))?;
        for leftover in left.iter().flat_map(|left| &left.contexts) {
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
        for Left { path, .. } in &left {
            if let Err(error) = ownership::remove(path) {
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
                && let Err(error) =
                    self.ownership.keep_journal(directory, self.number(), self.options.runtime_group)
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
        let bound = match (self.ownership.acquire(context.id), own_policy(context, direction)) {
            (Some(asked), _) => Bound::Acquire(AskedFor {
                reqid: asked.reqid,
                sequence: asked.sequence,
                if_id: asked.if_id,
                mark: asked.mark,
            }),
            (None, Some(policy)) => Bound::Filter(self.own().reqid(policy)),
            (None, None) => Bound::Own,
        };
        Plan::new(context, direction, bound, keys)
    }

    fn own(&self) -> MutexGuard<'_, OwnPolicies> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the templates of a context's policy those of its new SAs.
    fn bend_policy(&self, context: &SaContext, direction: Direction, chain: &Chain) -> Result {
        let Some(policy) = own_policy(context, direction) else { return Ok(()) };
        let mut own = self.own();
        let orders = own.follow(policy, direction, chain)?;
        self.carry_out_orders(&orders)?;
        own.note_chain(policy, direction, chain.clone());
        Ok(())
    }

    /// Carries out requests for policies: all of them or, after an error, none.
    fn carry_out_orders(&self, orders: &[Order]) -> Result {
        let result = self.try_orders(orders);
        let Err((done, error)) = result else { return Ok(()) };
        let backwards: Vec<(MessageKind, u16, Vec<u8>)> = orders
            .iter()
            .zip(&done)
            .rev()
            .filter(|(_, done)| **done)
            .map(|(order, _)| undo_of(order))
            .collect();
        let requests: Vec<_> =
            backwards.iter().map(|(kind, flags, payload)| (*kind, *flags, &payload[..])).collect();
        let outcomes = self.kernel.orders(&requests).unwrap_or_default();
        let failed = requests.len() - outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        if failed > 0 {
            tracing::error!(failed, "policies of a refused change remain in the kernel");
        }
        Err(error)
    }

    /// Sends requests for policies. On failure, returns which of them the kernel has carried out, and the error.
    fn try_orders(&self, orders: &[Order]) -> Result<(), (Vec<bool>, Error)> {
        let payloads: Vec<(MessageKind, u16, Vec<u8>)> = orders.iter().map(request_of).collect();
        let requests: Vec<_> =
            payloads.iter().map(|(kind, flags, payload)| (*kind, *flags, &payload[..])).collect();
        let outcomes = self.kernel.orders(&requests).map_err(|error| (Vec::new(), error))?;
        let is_good = |order: &Order, outcome: &Result<(), Refusal>| match outcome {
            Ok(()) => true,
            // Somebody else has removed it already.
            Err(refused) => order.new.is_none() && refused.is_missing(),
        };
        let Some((order, refused)) = orders.iter().zip(&outcomes).find_map(|(order, outcome)| {
            outcome.as_ref().err().filter(|_| !is_good(order, outcome)).map(|no| (order, no))
        }) else {
            return Ok(());
        };
        let error = self.policy_refusal(order, refused);
        Err((outcomes.iter().map(Result::is_ok).collect(), error))
    }

    /// Returns the error for a policy that the kernel refused. For a conflict it names the other program's policy.
    fn policy_refusal(&self, order: &Order, refused: &Refusal) -> Error {
        let verb = match (&order.old, &order.new) {
            (None, _) => "install",
            (Some(_), Some(_)) => "change",
            (Some(_), None) => "remove",
        };
        let named = format!("the policy {} of filter {}", spd::words(&order.entry), order.entry.filter_id.0);
        if refused.errno != spd::EEXIST {
            return refusal(&format!("{verb} {named}"), refused);
        }
        let theirs = self.kernel.policy(&order.id).ok().flatten();
        let theirs = theirs.as_deref().and_then(Policy::of);
        let which = theirs.map_or_else(String::new, |policy| {
            format!(" Its index is {}, its priority {}.", policy.index, policy.priority)
        });
        let what =
            format!("cannot {verb} {named}: another program has a policy for the same packets.{which}");
        Error::new(Code::FWP_E_ALREADY_EXISTS, what.trim_end_matches('.').to_owned())
            .with_remedy("List the kernel's policies with `ip xfrm policy`, and remove one of the two.")
    }

    /// Returns which of the entries are to be added, changed or left as they are, given the kernel's policies.
    fn compare(
        &self,
        entries: &[SpdEntry],
        held: &HashMap<PolicyId, Vec<u8>>,
        ours: &HashSet<PolicyId>,
    ) -> Result<Compared> {
        let mut own = self.own();
        // What the newest SAs have made of the templates stays.
        for entry in entries {
            let Some(protection) = entry.action.protection() else { continue };
            let id = spd::id(entry);
            let Some(policy) = held.get(&id).filter(|_| ours.contains(&id)).and_then(|held| Policy::of(held))
            else {
                continue;
            };
            let reqid = own.reqid(protection.policy);
            if let Some(chain) = Chain::of(&policy, reqid) {
                own.note_chain(protection.policy, entry.direction.of_sas(), chain);
            }
        }
        let mut compared = Compared::default();
        for entry in entries {
            let id = spd::id(entry);
            let new = own.payload(entry)?;
            match held.get(&id) {
                Some(old) if ours.contains(&id) => {
                    if !is_same_policy(old, &new) {
                        let (old, new) = (Some(old.clone()), Some(new));
                        compared.orders.push(Order { id, entry: entry.clone(), old, new });
                    }
                }
                Some(_) => {
                    let order = Order { id, entry: entry.clone(), old: None, new: Some(new) };
                    let refused = Refusal { errno: spd::EEXIST, words: None };
                    compared.conflicts.push((entry.clone(), self.policy_refusal(&order, &refused)));
                    continue;
                }
                None => {
                    compared.orders.push(Order { id, entry: entry.clone(), old: None, new: Some(new) });
                }
            }
            compared.wanted.insert(id);
        }
        Ok(compared)
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
    fn renew_states(&self, old: &[SaId], new: &[PlannedState]) -> Result {
        for (old, new) in old.iter().zip(new) {
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

/// What is to be done at the start, so that the kernel has exactly the engine's policies.
#[derive(Default)]
struct Compared {
    orders: Vec<Order>,
    wanted: HashSet<PolicyId>,
    /// The entries for whose packets another program has a policy.
    conflicts: Vec<(SpdEntry, Error)>,
}

/// Returns the key of the policy whose packets the SAs of a context protect, if it is a filter's: the filter has one of the
/// IPsec callouts, and the SAs have no mark or interface id, which a filter's policy lacks.
fn own_policy(context: &SaContext, direction: Direction) -> Option<Guid> {
    let filter = context.selectors.filter(direction)?;
    filter.ipsec_mode()?;
    let linux = context.details(direction)?.bundle.sas.first().linux.as_deref();
    let is_apart = linux.is_some_and(|linux| linux.mark().is_some() || linux.if_id() != 0);
    (!is_apart).then(|| filter.policy_key())
}

fn request_of(order: &Order) -> (MessageKind, u16, Vec<u8>) {
    match (&order.old, &order.new) {
        (None, Some(new)) => (MessageKind::NewPolicy, CREATE, new.clone()),
        (_, Some(new)) => (MessageKind::UpdPolicy, 0, new.clone()),
        (_, None) => (MessageKind::DelPolicy, 0, emitted(|out| order.id.emit(out))),
    }
}

fn undo_of(order: &Order) -> (MessageKind, u16, Vec<u8>) {
    match &order.old {
        Some(old) => (MessageKind::UpdPolicy, 0, old.clone()),
        None => (MessageKind::DelPolicy, 0, emitted(|out| order.id.emit(out))),
    }
}

/// Returns whether a policy of the kernel is as planned.
fn is_same_policy(held: &[u8], planned: &[u8]) -> bool {
    let (Some(held), Some(planned)) = (Policy::of(held), Policy::of(planned)) else { return false };
    held.priority == planned.priority
        && held.action == planned.action
        && held.templates.iter().eq(planned.templates.iter())
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
        if let Err(error) = self.bend_policy(context, direction, &plan.chain) {
            self.undo(&done);
            self.ownership.forget(ids.iter().map(|id| identity(id, 0)));
            return Err(error);
        }
        let whole = direction == Direction::Outbound && context.inbound.is_some();
        self.ownership.done(key, &ids, whole).inspect_err(|_| {
            self.undo(&done);
            self.ownership.forget(ids.iter().map(|id| identity(id, 0)));
        })
    }

    fn update(&self, old: &SaContext, new: &SaContext, direction: Direction, keys: &KeyAccess) -> Result {
        let matters = |context: &SaContext| {
            let details = context.details(direction);
            (context.traffic.clone(), details.map(|details| (details.udp_encapsulation, details.filter_id)))
        };
        let owns_policies = own_policy(new, direction).is_none();
        if matters(old) == matters(new) && (!owns_policies || *old.selectors == *new.selectors) {
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
        let only_policies = Plan { states: Vec::new(), policies: plan.policies, chain: plan.chain.clone() };
        self.ownership.settle(&before, false);
        let outcome = self
            .carry_out(&only_policies, &to_install, &mut done)
            .and_then(|()| self.renew_states(&before, &plan.states))
            .and_then(|()| self.bend_policy(new, direction, &plan.chain));
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
        let spi = ids.first().map_or(0, |id| id.spi);
        Ok(last.map(|last| last.update(context.id, direction, spi)))
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
            .zip(ids.iter().zip(found))
            .filter_map(|((id, direction), (of, last))| Some(last?.update(id, direction, of.spi)))
            .collect())
    }

    fn drops(&self) -> Result<ProviderDrops> {
        Ok(statistics::drops(&self.kernel.drop_counters()))
    }

    fn enforces_lifetimes(&self) -> bool {
        true
    }

    fn enforces_policies(&self) -> bool {
        true
    }

    fn load_spd(&self, entries: &[SpdEntry]) -> Result<Vec<(SpdEntry, Error)>> {
        let ours = self.ownership.spd();
        if entries.is_empty() && ours.is_empty() {
            return Ok(Vec::new());
        }
        self.begin_journal();
        let dump = self.kernel.policies()?;
        let mut held = HashMap::new();
        for message in Messages::new(&dump) {
            let message = message.map_err(|e| crate::error::bytes(&of_the_kernel(Part::Policies), &e))?;
            if message.kind == MessageKind::NewPolicy
                && let Some(policy) = Policy::of(message.payload)
            {
                held.insert(PolicyId::of(&policy), message.payload.to_vec());
            }
        }
        let Compared { orders, wanted, conflicts } = self.compare(entries, &held, &ours)?;
        self.ownership.begin_spd(wanted.iter())?;
        self.carry_out_orders(&orders)?;
        let installed: Vec<SpdChange> = entries
            .iter()
            .filter(|entry| wanted.contains(&spd::id(entry)))
            .map(|entry| SpdChange { old: None, new: Some(entry.clone()) })
            .collect();
        self.own().note(&installed, &self.ownership);
        // What no object stands for goes last. Another program may have put a policy of its own in the same place.
        let left: Vec<PolicyId> = ours.difference(&wanted).copied().collect();
        let still_ours: Vec<PolicyId> = left
            .iter()
            .filter(|id| {
                held.get(id).and_then(|held| Policy::of(held)).is_some_and(|policy| spd::is_own(&policy))
            })
            .copied()
            .collect();
        self.kernel.drop_policies(&still_ours);
        self.ownership.forget_spd(left.iter());
        tracing::info!(
            installed = wanted.len(),
            changed = orders.len(),
            removed = still_ours.len(),
            "the kernel has the engine's policies"
        );
        Ok(conflicts)
    }

    fn change_spd(&self, changes: &[SpdChange]) -> Result {
        self.begin_journal();
        let mut own = self.own();
        let orders = own.orders(changes)?;
        let added = || orders.iter().filter(|order| order.old.is_none()).map(|order| &order.id);
        self.ownership.begin_spd(added())?;
        if let Err(error) = self.carry_out_orders(&orders) {
            self.ownership.forget_spd(added());
            own.forget_unused(changes, &self.ownership);
            return Err(error);
        }
        own.note(changes, &self.ownership);
        self.ownership.forget_spd(orders.iter().filter(|order| order.new.is_none()).map(|order| &order.id));
        Ok(())
    }
}
