//! What everybody is told before they speak, from the statements: who keeps what for how long, what is switched off, and
//! what each firm adds in its own words.

use crate::resolve::Resolved;
use crate::words::{Key, field, say};
use domain::policy::{ContentClass, Language};

/// The notice, a line each, in `language`. A firm's own words stand in that language, else in English, else in the first
/// it gave.
pub fn notices(resolved: &Resolved, language: Language) -> Vec<String> {
    let mut lines = Vec::new();
    for statement in resolved.statements() {
        let kept = ContentClass::ALL.into_iter().filter(|class| statement.rule(*class).keeps());
        let kept: Vec<String> = kept.map(|class| field(language, class.into())).collect();
        if !kept.is_empty() {
            let years = statement.retention_years.to_string();
            let parts = [("firm", statement.firm.as_str()), ("class", &kept.join(", ")), ("n", &years)];
            lines.push(say(language, Key::NoticeKeeps, &parts));
        }
    }
    if lines.is_empty() {
        lines.push(say(language, Key::NoticeNobody, &[]));
    }
    for class in ContentClass::ALL {
        if let Err(cause) = resolved.open(class) {
            let parts = [("firm", cause.firm.as_str()), ("class", &field(language, class.into()))];
            lines.push(say(language, Key::NoticeClosed, &parts));
        }
    }
    for statement in resolved.statements() {
        let texts = &statement.conditions.notice;
        let own = texts.get(&language).or_else(|| texts.get(&Language::En)).or_else(|| texts.values().next());
        if let Some(text) = own {
            lines.push(say(language, Key::NoticeAdds, &[("firm", statement.firm.as_str()), ("text", text)]));
        }
    }
    lines
}
