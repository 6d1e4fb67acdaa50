//! A participant whose MLS is another implementation: the part of the protocol around the group that is the same for all of
//! them, and the surface that each of them fills.

use domain::message::client::{Entering, Entry, ToClient, ToServer, challenge_bytes};
use domain::{B64, Epoch, LeafIndex, ParticipantId};
use e2ee::leaf::LeafKey;
use strongroom_tests::firms::{Firms, room};

/// A commit that is not applied yet.
pub struct Made {
    pub commit: Vec<u8>,
    pub welcome: Option<Vec<u8>>,
    pub group_info: Vec<u8>,
}

/// What a member needs of an MLS implementation. Messages are MLSMessage.
pub trait Stack {
    /// A fresh KeyPackage.
    fn key_package(&mut self) -> anyhow::Result<Vec<u8>>;
    /// Joins by a Welcome with the tree in it.
    fn join(&mut self, welcome: &[u8]) -> anyhow::Result<()>;
    /// Makes a commit by value, as PublicMessage, with path, GroupInfo with tree and external_pub.
    fn commit(&mut self, add: &[B64], remove: &[LeafIndex]) -> anyhow::Result<Made>;
    /// The commit that was made last is the one.
    fn apply_own(&mut self) -> anyhow::Result<()>;
    /// Another's commit.
    fn apply(&mut self, commit: &[u8]) -> anyhow::Result<()>;
    /// An application message.
    fn say(&mut self, words: &[u8]) -> anyhow::Result<Vec<u8>>;
    /// ... and of another.
    fn hear(&mut self, message: &[u8]) -> anyhow::Result<Vec<u8>>;
    /// Exporter "SFrame 1.0 Base Key", 32 bytes.
    fn base_key(&mut self) -> anyhow::Result<Vec<u8>>;
}

/// Whose stack it is: a key and the firm's certificate for it.
pub struct Foreigner {
    pub key: LeafKey,
    pub certificate: Vec<u8>,
}

/// The participant.
pub struct Stranger {
    pub who: ParticipantId,
    pub stack: Box<dyn Stack>,
    pub epoch: Option<Epoch>,
    /// What others said, decrypted.
    pub heard: Vec<Vec<u8>>,
    /// Commits of its own that were taken.
    pub commits: u32,
    person: Foreigner,
    made: Option<Vec<u8>>,
}

impl Stranger {
    pub fn new(who: ParticipantId, person: Foreigner, stack: Box<dyn Stack>) -> Self {
        Self { who, stack, epoch: None, heard: Vec::new(), commits: 0, person, made: None }
    }

    pub fn hello(&self, firms: &Firms) -> ToServer {
        ToServer::Hello {
            version: domain::message::PROTOCOL,
            room: room(),
            chain: vec![B64(self.person.certificate.clone())],
            trust: B64(firms.trust.hash().to_vec()),
            resume: None,
            entering: Entering { client: domain::message::CLIENT, ..Entering::default() },
        }
    }

    /// Takes a message of signaling; what to answer. What ours would resync or end for is an error here.
    pub fn handle(&mut self, message: ToClient) -> anyhow::Result<Option<ToServer>> {
        Ok(match message {
            ToClient::Challenge { nonce } => {
                let signed = challenge_bytes(&nonce, &room(), &self.person.certificate);
                Some(ToServer::Prove { signature: B64(self.person.key.sign(&signed).to_vec()) })
            }
            ToClient::Admitted { entry: Entry::AwaitWelcome {}, .. } | ToClient::NeedKeyPackage {} => {
                Some(ToServer::KeyPackage { key_package: self.stack.key_package()?.into() })
            }
            ToClient::Welcome { welcome, epoch, .. } => {
                self.stack.join(&welcome)?;
                Some(self.entered(epoch))
            }
            ToClient::Commit { epoch, commit } => {
                if self.made.take().is_some_and(|made| made == commit.0) {
                    self.stack.apply_own()?;
                    self.commits += 1;
                } else {
                    self.stack.apply(&commit)?;
                }
                Some(self.entered(epoch))
            }
            ToClient::CommitAdds { joiners } => {
                let packages: Vec<B64> = joiners.into_iter().map(|joiner| joiner.key_package).collect();
                Some(self.commit(&packages, &[])?)
            }
            ToClient::CommitRemovals { leaves } => Some(self.commit(&[], &leaves)?),
            ToClient::Application { message } => {
                let words = self.stack.hear(&message)?;
                self.heard.push(words);
                None
            }
            ToClient::Refusal(problem) | ToClient::CommitRefused { problem, .. } => {
                anyhow::bail!("refused: {problem:?}")
            }
            ToClient::Withdrawn { epoch } => anyhow::bail!("epoch {} was withdrawn", epoch.0),
            ToClient::Admitted { entry, .. } => anyhow::bail!("admitted to {entry:?}"),
            _ => None,
        })
    }

    fn entered(&mut self, epoch: Epoch) -> ToServer {
        self.epoch = Some(epoch);
        ToServer::Applied { epoch }
    }

    fn commit(&mut self, add: &[B64], remove: &[LeafIndex]) -> anyhow::Result<ToServer> {
        let epoch = self.epoch.ok_or_else(|| anyhow::anyhow!("asked for a commit before it is in"))?;
        let made = self.stack.commit(add, remove)?;
        self.made = Some(made.commit.clone());
        let welcome = made.welcome.map(B64);
        Ok(ToServer::Commit { epoch, commit: made.commit.into(), welcome, group_info: made.group_info.into() })
    }
}
