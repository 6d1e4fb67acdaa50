//! Who has left: their certificates are ended by custody *people*, which signs the firm's list of ended ones, and the list goes to
//! signaling, which takes them out of running meetings. The list is fetched anew every few seconds, so that one ended at a terminal
//! goes too, and is brought again until signaling has it, also to one that was started anew. Decides nobody's leaving.

use crate::app::App;
use crate::config::is_localhost_name;
use custody::CustodyError;
use domain::message::custody::{Answer, Ask, Whom};
use domain::{B64, UserId};
use reqwest::{Client, Url};
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// Custody is asked so often: a list of the last state costs it no signature.
const LOOK: Duration = Duration::from_secs(2);
/// Signaling gets the list again so often, though it has not changed: it may have lost its disk.
const AGAIN: Duration = Duration::from_secs(30);
/// Signaling answers within this.
const ANSWER: Duration = Duration::from_secs(3);

/// Wakes the task that brings lists, and keeps whose certificates custody has not ended yet.
#[derive(Default)]
pub struct Leavers {
    wake: Notify,
    owed: Mutex<BTreeSet<UserId>>,
}

impl Leavers {
    /// Ends every certificate and session of a person; signaling knows within moments.
    ///
    /// # Errors
    /// [`CustodyError`]: nothing is ended but the sessions here; it is tried again until custody answers.
    pub async fn out(&self, app: &App, user: UserId) -> Result<(), CustodyError> {
        app.sessions.end_of(&user);
        let asked = app.people.ask(Ask::Revoke { whom: Whom::User(user.clone()) }).await;
        let mut owed = self.owed.lock().expect("nothing panics while it is held");
        if asked.is_ok() {
            owed.remove(&user)
        } else {
            owed.insert(user)
        };
        drop(owed);
        self.wake.notify_one();
        asked.map(drop)
    }

    async fn settle(&self, app: &App) {
        let owed = self.owed.lock().expect("nothing panics while it is held").clone();
        for user in owed {
            if app.people.ask(Ask::Revoke { whom: Whom::User(user.clone()) }).await.is_ok() {
                self.owed.lock().expect("nothing panics while it is held").remove(&user);
            }
        }
    }
}

/// Where signaling takes lists: beside the address of its meetings.
fn target(signaling: &str) -> Option<Url> {
    let mut url = Url::parse(&signaling.replacen("ws", "http", 1)).ok()?;
    url.set_path("/v1/revocations");
    Some(url)
}

fn client(url: &Url) -> Option<Client> {
    let mut builder = Client::builder().timeout(ANSWER).redirect(reqwest::redirect::Policy::none());
    if let Some(host) = url.host_str().filter(|host| is_localhost_name(host)) {
        let port = url.port_or_known_default().unwrap_or(80);
        builder = builder.resolve(host, SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }
    builder.build().ok()
}

/// Brings lists for as long as the process runs.
pub async fn run(app: Arc<App>) {
    let Some(url) = target(&app.config.signaling) else { return };
    let Some(client) = client(&url) else { return };
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut brought: Option<(B64, Instant)> = None;
    loop {
        tokio::select! {
            _ = looks.tick() => {}
            () = app.leavers.wake.notified() => {}
        }
        app.leavers.settle(&app).await;
        // a token that does not answer is in the readiness of this front already
        let Ok(Answer::Signed { signed }) = app.people.ask(Ask::Revocations {}).await else { continue };
        if brought.as_ref().is_some_and(|(last, at)| *last == signed && at.elapsed() < AGAIN) {
            continue;
        }
        if let Ok(list) = evidence::revocation::judge(&app.trust, &signed) {
            app.sessions.end_certificates(&list.certificates().collect());
        }
        let answer = client.post(url.clone()).body(signed.0.clone()).send().await;
        match answer.and_then(reqwest::Response::error_for_status) {
            Ok(_) => brought = Some((signed, Instant::now())),
            Err(error) => {
                brought = None;
                tracing::warn!("signaling did not take the list of ended certificates, it is brought again: {error}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::target;

    #[test]
    fn lists_go_to_the_host_of_the_meetings() {
        let at = |signaling| target(signaling).expect("an address").to_string();
        assert_eq!(at("wss://signaling.example/v1/meet"), "https://signaling.example/v1/revocations");
        assert_eq!(at("ws://signaling.localhost:8440/v1/meet"), "http://signaling.localhost:8440/v1/revocations");
    }
}
