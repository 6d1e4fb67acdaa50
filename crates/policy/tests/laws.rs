//! The laws of resolution, over statements made at random.
#![allow(clippy::unwrap_used, missing_docs)]

use domain::policy::{
    Archive, Barrier, Conditions, ContentClass, Copies, Demand, Language, Permission, Rule, Side, Statement, Tier,
};
use domain::{FirmId, RoomId, UnixMillis};
use policy::{Clash, Effect, Field, Person, Resolved, changes, notices, resolve, simulate, words};
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use std::collections::BTreeSet;

const FIRMS: [&str; 4] = ["bank-a", "bank-b", "bank-c", "bank-d"];
const GROUPS: [&str; 2] = ["research", "sales"];

fn firm(n: usize) -> FirmId {
    FIRMS[n].parse().unwrap()
}

fn room() -> RoomId {
    "deal-room".parse().unwrap()
}

fn plain(n: usize) -> Statement {
    Statement {
        version: 2,
        serial: 1,
        firm: firm(n),
        room: room(),
        audio_video: Rule::Off,
        chat: Rule::Off,
        files: Rule::Off,
        tier: Tier::Full,
        retention_years: 5,
        archive: Archive::Worm,
        pause: None,
        copies: Copies::None,
        recorder_grace_ms: 2_000,
        archive_key_ids: Vec::new(),
        issued_at: UnixMillis(1),
        conditions: Box::new(Conditions { contact: format!("desk of {}", FIRMS[n]), ..Conditions::default() }),
    }
}

fn rule() -> impl Strategy<Value = Rule> {
    prop::sample::select(vec![Rule::Must, Rule::Should, Rule::Off, Rule::Forbidden])
}

fn group() -> impl Strategy<Value = String> {
    prop::sample::select(GROUPS.to_vec()).prop_map(str::to_owned)
}

fn barrier() -> impl Strategy<Value = Barrier> {
    let side = prop_oneof![(0..FIRMS.len()).prop_map(|n| Side::Firm(firm(n))), group().prop_map(Side::Group)];
    (prop::option::of(group()), side).prop_map(|(ours, from)| Barrier { ours, from })
}

prop_compose! {
    fn conditions()(
        veto in btree_set((0..FIRMS.len()).prop_map(firm), 0..3),
        (guests, share) in (any::<bool>(), any::<bool>()),
        (lobby, passcode) in (any::<bool>(), any::<bool>()),
        regions in prop::option::of(btree_set(prop::sample::select(vec!["eu", "uk", "us"]), 1..4)),
        oldest_client in 0u32..4,
        barriers in btree_set(barrier(), 0..2),
    ) -> Conditions {
        let permission = |refused| if refused { Permission::Refused } else { Permission::Allowed };
        let demand = |wanted| if wanted { Demand::Wanted } else { Demand::Free };
        Conditions {
            veto,
            guests: permission(guests),
            share: permission(share),
            lobby: demand(lobby),
            passcode: demand(passcode),
            regions: regions.map(|named| named.into_iter().map(str::to_owned).collect()),
            oldest_client,
            barriers,
            ..Conditions::default()
        }
    }
}

prop_compose! {
    fn statement(n: usize)(
        rules in [rule(), rule(), rule()],
        tier in prop::sample::select(vec![Tier::Audio, Tier::P360, Tier::Full, Tier::ScreenOnly]),
        (serial, years) in (1u64..3, 1u16..10),
        conditions in conditions(),
    ) -> Statement {
        let [audio_video, chat, files] = rules;
        let contact = format!("desk of {}", FIRMS[n]);
        let conditions = Box::new(Conditions { contact, ..conditions });
        Statement { audio_video, chat, files, tier, serial, retention_years: years, conditions, ..plain(n) }
    }
}

/// One statement of each of some firms.
fn statements() -> impl Strategy<Value = Vec<Statement>> {
    let each: [_; 4] = std::array::from_fn(|n| prop::option::of(statement(n)));
    each.prop_map(|found| found.into_iter().flatten().collect())
}

