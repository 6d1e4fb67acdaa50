//! An invitation for calendars: iCalendar (RFC 5545), one event, its link to the right firm's page. Pure.

use domain::UnixMillis;
use domain::calendar::Date;

/// Longest line, bytes without its end (RFC 5545 section 3.1).
const LINE: usize = 75;

/// One meeting as calendars show it.
pub struct Event<'a> {
    /// The same for the same meeting: a calendar replaces what it had.
    pub uid: &'a str,
    /// When it was made.
    pub made: UnixMillis,
    /// Begin.
    pub from: UnixMillis,
    /// End.
    pub until: UnixMillis,
    /// Title.
    pub title: &'a str,
    /// What to do; more lines are well.
    pub text: &'a str,
    /// Where to go.
    pub link: &'a str,
}

/// TEXT of RFC 5545 section 3.3.11; other controls are left out, they could begin a property of their own.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.replace("\r\n", "\n").chars() {
        match c {
            '\\' | ';' | ',' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

/// Folds at 75 bytes, never inside a character.
fn line(out: &mut String, name: &str, value: &str) {
    let whole = format!("{name}:{value}");
    let mut used = 0;
    for c in whole.chars() {
        if used + c.len_utf8() > LINE {
            out.push_str("\r\n ");
            used = 1;
        }
        out.push(c);
        used += c.len_utf8();
    }
    out.push_str("\r\n");
}

fn stamp(at: UnixMillis) -> String {
    let (Date { year, month, day }, second) = (Date::of(at), at.seconds() % 86_400);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

impl Event<'_> {
    /// `text/calendar`.
    pub fn write(&self) -> String {
        let mut out = String::new();
        line(&mut out, "BEGIN", "VCALENDAR");
        line(&mut out, "VERSION", "2.0");
        line(&mut out, "PRODID", "-//Strongroom//Meetings//EN");
        line(&mut out, "METHOD", "PUBLISH");
        line(&mut out, "BEGIN", "VEVENT");
        line(&mut out, "UID", &escaped(self.uid));
        line(&mut out, "DTSTAMP", &stamp(self.made));
        line(&mut out, "DTSTART", &stamp(self.from));
        line(&mut out, "DTEND", &stamp(self.until));
        line(&mut out, "SUMMARY", &escaped(self.title));
        line(&mut out, "DESCRIPTION", &escaped(self.text));
        line(&mut out, "LOCATION", &escaped(self.link));
        // a URI is no TEXT: nothing in it is escaped, and nothing in it may end the line
        line(&mut out, "URL", &self.link.chars().filter(|c| !c.is_control()).collect::<String>());
        line(&mut out, "END", "VEVENT");
        line(&mut out, "END", "VCALENDAR");
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(title: &str) -> String {
        let at = UnixMillis(1_800_000_000_000);
        let link = "https://bank-a.example/guest?i=guest-00";
        Event { uid: "guest-00@bank-a", made: at, from: at, until: at.plus(3_600_000), title, text: "One\ntwo", link }
            .write()
    }

    #[test]
    fn a_title_with_signs_of_the_format_stays_a_title() {
        let made = event("A; B, C \\ D\r\nATTENDEE:mailto:x\u{7}\rEND:VEVENT");
        assert!(made.contains("SUMMARY:A\\; B\\, C \\\\ D\\nATTENDEE:mailto:xEND:VEVENT\r\n"), "{made}");
        let attendees = made.lines().filter(|line| line.starts_with("ATTENDEE")).count();
        let ends = made.lines().filter(|line| *line == "END:VEVENT").count();
        assert_eq!((attendees, ends), (0, 1));
        assert!(made.contains("DESCRIPTION:One\\ntwo\r\n"));
        assert!(made.contains("DTSTART:20270115T080000Z\r\n") && made.contains("DTEND:20270115T090000Z\r\n"), "{made}");
        assert!(made.contains("URL:https://bank-a.example/guest?i=guest-00\r\n"));
    }

    #[test]
    fn long_lines_are_folded_at_75_bytes_and_never_inside_a_character() {
        let title = "Überprüfung ".repeat(20);
        let made = event(&title);
        assert!(made.split("\r\n").all(|line| line.len() <= LINE), "{made}");
        assert!(made.replace("\r\n ", "").contains(title.trim_end()));
    }
}
