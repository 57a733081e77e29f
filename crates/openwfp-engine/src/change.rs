//! A change of one context: what it was and what it becomes. All that follows from a change is read off that pair:
//! what the dataplane has to do, which event is told, which timers are set, what the statistics count.

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

/// What planning needs besides the database.
pub(crate) struct Means<'a> {
    pub(crate) clock: &'a dyn Clock,
    pub(crate) random: &'a dyn Random,
    pub(crate) spis: &'a RangeInclusive<u32>,
    pub(crate) new_id: &'a dyn Fn() -> SaContextId,
}

/// What a step would change, with nothing changed yet.
pub(crate) fn plan(database: &Database, step: Step, means: &Means<'_>) -> Result<(Change, StepOutcome)> {
    let mut inbound_spi = None;
    let (old, new) = match step {
        Step::Create(new) => {
            let mut context = transition::create((means.new_id)(), new)?;
            selectors::resolve(&database.objects, &mut context);
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
            selectors::resolve(&database.objects, next.context()?);
            next.parts()
        }
        Step::SetSpi(id, request, spi) => {
            let mut next = Next::of(database, id)?;
            transition::check_request(&next.old, &request)?;
            transition::with_spi(next.context()?, &request, spi)?;
            selectors::resolve(&database.objects, next.context()?);
            check_free(database, &next.new, spi)?;
            inbound_spi = Some(spi);
            next.parts()
        }
        Step::AddInbound(id, bundle) => {
            let mut next = Next::of(database, id)?;
            transition::add_inbound(next.context()?, bundle)?;
            selectors::resolve(&database.objects, next.context()?);
            next.parts()
        }
        Step::AddOutbound(id, bundle) => {
            let mut next = Next::of(database, id)?;
            transition::add_outbound(next.context()?, bundle)?;
            selectors::resolve(&database.objects, next.context()?);
            next.parts()
        }
        Step::Update(flags, values) => {
            let mut next = Next::of(database, values.id)?;
            transition::update(next.context()?, flags, &values)?;
            selectors::resolve(&database.objects, next.context()?);
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
            selectors::resolve(&database.objects, &mut context);
            (None, Some(Arc::new(context)))
        }
        Step::Complete(id, bundles) => {
            let mut next = Next::of(database, id)?;
            transition::add_inbound(next.context()?, bundles.inbound)?;
            transition::add_outbound(next.context()?, bundles.outbound)?;
            selectors::resolve(&database.objects, next.context()?);
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
            selectors::resolve(&database.objects, &mut context);
            (None, Some(Arc::new(context)))
        }
        _ => return Err(Error::unreachable("a step that this engine does not know")),
    };
    let Some(id) = old.as_ref().or(new.as_ref()).map(|context| context.id) else {
        return Err(Error::unreachable("a change from nothing to nothing"));
    };
    Ok((Change { id, old, new }, StepOutcome { id, inbound_spi }))
}

/// A context and what is to become its next version, in the place where it will stay.
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
            .ok_or_else(|| Error::unreachable("a context that is shared before it is done"))
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
            let what = format!("the SPI {spi} on {local} is SA context {other}'s");
            Err(Error::new(Code::FWP_E_ALREADY_EXISTS, what).with_remedy("choose another SPI"))
        }
    }
}

/// There is no such context.
pub(crate) fn not_found(id: SaContextId) -> Error {
    Error::new(Code::FWP_E_NOT_FOUND, format!("there is no SA context with the id {id}"))
}

/// What the dataplane has to do for one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Install(Direction),
    Update(Direction),
    Remove(Direction),
}

impl Change {
    /// Brings a version of the database from what the context was to what it becomes.
    pub(crate) fn apply(&self, database: &mut Database) {
        match &self.new {
            Some(new) => database.put(Arc::clone(new)),
            None => drop(database.remove(self.id)),
        }
    }

    /// The change that brings everything back.
    pub(crate) fn reversed(&self) -> Change {
        Change { id: self.id, old: self.new.clone(), new: self.old.clone() }
    }

    /// Whether the context still has all SPIs that it had.
    pub(crate) fn keeps_spis(&self) -> bool {
        let held = |spi| self.new.as_deref().is_some_and(|new| holds(new, spi));
        self.old.as_deref().is_none_or(|old| sas(old).all(|(spi, ..)| held(spi)))
    }

    /// Which event it is to those who subscribed.
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

    /// The event that a provider asks for SAs, by finding a larval context.
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

    /// What the dataplane has to do: what is removed stops sending first, what is installed receives first.
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
                    let moved = old.map(|old| &old.traffic) != new.map(|new| &new.traffic);
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

    /// Has the dataplane do it, all of it or nothing; what the SAs that go have counted at the end.
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

    /// Brings back what [`Change::carry_out`] did.
    pub(crate) fn take_back(&self, dataplane: &dyn Dataplane) {
        for effect in self.effects() {
            self.undo(effect, dataplane);
        }
    }

    /// What an SA that it removes has counted at the end.
    fn carry_out_one(&self, effect: Effect, dataplane: &dyn Dataplane) -> Result<Option<CounterUpdate>> {
        let keys = KeyAccess::grant();
        match (effect, self.old.as_deref(), self.new.as_deref()) {
            (Effect::Install(direction), _, Some(new)) => dataplane.install(new, direction, &keys)?,
            (Effect::Update(direction), Some(old), Some(new)) => {
                dataplane.update(old, new, direction, &keys)?;
            }
            (Effect::Remove(direction), Some(old), _) => return dataplane.remove(old, direction),
            _ => return Err(Error::unreachable("an effect without the context that it is read off")),
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
                what = ?back,
                %error,
                "a refused change could not be taken back in the dataplane"
            );
        }
    }
}

/// Whether a context is one that subscribers know of: with an SA, and not waiting for more from the API; one that
/// expires while it waits is never known.
pub(crate) fn is_announced(context: &SaContext) -> bool {
    let has_sa = context.inbound.is_some() || context.outbound.is_some();
    has_sa && context.reservation.is_none()
}
