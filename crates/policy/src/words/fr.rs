//! French.

use super::Key;

pub(super) fn text(key: Key) -> &'static str {
    match key {
        Key::AudioVideo => "son et image",
        Key::Chat => "messagerie",
        Key::Files => "fichiers",
        Key::Tier => "qualité de la copie",
        Key::Retention => "durée de conservation de la copie",
        Key::Archive => "support de la copie",
        Key::Grace => "délai sans enregistreur",
        Key::Pause => "pauses de la copie",
        Key::Copies => "copies pour ses propres collaborateurs",
        Key::ArchiveKeys => "clés d’archive",
        Key::Veto => "établissements visés par le veto",
        Key::Guests => "invités",
        Key::Share => "partage d’écran",
        Key::Lobby => "salle d’attente",
        Key::Passcode => "code d’accès",
        Key::Hosts => "animateurs",
        Key::Regions => "régions",
        Key::OldestClient => "version minimale du client",
        Key::Barriers => "barrières d’information",
        Key::Notice => "texte de l’avis",
        Key::Contact => "contact",
        Key::Statement => "déclaration",
        Key::Must => "conservation obligatoire",
        Key::Should => "conservé si possible",
        Key::Off => "non conservé",
        Key::Forbidden => "conservation interdite",
        Key::TierAudio => "son seul",
        Key::TierP360 => "son et 360p",
        Key::TierFull => "tout",
        Key::TierScreen => "son et écrans",
        Key::ArchiveWorm => "stockage WORM",
        Key::ArchiveTrail => "stockage WORM, ou piste d’audit sur deux supports",
        Key::Years => "{n} ans",
        Key::Millis => "{n} ms",
        Key::Allowed => "autorisé",
        Key::Refused => "refusé",
        Key::Free => "non exigé",
        Key::Wanted => "exigé",
        Key::Any => "tous",
        Key::None => "aucun",
        Key::EffectStricter => "plus strict pour les autres",
        Key::EffectLooser => "plus souple pour les autres",
        Key::EffectOwn => "propre copie seulement",
        Key::Change => "{field} : {before} → {after} ({effect})",
        Key::ClashVeto => {
            "{must} doit conserver : {class} (déclaration {mustserial}) ; {forbidden} l’interdit (déclaration {forbiddenserial})."
        }
        Key::ClashRegions => "Aucune région n’est autorisée par tous : {firms}.",
        Key::ClashSerial => "{firm} a signé deux déclarations différentes sous le numéro {serial}.",
        Key::WhyNoStatement => "{firm} n’a pas de déclaration pour cette salle.",
        Key::WhyGuest => "{firm} n’admet pas d’invités (déclaration {serial}).",
        Key::WhyClient => "{firm} exige une version plus récente du client (déclaration {serial}).",
        Key::WhyRegion => "{firm} n’autorise pas cette région (déclaration {serial}).",
        Key::WhyBarrier => {
            "Une barrière d’information de {firm} vous sépare d’une personne présente (déclaration {serial})."
        }
        Key::Call => "Appelez {firm} : {contact}.",
        Key::CallAdministrators => "Appelez les administrateurs de {firm}.",
        Key::NoticeKeeps => "{firm} conserve pendant {n} ans : {class}.",
        Key::NoticeNobody => "Personne ne conserve de copie de cette réunion.",
        Key::NoticeClosed => "{firm} a désactivé : {class}.",
        Key::NoticeAdds => "{firm} : {text}",
        Key::CostGrows => {
            "La copie croît de {gb} Go par mois : {first} par mois après le premier mois, {full} par mois après {n} ans."
        }
        Key::Enter => "{n} sur {all} entrent.",
    }
}
