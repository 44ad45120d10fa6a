//! How a browser gets a session: with a signature over a nonce, or with a ticket, for which the owner of a key has asked.

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, header, request};
use axum::response::{IntoResponse, Response};
use hmac::Mac;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use tokio::time::{Instant, timeout};

use super::challenges::Challenges;
use super::cookie;
use super::keys::{Key, KeySenders};
use super::nonces::Use;
use super::signature::parse_hex;
use super::tokens::Tokens;
use super::{BodyDigest, client_of, read, stranger, unauthorized};
use crate::error::Error;
use crate::{Api, BODY_TIMEOUT};

/// How long a session lives without a request.
const IDLE: Duration = Duration::from_secs(12 * 60 * 60);
/// How long a ticket is valid.
const TICKET: Duration = Duration::from_secs(60);
/// The most sessions and tickets of a key: enough for a team that shares one.
const SESSIONS: usize = 64;
const TICKETS: usize = 16;
/// The largest body of a login.
const LOGIN_LIMIT_BYTES: usize = 8 * 1024;

const MALFORMED: &str = r#"a login is {"authKey": "...", "nonce": "...", "sign": "..."} with a nonce of GET /session/nonce and 64 hexadecimal digits, or {"ticket": "..."}"#;
const WRONG: &str = "unknown authKey, wrong signature, or a nonce that was used or is older than 60 seconds";
const WRONG_TICKET: &str = "the link was used, or is older than 60 seconds: netflow web prints a new one";

/// What is kept of logins.
#[derive(Debug)]
pub(crate) struct Sessions {
    pub(super) challenges: Challenges,
    pub(super) sessions: Tokens,
    pub(super) tickets: Tokens,
}

impl Default for Sessions {
    fn default() -> Self {
        let (sessions, tickets) = (Tokens::new(IDLE, SESSIONS), Tokens::new(TICKET, TICKETS));
        Self { challenges: Challenges::default(), sessions, tickets }
    }
}

/// A login.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = Login)]
pub(crate) struct Login {
    /// The authKey.
    #[schema(required = false)]
    auth_key: Option<String>,
    /// What `GET /session/nonce` answered, within 60 seconds.
    #[schema(required = false)]
    nonce: Option<String>,
    /// The hexadecimal HMAC-SHA256 of the nonce, made with the signKey.
    #[schema(required = false)]
    sign: Option<String>,
    /// Instead of the others: what `POST /session/ticket` answered, within 60 seconds.
    #[schema(required = false)]
    ticket: Option<String>,
}

/// Who is logged in.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Session)]
pub(crate) struct SessionView {
    /// The authKey.
    auth_key: String,
    /// The name of the key in the file of keys; `admin` for that of the configuration.
    name: String,
    /// What it permits: read, write or admin.
    role: &'static str,
    /// The senders that it is valid for; null for all.
    senders: Option<Vec<String>>,
}

impl From<&Key> for SessionView {
    fn from(key: &Key) -> Self {
        Self {
            auth_key: String::from_utf8_lossy(key.auth_key()).into_owned(),
            name: key.name().to_owned(),
            role: key.role().name(),
            senders: key
                .senders()
                .as_ref()
                .map(KeySenders::all)
                .map(|all| all.iter().map(ToString::to_string).collect()),
        }
    }
}

impl Api {
    /// A nonce to log in with.
    pub(crate) fn login_nonce(&self) -> Result<String, Error> {
        self.history.sessions.challenges.issue(self.history.now().uptime)
    }

    /// A ticket that logs in once with this key.
    pub(crate) fn ticket(&self, key: &Key) -> Result<String, Error> {
        self.history.sessions.tickets.issue(key, &self.keys, Instant::now())
    }

    /// The key of the session that a request belongs to. The session is used by that.
    pub(super) fn key_of_session(&self, parts: &request::Parts) -> Option<&Key> {
        self.key_of_token(cookie::token(parts)?)
    }

