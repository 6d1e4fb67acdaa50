//! Signed statements to signaling and from it, over its interface for programs (`/v1`). Signaling judges each signature
//! again; this only carries.

use crate::admin::book::Kept;
use crate::admin::settings::Administration;
use crate::config::is_localhost_name;
use crate::rooms::Stated;
use domain::message::rest::{Page, PutStatement, RoomInfo, StatementInfo};
use domain::{FirmId, RoomId};
use evidence::identity::TrustMap;
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url, header};
use serde::de::DeserializeOwned;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Signaling answers within this, or the page says that it does not.
const ANSWER: Duration = Duration::from_secs(5);
/// Largest page read: a hundred statements of some kilobytes.
const MAX_PAGE: usize = 4 << 20;
/// Pages of rooms read: a thousand rooms.
const MAX_PAGES: usize = 10;

/// Why signaling did not take or give something; for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("signaling {0}")]
pub struct HandoverError(String);

/// The way to signaling.
pub struct Handover {
    http: Client,
    base: Url,
    token: String,
    firm: FirmId,
}

impl Handover {
    /// From configuration; `None` where there is no address.
    ///
    /// # Errors
    /// A text for the configuration's reader.
    pub fn new(settings: &Administration, firm: &FirmId) -> Result<Option<Self>, String> {
        let Some(address) = &settings.signaling else { return Ok(None) };
        let base = Url::parse(address).map_err(|e| format!("`administration.signaling`: {e}"))?;
        let mut builder = Client::builder().timeout(ANSWER).redirect(reqwest::redirect::Policy::none());
        if let Some(host) = base.host_str().filter(|host| is_localhost_name(host)) {
            let port = base.port_or_known_default().unwrap_or(80);
            builder = builder.resolve(host, SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        }
        let http = builder.build().map_err(|e| e.to_string())?;
        Ok(Some(Self { http, base, token: settings.token().to_owned(), firm: firm.clone() }))
    }

    fn at(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.clear().push("v1").extend(path);
        }
        url
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, HandoverError> {
        request.bearer_auth(&self.token).send().await.map_err(|e| {
            tracing::warn!("signaling: {}", e.without_url());
            HandoverError("does not answer".to_owned())
        })
    }

    async fn read<T: DeserializeOwned>(&self, url: Url) -> Result<T, HandoverError> {
        let mut answer = self.send(self.http.get(url)).await?;
        if !answer.status().is_success() {
            return Err(HandoverError(format!("answers {}", answer.status())));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|_| HandoverError("stopped answering".to_owned()))? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > MAX_PAGE {
                return Err(HandoverError("answers more than a page".to_owned()));
            }
        }
        serde_json::from_slice(&bytes).map_err(|_| HandoverError("answers something else than a page".to_owned()))
    }

    /// The newest statement of every firm about a room, as signaling has them; what does not judge well is left out.
    ///
    /// # Errors
    /// [`HandoverError`].
    pub async fn statements(&self, room: &RoomId, trust: &TrustMap) -> Result<Vec<Stated>, HandoverError> {
        let mut url = self.at(&["rooms", room.as_str(), "statements"]);
        url.query_pairs_mut().append_pair("limit", "100");
        let page: Page<StatementInfo> = self.read(url).await?;
        let judged = |info: StatementInfo| {
            let signed = info.signed.0;
            let statement = evidence::statement::judge_statement(trust, &signed).ok()?;
            (statement.room == *room).then_some(Stated { statement, signed })
        };
        Ok(page.items.into_iter().filter_map(judged).collect())
    }

    /// Rooms that the firm's people are in, as signaling's directory has them.
    ///
    /// # Errors
    /// [`HandoverError`].
    pub async fn rooms(&self) -> Result<Vec<RoomInfo>, HandoverError> {
        let (mut all, mut cursor) = (Vec::new(), None::<String>);
        for _ in 0..MAX_PAGES {
            let mut url = self.at(&["rooms"]);
            url.query_pairs_mut().append_pair("limit", "100");
            if let Some(cursor) = &cursor {
                url.query_pairs_mut().append_pair("cursor", cursor);
            }
            let page: Page<RoomInfo> = self.read(url).await?;
            all.extend(page.items);
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        Ok(all)
    }

    /// Hands a version over, in the place of the one it was built on. A version that signaling has already is taken.
    ///
    /// # Errors
    /// [`HandoverError`].
    pub async fn put(&self, kept: &Kept) -> Result<(), HandoverError> {
        let statement = &kept.stated.statement;
        let url = self.at(&["rooms", statement.room.as_str(), "statements", self.firm.as_str()]);
        let mut request = self.http.put(url.clone()).json(&PutStatement { signed: kept.stated.signed.clone().into() });
        request = match &statement.conditions.previous {
            Some(hash) => request.header(header::IF_MATCH, format!("\"{hash}\"")),
            None => request.header(header::IF_NONE_MATCH, "*"),
        };
        let answer = self.send(request).await?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            // an answer that was lost: it may be there
            StatusCode::PRECONDITION_FAILED => {
                let present: StatementInfo = self.read(url).await?;
                if present.hash == kept.stated.hash() {
                    return Ok(());
                }
                Err(HandoverError("has another statement of this firm than this one was built on".to_owned()))
            }
            status => Err(HandoverError(format!("refuses it ({status})"))),
        }
    }
}
