//! Webhooks by the rules of Standard Webhooks: signed, at least once, with longer and longer waits; kept for a replay.

pub mod reach;

use super::Rest;
use super::config::{Reach, Webhook};
use crate::failure::{Failure, config};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::message::rest::{EventData, EventKind, WebhookEvent};
use domain::{FirmId, UnixMillis};
use signaling_store::records::{Attempted, Message};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// A receiver answers within this; it does its work afterwards (Standard Webhooks: 15 to 30 s).
const ANSWER: Duration = Duration::from_secs(15);
/// Attempts before a message is given up: with the usual first wait the last is nine hours later.
const MAX_ATTEMPTS: u32 = 8;
/// Without news the database is looked at so often: another process may have asked for a replay.
const LOOK: Duration = Duration::from_secs(2);
/// Signing secrets shorter than this can be guessed from one message, bytes.
const MIN_SECRET: usize = 24;

/// One webhook of the configuration.
pub struct Hook {
    /// Its configuration.
    pub settings: Webhook,
    url: reqwest::Url,
    key: hmac::Key,
    wake: Notify,
}

/// All webhooks.
pub struct Hooks(pub Vec<Hook>);

impl Hooks {
    /// Reads the secrets and checks the addresses.
    pub fn read(all: &[Webhook]) -> Result<Self, Failure> {
        all.iter().map(Hook::read).collect::<Result<_, _>>().map(Self)
    }

    /// A message about something these firms take part in.
    pub async fn queue(&self, rest: &Rest, kind: EventKind, firms: &[FirmId], data: EventData) {
        let concerned = |hook: &&Hook| hook.settings.firm.as_ref().is_none_or(|firm| firms.contains(firm));
        let told: Vec<&Hook> = self.0.iter().filter(concerned).collect();
        if told.is_empty() {
            return;
        }
        let now = rest.hub.clock.now();
        let event = WebhookEvent { kind, timestamp: now.rfc3339(), data };
        let body = serde_json::to_vec(&event).unwrap_or_default();
        let id: String = rand::random::<[u8; 16]>().iter().map(|byte| format!("{byte:02x}")).collect();
        let names: Vec<String> = told.iter().map(|hook| hook.settings.name.clone()).collect();
        let queued = rest.records.queue(&format!("msg_{id}"), &names, &body, now).await;
        if queued.is_ok() {
            told.iter().for_each(|hook| hook.wake.notify_one());
        }
    }

    /// Starts the deliveries.
    pub fn deliver(rest: &Arc<Rest>) {
        for at in 0..rest.hooks.0.len() {
            let rest = rest.clone();
            tokio::spawn(async move {
                loop {
                    rest.hooks.0[at].work(&rest).await;
                }
            });
        }
    }

    /// A webhook's deliveries begin again.
    pub fn wake(&self, name: &str) {
        self.0.iter().filter(|hook| hook.settings.name == name).for_each(|hook| hook.wake.notify_one());
    }
}

impl Hook {
    fn read(settings: &Webhook) -> Result<Self, Failure> {
        let (name, path) = (&settings.name, settings.secret_file.display());
        let wrong = |why: String| config(format!("webhook {name}: {why}"));
        let url: reqwest::Url = settings.url.parse().map_err(|_| wrong("`url` is no address".into()))?;
        let plain = settings.reach == Reach::Private && url.scheme() == "http";
        if (url.scheme() != "https" && !plain) || !url.username().is_empty() || url.password().is_some() {
            return Err(wrong(reach::ReachError::Url.to_string()));
        }
        let text = std::fs::read_to_string(&settings.secret_file)
            .map_err(|error| wrong(format!("cannot read {path}: {error}; correct `secret_file`")))?;
        let secret = text.trim().strip_prefix("whsec_").and_then(|text| STANDARD.decode(text).ok());
        let secret = secret.filter(|secret| secret.len() >= MIN_SECRET).ok_or_else(|| {
            wrong(format!("{path} has no secret; make one: echo whsec_$(openssl rand -base64 32) > {path}"))
        })?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        Ok(Self { settings: settings.clone(), url, key, wake: Notify::new() })
    }