    /// The key of the session with this token.
    pub(crate) fn key_of_token(&self, token: &str) -> Option<&Key> {
        self.history.sessions.sessions.key(token, &self.keys, Instant::now())
    }

    /// Begins a session.
    pub(crate) async fn log_in(&self, request: Request) -> Result<Response, Error> {
        let (parts, body) = request.into_parts();
        cookie::require_own_page(&parts)?;
        let client = client_of(&parts.extensions);
        let _place = self.queues.body(stranger(client)).await?;
        let login = read_login(body).await?;
        let key = match login {
            Login { auth_key: Some(auth_key), nonce: Some(nonce), sign: Some(sign), ticket: None } => {
                self.key_of_login(&auth_key, &nonce, &sign)?
            }
            Login { auth_key: None, nonce: None, sign: None, ticket: Some(ticket) } => {
                let tickets = &self.history.sessions.tickets;
                tickets.take(&ticket, &self.keys, Instant::now()).ok_or_else(|| unauthorized(WRONG_TICKET))?
            }
            _ => return Err(Error::BadRequest(MALFORMED.into())),
        };
        // One browser has one session.
        self.end_session(&parts);
        let token = self.history.sessions.sessions.issue(key, &self.keys, Instant::now())?;
        tracing::info!(key = key.name(), client = client.map(tracing::field::display), "logged in");
        let cookie = cookie::set(Some(&token), cookie::is_encrypted(&parts))?;
        Ok(([(header::SET_COOKIE, cookie)], Json(SessionView::from(key))).into_response())
    }

    /// The key that signed the nonce.
    fn key_of_login(&self, auth_key: &str, nonce: &str, sign: &str) -> Result<&Key, Error> {
        let signature = parse_hex(sign).ok_or_else(|| Error::BadRequest(MALFORMED.into()))?;
        let (key, known) = self.keys.find(auth_key.as_bytes()).ok_or_else(|| unauthorized(WRONG))?;
        let expected: [u8; 32] = key.sign.clone().chain_update(nonce).finalize().into_bytes().into();
        let now = self.history.now();
        let is_current = self.history.sessions.challenges.accept(nonce, now.uptime)?;
        if !bool::from(known & expected.ct_eq(&signature)) || !is_current {
            return Err(unauthorized(WRONG));
        }
        match self.history.nonces.take(key, nonce, now.seconds, now) {
            Use::First => Ok(key),
            Use::Again => Err(unauthorized(WRONG)),
            Use::Full => Err(Error::TooManyRequests),
        }
    }

    /// Ends the session that a request belongs to, and removes its cookie.
    pub(crate) fn log_out(&self, parts: &request::Parts) -> Result<HeaderValue, Error> {
        self.end_session(parts);
        cookie::set(None, cookie::is_encrypted(parts))
    }

    fn end_session(&self, parts: &request::Parts) {
        if let Some(token) = cookie::token(parts) {
            self.history.sessions.sessions.take(token, &self.keys, Instant::now());
        }
    }
}

