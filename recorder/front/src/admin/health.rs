//! Services as their operations listeners show them, and what somebody has to look at.

use crate::admin::settings::WatchedService;
use domain::UnixMillis;
use domain::message::admin::{Alert, AlertCode, CustodyStatus, Firms, ServiceRow};
use reqwest::Client;
use std::time::Duration;

/// An operations listener answers within this; the look at a page waits no longer.
const ANSWER: Duration = Duration::from_secs(3);
/// Longest answer of `/readyz` read: ten reasons.
const MAX_ANSWER: usize = 16 * 1024;
/// An archive key opens a probe daily; an hour more for a recorder that restarts, ms.
const PROBE_MS: u64 = 25 * 3_600_000;
/// A new root takes a quarter of a year to reach every partner's trust map, ms.
const ROOT_MS: u64 = 92 * 86_400_000;

/// Asks operations listeners.
///
/// # Errors
/// The library's.
pub fn client() -> reqwest::Result<Client> {
    Client::builder().timeout(ANSWER).redirect(reqwest::redirect::Policy::none()).build()
}

/// A service now.
pub async fn look(http: &Client, service: &WatchedService) -> ServiceRow {
    let (alive, ready) = tokio::join!(ask(http, service, "livez"), ask(http, service, "readyz"));
    let is_good = |answer: &Option<(bool, String)>| answer.as_ref().is_some_and(|(good, _)| *good);
    let said = ready.as_ref().filter(|(good, _)| !good).map(|(_, said)| said.as_str()).unwrap_or_default();
    ServiceRow {
        name: service.name.clone(),
        alive: is_good(&alive),
        ready: is_good(&ready),
        reasons: said.lines().map(str::to_owned).collect(),
    }
}

/// `None`: no answer.
async fn ask(http: &Client, service: &WatchedService, path: &str) -> Option<(bool, String)> {
    let mut answer = http.get(format!("{}/{path}", service.address)).send().await.ok()?;
    let good = answer.status().is_success();
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.ok()? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MAX_ANSWER {
            return None;
        }
    }
    Some((good, String::from_utf8_lossy(&bytes).into_owned()))
}

fn alert(code: AlertCode, name: impl Into<String>, detail: impl Into<String>) -> Alert {
    Alert { code, name: name.into(), detail: detail.into() }
}

/// Alerts about services.
pub fn of_services(services: &[ServiceRow]) -> Vec<Alert> {
    let about = |one: &ServiceRow| match (one.alive, one.ready) {
        (false, _) => Some(alert(AlertCode::ServiceDown, &one.name, "")),
        (true, false) => Some(alert(AlertCode::NotReady, &one.name, one.reasons.join(" "))),
        (true, true) => None,
    };
    services.iter().filter_map(about).collect()
}

/// Alerts about tokens, probes and stores.
pub fn of_custody(status: &CustodyStatus, now: UnixMillis) -> Vec<Alert> {
    let token = |one: &domain::message::admin::TokenRow| {
        one.problem.as_ref().map(|problem| alert(AlertCode::TokenDown, &one.name, problem))
    };
    let mut all: Vec<Alert> = status.tokens.iter().filter_map(token).collect();
    // without a recorder nobody seals probes: only keys that were proven once can be late, or all when a meeting was refused
    let late = |at: Option<UnixMillis>| at.map_or(status.blocked, |at| now.since(at) > PROBE_MS);
    let stale = status.probes.iter().filter(|key| late(key.opened_at));
    all.extend(stale.map(|key| alert(AlertCode::ProbeStale, key.key_id.get(..16).unwrap_or_default(), "")));
    for store in &status.stores {
        if store.trouble.is_some() || store.class.as_deref() == Some("not-worm") {
            all.push(alert(AlertCode::StoreTrouble, &store.name, store.trouble.clone().unwrap_or_default()));
        }
    }
    all
}

/// Alerts about roots that end soon.
pub fn of_roots(firms: &Firms, now: UnixMillis) -> Vec<Alert> {
    let roots = firms.firms.iter().flat_map(|firm| firm.roots.iter().map(move |root| (firm, root)));
    let soon = roots.filter(|(_, root)| root.until.is_none_or(|until| until.since(now) < ROOT_MS));
    soon.map(|(firm, root)| alert(AlertCode::RootEnds, &firm.name, &root.subject)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::message::front::ProbedKey;

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

    fn status(opened_at: Option<UnixMillis>, blocked: bool) -> CustodyStatus {
        CustodyStatus {
            tokens: Vec::new(),
            probes: vec![ProbedKey { key_id: "ab".repeat(32), opened_at }],
            blocked,
            recorders: Vec::new(),
            open: Vec::new(),
            stores: Vec::new(),
            free_bytes: None,
        }
    }

    #[test]
    fn a_key_is_late_after_its_day_and_one_never_probed_only_when_meetings_wait_for_it() {
        let codes = |s| of_custody(&s, NOW).iter().map(|one| one.code).collect::<Vec<_>>();
        assert_eq!(codes(status(Some(UnixMillis(NOW.0 - PROBE_MS)), false)), []);
        assert_eq!(codes(status(Some(UnixMillis(NOW.0 - PROBE_MS - 1)), false)), [AlertCode::ProbeStale]);
        assert_eq!(codes(status(None, false)), []);
        assert_eq!(codes(status(None, true)), [AlertCode::ProbeStale]);
    }

    #[test]
    fn a_service_that_is_down_and_one_that_is_not_ready_are_two_things() {
        let row = |alive, ready| ServiceRow { name: "recorder".to_owned(), alive, ready, reasons: Vec::new() };
        let codes = |rows: &[ServiceRow]| of_services(rows).iter().map(|one| one.code).collect::<Vec<_>>();
        assert_eq!(codes(&[row(true, true)]), []);
        assert_eq!(codes(&[row(false, false), row(true, false)]), [AlertCode::ServiceDown, AlertCode::NotReady]);
    }
}
