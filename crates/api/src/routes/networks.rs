//! `/networks`: the networks of the operator, with their names.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use flow::network::NETWORK_KEYS;
use flow::{Network, Networks, Prefix, PrefixError};
use serde::Serialize;

use super::index;
use super::senders::change;
use crate::Api;
use crate::error::Error;
use crate::json::{Json as Document, JsonPath, Quoted, unknown_key};
use crate::parameters::{Parameters, monitorable};

/// The most networks that requests can add.
const MOST: usize = 20_000;

/// A network of the operator.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct NetworkView {
    prefix: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer: Option<String>,
    /// Further words that select it in filters; absent without any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    /// The AS of its addresses.
    #[serde(rename = "as", skip_serializing_if = "Option::is_none")]
    asn: Option<u32>,
    /// The senders that count it: all, tag:edge, or addresses.
    senders: Vec<String>,
    /// Where the configuration states it; absent if requests can change it.
    #[serde(skip_serializing_if = "Option::is_none")]
    configuration: Option<String>,
}

impl NetworkView {
    fn new(network: &Network, api: &Api) -> Self {
        let word = |word: &Option<flow::Tag>| word.as_ref().map(ToString::to_string);
        Self {
            prefix: network.prefix.to_string(),
            name: word(&network.name),
            customer: word(&network.customer),
            tags: network.tags.iter().map(ToString::to_string).collect(),
            asn: network.asn,
            senders: network.senders.words().iter().map(ToString::to_string).collect(),
            configuration: api.stated.place_of_network(network.prefix).map(str::to_owned),
        }
    }
}

/// The prefix that a path names.
pub(crate) struct NetworkPrefix(Prefix);

impl FromRequestParts<Api> for NetworkPrefix {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Error> {
        let Path((address, length)) = Path::<(String, String)>::from_request_parts(parts, api)
            .await
            .map_err(|_| Error::BadRequest("the path is not UTF-8 text".into()))?;
        let text = format!("{address}/{length}");
        match text.parse() {
            Ok(prefix) => Ok(Self(prefix)),
            Err(PrefixError::Form(_)) => Err(Error::BadRequest(format!(
                "{} in the path is not a prefix: use one such as /networks/172.16.1.0/24",
                Quoted(&text)
            ))),
            Err(error) => Err(Error::BadRequest(error.to_string())),
        }
    }
}

/// The parameters of a network.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "what is derived of it is all that is used")]
struct OfNetwork {
    /// The first address of the prefix
    #[param(example = "192.0.2.0")]
    address: String,
    /// The length of the prefix
    #[param(minimum = 1, maximum = 128, example = 24)]
    length: u8,
}

/// Lists the networks.
#[utoipa::path(
    get,
    path = "/networks",
    operation_id = "networks",
    responses((status = 200, description = "The networks, by prefix", body = [NetworkView]))
)]
pub(crate) async fn list(State(api): State<Api>, parameters: Parameters) -> Result<Json<Vec<NetworkView>>, Error> {
    parameters.only(&[])?;
    let networks = networks(&api).await?;
    Ok(Json(networks.all().iter().map(|network| NetworkView::new(network, &api)).collect()))
}

/// Shows a network.
#[utoipa::path(
    get,
    path = "/networks/{address}/{length}",
    operation_id = "network",
    params(OfNetwork),
    responses((status = 200, description = "The network", body = NetworkView))
)]
pub(crate) async fn show(
    State(api): State<Api>,
    NetworkPrefix(prefix): NetworkPrefix,
    parameters: Parameters,
) -> Result<Json<NetworkView>, Error> {
    parameters.only(&[])?;
    let networks = networks(&api).await?;
    let network = networks.get(prefix).ok_or_else(|| unknown(prefix))?;
    Ok(Json(NetworkView::new(network, &api)))
}

