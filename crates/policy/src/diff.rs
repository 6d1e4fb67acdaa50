//! What two versions of a statement differ in, field by field, and whether that asks more of the people in the room.

use crate::cause::Field;
use domain::policy::{
    Archive, Barrier, Conditions, ContentClass, Copies, Demand, Permission, Rule, Side, Statement, Tier,
};
use serde::Serialize;
use std::collections::BTreeSet;

/// What a change does to those in the room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// More is kept, or less is let in: those inside are told before it holds.
    Stricter,
    /// Less is kept, or more is let in.
    Looser,
    /// The firm's own matter.
    Own,
}

/// A value as it is shown; `words` says it in a language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shown {
    /// Of a content class.
    Rule(Rule),
    /// Of the copy.
    Tier(Tier),
    /// Of the store.
    Archive(Archive),
    /// Years.
    Years(u16),
    /// Milliseconds.
    Millis(u64),
    /// Let in or kept out.
    Permission(Permission),
    /// Asked or not.
    Demand(Demand),
    /// A number or a name that is the same in all languages.
    Text(String),
    /// Several of them; an empty list is "none".
    List(Vec<String>),
    /// No limit, everybody.
    Any,
}

/// One field that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Which.
    pub field: Field,
    /// In the older one.
    pub before: Shown,
    /// In the newer one.
    pub after: Shown,
    /// What it does.
    pub effect: Effect,
}

/// What a firm that states nothing asks: nothing.
fn nothing(like: &Statement) -> Statement {
    Statement { audio_video: Rule::Off, chat: Rule::Off, files: Rule::Off, conditions: Box::default(), ..like.clone() }
}

/// What changes from `before` (`None`: the firm had no statement) to `after`, in the order of [`Field`].
pub fn changes(before: Option<&Statement>, after: &Statement) -> Vec<Change> {
    let none = nothing(after);
    let old = before.unwrap_or(&none);
    let (was, is) = (&*old.conditions, &*after.conditions);
    let mut found = Vec::new();
    let mut note = |field: Field, before: Shown, after: Shown, effect: Effect| {
        if before != after {
            found.push(Change { field, before, after, effect });
        }
    };
    for class in ContentClass::ALL {
        let (a, b) = (old.rule(class), after.rule(class));
        note(class.into(), Shown::Rule(a), Shown::Rule(b), rule_effect(a, b));
    }
    let tier = if wider(old.tier, after.tier) { Effect::Stricter } else { Effect::Looser };
    note(Field::Tier, Shown::Tier(old.tier), Shown::Tier(after.tier), tier);
    let years = (old.retention_years, after.retention_years);
    note(Field::Retention, Shown::Years(years.0), Shown::Years(years.1), raised(years.0, years.1));
    note(Field::Archive, Shown::Archive(old.archive), Shown::Archive(after.archive), Effect::Own);
    let grace = (old.recorder_grace_ms, after.recorder_grace_ms);
    note(Field::Grace, Shown::Millis(grace.0), Shown::Millis(grace.1), Effect::Own);
    note(Field::Pause, pause(old), pause(after), Effect::Own);
    let copies = |s: &Statement| {
        Shown::Permission(if s.copies == Copies::None { Permission::Refused } else { Permission::Allowed })
    };
    note(Field::Copies, copies(old), copies(after), Effect::Own);
    let keys = |s: &Statement| Shown::List(s.archive_key_ids.clone());
    note(Field::ArchiveKeys, keys(old), keys(after), Effect::Own);
    note(Field::Veto, veto(was), veto(is), veto_effect(old, after));
    conditions(was, is, &mut note);
    found
}

fn conditions(was: &Conditions, is: &Conditions, note: &mut impl FnMut(Field, Shown, Shown, Effect)) {
    let permission = [(Field::Guests, was.guests, is.guests), (Field::Share, was.share, is.share)];
    for (field, a, b) in permission {
        note(field, Shown::Permission(a), Shown::Permission(b), raised(a, b));
    }
    let demand = [(Field::Lobby, was.lobby, is.lobby), (Field::Passcode, was.passcode, is.passcode)];
    for (field, a, b) in demand {
        note(field, Shown::Demand(a), Shown::Demand(b), raised(a, b));
    }
    let hosts = |c: &Conditions| Shown::List(c.hosts.iter().map(|user| user.as_str().to_owned()).collect());
    note(Field::Hosts, hosts(was), hosts(is), Effect::Own);
    let narrower = match (&was.regions, &is.regions) {
        (_, None) => Effect::Looser,
        (Some(a), Some(b)) if b.is_superset(a) => Effect::Looser,
        _ => Effect::Stricter,
    };
    note(Field::Regions, regions(was), regions(is), narrower);
    let client = |c: &Conditions| Shown::Text(c.oldest_client.to_string());
    note(Field::OldestClient, client(was), client(is), raised(was.oldest_client, is.oldest_client));
    let barred = if is.barriers.is_subset(&was.barriers) { Effect::Looser } else { Effect::Stricter };
    note(Field::Barriers, barriers(&was.barriers), barriers(&is.barriers), barred);
    let notice = |c: &Conditions| Shown::List(c.notice.values().cloned().collect());
    note(Field::Notice, notice(was), notice(is), Effect::Own);
    let contact = |c: &Conditions| Shown::Text(c.contact.clone());
    note(Field::Contact, contact(was), contact(is), Effect::Own);
}

fn raised<T: PartialOrd>(before: T, after: T) -> Effect {
    if after > before { Effect::Stricter } else { Effect::Looser }
}

/// More kept is stricter for those who are kept; so is a veto, which takes a copy or a class from somebody.
fn rule_effect(before: Rule, after: Rule) -> Effect {
    match (before, after) {
        (_, Rule::Off) | (Rule::Must, Rule::Should) => Effect::Looser,
        _ => Effect::Stricter,
    }
}

/// Is there anything in a copy of tier `after` that one of `before` leaves out?
fn wider(before: Tier, after: Tier) -> bool {
    !matches!((before, after), (_, Tier::Audio) | (Tier::Full, _))
}

fn veto(conditions: &Conditions) -> Shown {
    if conditions.veto.is_empty() {
        return Shown::Any;
    }
    Shown::List(conditions.veto.iter().map(ToString::to_string).collect())
}

fn veto_effect(old: &Statement, new: &Statement) -> Effect {
    let (a, b) = (&old.conditions.veto, &new.conditions.veto);
    let forbids = ContentClass::ALL.iter().any(|class| new.rule(*class) == Rule::Forbidden);
    match forbids {
        false => Effect::Own,
        true if a.is_empty() || (!b.is_empty() && b.is_subset(a)) => Effect::Looser,
        true => Effect::Stricter,
    }
}

/// Who may pause is named by number only: a difference is shown to people of other firms too.
fn pause(statement: &Statement) -> Shown {
    let none = Shown::List(Vec::new());
    statement.pause.as_ref().map_or(none, |p| Shown::Text(format!("{} × {} ms", p.by.len(), p.at_most_ms)))
}

fn regions(conditions: &Conditions) -> Shown {
    conditions.regions.as_ref().map_or(Shown::Any, |named| Shown::List(named.iter().cloned().collect()))
}

fn barriers(barriers: &BTreeSet<Barrier>) -> Shown {
    let side = |side: &Side| match side {
        Side::Firm(firm) => firm.to_string(),
        Side::Group(group) => group.clone(),
    };
    let line = |barrier: &Barrier| format!("{} | {}", barrier.ours.as_deref().unwrap_or("*"), side(&barrier.from));
    Shown::List(barriers.iter().map(line).collect())
}
