//! `/senders`: the registered senders and their monitored prefixes.

mod coverings;

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, State};
use flow::sender_settings::NAMES;
use flow::{
    CertificateName, CertificateNameError, Prefix, PrefixError, SenderName, SenderNameError, SenderSettings, Setting,
    Tag, TagError,
};
use serde::Serialize;
use storage::registrations::{OPERATOR, RegisteredBy};
use storage::{Sender, Store, StoreError};
use view::RouterNames;

use super::index;
use super::{SenderAddress, unknown_sender};
use crate::Api;
use crate::auth::KeySenders;
use crate::error::Error;
use crate::json::{Json as Document, JsonPath, Quoted, members, unknown_key};
use crate::naming::{Naming, OfNaming};
use crate::parameters::Parameters;
use crate::parameters::documentation::OfSender;
use crate::parameters::monitorable;

/// A registered sender.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct SenderView {
    #[schema(value_type = String)]
    ip: IpAddr,
    #[serde(flatten)]
    names: RouterNames,
    /// When its last datagram was received, RFC 3339; null before the first.
    last: Option<String>,
    prefixes: Vec<PrefixView>,
    #[serde(flatten)]
    settings: SettingsView,
    /// Words by which questions select it; absent without any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    /// The name that its certificate must have for an export connection with TLS; absent if any certificate of the authorities
    /// (`netflow.tls.ca`) is accepted.
    #[serde(rename = "certificateName", skip_serializing_if = "Option::is_none")]
    certificate_name: Option<String>,
    /// Whether it has registered itself, as its address is in `senders.accept`; absent if not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    accepted: bool,
    /// Where the configuration states it; absent if requests can change it.
    #[serde(skip_serializing_if = "Option::is_none")]
    configuration: Option<String>,
    /// In answers to PUT: which prefixes of the request make traffic local, as they cover others or are covered, and which have
    /// both ends of every flow; absent without any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

/// The settings of a sender that are not at their defaults.
#[derive(Default, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct SettingsView {
    /// Multiplies bytes and packets, whatever the exporter announces.
    #[serde(skip_serializing_if = "Option::is_none")]
    sampling_rate: Option<u32>,
    /// `ingress` or `egress`: only flows observed there count, and those that do not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    flow_direction: Option<String>,
    /// `reverse`: the elements 23 and 24 count the other direction.
    #[serde(skip_serializing_if = "Option::is_none")]
    out_counters: Option<String>,
    /// `inside`: a translated flow counts by its destination after translation.
    #[serde(skip_serializing_if = "Option::is_none")]
    nat_addresses: Option<String>,
    /// `inner`: a packet in a tunnel counts by the innermost headers, with the length of the packet inside.
    #[serde(skip_serializing_if = "Option::is_none")]
    tunnels: Option<String>,
    /// `agent`: this is a relay, and its flows are those of the exporters that its datagrams and records name.
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<String>,
}

impl From<SenderSettings> for SettingsView {
    fn from(settings: SenderSettings) -> Self {
        let mut view = Self::default();
        for setting in settings.changed() {
            match setting {
                Setting::SamplingRate(rate) => view.sampling_rate = rate.map(NonZeroU32::get),
                Setting::FlowDirection(_) => view.flow_direction = Some(setting.value()),
                Setting::OutCounters(_) => view.out_counters = Some(setting.value()),
                Setting::NatAddresses(_) => view.nat_addresses = Some(setting.value()),
                Setting::Tunnels(_) => view.tunnels = Some(setting.value()),
                Setting::Identity(_) => view.identity = Some(setting.value()),
            }
        }
        view
    }
}

#[derive(Serialize, utoipa::ToSchema)]
struct PrefixView {
    #[schema(value_type = String)]
    prefix: IpAddr,
    #[serde(rename = "prefixLen")]
    prefix_len: u8,
    /// What the network around it is called; with `names=1` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    network: Option<String>,
}

