//! The front as **relying party** of the firm's own OpenID provider: authorization code with PKCE (RFC 7636). A page begins a
//! login here and brings the code back; state, verifier and nonce never leave the front, and only the tab that began may
//! finish. For a certificate the nonce comes from the page's worker (it binds the token to its key) and the token goes back to it:
//! custody judges that one. Must not certify anybody.

mod provider;

use crate::config::Oidc as Settings;
use crate::idp::secret;
use crate::problem::ApiProblem;
use axum::http::StatusCode;
use custody::id_token::{Logout, Person, Refused, Rules, header};
use dashmap::DashMap;
use domain::message::front::{BeginLogin, FinishLogin, LoginBegun, LoginFinished, LoginSession};
use domain::{B64, UnixMillis, UserId};
pub use provider::read_secret;
use provider::{Known, Provider};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::Mutex;

/// People read their phone for a second factor; who takes longer begins again, ms.
const FLOW_LIFE_MS: u64 = 10 * 60_000;
/// Logins begun at once: a large firm's morning. Beyond it the oldest is forgotten.
const MAX_FLOWS: usize = 20_000;
/// A login lasts a working day at most, then the provider is asked again, ms.
const SESSION_LIFE_MS: u64 = 12 * 3_600_000;
/// Logins kept: every person of a large firm with some tabs.
const MAX_SESSIONS: usize = 50_000;
/// Logout tokens remembered: a token is good for 5 minutes, and nobody logs out faster.
const MAX_LOGOUTS: usize = 50_000;
/// So long, ms: longer than a token is good, from either side of the clock.
const LOGOUT_LIFE_MS: u64 = 10 * 60_000;
/// Longest code taken.
const MAX_CODE: usize = 4_096;

struct Flow {
    secret: String,
    verifier: String,
    nonce: String,
    enrols: bool,
    until: UnixMillis,
}

struct Session {
    user: UserId,
    subject: String,
    sid: Option<String>,
    until: UnixMillis,
}

/// The front's side of the provider.
pub struct RelyingParty {
    settings: Settings,
    client_id: String,
    back: String,
    provider: Provider,
    flows: DashMap<String, Flow>,
    sessions: DashMap<String, Session>,
    logouts: Mutex<HashMap<String, UnixMillis>>,
}

impl RelyingParty {
    /// From configuration. `origin` is the front's own.
    ///
    /// # Errors
    /// A text for the configuration's reader.
    pub fn new(settings: &Settings, client_id: &str, origin: &str) -> Result<Self, String> {
        settings.claims.check()?;
        Ok(Self {
            provider: Provider::new(settings, client_id)?,
            settings: settings.clone(),
            client_id: client_id.to_owned(),
            back: format!("{origin}/oidc/callback"),
            flows: DashMap::new(),
            sessions: DashMap::new(),
            logouts: Mutex::default(),
        })
    }

