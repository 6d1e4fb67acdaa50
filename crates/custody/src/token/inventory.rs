//! What lies on a token: for `list`, and for whoever destroys a key and must name exactly that one.

use super::device::{Device, Work, failed};
use super::{TokenError, device};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass};
use domain::B64;
use serde::Serialize;

/// One key pair or certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Item {
    /// CKA_ID.
    pub id: String,
    /// `ec`, `rsa`, `certificate` or `other`.
    pub kind: &'static str,
    /// SHA-256 of the public key (SPKI DER) or certificate (DER), hexadecimal.
    pub fingerprint: Option<String>,
    /// The private key never was outside and cannot leave; none for a certificate.
    pub never_extractable: Option<bool>,
    /// Does the configuration name it?
    pub in_use: bool,
}

/// Everything of ours, sorted by id; `in_use` says which ids the configuration names.
///
/// # Errors
/// See [`TokenError`].
pub fn list(device: &mut Device, in_use: &[String]) -> Result<Vec<Item>, TokenError> {
    let mut items = device.with(|work| {
        let mut items = Vec::new();
        for (id, attributes) in
            work.objects(ObjectClass::PRIVATE_KEY, &[AttributeType::KeyType, AttributeType::NeverExtractable])?
        {
            items.push(key(work, id, &attributes));
        }
        for (id, attributes) in work.objects(ObjectClass::CERTIFICATE, &[AttributeType::Value])? {
            let der = attributes.iter().find_map(|attribute| match attribute {
                Attribute::Value(der) => Some(hex::encode(evidence::sha256(der))),
                _ => None,
            });
            items.push(Item { id, kind: "certificate", fingerprint: der, never_extractable: None, in_use: false });
        }
        Ok(items)
    })?;
    for item in &mut items {
        item.in_use = in_use.contains(&item.id);
    }
    items.sort_by(|a, b| (&a.id, a.kind).cmp(&(&b.id, b.kind)));
    Ok(items)
}

fn key(work: &mut Work<'_>, id: String, attributes: &[Attribute]) -> Item {
    let never_extractable = attributes.iter().find_map(|attribute| match attribute {
        Attribute::NeverExtractable(never) => Some(*never),
        _ => None,
    });
    let kind = attributes.iter().find_map(|attribute| match attribute {
        Attribute::KeyType(KeyType::EC) => Some("ec"),
        Attribute::KeyType(KeyType::RSA) => Some("rsa"),
        _ => None,
    });
    let fingerprint = work.fingerprint(&id).map(|digest| hex::encode(digest.as_slice()));
    Item { id, kind: kind.unwrap_or("other"), fingerprint, never_extractable, in_use: false }
}

/// Destroys the key pair of this id. Its fingerprint must be the one given: nobody destroys a key by a slip of a name.
///
/// # Errors
/// [`TokenError::NoKey`], or [`TokenError::OtherKey`] if the fingerprint is another one.
pub fn destroy(device: &mut Device, id: &str, fingerprint: &B64) -> Result<(), TokenError> {
    device.once(|work| {
        let found = work.fingerprint(id).ok_or_else(|| TokenError::NoKey { name: id.to_owned() })?;
        if found != *fingerprint {
            return Err(TokenError::OtherKey { name: id.to_owned(), found: hex::encode(found.as_slice()) });
        }
        // the private half first: if the token fails in between, what is left opens and signs nothing
        for class in [ObjectClass::PRIVATE_KEY, ObjectClass::PUBLIC_KEY] {
            let handle = work.find_id(class, id)?;
            work.session.destroy_object(handle).map_err(failed("destroying a key"))?;
        }
        work.forget();
        Ok(())
    })?;
    match device.once(|work| work.find_id(ObjectClass::PRIVATE_KEY, id)) {
        Err(TokenError::NoKey { .. }) => Ok(()),
        Ok(_) => Err(device::odd("destroying a key")),
        Err(error) => Err(error),
    }
}
