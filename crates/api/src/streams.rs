//! Answers that are written as their parts are made, and how many of them may be open: streams of events, and answers in lines.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use tokio::sync::mpsc;

use crate::error::Error;
use crate::party::KeyId;

/// The media type of JSON in lines.
pub(crate) const LINES: &str = "application/x-ndjson";

/// The streams of all keys at a time, and of each.
const STREAMS: usize = 64;
const STREAMS_OF_A_KEY: usize = 8;

/// The open streams.
#[derive(Debug, Default)]
pub(crate) struct Streams(Mutex<HashMap<KeyId, usize>>);

/// The place of a stream.
#[derive(Debug)]
pub(crate) struct Place {
    streams: Arc<Streams>,
    key: KeyId,
}

impl Streams {
    pub(crate) fn open(self: &Arc<Self>, key: KeyId) -> Result<Place, Error> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = open.get(&key).copied().unwrap_or_default();
        if own >= STREAMS_OF_A_KEY || open.values().sum::<usize>() >= STREAMS {
            return Err(Error::Busy(format!(
                "too many open streams: {STREAMS_OF_A_KEY} of a key and {STREAMS} of all are the most; close one"
            )));
        }
        *open.entry(key).or_default() += 1;
        Ok(Place { streams: Arc::clone(self), key })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.streams.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = open.get_mut(&self.key) {
            *own -= 1;
        }
        open.retain(|_, own| *own > 0);
    }
}

/// The answer whose parts come from a queue.
pub(crate) fn response(media_type: &'static str, parts: mpsc::Receiver<Bytes>) -> Response {
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    // nginx would keep parts until a buffer is full.
    let unbuffered = (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    let parts = unfold(parts, async |mut parts| parts.recv().await.map(|part| (Ok::<_, Infallible>(part), parts)));
    ([kind, unbuffered], Body::from_stream(parts)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_limited_for_each_key_and_in_all() {
        let streams = Arc::new(Streams::default());
        let key = |number: usize| KeyId::of(number.to_string().as_bytes());
        let open = |number: usize| streams.open(key(number));
        let mut places: Vec<_> = (0..STREAMS_OF_A_KEY).map(|_| open(0).unwrap()).collect();
        assert!(matches!(open(0), Err(Error::Busy(_))));
        places.extend((STREAMS_OF_A_KEY..STREAMS).map(|number| open(number).unwrap()));
        assert!(matches!(open(STREAMS), Err(Error::Busy(_))));
        drop(places.pop());
        drop(open(STREAMS).unwrap());
        drop(places);
        assert!(streams.0.lock().unwrap().is_empty());
    }
}
