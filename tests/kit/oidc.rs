//! A firm's own OpenID provider for tests: the npm package `oidc-provider` as a process of its own, and a person's browser as far as
//! signing in there takes one (redirects, cookies, one form).

use crate::system::place;
use anyhow::{Context, bail};
use domain::ParticipantId;
use domain::message::custody::LeafRole;
use domain::message::front::{
    BeginLogin, Enrol, Enrolled, FinishLogin, LoginBegun, LoginFinished, LoginSession, PageConfig,
};
use e2ee::leaf::LeafKey;
use participant::login::{Enrolment, dpop, nonce};
use reqwest::{Client, Url, header};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, Stdio};
use std::time::Duration;
use xtask::demo::plan::{Firm, Plan};

/// A page of the provider leads to the next one at most so often before the code is there.
const MAX_STEPS: usize = 12;
/// The client's secret, at provider and front.
const SECRET: &str = "a secret of tests and nothing else";

/// A running provider. Ends with it.
pub struct Provider {
    child: Child,
    issuer: String,
    port: u16,
}

impl Provider {
    /// Starts one for a firm's people and configures the firm's front and token *people* for it, in place of the development
    /// provider. For a system that is not started yet.
    pub async fn start(plan: &Plan, firm: &Firm) -> anyhow::Result<Self> {
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let node = xtask::setup::node::provide(&place())?;
        let people = firm.people.iter().map(|one| format!("{}={}={}", one.user, one.name, one.roles.join(",")));
        let mut child = node
            .command(&place())
            .arg(place().root.join("tests/kit/provider/serve.mjs"))
            .args([&port.to_string(), &plan.origin(firm), "strongroom-page", SECRET])
            .args(people)
            .stdout(Stdio::piped())
            .spawn()
            .context("start the identity provider")?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("its output")?).read_line(&mut line)?;
        let provider = Self { child, issuer: format!("http://idp.localhost:{port}"), port };
        if !line.starts_with("ready") {
            bail!("the identity provider did not start: {line}");
        }
        provider.configure(plan, firm).await?;
        Ok(provider)
    }

    async fn configure(&self, plan: &Plan, firm: &Firm) -> anyhow::Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let keys = self.client("idp.localhost", self.port)?.get(format!("{}/test/keys", self.issuer)).send().await?;
        std::fs::write(plan.firm(firm, "jwks.json"), keys.text().await?)?;
        let secret = plan.firm(firm, "oidc.secret");
        std::fs::write(&secret, SECRET)?;
        std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600))?;
        let issuer = &self.issuer;
        let own = format!("[oidc]\nissuer = \"{issuer}\"\nclient_secret_file = \"oidc.secret\"\n");
        let replaced = [
            ("front.toml", "[development_idp]\nusers = \"users.json\"\nkey = \"idp.pem\"\n".to_owned(), own),
            (
                "custody-people.toml",
                format!("issuer = \"{}/idp\"", plan.origin(firm)),
                format!("issuer = \"{issuer}\""),
            ),
        ];
        for (file, from, to) in replaced {
            let path = plan.firm(firm, file);
            let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            anyhow::ensure!(text.contains(&from), "{file} is not as expected: {text}");
            std::fs::write(&path, text.replace(&from, &to))?;
        }
        Ok(())
    }

    fn client(&self, front: &str, port: u16) -> anyhow::Result<Client> {
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let builder = Client::builder().timeout(Duration::from_secs(10)).redirect(reqwest::redirect::Policy::none());
        Ok(builder.resolve("idp.localhost", local(self.port)).resolve(front, local(port)).build()?)
    }

    /// A browser of somebody, at this front.
    pub fn browser(&self, front: &str) -> anyhow::Result<Browser> {
        let url = Url::parse(front)?;
        let http = self.client(url.host_str().context("a host")?, url.port_or_known_default().unwrap_or(80))?;
        Ok(Browser { http, front: front.to_owned(), cookies: BTreeMap::new() })
    }

    /// The provider logs a person out everywhere, by the back channel, and knows that person no more.
    pub async fn logout(&self, user: &str) -> anyhow::Result<()> {
        let http = self.client("idp.localhost", self.port)?;
        let answer = http.post(format!("{}/test/logout?user={user}", self.issuer)).send().await?;
        answer.error_for_status()?;
        Ok(())
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.child.kill().unwrap_or_default();
        self.child.wait().map(drop).unwrap_or_default();
    }
}

