//! Changes to one SA context, each a pair of the old and the new value. Everything that follows from a
//! change is derived from that pair: the dataplane's work, the event, the timers and the statistics.

use crate::core::Origin;
use crate::database::Database;
use crate::database::holds;
use crate::database::sas;
use crate::objects::selectors;
use crate::spi;
use crate::transition;
use openwfp_api::Clock;
use openwfp_api::Code;
use openwfp_api::CounterUpdate;
use openwfp_api::Dataplane;
use openwfp_api::Direction;
use openwfp_api::Error;
use openwfp_api::EventKind;
use openwfp_api::KeyAccess;
use openwfp_api::Random;
use openwfp_api::Result;
use openwfp_api::SaContext;
use openwfp_api::SaContextId;
use openwfp_api::SaContextStep as Step;
use openwfp_api::SaState;
use openwfp_api::Spi;
use openwfp_api::StepOutcome;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// A change of one context.
#[derive(Clone)]
pub(crate) struct Change {
    pub(crate) id: SaContextId,
    pub(crate) old: Option<Arc<SaContext>>,
    pub(crate) new: Option<Arc<SaContext>>,
}

/// The clock, randomness, SPI range and id source that [`plan`] needs besides the database.
pub(crate) struct Means<'a> {
    pub(crate) clock: &'a dyn Clock,
    pub(crate) random: &'a dyn Random,
    pub(crate) spis: &'a RangeInclusive<u32>,
    pub(crate) new_id: &'a dyn Fn() -> SaContextId,
}

/// Plans a step: returns the change that it would make and its outcome, without changing anything.
pub(crate) fn plan(database: &Database, step: Step, means: &Means<'_>) -> Result<(Change, StepOutcome)> {
    let mut inbound_spi = None;
    let (old, new) = match step {
        Step::Create(new) => {
            let mut context = transition::create((means.new_id)(), new)?;
            selectors::resolve(&database.objects, &mut context)?;
            (None, Some(Arc::new(context)))
        }
        Step::GetSpi(id, request) => {
            let mut next = Next::of(database, id)?;
            transition::check_request(&next.old, &request)?;
            let spi = match next.old.state {
                SaState::HasSpi { inbound_spi } => inbound_spi,
                _ => choose(database, &next.old, means)?,
            };
            inbound_spi = Some(spi);
            transition::with_spi(next.context()?, &request, spi)?;
            selectors::resolve(&database.objects, next.context()?)?;
            next.parts()
        }
        Step::SetSpi(id, request, spi) => {
            let mut next = Next::of(database, id)?;
            transition::check_request(&next.old, &request)?;
            transition::with_spi(next.context()?, &request, spi)?;
            selectors::resolve(&database.objects, next.context()?)?;
            check_free(database, &next.new, spi)?;
            inbound_spi = Some(spi);
            next.parts()
        }
        Step::AddInbound(id, bundle) => {
            let mut next = Next::of(database, id)?;
            transition::add_inbound(next.context()?, bundle)?;
            selectors::resolve(&database.objects, next.context()?)?;
            next.parts()
        }
        Step::AddOutbound(id, bundle) => {
            let mut next = Next::of(database, id)?;
            transition::add_outbound(next.context()?, bundle)?;
            selectors::resolve(&database.objects, next.context()?)?;
            next.parts()
        }
        Step::Update(flags, values) => {
            let mut next = Next::of(database, values.id)?;
            transition::update(next.context()?, flags, &values)?;
            selectors::resolve(&database.objects, next.context()?)?;
            let (old, new) = (&next.old, &next.new);
            if new.traffic.endpoints.local() != old.traffic.endpoints.local() {
                let spis = new.inbound.iter().flat_map(|details| details.bundle.sas.iter()).map(|sa| sa.spi);
                for spi in spis {
                    check_free(database, new, spi)?;
                }
            }
            next.parts()
        }
        Step::Expire(id) => {
            let mut next = Next::of(database, id)?;
            let is_left = transition::expire(next.context()?, means.clock.wall())?;
            let (old, new) = next.parts();
            (old, new.filter(|_| is_left))
        }
        Step::Delete(id) => (Some(existing(database, id)?), None),
        Step::Reserve(new, request) => {
            let mut context = transition::create((means.new_id)(), new)?;
            transition::check_request(&context, &request)?;
            let spi = choose(database, &context, means)?;
            inbound_spi = Some(spi);
            transition::with_spi(&mut context, &request, spi)?;
            selectors::resolve(&database.objects, &mut context)?;
            (None, Some(Arc::new(context)))
        }
        Step::Complete(id, bundles) => {
            let mut next = Next::of(database, id)?;
            transition::add_inbound(next.context()?, bundles.inbound)?;
            transition::add_outbound(next.context()?, bundles.outbound)?;
            selectors::resolve(&database.objects, next.context()?)?;
            next.parts()
        }
        Step::Establish(new, request, bundles) => {
            let mut context = transition::create((means.new_id)(), new)?;
            transition::check_request(&context, &request)?;
            let spi = bundles.inbound.sas.first().spi;
            transition::with_spi(&mut context, &request, spi)?;
            check_free(database, &context, spi)?;
            inbound_spi = Some(spi);
            transition::add_inbound(&mut context, bundles.inbound)?;
            transition::add_outbound(&mut context, bundles.outbound)?;
            selectors::resolve(&database.objects, &mut context)?;
            (None, Some(Arc::new(context)))
        }
        _ => return Err(Error::unreachable("this engine does not know the step")),
    };
    let Some(id) = old.as_ref().or(new.as_ref()).map(|context| context.id) else {
        return Err(Error::unreachable("a change has neither an old nor a new context"));
    };
    Ok((Change { id, old, new }, StepOutcome { id, inbound_spi }))
}

