//! Numbers that a service shows: each is a named static with its meaning, listed in [`names`]. A label is a number or one of
//! our own words, by type: no room, meeting, person or key can ever be one.

pub mod names;
mod process;

use crate::security;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

/// How a number moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only up, from 0 at the start of the process.
    Counter,
    /// Up and down.
    Gauge,
}

/// A number with its name and meaning.
#[derive(Debug)]
pub struct Metric {
    /// `strongroom_<service>_<what>[_<unit>][_total]`.
    pub name: &'static str,
    /// One sentence.
    pub help: &'static str,
    /// How it moves.
    pub kind: Kind,
    value: AtomicU64,
}

impl Metric {
    const fn new(kind: Kind, name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind, value: AtomicU64::new(0) }
    }

    /// Once more.
    pub fn count(&self) {
        self.add(1);
    }

    /// `more` to it.
    pub fn add(&self, more: u64) {
        self.value.fetch_add(more, Ordering::Relaxed);
    }

    /// What it is now: gauges, and counters that are kept elsewhere.
    pub fn set(&self, value: u64) {
        self.value.store(value, Ordering::Relaxed);
    }

    /// What it is now.
    pub fn get(&self) -> u64 {
        self.value.load(Ordering::Relaxed)
    }
}

/// What tells the lines of one metric apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label {
    /// Nothing: there is one line.
    None,
    /// A shard's number.
    Shard(usize),
    /// Version of this program.
    Version(&'static str),
    /// What was reported.
    Event(security::Event),
}

/// One line: a metric that has several, or whose value is made for this answer.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// Which.
    pub metric: &'static Metric,
    /// Which of its lines.
    pub label: Label,
    /// Its value.
    pub value: u64,
}

/// Which service shows its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// `strongroom-sfu`.
    Sfu,
    /// `strongroom-signaling`.
    Signaling,
    /// `strongroom-recorder`.
    Recorder,
    /// `strongroom-front`.
    Front,
    /// `strongroom-custody`.
    Custody,
}

impl Service {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Sfu, Self::Signaling, Self::Recorder, Self::Front, Self::Custody];

    /// Name of the program.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sfu => "strongroom-sfu",
            Self::Signaling => "strongroom-signaling",
            Self::Recorder => "strongroom-recorder",
            Self::Front => "strongroom-front",
            Self::Custody => "strongroom-custody",
        }
    }

    /// Its own numbers with one line each; those of [`names::EVERY`] come on top.
    pub fn metrics(self) -> &'static [&'static Metric] {
        match self {
            Self::Sfu => names::sfu::LIST,
            Self::Signaling => names::signaling::LIST,
            Self::Recorder => names::recorder::LIST,
            Self::Front => names::front::LIST,
            Self::Custody => names::custody::LIST,
        }
    }
}

/// Everything `service` shows, in Prometheus' text format 0.0.4. `more` are the lines made for this answer, those of one
/// metric together.
pub fn page(service: Service, more: &[Sample]) -> String {
    let one = |metric: &&'static Metric| Sample { metric, label: Label::None, value: metric.get() };
    let mut samples: Vec<Sample> = service.metrics().iter().map(one).collect();
    samples.extend_from_slice(more);
    samples.extend(process::samples());
    samples.push(Sample { metric: &names::BUILD_INFO, label: Label::Version(env!("CARGO_PKG_VERSION")), value: 1 });
    samples.push(one(&&names::SECURITY_EVENTS_LOST));
    samples.extend(security::counts().map(|(event, value)| Sample {
        metric: &names::SECURITY_EVENTS,
        label: Label::Event(event),
        value,
    }));
    render(&samples)
}

fn render(samples: &[Sample]) -> String {
    let mut out = String::new();
    let mut last = "";
    for Sample { metric, label, value } in samples {
        let Metric { name, help, kind, .. } = metric;
        if *name != last {
            let kind = if *kind == Kind::Counter { "counter" } else { "gauge" };
            // writing to a String does not fail
            let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
            last = name;
        }
        let _ = match label {
            Label::None => writeln!(out, "{name} {value}"),
            Label::Shard(shard) => writeln!(out, "{name}{{shard=\"{shard}\"}} {value}"),
            Label::Version(version) => writeln!(out, "{name}{{version=\"{version}\"}} {value}"),
            Label::Event(event) => writeln!(out, "{name}{{event=\"{}\"}} {value}", event.name()),
        };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn listed() -> impl Iterator<Item = (&'static str, &'static Metric)> {
        let every = names::EVERY.iter().map(|metric| ("strongroom_", *metric));
        let own = Service::ALL.into_iter().flat_map(|service| {
            let prefix = match service {
                Service::Sfu => "strongroom_sfu_",
                Service::Signaling => "strongroom_signaling_",
                Service::Recorder => "strongroom_recorder_",
                Service::Front => "strongroom_front_",
                Service::Custody => "strongroom_custody_",
            };
            service.metrics().iter().map(move |metric| (prefix, *metric))
        });
        every.chain(own).chain(names::sfu::BY_SHARD.iter().map(|metric| ("strongroom_sfu_", *metric)))
    }

    #[test]
    fn every_name_is_unique_well_formed_and_says_its_kind_and_meaning() {
        let mut seen = BTreeSet::new();
        for (prefix, Metric { name, help, kind, .. }) in listed() {
            assert!(name.starts_with(prefix) || name.starts_with("process_"), "{name}");
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'), "{name}");
            assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
            assert!(help.len() > 12 && help.ends_with('.') && !help.contains('\\'), "{name}: {help}");
            assert!(seen.insert(name), "{name} is there twice");
        }
    }

    #[test]
    fn labels_are_shard_version_and_event_and_nothing_else() {
        security::report(security::Event::Started);
        let shards = [0, 1].map(|n| Sample { metric: names::sfu::BY_SHARD[0], label: Label::Shard(n), value: 7 });
        for service in Service::ALL {
            let page = page(service, &shards);
            assert!(page.contains(&format!("strongroom_build_info{{version=\"{}\"}} 1\n", env!("CARGO_PKG_VERSION"))));
            for line in page.lines().filter(|line| !line.starts_with('#')) {
                let Some((_, rest)) = line.split_once('{') else { continue };
                let label = rest.split_once("=\"").expect("a label has a value").0;
                assert!(["shard", "version", "event"].contains(&label), "{line}");
                assert!(!rest.contains(','), "one label at most: {line}");
            }
        }
    }

    #[test]
    fn a_metric_of_several_lines_has_one_head() {
        let lines = [0, 1].map(|n| Sample { metric: names::sfu::BY_SHARD[0], label: Label::Shard(n), value: n as u64 });
        let text = render(&lines);
        assert_eq!(text.matches("# TYPE").count(), 1);
        assert!(text.ends_with("{shard=\"0\"} 0\nstrongroom_sfu_shard_busy_permille{shard=\"1\"} 1\n"), "{text}");
    }
}
