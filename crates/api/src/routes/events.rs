//! `GET /events`: what happens now, as server-sent events, until the client disconnects, the session ends, the configuration
//! is reloaded or the collector stops. Browsers then connect again by themselves.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::sleep;
use view::Unknown;

use crate::Api;
use crate::auth::{Bearer, KeySenders};
use crate::connections::Connection;
use crate::diagnosis::Finding;
use crate::error::Error;
use crate::now::{INTERVAL, Picture, SenderNow, Traffic};
use crate::parameters::Parameters;
use crate::party::Party;
use crate::server::Until;
use crate::streams;

/// The unknown addresses in an event at most, the busiest.
const UNKNOWN: usize = 100;
/// The first line: when a browser connects again, in milliseconds.
const RETRY: &str = "retry: 3000\n\n";

/// An event: what has changed since the last one, and everything in the first.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NowEvent<'p> {
    /// When it was made, RFC 3339.
    at: String,
    /// The start of the minute of which traffic is: the last whole one that is stored. Null before the first flush.
    minute: Option<String>,
    totals: TotalsNow,
    /// The senders that the key is valid for of which something has changed, by address.
    #[schema(value_type = Vec<SenderNow>)]
    senders: Vec<&'p SenderNow>,
    /// The senders that are not registered any more.
    #[schema(value_type = Vec<String>)]
    removed: Vec<IpAddr>,
    /// The addresses that send without being registered, the busiest first, if something of them has changed. At most 100, and
    /// only with a key for all senders.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Unknown>>, required = false)]
    unknown: Option<&'p [Unknown]>,
    /// What is wrong, as in `/doctor`, if that has changed. Only with a key for all senders.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Finding>>, required = false)]
    findings: Option<&'p [Finding]>,
}

/// The sums of all senders that the key is valid for.
#[derive(Debug, Default, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct TotalsNow {
    /// How many they are.
    senders: usize,
    traffic: Traffic,
    /// Over the last 10 seconds.
    datagrams_per_second: f64,
    /// Over the same time.
    flows_per_second: f64,
}

/// Streams what happens now.
#[utoipa::path(
    get,
    path = "/events",
    operation_id = "events",
    responses((status = 200, description = "Server-sent events named now, each with this as its data", body = NowEvent, content_type = "text/event-stream"))
)]
pub(crate) async fn show(
    State(api): State<Api>,
    party: Party,
    Extension(bearer): Extension<Bearer>,
    limits: Option<Extension<KeySenders>>,
    connection: Option<Extension<Connection>>,
    until: Option<Extension<Until>>,
    parameters: Parameters,
) -> Result<Response, Error> {
    parameters.only(&[])?;
    let first = api.picture().await?;
    let place = api.streams.open(party.key().ok_or(Error::Internal)?)?;
    let (events, queue) = mpsc::channel(1);
    let working = connection.map(|Extension(connection)| connection.work(party));
    let stream = Stream { api, bearer, limits: limits.map(|Extension(limits)| limits), events };
    let until = until.map(|Extension(until)| until);
    tokio::spawn(async move {
        let (_place, _working) = (place, working);
        match until {
            None => stream.run(first).await,
            Some(mut until) => tokio::select! {
                () = stream.run(first) => {}
                () = until.ended() => {}
            },
        }
    });
    Ok(streams::response("text/event-stream", queue))
}

/// Who gets events.
struct Stream {
    api: Api,
    bearer: Bearer,
    limits: Option<KeySenders>,
    events: mpsc::Sender<Bytes>,
}

impl Stream {
    /// Sends events until the client or the session is gone.
    async fn run(self, first: Arc<Picture>) {
        let mut shown: Option<Arc<Picture>> = None;
        let mut next = Some(first);
        loop {
            if !self.is_permitted() {
                let _ = self.events.send(Bytes::from_static(b"event: ended\ndata: {}\n\n")).await;
                return;
            }
            if let Some(picture) = next.take() {
                // A client that reads too slowly misses events, not what they show.
                if self.events.send(self.event(shown.as_deref(), &picture)).await.is_err() {
                    return;
                }
                shown = Some(picture);
            }
            tokio::select! {
                () = sleep(INTERVAL) => {}
                () = self.events.closed() => return,
            }
            next = self.api.picture().await.ok();
        }
    }

    /// Whether the session has not ended; watching uses it.
    fn is_permitted(&self) -> bool {
        self.bearer.session.as_ref().is_none_or(|token| self.api.key_of_token(token).is_some())
    }

    fn event(&self, before: Option<&Picture>, now: &Picture) -> Bytes {
        let may = |address: &IpAddr| self.limits.as_ref().is_none_or(|limits| limits.include(*address));
        let had = |address: &IpAddr| before.and_then(|before| before.senders.get(address));
        let visible = || now.senders.iter().filter(|(address, _)| may(address));
        let (unknown, findings) = (busiest(now), &*now.diagnosis.findings);
        let is_unlimited = self.limits.is_none();
        let has_unknown = is_unlimited && before.is_none_or(|before| busiest(before) != unknown);
        let has_findings = is_unlimited && before.is_none_or(|before| before.diagnosis.findings != findings);
        let removed = before.into_iter().flat_map(|before| before.senders.keys());
        let event = NowEvent {
            at: now.at.to_string(),
            minute: now.minute.map(|minute| minute.to_string()),
            totals: visible().map(|(_, sender)| sender).collect(),
            senders: visible()
                .filter(|(address, sender)| had(address) != Some(*sender))
                .map(|(_, sender)| sender)
                .collect(),
            removed: removed.filter(|address| may(address) && !now.senders.contains_key(address)).copied().collect(),
            unknown: has_unknown.then_some(unknown),
            findings: has_findings.then_some(findings),
        };
        // Plain structures can be written to memory. JSON is on one line.
        let data = serde_json::to_string(&event).unwrap_or_default();
        let retry = if before.is_none() { RETRY } else { "" };
        format!("{retry}event: now\ndata: {data}\n\n").into()
    }
}

/// The unknown addresses that are shown.
fn busiest(picture: &Picture) -> &[Unknown] {
    picture.unknown.get(..UNKNOWN).unwrap_or(&picture.unknown)
}

impl<'s> FromIterator<&'s SenderNow> for TotalsNow {
    fn from_iter<I: IntoIterator<Item = &'s SenderNow>>(senders: I) -> Self {
        let mut totals = Self::default();
        for sender in senders {
            totals.senders += 1;
            totals.traffic.add(sender.traffic.unwrap_or_default());
            totals.datagrams_per_second += sender.datagrams_per_second.unwrap_or_default();
            totals.flows_per_second += sender.flows_per_second.unwrap_or_default();
        }
        totals
    }
}
