//! Endpoints of the development identity provider. Without one in the configuration they do not exist.

use crate::api::{Body, blocking};
use crate::app::App;
use crate::idp::DevelopmentIdp;
use crate::problem::ApiProblem;
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use domain::message::front::{AuthorizationCode, Authorize, Login, LoginSession, TokenAnswer, TokenRequest};
use std::sync::Arc;

fn provider(app: &App) -> Result<&DevelopmentIdp, ApiProblem> {
    app.idp.as_ref().ok_or_else(|| ApiProblem::unknown("This front has no development identity provider."))
}

/// `POST /idp/login`.
pub async fn login(State(app): State<Arc<App>>, Body(ask): Body<Login>) -> Result<Json<LoginSession>, ApiProblem> {
    provider(&app)?;
    let _place = app.logins.acquire().await.map_err(|_| ApiProblem::internal("The front is stopping."))?;
    let inner = app.clone();
    let answer = blocking(move || provider(&inner)?.login(&ask.user, &ask.password, inner.clock.now())).await?;
    answer.map(Json)
}

/// `POST /idp/authorize`.
pub async fn authorize(
    State(app): State<Arc<App>>,
    Body(ask): Body<Authorize>,
) -> Result<Json<AuthorizationCode>, ApiProblem> {
    let code = provider(&app)?.authorize(&ask, app.clock.now())?;
    Ok(Json(AuthorizationCode { code }))
}

/// `POST /idp/token`, with header `DPoP`.
pub async fn token(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Body(ask): Body<TokenRequest>,
) -> Result<Json<TokenAnswer>, ApiProblem> {
    let proof = headers.get("dpop").and_then(|proof| proof.to_str().ok()).unwrap_or_default();
    provider(&app)?.token(&ask, proof, app.clock.now()).map(Json)
}

/// `GET /idp/jwks`.
pub async fn jwks(State(app): State<Arc<App>>) -> Result<Json<serde_json::Value>, ApiProblem> {
    Ok(Json(provider(&app)?.jwks().clone()))
}

/// `GET /idp/.well-known/openid-configuration`.
pub async fn discovery(State(app): State<Arc<App>>) -> Result<Json<serde_json::Value>, ApiProblem> {
    provider(&app)?;
    let issuer = app.config.issuer();
    Ok(Json(serde_json::json!({
        "issuer": issuer,
        "comment": "development identity provider, not for production",
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/jwks"),
        "response_types_supported": ["code"],
        "code_challenge_methods_supported": ["S256"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "dpop_signing_alg_values_supported": ["ES256"],
    })))
}
