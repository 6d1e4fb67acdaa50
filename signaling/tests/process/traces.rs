//! Traces of the running process at a collector (a fake): what took how long, and nothing of who and where.

use crate::edge::{admitted, greet, hello, link, meet, say};
use crate::rest::Api;
use reqwest::Method;
use room_servers::collector::Collector;
use serde_json::json;
use std::time::Duration;
use tokio::time::timeout;

#[tokio::test(flavor = "multi_thread")]
async fn joins_statements_and_requests_are_spans_without_a_word_of_who_it_was() {
    let collector = Collector::start().await.unwrap();
    let api = Api::start(&format!("[operations]\notlp_endpoint = \"{}\"\n", collector.url()));
    let mut sfu = link(&api.site, &api.running, Some(&api.site.operator)).await.unwrap();
    say(&mut sfu, &hello()).await;
    let page = admitted(&api.site, &api.running, &api.site.firm.member("bank-a/anna/d1")).await;
    greet(&mut meet(&api.running).await, &api.site, &api.site.firm.member("bank-a/zoe/d1"), "deal-room").await;
    let path = "/v1/rooms/deal-room/statements/bank-a";
    let present = api.ask(Method::GET, path, "bank-a").send().await.unwrap().headers()["etag"].clone();
    let next = json!({ "signed": domain::B64(crate::site::signed(2)) });
    let put = api.ask(Method::PUT, path, "bank-a").json(&next).header("if-match", present);
    assert!(put.send().await.unwrap().status().is_success());
    let refused = |all: &[serde_json::Value]| {
        all.iter().any(|span| span["name"] == "join" && span["attributes"][0]["value"]["stringValue"] == "not-a-member")
    };
    let spans = async {
        loop {
            let all = collector.spans(&["join", "statement", "request"]).await;
            if refused(&all) {
                return all;
            }
            collector.more().await;
        }
    };
    let spans = timeout(Duration::from_secs(30), spans).await.expect("in time");
    assert!(spans.iter().any(|span| span["name"] == "join" && span["status"]["code"] == 1), "one was let in");
    let text = serde_json::to_string(&spans).unwrap();
    for secret in ["anna", "zoe", "deal-room", "bank-a", "Alder", "operator"] {
        assert!(!text.contains(secret), "{secret}");
    }
    drop(page);
}

#[test]
fn a_collector_elsewhere_is_only_by_a_word_of_its_own() {
    let site = crate::site::Site::new();
    let (port, control) = (crate::site::free_port(), crate::site::free_port());
    site.configure(port, control, "[operations]\notlp_endpoint = \"http://10.0.0.9:4318\"");
    let (code, said) = site.fails("check-config");
    assert!(code == 2 && said.contains("operations.otlp_endpoint"), "{said}");
}
