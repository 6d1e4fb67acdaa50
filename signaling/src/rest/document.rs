//! The OpenAPI 3.1 document, made of the handlers and of `domain::message::rest`. `docs/api/openapi.json` is its copy.

use super::{incidents, meetings, rooms, statements, webhooks_api};
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};

#[derive(OpenApi)]
#[openapi(
    info(title = "Strongroom signaling", description = "What programs may ask of signaling. Problems are RFC 9457; lists come in pages; \
        `Idempotency-Key` makes a POST safe to repeat for a day.", license(name = "Apache-2.0", identifier = "Apache-2.0")),
    paths(rooms::list, rooms::get, meetings::list, meetings::get, meetings::announce, meetings::end, meetings::participants,
        meetings::remove, statements::list, statements::get, statements::put, incidents::open, incidents::list, incidents::get,
        incidents::decide, incidents::close, incidents::hand_out, webhooks_api::list, webhooks_api::replay),
    components(schemas(domain::message::rest::WebhookEvent)),
    modifiers(&Bearer),
    security(("bearer" = []))
)]
struct Document;

struct Bearer;

impl utoipa::Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
        document.components.get_or_insert_default().add_security_scheme("bearer", scheme);
    }
}

/// The document as text, one key a line.
pub fn text() -> String {
    let mut text = Document::openapi().to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_checked_in_document_is_what_the_handlers_say() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/api/openapi.json");
        let (made, kept) = (super::text(), std::fs::read_to_string(&path).unwrap_or_default());
        if std::env::var_os("STRONGROOM_WRITE_OPENAPI").is_some() {
            std::fs::write(&path, &made).unwrap();
            return;
        }
        assert!(
            made == kept,
            "docs/api/openapi.json is stale: STRONGROOM_WRITE_OPENAPI=1 cargo test -p signaling openapi"
        );
    }

    #[test]
    fn every_operation_has_its_own_name_and_a_problem_for_what_fails() {
        let document: serde_json::Value = serde_json::from_str(&super::text()).unwrap();
        assert_eq!(document["openapi"], "3.1.0");
        let mut names = std::collections::BTreeSet::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                assert!(names.insert(operation["operationId"].as_str().unwrap().to_owned()), "{method} {path}");
                let failed = &operation["responses"]["default"]["content"];
                assert!(failed["application/problem+json"].is_object(), "{method} {path}");
            }
        }
    }
}
