//! The development identity provider's users file: `[{"user","name","roles","password"}]`, where `password` is a hash
//! (served) or plain text (only as input of `hash-users`).

use super::password::PasswordHash;
use domain::UserId;
use domain::message::custody::LeafRole;
use serde::{Deserialize, Serialize};

/// Most users a development provider knows.
const MAX_USERS: usize = 1000;

/// One row of the file.
// not a wire type: the users file of the development provider
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserRow {
    /// Login name.
    pub user: UserId,
    /// Name for people; goes into the certificate.
    pub name: String,
    /// What this person may be.
    pub roles: Vec<LeafRole>,
    /// Hash, or plain text as input of `hash-users`.
    pub password: String,
}

/// A person who can log in.
pub struct User {
    /// Login name.
    pub user: UserId,
    /// Name for people.
    pub name: String,
    /// What this person may be.
    pub roles: Vec<LeafRole>,
    /// Password hash.
    pub password: PasswordHash,
}

/// Reads the served form.
///
/// # Errors
/// A text that says which row is wrong and what to do.
pub fn parse(bytes: &[u8]) -> Result<Vec<User>, String> {
    let rows = rows(bytes)?;
    rows.into_iter()
        .map(|row| {
            let password = PasswordHash::parse(&row.password).ok_or_else(|| {
                format!(
                    "the password of `{}` is not a hash; make the file with `strongroom-front hash-users`",
                    row.user
                )
            })?;
            if row.roles.iter().any(|role| matches!(role, LeafRole::Recorder | LeafRole::Guest)) {
                return Err(format!(
                    "`{}` cannot have the role recorder or guest: those are not people of the firm",
                    row.user
                ));
            }
            Ok(User { user: row.user, name: row.name, roles: row.roles, password })
        })
        .collect()
}

/// Hashes the plain passwords of `bytes`; answers the served form.
///
/// # Errors
/// A text that says what is wrong.
pub fn hash(bytes: &[u8], rounds: u32) -> Result<Vec<u8>, String> {
    let mut rows = rows(bytes)?;
    for row in &mut rows {
        // a file that was hashed before stays as it is
        if PasswordHash::parse(&row.password).is_none() {
            row.password = PasswordHash::new(&row.password, rounds).to_text();
        }
    }
    let mut out = serde_json::to_vec_pretty(&rows).expect("texts serialise");
    out.push(b'\n');
    Ok(out)
}

fn rows(bytes: &[u8]) -> Result<Vec<UserRow>, String> {
    let rows: Vec<UserRow> = serde_json::from_slice(bytes).map_err(|e| format!("not a list of users: {e}"))?;
    if rows.is_empty() || rows.len() > MAX_USERS {
        return Err(format!("1 to {MAX_USERS} users are expected, {} are listed", rows.len()));
    }
    let mut names: Vec<&UserId> = rows.iter().map(|row| &row.user).collect();
    names.sort();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(format!("`{}` is listed twice", pair[0])),
        None => Ok(rows),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &[u8] = br#"[{"user":"anna","name":"Anna","roles":["member"],"password":"anna-demo"}]"#;

    #[test]
    fn plain_passwords_are_never_served_and_hashing_twice_changes_nothing() {
        assert!(parse(PLAIN).err().expect("refused").contains("hash-users"));
        let once = hash(PLAIN, 10).expect("hashed");
        assert!(!String::from_utf8_lossy(&once).contains("anna-demo"));
        assert_eq!(hash(&once, 10).expect("hashed"), once);
        assert!(parse(&once).expect("served")[0].password.verify("anna-demo"));
    }

    #[test]
    fn nobody_logs_in_as_a_recorder() {
        let text = String::from_utf8_lossy(PLAIN).replace("member", "recorder");
        let hashed = hash(text.as_bytes(), 10).expect("hashed");
        assert!(parse(&hashed).err().expect("refused").contains("recorder"));
    }
}
