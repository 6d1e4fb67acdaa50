//! Invitations of guests: a member signs one and leaves it here; the guest's page asks for it, and enrols with it and the code
//! that came another way. The code is custody's to judge, this only remembers over a restart on which device it was used.

use crate::api::enrol::{MAX_CSR, certify};
use crate::api::{Body, blocking};
use crate::app::App;
use crate::ics;
use crate::problem::ApiProblem;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::message::custody::{Ask, LeafRole};
use domain::message::front::{EnrolGuest, EnrolledGuest, InvitationView, Invite};
use domain::{B64, UserId};
use evidence::invitation::{self, Invited};
use std::io::Write;
use std::sync::Arc;

/// Invitations kept; those that ended go first.
const MAX_KEPT: usize = 10_000;
/// Longest code as typed.
const MAX_CODE: usize = 64;

fn folder(app: &App) -> std::path::PathBuf {
    app.config.archive.join("invitations")
}

/// The signed invitation, if there is one that still holds. The id is a `UserId`: letters, digits and dashes.
async fn stored(app: &Arc<App>, id: &str) -> Result<(B64, Invited), ApiProblem> {
    let unknown = || ApiProblem::unknown("There is no such invitation, or it has ended. Ask for another one.");
    let guest: UserId = id.parse().map_err(|_| unknown())?;
    let path = folder(app).join(format!("{guest}.cose"));
    let signed = blocking(move || std::fs::read(path)).await?.map_err(|_| unknown())?;
    let invited = invitation::judge(&app.trust, &signed, app.clock.now()).map_err(|_| unknown())?;
    if invited.invitation.guest != guest {
        return Err(unknown());
    }
    Ok((B64(signed), invited))
}

fn keep(folder: &std::path::Path, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    if std::fs::read_dir(folder)?.count() >= 2 * MAX_KEPT {
        return Err(std::io::Error::other("there are more invitations than a front keeps"));
    }
    let mut file = std::fs::File::create_new(folder.join(name))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::File::open(folder)?.sync_all()
}

/// `POST /api/invitations`, by a member, of its own.
pub async fn invite(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Body(ask): Body<Invite>,
) -> Result<Json<InvitationView>, ApiProblem> {
    let now = app.clock.now();
    let session = app.sessions.of(&headers, now)?;
    if session.role != LeafRole::Member {
        return Err(ApiProblem::forbidden("Members invite guests."));
    }
    let invited = invitation::judge(&app.trust, &ask.invitation, now)
        .map_err(|why| ApiProblem::bad(format!("The invitation is not taken: {why}.")))?;
    if invited.inviter.participant != session.participant {
        return Err(ApiProblem::forbidden("An invitation is left here by who signed it."));
    }
    if app.rooms.of(&session.participant.user).iter().all(|room| room.room != invited.invitation.room) {
        return Err(ApiProblem::forbidden("You are no member of this room."));
    }
    let (folder, name, signed) = (folder(&app), format!("{}.cose", invited.invitation.guest), ask.invitation.0);
    blocking(move || keep(&folder, &name, &signed)).await?.map_err(|error| {
        tracing::error!("an invitation is not kept: {error}");
        ApiProblem::unavailable(
            "The invitation could not be kept. Try again; if it stays so, call your administrators.",
        )
    })?;
    Ok(Json(view(&app, &invited)))
}

fn view(app: &App, invited: &Invited) -> InvitationView {
    let said = &invited.invitation;
    InvitationView {
        guest: said.guest.clone(),
        name: said.name.clone(),
        room: said.room.clone(),
        title: app.rooms.title(&said.room).unwrap_or_default().to_owned(),
        statements: app.rooms.statements(&said.room),
        invited_by: invited.inviter.name.clone(),
        valid_from: said.valid_from,
        valid_until: said.valid_until,
        link: format!("{}/guest?i={}", app.config.origin, said.guest),
    }
}

/// `GET /api/invitations/{id}`: for whoever has the link. It says no more than a calendar would.
pub async fn show(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Json<InvitationView>, ApiProblem> {
    let (_, invited) = stored(&app, &id).await?;
    Ok(Json(view(&app, &invited)))
}

/// `GET /api/invitations/{id}/meeting.ics`: without the code, which goes another way.
pub async fn calendar(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Response, ApiProblem> {
    let (_, invited) = stored(&app, &id).await?;
    let view = view(&app, &invited);
    let text = format!(
        "{} invites you to a meeting.\n{}\nYou will be asked for the code that you are told separately.",
        view.invited_by, view.link
    );
    let uid = format!("{}@{}", view.guest, app.config.firm);
    let (made, from, until) = (invited.invitation.issued_at, view.valid_from, view.valid_until);
    let event = ics::Event { uid: &uid, made, from, until, title: &view.title, text: &text, link: &view.link };
    Ok(calendar_file(event.write()))
}

fn calendar_file(text: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/calendar; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"meeting.ics\""),
    ];
    (StatusCode::OK, headers, text).into_response()
}

/// `POST /enrol/guest`.
pub async fn enrol(
    State(app): State<Arc<App>>,
    Body(ask): Body<EnrolGuest>,
) -> Result<Json<EnrolledGuest>, ApiProblem> {
    if ask.csr.len() > MAX_CSR || ask.code.len() > MAX_CODE {
        return Err(ApiProblem::bad("The CSR has 8 KiB and the code 64 characters at most."));
    }
    let (signed, invited) = stored(&app, ask.invitation.as_str()).await?;
    let certificate =
        certify(&app, Ask::CertifyGuest { csr: ask.csr, invitation: signed.clone(), code: ask.code }).await?;
    let identity = evidence::identity::judge(&app.trust, &certificate, app.clock.now().seconds())
        .map_err(|e| ApiProblem::internal(format!("Custody issued a certificate that the trust map refuses: {e}")))?;
    if identity.role != LeafRole::Guest || identity.participant.user != invited.invitation.guest {
        return Err(ApiProblem::internal("Custody issued a certificate for something else than was asked."));
    }
    used_once(&app, &identity.participant).await?;
    Ok(Json(EnrolledGuest { chain: vec![certificate.into()], invitation: signed }))
}

/// The first device that used a code is the only one, over restarts of custody too.
async fn used_once(app: &Arc<App>, who: &domain::ParticipantId) -> Result<(), ApiProblem> {
    let (folder, name, device) = (folder(app), format!("{}.used", who.user), who.device.to_string());
    let kept = blocking(move || match keep(&folder, &name, device.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            std::fs::read(folder.join(&name)).map(|first| first == device.as_bytes())
        }
        other => other.map(|()| true),
    });
    match kept.await? {
        Ok(true) => Ok(()),
        Ok(false) => Err(ApiProblem::new(StatusCode::FORBIDDEN, "code-used", "This code was used on another device.")),
        Err(error) => {
            tracing::error!("the use of a code is not kept: {error}");
            Err(ApiProblem::unavailable("The code's use could not be kept. Try again."))
        }
    }
}
