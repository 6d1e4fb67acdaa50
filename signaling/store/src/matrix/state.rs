//! A Matrix room's state in our words. Pure. Only what the homeserver itself guards is believed.

use super::MatrixConfig;
use crate::directory::{MAX_MEMBERS, Member, Role, Room, State};
use domain::{FirmId, UserId};
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Type of the state event in which a room says whose its people are.
pub const POLICY: &str = "org.strongroom.room";
/// Power level that must guard it: a room's creator and administrators, nobody else.
const GUARD: i64 = 100;
/// Power level of who may remove others (Matrix: `kick`'s default).
const HOST: i64 = 50;

/// Content of [`POLICY`].
// not a wire type: Matrix's, read here only
#[derive(Default, Deserialize)]
struct Policy {
    /// By Matrix id.
    #[serde(default)]
    people: BTreeMap<String, Person>,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

// not a wire type: Matrix's, read here only
#[derive(Clone, Deserialize)]
struct Person {
    firm: FirmId,
    user: UserId,
    #[serde(default)]
    groups: BTreeSet<String>,
}

fn event<'a>(events: &'a [Value], kind: &str) -> Option<&'a Value> {
    events.iter().find(|event| event["type"] == kind && event["state_key"] == "")
}

struct Powers<'a> {
    levels: &'a Value,
    creators: BTreeSet<&'a str>,
}

impl<'a> Powers<'a> {
    fn of(events: &'a [Value]) -> Self {
        let levels = event(events, "m.room.power_levels").map_or(&Value::Null, |event| &event["content"]);
        let mut creators = BTreeSet::new();
        if let Some(create) = event(events, "m.room.create") {
            let content = &create["content"];
            // from version 12 on creators stand above every level; before, they are users as others
            let version: u32 = content["room_version"].as_str().and_then(|text| text.parse().ok()).unwrap_or(1);
            if version >= 12 {
                creators.extend(create["sender"].as_str());
                creators
                    .extend(content["additional_creators"].as_array().into_iter().flatten().filter_map(Value::as_str));
            }
        }
        Self { levels, creators }
    }

    fn user(&self, user: &str) -> i64 {
        if self.creators.contains(user) {
            return i64::MAX;
        }
        let own = self.levels["users"][user].as_i64();
        own.or(self.levels["users_default"].as_i64()).unwrap_or(0)
    }

    fn guards(&self, kind: &str) -> bool {
        let needed = self.levels["events"][kind].as_i64().or(self.levels["state_default"].as_i64()).unwrap_or(50);
        needed >= GUARD
    }
}

fn policy(events: &[Value], powers: &Powers<'_>) -> Policy {
    let Some(event) = event(events, POLICY) else { return Policy::default() };
    if !powers.guards(POLICY) {
        tracing::warn!("a Matrix room's {POLICY} is not guarded by power level {GUARD}: it does not count");
        return Policy::default();
    }
    Policy::deserialize(&event["content"]).unwrap_or_else(|error| {
        tracing::warn!("a Matrix room's {POLICY} cannot be read ({error}): it does not count");
        Policy::default()
    })
}

/// Whose a Matrix user is: as the room says, else as the configuration says of its homeserver.
fn person(id: &str, policy: &Policy, config: &MatrixConfig) -> Option<Person> {
    if let Some(person) = policy.people.get(id) {
        return Some(person.clone());
    }
    let (user, server) = id.strip_prefix('@')?.split_once(':')?;
    let firm = config.servers.get(server)?.clone();
    Some(Person { firm, user: user.parse().ok()?, groups: BTreeSet::new() })
}

fn member_of(event: &Value, policy: &Policy, powers: &Powers<'_>, config: &MatrixConfig) -> Option<Member> {
    let id = event["state_key"].as_str().filter(|id| *id != config.sender)?;
    let joined = event["type"] == "m.room.member" && event["content"]["membership"] == "join";
    let person = person(id, policy, config).filter(|_| joined)?;
    let role = if powers.user(id) >= HOST { Role::Host } else { Role::Participant };
    Some(Member { firm: person.firm, user: person.user, role, groups: person.groups })
}

/// The member who is this Matrix user.
pub fn member(events: &[Value], config: &MatrixConfig, id: &str) -> Option<Member> {
    let powers = Powers::of(events);
    let policy = policy(events, &powers);
    let event = events.iter().find(|event| event["type"] == "m.room.member" && event["state_key"] == id)?;
    member_of(event, &policy, &powers, config)
}

/// The room. Whoever is of no firm that we know is no member.
pub fn room(events: &[Value], config: &MatrixConfig) -> Room {
    let powers = Powers::of(events);
    let policy = policy(events, &powers);
    let members = events.iter().filter_map(|event| member_of(event, &policy, &powers, config));
    // one person by two Matrix users is one member, with the higher role
    let mut found: BTreeMap<(FirmId, UserId), Member> = BTreeMap::new();
    for member in members.take(MAX_MEMBERS) {
        let key = (member.firm.clone(), member.user.clone());
        if found.get(&key).is_none_or(|known| known.role < member.role) {
            found.insert(key, member);
        }
    }
    let name = event(events, "m.room.name").and_then(|event| event["content"]["name"].as_str());
    Room {
        title: name.unwrap_or_default().chars().take(200).collect(),
        state: if event(events, "m.room.tombstone").is_some() { State::Closed } else { State::Open },
        members: found.into_values().collect(),
        attributes: policy.attributes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn config() -> MatrixConfig {
        serde_json::from_value(json!({
            "homeserver": "http://127.0.0.1:1", "id": "strongroom", "sender": "@strongroom:bank-a.test",
            "listen": "127.0.0.1:0", "as_token_file": "a", "hs_token_file": "h",
            "servers": { "bank-a.test": "bank-a" },
        }))
        .unwrap()
    }

    fn joined(id: &str) -> Value {
        json!({ "type": "m.room.member", "state_key": id, "content": { "membership": "join" } })
    }

    fn state(guard: i64) -> Vec<Value> {
        let people = json!({ "@x:elsewhere.test": { "firm": "bank-b", "user": "ben" } });
        vec![
            json!({ "type": "m.room.create", "state_key": "", "sender": "@anna:bank-a.test",
                "content": { "room_version": "12" } }),
            json!({ "type": "m.room.power_levels", "state_key": "", "content": { "events": { POLICY: guard } } }),
            json!({ "type": POLICY, "state_key": "", "content": { "people": people } }),
            joined("@strongroom:bank-a.test"),
            joined("@anna:bank-a.test"),
            joined("@x:elsewhere.test"),
            joined("@y:elsewhere.test"),
        ]
    }

    #[test]
    fn a_rooms_word_on_whose_its_people_are_counts_only_where_it_is_guarded() {
        let firms = |guard| -> Vec<String> {
            room(&state(guard), &config()).members.iter().map(|member| member.firm.to_string()).collect()
        };
        assert_eq!(firms(100), ["bank-a", "bank-b"]);
        assert_eq!(firms(50), ["bank-a"], "moderators could let anybody pass as somebody of another firm");
    }

    #[test]
    fn a_creator_is_a_host_only_where_the_rooms_version_says_so() {
        let role = |version: &str| {
            let mut events = state(100);
            events[0]["content"]["room_version"] = json!(version);
            room(&events, &config()).members[0].role
        };
        assert_eq!((role("12"), role("11")), (Role::Host, Role::Participant));
    }
}
