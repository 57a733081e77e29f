//! Rules of object management: which objects may be added and deleted, and by whom.
//!
//! Source: "Object Management" in WFP's documentation and the pages of the add and delete calls.

use super::Entry;
use super::Lifetime;
use super::ObjectChange;
use super::Objects;
use super::builtin::LAYER_KERNEL;
use super::conditions;
use super::references;
use super::tunnel;
use crate::registry::check_texts;
use openwfp_api::Code;
use openwfp_api::Error;
use openwfp_api::Guid;
use openwfp_api::ObjectCall;
use openwfp_api::Operation;
use openwfp_api::Result;
use openwfp_api::Rights;
use openwfp_api::SecurityDescriptor;
use openwfp_api::SessionNumber;
use openwfp_api::guids::sublayer;
use openwfp_api::object::ActionType;
use openwfp_api::object::CALLOUT_PERSISTENT;
use openwfp_api::object::CALLOUT_REGISTERED;
use openwfp_api::object::CALLOUT_USES_PROVIDER_CONTEXT;
use openwfp_api::object::FILTER_BOOTTIME;
use openwfp_api::object::FILTER_HAS_PROVIDER_CONTEXT;
use openwfp_api::object::FLAG_PERSISTENT;
use openwfp_api::object::Filter;
use openwfp_api::object::FilterContext;
use openwfp_api::object::Object;
use openwfp_api::object::ObjectKind;
use openwfp_api::object::step::ObjectStep;
use openwfp_api::object::value::Value;
use std::sync::Arc;

/// Checks the caller's rights on an object of a kind, given the object's own security descriptor, if
/// any.
pub(crate) type May<'a> = dyn Fn(Rights, ObjectKind, Option<&SecurityDescriptor>) -> Result + 'a;

/// The caller of a change, and the sources of keys and serial numbers.
pub(crate) struct Means<'a> {
    pub(crate) session: SessionNumber,
    pub(crate) is_dynamic: bool,
    /// Checks the caller's rights on an object, with or without a security descriptor of its own.
    pub(crate) may: &'a May<'a>,
    pub(crate) new_key: &'a dyn Fn() -> Result<Guid>,
    pub(crate) new_serial: &'a dyn Fn(ObjectKind) -> u64,
    /// Returns an SA context that the object with this id protects.
    pub(crate) context_of: &'a dyn Fn(u64) -> Option<openwfp_api::SaContextId>,
}

/// Applies a step to a version of the objects and returns the object that it added or deleted: of a tunnel, its policy. After an
/// error the version must be discarded.
pub(crate) fn apply(
    objects: &mut Objects,
    step: ObjectStep,
    means: &Means<'_>,
    changes: &mut Vec<ObjectChange>,
) -> Result<Arc<Entry>> {
    match step {
        ObjectStep::Add(add) => {
            let entry = add_object(objects, add.object, add.security, None, means)?;
            changes.push(ObjectChange { old: None, new: Some(Arc::clone(&entry)) });
            Ok(entry)
        }
        ObjectStep::Delete(delete) => {
            let kind = ObjectKind::from_wfp(delete.kind)?;
            let name = delete.name();
            let entry = objects.find(kind, name).cloned().ok_or_else(|| name.not_found(kind))?;
            remove(objects, &entry, means)?;
            changes.push(ObjectChange { old: Some(Arc::clone(&entry)), new: None });
            Ok(entry)
        }
        ObjectStep::TunnelAdd(add) => {
            for kind in [ObjectKind::ProviderContext, ObjectKind::Filter] {
                (means.may)(Rights::ADD, kind, None)?;
            }
            conditions::check_count(&add.conditions, openwfp_api::bounds::FILTER_CONDITIONS, "a filter")?;
            let security = add.security.clone();
            let key = match add.tunnel.key {
                key if key == Guid::default() => (means.new_key)()?,
                key => key,
            };
            let mut policy = None;
            for object in tunnel::objects(*add, key)? {
                let is_policy = object.key() == key;
                let entry = add_object(objects, object, security.clone(), Some(key), means)?;
                if is_policy {
                    policy = Some(Arc::clone(&entry));
                }
                changes.push(ObjectChange { old: None, new: Some(entry) });
            }
            policy.ok_or_else(|| Error::unreachable("a tunnel without its policy"))
        }
        ObjectStep::TunnelDelete(key) => {
            let parts = objects.parts_of(key);
            let policy = parts.iter().find(|part| part.object.key() == key).cloned().ok_or_else(|| {
                let what = format!("no tunnel policy has the key {key}");
                Error::new(Code::FWP_E_PROVIDER_CONTEXT_NOT_FOUND, what)
            })?;
            for entry in parts {
                remove(objects, &entry, means)?;
                changes.push(ObjectChange { old: Some(entry), new: None });
            }
            Ok(policy)
        }
        _ => Err(Error::unreachable("this engine does not know the step")),
    }
}

