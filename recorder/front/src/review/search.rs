//! What a search asks for, judged against what the signed manifests say. Pure: the index is what
//! [`super::meetings::Meetings`] keeps of each manifest it verified; no sealed content is looked at here.

use domain::message::front::{ArchivedMeeting, Search};
use domain::{MeetingId, UnixMillis};
use evidence::archive::Attendance;
use std::collections::HashSet;

/// Longest criterion: a name, a title, an order number. The ledger's note takes all of them.
pub const MAX_CRITERION: usize = 100;

/// Somebody who was in a meeting, as searches find them.
pub struct Person {
    /// Name and user id, lower case.
    name: String,
    firm: String,
}

impl Person {
    /// Of a roster's row.
    pub fn of(row: &Attendance) -> Self {
        let name = format!("{}\n{}", row.name, row.participant.user).to_lowercase();
        Self { name, firm: row.participant.firm.to_string() }
    }
}

/// What is known of a meeting.
pub struct Subject<'a> {
    /// As officers see it.
    pub row: &'a ArchivedMeeting,
    /// Who was in it.
    pub people: &'a [Person],
}

/// A search made ready.
pub struct Wanted {
    person: String,
    firm: String,
    room: String,
    trade: String,
    counterparty: String,
    from: Option<UnixMillis>,
    to: Option<UnixMillis>,
    /// Meetings whose opened chat has the text, if a text is wanted.
    of: Option<HashSet<MeetingId>>,
}

impl Wanted {
    /// `found` are the meetings in whose chat [`Search::text`] was found; not looked at without a text.
    pub fn new(search: &Search, found: HashSet<MeetingId>) -> Self {
        let ready = |text: &str| text.trim().to_lowercase();
        Self {
            person: ready(&search.person),
            firm: ready(&search.firm),
            room: ready(&search.room),
            trade: ready(&search.trade),
            counterparty: ready(&search.counterparty),
            from: search.from,
            to: search.to,
            of: (!search.text.trim().is_empty()).then_some(found),
        }
    }

    /// Does every criterion hold?
    pub fn holds(&self, subject: &Subject<'_>) -> bool {
        let row = subject.row;
        // one and the same person: of that firm and with that name
        let person = |one: &Person| {
            (self.firm.is_empty() || one.firm == self.firm) && words(&self.person).all(|word| one.name.contains(word))
        };
        let room = format!("{}\n{}\n{}", row.room, row.title, row.meeting).to_lowercase();
        (self.person.is_empty() && self.firm.is_empty() || subject.people.iter().any(person))
            && words(&self.room).all(|word| room.contains(word))
            && named(&row.trades, &self.trade)
            && named(&row.counterparties, &self.counterparty)
            && self.from.is_none_or(|from| row.ended_at >= from)
            && self.to.is_none_or(|to| row.started_at <= to)
            && self.of.as_ref().is_none_or(|of| of.contains(&row.meeting))
    }
}

/// Did a member name it? A trade id and a LEI are given whole: a part of one is another one.
fn named(tags: &[String], wanted: &str) -> bool {
    wanted.is_empty() || tags.iter().any(|tag| tag.to_lowercase() == wanted)
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_whitespace()
}

/// Is the search within its limits? Its words go into the ledger.
pub fn fits(search: &Search) -> bool {
    texts(search).iter().all(|(_, text)| text.chars().count() <= MAX_CRITERION && !text.chars().any(char::is_control))
}

fn texts(search: &Search) -> [(&'static str, &str); 6] {
    let Search { person, firm, room, trade, counterparty, text, .. } = search;
    [
        ("person", person),
        ("firm", firm),
        ("room", room),
        ("trade", trade),
        ("counterparty", counterparty),
        ("text", text),
    ]
}

/// What the ledger says of it: who looks for what is itself a record.
pub fn note(search: &Search) -> String {
    let given = texts(search).into_iter().filter(|(_, text)| !text.trim().is_empty());
    let mut parts: Vec<String> = given.map(|(name, text)| format!("{name} \"{}\"", text.trim())).collect();
    let times = [("from", search.from), ("to", search.to)];
    parts.extend(times.into_iter().filter_map(|(name, at)| at.map(|at| format!("{name} {}", at.0))));
    if parts.is_empty() { "everything".to_owned() } else { parts.join("; ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> ArchivedMeeting {
        let row = serde_json::json!({
            "meeting": "00112233445566778899aabbccddeeff", "room": "deal-room", "title": "Project Alder", "started_at": 1000,
            "ended_at": 2000, "participants": [], "frames": 0, "gaps": 0, "integrity": "", "manifest_hash": "",
            "trades": ["T-4711"], "counterparties": ["529900T8BM49AURSDO55"],
        });
        serde_json::from_value(row).expect("a row")
    }
    fn people() -> Vec<Person> {
        let one = |name: &str, firm: &str| Person { name: name.to_owned(), firm: firm.to_owned() };
        vec![one("anna berg\nanna", "bank-a"), one("ben cole\nben", "bank-b")]
    }
    fn holds(search: Search) -> bool {
        let found = HashSet::from(["00112233445566778899aabbccddeeff".parse().expect("an id")]);
        let found = if search.text == "alder" { found } else { HashSet::new() };
        Wanted::new(&search, found).holds(&Subject { row: &row(), people: &people() })
    }

    #[test]
    fn every_criterion_alone_finds_and_leaves_out() {
        assert!(holds(Search::default()));
        let text = |text: &str| text.to_owned();
        let found = [
            Search { person: text("BERG anna"), ..Search::default() },
            Search { firm: text("bank-b"), ..Search::default() },
            Search { room: text("alder"), ..Search::default() },
            Search { room: text("deal-room 0011"), ..Search::default() },
            Search { from: Some(UnixMillis(2_000)), ..Search::default() },
            Search { to: Some(UnixMillis(1_000)), ..Search::default() },
            Search { text: text("alder"), ..Search::default() },
            Search { trade: text("t-4711"), ..Search::default() },
            Search { counterparty: text("529900T8BM49AURSDO55"), ..Search::default() },
            Search { person: text("ben"), firm: text("bank-b"), ..Search::default() },
        ];
        assert!(found.into_iter().all(holds));
        let left = [
            Search { person: text("carla"), ..Search::default() },
            Search { firm: text("bank"), ..Search::default() },
            Search { room: text("birch"), ..Search::default() },
            Search { from: Some(UnixMillis(2_001)), ..Search::default() },
            Search { to: Some(UnixMillis(999)), ..Search::default() },
            Search { text: text("other"), ..Search::default() },
            Search { trade: text("t-471"), ..Search::default() },
            Search { counterparty: text("529900"), ..Search::default() },
            // there was a Ben, and there was somebody of bank-a, and they are not the same
            Search { person: text("ben"), firm: text("bank-a"), ..Search::default() },
        ];
        assert!(!left.into_iter().any(holds));
    }

    #[test]
    fn the_ledger_is_told_every_criterion_and_control_characters_are_refused() {
        let search = Search { person: "anna".to_owned(), to: Some(UnixMillis(5)), ..Search::default() };
        assert_eq!(note(&search), "person \"anna\"; to 5");
        assert_eq!(note(&Search::default()), "everything");
        assert!(fits(&search) && !fits(&Search { room: "a\nb".to_owned(), ..Search::default() }));
        assert!(!fits(&Search { text: "x".repeat(MAX_CRITERION + 1), ..Search::default() }));
    }
}