/// A context and the copy that becomes its next version, already in its final allocation.
struct Next {
    old: Arc<SaContext>,
    new: Arc<SaContext>,
}

impl Next {
    fn of(database: &Database, id: SaContextId) -> Result<Next> {
        let old = existing(database, id)?;
        let new = Arc::new((*old).clone());
        Ok(Next { old, new })
    }

    fn context(&mut self) -> Result<&mut SaContext> {
        Arc::get_mut(&mut self.new)
            .ok_or_else(|| Error::unreachable("a context is shared before it is complete"))
    }

    fn parts(self) -> (Option<Arc<SaContext>>, Option<Arc<SaContext>>) {
        (Some(self.old), Some(self.new))
    }
}

fn existing(database: &Database, id: SaContextId) -> Result<Arc<SaContext>> {
    database.get(id).cloned().ok_or_else(|| not_found(id))
}

fn choose(database: &Database, context: &SaContext, means: &Means<'_>) -> Result<Spi> {
    spi::choose(database, context.traffic.endpoints.local(), means.spis, means.random)
}

fn check_free(database: &Database, context: &SaContext, spi: Spi) -> Result {
    let local = context.traffic.endpoints.local();
    match database.receiver(spi, local, Some(context.id)) {
        None => Ok(()),
        Some(other) => {
            let what = format!("SA context {other} already has SPI {spi} on {local}");
            Err(Error::new(Code::FWP_E_ALREADY_EXISTS, what).with_remedy("Choose another SPI."))
        }
    }
}

/// Returns the error `FWP_E_NOT_FOUND` for an id without an SA context.
pub(crate) fn not_found(id: SaContextId) -> Error {
    Error::new(Code::FWP_E_NOT_FOUND, format!("no SA context has the id {id}"))
}

/// A task of the dataplane for one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Install(Direction),
    Update(Direction),
    Remove(Direction),
}

impl Change {
    /// Applies the change to a version of the database.
    pub(crate) fn apply(&self, database: &mut Database) {
        match &self.new {
            Some(new) => database.put(Arc::clone(new)),
            None => drop(database.remove(self.id)),
        }
    }

    /// Returns the change that undoes this one.
    pub(crate) fn reversed(&self) -> Change {
        Change { id: self.id, old: self.new.clone(), new: self.old.clone() }
    }

    /// Returns whether the context keeps all SPIs that it had.
    pub(crate) fn keeps_spis(&self) -> bool {
        let held = |spi| self.new.as_deref().is_some_and(|new| holds(new, spi));
        self.old.as_deref().is_none_or(|old| sas(old).all(|(spi, ..)| held(spi)))
    }

    /// Returns the event that subscribers receive for this change, if any.
    pub(crate) fn event(&self) -> Option<EventKind> {
        let (old, new) = (self.old.as_deref(), self.new.as_deref());
        match (old.is_some_and(is_announced), new.is_some_and(is_announced)) {
            (false, true) => Some(EventKind::Add),
            (true, false) => Some(EventKind::Delete),
            (true, true) if old.map(|old| old.state) != new.map(|new| new.state) => {
                let expires = new.is_some_and(|new| matches!(new.state, SaState::Expiring { .. }));
                Some(if expires { EventKind::Expire } else { EventKind::Change })
            }
            (true, true) => Some(EventKind::Change),
            (false, false) => None,
        }
    }

