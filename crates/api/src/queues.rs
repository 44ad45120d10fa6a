//! How many requests of a key are worked on at a time. Its other requests wait; those of other keys do not. A request that
//! waits costs no more than its connection: its body is read after the first queue and parsed after the second one.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
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
/// Those that read counters: each keeps its sums and the answer so far.
const QUESTIONS: Limits = Limits { all: 16, for_admins: 4, each: 4 };

/// All queues.
#[derive(Debug)]
pub(crate) struct Queues {
    bodies: Arc<Turns>,
    bodies_of_strangers: Arc<Turns>,
    requests: Arc<Turns>,
    questions: Arc<Turns>,
}

impl Default for Queues {
    fn default() -> Self {
        Self {
            bodies: Turns::new(BODIES),
            bodies_of_strangers: Turns::new(BODIES_OF_STRANGERS),
            requests: Turns::new(REQUESTS),
            questions: Turns::new(QUESTIONS),
        }
    }
}

impl Queues {
    /// The turn of a body to be read: by the key that it claims to be signed with.
    pub(crate) async fn body(&self, claimed: Party) -> Result<Turn, Error> {
        let bodies = if claimed.is_stranger() { &self.bodies_of_strangers } else { &self.bodies };
        turn(bodies, claimed).await
    }

    /// How many requests wait in all of them.
    pub(crate) fn waiting(&self) -> usize {
        let all = [&self.bodies, &self.bodies_of_strangers, &self.requests, &self.questions];
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
    run(&api.queues.requests, party, request, next).await
}

/// Passes on a request that reads counters when it is its turn.
pub(crate) async fn questions(State(api): State<Api>, party: Party, request: Request, next: Next) -> Response {
    run(&api.queues.questions, party, request, next).await
}

async fn run(turns: &Arc<Turns>, party: Party, request: Request, next: Next) -> Response {
    match turn(turns, party).await {
        Ok(_turn) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}
