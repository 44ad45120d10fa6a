//! Who may ask: the original's scheme. A request carries the authKey and an HMAC-SHA256, made with the signKey, of
//! either the authKey or the body; in headers (`X-Io-Auth`, `X-Io-Sign`) or in the query (`auth`, `sign`). With a query
//! parameter `payload` (base64) it is that text that is signed; it stands for the body when there is none.
//!
//! The body is read here, bounded in size and time, because it may be what is signed. A stranger learns which part of
//! the credentials is missing or misshapen, never which one is wrong: neither from the answer nor from how long it
//! takes, and costs no memory, for a body that comes with a wrong authKey is signed but not kept.

use std::borrow::Cow;
use std::fmt;

use axum::body::{Body, Bytes};
use axum::extract::{Query, Request, State};
use axum::http::{HeaderValue, header, request};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, KeyInit, Mac};
use http_body_util::BodyExt;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use tokio::time::timeout;

use crate::connections::Connection;
use crate::error::Error;
use crate::{ANSWER_TIMEOUT, Api, BODY_LIMIT_BYTES, BODY_TIMEOUT};

/// The keys of the interface. They show neither in debug output nor in logs.
#[derive(Clone)]
pub struct Keys {
    auth_key: Box<[u8]>,
    /// The HMAC of the authKey: what most requests carry.
    signed_auth_key: Signature,
    /// The signKey, ready to sign.
    sign: Hmac<Sha256>,
}

/// A key that protects nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is empty")]
pub struct EmptyKey(pub &'static str);

type Signature = [u8; 32];

impl Keys {
    /// The configured `admin.authKey` and `admin.signKey`.
    ///
    /// # Errors
    /// When one of them is empty.
    pub fn new(auth_key: &str, sign_key: &str) -> Result<Self, EmptyKey> {
        if auth_key.is_empty() {
            return Err(EmptyKey("admin.authKey"));
        }
        if sign_key.is_empty() {
            return Err(EmptyKey("admin.signKey"));
        }
        // HMAC takes keys of any length; the error type is for other MACs.
        let sign = Hmac::<Sha256>::new_from_slice(sign_key.as_bytes()).map_err(|_| EmptyKey("admin.signKey"))?;
        let signed_auth_key = sign.clone().chain_update(auth_key).finalize().into_bytes().into();
        Ok(Self { auth_key: auth_key.as_bytes().into(), signed_auth_key, sign })
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(hidden)")
    }
}

/// What a request says about itself.
struct Credentials<'a> {
    auth_key: Cow<'a, [u8]>,
    signature: Signature,
    /// What was signed, when it was said apart from the body.
    payload: Option<Vec<u8>>,
}

const NO_AUTH: &str = "the authKey is missing: send it in the header X-Io-Auth (or as query parameter auth)";
const NO_SIGN: &str = "the signature is missing: send the HMAC-SHA256 of the authKey or of the body, made with the \
     signKey, in the header X-Io-Sign (or as query parameter sign)";
const NO_SIGNATURE: &str = "the signature in X-Io-Sign (or in the query parameter sign) is misshapen: it is 64 \
     hexadecimal digits, as `openssl dgst -sha256 -hmac` prints them";
const NO_BASE64: &str = "the query parameter payload is not base64";
const WRONG: &str = "the authKey is unknown or the signature does not fit: sign the authKey, or the body byte for \
     byte as it is sent, without a line feed at the end";
const OTHER_BODY: &str = "the body is not the payload that was signed: send no body, or sign the one that is sent";

/// Lets a request through when it is signed, with its body read.
pub(crate) async fn authenticate(State(api): State<Api>, request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut response = match admit(&api.keys, request).await {
        Ok(request) => {
            let _working = request.extensions().get::<Connection>().map(Connection::work);
            let answer = timeout(ANSWER_TIMEOUT, next.run(request)).await;
            answer.unwrap_or_else(|_| Error::Unavailable.into_response())
        }
        Err(error) => error.into_response(),
    };
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // The query is left out: it may hold credentials.
    tracing::debug!(%method, path, status = response.status().as_u16(), "request");
    response
}

async fn admit(keys: &Keys, request: Request) -> Result<Request, Error> {
    let (parts, body) = request.into_parts();
    let credentials = Credentials::of(&parts)?;
    let known = keys.auth_key.ct_eq(&credentials.auth_key);
    let (body, body_signature) = timeout(BODY_TIMEOUT, read(keys.sign.clone(), body, known.into()))
        .await
        .map_err(|_| Error::RequestTimeout)??;

    let over_content = match &credentials.payload {
        Some(payload) => keys.sign.clone().chain_update(payload).finalize().into_bytes().into(),
        None => body_signature,
    };
    let over_key = keys.signed_auth_key.ct_eq(&credentials.signature);
    if !bool::from(known & (over_key | over_content.ct_eq(&credentials.signature))) {
        return Err(Error::Unauthorized(WRONG));
    }
    let body = match credentials.payload {
        None => body,
        // What is signed here is the key, not content.
        Some(payload) if payload == *keys.auth_key => body,
        Some(payload) if body.is_empty() => payload.into(),
        Some(payload) if bool::from(over_key) || payload == body => body,
        Some(_) => return Err(Error::Unauthorized(OTHER_BODY)),
    };
    Ok(Request::from_parts(parts, Body::from(body)))
}