impl SenderView {
    pub(crate) fn new(sender: Sender, api: &Api, naming: &Naming) -> Self {
        let view = |prefix: &Prefix| PrefixView {
            prefix: prefix.address(),
            prefix_len: prefix.length(),
            network: naming.of_prefix(*prefix),
        };
        // Without a collector, only the store knows names.
        let names = api.view().map(|view| view.names_of(sender.address)).unwrap_or_default();
        Self {
            ip: sender.address,
            names: names.configured(sender.name.as_ref().map(ToString::to_string)),
            last: sender.last.map(|last| last.to_string()),
            prefixes: sender.prefixes.iter().map(view).collect(),
            settings: sender.settings.into(),
            tags: sender.tags.iter().map(ToString::to_string).collect(),
            certificate_name: sender.certificate_name.as_ref().map(ToString::to_string),
            accepted: sender.by == RegisteredBy::Acceptance,
            configuration: api.stated.place_of_sender(sender.address).map(str::to_owned),
            warnings: Vec::new(),
        }
    }
}

/// Lists the registered senders that the key is valid for.
#[utoipa::path(
    get,
    path = "/senders",
    operation_id = "senders",
    params(OfNaming),
    responses((status = 200, description = "The senders, by address", body = [SenderView]))
)]
pub(crate) async fn list(
    State(api): State<Api>,
    limits: Option<Extension<KeySenders>>,
    parameters: Parameters,
) -> Result<Json<Vec<SenderView>>, Error> {
    let naming = Naming::read(&parameters)?;
    let senders = api.in_force().await?.senders.into_iter();
    let shown = senders.filter(|sender| limits.as_ref().is_none_or(|limits| limits.include(sender.address)));
    Ok(Json(shown.map(|sender| SenderView::new(sender, &api, &naming)).collect()))
}

/// Shows a sender.
#[utoipa::path(
    get,
    path = "/senders/{sender}",
    operation_id = "sender",
    params(OfSender, OfNaming),
    responses((status = 200, description = "The sender", body = SenderView))
)]
pub(crate) async fn show(
    State(api): State<Api>,
    sender: SenderAddress,
    parameters: Parameters,
) -> Result<Json<SenderView>, Error> {
    stored(&api, sender.0, &Naming::read(&parameters)?).await
}

/// Registers a sender, adds prefixes to it, or changes its settings or tags.
#[utoipa::path(
    put,
    path = "/senders/{sender}",
    operation_id = "add_prefixes",
    params(OfSender),
    request_body(content = Object, description = "Prefixes, such as {\"prefixes\":[{\"prefix\":\"172.16.1.0\",\"prefixLen\":24}]}, settings beside them, such as \"samplingRate\":1000, or both. A setting that is null has its default again. \"tags\":[\"edge\",\"site-a\"] replaces its tags, \"name\":\"edge-1\" its name, \"certificateName\":\"edge-1.example.net\" the name that its certificate must have.", content_type = "application/json"),
    responses((status = 200, description = "The sender after the change", body = SenderView))
)]
pub(crate) async fn add(
    State(api): State<Api>,
    SenderAddress(address): SenderAddress,
    body: Bytes,
) -> Result<Json<SenderView>, Error> {
    if address.is_unspecified() {
        return Err(Error::BadRequest(format!(
            "{address} is no source address of datagrams: register each router by the address that it sends from, which \
             GET /unknown lists"
        )));
    }
    changeable(&api, address)?;
    let Change { prefixes, settings, tags, name, certificate_name } = read_change(&body)?;
    let added = prefixes.clone();
    change(&api, move |store| async move {
        store.add_prefixes(address, &prefixes).await?;
        if !settings.is_empty() {
            store.set(address, &settings).await?;
        }
        if let Some(tags) = tags {
            store.put_tags(address, &tags).await?;
        }
        if let Some(name) = name {
            store.put_name(address, name).await?;
        }
        if let Some(name) = certificate_name {
            store.put_certificate_name(address, name).await?;
        }
        registered_by_request(store.as_ref(), address).await
    })
    .await?;
    let Json(mut sender) = stored(&api, address, &Naming::NONE).await?;
    sender.warnings = coverings::warnings(&api, address, &added).await?;
    Ok(Json(sender))
}

