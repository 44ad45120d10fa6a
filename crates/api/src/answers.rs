//! Answers until their clients have read them. A client that does not read its answers costs the memory of them, so
//! their octets are places that parties share.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::response::Response;
use http_body_util::BodyExt;
use hyper::body::{Frame, SizeHint};
use tokio::sync::Notify;

use crate::party::Party;
use crate::places::{Place, Places, Use};

/// The octets of all answers that have not been read yet; the largest single answer may be added to it.
pub(crate) const UNREAD_BYTES: usize = 64 << 20;
/// How much of it is kept for answers without credentials.
pub(crate) const UNREAD_BYTES_OF_STRANGERS: usize = 16 << 20;
/// How much of an answer is compressed and written before other tasks have their turn.
const PIECE_BYTES: usize = 32 << 10;

/// The same response, counted until it has been written. Its connection is closed when it reads too slowly and the
/// memory is needed for others. Endless answers, which are never complete in memory, are left as they are.
pub(crate) async fn counted(response: Response, places: &Arc<Places>, party: Party, leave: Arc<Notify>) -> Response {
    let (head, body) = response.into_parts();
    let Some(length @ 1..) = body.size_hint().exact() else { return Response::from_parts(head, body) };
    let place = places.take(party, usize::try_from(length).unwrap_or(usize::MAX), Use::Idle, leave);
    // Complete bodies do not fail.
    let octets = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let rest = Bytes::from_owner(Unread { octets, _place: place });
    Response::from_parts(head, Body::new(Answer { rest, paused: true }))
}

/// A part of an answer, counted until it has been written.
pub(crate) fn counted_part(octets: Bytes, places: &Arc<Places>, party: Party, leave: Arc<Notify>) -> Bytes {
    let place = places.take(party, octets.len(), Use::Idle, leave);
    Bytes::from_owner(Unread { octets, _place: place })
}

/// The octets, which are dropped with their last piece.
struct Unread {
    octets: Bytes,
    _place: Place,
}

impl AsRef<[u8]> for Unread {
    fn as_ref(&self) -> &[u8] {
        &self.octets
    }
}

/// An answer in pieces, with a pause before each but the first.
struct Answer {
    rest: Bytes,
    paused: bool,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        self.paused = !self.paused;
        if self.paused {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let length = self.rest.len().min(PIECE_BYTES);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::party::KeyId;

    fn key(name: &str) -> Party {
        Party::Key(KeyId::of(name.as_bytes()))
    }

    #[tokio::test]
    async fn an_answer_counts_until_its_last_octet_is_written() {
        let places = Places::new(1 << 20, 0);
        let text: Vec<u8> = (0..100_000_u32).map(|number| number.to_le_bytes()[0]).collect();
        let response = Response::new(Body::from(text.clone()));
        let mut answer = counted(response, &places, key("a"), Arc::default()).await.into_body();
        assert_eq!((answer.size_hint().exact(), places.taken().places), (Some(100_000), 100_000));
        let mut written = Vec::new();
        let mut pieces = Vec::new();
        while let Some(frame) = answer.frame().await {
            let piece = frame.unwrap().into_data().unwrap();
            written.extend_from_slice(&piece);
            pieces.push(piece);
        }
        assert_eq!((written, pieces.len()), (text, 4));
        drop(answer);
        assert_eq!(places.taken().places, 100_000, "pieces wait to be written");
        pieces.truncate(1);
        assert_eq!(places.taken().places, 100_000);
        drop(pieces);
        assert_eq!(places.taken().places, 0);
    }

    #[tokio::test]
    async fn the_oldest_unread_answer_of_the_key_with_the_most_gives_way() {
        let places = Places::new(3000, 0);
        let unread = async |party| {
            let leave = Arc::new(Notify::new());
            let response = Response::new(Body::from(vec![0; 1000]));
            (counted(response, &places, party, Arc::clone(&leave)).await, leave)
        };
        let (other, greedy) = (unread(key("other")).await, [unread(key("greedy")).await, unread(key("greedy")).await]);
        let _more = unread(key("greedy")).await;
        tokio::time::timeout(testing::wait::DEADLINE, greedy[0].1.notified()).await.unwrap();
        let leaves = |leave: &Notify| {
            let mut notified = std::pin::pin!(leave.notified());
            notified.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop())).is_ready()
        };
        assert!(!leaves(&greedy[1].1) && !leaves(&other.1));
    }

    #[tokio::test]
    async fn answers_without_a_body_or_without_an_end_are_not_counted() {
        let places = Places::new(10, 0);
        let empty = counted(Response::new(Body::empty()), &places, key("a"), Arc::default()).await;
        assert!(empty.into_body().is_end_stream() && places.taken().places == 0);
        struct Endless;
        impl HttpBody for Endless {
            type Data = Bytes;
            type Error = Infallible;
            fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"line\n")))))
            }
        }
        let lines = counted(Response::new(Body::new(Endless)), &places, key("a"), Arc::default()).await;
        assert_eq!(lines.into_body().frame().await.unwrap().unwrap().into_data().unwrap(), "line\n");
        assert_eq!(places.taken().places, 0);
    }
}
