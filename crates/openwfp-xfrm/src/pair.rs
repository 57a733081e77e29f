//! Pairs states and policies into SA contexts.
//!
//! 1. Each state gets a direction from the first of these that gives one: the kernel (`XFRMA_SA_DIR`);
//!    the policies that use it; which of its addresses is this machine's; a guess, which takes the
//!    address shared by more states for this machine's.
//! 2. States that were installed together belong together. Others are grouped by local and remote
//!    address and reqid; reqids that the templates of one policy tie count as one. States for the same
//!    ports whose reqids are their SPIs are one group (3GPP TS 33.203).
//! 3. Inbound and outbound states of one protocol and mode are paired by what tells pairs apart, the
//!    best evidence first: reqid, CPU, encapsulation ports, own selector, mark, interface id. A
//!    difference only counts where there is a choice.
//! 4. What is left is paired in the order of creation, so that each generation of a rekey is a context
//!    of its own. Times of addition only break ties, because the clock may have been set.
//! 5. Pairs of ESP, AH and IPCOMP form a bundle if a reqid or a policy ties them.
//! 6. A state without a partner becomes a context with one direction; a larval state becomes a context
//!    without an SA.

mod align;
mod chains;
mod partners;
pub(crate) mod policies;

use crate::map;
use crate::table::Facts;
use crate::table::StateRecord;
use crate::table::Tables;
use crate::wire::State;
use chains::Chains;
use foldhash::fast::RandomState;
use openwfp_api::Completeness;
use openwfp_api::Counters;
use openwfp_api::Direction;
use openwfp_api::Endpoints;
use openwfp_api::FilterId;
use openwfp_api::KernelPolicyChange;
use openwfp_api::Mode;
use openwfp_api::Protocol;
use openwfp_api::Reservation;
use openwfp_api::Sa;
use openwfp_api::SaBundle;
use openwfp_api::SaContext;
use openwfp_api::SaContextId;
use openwfp_api::SaDetails;
use openwfp_api::SaList;
use openwfp_api::SaState;
use openwfp_api::Selectors;
use openwfp_api::Spi;
use openwfp_api::Traffic;
use policies::Policies;
use policies::PolicyIndex;
use std::collections::HashMap;
use std::collections::HashSet;
use std::net::IpAddr;
use std::num::NonZero;
use std::sync::Arc;

/// The SA contexts of a kernel or a capture, in the order of their creation.
///
/// The contexts have no ids yet ([`SaContextId`] 0); the engine assigns them.
#[derive(Debug)]
pub struct Listing {
    /// The contexts, oldest first.
    pub contexts: Vec<SaContext>,
    /// Whether the listing is complete.
    pub completeness: Completeness,
    /// The policies, as a mirror takes them.
    pub policies: Vec<KernelPolicyChange>,
}

impl Tables<'_> {
    /// Pairs the states into SA contexts. `local_addresses` are this machine's addresses, as far as known.
    pub fn pair(&self, local_addresses: &HashSet<IpAddr>) -> Vec<SaContext> {
        self.paired(local_addresses, |contexts| contexts.all())
    }

    /// As [`Tables::pair`], for contexts that are built as `visit` reads them.
    pub(crate) fn paired<R>(
        &self,
        local_addresses: &HashSet<IpAddr>,
        visit: impl FnOnce(&dyn Contexts) -> R,
    ) -> R {
        let policies = PolicyIndex::new(&self.policies);
        let known = Known { own: local_addresses, seen: None };
        visit(&pairing(&self.states, &policies, &known))
    }
}

/// What is known of addresses.
pub(crate) struct Known<'k> {
    /// This machine's.
    pub(crate) own: &'k HashSet<IpAddr>,
    /// In how many states each address is; `None` if the states to pair are all there are.
    pub(crate) seen: Option<&'k HashMap<IpAddr, u32, RandomState>>,
}

/// Groups states, newest first, into one unit per context.
pub(crate) fn pairing<'t, P: Policies>(
    records: &'t [StateRecord<'t>],
    policies: &'t P,
    known: &Known<'_>,
) -> Pairing<'t, P> {
    let states = directed(records, policies, known);
    let mut units = Vec::with_capacity(states.len() / 2 + 1);
    for_each_group(&states, |group| assemble(&states, policies, group, &mut units));
    // A dump lists the newest first; read backwards it is in the order of creation.
    units.sort_by_cached_key(|unit| std::cmp::Reverse(unit.states().max()));
    Pairing { states, policies, units }
}

