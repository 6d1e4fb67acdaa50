//! One event as one line: RFC 5424 or JSON. Pure: told the time.
//! Not a wire type: what is read here is configuration.

use super::events::{Code, Event};
use serde::Deserialize;

/// Syslog's facility for security messages, "authpriv".
const FACILITY: u8 = 10;
/// Structured data is ours; without a number of our own at IANA this is the one that RFC 5424 leaves for examples.
const SD_ID: &str = "strongroom@32473";

/// How a line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// A JSON object.
    #[default]
    Json,
    /// Syslog.
    Rfc5424,
}

/// What every line of a process has.
#[derive(Debug, Clone)]
pub struct Source {
    /// Host name, `-` if unknown.
    pub host: String,
    /// Program.
    pub program: &'static str,
    /// Process.
    pub process: u32,
}

/// The line, without its end. `time` is RFC 3339 in UTC; `left_out` lines of the same event came before it and were not
/// written.
pub fn line(format: Format, source: &Source, time: &str, event: Event, code: Code, left_out: u64) -> String {
    let Source { host, program, process } = source;
    let (name, severity, code, meaning) = (event.name(), event.severity(), code.text(), event.meaning());
    match format {
        // nothing in it needs escaping: our own words, a host name, numbers
        Format::Json => format!(
            "{{\"time\":\"{time}\",\"host\":\"{host}\",\"program\":\"{program}\",\"process\":{process},\"event\":\"{name}\",\
             \"severity\":\"{}\",\"code\":\"{code}\",\"left_out\":{left_out},\"text\":\"{meaning}\"}}",
            severity.name()
        ),
        Format::Rfc5424 => {
            let priority = FACILITY * 8 + severity as u8;
            format!(
                "<{priority}>1 {time} {host} {program} {process} {name} [{SD_ID} code=\"{code}\" left_out=\"{left_out}\"] {meaning}"
            )
        }
    }
}

/// A host name as both formats take it: visible ASCII without quotes, at most 255.
pub fn host(name: &str) -> String {
    let clean: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || "-._".contains(*c)).take(255).collect();
    if clean.is_empty() { "-".to_owned() } else { clean }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_of_rfc_5424_or_json() {
        let source = Source { host: host("node-1.bank\"\n"), program: "strongroom-custody", process: 7 };
        let time = "2026-11-22T16:00:00.000001Z";
        let syslog = line(Format::Rfc5424, &source, time, Event::CustodyRefused, Code::of("bad-token"), 2);
        assert_eq!(
            syslog,
            "<84>1 2026-11-22T16:00:00.000001Z node-1.bank strongroom-custody 7 custody-refused \
             [strongroom@32473 code=\"bad-token\" left_out=\"2\"] Custody refused a request; the code says why."
        );
        for event in Event::ALL {
            let json = line(Format::Json, &source, time, event, Code::NONE, 0);
            assert!(
                !json.contains('\n') && json.matches('"').count() == 32 && !event.meaning().contains(['"', '\\', ']'])
            );
            assert!(json.starts_with("{\"time\":\"2026") && json.ends_with(".\"}"), "{json}");
        }
    }
}