async fn read_login(body: Body) -> Result<Login, Error> {
    let read = read(BodyDigest::None, body, LOGIN_LIMIT_BYTES);
    let (body, _) = timeout(BODY_TIMEOUT, read).await.map_err(|_| Error::RequestTimeout)??;
    serde_json::from_slice(&body).map_err(|_| Error::BadRequest(MALFORMED.into()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use storage::Memory;
    use tokio::sync::Notify;
    use tower::ServiceExt;

    use super::super::Encrypted;
    use super::super::keys::{Keys, Role};
    use super::super::signature::hex;
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn keys() -> Keys {
        let grafana = Key::new("grafana", "b", "t").unwrap().limited(Role::Read, None);
        Keys::new("a", "s").unwrap().with([grafana])
    }

    fn api() -> Api {
        Api::new(Arc::new(Memory::default()), keys(), Arc::new(Notify::new())).with_web()
    }

    /// The answer to a request with these headers.
    async fn ask(api: &Api, method: &str, path: &str, headers: &[(&str, &str)], body: String) -> Response {
        let own = [("host", "h"), ("origin", "https://h"), ("x-netflow", "1")];
        let request =
            own.iter().chain(headers).fold(Request::builder(), |request, (name, value)| request.header(*name, *value));
        let mut request = request.method(method).uri(path).body(Body::from(body)).unwrap();
        request.extensions_mut().insert(Encrypted(true));
        api.clone().router().oneshot(request).await.unwrap()
    }

    /// The cookie of a new session.
    async fn log_in(api: &Api, auth_key: &str) -> String {
        let nonce = api.login_nonce().unwrap();
        let (key, _) = api.keys.find(auth_key.as_bytes()).unwrap();
        let sign = hex(&key.sign.clone().chain_update(&nonce).finalize().into_bytes());
        let body = serde_json::json!({"authKey": auth_key, "nonce": nonce, "sign": sign}).to_string();
        let answer = ask(api, "POST", "/session", &[], body).await;
        assert_eq!(answer.status(), 200);
        let cookie = answer.headers()[header::SET_COOKIE].to_str().unwrap();
        let (cookie, attributes) = cookie.split_once("; ").unwrap();
        assert_eq!(attributes, "HttpOnly; SameSite=Strict; Path=/; Secure");
        assert!(cookie.starts_with("__Host-netflow="), "{cookie}");
        cookie.to_owned()
    }

    async fn status(api: &Api, cookie: &str) -> u16 {
        ask(api, "GET", "/senders", &[("cookie", cookie)], String::new()).await.status().as_u16()
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_ends_after_twelve_hours_without_a_request() {
        let api = api();
        let cookie = log_in(&api, "a").await;
        for _ in 0..3 {
            tokio::time::advance(IDLE - SECOND).await;
            assert_eq!(status(&api, &cookie).await, 200);
        }
        tokio::time::advance(IDLE).await;
        assert_eq!(status(&api, &cookie).await, 401);
    }

    #[tokio::test(start_paused = true)]
    async fn a_ticket_is_valid_for_a_minute() {
        let api = api();
        let (key, _) = api.keys.find(b"b").unwrap();
        let [first, late] = [api.ticket(key).unwrap(), api.ticket(key).unwrap()];
        let redeem = |ticket: String| {
            let body = serde_json::json!({ "ticket": ticket }).to_string();
            let api = &api;
            async move { ask(api, "POST", "/session", &[], body).await.status().as_u16() }
        };
        tokio::time::advance(TICKET - SECOND).await;
        assert_eq!(redeem(first).await, 200);
        tokio::time::advance(SECOND).await;
        assert_eq!(redeem(late).await, 401);
    }

    #[tokio::test]
    async fn a_reload_ends_the_sessions_of_keys_that_it_removes_or_changes() {
        let api = api();
        let (of_a, of_b) = (log_in(&api, "a").await, log_in(&api, "b").await);
        let ticket = api.ticket(api.keys.find(b"b").unwrap().0).unwrap();
        let same = api.clone().for_keys(keys());
        assert_eq!([status(&same, &of_a).await, status(&same, &of_b).await], [200, 200]);
        let more = Key::new("grafana", "b", "t").unwrap().limited(Role::Write, None);
        for reloaded in [Keys::new("a", "s").unwrap(), Keys::new("a", "s").unwrap().with([more])] {
            let reloaded = api.clone().for_keys(reloaded);
            assert_eq!([status(&reloaded, &of_a).await, status(&reloaded, &of_b).await], [200, 401]);
        }
        let removed = api.clone().for_keys(Keys::new("a", "s").unwrap());
        let body = serde_json::json!({ "ticket": ticket }).to_string();
        assert_eq!(ask(&removed, "POST", "/session", &[], body).await.status(), 401);
    }
}
