//! Writes objects, and subscriptions to their changes.

use super::blob;
use super::display;
use super::filter;
use super::guid;
use super::optional_guid;
use super::page;
use super::policy;
use super::policy::Manner;
use crate::abi::*;
use crate::arena::Layout;
use crate::arena::Sink;
use crate::wide;
use openwfp_api::EventKind;
use openwfp_api::KeyAccess;
use openwfp_api::SubscriptionInfo;
use openwfp_api::Topic;
use openwfp_api::object::template::ObjectTemplate;
use openwfp_api::object::value::Value;
use openwfp_api::object::*;
use std::marker::PhantomData;
use std::sync::Arc;

/// A C structure of an object.
pub(crate) trait Shape: Copy {
    /// Writes one object. An object of another kind, which no call requests, becomes all zeros.
    fn write(sink: &mut impl Sink, object: &Object, keys: Option<&KeyAccess>) -> Self;
}

impl Shape for FWPM_PROVIDER0 {
    fn write(sink: &mut impl Sink, object: &Object, _: Option<&KeyAccess>) -> Self {
        let Object::Provider(provider) = object else { return Self::default() };
        FWPM_PROVIDER0 {
            providerKey: guid(provider.key),
            displayData: display(sink, &provider.name, &provider.description),
            flags: provider.flags,
            providerData: blob(sink, &provider.data.0),
            serviceName: match provider.service_name.is_empty() {
                true => std::ptr::null_mut(),
                false => wide::put(sink, &provider.service_name),
            },
        }
    }
}

impl Shape for FWPM_SUBLAYER0 {
    fn write(sink: &mut impl Sink, object: &Object, _: Option<&KeyAccess>) -> Self {
        let Object::SubLayer(sublayer) = object else { return Self::default() };
        FWPM_SUBLAYER0 {
            subLayerKey: guid(sublayer.key),
            displayData: display(sink, &sublayer.name, &sublayer.description),
            flags: sublayer.flags,
            providerKey: optional_guid(sink, sublayer.provider),
            providerData: blob(sink, &sublayer.data.0),
            weight: sublayer.weight,
        }
    }
}

impl Shape for FWPM_LAYER0 {
    fn write(sink: &mut impl Sink, object: &Object, _: Option<&KeyAccess>) -> Self {
        let Object::Layer(layer) = object else { return Self::default() };
        let fields = sink.reserve::<FWPM_FIELD0>(layer.fields.len());
        for (index, field) in layer.fields.iter().enumerate() {
            let c = FWPM_FIELD0 {
                fieldKey: sink.put(guid(field.key)),
                r#type: field.kind.cast_signed(),
                dataType: field.data_type.cast_signed(),
            };
            sink.set(&fields, index, c);
        }
        FWPM_LAYER0 {
            layerKey: guid(layer.key),
            displayData: display(sink, &layer.name, &layer.description),
            flags: layer.flags,
            numFields: u32::try_from(layer.fields.len()).unwrap_or(0),
            field: fields.start(),
            defaultSubLayerKey: guid(layer.default_sublayer),
            layerId: layer.id,
        }
    }
}

impl Shape for FWPM_CALLOUT0 {
    fn write(sink: &mut impl Sink, object: &Object, _: Option<&KeyAccess>) -> Self {
        let Object::Callout(callout) = object else { return Self::default() };
        FWPM_CALLOUT0 {
            calloutKey: guid(callout.key),
            displayData: display(sink, &callout.name, &callout.description),
            flags: callout.flags,
            providerKey: optional_guid(sink, callout.provider),
            providerData: blob(sink, &callout.data.0),
            applicableLayer: guid(callout.layer),
            calloutId: callout.id,
        }
    }
}

impl Shape for FWPM_FILTER0 {
    fn write(sink: &mut impl Sink, object: &Object, _: Option<&KeyAccess>) -> Self {
        let Object::Filter(filter) = object else { return Self::default() };
        filter::filter(sink, filter)
    }
}

