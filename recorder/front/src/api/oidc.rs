//! Endpoints of login at the firm's own OpenID provider. Without `[oidc]` in the configuration they do not exist.

use crate::api::{Body, custody_problem};
use crate::app::App;
use crate::oidc::RelyingParty;
use crate::problem::ApiProblem;
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Form, Json};
use domain::message::front::{BeginLogin, FinishLogin, LoginBegun, LoginFinished};
use serde::Deserialize;
use std::sync::Arc;

fn party(app: &App) -> Result<&RelyingParty, ApiProblem> {
    app.oidc.as_ref().ok_or_else(|| ApiProblem::unknown("This front has no outside identity provider."))
}

/// `POST /oidc/begin`.
pub async fn begin(State(app): State<Arc<App>>, Body(ask): Body<BeginLogin>) -> Result<Json<LoginBegun>, ApiProblem> {
    party(&app)?.begin(&ask, app.clock.now()).await.map(Json)
}

/// `POST /oidc/finish`.
pub async fn finish(
    State(app): State<Arc<App>>,
    Body(ask): Body<FinishLogin>,
) -> Result<Json<LoginFinished>, ApiProblem> {
    party(&app)?.finish(&ask, app.clock.now()).await.map(Json)
}

/// What a provider posts (OpenID Connect Back-Channel Logout 1.0 section 2.5).
// not a wire type: a form of another standard
#[derive(Deserialize)]
pub struct LogoutForm {
    logout_token: String,
}

/// `POST /oidc/logout`, from the provider.
pub async fn logout(State(app): State<Arc<App>>, Form(form): Form<LogoutForm>) -> Result<StatusCode, ApiProblem> {
    let users = party(&app)?.logout(&form.logout_token, app.clock.now()).await?;
    tracing::info!(count = users.len(), "logged out by the identity provider");
    for user in users {
        app.leavers.out(&app, user).await.map_err(|error| custody_problem(&error))?;
    }
    Ok(StatusCode::OK)
}