    fn rules(&self) -> Rules<'_> {
        Rules { issuer: &self.settings.issuer, audience: &self.client_id, claims: &self.settings.claims }
    }

    /// Where to send somebody.
    ///
    /// # Errors
    /// 503 while the provider cannot be asked, 401 for an enrolment without a login.
    pub async fn begin(&self, ask: &BeginLogin, now: UnixMillis) -> Result<LoginBegun, ApiProblem> {
        let (nonce, prompt) = match ask {
            BeginLogin::Login {} => (secret(), None),
            BeginLogin::Enrol { nonce, session } => {
                self.session_user(session, now).ok_or_else(ApiProblem::signed_out)?;
                if B64::decode(nonce).is_none_or(|bytes| bytes.len() != 32) {
                    return Err(ApiProblem::bad("The nonce must be base64url of a SHA-256."));
                }
                (nonce.clone(), Some("none"))
            }
        };
        let known = self.known(now, false).await?;
        let (state, own, verifier) = (secret(), secret(), secret());
        let mut address = known.authorization.clone();
        address
            .query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.client_id)
            .append_pair("redirect_uri", &self.back)
            .append_pair("scope", &self.settings.scope)
            .append_pair("state", &state)
            .append_pair("nonce", &nonce)
            .append_pair("code_challenge", &B64(Sha256::digest(&verifier).to_vec()).encode())
            .append_pair("code_challenge_method", "S256")
            .extend_pairs(prompt.map(|prompt| ("prompt", prompt)));
        bound(&self.flows, MAX_FLOWS, |flow| flow.until, now);
        let flow =
            Flow { secret: own.clone(), verifier, nonce, enrols: prompt.is_some(), until: now.plus(FLOW_LIFE_MS) };
        self.flows.insert(state.clone(), flow);
        Ok(LoginBegun { address: address.to_string(), state, secret: own })
    }

    /// What a code is worth. The flow is used up by the first attempt, right or wrong.
    ///
    /// # Errors
    /// 400 `bad-token` for a flow of another tab, or one that is unknown or over; 403 for a token that is refused.
    pub async fn finish(&self, ask: &FinishLogin, now: UnixMillis) -> Result<LoginFinished, ApiProblem> {
        let refused = |why: &str| ApiProblem::new(StatusCode::BAD_REQUEST, "bad-token", why);
        let flow = self.flows.remove(&ask.state).map(|(_, flow)| flow).filter(|flow| flow.until > now);
        let flow = flow.filter(|flow| openssl_eq(&flow.secret, &ask.secret));
        let flow = flow.ok_or_else(|| refused("This sign-in is unknown, over, or was begun in another tab."))?;
        let known = self.known(now, false).await?;
        // an answer of another provider's must not be redeemed at ours (RFC 9207)
        if ask.iss.as_ref().map_or(known.names_itself, |iss| *iss != self.settings.issuer) {
            return Err(refused("This sign-in was answered by another identity provider."));
        }
        let code = ask.code.as_deref().filter(|code| !code.is_empty() && code.len() <= MAX_CODE);
        let Some(code) = code else {
            // `login_required` and its like: the session at the provider is over
            return Err(ApiProblem::signed_out());
        };
        let redeemed = self.provider.redeem(&known, code, &flow.verifier, &self.back).await;
        let id_token = redeemed.map_err(|error| {
            tracing::warn!("{error}");
            refused("The identity provider gave no token for this sign-in. Sign in again.")
        })?;
        if flow.enrols {
            return Ok(LoginFinished::Enrol { id_token });
        }
        let person =
            self.judge(known, &id_token, now, |rules, keys, now_s, jwt| rules.id_token(keys, now_s, jwt)).await?;
        if person.nonce != flow.nonce {
            return Err(refused("The token is for another sign-in."));
        }
        Ok(LoginFinished::Login(self.open(person, now)))
    }

    fn open(&self, person: Person, now: UnixMillis) -> LoginSession {
        bound(&self.sessions, MAX_SESSIONS, |session| session.until, now);
        let token = secret();
        let Person { user, name, roles, subject, sid, .. } = person;
        let session = Session { user: user.clone(), subject, sid, until: now.plus(SESSION_LIFE_MS) };
        self.sessions.insert(token.clone(), session);
        LoginSession { session: token, name, user: user.to_string(), roles }
    }

    /// The person behind a login.
    pub fn session_user(&self, session: &str, now: UnixMillis) -> Option<UserId> {
        let session = self.sessions.get(session)?;
        (session.until > now).then(|| session.user.clone())
    }

    /// A logout token of the provider's: whom it logs out. Their logins here are over when this returns.
    ///
    /// # Errors
    /// 403 for a token that is refused, 400 for one that was taken before.
    pub async fn logout(&self, token: &str, now: UnixMillis) -> Result<Vec<UserId>, ApiProblem> {
        let known = self.known(now, false).await?;
        let judged =
            self.judge(known, token, now, |rules, keys, now_s, jwt| rules.logout_token(keys, now_s, jwt)).await?;
        let Logout { subject, sid, jti } = judged;
        self.once(jti, now)?;
        let is_meant = |session: &Session| {
            subject.as_ref().is_none_or(|subject| *subject == session.subject)
                && sid.as_ref().is_none_or(|sid| session.sid.as_ref().is_none_or(|own| own == sid))
        };
        let mut users = Vec::new();
        self.sessions.retain(|_, session| {
            let meant = is_meant(session);
            users.extend(meant.then(|| session.user.clone()));
            !meant
        });
        // after a restart the front remembers no login; where the subject is the user, it needs none
        if self.settings.claims.user == "sub" {
            users.extend(subject.and_then(|subject| subject.parse().ok()));
        }
        users.sort();
        users.dedup();
        Ok(users)
    }

    fn once(&self, jti: String, now: UnixMillis) -> Result<(), ApiProblem> {
        let mut seen = self.logouts.lock().expect("nothing panics while it is held");
        seen.retain(|_, until| *until > now);
        if seen.len() >= MAX_LOGOUTS {
            return Err(ApiProblem::slow_down("Too many logouts at once."));
        }
        match seen.insert(jti, now.plus(LOGOUT_LIFE_MS)) {
            None => Ok(()),
            Some(_) => Err(ApiProblem::new(StatusCode::BAD_REQUEST, "bad-token", "This token was taken before.")),
        }
    }

    async fn known(&self, now: UnixMillis, again: bool) -> Result<Known, ApiProblem> {
        self.provider.known(now, again).await.map_err(|error| {
            tracing::warn!("{error}");
            ApiProblem::unavailable("The firm's identity provider does not answer. Try again, or call your help desk.")
        })
    }

    /// Judges by the known keys; a key that is not known is looked for once, for the provider may have changed it.
    async fn judge<T>(
        &self,
        known: Known,
        jwt: &str,
        now: UnixMillis,
        by: impl Fn(&Rules<'_>, &jsonwebtoken::jwk::JwkSet, u64, &str) -> Result<T, Refused>,
    ) -> Result<T, ApiProblem> {
        let kid = header(jwt).ok().and_then(|header| header.kid);
        let known = match kid {
            Some(kid) if known.keys.find(&kid).is_none() => self.known(now, true).await?,
            _ => known,
        };
        by(&self.rules(), &known.keys, now.seconds(), jwt).map_err(|why| {
            tracing::warn!("a token of the identity provider was refused: {why}");
            ApiProblem::new(StatusCode::FORBIDDEN, "bad-token", format!("The token is refused: {why}."))
        })
    }
}

fn openssl_eq(a: &str, b: &str) -> bool {
    a.len() == b.len() && openssl::memcmp::eq(a.as_bytes(), b.as_bytes())
}

/// Drops what is over; at the limit also what ends next.
fn bound<V>(map: &DashMap<String, V>, most: usize, until: impl Fn(&V) -> UnixMillis, now: UnixMillis) {
    if map.len() < most {
        return;
    }
    map.retain(|_, value| until(value) > now);
    if map.len() >= most {
        let next = map.iter().min_by_key(|entry| until(entry.value())).map(|entry| entry.key().clone());
        next.and_then(|key| map.remove(&key));
    }
}

#[cfg(test)]
mod tests;