fn person() -> impl Strategy<Value = Person> {
    let who = (0..FIRMS.len(), 0..3usize, btree_set(group(), 0..3), any::<bool>());
    let with = (prop::option::of(0u32..4), prop::option::of(prop::sample::select(vec!["eu", "uk", "us"])));
    (who, with).prop_map(|((n, user, groups, guest), (client, region))| Person {
        firm: firm(n),
        user: format!("user-{user}").parse().unwrap(),
        groups,
        guest,
        client,
        region: region.map(str::to_owned),
    })
}

/// Everything that is let in under `resolved`.
fn lets_in(resolved: &Resolved) -> (Vec<bool>, u32, Option<BTreeSet<String>>) {
    let mut open: Vec<bool> = ContentClass::ALL.iter().map(|class| resolved.open(*class).is_ok()).collect();
    open.extend([resolved.guests().is_ok(), resolved.share().is_ok()]);
    open.extend([resolved.lobby().is_none(), resolved.passcode().is_none()]);
    (open, resolved.oldest_client(), resolved.regions())
}

fn no_wider(after: &Resolved, before: &Resolved) {
    let (after, before) = (lets_in(after), lets_in(before));
    for (now, then) in after.0.iter().zip(&before.0) {
        assert!(then | !now, "let in what was kept out: {after:?} after {before:?}");
    }
    assert!(after.1 >= before.1);
    match (&after.2, &before.2) {
        (_, None) => {}
        (None, Some(_)) => panic!("a limit of regions is gone"),
        (Some(now), Some(then)) => assert!(now.is_subset(then)),
    }
}

