//! Single sign-on: a proxy in front of the collector has logged the user in, and names the key that the user has. Only the
//! address of the proxy shows that a request is from it, so there is none unless the configuration lists it.

use std::net::IpAddr;

use axum::http::HeaderMap;

use super::keys::Key;
use super::unauthorized;
use crate::Api;
use crate::error::Error;

/// The name of the key; what most proxies call the user.
const USER: &str = "remote-user";
/// Whether the proxy was asked over TLS.
const PROTOCOL: &str = "x-forwarded-proto";

const UNKNOWN_USER: &str =
    "no key has the name that the proxy sends in the header Remote-User: add one to admin.keysFile";

impl Api {
    /// The key of the user that a trusted proxy has logged in; `None` if the request is not from one, or has no user.
    ///
    /// # Errors
    /// When no key has that name.
    pub(super) fn key_of_user(&self, headers: &HeaderMap, client: Option<IpAddr>) -> Result<Option<&Key>, Error> {
        if !headers.contains_key(USER) || !self.is_proxy(client) {
            return Ok(None);
        }
        // Of two, one may be from the client of a proxy that has not removed it.
        let mut users = headers.get_all(USER).iter();
        let user = users.next().filter(|_| users.next().is_none()).and_then(|user| user.to_str().ok());
        let key = user.and_then(|name| self.keys.named(name));
        key.map(Some).ok_or_else(|| unauthorized(UNKNOWN_USER))
    }

    /// Whether a trusted proxy was asked over TLS.
    pub(super) fn is_proxied_tls(&self, headers: &HeaderMap, client: Option<IpAddr>) -> bool {
        self.is_proxy(client) && headers.get(PROTOCOL).is_some_and(|protocol| protocol == "https")
    }

    fn is_proxy(&self, client: Option<IpAddr>) -> bool {
        let client = client.map(flow::canonical);
        self.web && client.is_some_and(|client| self.proxies.iter().any(|proxy| proxy.contains(client)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::body::Body;
    use axum::http::Request;
    use storage::Memory;
    use tokio::sync::Notify;
    use tower::ServiceExt;

    use super::super::keys::{Keys, Role};
    use super::super::{Client, Encrypted};
    use super::*;

    const PROXY: &str = "192.0.2.1";

    fn api() -> Api {
        let keys = Keys::new("a", "s").unwrap().with([Key::new("ann", "b", "t").unwrap().limited(Role::Write, None)]);
        let api = Api::new(Arc::new(Memory::default()), keys, Arc::new(Notify::new()));
        api.with_web().trusting(vec!["192.0.2.0/31".parse().unwrap()])
    }

    async fn status(api: &Api, client: &str, method: &str, path: &str, headers: &[(&str, &str)]) -> u16 {
        let request = headers.iter().fold(Request::builder(), |request, (name, value)| request.header(*name, *value));
        let mut request = request.method(method).uri(path).header("host", "h").body(Body::from("{}")).unwrap();
        request.extensions_mut().insert(Client(client.parse().unwrap()));
        request.extensions_mut().insert(Encrypted(false));
        api.clone().router().oneshot(request).await.unwrap().status().as_u16()
    }

    #[tokio::test]
    async fn only_a_trusted_proxy_names_the_user() {
        let (api, ann) = (api(), [("remote-user", "ann")]);
        assert_eq!(status(&api, PROXY, "GET", "/senders", &ann).await, 200);
        assert_eq!(status(&api, "::ffff:192.0.2.0", "GET", "/senders", &ann).await, 200);
        assert_eq!(status(&api, "192.0.2.2", "GET", "/senders", &ann).await, 401);
        let untrusting = api.clone().trusting(Vec::new());
        assert_eq!(status(&untrusting, PROXY, "GET", "/senders", &ann).await, 401);
        for user in ["bob", "", "ann "] {
            assert_eq!(status(&api, PROXY, "GET", "/senders", &[("remote-user", user)]).await, 401, "{user}");
        }
        let two = [("remote-user", "admin"), ("remote-user", "ann")];
        assert_eq!(status(&api, PROXY, "GET", "/senders", &two).await, 401);
    }

    #[tokio::test]
    async fn a_user_changes_things_from_the_own_page_only_and_gets_no_ticket() {
        let (api, ann) = (api(), ("remote-user", "ann"));
        let own = [ann, ("x-netflow", "1"), ("origin", "https://h")];
        let other = [ann, ("x-netflow", "1"), ("origin", "https://other")];
        let sender = "/senders/192.0.2.9";
        assert_eq!(status(&api, PROXY, "PUT", sender, &other).await, 403);
        // The body is refused, not the user.
        assert_eq!(status(&api, PROXY, "PUT", sender, &own).await, 400);
        assert_eq!(status(&api, PROXY, "POST", "/session/ticket", &own).await, 403);
    }

    #[tokio::test]
    async fn a_trusted_proxy_alone_reports_that_it_was_asked_over_tls() {
        let headers = HeaderMap::from_iter([("x-forwarded-proto".parse().unwrap(), "https".parse().unwrap())]);
        let api = api();
        assert!(api.is_proxied_tls(&headers, PROXY.parse().ok()));
        assert!(!api.is_proxied_tls(&headers, "192.0.2.2".parse().ok()) && !api.is_proxied_tls(&headers, None));
        assert!(!api.is_proxied_tls(&HeaderMap::new(), PROXY.parse().ok()));
    }
}