/// The result of a removal.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub(crate) enum Remaining {
    /// The sender with its remaining prefixes.
    Sender(Box<SenderView>),
    /// The sender was removed.
    Nothing(index::Index),
}

/// Removes prefixes of a sender or, without a body, the sender.
#[utoipa::path(
    delete,
    path = "/senders/{sender}",
    operation_id = "remove_prefixes",
    params(OfSender),
    request_body(content = Option<Object>, description = "Prefixes, such as {\"prefixes\":[{\"prefix\":\"172.16.1.0\",\"prefixLen\":24}]}", content_type = "application/json"),
    responses((status = 200, description = "The sender after the change, or OK when it was removed", body = Remaining))
)]
pub(crate) async fn remove(
    State(api): State<Api>,
    SenderAddress(address): SenderAddress,
    body: Bytes,
) -> Result<Json<Remaining>, Error> {
    changeable(&api, address)?;
    if address.is_unspecified() {
        return Err(unknown_sender(address));
    }
    if body.is_empty() {
        let is_in_ranges = api.stated.accepts(address);
        let known =
            change(&api, move |store| async move { remove_for_good(store.as_ref(), address, is_in_ranges).await })
                .await?;
        let Json(done) = index::ok();
        return if known { Ok(Json(Remaining::Nothing(done))) } else { Err(unknown_sender(address)) };
    }
    let prefixes = read_prefixes(&body)?;
    of_its_own(&api, address, &prefixes).await?;
    let known = change(&api, move |store| async move { store.remove_prefixes(address, &prefixes).await }).await?;
    if !known {
        return Err(unknown_sender(address));
    }
    let Json(sender) = stored(&api, address, &Naming::NONE).await?;
    Ok(Json(Remaining::Sender(Box::new(sender))))
}

/// Notes that a request has registered a sender, which a collector has stated or refused before.
async fn registered_by_request(store: &dyn Store, address: IpAddr) -> Result<(), StoreError> {
    if store.sender(address).await?.is_some_and(|listed| listed.by == RegisteredBy::Configuration) {
        store.register(address, RegisteredBy::Request).await?;
    }
    match store.sender(OPERATOR).await?.is_some_and(|operator| operator.refused.contains(&address)) {
        true => store.refuse(address, false).await,
        false => Ok(()),
    }
}

/// Removes a sender, which must not register itself again.
async fn remove_for_good(store: &dyn Store, address: IpAddr, is_in_ranges: bool) -> Result<bool, StoreError> {
    let Some(listed) = store.sender(address).await? else { return Ok(false) };
    if is_in_ranges || listed.by == RegisteredBy::Acceptance {
        store.refuse(address, true).await?;
    }
    store.remove_sender(address).await
}

async fn stored(api: &Api, address: IpAddr, naming: &Naming) -> Result<Json<SenderView>, Error> {
    let sender = api.sender(address).await?.ok_or_else(|| unknown_sender(address))?;
    Ok(Json(SenderView::new(sender, api, naming)))
}

/// Refuses to change a sender that the configuration states.
fn changeable(api: &Api, address: IpAddr) -> Result<(), Error> {
    match api.stated.place_of_sender(address) {
        Some(place) => Err(Error::BadRequest(format!(
            "{address} is stated in the configuration ({place}): change it there, and reload the collector (systemctl reload \
             netflow, or SIGHUP)"
        ))),
        None => Ok(()),
    }
}