proptest! {
    #[test]
    fn the_order_and_repetition_of_statements_change_nothing(
        (given, mixed) in vec((0..FIRMS.len()).prop_flat_map(statement), 0..6)
            .prop_flat_map(|given| (Just(given.clone()), Just(given).prop_shuffle()))
    ) {
        prop_assert_eq!(resolve(&given), resolve(&mixed));
        let twice: Vec<Statement> = given.iter().chain(&mixed).cloned().collect();
        prop_assert_eq!(resolve(&given), resolve(&twice));
    }

    #[test]
    fn what_is_resolved_resolves_to_itself(given in statements()) {
        if let Ok(resolved) = resolve(&given) {
            prop_assert_eq!(resolve(resolved.statements()), Ok(resolved.clone()));
        }
    }

    #[test]
    fn forbidden_always_wins(given in statements()) {
        let resolved = resolve(&given);
        for from in &given {
            for class in ContentClass::ALL.into_iter().filter(|class| from.rule(*class) == Rule::Forbidden) {
                let veto = &from.conditions.veto;
                let concerned = given.iter().filter(|s| s.firm != from.firm && (veto.is_empty() || veto.contains(&s.firm)));
                for other in concerned {
                    match &resolved {
                        Ok(held) => prop_assert!(!held.firm(&other.firm).unwrap().rule(class).keeps()),
                        Err(clashes) => prop_assert!(!clashes.is_empty()),
                    }
                    let named = |clash: &Clash| matches!(clash, Clash::Veto { class: of, must, forbidden }
                        if *of == class && must.firm == other.firm && forbidden.firm == from.firm);
                    let clashing = resolved.as_ref().is_err_and(|clashes| clashes.iter().any(named));
                    prop_assert_eq!(clashing, other.rule(class) == Rule::Must);
                }
                if let Ok(held) = &resolved {
                    prop_assert!(!held.firm(&from.firm).unwrap().rule(class).keeps());
                }
            }
        }
    }

    #[test]
    fn what_one_firm_must_keep_is_kept_of_everybody_or_nobody_meets(given in statements()) {
        let Ok(resolved) = resolve(&given) else { return Ok(()) };
        for statement in &given {
            for class in ContentClass::ALL.into_iter().filter(|class| statement.rule(*class) == Rule::Must) {
                prop_assert!(resolved.keepers(class).any(|kept| kept == (&statement.firm, Rule::Must)));
                for language in Language::ALL {
                    let told = notices(&resolved, language).join(" ");
                    prop_assert!(told.contains(statement.firm.as_str()), "{told}");
                }
            }
        }
    }

    #[test]
    fn nobody_keeps_more_than_its_own_statement_says(given in statements()) {
        let Ok(resolved) = resolve(&given) else { return Ok(()) };
        for (stated, held) in given.iter().zip(resolved.statements()) {
            for class in ContentClass::ALL {
                prop_assert!(held.rule(class) == stated.rule(class) || held.rule(class) == Rule::Off);
            }
            let own = |s: &Statement| (s.tier, s.retention_years, s.archive, s.recorder_grace_ms, s.conditions.clone());
            prop_assert_eq!(own(stated), own(held));
        }
    }

    #[test]
    fn one_more_firm_never_loosens(given in statements(), n in 0..FIRMS.len(), more in (0..FIRMS.len()).prop_flat_map(statement)) {
        let fewer: Vec<Statement> = given.iter().filter(|s| s.firm != firm(n) && s.firm != more.firm).cloned().collect();
        let all: Vec<Statement> = fewer.iter().cloned().chain([more]).collect();
        match (resolve(&fewer), resolve(&all)) {
            (Err(before), after) => {
                let after = after.expect_err("a clash does not go away by one more firm");
                let vetoes = |clash: &&Clash| !matches!(clash, Clash::Regions { .. });
                prop_assert!(before.iter().filter(vetoes).all(|clash| after.contains(clash)));
            }
            (Ok(_), Err(clashes)) => prop_assert!(clashes.iter().all(|clash| !clash.causes().is_empty())),
            (Ok(before), Ok(after)) => {
                no_wider(&after, &before);
                for was in before.statements() {
                    let is = after.firm(&was.firm).unwrap();
                    for class in ContentClass::ALL {
                        // a copy may only vanish, and what must be kept stays so
                        prop_assert!(!is.rule(class).keeps() || is.rule(class) == was.rule(class));
                        prop_assert!(was.rule(class) != Rule::Must || is.rule(class) == Rule::Must);
                    }
                }
            }
        }
    }

    #[test]
    fn every_clash_and_refusal_names_statement_firm_and_contact(given in statements(), roster in vec(person(), 0..8)) {
        let outcome = simulate(&given, &room(), &roster);
        let refused = outcome.refused.iter().map(|(_, refusal)| &refusal.cause);
        for cause in outcome.clashes.iter().flat_map(Clash::causes).chain(refused) {
            let stated = given.iter().find(|s| s.firm == cause.firm);
            prop_assert_eq!(cause.serial, stated.map(|s| s.serial));
            prop_assert_eq!(cause.contact.as_str(), stated.map_or("", |s| s.conditions.contact.as_str()));
            prop_assert!(stated.is_some() || cause.field == Field::Statement);
        }
        for language in Language::ALL {
            for clash in &outcome.clashes {
                let said = words::clash(language, clash);
                prop_assert!(clash.causes().iter().all(|c| said.contains(&c.contact) && said.contains(c.firm.as_str())));
            }
            for (person, refusal) in &outcome.refused {
                let said = words::refusal(language, refusal);
                prop_assert!(said.contains(refusal.cause.firm.as_str()) && said.contains(&refusal.cause.contact));
                prop_assert!(!said.contains(person.user.as_str()));
            }
        }
    }

    #[test]
    fn who_is_in_breaks_no_rule_and_who_is_refused_breaks_one(given in statements(), roster in vec(person(), 0..8)) {
        let outcome = simulate(&given, &room(), &roster);
        if !outcome.clashes.is_empty() {
            prop_assert!(outcome.entered.is_empty());
            return Ok(());
        }
        prop_assert_eq!(outcome.entered.len() + outcome.refused.len(), roster.len());
        for inside in &outcome.entered {
            let stated = given.iter().find(|s| s.firm == inside.firm);
            prop_assert!(stated.is_some());
            let all = given.iter().filter(|s| roster.iter().any(|p| p.firm == s.firm));
            for s in all {
                prop_assert!(!inside.guest || s.conditions.guests == Permission::Allowed);
                prop_assert!(inside.client.is_none_or(|version| version >= s.conditions.oldest_client));
                for barrier in &s.conditions.barriers {
                    let left = inside.firm == s.firm && barrier.ours.as_ref().is_none_or(|g| inside.groups.contains(g));
                    let right = |other: &&Person| match &barrier.from {
                        Side::Firm(firm) => other.firm == *firm,
                        Side::Group(group) => other.firm == s.firm && other.groups.contains(group),
                    };
                    let mut met = outcome.entered.iter().filter(|o| (&o.firm, &o.user) != (&inside.firm, &inside.user));
                    prop_assert!(!left || !met.any(|other| right(&other)));
                }
            }
        }
    }

    #[test]
    fn a_version_differs_from_itself_in_nothing_and_a_difference_has_a_direction(
        (before, after) in (0..FIRMS.len()).prop_flat_map(|n| (statement(n), statement(n)))
    ) {
        prop_assert_eq!(changes(Some(&before), &before), vec![]);
        let (there, back) = (changes(Some(&before), &after), changes(Some(&after), &before));
        let fields = |changes: &[policy::Change]| changes.iter().map(|c| c.field).collect::<Vec<_>>();
        prop_assert_eq!(fields(&there), fields(&back));
        for (there, back) in there.iter().zip(&back) {
            prop_assert_ne!((there.effect, back.effect), (Effect::Looser, Effect::Looser), "{:?}", there.field);
        }
    }

    #[test]
    fn a_change_that_lets_in_less_is_called_stricter((before, after) in (statement(0), statement(0))) {
        let (Ok(was), Ok(is)) = (resolve(std::slice::from_ref(&before)), resolve(std::slice::from_ref(&after))) else {
            return Ok(());
        };
        if changes(Some(&before), &after).iter().all(|change| change.effect != Effect::Stricter) {
            // nothing stricter: whatever was let in still is
            no_wider(&was, &is);
        }
    }

    #[test]
    fn statements_read_back_from_json(given in statements()) {
        for statement in given {
            let text = serde_json::to_string(&statement).unwrap();
            prop_assert_eq!(serde_json::from_str::<Statement>(&text).unwrap(), statement);
        }
    }
}

