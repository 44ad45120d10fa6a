//! The OpenAPI 3.1 document of the interface, made from the routes themselves. `docs/openapi.json` is a copy that a
//! test compares, so that a change of a route shows in its diff. `openapi/page.rs` renders it for people, with answers from `openapi/answers.rs`. Shared
//! parameters are in `parameters/documentation.rs`; credentials and errors are here.

mod answers;
mod page;

use std::sync::LazyLock;

use axum::http::{HeaderValue, header};
use axum::response::{Html, IntoResponse, Response};
use utoipa::openapi::path::PathItem;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, Ref, ResponseBuilder};
use utoipa::{Modify, OpenApi};

use crate::error::Error;
use crate::headers::policy_with_style;
use crate::routes::{
    billing, doctor, events, flows, health, index, networks, readers, senders, series, session, stats, status, tap, top,
};

/// All routes.
#[derive(OpenApi)]
#[openapi(
    info(title = "netflow", description = "netflow collector API; see docs/rest.md. Requests carry the authKey in X-Io-Auth, and in X-Io-Sign the \
            hexadecimal HMAC-SHA256, made with the signKey, of the authKey, of the body, or (version 2) of the whole request. A request \
            of the web interface carries the cookie of a session instead."),
    paths(
        index::show, senders::list, senders::show, senders::add, senders::remove, networks::list,
        networks::show, networks::put, networks::remove, stats::show, top::show, series::show,
        billing::show, stats::show_sum, top::show_sum, series::show_sum, billing::show_sum, flows::rows, flows::top, flows::series, readers::list, readers::pause, readers::resume, readers::reset, status::show, status::exporters, status::exporter, status::unknown, doctor::show, tap::show, events::show, health::alive,
        health::ready, health::metrics, session::nonce, session::log_in, session::show, session::log_out, session::ticket
    ),
    components(schemas(crate::error::Body)),
    modifiers(&Signed, &Refused)
)]
struct Document;

/// Every request needs both headers, unless its operation is documented otherwise.
struct Signed;

impl Modify for Signed {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        for (name, header) in [("authKey", "X-Io-Auth"), ("signature", "X-Io-Sign")] {
            components.add_security_scheme(name, SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new(header))));
        }
        let none: [&str; 0] = [];
        document.security = Some(vec![SecurityRequirement::new("authKey", none).add("signature", none)]);
    }
}

/// All errors have the same shape.
struct Refused;

impl Modify for Refused {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let content = Content::new(Some(Ref::from_schema_name("Problem")));
        let refusal = ResponseBuilder::new().description("Error").content("application/json", content).build();
        for path in document.paths.paths.values_mut() {
            let PathItem { get, put, post, delete, .. } = path;
            for operation in [get, put, post, delete].into_iter().flatten() {
                operation.responses.responses.insert("default".to_owned(), refusal.clone().into());
            }
        }
    }
}

/// The document as JSON; `None` when it cannot be written, which a test excludes.
#[must_use]
pub fn openapi() -> Option<String> {
    Document::openapi().to_pretty_json().ok().map(|text| text + "\n")
}

/// This document.
pub(crate) async fn show() -> Result<Response, Error> {
    static TEXT: LazyLock<Option<String>> = LazyLock::new(openapi);
    const JSON: HeaderValue = HeaderValue::from_static("application/json");
    let text = TEXT.as_deref().ok_or(Error::Internal)?;
    Ok(([(header::CONTENT_TYPE, JSON)], text).into_response())
}

/// This document as a page.
pub(crate) async fn show_page() -> Result<Response, Error> {
    static PAGE: LazyLock<Option<String>> = LazyLock::new(|| {
        let document = serde_json::to_value(Document::openapi()).ok()?;
        page::render(&document).ok()
    });
    let page = PAGE.as_deref().ok_or(Error::Internal)?;
    let policy = policy_with_style(page::STYLE).ok_or(Error::Internal)?;
    Ok(([(header::CONTENT_SECURITY_POLICY, policy)], Html(page)).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_in_the_repository_is_what_the_routes_say() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
        let copy = std::fs::read_to_string(path).unwrap_or_default();
        assert!(copy == openapi().unwrap(), "docs/openapi.json is not what the routes say: run `make bless`");
    }
}
