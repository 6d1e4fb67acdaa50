//! Making what is missing on a token: a test token itself, keys, the root certificate. Used by the ceremony alone.

use super::TokenError;
use super::device::{Device, failed};
use crate::test_token::Kind;
use cryptoki::context::Pkcs11;
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, CertificateType, ObjectClass};
use cryptoki::session::UserType;
use cryptoki::types::AuthPin;
use custody::sealing::RSA_BITS;

/// OID of P-256, DER.
const P256: [u8; 10] = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];

/// Initialises an empty slot of a test module. Any other module is refused: a production partition is made by its
/// vendor's tool and its own ceremony.
///
/// # Errors
/// [`TokenError::Missing`] if the module is not of this kind or has no empty slot.
pub fn init_test_token(context: &Pkcs11, kind: Kind, label: &str, so_pin: &str, pin: &str) -> Result<(), TokenError> {
    let missing = || TokenError::Missing { label: label.to_owned() };
    let library = context.get_library_info().map_err(failed("reading the module's name"))?;
    if !library.manufacturer_id().to_lowercase().contains(&kind.name().to_lowercase()) {
        return Err(missing());
    }
    let slots = context.get_slots_with_token().map_err(failed("listing slots"))?;
    let empty = |slot: &_| context.get_token_info(*slot).is_ok_and(|info| !info.token_initialized());
    let slot = slots.into_iter().find(empty).ok_or_else(missing)?;
    let so_pin = AuthPin::new(so_pin.into());
    context.init_token(slot, &so_pin, label).map_err(failed("initialising the token"))?;
    let slot = Device::find_slot(context, label).ok_or_else(missing)?;
    let session = context.open_rw_session(slot).map_err(failed("opening a session"))?;
    session.login(UserType::So, Some(&so_pin)).map_err(failed("login of the security officer"))?;
    session.init_pin(&AuthPin::new(pin.into())).map_err(failed("setting the PIN"))?;
    session.logout().map_err(failed("logout"))
}

fn names(name: &str) -> [Attribute; 3] {
    let bytes = name.as_bytes().to_vec();
    [Attribute::Token(true), Attribute::Id(bytes.clone()), Attribute::Label(bytes)]
}

fn private(name: &str, use_: Attribute) -> Vec<Attribute> {
    let mut template = names(name).to_vec();
    template.extend([Attribute::Private(true), Attribute::Sensitive(true), Attribute::Extractable(false), use_]);
    template
}

fn public(name: &str, more: impl IntoIterator<Item = Attribute>) -> Vec<Attribute> {
    let mut template = names(name).to_vec();
    template.push(Attribute::Private(false));
    template.extend(more);
    template
}

fn pair(
    device: &mut Device,
    mechanism: &Mechanism<'_>,
    public: &[Attribute],
    private: &[Attribute],
) -> Result<(), TokenError> {
    device.once(|work| work.session.generate_key_pair(mechanism, public, private).map_err(failed("making a key")))?;
    Ok(())
}

/// Makes a P-256 signing key that never leaves the token.
///
/// # Errors
/// See [`TokenError`].
pub fn ec(device: &mut Device, id: &str) -> Result<(), TokenError> {
    let public = public(id, [Attribute::EcParams(P256.to_vec()), Attribute::Verify(true)]);
    pair(device, &Mechanism::EccKeyPairGen, &public, &private(id, Attribute::Sign(true)))
}

/// Makes an RSA-3072 key that opens and never leaves the token.
///
/// # Errors
/// See [`TokenError`].
pub fn rsa(device: &mut Device, id: &str) -> Result<(), TokenError> {
    let more = [
        Attribute::ModulusBits(u64::from(RSA_BITS).into()),
        Attribute::PublicExponent(vec![1, 0, 1]),
        Attribute::Encrypt(true),
    ];
    let public = public(id, more);
    pair(device, &Mechanism::RsaPkcsKeyPairGen, &public, &private(id, Attribute::Decrypt(true)))
}

/// Stores a certificate on the token.
///
/// # Errors
/// See [`TokenError`].
pub fn store_certificate(device: &mut Device, id: &str, subject: &[u8], der: &[u8]) -> Result<(), TokenError> {
    let mut template = names(id).to_vec();
    template.extend([
        Attribute::Class(ObjectClass::CERTIFICATE),
        Attribute::CertificateType(CertificateType::X_509),
        Attribute::Private(false),
        Attribute::Subject(subject.to_vec()),
        Attribute::Value(der.to_vec()),
    ]);
    device.once(|work| work.session.create_object(&template).map(|_| ()).map_err(failed("storing a certificate")))
}