fn directed<'t>(
    records: &'t [StateRecord<'t>],
    policies: &impl Policies,
    known: &Known<'_>,
) -> Vec<Directed<'t>> {
    let mut states = map_in_parallel(records, |record| {
        let direction = record.direction.or_else(|| policies::direction(policies, record));
        Some(Directed {
            record,
            direction: direction.unwrap_or(Direction::Outbound),
            decided: direction.is_some(),
            reqid: policies.first_reqid(record.reqid, record.source, record.destination),
        })
    });
    if states.iter().any(|state| !state.decided) {
        decide_by_addresses(&mut states, known);
    }
    states
}

/// States grouped into one unit per context.
pub(crate) struct Pairing<'t, P> {
    states: Vec<Directed<'t>>,
    policies: &'t P,
    units: Vec<Unit>,
}

/// SA contexts in the order of their creation, each of which is built when it is read.
///
/// They are numbered from 0. Their ids are one higher, as an engine gives them to the contexts of one listing.
pub trait Contexts: Sync {
    /// Returns the number of contexts.
    fn len(&self) -> usize;

    /// Returns whether there are no contexts.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns a context; none from [`Contexts::len`] on.
    fn get(&self, number: usize) -> Option<Arc<SaContext>>;

    /// Returns whether a context has an SA, or a larval state, with this SPI.
    fn has_spi(&self, number: usize, spi: Spi) -> bool;

    /// Returns all contexts, without ids.
    fn all(&self) -> Vec<SaContext>;
}

impl<P: Policies> Contexts for Pairing<'_, P> {
    fn len(&self) -> usize {
        Pairing::len(self)
    }

    fn get(&self, number: usize) -> Option<Arc<SaContext>> {
        let mut context = self.units.get(number)?.context(&self.states, self.policies)?;
        context.id = SaContextId(number as u64 + 1);
        Some(Arc::new(context))
    }

    fn has_spi(&self, number: usize, spi: Spi) -> bool {
        let unit = self.units.get(number);
        unit.is_some_and(|unit| unit.states().any(|index| self.states[index].record.spi == spi.get()))
    }

    fn all(&self) -> Vec<SaContext> {
        self.contexts()
    }
}

impl<P: Policies> Pairing<'_, P> {
    /// Returns the contexts, in the order of their creation.
    pub(crate) fn contexts(&self) -> Vec<SaContext> {
        map_in_parallel(&self.units, |unit| unit.context(&self.states, self.policies))
    }

    /// Returns the number of contexts.
    pub(crate) fn len(&self) -> usize {
        self.units.len()
    }

    /// Returns the states of a context, inbound first: each with its direction, and whether the context
    /// shows its counters.
    pub(crate) fn members(&self, unit: usize) -> impl Iterator<Item = (&Facts, Direction, bool)> {
        let unit = &self.units[unit];
        let firsts = [unit.inbound, unit.outbound].map(|bundle| bundle.indices().next());
        unit.states().map(move |index| {
            let state = &self.states[index];
            (&**state.record, state.direction, firsts.contains(&Some(index)))
        })
    }

    /// Returns the context of a unit.
    pub(crate) fn context(&self, unit: usize) -> Option<SaContext> {
        self.units[unit].context(&self.states, self.policies)
    }

    /// Returns whether the direction of any state had to be guessed.
    #[cfg(test)]
    pub(crate) fn has_guesses(&self) -> bool {
        self.states.iter().any(|state| !state.decided)
    }
}

/// Up to this many items, one thread is as fast as several.
const ITEMS_PER_THREAD_MIN: usize = 16_384;

/// Maps the items, in order, on as many threads as there are processors, and drops `None`.
fn map_in_parallel<'i, T: Sync, R: Send>(items: &'i [T], map: impl Fn(&'i T) -> Option<R> + Sync) -> Vec<R> {
    let of = |share: &'i [T], room: usize| {
        let mut results = Vec::with_capacity(room);
        results.extend(share.iter().filter_map(&map));
        results
    };
    if items.len() <= ITEMS_PER_THREAD_MIN {
        // Avoids `available_parallelism`, which reads files.
        return of(items, items.len());
    }
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let share = items.len().div_ceil(threads).max(ITEMS_PER_THREAD_MIN);
    let mut shares = items.chunks(share);
    let Some(first) = shares.next() else { return Vec::new() };
    std::thread::scope(|scope| {
        let of = &of;
        let others: Vec<_> = shares.map(|share| scope.spawn(move || of(share, share.len()))).collect();
        let mut results = of(first, items.len());
        for other in others {
            match other.join() {
                Ok(more) => results.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        results
    })
}

/// A state with its direction.
struct Directed<'a> {
    record: &'a StateRecord<'a>,
    direction: Direction,
    decided: bool,
    /// The reqid that stands for its own one, which policies may have tied to it.
    reqid: u32,
}

