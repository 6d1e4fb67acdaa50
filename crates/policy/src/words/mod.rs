//! What people read about statements, in their language: changes, clashes, refusals, whom to call.

mod de;
mod en;
mod fr;
mod key;

pub use key::Key;

use crate::cause::{Cause, Field};
use crate::diff::{Change, Shown};
use crate::entry::Refusal;
use crate::resolve::Clash;
use domain::policy::Language;

/// The text of `key`, its parts in braces filled in.
pub fn say(language: Language, key: Key, parts: &[(&str, &str)]) -> String {
    let text = match language {
        Language::En => en::text(key),
        Language::Fr => fr::text(key),
        Language::De => de::text(key),
    };
    let mut said = String::with_capacity(text.len());
    let mut rest = text;
    // one pass: what is filled in is never looked at for braces again
    while let Some((before, tail)) = rest.split_once('{') {
        let Some((name, after)) = tail.split_once('}') else { break };
        said.push_str(before);
        said.push_str(parts.iter().find(|(part, _)| *part == name).map_or("", |(_, value)| *value));
        rest = after;
    }
    said.push_str(rest);
    said
}

fn word(language: Language, key: impl Into<Key>) -> String {
    say(language, key.into(), &[])
}

/// The name of a field.
pub fn field(language: Language, field: Field) -> String {
    word(language, field)
}

/// A value.
pub fn shown(language: Language, shown: &Shown) -> String {
    match shown {
        Shown::Rule(rule) => word(language, *rule),
        Shown::Tier(tier) => word(language, *tier),
        Shown::Archive(archive) => word(language, *archive),
        Shown::Permission(permission) => word(language, *permission),
        Shown::Demand(demand) => word(language, *demand),
        Shown::Years(years) => say(language, Key::Years, &[("n", &years.to_string())]),
        Shown::Millis(ms) => say(language, Key::Millis, &[("n", &ms.to_string())]),
        Shown::Text(text) if text.is_empty() => word(language, Key::None),
        Shown::Text(text) => text.clone(),
        Shown::List(list) if list.is_empty() => word(language, Key::None),
        Shown::List(list) => list.join(", "),
        Shown::Any => word(language, Key::Any),
    }
}

/// A change, in one line.
pub fn change(language: Language, change: &Change) -> String {
    let (before, after) = (shown(language, &change.before), shown(language, &change.after));
    let (name, effect) = (field(language, change.field), word(language, change.effect));
    say(language, Key::Change, &[("field", &name), ("before", &before), ("after", &after), ("effect", &effect)])
}

/// Whom to call.
pub fn call(language: Language, cause: &Cause) -> String {
    let firm = ("firm", cause.firm.as_str());
    if cause.contact.is_empty() {
        return say(language, Key::CallAdministrators, &[firm]);
    }
    say(language, Key::Call, &[firm, ("contact", &cause.contact)])
}

fn serial(cause: &Cause) -> String {
    cause.serial.map(|serial| serial.to_string()).unwrap_or_default()
}

/// A clash: which statements, of whom, and whom to call.
pub fn clash(language: Language, clash: &Clash) -> String {
    let mut said = match clash {
        Clash::Veto { class, must, forbidden } => {
            let class = field(language, (*class).into());
            let parts = [
                ("must", must.firm.as_str()),
                ("mustserial", &serial(must)),
                ("class", &class),
                ("forbidden", forbidden.firm.as_str()),
                ("forbiddenserial", &serial(forbidden)),
            ];
            say(language, Key::ClashVeto, &parts)
        }
        Clash::Regions { between } => {
            let firms: Vec<String> = between.iter().map(|c| format!("{} ({})", c.firm, serial(c))).collect();
            say(language, Key::ClashRegions, &[("firms", &firms.join(", "))])
        }
        Clash::Serial { of } => say(language, Key::ClashSerial, &[("firm", of.firm.as_str()), ("serial", &serial(of))]),
    };
    for cause in clash.causes() {
        said.push(' ');
        said.push_str(&call(language, cause));
    }
    said
}

/// A refusal: by which statement, and whom to call. It names nobody who is in the meeting.
pub fn refusal(language: Language, refusal: &Refusal) -> String {
    let parts = [("firm", refusal.cause.firm.as_str()), ("serial", &serial(&refusal.cause))];
    format!("{} {}", say(language, refusal.why.into(), &parts), call(language, &refusal.cause))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn parts(text: &str) -> BTreeSet<&str> {
        text.split('{').skip(1).filter_map(|tail| tail.split_once('}')).map(|(name, _)| name).collect()
    }

    #[test]
    fn every_text_has_the_same_parts_in_all_languages() {
        for key in Key::ALL {
            let (en, fr, de) = (en::text(key), fr::text(key), de::text(key));
            assert!(!en.is_empty() && !fr.is_empty() && !de.is_empty(), "{key:?}");
            assert_eq!(parts(en), parts(fr), "{key:?}");
            assert_eq!(parts(en), parts(de), "{key:?}");
        }
    }

    #[test]
    fn what_a_firm_wrote_is_not_read_as_a_text_with_parts() {
        let cause = Cause {
            firm: "bank-a".parse().unwrap(),
            serial: Some(1),
            field: Field::Chat,
            contact: "{firm} {serial}".to_owned(),
        };
        assert_eq!(call(Language::En, &cause), "Call bank-a: {firm} {serial}.");
    }
}