fn add_object(
    objects: &mut Objects,
    mut object: Object,
    security: Option<SecurityDescriptor>,
    part_of: Option<Guid>,
    means: &Means<'_>,
) -> Result<Arc<Entry>> {
    let kind = object.kind();
    Operation::on_objects(kind, ObjectCall::Add)?;
    check_text(&object)?;
    check_flags(&object)?;
    let lifetime = match (means.is_dynamic, object.is_persistent()) {
        (true, true) => {
            let what = format!("a dynamic session cannot add a persistent {kind}");
            return Err(Error::new(Code::FWP_E_DYNAMIC_SESSION_IN_PROGRESS, what)
                .with_remedy("Clear the persistent flag, or use a session that is not dynamic."));
        }
        (true, false) => Lifetime::Dynamic(means.session),
        (false, true) => Lifetime::Persistent,
        (false, false) => Lifetime::Static,
    };
    if object.key() == Guid::default() {
        object.set_key((means.new_key)()?);
    }
    if objects.by_key(kind, object.key()).is_some() {
        let what = format!("a {kind} with the key {} already exists", object.key());
        return Err(Error::new(Code::FWP_E_ALREADY_EXISTS, what));
    }
    if let Object::Filter(filter) = &mut object {
        conditions::check_count(&filter.conditions, openwfp_api::bounds::FILTER_CONDITIONS, "a filter")?;
        complete_filter(objects, filter)?;
    }
    check_references(objects, &object, lifetime, means)?;
    if let Object::Filter(filter) = &object {
        check_filter(objects, filter)?;
    }
    let serial = (means.new_serial)(kind);
    match &mut object {
        Object::ProviderContext(context) => context.id = serial,
        Object::Filter(filter) => filter.id = serial,
        Object::Callout(callout) => {
            // A callout that a client adds has no code behind it.
            callout.flags &= !CALLOUT_REGISTERED;
            callout.id = u32::try_from(serial).map_err(|_| {
                Error::new(Code::RPC_E_OUT_OF_RESOURCES, "the engine has no callout ids left")
            })?;
        }
        _ => {}
    }
    let entry = Arc::new(Entry { serial, object: Arc::new(object), lifetime, security, part_of });
    objects.put(&entry);
    Ok(entry)
}

fn remove(objects: &mut Objects, entry: &Arc<Entry>, means: &Means<'_>) -> Result {
    let kind = entry.object.kind();
    let operation = Operation::on_objects(kind, ObjectCall::Delete)?;
    check_owner(entry, means.session, means.is_dynamic)?;
    (means.may)(operation.rules().rights, kind, entry.security.as_ref())?;
    let named = format!("the {kind} {} ({})", entry.object.key(), entry.object.name());
    if let Some(user) = objects.user_of(entry.place()) {
        let user = format!("the {} {} ({})", user.object.kind(), user.object.key(), user.object.name());
        return Err(Error::new(Code::FWP_E_IN_USE, format!("{named} is used by {user}"))
            .with_remedy("Delete the object that refers to it first."));
    }
    if matches!(kind, ObjectKind::Filter | ObjectKind::ProviderContext)
        && let Some(context) = (means.context_of)(entry.serial)
    {
        return Err(Error::new(Code::FWP_E_IN_USE, format!("{named} is used by SA context {context}"))
            .with_remedy("Delete or expire the SA context first."));
    }
    objects.remove(entry);
    Ok(())
}