    /// Returns the acquire event if a provider reports a new larval context, by which it requests SAs.
    pub(crate) fn acquire(&self, origin: Origin) -> Option<EventKind> {
        let asks = |new: &Arc<SaContext>| new.state == SaState::Created;
        (origin == Origin::Provider && self.old.is_none() && self.new.as_ref().is_some_and(asks))
            .then_some(EventKind::Acquire)
    }

    /// Whether the context becomes complete.
    pub(crate) fn completes(&self) -> bool {
        let complete = |context: &Arc<SaContext>| context.state == SaState::Complete;
        self.new.as_ref().is_some_and(complete) && !self.old.as_ref().is_some_and(complete)
    }

    /// Whether the dataplane has anything to do.
    pub(crate) fn has_effects(&self) -> bool {
        self.effects().next().is_some()
    }

    /// Returns the tasks of the dataplane in order. Removals come first, outbound before inbound, so that
    /// SAs stop sending before they stop receiving. Installations and updates follow, inbound before
    /// outbound, so that SAs receive before they send.
    fn effects(&self) -> impl Iterator<Item = Effect> {
        let (old, new) = (self.old.as_deref(), self.new.as_deref());
        let effect = move |direction| {
            let before = old.and_then(|old| old.details(direction));
            let after = new.and_then(|new| new.details(direction));
            match (before, after) {
                (None, None) => None,
                (None, Some(_)) => Some(Effect::Install(direction)),
                (Some(_), None) => Some(Effect::Remove(direction)),
                (Some(before), Some(after)) => {
                    let moved = old.map(|old| (&old.traffic, &*old.selectors))
                        != new.map(|new| (&new.traffic, &*new.selectors));
                    (moved || before != after).then_some(Effect::Update(direction))
                }
            }
        };
        let removals = [Direction::Outbound, Direction::Inbound]
            .into_iter()
            .filter_map(effect)
            .filter(|effect| matches!(effect, Effect::Remove(_)));
        let others = [Direction::Inbound, Direction::Outbound]
            .into_iter()
            .filter_map(effect)
            .filter(|effect| !matches!(effect, Effect::Remove(_)));
        removals.chain(others)
    }

    /// Has the dataplane carry out all effects or none. Returns the final counters of the removed SAs.
    pub(crate) fn carry_out(&self, dataplane: &dyn Dataplane) -> Result<Vec<CounterUpdate>> {
        let mut last = Vec::new();
        for (done, effect) in self.effects().enumerate() {
            match self.carry_out_one(effect, dataplane) {
                Ok(counted) => last.extend(counted),
                Err(error) => {
                    for effect in self.effects().take(done) {
                        self.undo(effect, dataplane);
                    }
                    return Err(error);
                }
            }
        }
        Ok(last)
    }

    /// Undoes [`Change::carry_out`] in the dataplane.
    pub(crate) fn take_back(&self, dataplane: &dyn Dataplane) {
        for effect in self.effects() {
            self.undo(effect, dataplane);
        }
    }

    /// Carries out one effect. Returns the final counters of a removed SA.
    fn carry_out_one(&self, effect: Effect, dataplane: &dyn Dataplane) -> Result<Option<CounterUpdate>> {
        let keys = KeyAccess::grant();
        match (effect, self.old.as_deref(), self.new.as_deref()) {
            (Effect::Install(direction), _, Some(new)) => dataplane.install(new, direction, &keys)?,
            (Effect::Update(direction), Some(old), Some(new)) => {
                dataplane.update(old, new, direction, &keys)?;
            }
            (Effect::Remove(direction), Some(old), _) => return dataplane.remove(old, direction),
            _ => return Err(Error::unreachable("an effect lacks its context")),
        }
        Ok(None)
    }

    fn undo(&self, effect: Effect, dataplane: &dyn Dataplane) {
        let back = match effect {
            Effect::Install(direction) => Effect::Remove(direction),
            Effect::Update(direction) => Effect::Update(direction),
            Effect::Remove(direction) => Effect::Install(direction),
        };
        if let Err(error) = self.reversed().carry_out_one(back, dataplane) {
            tracing::error!(
                sa_context = self.id.0,
                "could not undo a change that the dataplane refused in part: {error}"
            );
        }
    }
}

/// Returns whether subscribers know of a context: it has an SA and no reservation, so it is not waiting
/// for more from the API. A context that expires while it waits is never announced.
pub(crate) fn is_announced(context: &SaContext) -> bool {
    let has_sa = context.inbound.is_some() || context.outbound.is_some();
    has_sa && context.reservation.is_none()
}