/// Reads a body to its end and signs it; keeps it only when told to.
async fn read(mut sign: Hmac<Sha256>, mut body: Body, keep: bool) -> Result<(Bytes, Signature), Error> {
    use axum::body::HttpBody;
    let limit = BODY_LIMIT_BYTES;
    if body.size_hint().lower() > limit as u64 {
        return Err(Error::PayloadTooLarge(limit));
    }
    let (mut kept, mut length) = (Vec::new(), 0_usize);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Error::BadRequest("the body ended before its announced end".into()))?;
        let Ok(data) = frame.into_data() else { continue };
        length = length.saturating_add(data.len());
        if length > limit {
            return Err(Error::PayloadTooLarge(limit));
        }
        sign.update(&data);
        if keep {
            kept.extend_from_slice(&data);
        }
    }
    Ok((kept.into(), sign.finalize().into_bytes().into()))
}

impl<'a> Credentials<'a> {
    /// From the headers or, for each that is absent, from the query.
    fn of(parts: &'a request::Parts) -> Result<Self, Error> {
        let query =
            Query::<Vec<(String, String)>>::try_from_uri(&parts.uri).map_or_else(|_| Vec::new(), |query| query.0);
        let parameter = |name: &str| query.iter().find_map(|(key, value)| (key == name).then_some(value.as_str()));
        let credential = |header: &str, name: &str| match parts.headers.get(header) {
            Some(value) => Some(Cow::Borrowed(value.as_bytes())),
            None => parameter(name).map(|value| Cow::Owned(value.as_bytes().to_vec())),
        };
        let auth_key = credential("x-io-auth", "auth").ok_or(Error::Unauthorized(NO_AUTH))?;
        let signature = credential("x-io-sign", "sign").ok_or(Error::Unauthorized(NO_SIGN))?;
        let signature = parse_signature(&signature).ok_or(Error::Unauthorized(NO_SIGNATURE))?;
        let payload = match parameter("payload") {
            None | Some("") => None,
            Some(text) => Some(parse_base64(text).ok_or(Error::Unauthorized(NO_BASE64))?),
        };
        Ok(Self { auth_key, signature, payload })
    }
}

/// A signature as openssl prints it: hexadecimal, bare or behind `SHA2-256(stdin)= ` or `(stdin)= `.
fn parse_signature(text: &[u8]) -> Option<Signature> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let digits = match text.split_once("(stdin)=") {
        None => text,
        // The name of the digest differs between the versions of openssl.
        Some((digest, digits)) if digest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') => {
            digits.trim()
        }
        Some(_) => return None,
    };
    let mut signature = Signature::default();
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    if pairs.len() != signature.len() || !rest.is_empty() {
        return None;
    }
    for (byte, [high, low]) in signature.iter_mut().zip(pairs) {
        let digit = |character: u8| char::from(character).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(signature)
}

/// Base64 in the usual or the URL alphabet, padded or not. A `+` that was not escaped arrives as a space.
fn parse_base64(text: &str) -> Option<Vec<u8>> {
    const ENGINE: GeneralPurpose = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    ENGINE.decode(text.replace([' ', '-'], "+").replace('_', "/")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_do_not_show_and_are_not_empty() {
        assert_eq!(format!("{:?}", Keys::new("auth", "sign").unwrap()), "Keys(hidden)");
        assert_eq!(Keys::new("", "sign").unwrap_err().to_string(), "admin.authKey is empty");
        assert_eq!(Keys::new("auth", "").unwrap_err().to_string(), "admin.signKey is empty");
    }

    #[test]
    fn signs_as_rfc_4231_test_case_2_says() {
        let keys = Keys::new("what do ya want for nothing?", "Jefe").unwrap();
        let expected = b"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(Some(keys.signed_auth_key), parse_signature(expected));
    }

    #[test]
    fn reads_signatures_as_every_openssl_prints_them() {
        let hex = "00ff".repeat(16);
        let expected = parse_signature(hex.as_bytes());
        assert_eq!(expected.unwrap()[..2], [0, 255]);
        for text in [
            hex.to_uppercase(),
            format!("(stdin)= {hex}"),
            format!("SHA2-256(stdin)= {hex}"),
            format!("HMAC-SHA256(stdin)= {hex}"),
            format!(" SHA2-256(stdin)= {hex}\n"),
        ] {
            assert_eq!(parse_signature(text.as_bytes()), expected, "{text}");
        }
        for text in ["", "00", &hex[1..], &format!("{hex}00"), &format!("+{}", &hex[1..]), &format!("0x{}", &hex[2..])]
        {
            assert_eq!(parse_signature(text.as_bytes()), None, "{text}");
        }
        assert_eq!(parse_signature(format!("a b(stdin)= {hex}").as_bytes()), None);
        assert_eq!(parse_signature(&[0xff; 64]), None);
    }

    #[test]
    fn reads_base64_of_both_alphabets_padded_or_not() {
        let bytes = vec![0xfb, 0xff, 0xfe, 0x00];
        for text in ["+//+AA==", "-__-AA==", "+//+AA", "-__-AA", " //+AA=="] {
            assert_eq!(parse_base64(text).as_ref(), Some(&bytes), "{text}");
        }
        assert_eq!(parse_base64("!"), None);
    }
}