/// Adds a network, or replaces what is known of it.
#[utoipa::path(
    put,
    path = "/networks/{address}/{length}",
    operation_id = "put_network",
    params(OfNetwork),
    request_body(content = Object, description = "All about the network, such as {\"name\":\"office\",\"customer\":\"customer-a\",\"tags\":[\"site-a\"],\"as\":64500,\"senders\":[\"all\"]}. All members are optional; without senders, all senders count it, and with an empty list none.", content_type = "application/json"),
    responses((status = 200, description = "The network after the change", body = NetworkView))
)]
pub(crate) async fn put(
    State(api): State<Api>,
    NetworkPrefix(prefix): NetworkPrefix,
    body: Bytes,
) -> Result<Json<NetworkView>, Error> {
    changeable(&api, prefix)?;
    let network = read(monitorable(prefix, JsonPath::Root)?, &body)?;
    let known = networks(&api).await?;
    if known.get(prefix).is_none() && known.all().len() >= MOST {
        return Err(Error::TooMuch(format!("there are {MOST} networks already, which is the limit: remove some")));
    }
    let view = NetworkView::new(&network, &api);
    change(&api, move |store| async move { store.put_network(prefix, Some(&network)).await }).await?;
    Ok(Json(view))
}

/// Removes a network.
#[utoipa::path(
    delete,
    path = "/networks/{address}/{length}",
    operation_id = "remove_network",
    params(OfNetwork),
    responses((status = 200, description = "OK", body = index::Index))
)]
pub(crate) async fn remove(
    State(api): State<Api>,
    NetworkPrefix(prefix): NetworkPrefix,
) -> Result<Json<index::Index>, Error> {
    changeable(&api, prefix)?;
    if networks(&api).await?.get(prefix).is_none() {
        return Err(unknown(prefix));
    }
    change(&api, move |store| async move { store.put_network(prefix, None).await }).await?;
    Ok(index::ok())
}

async fn networks(api: &Api) -> Result<Networks, Error> {
    Ok(api.stated.with(api.store.sender(storage::registrations::OPERATOR).await?.into_iter().collect()).networks)
}

fn unknown(prefix: Prefix) -> Error {
    Error::NotFound(format!("{prefix} is none of the networks: PUT /networks/{prefix} adds it"))
}

/// Refuses to change a network that the configuration states.
fn changeable(api: &Api, prefix: Prefix) -> Result<(), Error> {
    match api.stated.place_of_network(prefix) {
        Some(place) => Err(Error::BadRequest(format!(
            "{prefix} is stated in the configuration ({place}): change it there, and reload the collector (systemctl reload \
             netflow, or SIGHUP)"
        ))),
        None => Ok(()),
    }
}

const EXAMPLE: &str = r#"{"name":"office","customer":"customer-a"}"#;

/// The network that a body describes, or the first error in it.
fn read(prefix: Prefix, body: &[u8]) -> Result<Network, Error> {
    let document = Document::read(body, EXAMPLE)?;
    let object = document.object(JsonPath::Root, &format!("an object such as {EXAMPLE}"))?;
    let mut network = Network::new(prefix).map_err(|error| Error::BadRequest(error.to_string()))?;
    for (key, value) in object {
        if !NETWORK_KEYS.contains(&key.as_str()) {
            return Err(unknown_key(JsonPath::Root, key, &NETWORK_KEYS));
        }
        let place = JsonPath::Key(&JsonPath::Root, key);
        let words = match value {
            Document::Number(number) => number.to_string(),
            Document::Text(text) => text.clone(),
            value => {
                let items = value.list(place, "a text, a number, or a list of texts")?.iter().enumerate();
                let word = |(index, item): (usize, &Document)| {
                    item.text(JsonPath::Index(&place, index), "a text").map(str::to_owned)
                };
                let words = items.map(word).collect::<Result<Vec<_>, _>>()?.join(",");
                if key == "senders" && words.is_empty() { "none".to_owned() } else { words }
            }
        };
        network.set(key, &words).map_err(|error| place.problem(error))?;
    }
    Ok(network)
}
