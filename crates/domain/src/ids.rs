//! Typed names of firms, people, devices, rooms and meetings. Ids of people have a redacted Debug.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Longest id: it appears in certificates, paths and log lines.
pub const MAX_ID: usize = 64;

/// Why a text is no id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an id has 1 to {MAX_ID} characters of a-z 0-9 . _ - and starts with a letter or digit")]
pub struct BadId;

fn judge(text: &str) -> Result<(), BadId> {
    let ok = (1..=MAX_ID).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
        && text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    if ok { Ok(()) } else { Err(BadId) }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $debug:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[cfg_attr(feature = "openapi", schema(value_type = String, pattern = "^[a-z0-9][a-z0-9._-]{0,63}$"))]
        pub struct $name(String);
        impl $name {
            /// The text form.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                judge(text)?;
                Ok(Self(text.to_owned()))
            }
        }
        impl TryFrom<String> for $name {
            type Error = BadId;
            fn try_from(text: String) -> Result<Self, BadId> {
                judge(&text)?;
                Ok(Self(text))
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let show: fn(&str, &mut fmt::Formatter<'_>) -> fmt::Result = $debug;
                show(&self.0, f)
            }
        }
    };
}

id!(
    /// A bank; also the first label of its front's host name.
    FirmId, |text, f| f.write_str(text));
id!(
    /// A person of a firm (or a recorder, named `recorder-1` ...). Never shown in logs at info.
    UserId, |_, f| f.write_str("user(…)"));
id!(
    /// One browser tab or one native process; chosen at random by it, kept over a reload.
    DeviceId, |_, f| f.write_str("device(…)"));
id!(
    /// A durable room that carries policy.
    RoomId, |text, f| f.write_str(text));
id!(
    /// One live session of a room: 32 hexadecimal digits. Also the MLS group id (its bytes as ASCII).
    MeetingId, |text, f| f.write_str(text));
id!(
    /// A sealed file on its way through signaling: 32 hexadecimal digits, chosen at random by its sender.
    BlobId, |text, f| f.write_str(text));

/// One device of one person in one meeting: the owner of one MLS leaf and of two transports.
/// Text form `firm/user/device`; in certificates the URI SAN `sr://firm/user/device`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ParticipantId {
    /// Whose person it is.
    pub firm: FirmId,
    /// Who.
    pub user: UserId,
    /// On which device.
    pub device: DeviceId,
}

impl ParticipantId {
    /// Scheme of the URI SAN.
    pub const SCHEME: &'static str = "sr://";
    /// The URI SAN of this participant's certificate.
    pub fn uri(&self) -> String {
        format!("{}{self}", Self::SCHEME)
    }
    /// Reads a URI SAN.
    pub fn from_uri(uri: &str) -> Result<Self, BadId> {
        uri.strip_prefix(Self::SCHEME).ok_or(BadId)?.parse()
    }
}
impl FromStr for ParticipantId {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        let mut parts = text.split('/');
        let (Some(firm), Some(user), Some(device), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(BadId);
        };
        Ok(Self { firm: firm.parse()?, user: user.parse()?, device: device.parse()? })
    }
}
impl TryFrom<String> for ParticipantId {
    type Error = BadId;
    fn try_from(text: String) -> Result<Self, BadId> {
        text.parse()
    }
}
impl From<ParticipantId> for String {
    fn from(id: ParticipantId) -> String {
        id.to_string()
    }
}
impl fmt::Display for ParticipantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.firm, self.user, self.device)
    }
}
impl fmt::Debug for ParticipantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/…", self.firm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_participant_reads_back_from_its_uri_and_debug_hides_the_person() {
        let id: ParticipantId = "bank-a/anna/0f3c".parse().expect("well formed");
        assert_eq!(ParticipantId::from_uri(&id.uri()), Ok(id.clone()));
        assert!(!format!("{id:?} {:?}", id.user).contains("anna"));
        for bad in ["bank-a/anna", "bank-a/anna/x/y", "/anna/x", "Bank/anna/x", "a/b/../c"] {
            assert_eq!(bad.parse::<ParticipantId>(), Err(BadId), "{bad}");
        }
    }
}