    /// Sends what is due, or waits until something is.
    async fn work(&self, rest: &Rest) {
        let due = rest.records.due(&self.settings.name).await.ok().flatten();
        let now = rest.hub.clock.now();
        match due {
            Some((message, at)) if at <= now => {
                let next = match self.send(&message, now).await {
                    Ok(()) => Attempted::Delivered,
                    Err(why) => {
                        tracing::warn!(webhook = %self.settings.name, "a message was not taken: {why}");
                        self.next(message.attempts, rest.hub.clock.now())
                    }
                };
                if rest.records.attempted(&message.id, &self.settings.name, next).await.is_err() {
                    tokio::time::sleep(LOOK).await;
                }
            }
            other => {
                let wait = other.map_or(LOOK, |(_, at)| Duration::from_millis(at.since(now)).min(LOOK));
                let _ = tokio::time::timeout(wait, self.wake.notified()).await;
            }
        }
    }

    /// Four times as long as before, and up to a tenth more: receivers that came back are not all asked at once.
    fn next(&self, attempts: u32, now: UnixMillis) -> Attempted {
        if attempts + 1 >= MAX_ATTEMPTS {
            return Attempted::Dead;
        }
        let wait = self.settings.first_retry_ms.saturating_mul(4u64.saturating_pow(attempts));
        Attempted::Again(now.plus(wait + rand::random::<u64>() % (wait / 10 + 1)))
    }

    async fn send(&self, message: &Message, now: UnixMillis) -> Result<(), String> {
        let client = reqwest::Client::builder()
            .timeout(ANSWER)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .https_only(self.settings.reach == Reach::Public);
        let client = match self.settings.reach {
            Reach::Private => client,
            Reach::Public => {
                let found = reach::resolve(&self.url).await.map_err(|error| error.to_string())?;
                client.resolve_to_addrs(self.url.host_str().unwrap_or_default(), &found)
            }
        };
        let (id, at) = (&message.id, now.0 / 1_000);
        let client = client.build().map_err(|error| error.to_string())?;
        let answer = client
            .post(self.url.clone())
            .header("content-type", "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", at.to_string())
            .header("webhook-signature", self.signature(id, at, &message.body))
            .body(message.body.clone());
        let answer = answer.send().await.map_err(|error| error.without_url().to_string())?;
        if answer.status().is_success() { Ok(()) } else { Err(format!("status {}", answer.status().as_u16())) }
    }

    fn signature(&self, id: &str, at_s: u64, body: &[u8]) -> String {
        let mut signed = hmac::Context::with_key(&self.key);
        signed.update(format!("{id}.{at_s}.").as_bytes());
        signed.update(body);
        format!("v1,{}", STANDARD.encode(signed.sign().as_ref()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hook(folder: &std::path::Path, secret: &str, url: &str, reach: Reach) -> Result<Hook, Failure> {
        let secret_file = folder.join("secret");
        std::fs::write(&secret_file, secret).unwrap();
        let (name, url) = ("desk".into(), url.into());
        Hook::read(&Webhook { name, url, secret_file, firm: None, reach, first_retry_ms: 1_000 })
    }

    #[test]
    fn a_message_is_signed_as_standard_webhooks_says() {
        let folder = tempfile::tempdir().unwrap();
        // the example of the specification's reference libraries
        let hook =
            hook(folder.path(), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n", "https://a.example/x", Reach::Public);
        let signed = hook.unwrap().signature("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn weak_secrets_and_plain_addresses_are_refused_at_start() {
        let folder = tempfile::tempdir().unwrap();
        let good = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let read = |secret, url, reach| hook(folder.path(), secret, url, reach).err().map(|why| why.to_string());
        assert!(read("whsec_c2hvcnQ=", "https://a.example", Reach::Public).unwrap().contains("openssl rand"));
        assert!(read("plain", "https://a.example", Reach::Public).unwrap().contains("openssl rand"));
        for url in ["http://a.example", "https://user:pw@a.example", "ftp://a.example", "a.example"] {
            assert!(read(good, url, Reach::Public).is_some(), "{url}");
        }
        assert!(read(good, "http://127.0.0.1:1/x", Reach::Private).is_none());
    }

    #[test]
    fn waits_grow_and_end() {
        let folder = tempfile::tempdir().unwrap();
        let hook =
            hook(folder.path(), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "https://a.example", Reach::Public).unwrap();
        for (attempts, least) in [(0, 1_000), (1, 4_000), (6, 4_096_000)] {
            let Attempted::Again(UnixMillis(at)) = hook.next(attempts, UnixMillis(0)) else { panic!("given up") };
            assert!((least..=least + least / 10).contains(&at), "{attempts}: {at}");
        }
        assert_eq!(hook.next(7, UnixMillis(0)), Attempted::Dead);
    }
}
