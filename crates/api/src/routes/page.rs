//! The web interface: its page for every URL of it, and what the page loads. It needs no credentials, because everything that
//! it shows comes from the REST interface, which does.

use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use web::File;

use super::unknown_path;
use crate::headers::OWN_FILES;

/// The name of an asset has a digest of its content, so it never changes.
const FOREVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// The page. It is loaded again each time, so that a new version of the program is a new page.
pub(crate) async fn show(headers: HeaderMap) -> Response {
    file(&web::INDEX, &headers)
}

/// What the page loads.
pub(crate) async fn asset(Path(name): Path<String>, uri: Uri, headers: HeaderMap) -> Response {
    let Some(asset) = web::asset(&name) else { return unknown_path(uri).await.into_response() };
    let mut response = file(asset, &headers);
    response.headers_mut().insert(header::CACHE_CONTROL, FOREVER);
    response
}

/// A file in the form that the client accepts, or that it already has it.
fn file(file: &'static File, headers: &HeaderMap) -> Response {
    let gzip = file.gzip.filter(|_| accepts_gzip(headers));
    let tag = format!("\"{}{}\"", file.digest, if gzip.is_some() { "-gzip" } else { "" });
    let is_known = headers.get_all(header::IF_NONE_MATCH).iter().any(|tags| {
        tags.to_str().is_ok_and(|tags| tags.split(',').any(|known| known.trim().trim_start_matches("W/") == tag))
    });
    let mut response = if is_known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, file.media_type)], gzip.unwrap_or(file.content)).into_response()
    };
    let out = response.headers_mut();
    let fixed: [(HeaderName, HeaderValue); 2] =
        [(header::CONTENT_SECURITY_POLICY, OWN_FILES), (header::VARY, HeaderValue::from_static("accept-encoding"))];
    out.extend(fixed);
    if gzip.is_some() {
        out.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    if let Ok(tag) = HeaderValue::try_from(tag) {
        out.insert(header::ETAG, tag);
    }
    response
}

/// Whether the client reads gzip (RFC 9110, section 12.5.3).
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let mut codings = values.flat_map(|value| value.split(',')).map(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let weight = weight.trim().strip_prefix("q=").map_or(Ok(1.0), str::parse::<f32>);
        (name.trim(), weight.is_ok_and(|weight| weight > 0.0))
    });
    codings.any(|(name, is_wanted)| name.eq_ignore_ascii_case("gzip") && is_wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_sent_to_clients_that_accept_it() {
        let accepts = |value: &'static str| {
            accepts_gzip(&HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(value))]))
        };
        for value in ["gzip", "deflate, GZIP;q=0.5, br", "br,gzip; q=1"] {
            assert!(accepts(value), "{value}");
        }
        for value in ["", "br", "gzip;q=0", "gzip;q=0.0", "xgzip", "gzip;q=x"] {
            assert!(!accepts(value), "{value}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }
}
