//! PKCS#11: one login, one idle session kept open beside the working one, handles found again by CKA_ID after each
//! recovery. A lost session is recovered once per call; a refused PIN is never tried again.

use super::profile::Profile;
use super::{Bytes, Call, Token, TokenError};
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsOaepParams, PkcsOaepSource};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use custody::sealing::{self, Oaep};
use openssl::bn::BigNum;
use openssl::rsa::Rsa;
use std::collections::HashMap;
use std::path::PathBuf;
use zeroize::Zeroizing;

/// Known answer sealed and opened before a refusal is called tampering.
const PROBE: &[u8] = b"strongroom probe";

/// Which token, and how to get in.
pub struct Settings {
    /// Module.
    pub module: PathBuf,
    /// Token label.
    pub label: String,
    /// PIN.
    pub pin: Zeroizing<String>,
    /// Generation of the signing keys, from 1.
    pub generation: u32,
}

struct Open {
    work: Session,
    // never used: a token whose last session closes logs everybody out
    _idle: Session,
    slot: Slot,
    handles: HashMap<String, ObjectHandle>,
}

/// The token of this process.
pub struct Device {
    settings: Settings,
    context: Option<Pkcs11>,
    open: Option<Open>,
    pin_refused: Option<String>,
    generation: u64,
}