impl Directed<'_> {
    fn local(&self) -> IpAddr {
        match self.direction {
            Direction::Inbound => self.record.destination,
            Direction::Outbound => self.record.source,
        }
    }

    fn remote(&self) -> IpAddr {
        match self.direction {
            Direction::Inbound => self.record.source,
            Direction::Outbound => self.record.destination,
        }
    }

    /// Returns whether nothing tells for certain that the two are no pair: they are of different CPUs, to which an SA is bound
    /// for its life (RFC 9611), or an end is open.
    fn may_pair_with(&self, other: &Directed<'_>) -> bool {
        let cpus = self.record.cpu.zip(other.record.cpu);
        cpus.is_none_or(|(one, other)| one == other) && !self.is_half_open()
    }

    /// Returns whether an end is left open, so that nothing tells which state of the other direction belongs to it.
    fn is_half_open(&self) -> bool {
        self.record.source.is_unspecified() || self.record.destination.is_unspecified()
    }
}

fn decide_by_addresses(states: &mut [Directed<'_>], known: &Known<'_>) {
    let mut local: HashSet<IpAddr, RandomState> = known.own.iter().copied().collect();
    local.extend(states.iter().filter(|state| state.decided).map(Directed::local));
    for state in states.iter_mut().filter(|state| !state.decided) {
        let (to_us, from_us) =
            (local.contains(&state.record.destination), local.contains(&state.record.source));
        state.decided = to_us != from_us;
        if to_us && !from_us {
            state.direction = Direction::Inbound;
        }
    }
    if states.iter().all(|state| state.decided) {
        return;
    }
    let counted = || {
        let mut seen: HashMap<IpAddr, u32, RandomState> = HashMap::default();
        for state in states.iter() {
            *seen.entry(state.record.source).or_default() += 1;
            *seen.entry(state.record.destination).or_default() += 1;
        }
        seen
    };
    let here;
    let seen = match known.seen {
        Some(seen) => seen,
        None => {
            here = counted();
            &here
        }
    };
    for state in states.iter_mut().filter(|state| !state.decided) {
        let count = |address: IpAddr| seen.get(&address).copied().filter(|_| !address.is_unspecified());
        let rank = |address: IpAddr| (count(address), std::cmp::Reverse(address));
        if rank(state.record.destination) > rank(state.record.source) {
            state.direction = Direction::Inbound;
        }
    }
}

/// Properties shared by the states of one context: tie, reqid or the number of mirror images, local and remote address.
type GroupKey = (u64, u32, u64, IpAddr, IpAddr);

fn group_key(state: &Directed<'_>) -> GroupKey {
    let record = state.record;
    let reqid = if record.mirror == 0 { state.reqid } else { 0 };
    (record.tie, reqid, record.mirror, state.local(), state.remote())
}

/// Calls `each` with every group of states that may belong together, as indices in dump order.
fn for_each_group(states: &[Directed<'_>], mut each: impl FnMut(&[usize])) {
    let mut chains = Chains::with_capacity(states.len(), states.len() / 2);
    let last = states.len().saturating_sub(1);
    // Push in reverse, so that each chain is in dump order.
    for state in states.iter().rev() {
        chains.push(&group_key(state));
    }
    let mut group = Vec::new();
    for chain in chains.all() {
        group.clear();
        group.extend(chain.map(|entry| last - entry));
        // A chain normally has one key; separate the keys if their 64-bit hashes collided.
        while let Some(first) = group.first() {
            let key = group_key(&states[*first]);
            if group.iter().all(|index| group_key(&states[*index]) == key) {
                each(&group);
                break;
            }
            let (same, others): (Vec<_>, Vec<_>) =
                group.iter().copied().partition(|index| group_key(&states[*index]) == key);
            each(&same);
            group = others;
        }
    }
}

/// The states of one context, as indices: ESP, AH and IPCOMP of each direction, or one larval state.
#[derive(Default)]
struct Unit {
    inbound: Bundle,
    outbound: Bundle,
    larval: Slot,
}

/// The states of one direction, one slot for each of [`PLACES`].
#[derive(Clone, Copy, Default)]
struct Bundle([Slot; 3]);

/// The index of a state, if there is one, plus 1: a unit of these takes a quarter of one of `Option<usize>`.
#[derive(Clone, Copy, Default)]
struct Slot(u32);

impl Slot {
    fn of(index: usize) -> Slot {
        Slot(u32::try_from(index + 1).unwrap_or(u32::MAX))
    }

    fn index(self) -> Option<usize> {
        self.0.checked_sub(1).map(|index| index as usize)
    }
}

const PLACES: [Protocol; 3] = [Protocol::Esp, Protocol::Ah, Protocol::Ipcomp];

impl Bundle {
    fn indices(&self) -> impl Iterator<Item = usize> + Clone + use<> {
        self.0.into_iter().filter_map(Slot::index)
    }
}

impl Unit {
    fn bundle(&mut self, direction: Direction) -> &mut Bundle {
        match direction {
            Direction::Inbound => &mut self.inbound,
            Direction::Outbound => &mut self.outbound,
        }
    }

    fn states(&self) -> impl Iterator<Item = usize> + Clone + use<> {
        self.inbound.indices().chain(self.outbound.indices()).chain(self.larval.index())
    }

    /// Adds the states of a unit of another protocol.
    fn add(&mut self, other: &Unit) {
        for (own, others) in [(&mut self.inbound, other.inbound), (&mut self.outbound, other.outbound)] {
            for (slot, more) in own.0.iter_mut().zip(others.0) {
                if slot.index().is_none() {
                    *slot = more;
                }
            }
        }
    }
}

/// Builds the units of one group.
fn assemble(states: &[Directed<'_>], policies: &impl Policies, group: &[usize], units: &mut Vec<Unit>) {
    // Fast paths: nearly every group is one pair, or one larval state.
    if let [index] = *group
        && states[index].record.larval
    {
        units.push(Unit { larval: Slot::of(index), ..Unit::default() });
        return;
    }
    if let [one, other] = *group
        && let (a, b) = (&states[one], &states[other])
        && a.direction != b.direction
        && (a.record.protocol, a.record.mode) == (b.record.protocol, b.record.mode)
        && !a.record.larval
        && !b.record.larval
        && a.may_pair_with(b)
    {
        let mut unit = Unit::default();
        let place = place(a.record.protocol);
        unit.bundle(a.direction).0[place] = Slot::of(one);
        unit.bundle(b.direction).0[place] = Slot::of(other);
        units.push(unit);
        return;
    }
    let group = without_repeats(states, group);
    let (larval, mature): (Vec<_>, Vec<_>) =
        group.into_iter().partition(|index| states[*index].record.larval);
    units.extend(larval.into_iter().map(|index| Unit { larval: Slot::of(index), ..Unit::default() }));
    let [mut hosts, authenticated, compressed] = PLACES.map(|protocol| {
        let of_protocol: Vec<usize> =
            mature.iter().copied().filter(|index| states[*index].record.protocol == protocol).collect();
        partners::pairs(states, of_protocol, place(protocol))
    });
    for guests in [authenticated, compressed] {
        let (tied, alone): (Vec<_>, Vec<_>) = guests
            .into_iter()
            .partition(|unit| unit.states().all(|index| policies::ties_protocols(policies, &states[index])));
        let left = partners::bundle(states, &mut hosts, tied);
        hosts.extend(left.into_iter().chain(alone));
    }
    units.extend(hosts);
}

fn place(protocol: Protocol) -> usize {
    match protocol {
        Protocol::Esp => 0,
        Protocol::Ah => 1,
        Protocol::Ipcomp => 2,
    }
}

/// Removes states that the dump returned twice, keeping the first, which is newer.
fn without_repeats(states: &[Directed<'_>], group: &[usize]) -> Vec<usize> {
    let mut seen = HashSet::new();
    group.iter().copied().filter(|index| seen.insert(states[*index].record.identity())).collect()
}

impl Unit {
    /// Returns the context of these states. None only for states that should not exist, such as an SA with
    /// SPI 0.
    fn context(&self, states: &[Directed<'_>], policies: &impl Policies) -> Option<SaContext> {
        let first = &states[self.states().next()?];
        let endpoints = Endpoints::new(first.local(), first.remote())?;
        // In a bundle with IPCOMP or AH, one SA makes the tunnel and the others are in transport mode.
        let mode = self
            .states()
            .map(|index| map::mode(states[index].record.mode))
            .find(|mode| *mode != Mode::Transport)
            .unwrap_or(Mode::Transport);
        let filters = policies::filters(policies, &self.states().map(|index| &states[index]));
        let mut selectors = Selectors::from(filters.selectors);
        let counters = Counters::default();
        let (mut inbound, mut outbound) = (None, None);
        let mut reservation = None;
        let state = if let Some(index) = self.larval.index() {
            let state = states[index].record.state()?;
            add_own_selector(&mut selectors, &state, states[index].direction);
            match Spi::new(state.spi).filter(|_| states[index].direction == Direction::Inbound) {
                Some(inbound_spi) => SaState::HasSpi { inbound_spi },
                None => {
                    // A larval state without an SPI has the selector of the packet that needs an SA.
                    let packet = map::selector(&state.selector, states[index].direction);
                    let outbound_filter_id = filters.outbound;
                    reservation =
                        Some(Arc::new(Reservation { outbound_filter_id, packet, ..Reservation::default() }))
                            .filter(|_| !state.selector.is_any());
                    SaState::Created
                }
            }
        } else {
            inbound = self.inbound.details(states, &counters, filters.inbound, &mut selectors);
            outbound = self.outbound.details(states, &counters, filters.outbound, &mut selectors);
            match (&inbound, &outbound) {
                (Some(_), Some(_)) => SaState::Complete,
                (Some(_), None) => SaState::Inbound,
                (None, Some(_)) => SaState::Outbound,
                (None, None) => return None,
            }
        };
        Some(SaContext {
            id: SaContextId(0),
            state,
            traffic: Traffic::new(endpoints, mode),
            selectors,
            inbound,
            outbound,
            reservation,
            counters: Arc::new(counters),
        })
    }
}

/// Uses the state's own selector if no policy supplied one.
fn add_own_selector(selectors: &mut Selectors, state: &State<'_>, direction: Direction) {
    if selectors.is_empty()
        && !state.selector.is_any()
        && let Some(selector) = map::selector(&state.selector, direction)
    {
        *selectors = selector.into();
    }
}

impl Bundle {
    fn details(
        &self,
        states: &[Directed<'_>],
        counters: &Counters,
        filter_id: FilterId,
        selectors: &mut Selectors,
    ) -> Option<SaDetails> {
        let mut sas: [Option<Sa>; 3] = [None, None, None];
        let mut details: Option<(openwfp_api::Lifetime, Option<openwfp_api::UdpEncapsulation>)> = None;
        for (place, slot) in self.0.into_iter().enumerate() {
            let Some(index) = slot.index() else { continue };
            let direction = states[index].direction;
            let state = states[index].record.state()?;
            sas[place] = map::sa(&state);
            if !states[index].decided
                && let Some(linux) = sas[place].as_mut().and_then(|sa| sa.linux.as_mut())
            {
                linux.guessed_direction = true;
            }
            if details.is_none() {
                // A bundle has the limits and counters of its first SA.
                map::count(&state, counters.direction(direction));
                details = Some((map::lifetime(&state), map::udp_encapsulation(&state, direction)));
                add_own_selector(selectors, &state, direction);
            }
        }
        let (lifetime, udp_encapsulation) = details?;
        let mut bundle = SaBundle::new(SaList::new(sas.into_iter().flatten()).ok()?);
        bundle.lifetime = lifetime;
        if bundle.sas.iter().any(offloaded) {
            bundle.flags |= BUNDLE_FLAG_SA_OFFLOADED;
        }
        Some(SaDetails { filter_id, bundle, udp_encapsulation, virtual_if_tunnel: None })
    }
}

/// `IPSEC_SA_BUNDLE_FLAG_SA_OFFLOADED`.
const BUNDLE_FLAG_SA_OFFLOADED: u32 = 0x0020_0000;

fn offloaded(sa: &Sa) -> bool {
    sa.linux.as_ref().and_then(|linux| linux.extras.as_ref()).is_some_and(|extras| extras.offload.is_some())
}
