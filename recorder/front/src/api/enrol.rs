//! Enrolment: a CSR and an ID token go to custody *people*, which judges both; the certificate comes back with a front
//! session for the person it names.

use crate::api::{Body, custody_problem};
use crate::app::App;
use crate::directory::Standing;
use crate::problem::ApiProblem;
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use domain::message::custody::{Answer, Ask, LeafRole};
use domain::message::front::{Enrol, EnrolRecorder, Enrolled};
use evidence::identity::judge;
use std::sync::Arc;

/// Largest CSR: ours have about 300 bytes.
pub(super) const MAX_CSR: usize = 8 * 1024;
/// Largest ID token or DPoP proof: a compact JWT with a dozen claims.
const MAX_JWT: usize = 8 * 1024;

/// `POST /enrol`, with header `DPoP`.
pub async fn member(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Body(ask): Body<Enrol>,
) -> Result<Json<Enrolled>, ApiProblem> {
    let dpop = headers.get("dpop").and_then(|proof| proof.to_str().ok()).unwrap_or_default().to_owned();
    if ask.csr.len() > MAX_CSR || ask.id_token.len() > MAX_JWT || dpop.len() > MAX_JWT || dpop.is_empty() {
        return Err(ApiProblem::bad("CSR, ID token and DPoP proof are needed, 8 KiB each at most."));
    }
    let wanted = ask.role;
    let certificate =
        certify(&app, Ask::CertifyMember { csr: ask.csr, id_token: ask.id_token, dpop, role: ask.role }).await?;
    let now = app.clock.now();
    let identity = judge(&app.trust, &certificate, now.seconds())
        .map_err(|e| ApiProblem::internal(format!("Custody issued a certificate that the trust map refuses: {e}")))?;
    if identity.role != wanted || identity.participant.firm != app.config.firm {
        return Err(ApiProblem::internal("Custody issued a certificate for something else than was asked."));
    }
    match app.directory(|people| people.standing(now, &identity.participant.user)) {
        None | Some(Standing::Member) => {}
        Some(Standing::Stranger) => {
            return Err(ApiProblem::forbidden("You are not in your firm's people directory. Call your help desk."));
        }
        Some(Standing::Unknown) => {
            return Err(ApiProblem::unavailable("Your firm's people directory does not answer. Try again later."));
        }
    }
    let session = app.sessions.begin(&identity, now);
    Ok(Json(Enrolled { chain: vec![certificate.into()], session }))
}

/// `POST /enrol/recorder`: the countersignature by the recorder identity is what custody judges; there is no session.
pub async fn recorder(
    State(app): State<Arc<App>>,
    Body(ask): Body<EnrolRecorder>,
) -> Result<Json<Enrolled>, ApiProblem> {
    if ask.csr.len() > MAX_CSR || ask.countersignature.len() > MAX_CSR {
        return Err(ApiProblem::bad("CSR and countersignature have 8 KiB each at most."));
    }
    let certificate =
        certify(&app, Ask::CertifyRecorder { csr: ask.csr, countersignature: ask.countersignature }).await?;
    let identity = judge(&app.trust, &certificate, app.clock.now().seconds())
        .map_err(|e| ApiProblem::internal(format!("Custody issued a certificate that the trust map refuses: {e}")))?;
    if identity.role != LeafRole::Recorder || identity.participant.firm != app.config.firm {
        return Err(ApiProblem::internal("Custody issued a certificate for something else than was asked."));
    }
    app.desk.certified(&identity, app.clock.now());
    Ok(Json(Enrolled { chain: vec![certificate.into()], session: String::new() }))
}

pub(super) async fn certify(app: &App, ask: Ask) -> Result<Vec<u8>, ApiProblem> {
    match app.people.ask(ask).await {
        Ok(Answer::Certificate { certificate }) => Ok(certificate.0),
        Ok(_) => Err(ApiProblem::internal("Custody answered something else than a certificate.")),
        Err(e) => Err(custody_problem(&e)),
    }
}