/// Checks that a session may change or delete an object, given the lifetimes of both.
///
/// # Errors
/// `FWP_E_BUILTIN_OBJECT` for a built-in object. In a dynamic session also `FWP_E_WRONG_SESSION` for an
/// object of another dynamic session, and `FWP_E_DYNAMIC_SESSION_IN_PROGRESS` for an object of no
/// dynamic session.
pub(crate) fn check_owner(entry: &Entry, session: SessionNumber, is_dynamic: bool) -> Result {
    let (kind, key) = (entry.object.kind(), entry.object.key());
    match entry.lifetime {
        Lifetime::BuiltIn => {
            Err(Error::new(Code::FWP_E_BUILTIN_OBJECT, format!("the {kind} {key} is built in")))
        }
        Lifetime::Dynamic(owner) if is_dynamic && owner != session => Err(Error::new(
            Code::FWP_E_WRONG_SESSION,
            format!("the {kind} {key} belongs to the dynamic session {}", owner.0),
        )),
        Lifetime::Static | Lifetime::Persistent if is_dynamic => Err(Error::new(
            Code::FWP_E_DYNAMIC_SESSION_IN_PROGRESS,
            format!("the {kind} {key} was not added by this dynamic session"),
        )
        .with_remedy("Use a session that is not dynamic.")),
        _ => Ok(()),
    }
}

fn check_text(object: &Object) -> Result {
    if object.name().is_empty() {
        let what = format!("the {} has no display name", object.kind());
        return Err(Error::new(Code::FWP_E_NULL_DISPLAY_NAME, what).with_remedy("Set displayData.name."));
    }
    check_texts(object.name(), object.description(), &format!("the {}", object.kind()))
}

fn check_flags(object: &Object) -> Result {
    let known = match object.kind() {
        // Callers may pass flags that only the engine sets (filter disabled or indexed, callout registered);
        // they are cleared later. Disabled (0x10, providers) and downlevel (2, provider contexts) are kept as
        // the caller set them.
        ObjectKind::Provider => FLAG_PERSISTENT | 0x10,
        ObjectKind::ProviderContext => FLAG_PERSISTENT | 2,
        ObjectKind::SubLayer => FLAG_PERSISTENT,
        ObjectKind::Callout => CALLOUT_PERSISTENT | CALLOUT_USES_PROVIDER_CONTEXT | CALLOUT_REGISTERED,
        _ => 0xFFF,
    };
    let flags = object.flags();
    let fail = |what: String| Err(Error::new(Code::FWP_E_INVALID_FLAGS, what));
    if flags & !known != 0 {
        return fail(format!("unknown flags {:#x} of the {}", flags & !known, object.kind()));
    }
    if let Object::Filter(filter) = object {
        if flags & FLAG_PERSISTENT != 0 && flags & FILTER_BOOTTIME != 0 {
            return fail("a filter cannot be both persistent and boot-time".to_owned());
        }
        let has = matches!(filter.context, FilterContext::ProviderContext(_));
        if has != (flags & FILTER_HAS_PROVIDER_CONTEXT != 0) {
            return fail(
                "the flag FWPM_FILTER_FLAG_HAS_PROVIDER_CONTEXT must be set if the filter has a provider context, and only then"
                    .to_owned(),
            );
        }
    }
    Ok(())
}

/// Checks that the objects that an object refers to exist and live long enough, and that the caller may
/// refer to them.
fn check_references(objects: &Objects, object: &Object, lifetime: Lifetime, means: &Means<'_>) -> Result {
    for (kind, key) in references(object) {
        let used = objects.by_key(kind, key).ok_or_else(|| {
            let what = format!("the {} refers to a {kind} that does not exist: {key}", object.kind());
            Error::new(kind.not_found(), what)
        })?;
        if let (Lifetime::Dynamic(owner), Lifetime::Dynamic(own)) = (used.lifetime, lifetime)
            && owner != own
        {
            let what = format!("the {kind} {key} belongs to the dynamic session {}", owner.0);
            return Err(Error::new(Code::FWP_E_WRONG_SESSION, what));
        }
        if used.lifetime.rank() < lifetime.rank() {
            let what = format!("the {} would outlive the {kind} {key} that it refers to", object.kind());
            return Err(Error::new(Code::FWP_E_LIFETIME_MISMATCH, what)
                .with_remedy("Make both persistent, or neither."));
        }
        (means.may)(Rights::ADD_LINK, kind, used.security.as_ref())?;
    }
    Ok(())
}