#[test]
fn a_veto_that_names_a_firm_leaves_the_others_copies() {
    let mut finra = plain(0);
    finra.audio_video = Rule::Forbidden;
    finra.conditions.veto = [firm(1)].into();
    let keeps = |n: usize, rule| Statement { audio_video: rule, ..plain(n) };
    let held = resolve(&[finra.clone(), keeps(1, Rule::Should), keeps(2, Rule::Must)]).unwrap();
    let rules: Vec<Rule> = held.statements().iter().map(|s| s.audio_video).collect();
    assert_eq!(rules, [Rule::Forbidden, Rule::Off, Rule::Must]);
    // who is named is not here: only the firm's own copy is off
    let held = resolve(&[finra, keeps(2, Rule::Must)]).unwrap();
    assert_eq!(held.firm(&firm(0)).unwrap().audio_video, Rule::Off);
}

#[test]
fn regions_without_a_common_one_clash_and_everybody_is_named() {
    let within = |n: usize, names: &[&str]| {
        let mut statement = plain(n);
        statement.conditions.regions = Some(names.iter().map(|name| (*name).to_owned()).collect());
        statement
    };
    let held = resolve(&[within(0, &["eu", "uk"]), within(1, &["uk", "us"]), plain(2)]).unwrap();
    assert_eq!(held.regions(), Some(["uk".to_owned()].into()));
    let clashes = resolve(&[within(0, &["eu"]), within(1, &["us"]), plain(2)]).unwrap_err();
    let named: Vec<&str> = clashes[0].causes().iter().map(|cause| cause.firm.as_str()).collect();
    assert_eq!(named, ["bank-a", "bank-b"]);
}

#[test]
fn a_notice_says_who_keeps_what_for_how_long_and_adds_the_firms_own_words() {
    let mut a = Statement { audio_video: Rule::Must, retention_years: 7, ..plain(0) };
    a.conditions.notice = [(Language::En, "Do not discuss client names.".to_owned())].into();
    let b = Statement { chat: Rule::Forbidden, ..plain(1) };
    let held = resolve(&[a, b]).unwrap();
    let en = notices(&held, Language::En);
    assert_eq!(
        en,
        [
            "bank-a keeps audio and video for 7 years.",
            "bank-b has switched off: chat.",
            "bank-a: Do not discuss client names."
        ]
    );
    let de = notices(&held, Language::De);
    assert_eq!(de[0], "bank-a bewahrt 7 Jahre lang auf: Ton und Bild.");
    assert_eq!(de[2], "bank-a: Do not discuss client names.");
}
