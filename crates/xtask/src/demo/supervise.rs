//! The twelve processes together: started in order, watched, stopped in order.

use super::plan::{FIRMS, Plan, TOKENS};
use super::process::{LOOK, Running, Service, WhenItEnds};
use crate::ended::failed;
use crate::{run, say};
use nix::sys::signal::{SigSet, Signal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A recorder closes its archive when asked to end: segments, manifest, three signatures of its token.
const PATIENCE: Duration = Duration::from_secs(8);
/// First wait before a restart; doubled up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// A process that keeps failing is tried twice a minute.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Who ran so long is healthy again: its next restart is a first one.
const HEALTHY: Duration = Duration::from_secs(20);

/// Set when the person pressed Ctrl-C or the system asks to end.
#[derive(Clone)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Catches both signals from now on. To be called before any thread or child exists.
    pub fn catch() -> anyhow::Result<Self> {
        let mut wanted = SigSet::empty();
        wanted.add(Signal::SIGINT);
        wanted.add(Signal::SIGTERM);
        wanted.thread_block()?;
        let stop = Self(Arc::new(AtomicBool::new(false)));
        let told = stop.clone();
        std::thread::spawn(move || {
            while wanted.wait().is_ok() {
                told.0.store(true, Ordering::Relaxed);
            }
        });
        Ok(stop)
    }
    /// Was it?
    pub fn asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// All services in the order in which they start.
pub fn services(plan: &Plan) -> Vec<Service> {
    let service = |name: String, program: &str, config: std::path::PathBuf, when_it_ends| Service {
        log: plan.at("logs").join(format!("{}.log", name.replace(' ', "-"))),
        program: plan.binaries.join(program),
        name,
        config,
        when_it_ends,
    };
    let mut all = Vec::new();
    for firm in &FIRMS {
        for token in TOKENS {
            let config = plan.firm(firm, &format!("custody-{token}.toml"));
            all.push(service(
                format!("{} custody {token}", firm.id),
                "strongroom-custody",
                config,
                WhenItEnds::Restart,
            ));
        }
    }
    for firm in &FIRMS {
        all.push(service(
            format!("{} front", firm.id),
            "strongroom-front",
            plan.firm(firm, "front.toml"),
            WhenItEnds::EndAll,
        ));
    }
    all.push(service(
        "signaling".into(),
        "strongroom-signaling",
        plan.at("operator/signaling.toml"),
        WhenItEnds::EndAll,
    ));
    all.push(service("sfu".into(), "strongroom-sfu", plan.at("operator/sfu.toml"), WhenItEnds::EndAll));
    for firm in &FIRMS {
        all.push(service(
            format!("{} recorder", firm.id),
            "strongroom-recorder",
            plan.firm(firm, "recorder.toml"),
            WhenItEnds::Restart,
        ));
    }
    all
}

struct Waiting {
    service: Service,
    at: Instant,
    wait: Duration,
}

/// The running demo. Stops everything when dropped.
pub struct Demo {
    running: Vec<Running>,
    waiting: Vec<Waiting>,
    waits: std::collections::HashMap<String, Duration>,
}

impl Demo {
    /// Starts all, each when the one before is ready.
    pub fn start(plan: &Plan) -> anyhow::Result<Self> {
        let mut demo = Self { running: Vec::new(), waiting: Vec::new(), waits: std::collections::HashMap::new() };
        for service in services(plan) {
            let step = say::step(format!("start {}", service.name));
            demo.running.push(service.start()?);
            if let Some(started) = demo.running.last_mut() {
                started.await_ready()?;
                step.done_with(&format!("process {}", started.id()));
            }
        }
        Ok(demo)
    }

    /// Process id of a running service, by its name.
    pub fn id(&self, name: &str) -> Option<u32> {
        self.running.iter().find(|one| one.service.name == name).map(Running::id)
    }

    /// Watches until told to stop or until a process ended that is not restarted.
    pub fn watch(&mut self, stop: &Stop) -> anyhow::Result<()> {
        while !stop.asked() {
            self.look()?;
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    /// One look at all processes: restarts what may be restarted.
    pub fn look(&mut self) -> anyhow::Result<()> {
        let mut at = 0;
        while at < self.running.len() {
            let Some(status) = self.running[at].ended() else {
                at += 1;
                continue;
            };
            let gone = self.running.remove(at);
            let name = gone.service.name.clone();
            if gone.service.when_it_ends == WhenItEnds::EndAll {
                let log = &gone.service.log;
                return Err(failed(format!(
                    "{name} ended ({status}). The end of {}:\n{}",
                    log.display(),
                    run::tail(log, 15)
                )));
            }
            let healthy = gone.since.elapsed() > HEALTHY;
            let wait =
                self.waits.get(&name).filter(|_| !healthy).map_or(FIRST_WAIT, |before| (*before * 2).min(LONGEST_WAIT));
            self.waits.insert(name.clone(), wait);
            say::line(format!("{name} ended ({status}); starting it again in {:.2} s", wait.as_secs_f32()));
            self.waiting.push(Waiting { service: gone.service, at: Instant::now() + wait, wait });
        }
        let now = Instant::now();
        let (due, later): (Vec<_>, Vec<_>) = self.waiting.drain(..).partition(|waiting| waiting.at <= now);
        self.waiting = later;
        for waiting in due {
            match waiting.service.start() {
                Ok(started) => {
                    say::line(format!("{} is started again (process {})", started.service.name, started.id()));
                    self.running.push(started);
                }
                Err(error) => {
                    say::line(format!("{} does not start: {error:#}", waiting.service.name));
                    let wait = (waiting.wait * 2).min(LONGEST_WAIT);
                    self.waiting.push(Waiting { at: now + wait, wait, ..waiting });
                }
            }
        }
        Ok(())
    }

    fn stop(&mut self) {
        // Recorders first: they still need their front, token and SFU to close the archive. Custody last.
        for turn in [" recorder", "sfu", "signaling", " front", " custody"] {
            let (now, later): (Vec<_>, Vec<_>) =
                self.running.drain(..).partition(|one| one.service.name.contains(turn));
            self.running = later;
            let mut now = now;
            for one in &now {
                one.ask_to_end();
            }
            for one in &mut now {
                one.await_end(PATIENCE);
            }
        }
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twelve_processes_start_and_whoever_holds_keys_comes_before_those_who_use_them() {
        let place = crate::place::Place { root: "/nowhere".into() };
        let all = services(&Plan::new(&place, "/nowhere/state".into(), 9_000));
        assert_eq!(all.len(), 12);
        let at = |name: &str| all.iter().position(|one| one.name == name).expect(name);
        assert!(at("bank-b custody archive") < at("bank-a front"));
        assert!(
            at("bank-b front") < at("signaling") && at("signaling") < at("sfu") && at("sfu") < at("bank-a recorder")
        );
    }
}