/// Sets what the engine decides: a missing sublayer, the weight, and the flags that only the engine
/// sets.
fn complete_filter(objects: &Objects, filter: &mut Filter) -> Result {
    let layer = objects.by_key(ObjectKind::Layer, filter.layer).ok_or_else(|| {
        Error::new(Code::FWP_E_LAYER_NOT_FOUND, format!("layer {} does not exist", filter.layer))
    })?;
    if let Object::Layer(layer) = &*layer.object
        && filter.sublayer == Guid::default()
    {
        filter.sublayer = layer.default_sublayer;
    }
    // Callers cannot set these flags. A filter is disabled if its provider is. No filter shows the indexed
    // flag, although the engine indexes all of them.
    filter.flags &= !(openwfp_api::object::FILTER_DISABLED | openwfp_api::object::FILTER_INDEXED);
    if let Some(provider) = filter.provider
        && let Some(provider) = objects.by_key(ObjectKind::Provider, provider)
        && provider.object.flags() & openwfp_api::object::PROVIDER_DISABLED != 0
    {
        filter.flags |= openwfp_api::object::FILTER_DISABLED;
    }
    filter.effective_weight = weight(filter)?;
    Ok(())
}

/// Returns the weight that orders a filter in its sublayer.
///
/// Source: "Filter Weight Assignment". A 64-bit value is the weight itself. An 8-bit value from 0 to 15
/// gives the four highest bits, and the engine chooses the others. Without a value, the engine chooses
/// a weight below 2^60. The choice is this engine's own: more specific conditions weigh more.
///
/// # Errors
/// `FWP_E_INVALID_WEIGHT` for any other value.
fn weight(filter: &Filter) -> Result<u64> {
    let automatic = || conditions::specificity(&filter.conditions).min((1 << 12) - 1) << 48;
    match &filter.weight {
        Value::Empty(_) => Ok(automatic()),
        Value::Uint8(range @ 0..=15) => Ok(u64::from(*range) << 60 | automatic()),
        Value::Uint64(weight) => Ok(*weight),
        Value::Uint8(range) => {
            let what = format!("the weight range is {range}, but the highest is 15");
            Err(Error::new(Code::FWP_E_INVALID_WEIGHT, what))
        }
        other => {
            let what = format!(
                "a weight must be FWP_EMPTY, FWP_UINT8 or FWP_UINT64, not {}",
                openwfp_api::object::value::data_type_name(other.data_type())
            );
            Err(Error::new(Code::FWP_E_INVALID_WEIGHT, what))
        }
    }
}

fn check_filter(objects: &Objects, filter: &Filter) -> Result {
    let entry = objects.by_key(ObjectKind::Layer, filter.layer);
    let Some(Object::Layer(layer)) = entry.map(|entry| &*entry.object) else {
        return Err(Error::from(Code::FWP_E_LAYER_NOT_FOUND));
    };
    let action = filter.action.kind;
    if !matches!(action, ActionType::Block | ActionType::Permit) && !action.has_callout() {
        let what = format!("unknown action {:#x}: expected permit, block or a callout action", action.wfp());
        return Err(Error::new(Code::FWP_E_INVALID_ACTION_TYPE, what));
    }
    if action.has_callout() && layer.flags & LAYER_KERNEL == 0 {
        let what = format!("the layer {} does not support callouts", layer.description);
        return Err(Error::new(Code::FWP_E_ACTION_INCOMPATIBLE_WITH_LAYER, what));
    }
    if filter.sublayer == sublayer::INSPECTION && action != ActionType::CalloutInspection {
        let what = "the inspection sublayer takes only filters with the action FWP_ACTION_CALLOUT_INSPECTION";
        return Err(Error::new(Code::FWP_E_ACTION_INCOMPATIBLE_WITH_SUBLAYER, what));
    }
    if action.has_callout() {
        let callout = objects.by_key(ObjectKind::Callout, filter.action.callout);
        if let Some(Object::Callout(callout)) = callout.map(|entry| &*entry.object) {
            if callout.layer != filter.layer {
                let at = openwfp_api::guids::name(callout.layer).unwrap_or("another layer");
                let what = format!(
                    "the callout {} is for {at}, but the filter is at {}",
                    callout.name, layer.description
                );
                return Err(Error::new(Code::FWP_E_INCOMPATIBLE_LAYER, what));
            }
            let has = matches!(filter.context, FilterContext::ProviderContext(_));
            if has && callout.flags & CALLOUT_USES_PROVIDER_CONTEXT == 0 {
                let what = format!("the callout {} does not take a provider context", callout.name);
                return Err(Error::new(Code::FWP_E_PROVIDER_CONTEXT_MISMATCH, what));
            }
        }
    }
    conditions::check(&filter.conditions, layer)
}