/// Refuses to remove prefixes that a sender counts only because they are networks.
async fn of_its_own(api: &Api, address: IpAddr, prefixes: &[Prefix]) -> Result<(), Error> {
    let Some(sender) = api.sender(address).await? else { return Err(unknown_sender(address)) };
    let registered = api.store.sender(address).await?.map(|sender| sender.prefixes).unwrap_or_default();
    match prefixes.iter().find(|prefix| sender.prefixes.contains(prefix) && !registered.contains(prefix)) {
        Some(prefix) => Err(Error::BadRequest(format!(
            "{address} counts {prefix} because it is one of the networks: change the senders of the network, see \
             GET /networks/{prefix}"
        ))),
        None => Ok(()),
    }
}

/// Changes the senders and notifies the collector. In a task of its own: a client that hangs up must not leave a change
/// that the collector does not learn of.
pub(super) async fn change<T, F>(api: &Api, change: impl FnOnce(Arc<dyn Store>) -> F) -> Result<T, Error>
where
    T: Send + 'static,
    F: Future<Output = Result<T, StoreError>> + Send + 'static,
{
    let changing = change(Arc::clone(&api.store));
    let changed = Arc::clone(&api.senders_changed);
    let task = tokio::spawn(async move {
        let outcome = changing.await;
        // A change that must be retried may have been made.
        if matches!(outcome, Ok(_) | Err(StoreError::Retry(_))) {
            changed.notify_one();
        }
        outcome
    });
    match task.await {
        Ok(outcome) => Ok(outcome?),
        Err(error) => {
            tracing::error!(%error, "a change of the senders was aborted");
            Err(Error::Internal)
        }
    }
}

const EXAMPLE: &str = r#"{"prefixes":[{"prefix":"172.16.1.0","prefixLen":24}]}"#;

/// What a body may have beside prefixes and settings.
const OTHERS: [&str; 3] = ["tags", "name", "certificateName"];

/// What a body changes.
struct Change {
    prefixes: Vec<Prefix>,
    settings: Vec<Setting>,
    tags: Option<Vec<Tag>>,
    /// `Some(None)` removes it.
    name: Option<Option<SenderName>>,
    /// The same.
    certificate_name: Option<Option<CertificateName>>,
}

/// Everything that a body changes, or the first error in it.
fn read_change(body: &[u8]) -> Result<Change, Error> {
    let document = Document::read(body, EXAMPLE)?;
    let object = document.object(JsonPath::Root, &format!("an object such as {EXAMPLE}"))?;
    let is_setting = |(key, _): &(String, Document)| NAMES.contains(&key.as_str());
    let settings = object.iter().filter(|member| is_setting(member)).map(|(key, value)| read_setting(key, value));
    let settings = settings.collect::<Result<Vec<_>, _>>()?;
    let is_other = |(key, _): &(String, Document)| key == "prefixes" || OTHERS.contains(&key.as_str());
    if let Some((key, _)) = object.iter().find(|member| !is_setting(member) && !is_other(member)) {
        let keys: Vec<&str> = ["prefixes"].into_iter().chain(NAMES).chain(OTHERS).collect();
        return Err(unknown_key(JsonPath::Root, key, &keys));
    }
    let member = |name| object.iter().find(|(key, _)| key == name).map(|(_, value)| value);
    let tags = member("tags").map(read_tags).transpose()?;
    let name = member("name").map(read_name).transpose()?;
    let certificate_name = member("certificateName").map(read_certificate_name).transpose()?;
    let prefixes = match member("prefixes") {
        None if object.is_empty() => Err(JsonPath::Key(&JsonPath::Root, "prefixes").problem("is missing"))?,
        None => Vec::new(),
        Some(prefixes) => prefixes_of(prefixes)?,
    };
    Ok(Change { prefixes, settings, tags, name, certificate_name })
}

