//! The configuration files of the twelve processes. Written at every start, because the ports may differ.

use super::plan::{FIRMS, Firm, Plan, ROOMS};
use serde_json::json;

/// PKCS#11 module of the test tokens; Debian's place first, then the multiarch ones.
pub const SOFTHSM: [&str; 3] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
];
/// OIDC client id and audience of enrolments.
const CLIENT: &str = "strongroom-page";

/// The embedded directory's seed.
pub fn rooms() -> String {
    let members: Vec<_> = FIRMS
        .iter()
        .flat_map(|firm| {
            let bankers = firm.people.iter().filter(|person| person.roles.contains(&"member"));
            bankers.map(|person| json!({ "firm": firm.id, "user": person.user, "host": firm.id == FIRMS[0].id }))
        })
        .collect();
    let rooms: Vec<_> =
        ROOMS.iter().map(|room| json!({ "room": room.id, "title": room.title, "members": members })).collect();
    let mut text = serde_json::to_string_pretty(&rooms).unwrap_or_default();
    text.push('\n');
    text
}

/// Signaling.
pub fn signaling(plan: &Plan) -> String {
    let origins: Vec<String> = FIRMS.iter().map(|firm| format!("\"{}\"", plan.origin(firm))).collect();
    format!(
        r#"listen = "127.0.0.1:{port}"
origins = [{origins}]
trust = "../trust.json"
order_key = "order.pem"
statements = "statements"

[control]
listen = "127.0.0.1:{control}"
certificate = "signaling.pem"
key = "signaling.key"
client_ca = "ca.pem"

[directory]
path = "rooms.db"
seed = "rooms.json"

[rest]
listen = "127.0.0.1:{programs}"
clients = "clients.json"

[rest.fronts]
{fronts}
[operations]
listen = "127.0.0.1:{operations}"
"#,
        programs = plan.programs_port(),
        operations = plan.operations_port(),
        fronts = FIRMS.iter().map(|firm| format!("{} = \"{}\"\n", firm.id, plan.origin(firm))).collect::<String>(),
        port = plan.signaling_port(),
        origins = origins.join(", "),
        control = plan.control_port(),
    )
}

/// SFU.
pub fn sfu(plan: &Plan) -> String {
    format!(
        r#"node = "sfu-1"
udp_port = {media}
addresses = []

[control]
url = "wss://localhost:{control}/v1/sfu"
ca = "ca.pem"
certificate = "sfu.pem"
key = "sfu.key"

[record]
listen = "127.0.0.1:{record}"
advertise = "127.0.0.1:{record}"
server_name = "localhost"
certificate = "sfu.pem"
key = "sfu.key"
"#,
        media = plan.media_port(),
        control = plan.control_port(),
        record = plan.record_port(),
    )
}

/// One token's process. The recorder identity is known after the first ceremony.
pub fn custody(plan: &Plan, firm: &Firm, token: &str, recorder_identity: Option<&str>) -> String {
    let section = match token {
        "people" => {
            let identity = recorder_identity.map(|key| format!("recorder_identity = \"{key}\"\n")).unwrap_or_default();
            let origin = plan.origin(firm);
            format!(
                "[people]\nadministrators = {administrators}\n{identity}\n[people.oidc]\nissuer = \"{origin}/idp\"\naudience = \"{CLIENT}\"\n\
                 jwks_file = \"jwks.json\"\ndpop_htu = \"{origin}/enrol\"\n",
                administrators = firm.administrators,
            )
        }
        "record" => "[record]\n".to_owned(),
        _ => "[archive]\ntrust = \"../trust.json\"\nledger = \"ledger.bin\"\narchive_keys = 2\n".to_owned(),
    };
    format!(
        r#"firm = "{firm}"
role = "{token}"
module = "{module}"
token_label = "{firm}-{token}"
pin_file = "pin-{token}"
socket = "run/{token}.sock"

[softhsm]
config = "tokens/{token}/softhsm2.conf"

{section}"#,
        firm = firm.id,
        module = SOFTHSM.iter().find(|path| std::path::Path::new(path).is_file()).unwrap_or(&SOFTHSM[0]),
    )
}

/// A firm's front.
pub fn front(plan: &Plan, firm: &Firm) -> String {
    format!(
        r#"firm = "{firm}"
name = "{name}"
listen = "127.0.0.1:{port}"
origin = "{origin}"
signaling = "{signaling}"
trust = "../trust.json"
archive = "archive"
pages = "{pages}"
export = "{export}"
statements = "../operator/statements"
rooms = "../operator/rooms.json"
client_id = "{CLIENT}"

[custody]
people = "run/people.sock"
archive = "run/archive.sock"

[development_idp]
users = "users.json"
key = "idp.pem"

[opened]
show = "officer"
after_days = 0

[administration]
administrators = {administrators}
signaling = "http://signaling.localhost:{programs}"
token_file = "signaling.token"
services = [
  {{ name = "recorder", address = "http://127.0.0.1:{recorder}" }},
  {{ name = "signaling", address = "http://127.0.0.1:{operations}" }},
]
"#,
        administrators = firm.administrators,
        programs = plan.programs_port(),
        operations = plan.operations_port(),
        recorder = plan.recorder_port(firm),
        firm = firm.id,
        name = firm.name,
        port = plan.base + firm.port,
        origin = plan.origin(firm),
        signaling = plan.signaling(),
        pages = plan.pages.display(),
        export = plan.binaries.join("strongroom-export").display(),
    )
}

/// A firm's recorder.
pub fn recorder(plan: &Plan, firm: &Firm) -> String {
    let rooms: Vec<String> = ROOMS
        .iter()
        .filter(|room| [room.audio_video, room.chat].contains(&"must"))
        .map(|room| format!("\"{}\"", room.id))
        .collect();
    format!(
        r#"firm = "{firm}"
name = "recorder-1"
signaling = "{signaling}"
front = "{origin}"
origin = "{origin}"
trust = "../trust.json"
archive = "archive"
rooms = [{rooms}]
purpose = "demonstration"

[custody]
record = "run/record.sock"

[operations]
listen = "127.0.0.1:{operations}"
"#,
        operations = plan.recorder_port(firm),
        firm = firm.id,
        signaling = plan.signaling(),
        origin = plan.origin(firm),
        rooms = rooms.join(", "),
    )
}
