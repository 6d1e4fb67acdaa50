//! All rooms of one recorder: what they share, and their start.

use crate::acts;
use crate::archive::{self, Folder};
use crate::config::Config;
use crate::enrol;
use crate::firm_log::FirmLog;
use crate::live::Live;
use crate::probe::{self, Prover};
use crate::recording;
use crate::stamps;
use crate::stores::Stores;
use crate::upkeep;
use crate::{Failure, clock};
use custody::Client;
use domain::ParticipantId;
use domain::message::custody::{Answer, Ask, TokenRole};
use evidence::identity::TrustMap;
use recorder_store::retention::{Books, ByBook};
use std::path::Path;
use std::sync::Arc;
use tokio::task::JoinSet;

/// What every room needs.
pub struct Shared {
    /// Configuration.
    pub config: Config,
    /// Trust map.
    pub trust: TrustMap,
    /// The record token's process.
    pub custody: Arc<Client>,
    /// Which archive keys are proven to open.
    pub prover: Prover,
    /// The firm's log.
    pub log: Arc<FirmLog>,
    /// Where sealed archives go.
    pub stores: Arc<Stores>,
    /// Who this recorder is.
    pub participant: ParticipantId,
}

/// Asks the record token who it is: a wrong one would sign what nobody can verify.
async fn check_custody(config: &Config, trust: &TrustMap, custody: &Client) -> Result<(), Failure> {
    let socket = config.custody.record.display();
    let answer = custody.ask(Ask::Info {}).await.map_err(|e| Failure::Unavailable(e.to_string()))?;
    let Answer::Info(info) = answer else {
        return Err(Failure::Config(format!("`custody.record` {socket}: this is no custody process")));
    };
    let named = trust.firm(&config.firm).map(|firm| &firm.record_key);
    let held = info.keys.iter().find(|(name, _)| name == "record").map(|(_, key)| key);
    if info.role != TokenRole::Record || info.firm != config.firm || named != held {
        return Err(Failure::Config(format!(
            "`custody.record` {socket}: this is not the record token of {} whose key the trust map names",
            config.firm
        )));
    }
    if info.test_token {
        tracing::warn!("the record token is a test token: not for production");
        service::security::report(service::security::Event::TestToken);
    }
    Ok(())
}

/// Runs until the process is told to stop.
///
/// # Errors
/// [`Failure`] when it cannot start.
pub async fn run_all(config: Config, folder: &Path) -> Result<(), Failure> {
    clock::now();
    // the first provider installed stays; ours is the only one
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let trust = config.trust_map()?;
    archive::check_folder(&config)?;
    let _lock = archive::lock(&config)?;
    let operations = service::operations::open(&config.operations, service::metrics::Service::Recorder)?;
    let custody = Arc::new(Client::new(&config.custody.record));
    check_custody(&config, &trust, &custody).await?;
    let record_key = trust.firm(&config.firm).map(|firm| firm.record_key.0.clone()).unwrap_or_default();
    let log = Arc::new(FirmLog::new(&config.archive, &config.firm, custody.clone(), record_key));
    let participant = enrol::participant(&config);
    let mut feeding = JoinSet::new();
    let keeping = Arc::new(ByBook(Books::new(&config.archive, &config.firm, Arc::new(trust.clone()))));
    let stores = Stores::start(&config, folder, keeping, &mut feeding).await?;
    let shared =
        Arc::new(Shared { prover: Prover::new(&config, &trust), config, trust, custody, log, stores, participant });

    operations.serve(shared.clone())?;
    let mut unfinished: Vec<(Folder, Option<domain::RoomId>)> = Vec::new();
    for folder in archive::unfinished(&shared.config.archive, &shared.config.firm) {
        let room = recording::room_of(&folder);
        tracing::info!(meeting = %folder.meeting, "an unfinished meeting was found");
        unfinished.push((folder, room));
    }
    let mut rooms = JoinSet::new();
    rooms.spawn(probe::run(shared.clone()));
    feeding.spawn(stamps::run(shared.clone()));
    feeding.spawn(upkeep::run(shared.clone()));
    feeding.spawn(acts::run(shared.clone()));
    for room in shared.config.rooms.clone() {
        let (own, others): (Vec<_>, Vec<_>) = unfinished.into_iter().partition(|(_, of)| of.as_ref() == Some(&room));
        unfinished = others;
        let folders = own.into_iter().map(|(folder, _)| folder).collect();
        let live = Live::new(shared.clone(), room, folders);
        rooms.spawn(live.run());
    }
    for (folder, room) in unfinished {
        // a folder without terms holds no frame: nothing was ever acknowledged into it
        if room.is_some() {
            rooms.spawn(recording::close_unfinished(shared.clone(), folder));
        }
    }
    tracing::info!(
        firm = %shared.config.firm,
        rooms = shared.config.rooms.len(),
        signaling = %shared.config.signaling,
        archive = %shared.config.archive.display(),
        "ready"
    );
    service::stop::asked().await;
    tracing::info!("stopping: a running meeting is continued or closed at the next start");
    rooms.shutdown().await;
    feeding.shutdown().await;
    Ok(())
}