impl Device {
    /// Loads the module, finds the token and logs in.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub fn open(settings: Settings) -> Result<Self, TokenError> {
        let mut device = Self { settings, context: None, open: None, pin_refused: None, generation: 0 };
        device.ensure_open()?;
        Ok(device)
    }

    /// Loads and initialises a module.
    ///
    /// # Errors
    /// [`TokenError::Module`].
    pub fn load(module: &std::path::Path) -> Result<Pkcs11, TokenError> {
        let bad = |e: Error| TokenError::Module { path: module.display().to_string(), why: e.to_string() };
        let context = Pkcs11::new(module).map_err(bad)?;
        match context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(context),
            Err(e) => Err(bad(e)),
        }
    }

    /// The slot of a token, by its label.
    pub fn find_slot(context: &Pkcs11, label: &str) -> Option<Slot> {
        let slots = context.get_slots_with_token().ok()?;
        slots.into_iter().find(|slot| context.get_token_info(*slot).is_ok_and(|info| info.label() == label))
    }

    fn ensure_open(&mut self) -> Result<(), TokenError> {
        if self.open.is_some() {
            return Ok(());
        }
        if let Some(why) = &self.pin_refused {
            return Err(TokenError::Pin(why.clone()));
        }
        let context = match self.context.take() {
            Some(context) => context,
            None => Self::load(&self.settings.module)?,
        };
        let opened = self.log_in(&context);
        if opened.is_ok() {
            self.context = Some(context);
            self.generation += 1;
        } else if let Err(e) = context.finalize() {
            // next time from the very beginning: a module keeps its list of tokens from its first look
            tracing::debug!("finalising the module: {e}");
        }
        self.open = Some(opened?);
        Ok(())
    }

    fn log_in(&mut self, context: &Pkcs11) -> Result<Open, TokenError> {
        let label = &self.settings.label;
        let missing = || TokenError::Missing { label: label.clone() };
        let slot = Self::find_slot(context, label).ok_or_else(missing)?;
        let idle = context.open_rw_session(slot).map_err(failed("opening a session"))?;
        let pin = AuthPin::new(self.settings.pin.as_str().into());
        match idle.login(UserType::User, Some(&pin)) {
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {}
            Err(Error::Pkcs11(error, _)) if is_pin(&error) => {
                let why = error.to_string();
                self.pin_refused = Some(why.clone());
                return Err(TokenError::Pin(why));
            }
            Err(e) => return Err(failed("login")(e)),
        }
        let work = context.open_rw_session(slot).map_err(failed("opening a session"))?;
        Ok(Open { work, _idle: idle, slot, handles: HashMap::new() })
    }

    /// Runs `action` on the working session. If session, handle or device were lost: everything is opened and found again,
    /// and the action is tried once more.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub fn with<R>(&mut self, action: impl Fn(&mut Work<'_>) -> Result<R, TokenError>) -> Result<R, TokenError> {
        self.ensure_open()?;
        let first = self.attempt(&action);
        let Err(error) = first else { return first };
        if !matches!(error, TokenError::Failed { .. } | TokenError::NoKey { .. }) {
            return Err(error);
        }
        tracing::warn!(generation = self.generation, "{error}; opening the token again");
        self.close();
        self.ensure_open()?;
        let second = self.attempt(&action);
        if matches!(second, Err(TokenError::Failed { .. })) {
            self.close();
        }
        second
    }

    /// Runs `action` without a second try: for making objects, which must not be made twice, and for asking whether one is
    /// there.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub fn once<R>(&mut self, action: impl Fn(&mut Work<'_>) -> Result<R, TokenError>) -> Result<R, TokenError> {
        self.ensure_open()?;
        self.attempt(&action)
    }

    fn attempt<R>(&mut self, action: impl Fn(&mut Work<'_>) -> Result<R, TokenError>) -> Result<R, TokenError> {
        let open = self.open.as_mut().expect("opened by the caller");
        let generation = self.settings.generation;
        action(&mut Work { session: &open.work, handles: &mut open.handles, generation })
    }

    fn close(&mut self) {
        self.open = None;
        if let Some(context) = self.context.take()
            && let Err(e) = context.finalize()
        {
            tracing::debug!("finalising the module: {e}");
        }
    }

    /// CKA_ID of a name: signing keys of later generations carry theirs, archive keys are counted by name.
    pub fn id(&self, name: &str) -> String {
        id(name, self.settings.generation)
    }

    /// From now on names mean this generation.
    pub fn turn_to(&mut self, generation: u32) {
        self.settings.generation = generation;
    }

    /// `vendor model serial`, and whether it is a test token.
    ///
    /// # Errors
    /// [`TokenError::Failed`].
    pub fn name(&mut self) -> Result<(String, bool), TokenError> {
        self.ensure_open()?;
        let (context, open) = self.context.as_ref().zip(self.open.as_ref()).expect("opened above");
        let info = context.get_token_info(open.slot).map_err(failed("reading the token's name"))?;
        let text = format!("{} {} {}", info.manufacturer_id(), info.model(), info.serial_number());
        let test = Profile::of(&text).test_token;
        Ok((text, test))
    }

    /// Which of the mechanisms that we use the token lists.
    ///
    /// # Errors
    /// [`TokenError::Failed`].
    pub fn mechanisms(&mut self) -> Result<Vec<(&'static str, bool)>, TokenError> {
        self.ensure_open()?;
        let (context, open) = self.context.as_ref().zip(self.open.as_ref()).expect("opened above");
        let wanted = [
            ("CKM_ECDSA", MechanismType::ECDSA),
            ("CKM_EC_KEY_PAIR_GEN", MechanismType::ECC_KEY_PAIR_GEN),
            ("CKM_RSA_PKCS_OAEP", MechanismType::RSA_PKCS_OAEP),
            ("CKM_RSA_PKCS_KEY_PAIR_GEN", MechanismType::RSA_PKCS_KEY_PAIR_GEN),
        ];
        Ok(wanted.map(|(name, mechanism)| (name, context.get_mechanism_info(open.slot, mechanism).is_ok())).to_vec())
    }

    /// OAEP parameters that open on this token: SHA-256 if it can, else SHA-1.
    ///
    /// # Errors
    /// [`TokenError::Failed`] if neither opens a probe.
    pub fn prove_oaep(&mut self, key: &str) -> Result<Oaep, TokenError> {
        let found = self.with(|work| {
            let tried = [Oaep::Sha256, Oaep::Sha1].map(|oaep| (oaep, work.probe(key, oaep)));
            match tried {
                [(oaep, Ok(())), _] | [_, (oaep, Ok(()))] => Ok(oaep),
                [_, (_, Err(error))] => Err(error),
            }
        })?;
        Ok(found)
    }

    /// SPKI of a P-256 key.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub fn ec_public(&mut self, name: &str) -> Result<Vec<u8>, TokenError> {
        let id = self.id(name);
        self.with(|work| work.ec_public_at(&id))
    }

    /// Public half of an RSA key.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub fn rsa_public(&mut self, name: &str) -> Result<Rsa<openssl::pkey::Public>, TokenError> {
        let id = self.id(name);
        self.with(|work| work.rsa_public_at(&id))
    }

    /// Value of a stored certificate.
    ///
    /// # Errors
    /// [`TokenError::NoKey`] if there is none of that name.
    pub fn certificate(&mut self, name: &str) -> Result<Vec<u8>, TokenError> {
        self.once(|work| {
            let handle = work.find(ObjectClass::CERTIFICATE, name)?;
            match work.attributes(handle, &[AttributeType::Value])?.pop() {
                Some(Attribute::Value(der)) => Ok(der),
                _ => Err(odd("reading a certificate")),
            }
        })
    }
}