macro_rules! provider_contexts {
    ($($shape:ident = $version:literal;)*) => {$(
        impl Shape for $shape {
            fn write(sink: &mut impl Sink, object: &Object, keys: Option<&KeyAccess>) -> Self {
                let Object::ProviderContext(context) = object else { return Self::default() };
                let mut c = $shape {
                    providerContextKey: guid(context.key),
                    displayData: display(sink, &context.name, &context.description),
                    flags: context.flags,
                    providerKey: optional_guid(sink, context.provider),
                    providerData: blob(sink, &context.data.0),
                    r#type: context.policy.context_type().cast_signed(),
                    providerContextId: context.id,
                    ..Default::default()
                };
                let manner = Manner { version: $version, keys };
                c.Anonymous.dataBuffer = policy::policy(sink, &context.policy, manner);
                c
            }
        }
    )*};
}

provider_contexts! {
    FWPM_PROVIDER_CONTEXT0 = 0;
    FWPM_PROVIDER_CONTEXT1 = 1;
    FWPM_PROVIDER_CONTEXT2 = 2;
    FWPM_PROVIDER_CONTEXT3 = 3;
}

/// A page of objects.
pub(crate) struct Objects<'a, C> {
    objects: &'a [Arc<Object>],
    keys: Option<&'a KeyAccess>,
    shape: PhantomData<C>,
}

impl<'a, C> Objects<'a, C> {
    pub(crate) fn new(objects: &'a [Arc<Object>], keys: Option<&'a KeyAccess>) -> Objects<'a, C> {
        Objects { objects, keys, shape: PhantomData }
    }
}

impl<C: Shape> Layout for Objects<'_, C> {
    fn write(&self, sink: &mut impl Sink) {
        page(sink, self.objects, |sink, object| C::write(sink, object, self.keys));
    }
}

/// One object, at the start of its block.
pub(crate) struct OneObject<'a, C> {
    pub(crate) object: &'a Object,
    pub(crate) keys: Option<&'a KeyAccess>,
    pub(crate) shape: PhantomData<C>,
}

impl<C: Shape> Layout for OneObject<'_, C> {
    fn write(&self, sink: &mut impl Sink) {
        let place = sink.reserve::<C>(1);
        let c = C::write(sink, self.object, self.keys);
        sink.set(&place, 0, c);
    }
}

/// One value, at the start of its block.
pub(crate) struct OneValue<'a>(pub(crate) &'a Value);

impl Layout for OneValue<'_> {
    fn write(&self, sink: &mut impl Sink) {
        let place = sink.reserve::<FWP_VALUE0>(1);
        let c = filter::value(sink, self.0);
        sink.set(&place, 0, c);
    }
}

/// One blob, at the start of its block.
pub(crate) struct OneBlob<'a>(pub(crate) &'a [u8]);

impl Layout for OneBlob<'_> {
    fn write(&self, sink: &mut impl Sink) {
        let place = sink.reserve::<FWP_BYTE_BLOB>(1);
        let c = blob(sink, self.0);
        sink.set(&place, 0, c);
    }
}

/// A C structure of a subscription to changes of objects.
pub(crate) trait SubscriptionShape: Copy {
    /// Writes one subscription.
    fn write(sink: &mut impl Sink, template: &ObjectTemplate, flags: u32, session: GUID) -> Self;
}

macro_rules! subscriptions {
    ($($shape:ident, $template:ident: |$sink:ident, $wanted:ident| $fields:expr;)*) => {$(
        impl SubscriptionShape for $shape {
            #[allow(unused_variables, reason = "of templates without fields")]
            fn write(
                $sink: &mut impl Sink,
                $wanted: &ObjectTemplate,
                flags: u32,
                session: GUID,
            ) -> Self {
                let template: $template = $fields;
                $shape { enumTemplate: $sink.put(template), flags, sessionKey: session }
            }
        }
    )*};
}

