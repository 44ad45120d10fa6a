//! The cookie of a session, and what a request with it must have beside it: browsers also send cookies for pages of others.

use axum::http::{HeaderValue, Method, header, request};

use super::Encrypted;
use crate::error::Error;

/// Over TLS, browsers then accept it only over TLS, for this host only.
const NAME_OVER_TLS: &str = "__Host-netflow";
const NAME: &str = "netflow";
/// The header that pages of others cannot send without being allowed to.
const OWN_HEADER: &str = "x-netflow";

const NO_OWN_HEADER: &str =
    "a login, and a request with the cookie of a session that is not a GET, needs the header X-Netflow: 1";
const OTHER_ORIGIN: &str = "the headers Origin and Host name different hosts: the page of another host cannot do this. A \
     proxy must pass the Host that the browser sent";

/// The token of the session that a request belongs to.
pub(super) fn token(parts: &request::Parts) -> Option<&str> {
    let name = name(is_encrypted(parts));
    let cookies = parts.headers.get_all(header::COOKIE).iter().filter_map(|cookies| cookies.to_str().ok());
    cookies.flat_map(|cookies| cookies.split(';')).find_map(|cookie| {
        let (key, value) = cookie.split_once('=')?;
        (key.trim() == name).then_some(value.trim())
    })
}

/// Whether a request arrived over TLS.
pub(super) fn is_encrypted(parts: &request::Parts) -> bool {
    parts.extensions.get::<Encrypted>().is_some_and(|Encrypted(is_encrypted)| *is_encrypted)
}

/// The header that sets the cookie; without a token, the one that removes it.
pub(super) fn set(token: Option<&str>, is_encrypted: bool) -> Result<HeaderValue, Error> {
    let (name, secure) = (name(is_encrypted), if is_encrypted { "; Secure" } else { "" });
    let (token, age) = token.map_or(("", "; Max-Age=0"), |token| (token, ""));
    let cookie = format!("{name}={token}; HttpOnly; SameSite=Strict; Path=/{secure}{age}");
    HeaderValue::try_from(cookie).map_err(|_| Error::Internal)
}

const fn name(is_encrypted: bool) -> &'static str {
    if is_encrypted { NAME_OVER_TLS } else { NAME }
}

/// Refuses a request that the page of another host may have made, unless it only reads.
pub(super) fn require_own_page(parts: &request::Parts) -> Result<(), Error> {
    if matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    if parts.headers.get(OWN_HEADER).is_none_or(|value| value != "1") {
        return Err(Error::Forbidden(NO_OWN_HEADER.into()));
    }
    let text = |name| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let origin = text(header::ORIGIN).and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
    match (origin, text(header::HOST)) {
        (Some(origin), Some(host)) if origin.eq_ignore_ascii_case(host) => Ok(()),
        _ => Err(Error::Forbidden(OTHER_ORIGIN.into())),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn parts(is_encrypted: bool, headers: &[(&str, &str)]) -> request::Parts {
        let request = headers.iter().fold(Request::put("/"), |request, (name, value)| request.header(*name, *value));
        let mut parts = request.body(()).unwrap().into_parts().0;
        parts.extensions.insert(Encrypted(is_encrypted));
        parts
    }

    #[test]
    fn the_cookie_is_found_among_others_and_only_under_its_name() {
        for (is_encrypted, cookies, expected) in [
            (false, "netflow=a", Some("a")),
            (false, "x=1; netflow=a;y", Some("a")),
            (false, "xnetflow=b; __Host-netflow=c", None),
            (true, "netflow=b", None),
            (true, "netflow=b; __Host-netflow=c", Some("c")),
            (true, "", None),
        ] {
            assert_eq!(token(&parts(is_encrypted, &[("cookie", cookies)])), expected, "{cookies}");
        }
        assert_eq!(token(&parts(false, &[("cookie", "x=1"), ("cookie", "netflow=a")])), Some("a"));
    }

    #[test]
    fn changes_need_the_header_and_the_same_host() {
        let allowed = |headers: &[(&str, &str)]| require_own_page(&parts(false, headers)).is_ok();
        let (own, host) = (("x-netflow", "1"), ("host", "collector:8080"));
        assert!(allowed(&[own, host, ("origin", "http://collector:8080")]));
        assert!(allowed(&[own, host, ("origin", "https://Collector:8080")]));
        for refused in [
            &[host, ("origin", "http://collector:8080")][..],
            &[("x-netflow", "0"), host, ("origin", "http://collector:8080")],
            &[own, host],
            &[own, host, ("origin", "null")],
            &[own, host, ("origin", "http://collector")],
            &[own, host, ("origin", "http://collector:8080.example.com")],
            &[own, host, ("origin", "http://evil.example.com/collector:8080")],
            &[own, ("origin", "http://collector:8080")],
        ] {
            assert!(!allowed(refused), "{refused:?}");
        }
    }
}
