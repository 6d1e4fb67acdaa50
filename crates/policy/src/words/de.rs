//! German.

use super::Key;

pub(super) fn text(key: Key) -> &'static str {
    match key {
        Key::AudioVideo => "Ton und Bild",
        Key::Chat => "Chat",
        Key::Files => "Dateien",
        Key::Tier => "Qualität der Kopie",
        Key::Retention => "Aufbewahrung der Kopie",
        Key::Archive => "Speicher der Kopie",
        Key::Grace => "Zeit ohne Aufzeichner",
        Key::Pause => "Pausen der Kopie",
        Key::Copies => "Kopien für eigene Leute",
        Key::ArchiveKeys => "Archivschlüssel",
        Key::Veto => "vom Veto betroffene Firmen",
        Key::Guests => "Gäste",
        Key::Share => "Bildschirmfreigabe",
        Key::Lobby => "Warteraum",
        Key::Passcode => "Zugangscode",
        Key::Hosts => "Gastgeber",
        Key::Regions => "Regionen",
        Key::OldestClient => "älteste Client-Version",
        Key::Barriers => "Informationsbarrieren",
        Key::Notice => "Text im Hinweis",
        Key::Contact => "Ansprechstelle",
        Key::Statement => "Erklärung",
        Key::Must => "muss aufbewahrt werden",
        Key::Should => "wird wenn möglich aufbewahrt",
        Key::Off => "wird nicht aufbewahrt",
        Key::Forbidden => "Aufbewahrung verboten",
        Key::TierAudio => "nur Ton",
        Key::TierP360 => "Ton und 360p",
        Key::TierFull => "alles",
        Key::TierScreen => "Ton und Bildschirme",
        Key::ArchiveWorm => "WORM-Speicher",
        Key::ArchiveTrail => "WORM-Speicher oder Prüfpfad über zwei Speicher",
        Key::Years => "{n} Jahre",
        Key::Millis => "{n} ms",
        Key::Allowed => "erlaubt",
        Key::Refused => "nicht erlaubt",
        Key::Free => "nicht verlangt",
        Key::Wanted => "verlangt",
        Key::Any => "alle",
        Key::None => "keine",
        Key::EffectStricter => "strenger für die anderen",
        Key::EffectLooser => "lockerer für die anderen",
        Key::EffectOwn => "nur die eigene Kopie",
        Key::Change => "{field}: {before} → {after} ({effect})",
        Key::ClashVeto => {
            "{must} muss {class} aufbewahren (Erklärung {mustserial}), {forbidden} verbietet es (Erklärung {forbiddenserial})."
        }
        Key::ClashRegions => "Keine Region ist von allen erlaubt: {firms}.",
        Key::ClashSerial => "{firm} hat zwei verschiedene Erklärungen mit der Nummer {serial} unterschrieben.",
        Key::WhyNoStatement => "{firm} hat keine Erklärung zu diesem Raum.",
        Key::WhyGuest => "{firm} lässt keine Gäste zu (Erklärung {serial}).",
        Key::WhyClient => "{firm} verlangt eine neuere Client-Version (Erklärung {serial}).",
        Key::WhyRegion => "{firm} erlaubt diese Region nicht (Erklärung {serial}).",
        Key::WhyBarrier => {
            "Eine Informationsbarriere von {firm} trennt Sie von einer anwesenden Person (Erklärung {serial})."
        }
        Key::Call => "Rufen Sie {firm} an: {contact}.",
        Key::CallAdministrators => "Rufen Sie die Administration von {firm} an.",
        Key::NoticeKeeps => "{firm} bewahrt {n} Jahre lang auf: {class}.",
        Key::NoticeNobody => "Niemand bewahrt eine Kopie dieser Besprechung auf.",
        Key::NoticeClosed => "{firm} hat abgeschaltet: {class}.",
        Key::NoticeAdds => "{firm}: {text}",
        Key::CostGrows => {
            "Die Kopie wächst um {gb} GB im Monat: {first} im Monat nach dem ersten Monat, {full} im Monat nach {n} Jahren."
        }
        Key::Enter => "{n} von {all} treten ein.",
    }
}