subscriptions! {
    FWPM_PROVIDER_SUBSCRIPTION0, FWPM_PROVIDER_ENUM_TEMPLATE0: |sink, wanted| FWPM_PROVIDER_ENUM_TEMPLATE0::default();
    FWPM_SUBLAYER_SUBSCRIPTION0, FWPM_SUBLAYER_ENUM_TEMPLATE0: |sink, wanted| {
        FWPM_SUBLAYER_ENUM_TEMPLATE0 { providerKey: optional_guid(sink, wanted.provider) }
    };
    FWPM_PROVIDER_CONTEXT_SUBSCRIPTION0, FWPM_PROVIDER_CONTEXT_ENUM_TEMPLATE0: |sink, wanted| context_template(sink, wanted);
    FWPM_CALLOUT_SUBSCRIPTION0, FWPM_CALLOUT_ENUM_TEMPLATE0: |sink, wanted| FWPM_CALLOUT_ENUM_TEMPLATE0 {
        providerKey: optional_guid(sink, wanted.provider),
        layerKey: guid(wanted.layer.unwrap_or_default()),
    };
    FWPM_FILTER_SUBSCRIPTION0, FWPM_FILTER_ENUM_TEMPLATE0: |sink, wanted| {
        let (conditions, len) = filter::conditions(sink, &wanted.conditions);
        let context = match &wanted.context {
            Some(template) => {
                let template = context_template(sink, template);
                sink.put(template)
            }
            None => std::ptr::null_mut(),
        };
        FWPM_FILTER_ENUM_TEMPLATE0 {
            providerKey: optional_guid(sink, wanted.provider),
            layerKey: guid(wanted.layer.unwrap_or_default()),
            enumType: wanted.enum_type.cast_signed(),
            flags: wanted.flags,
            providerContextTemplate: context,
            numFilterConditions: len,
            filterCondition: conditions,
            actionMask: wanted.action_mask.unwrap_or(u32::MAX),
            calloutKey: optional_guid(sink, wanted.callout),
        }
    };
}

fn context_template(sink: &mut impl Sink, wanted: &ObjectTemplate) -> FWPM_PROVIDER_CONTEXT_ENUM_TEMPLATE0 {
    FWPM_PROVIDER_CONTEXT_ENUM_TEMPLATE0 {
        providerKey: optional_guid(sink, wanted.provider),
        providerContextType: wanted.context_type.unwrap_or(0).cast_signed(),
    }
}

/// All subscriptions to changes of a kind.
pub(crate) struct ObjectSubscriptions<'a, C>(pub(crate) &'a [SubscriptionInfo], pub(crate) PhantomData<C>);

impl<C: SubscriptionShape> Layout for ObjectSubscriptions<'_, C> {
    fn write(&self, sink: &mut impl Sink) {
        page(sink, self.0, |sink, subscription| {
            let none = ObjectTemplate::default();
            let template = match &subscription.options.topic {
                Topic::Objects(template) => template,
                _ => &none,
            };
            C::write(sink, template, flags(subscription), guid(subscription.session_key))
        });
    }
}

/// Returns the flags of a subscription: 1 for additions, 2 for deletions, 0 for both.
pub(super) fn flags(subscription: &SubscriptionInfo) -> u32 {
    let kinds = subscription.options.kinds;
    match (kinds.contain(EventKind::Add), kinds.contain(EventKind::Delete)) {
        (true, false) => 1,
        (false, true) => 2,
        _ => 0,
    }
}

/// All subscriptions to net events.
pub(crate) struct NetEventSubscriptions<'a>(pub(crate) &'a [SubscriptionInfo]);

impl Layout for NetEventSubscriptions<'_> {
    fn write(&self, sink: &mut impl Sink) {
        page(sink, self.0, |sink, subscription| {
            let mut template = FWPM_NET_EVENT_ENUM_TEMPLATE0::default();
            if let Topic::NetEvents(wanted) = &subscription.options.topic {
                template.startTime = super::net_event::filetime(wanted.start);
                template.endTime = super::net_event::filetime(wanted.end);
                (template.filterCondition, template.numFilterConditions) =
                    filter::conditions(sink, &wanted.conditions);
            }
            FWPM_NET_EVENT_SUBSCRIPTION0 {
                enumTemplate: sink.put(template),
                flags: 0,
                sessionKey: guid(subscription.session_key),
            }
        });
    }
}