/// What signing in needs of a browser.
pub struct Browser {
    /// To provider and front; follows no redirect by itself.
    pub http: Client,
    front: String,
    cookies: BTreeMap<String, String>,
}

impl Browser {
    async fn post<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        body: &impl serde::Serialize,
        proof: Option<String>,
    ) -> anyhow::Result<T> {
        let mut request = self.http.post(format!("{}{path}", self.front)).json(body);
        if let Some(proof) = proof {
            request = request.header("DPoP", proof);
        }
        let answer = request.send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        anyhow::ensure!(status.is_success(), "{path}: {status} {text}");
        Ok(serde_json::from_str(&text)?)
    }

    /// Begins a login, goes where it leads, and comes back with what the page would finish it with.
    pub async fn visit(&mut self, ask: &BeginLogin, user: &str) -> anyhow::Result<FinishLogin> {
        let LoginBegun { address, state, secret } = self.post("/oidc/begin", ask, None).await?;
        let back = self.follow(Url::parse(&address)?, user).await?;
        let said = |name: &str| back.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        anyhow::ensure!(said("state").as_deref() == Some(&state), "another state came back");
        Ok(FinishLogin { state, secret, code: said("code"), iss: said("iss") })
    }

    async fn follow(&mut self, mut at: Url, user: &str) -> anyhow::Result<Url> {
        let back = format!("{}/oidc/callback", self.front);
        let mut form = None;
        for _ in 0..MAX_STEPS {
            if at.as_str().starts_with(&back) {
                return Ok(at);
            }
            let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let request = match form.take() {
                Some(fields) => self.http.post(at.clone()).form::<[(&str, &str); 3]>(&fields),
                None => self.http.get(at.clone()),
            };
            let answer = request.header(header::COOKIE, cookies.join("; ")).send().await?;
            for cookie in answer.headers().get_all(header::SET_COOKIE) {
                let pair = cookie.to_str()?.split(';').next().unwrap_or_default();
                if let Some((name, value)) = pair.split_once('=') {
                    self.cookies.insert(name.to_owned(), value.to_owned());
                }
            }
            if let Some(next) = answer.headers().get(header::LOCATION) {
                at = at.join(next.to_str()?)?;
            } else {
                anyhow::ensure!(answer.status().is_success(), "{at}: {}", answer.text().await?);
                form = Some([("prompt", "login"), ("login", user), ("password", "any")]);
            }
        }
        bail!("the provider never came back: {at}")
    }

    /// Finishes what [`Self::visit`] brought.
    pub async fn finish(&self, finish: &FinishLogin) -> anyhow::Result<LoginFinished> {
        self.post("/oidc/finish", finish, None).await
    }

    /// Signs in.
    pub async fn login(&mut self, user: &str) -> anyhow::Result<LoginSession> {
        let visit = self.visit(&BeginLogin::Login {}, user).await?;
        match self.finish(&visit).await? {
            LoginFinished::Login(session) => Ok(session),
            LoginFinished::Enrol { .. } => bail!("a token where a login was asked for"),
        }
    }

    /// Signs in and enrols, as the page does: the second visit asks nothing.
    pub async fn enrol(&mut self, user: &str, device: &str, role: LeafRole) -> anyhow::Result<Enrolment> {
        let session = self.login(user).await?;
        let config: PageConfig = self.http.get(format!("{}/api/config", self.front)).send().await?.json().await?;
        let participant =
            ParticipantId { firm: config.firm.clone(), user: session.user.parse()?, device: device.parse()? };
        let key = LeafKey::generate();
        let csr = key.csr(&participant, &session.name).map_err(|e| anyhow::anyhow!("{e}"))?;
        let ask = BeginLogin::Enrol { nonce: nonce(&csr, &key), session: session.session };
        let visit = self.visit(&ask, user).await?;
        let LoginFinished::Enrol { id_token } = self.finish(&visit).await? else { bail!("no token") };
        let now_s = participant::meeting::now().seconds();
        let proof = dpop(&key, "POST", &format!("{}/enrol", self.front), now_s);
        let enrolled: Enrolled = self.post("/enrol", &Enrol { csr: csr.into(), id_token, role }, Some(proof)).await?;
        Ok(Enrolment {
            key,
            chain: enrolled.chain.into_iter().map(|certificate| certificate.0).collect(),
            trust: serde_json::from_value(config.trust)?,
            participant,
            signaling: config.signaling,
            session: enrolled.session,
        })
    }
}