impl Token for Device {
    fn call(&mut self, call: &Call) -> Result<Bytes, TokenError> {
        match call {
            Call::Sign { key, hash } => self.with(|work| work.sign(key, hash)),
            Call::Random(length) => self.with(|work| work.random(*length)),
            Call::Open { key, oaep, sealed } => {
                let opened = self.with(|work| work.open(key, *oaep, sealed));
                let Err(TokenError::Failed { .. }) = opened else { return opened };
                // modules answer the same code for a changed input and for an outage: ask for a known answer
                match self.with(|work| work.probe(key, *oaep)) {
                    Ok(()) => Err(TokenError::Sealed),
                    Err(error) => Err(error),
                }
            }
        }
    }
}

/// The working session and the handles found in it.
pub struct Work<'a> {
    /// The session.
    pub session: &'a Session,
    handles: &'a mut HashMap<String, ObjectHandle>,
    generation: u32,
}

impl Work<'_> {
    /// Finds an object of this generation by class and name.
    ///
    /// # Errors
    /// As [`Self::find_id`].
    pub fn find(&mut self, class: ObjectClass, name: &str) -> Result<ObjectHandle, TokenError> {
        self.find_id(class, &id(name, self.generation))
    }

    /// Every object of a class with its id and these attributes; what has no id that is text is not ours.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub fn objects(
        &mut self,
        class: ObjectClass,
        wanted: &[AttributeType],
    ) -> Result<Vec<(String, Vec<Attribute>)>, TokenError> {
        let found = self.session.find_objects(&[Attribute::Class(class)]).map_err(failed("listing objects"))?;
        let mut objects = Vec::new();
        for handle in found {
            let Some(Attribute::Id(bytes)) = self.attributes(handle, &[AttributeType::Id])?.pop() else { continue };
            let Ok(id) = String::from_utf8(bytes) else { continue };
            objects.push((id, self.attributes(handle, wanted)?));
        }
        Ok(objects)
    }

    /// SHA-256 of the public half with this id, if it is a key of ours.
    pub fn fingerprint(&mut self, id: &str) -> Option<domain::B64> {
        let spki = self.ec_public_at(id).ok().or_else(|| {
            let rsa = self.rsa_public_at(id).ok()?;
            rsa.public_key_to_der().ok()
        })?;
        Some(evidence::sha256(&spki).into())
    }

    /// Handles are looked up anew: objects were destroyed.
    pub fn forget(&mut self) {
        self.handles.clear();
    }

    /// Finds an object by class and CKA_ID; two of one id are an error, never a choice.
    ///
    /// # Errors
    /// [`TokenError::NoKey`] if there is none.
    pub fn find_id(&mut self, class: ObjectClass, name: &str) -> Result<ObjectHandle, TokenError> {
        let cached = format!("{class}/{name}");
        if let Some(handle) = self.handles.get(&cached) {
            return Ok(*handle);
        }
        let template = [Attribute::Class(class), Attribute::Id(name.as_bytes().to_vec())];
        match self.session.find_objects(&template).map_err(failed("finding a key"))?.as_slice() {
            [handle] => {
                self.handles.insert(cached, *handle);
                Ok(*handle)
            }
            [] => Err(TokenError::NoKey { name: name.to_owned() }),
            _ => Err(TokenError::Failed { what: "finding a key", why: format!("two objects named {name}") }),
        }
    }

    fn attributes(&self, handle: ObjectHandle, wanted: &[AttributeType]) -> Result<Vec<Attribute>, TokenError> {
        self.session.get_attributes(handle, wanted).map_err(failed("reading an object"))
    }

    fn sign(&mut self, key: &str, hash: &[u8; 32]) -> Result<Bytes, TokenError> {
        let handle = self.find(ObjectClass::PRIVATE_KEY, key)?;
        let signature = self.session.sign(&Mechanism::Ecdsa, handle, hash).map_err(failed("signing"))?;
        if signature.len() == 64 { Ok(signature.into()) } else { Err(odd("signing")) }
    }

    fn random(&mut self, length: u32) -> Result<Bytes, TokenError> {
        self.session.generate_random_vec(length).map(Into::into).map_err(failed("making random bytes"))
    }

    fn open(&mut self, key: &str, oaep: Oaep, sealed: &[u8]) -> Result<Bytes, TokenError> {
        let handle = self.find(ObjectClass::PRIVATE_KEY, key)?;
        let (hash, mask) = match oaep {
            Oaep::Sha256 => (MechanismType::SHA256, PkcsMgfType::MGF1_SHA256),
            Oaep::Sha1 => (MechanismType::SHA1, PkcsMgfType::MGF1_SHA1),
        };
        let mechanism = Mechanism::RsaPkcsOaep(PkcsOaepParams::new(hash, mask, PkcsOaepSource::empty()));
        self.session.decrypt(&mechanism, handle, sealed).map(Into::into).map_err(failed("opening"))
    }

    fn probe(&mut self, key: &str, oaep: Oaep) -> Result<(), TokenError> {
        let public = self.rsa_public_at(&id(key, self.generation))?;
        let sealed = sealing::oaep_encrypt(&public, oaep, PROBE).map_err(|_| odd("sealing a probe"))?;
        let opened = self.open(key, oaep, &sealed)?;
        if opened.as_slice() == PROBE { Ok(()) } else { Err(odd("opening a probe")) }
    }

    fn ec_public_at(&mut self, id: &str) -> Result<Vec<u8>, TokenError> {
        let handle = self.find_id(ObjectClass::PUBLIC_KEY, id)?;
        let Some(Attribute::EcPoint(point)) = self.attributes(handle, &[AttributeType::EcPoint])?.pop() else {
            return Err(odd("reading a public key"));
        };
        // PKCS#11 wants a DER OCTET STRING around the point; some modules give the bare point
        let bare = if point.len() == 67 && point[..2] == [0x04, 0x41] { &point[2..] } else { &point[..] };
        let key = evidence::key::PublicKey::from_sec1(bare).map_err(|_| odd("reading a public key"))?;
        Ok(key.to_spki())
    }

    fn rsa_public_at(&mut self, id: &str) -> Result<Rsa<openssl::pkey::Public>, TokenError> {
        let handle = self.find_id(ObjectClass::PUBLIC_KEY, id)?;
        let mut modulus = None;
        let mut exponent = None;
        for attribute in self.attributes(handle, &[AttributeType::Modulus, AttributeType::PublicExponent])? {
            match attribute {
                Attribute::Modulus(bytes) => modulus = BigNum::from_slice(&bytes).ok(),
                Attribute::PublicExponent(bytes) => exponent = BigNum::from_slice(&bytes).ok(),
                _ => {}
            }
        }
        let (modulus, exponent) = modulus.zip(exponent).ok_or_else(|| odd("reading a public key"))?;
        Rsa::from_public_components(modulus, exponent).map_err(|_| odd("reading a public key"))
    }
}

/// CKA_ID of a name in a generation.
fn id(name: &str, generation: u32) -> String {
    let counted = name.starts_with(super::ARCHIVE);
    if counted || generation == 1 { name.to_owned() } else { format!("{name}@{generation}") }
}

fn is_pin(error: &RvError) -> bool {
    matches!(
        error,
        RvError::PinIncorrect
            | RvError::PinInvalid
            | RvError::PinLenRange
            | RvError::PinExpired
            | RvError::PinLocked
            | RvError::UserPinNotInitialized
    )
}

/// Turns a module's error into ours.
pub fn failed(what: &'static str) -> impl Fn(Error) -> TokenError {
    move |error| TokenError::Failed { what, why: error.to_string() }
}

/// The module's answer makes no sense.
pub fn odd(what: &'static str) -> TokenError {
    TokenError::Failed { what, why: "unexpected answer of the module".to_owned() }
}