/// Tags; null is none.
fn read_tags(tags: &Document) -> Result<Vec<Tag>, Error> {
    let place = JsonPath::Key(&JsonPath::Root, "tags");
    let tags = if *tags == Document::Null { &[] } else { tags.list(place, r#"a list such as ["edge","site-a"]"#)? };
    let read = |(index, tag): (usize, &Document)| {
        let place = JsonPath::Index(&place, index);
        tag.text(place, r#"a tag such as "edge""#)?.parse().map_err(|error: TagError| place.problem(error))
    };
    tags.iter().enumerate().map(read).collect()
}

/// A name; null is none.
fn read_name(name: &Document) -> Result<Option<SenderName>, Error> {
    let place = JsonPath::Key(&JsonPath::Root, "name");
    if *name == Document::Null {
        return Ok(None);
    }
    let text = name.text(place, r#"null or a name such as "edge-1""#)?;
    text.parse().map(Some).map_err(|error: SenderNameError| place.problem(error))
}

/// The name of a certificate; null is none.
fn read_certificate_name(name: &Document) -> Result<Option<CertificateName>, Error> {
    let place = JsonPath::Key(&JsonPath::Root, "certificateName");
    if *name == Document::Null {
        return Ok(None);
    }
    let text = name.text(place, r#"null or a name such as "edge-1.example.net""#)?;
    text.parse().map(Some).map_err(|error: CertificateNameError| place.problem(error))
}

/// A setting; null is its default.
fn read_setting(name: &str, value: &Document) -> Result<Setting, Error> {
    let place = JsonPath::Key(&JsonPath::Root, name);
    let value = match value {
        Document::Null => {
            let all = SenderSettings::default().all();
            return all.into_iter().find(|default| default.name() == name).ok_or_else(|| place.problem("is unknown"));
        }
        Document::Number(number) => number.to_string(),
        value => value.text(place, "null, a number or a text")?.to_owned(),
    };
    Setting::new(name, &value).map_err(|error| place.problem(error))
}

/// All prefixes of a body, or the first error in it.
fn read_prefixes(body: &[u8]) -> Result<Vec<Prefix>, Error> {
    let document = Document::read(body, EXAMPLE)?;
    let object = document.object(JsonPath::Root, &format!("an object such as {EXAMPLE}"))?;
    let [prefixes] = members(object, JsonPath::Root, ["prefixes"])?;
    prefixes_of(prefixes)
}

fn prefixes_of(prefixes: &Document) -> Result<Vec<Prefix>, Error> {
    let place = JsonPath::Key(&JsonPath::Root, "prefixes");
    let prefixes = prefixes.list(place, r#"a list such as [{"prefix":"172.16.1.0","prefixLen":24}]"#)?;
    prefixes.iter().enumerate().map(|(index, prefix)| read_prefix(prefix, JsonPath::Index(&place, index))).collect()
}

fn read_prefix(document: &Document, place: JsonPath<'_>) -> Result<Prefix, Error> {
    let object = document.object(place, r#"an object such as {"prefix":"172.16.1.0","prefixLen":24}"#)?;
    let [address, length] = members(object, place, ["prefix", "prefixLen"])?;
    let (address_place, length_place) = (JsonPath::Key(&place, "prefix"), JsonPath::Key(&place, "prefixLen"));
    let text = address.text(address_place, r#"an address such as "172.16.1.0" or "2001:db8::""#)?;
    let address: IpAddr = text.parse().map_err(|_| {
        let hint = if text.contains('/') { ", with the length in prefixLen" } else { "" };
        address_place.problem(format_args!(
            r#"{} is not an address: use one such as "172.16.1.0" or "2001:db8::"{hint}"#,
            Quoted(text)
        ))
    })?;
    let limit = if flow::canonical(address).is_ipv4() { 32 } else { 128 };
    let length = length.whole_number(length_place, &format!("a whole number from 0 to {limit}"))?;
    let prefix = Prefix::new(address, length).map_err(|error| match error {
        PrefixError::Length { .. } => length_place.problem(error),
        PrefixError::Form(_) | PrefixError::HostBits { .. } => address_place.problem(error),
    })?;
    monitorable(prefix, address_place)
}
