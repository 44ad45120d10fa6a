//! How many requests of a key are worked on at a time. Its other requests wait; those of other keys do not. A request that
//! waits costs no more than its connection: its body is read after the first queue and parsed after the second one.
//!
//! Only a question that has begun shows that it is a long one. From then on it takes no place that short ones need, and
//! waits for one of the places of long ones. What has been parsed and read for it stays in memory meanwhile, so there is a
//! limit to that too: a question of its key fewer can begin, and when too many wait, it is refused.
//!
//! Questions about archived flows have places of their own: they take long, and nothing else waits for them.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::Api;
use crate::error::Error;
use crate::party::Party;
use crate::turns::{Limits, Turn, Turns};

/// How long a request may wait for its turn.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Bodies that are kept at a time, each of at most `BODY_LIMIT_BYTES`.
const BODIES: Limits = Limits { all: 64, for_admins: 8, each: 16 };
const BODIES_OF_STRANGERS: Limits = Limits { all: 16, for_admins: 0, each: 4 };
/// Requests that are answered at a time.
const REQUESTS: Limits = Limits { all: 32, for_admins: 4, each: 4 };
/// Those that read counters: each keeps its sums and the answer so far. Long ones have places of their own.
const QUESTIONS: Limits = Limits { all: 16, for_admins: 4, each: 4 };
/// Long questions that wait for a place.
const MOST_LONG_WAITING: usize = 64;

/// All queues.
#[derive(Debug)]
pub(crate) struct Queues {
    bodies: Arc<Turns>,
    bodies_of_strangers: Arc<Turns>,
    requests: Arc<Turns>,
    questions: Arc<Turns>,
    long_questions: Arc<Turns>,
    flows: Arc<Turns>,
}

/// Who asks a question, and the place that the question has.
#[derive(Clone, Debug)]
pub(crate) struct Asker {
    pub(crate) party: Party,
    place: Arc<Mutex<Place>>,
}

#[derive(Debug)]
enum Place {
    Short(Turn),
    Long { _turn: Turn },
}

impl Default for Queues {
    fn default() -> Self {
        Self {
            bodies: Turns::new(BODIES),
            bodies_of_strangers: Turns::new(BODIES_OF_STRANGERS),
            requests: Turns::new(REQUESTS),
            questions: Turns::new(QUESTIONS),
            long_questions: Turns::new(QUESTIONS),
            flows: Turns::new(QUESTIONS),
        }
    }
}

impl Queues {
    /// The turn of a body to be read: by the key that it claims to be signed with.
    pub(crate) async fn body(&self, claimed: Party) -> Result<Turn, Error> {
        let bodies = if claimed.is_stranger() { &self.bodies_of_strangers } else { &self.bodies };
        turn(bodies, claimed).await
    }

    /// The turn of a question to be asked.
    async fn question(&self, party: Party) -> Result<Asker, Error> {
        let place = Place::Short(turn(&self.questions, party).await?);
        Ok(Asker { party, place: Arc::new(Mutex::new(place)) })
    }

    /// Waits for a place among the long questions, unless the question has one, and makes way for short ones of others.
    pub(crate) async fn become_long(&self, asker: &Asker) -> Result<(), Error> {
        let mut place = asker.place.lock().await;
        let Place::Short(short) = &mut *place else { return Ok(()) };
        if self.long_questions.waiting() >= MOST_LONG_WAITING {
            return Err(Error::Busy("too many long requests of all keys; retry later".into()));
        }
        short.make_way();
        *place = Place::Long { _turn: turn(&self.long_questions, asker.party).await? };
        Ok(())
    }

    /// How many requests wait in all of them.
    pub(crate) fn waiting(&self) -> usize {
        let Self { bodies, bodies_of_strangers, requests, questions, long_questions, flows } = self;
        let all = [bodies, bodies_of_strangers, requests, questions, long_questions, flows];
        all.into_iter().map(|turns| turns.waiting()).sum()
    }
}

/// Waits for the turn of a party.
pub(crate) async fn turn(turns: &Arc<Turns>, party: Party) -> Result<Turn, Error> {
    let taken = timeout(PATIENCE, turns.take(party)).await;
    taken.map_err(|_| Error::Busy("too many concurrent requests with this key; retry later".into()))
}

/// Passes a request on when it is its turn.
pub(crate) async fn requests(State(api): State<Api>, party: Party, request: Request, next: Next) -> Response {
    match turn(&api.queues.requests, party).await {
        Ok(_turn) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

/// Passes on a question about archived flows when it is its turn.
pub(crate) async fn flows(State(api): State<Api>, party: Party, request: Request, next: Next) -> Response {
    match turn(&api.queues.flows, party).await {
        Ok(_turn) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

/// Passes on a request that reads counters when it is its turn.
pub(crate) async fn questions(State(api): State<Api>, party: Party, mut request: Request, next: Next) -> Response {
    match api.queues.question(party).await {
        Ok(asker) => {
            request.extensions_mut().insert(asker);
            next.run(request).await
        }
        Err(error) => error.into_response(),
    }
}

/// Of a request that has passed [`questions`].
impl FromRequestParts<Api> for Asker {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, Error> {
        parts.extensions.get().cloned().ok_or(Error::Internal)
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::{JoinSet, yield_now};

    use super::*;
    use crate::party::KeyId;

    fn key(number: usize) -> Party {
        Party::Key(KeyId::of(number.to_string().as_bytes()))
    }

    /// Polls everything as far as it comes.
    async fn settle() {
        for _ in 0..1000 {
            yield_now().await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn short_questions_wait_for_no_long_ones_of_any_number_of_keys() {
        let queues = Arc::new(Queues::default());
        let mut asked = JoinSet::new();
        let (keys, each) = (30, 10);
        for number in 0..keys * each {
            let queues = Arc::clone(&queues);
            asked.spawn(async move {
                let asker = queues.question(key(number % keys)).await?;
                queues.become_long(&asker).await?;
                std::future::pending::<Result<(), Error>>().await
            });
        }
        settle().await;
        // All places of long questions are taken, and 64 wait for one. The others were refused, or wait for those of their key.
        assert_eq!(queues.long_questions.waiting(), MOST_LONG_WAITING);
        while let Some(refused) = asked.try_join_next() {
            assert!(matches!(refused.unwrap(), Err(Error::Busy(_))));
        }
        let begun = tokio::time::Instant::now();
        let short = queues.question(key(keys)).await.unwrap();
        assert!(begun.elapsed().is_zero());
        // One that becomes long now is refused, and its place is free again.
        assert!(matches!(queues.become_long(&short).await, Err(Error::Busy(_))));
        drop(asked);
        settle().await;
        assert_eq!(queues.waiting(), 0);
        queues.become_long(&short).await.unwrap();
        queues.become_long(&short).await.unwrap();
    }
}
