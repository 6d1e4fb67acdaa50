//! Which address leads where.

use crate::api::{
    admin, bundle, enrol, export, guests, idp, ledger, matching, oidc, opened, probe, public, replay, retention,
    review, supervision,
};
use crate::app::App;
use crate::http::guard::guard;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{delete, get, post};
use std::sync::Arc;

/// Largest request body: a signed request or a CSR with its token, in base64.
const MAX_BODY: usize = 64 * 1024;

/// All endpoints behind the guard.
pub fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/livez", get(public::alive))
        .route("/readyz", get(public::alive))
        .route("/api/config", get(public::config))
        .route("/api/rooms", get(public::rooms))
        .route("/idp/login", post(idp::login))
        .route("/idp/authorize", post(idp::authorize))
        .route("/idp/token", post(idp::token))
        .route("/idp/jwks", get(idp::jwks))
        .route("/idp/.well-known/openid-configuration", get(idp::discovery))
        .route("/oidc/begin", post(oidc::begin))
        .route("/oidc/finish", post(oidc::finish))
        .route("/oidc/logout", post(oidc::logout))
        .route("/enrol", post(enrol::member))
        .route("/enrol/guest", post(guests::enrol))
        .route("/api/invitations", post(guests::invite))
        .route("/api/invitations/{id}", get(guests::show))
        .route("/api/invitations/{id}/meeting.ics", get(guests::calendar))
        .route("/enrol/recorder", post(enrol::recorder))
        .route("/custody/probe", post(probe::probe))
        .route("/api/recording", get(probe::recording))
        .route("/api/meetings", get(review::meetings))
        .route("/api/search", post(review::search))
        .route("/api/requests", get(review::requests).post(review::request))
        .route("/api/requests/{id}/approval", post(review::approve))
        .route("/api/requests/{id}/open", post(replay::open).delete(replay::close))
        .route("/api/requests/{id}/bundle", post(bundle::fetch))
        .route("/api/session", delete(replay::sign_out))
        .route("/replay/{grant}/{file}", get(replay::lane))
        .route("/api/ledger", get(ledger::list).post(ledger::player))
        .route("/api/supervision", get(supervision::desk).post(supervision::act))
        .route("/api/supervision/match", post(matching::run))
        .route("/api/retention", get(retention::list).post(retention::act))
        .route("/api/retention/{id}/consent", post(retention::consent))
        .route("/api/opened", get(opened::to_me))
        .route("/api/exports", post(export::begin))
        .route("/api/exports/{id}", get(export::state).delete(export::cancel))
        .route("/api/exports/{id}/result", get(export::result))
        .merge(admin::routes())
        .fallback(get(public::page))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(from_fn_with_state(app.clone(), guard))
        .with_state(app)
}
